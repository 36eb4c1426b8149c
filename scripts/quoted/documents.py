"""The documents whose numbers are checked, and the numbers in them."""

import posixpath
import re
from collections import namedtuple

Finding = namedtuple("Finding", "path line text")

# A date, or digits with groups, decimals and a unit's letter.
NUMBER = r"\d{4}-\d\d-\d\d|\d+(?:,\d{3})*(?:\.\d+)*(?:[kMG](?![a-z]))?"
CARDINAL = ("an?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|sixteen|"
            "twenty|thirty|forty|fifty|sixty|few")
# Words that say how much: shares, multiples, how long. Not "three replicas", which is no measure.
WORD = (r"\b(?:half|halves|thirds?|quarters?|fifths?|sixths?|eighths?|tenths?|twentieths?|"
        r"hundredths?|twice|doubled?|dozens?|tens|hundreds?|thousands?|millions?|"
        rf"(?:{CARDINAL})(?:\s+and\s+a\s+half)?\s+"
        r"(?:seconds?|minutes?|hours?|days?|weeks?|times))\b")
TOKEN = re.compile(rf"(?P<number>{NUMBER})|{WORD}", re.IGNORECASE)
# What joins letters and digits to a name: sosp13-fig4.toml is no number.
NAME = re.compile(r"[\w\-/.'#@]*\Z")
LINK = re.compile(r"\]\(([^)\s]+)\)")
# The lines of a comment that stands alone, and one behind a value.
COMMENTS = {".toml": re.compile(r"(?m)^[ \t]*#+|[ \t]#+(?=[ \t])"), ".rs": re.compile(r"//[/!]?")}
FENCE = re.compile(r"(?m)^```(\w*)\n(.*?)^```$", re.DOTALL)


def blank(text):
    """As many blanks, so that places stay what they are."""
    return re.sub(r"[^\n]", " ", text)


class Document:
    """A file; `prose` is what of it is read, at the same places as in `text`."""

    def __init__(self, path, text):
        self.path, self.text = path, text
        suffix = posixpath.splitext(path)[1]
        if suffix == ".md":
            self.prose = FENCE.sub(self._fence, text)
        elif suffix in COMMENTS:
            self.prose = comments(text, COMMENTS[suffix])
        else:
            self.prose = text
        self.covered = []

    def _fence(self, match):
        language, body = match.groups()
        if language == "sh":
            return blank(match.group())
        if language == "toml":
            return blank(match.group())[:match.start(2) - match.start()] + comments(
                body, COMMENTS[".toml"]) + "   "
        return match.group()

    def line(self, place):
        return self.text.count("\n", 0, place) + 1

    def finding(self, place, text):
        return Finding(self.path, self.line(place), text)

    def cover(self, begin, end):
        self.covered.append((begin, end))

    def is_covered(self, begin, end):
        return any(of <= begin and end <= to for of, to in self.covered)

    def numbers(self):
        """Every number: (begin, end). What belongs to a name is none."""
        for match in TOKEN.finditer(self.prose):
            before = NAME.search(self.prose, max(0, match.start() - 80), match.start()).group()
            if not (match["number"] and re.search(r"[^\W\d]", before)):
                yield match.span()

    def uncovered(self):
        return [(begin, end) for begin, end in self.numbers() if not self.is_covered(begin, end)]

    def links(self):
        """Every link to a file of the repository: (begin, end, its path from the root)."""
        if not self.path.endswith(".md"):
            return
        for match in LINK.finditer(self.text):
            target = match.group(1).partition("#")[0]
            if target and "://" not in target:
                path = posixpath.normpath(posixpath.join(posixpath.dirname(self.path), target))
                yield *match.span(1), path


def comments(text, mark):
    """What stands in comments; the rest, and the marks, are blank."""
    kept = []
    for line in text.splitlines(keepends=True):
        match = mark.search(line)
        cut = match.end() if match else len(line)
        kept.append(blank(line[:cut]) + line[cut:])
    return "".join(kept)


def linked(files, first):
    """The Markdown documents that `first` links, and that those link, first to last; and what is
    linked but is not there: (document, place, path)."""
    found, broken = [first], []
    for path in found:
        document = Document(path, files.text(path))
        for begin, _, target in document.links():
            if not (files.root / target).exists():
                broken.append((document, begin, target))
            elif target.endswith(".md") and target not in found:
                found.append(target)
    return found, broken
