"""Holding documents against claims, and demanding that no number be left over."""

import difflib
import re
from collections import namedtuple
from fnmatch import fnmatchcase

from .documents import NUMBER
from .files import Flipped, Missing

Edit = namedtuple("Edit", "begin end text")

PLACES = {
    "{}": rf"((?:≥)?[+−]?(?:{NUMBER})|–)",   # a number
    "{w}": r"([^|.;:()\[\]]{1,80}?)",         # words
    "{t}": r"([^|\n]{1,120}?)",               # anything in a line
}


def folded(text):
    return " ".join(text.split())


def flexible(text):
    """A pattern for a text in which any white space stands for any other."""
    return r"\s+".join(re.escape(word) for word in text.split(" "))


class Claim:
    """A sentence with places for what `derive(data)` gives: one text, or a list of them."""

    def __init__(self, where, template, derive, optional=False, everything=False):
        self.where, self.template, self.derive = where, template, derive
        # optional: the sentence may be absent; everything: it may be outside of prose.
        self.optional, self.everything = optional, everything
        parts = re.split(r"(\{[wt]?\})", template)
        pattern = "".join(PLACES.get(part) or flexible(part) for part in parts)
        if parts[-1] and parts[-1][-1].isalnum():
            pattern += r"(?!\w)"
        self.pattern = re.compile(pattern)

    def is_of(self, path):
        return fnmatchcase(path, self.where)


class Given:
    """Numbers that are nobody's measurement: where they stand, and why they are no claim."""

    def __init__(self, where, pattern, reason):
        self.where, self.reason = where, reason
        self.pattern = re.compile(pattern.replace(" ?", r"\s*").replace(" ", r"\s+"))

    def is_of(self, path):
        return fnmatchcase(path, self.where)


def derived(claim, data):
    """The texts of a claim and what they are from; or what a person has to look at."""
    data.files.read.clear()
    try:
        values = claim.derive(data)
    except Flipped as flipped:
        return None, f"no longer holds: {flipped}: reword it"
    except (LookupError, ValueError, TypeError, ArithmeticError) as error:
        raise Missing(f"{claim.where}: {claim.template!r} cannot be derived: {error!r}, from "
                      f"{', '.join(data.files.read)}") from error
    values = [values] if isinstance(values, str) else list(values)
    sources = data.files.read
    shown = ", ".join(sources[:3]) + (f" and {len(sources) - 3} more" if len(sources) > 3 else "")
    return values, shown or "arithmetic"


def check_claim(document, claim, data):
    """Findings, and the edits that mend them."""
    text = document.text if claim.everything else document.prose
    matches = list(claim.pattern.finditer(text))
    if not matches:
        if claim.optional:
            return [], []
        what = f"has no sentence {claim.template!r}: reword it there or in scripts/quoted"
        return [document.finding(0, what)], []
    values, source = derived(claim, data)
    findings, edits = [], []
    for match in matches:
        if values is None:
            said = f"{folded(match.group())!r} {source}"
            findings.append(document.finding(match.start(), said))
            document.cover(*match.span())
            continue
        for place, value in enumerate(values, 1):
            begin, end = match.span(place)
            document.cover(begin, end)
            printed = folded(match.group(place))
            if printed != folded(value):
                said = f"printed {printed!r}, derived {value!r}, from {source}"
                findings.append(document.finding(begin, said))
                edits.append(Edit(begin, end, value))
    return findings, edits


def check_output(document, lines, source, begin=0, end=None):
    """Lines that a program printed, in their order, between two places of a document."""
    end = len(document.text) if end is None else end
    expected = [folded(line) for line in lines if line.strip()]
    place, spans = begin, []
    for line in expected:
        whole = re.compile(rf"(?<!\S){flexible(line)}(?!\S)")
        match = whole.search(document.text, place, end)
        if match is None:
            return differences(document, expected, source, begin, end)
        spans.append(match.span())
        place = match.end()
    for span in spans:
        document.cover(*span)
    return []


def differences(document, expected, source, begin, end):
    """Word by word, what is printed otherwise than derived."""
    printed = list(re.compile(r"\S+").finditer(document.text, begin, end))
    words = [(word, line) for line in expected for word in line.split(" ")]
    matcher = difflib.SequenceMatcher(
        None, [match.group() for match in printed], [word for word, _ in words], autojunk=False)
    findings = []
    for kind, i, j, k, m in matcher.get_opcodes():
        # What is there beside is covered by something else, or reported as derived from nothing.
        if kind in ("equal", "replace"):
            document.cover(printed[i].start(), printed[j - 1].end())
        if kind in ("replace", "insert"):
            there = " ".join(match.group() for match in printed[i:j]) or "nothing"
            here = " ".join(word for word, _ in words[k:m])
            place = printed[min(i, len(printed) - 1)].start() if printed else 0
            said = f"printed {there!r}, derived {here!r}, from {source}: {words[k][1][:60]!r}"
            findings.append(document.finding(place, said))
    return findings


def check_coverage(document, givens):
    """Numbers that nothing derives and no one gives."""
    for given in givens:
        if given.is_of(document.path):
            for match in given.pattern.finditer(document.prose):
                document.cover(*match.span())
    for begin, end in document.uncovered():
        number = folded(document.prose[begin:end])
        line = document.prose[document.prose.rfind("\n", 0, begin) + 1:]
        around = folded(line.partition("\n")[0])[:80]
        said = f"{number!r} is not derived from anything: {around!r}"
        yield document.finding(begin, said)


def edited(text, edits):
    """The text with what is mended; of edits that overlap the widest."""
    done, parts = 0, []
    for edit in sorted(set(edits), key=lambda edit: (edit.begin, -edit.end)):
        if edit.begin >= done:
            parts += [text[done:edit.begin], edit.text]
            done = edit.end
    return "".join([*parts, text[done:]])
