"""Reading committed files, and noting which: a derived number says what it was derived from."""

import csv
import json
import os
import re
import tomllib
from pathlib import Path


class Missing(Exception):
    """A committed file that a number is derived from is not there, or is not what it should be."""


class Flipped(Exception):
    """What a sentence says no longer holds, whatever its numbers: a person must reword it."""


def holds(condition, what):
    """Demands that what a sentence says in words be true of the data."""
    if not condition:
        raise Flipped(what)


class Files:
    """The files below a directory, each read once."""

    def __init__(self, root):
        self.root = Path(root)
        self.read = []
        self._known = {}

    def note(self, path):
        name = str(path)
        if name not in self.read:
            self.read.append(name)

    def _get(self, path, kind, parse):
        path = str(path)
        self.note(path)
        if (kind, path) not in self._known:
            try:
                text = (self.root / path).read_text(encoding="utf-8")
                self._known[kind, path] = parse(text)
            except OSError as error:
                raise Missing(f"{path}: cannot be read: {error.strerror}") from error
            except (ValueError, csv.Error) as error:
                raise Missing(f"{path}: cannot be understood: {error}") from error
        return self._known[kind, path]

    def write(self, path, text):
        """Puts the text in the place of the file."""
        new = self.root / f"{path}.new"
        new.write_text(text, encoding="utf-8")
        os.replace(new, self.root / path)

    def text(self, path):
        return self._get(path, "text", str)

    def toml(self, path):
        return self._get(path, "toml", tomllib.loads)

    def json(self, path):
        return self._get(path, "json", json.loads)

    def rows(self, path):
        """The rows of a CSV file, each a dictionary of texts."""
        return self._get(path, "csv", lambda text: list(csv.DictReader(text.splitlines())))

    def has(self, path):
        return (self.root / path).is_file()

    def glob(self, pattern):
        """Paths below the root, sorted."""
        found = (path.relative_to(self.root) for path in self.root.glob(pattern))
        return sorted(str(path) for path in found)

    def match(self, path, pattern):
        """What the first group of `pattern` is in a source file."""
        match = re.search(pattern, self.text(path))
        if match is None:
            raise Missing(f"{path}: has no {pattern!r}: say in scripts/quoted where it is now")
        return match.group(1)

    def code(self, path, pattern):
        """The same as a number; Rust's have underscores."""
        return float(self.match(path, pattern).replace("_", ""))
