"""What programs wrote below results/reference: every line worked out anew.

None of it is rewritten but the running time: what a program printed is printed again, not mended.
"""

import posixpath
import re

from . import claims, summary, topology
from .check import Claim, Edit, check_claim, check_output
from .documents import FENCE
from .results import quotable

QUOTED = "quickstart"


def check_quote(document, data):
    """The README's block of text is what the run printed, word for word."""
    results = data.run(QUOTED)
    path = f"{results.path}/summary.txt"
    printed = data.files.text(path).rstrip("\n")
    block = next((match for match in FENCE.finditer(document.text)
                  if match.group(1) == "text"), None)
    if block is None:
        return [document.finding(0, "has no block of text with what a run printed")], []
    begin, end = block.span(2)
    document.cover(begin, end)
    if document.text[begin:end].rstrip("\n") == printed:
        return [], []
    said = document.text[begin:end].splitlines()
    other = printed.splitlines()
    place = next((place for place, pair in enumerate(zip(said, other)) if pair[0] != pair[1]),
                 min(len(said), len(other)))
    there, here = (of[place] if place < len(of) else "nothing" for of in (said, other))
    at = begin + sum(len(line) + 1 for line in said[:place])
    text = f"printed {there.strip()!r}, derived {here.strip()!r}, from {path}"
    return [document.finding(at, text)], [Edit(begin, end, printed + "\n")]


def check_summary(document, data):
    """What `bench run` printed of the directory that the file is in."""
    results = data.results(posixpath.dirname(document.path))
    return check_output(document, summary.lines(results), f"{results.path}/*.csv")


def check_topology(document, data):
    name = document.text.partition(":")[0]
    source = f"workloads/topologies/{name}.toml"
    return check_output(document, topology.lines(data.files, name), source)


def described(data):
    """What scripts/figures says each directory is for."""
    text = data.files.text("scripts/figures").replace(r"'\''", "\N{APOSTROPHE}")
    found = {}
    for line in re.findall(r"(?m)^    '([\w|\-]+\|.*)'$", text):
        name, _, what = line.partition("|")
        found[name] = what.rpartition("|")[2]
    return found


def table_lines(document, data):
    """The rows of the table of results, as scripts/figures writes them."""
    directory = posixpath.dirname(document.path)
    words = described(data)
    for results in data.runs_below(directory):
        name = posixpath.basename(results.path)
        if name in words:
            verdict = ("valid" if all(map(quotable, results.summary))
                       else "NOT VALID in part, see its summary")
            yield name, words[name], verdict


def check_figures(document, data):
    """The README that scripts/figures writes."""
    directory = posixpath.dirname(document.path)
    first = data.runs_below(directory)[0]
    git, host = first.manifest["versions"]["git"], first.host
    commit = git["commit"][:7] + ("" if git["clean"] else " (with changes)")
    where = document.path
    of_machine = [str(host["cores"]), host["cpu"], host["kernel"],
                  first.manifest["versions"]["rustc"]]
    held = [
        Claim(where, "in {} min {} s of running, at commit {t},",
              lambda d: [*map(str, divmod(round(claims.papers_ran_s(d, directory)), 60)), commit]),
        Claim(where, "on {} cores of {t}, {t}, {t}.\n", lambda d: of_machine),
    ]
    findings, edits = [], []
    for claim in held:
        found, mends = check_claim(document, claim, data)
        findings += found
        edits += mends
    findings += check_title(document, data)
    for name, what, verdict in table_lines(document, data):
        row = re.compile(rf"(?m)^\| \[`{re.escape(name)}`\]\({re.escape(name)}/\) \| "
                         rf"{re.escape(what)}(?: \(\[figure\]\([^)]*\)\))* \| "
                         rf"{re.escape(verdict)} \|$")
        match = row.search(document.text)
        if match:
            document.cover(*match.span())
        else:
            text = f"has no row of {name} that says {what!r} and {verdict!r}"
            findings.append(document.finding(0, f"{text}, as scripts/figures writes it"))
    published = data.published(directory)
    if published.table:
        begin = max(document.text.find("## Published"), 0)
        findings += check_output(document, published.lines(), f"{directory}/sosp13-*/*.csv", begin)
    return findings, edits


TITLE = re.compile(r"# (?:The papers' figures,(?: and the README's,)?|Reference runs of) (\S+)")


def check_title(document, data):
    """The day on which the first run began."""
    match = TITLE.match(document.text)
    if match is None:
        return [document.finding(0, f"has no title such as {TITLE.pattern!r}")]
    document.cover(*match.span())
    first = data.runs_below(posixpath.dirname(document.path))[0]
    if match.group(1) == first.date:
        return []
    text = f"printed {match.group(1)!r}, derived {first.date!r}, from {first.path}/manifest.json"
    return [document.finding(match.start(), text)]
