"""What programs wrote below results/reference: every line worked out anew.

None of it is rewritten but the running time: what a program printed is printed again, not mended.
"""

import posixpath
import re

from . import claims, summary, topology
from .check import Claim, Edit, check_claim, check_output
from .documents import FENCE, Finding
from .results import quotable

QUOTED = "quickstart"
# What the README's block leaves out: a section of its own is about it.
CUT = ("Busiest replica",)


def quoted(printed):
    """What is shown of what a run printed: all but the sections that are cut."""
    sections = printed.strip("\n").split("\n\n")
    return "\n\n".join(of for of in sections if of.partition("\n")[0] not in CUT)


def check_quote(document, data):
    """The README's block of text is what the run printed, word for word, but for what is cut."""
    results = data.run(QUOTED)
    path = f"{results.path}/summary.txt"
    printed = quoted(data.files.text(path))
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


DEFAULTS = "harness/workload/default-costs.toml"


def check_defaults(data):
    """The simulator's default costs are those that were measured, to the letter."""
    calibration = data.in_reference("calibration.toml")
    if not data.files.has(DEFAULTS) or calibration is None:
        return []
    if data.files.text(DEFAULTS) == data.files.text(calibration):
        return []
    return [Finding(DEFAULTS, 1, f"is not what was measured: {calibration} is")]


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

    def machine(d):
        manifest = d.runs_below(directory)[0].manifest
        host = manifest["host"]
        return [str(host["cores"]), host["cpu"], host["kernel"], manifest["versions"]["rustc"]]

    def ran(d):
        return list(map(str, divmod(round(claims.papers_ran_s(d, directory)), 60)))

    findings, edits = check_title(document, data), []
    findings += check_commit(document, data)
    for claim in (Claim(document.path, "in {} min {} s of running", ran),
                  Claim(document.path, "on {} cores of {t}, {t}, {t}.\n", machine)):
        found, mends = check_claim(document, claim, data)
        findings += found
        edits += mends
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
    """A day between the first run's beginning and the last one's end."""
    match = TITLE.match(document.text)
    if match is None:
        return [document.finding(0, f"has no title such as {TITLE.pattern!r}")]
    document.cover(*match.span())
    runs = data.runs_below(posixpath.dirname(document.path))
    last = runs[-1].manifest["ended_utc"].partition("T")[0]
    if runs[0].date <= match.group(1) <= last:
        return []
    text = f"printed {match.group(1)!r}, derived {last!r}, from {runs[-1].path}/manifest.json"
    return [document.finding(match.start(), text)]


COMMIT = re.compile(r"at commit ([0-9a-f]{7,40})")


def check_commit(document, data):
    """As many digits as git shows of the commit that every run was made at."""
    directory = posixpath.dirname(document.path)
    commits = {results.manifest["versions"]["git"]["commit"]
               for results in data.runs_below(directory)}
    match = COMMIT.search(document.text)
    if match is None:
        return [document.finding(0, "names no commit")]
    document.cover(*match.span())
    if any(commit.startswith(match.group(1)) for commit in commits):
        return []
    text = (f"printed {match.group(1)!r}, derived {', '.join(sorted(commits))}, from "
            f"{directory}/*/manifest.json")
    return [document.finding(match.start(), text)]
