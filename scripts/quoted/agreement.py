"""The table of `bench agreement`, real clusters beside simulated ones, from agreement.csv."""

import math
import re

from .check import Edit, check_output
from .results import display

BLOCK = re.compile(r"<!-- agreement of (\S+) -->\n(.*?)<!-- end of agreement -->", re.DOTALL)
# Nearer than this two figures are in no order.
MARGIN = 0.05


def thousands(operations):
    of = operations / 1e3
    return f"{of:.0f}" if of >= 100 else f"{of:.1f}" if of >= 10 else f"{of:.2f}"


def order(real, simulated):
    """Are two protocols in one order, real and simulated?"""
    clear, also = (abs(math.log(ratio)) > math.log1p(MARGIN) for ratio in (real, simulated))
    if not clear:
        return "none to agree on"
    return "yes" if also and (real > 1) == (simulated > 1) else "**no**"


def ops(row, driver):
    return float(row[f"{driver}_ops_per_busiest_cpu_s"])


def lines(rows):
    first = rows[0]
    yield (f"`{first['workload']}`, {first['date_utc'].partition('T')[0]}, {first['cores']} cores "
           f"of {first['cpu']}. Thousands of operations per CPU-second of the replica that takes "
           "most CPU time:")
    ordered = sorted(rows, key=lambda row: int(row["replicas"]))
    for row in ordered:
        real, simulated = ops(row, "real"), ops(row, "simulated")
        yield (f"| {row['replicas']} | {display(row['protocol'])} | {thousands(real)} | "
               f"{thousands(simulated)} | {simulated / real:.2f} | {row['real_runs_valid']} of "
               f"{row['real_runs']} | {row['simulated_runs_valid']} of {row['simulated_runs']} |")
    for place, one in enumerate(ordered):
        for other in ordered[place + 1:]:
            if other["replicas"] == one["replicas"]:
                yield pair(one, other)


def pair(one, other):
    if ops(one, "real") < ops(other, "real"):
        one, other = other, one
    real, simulated = (ops(one, of) / ops(other, of) for of in ("real", "simulated"))
    return (f"| {one['replicas']} | {display(one['protocol'])} over {display(other['protocol'])} | "
            f"{real:.2f} | {simulated:.2f} | {simulated / real:.2f} | {order(real, simulated)} |")


def check(document, data):
    """The table between its marks, and that it is of the newest measurement."""
    match = BLOCK.search(document.text)
    if match is None:
        return [], []
    newest = data.in_reference("agreement.csv")
    if newest is None:
        said = f"{match.group(1)}/agreement.csv: is not there"
        return [document.finding(match.start(), said)], []
    directory = newest.rpartition("/")[0]
    findings, edits = [], []
    document.cover(*match.span(1))
    if match.group(1) != directory:
        text = f"printed {match.group(1)!r}, derived {directory!r}, from what is committed"
        findings.append(document.finding(match.start(1), text))
        edits.append(Edit(*match.span(1), directory))
    rows = data.files.rows(newest)
    return findings + check_output(document, lines(rows), newest, *match.span(2)), edits
