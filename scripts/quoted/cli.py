"""The command: which documents are checked, and what is said of them."""

import re
import sys
from fnmatch import fnmatchcase

from . import agreement, outputs, workloads
from .check import Edit, check_claim, check_coverage, edited
from .claims import CLAIMS, SIM_COSTS
from .data import REFERENCE, Data
from .documents import Document, linked
from .files import Missing
from .given import GIVENS

FIRST = "README.md"
IN_REFERENCE = re.compile(rf"{REFERENCE}/(\d{{4}}-\d\d-\d\d-[\w.-]+?)(?=/)/([\w./=-]*\w)")


def paths_of(data):
    """Every document, and what a document links that is not there."""
    found, broken = linked(data.files, FIRST)
    for pattern in (f"{REFERENCE}/**/*.md", f"{REFERENCE}/**/summary.txt",
                    f"{REFERENCE}/**/topology.txt", "workloads/*.toml", SIM_COSTS):
        found += [path for path in data.files.glob(pattern) if path not in found]
    return found, broken


def check_places(document, data):
    """Paths below results/reference must be there, and the newest of their kind."""
    findings, edits = [], []
    for match in IN_REFERENCE.finditer(document.text):
        directory, rest = match.groups()
        newest = data.in_reference(rest)
        if newest is None and rest.endswith(".png"):
            newest = data.in_reference(rest.removesuffix(".png") + ".svg")
        if match.group() == newest or is_compared(match.group(), data):
            continue
        if newest is None:
            findings.append(document.finding(match.start(), f"{match.group()}: is not there"))
            continue
        text = f"printed {match.group()!r}, derived {newest!r}, from what is committed"
        findings.append(document.finding(match.start(), text))
        edits.append(Edit(*match.span(1), newest.split("/")[2]))
        if newest.endswith(".svg") and rest.endswith(".png"):
            edits.append(Edit(match.end() - 3, match.end(), "svg"))
    return findings, edits


def is_compared(path, data):
    return path in data.compared


def check_path(path, data, claims, givens):
    """Everything about one document: findings, and the edits that mend them."""
    document = Document(path, data.files.text(path))
    findings, edits = check_places(document, data)

    def add(checked):
        findings.extend(checked[0])
        edits.extend(checked[1])

    for claim in claims:
        if claim.is_of(path):
            add(check_claim(document, claim, data))
    add(agreement.check(document, data))
    if path == FIRST:
        add(outputs.check_quote(document, data))
    elif fnmatchcase(path, f"{REFERENCE}/*/summary.txt"):
        add((outputs.check_summary(document, data), []))
    elif path.endswith("topology.txt"):
        add((outputs.check_topology(document, data), []))
    elif fnmatchcase(path, f"{REFERENCE}/*/README.md"):
        if "scripts/figures" in document.text:
            add(outputs.check_figures(document, data))
        else:
            add((outputs.check_title(document, data), []))
    elif path.startswith("workloads/") and path.endswith(".toml"):
        add(workloads.check(document, data))
    findings.extend(check_coverage(document, givens))
    return document, findings, edits


def check_all(root, claims=CLAIMS, givens=GIVENS, write=False):
    """What does not hold, in the order of the documents. With `write` what can be mended is."""
    data = Data(root)
    paths, broken = paths_of(data)
    findings = [document.finding(place, f"links {target}, which is not there")
                for document, place, target in broken if not IN_REFERENCE.fullmatch(target)]
    findings += outputs.check_defaults(data)
    for claim in claims:
        if not claim.optional and not any(map(claim.is_of, paths)):
            raise Missing(f"{claim.where}: no such document: {claim.template!r} is said there")
    for path in paths:
        document, found, edits = check_path(path, data, claims, givens)
        findings += found
        if write and edits:
            data.files.write(path, edited(document.text, edits))
    return findings, len(paths)


def main(arguments, root):
    write = arguments == ["--write"]
    if arguments and not write:
        print(f"check-numbers: {' '.join(arguments)}: takes --write, --self-test or nothing",
              file=sys.stderr)
        return 2
    try:
        if write:
            before, _ = check_all(root, write=True)
        findings, documents = check_all(root)
    except Missing as missing:
        print(f"check-numbers: {missing}", file=sys.stderr)
        return 2
    for finding in findings:
        print(f"{finding.path}:{finding.line}: {finding.text}")
    if write:
        print(f"check-numbers: {len(before) - len(findings)} mended, {len(findings)} left")
    elif not findings:
        print(f"check-numbers: every number of {documents} documents is derived or given")
    return 1 if findings else 0
