"""Holding documents against claims, and demanding that no number be left over."""

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
    findings = []
    end = len(document.text) if end is None else end
    for line in lines:
        line = folded(line)
        if not line:
            continue
        match = re.compile(flexible(line)).search(document.text, begin, end)
        if match is None:
            match, finding = nearest(document, line, source, begin, end)
            findings.append(finding)
        if match:
            document.cover(*match.span())
            begin = match.end()
    return findings


NUMBERS = re.compile(NUMBER)


def nearest(document, line, source, begin, end):
    """The line with other numbers, if it is there, and what is wrong with it."""
    words = NUMBERS.split(line)
    pattern = PLACES["{}"].join(flexible(word) if word else "" for word in words)
    match = re.compile(pattern).search(document.text, begin, end)
    if match is None:
        said = f"not printed, derived {line!r}, from {source}"
        return None, document.finding(begin, said)
    differing = [(printed, value) for printed, value in
                 zip(match.groups(), NUMBERS.findall(line)) if printed != value]
    printed, value = (", ".join(of) for of in zip(*differing)) if differing else ("", "")
    said = f"printed {printed!r}, derived {value!r}, from {source}: {line[:80]!r}"
    return match, document.finding(match.start(), said)


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
    for edit in sorted(set(edits), reverse=True):
        text = text[:edit.begin] + edit.text + text[edit.end:]
    return text
