"""The comments of workload files: their numbers are the file's own, or how long it takes."""

import math
import re

from .check import Edit, folded
from .say import CARDINALS, duration

SHARES = {"half": 0.5, "third": 1 / 3, "quarter": 0.25, "fifth": 0.2, "tenth": 0.1,
          "twentieth": 0.05, "hundredth": 0.01, "thousand": 0.001}
SECONDS = {"second": 1, "minute": 60, "hour": 3600}
# How far what a comment says may be from what a run took: machines differ.
NEAR = 1.5
# What a run takes beside its load: chosen, as short runs of three processes take it.
BESIDE_S = 0.5
# The file has changed since its results were made: how long it takes shows once they are made anew.
STALE = "stale"

COUNT = re.compile(r"\b(\d+)\s+(points?|sizes(?:\s+of\s+values)?|ratios|rates|leaders|protocols|"
                   r"repetitions?|cycles)\b")
TAKES = re.compile(
    r"\b(?:(?P<word>[Aa]bout|Under)\s+(?P<amount>a\s+quarter|[\w.]+)(?P<half>\s+and\s+a\s+half)?"
    r"(?P<share>\s+of\s+a|\s+a)?|(?P<few>A\s+few)|(?P<one>Half\s+a))\s+"
    r"(?P<unit>second|minute|hour)s?(?=[:,.]|\s+\()")


def said(match):
    """What a phrase allows, in seconds: (least, most)."""
    unit = SECONDS[match["unit"]]
    if match["few"]:
        return 0, 15 * unit
    if match["one"]:
        return unit / 2 / NEAR, unit / 2 * NEAR
    amount = match["amount"].lower().split()[-1]
    if amount in SHARES:
        count = SHARES[amount]
    elif amount in ("a", "an"):
        count = 1
    else:
        count = float(CARDINALS.get(amount, amount))
    count += 0.5 if match["half"] else 0
    if match["word"] == "Under":
        return count * unit / 3, count * unit
    return count * unit / NEAR, count * unit * NEAR


def flat(value, key=""):
    """Every number of a parsed file, with its key."""
    if isinstance(value, dict):
        for name, of in value.items():
            yield from flat(of, name)
    elif isinstance(value, list):
        for of in value:
            yield from flat(of, key)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield key, float(value)


def swept(workload):
    """How many values each list has that is swept, protocols aside."""
    found = []
    for name, section in workload.items():
        if isinstance(section, dict) and name in ("cluster", "load", "commands", "epaxos"):
            found += [len(of) for of in section.values() if isinstance(of, list)]
    return found


def known(workload):
    """What a comment may say: the numbers of the file, in other units too, and what follows."""
    numbers = set()
    for key, value in flat(workload):
        numbers.add(value)
        if value <= 1:
            numbers.add(value * 100)
        if key.endswith("_us"):
            numbers.add(value / 1e3)
        if key.endswith("_ms"):
            numbers |= {value / 1e3, value * 2}
        if key.endswith("_mbit_per_s"):
            numbers.add(value / 1e3)
        if key == "value_bytes":
            numbers.add(value / 1024)
    load, replicas = workload.get("load", {}), workload.get("cluster", {}).get("replicas", 3)
    if "p99_ms_max" in load:
        numbers |= {99.0, load["p99_ms_max"] / 1e3 / load["duration_s"]}
    for sites in listed(replicas):
        for clients in listed(load.get("clients", 0)):
            numbers |= {float(clients // sites), float(-(-clients // sites))}
        for clients in listed(load.get("clients_per_site", 1)):
            for window in listed(load.get("window", 1)):
                own = float(clients * window)
                numbers |= {own, float(sites * clients), sites * own}
    return numbers


def listed(value):
    return value if isinstance(value, list) else [value]


def amount(token):
    """A number or a word of one as a number, a time in seconds; NaN if it is none."""
    words = token.lower().split()
    if words[0][0].isdigit():
        text = words[0].replace(",", "")
        factor = {"k": 1e3, "m": 1e6, "g": 1e9}.get(text[-1], 1)
        try:
            return float(text.rstrip("kmg")) * factor
        except ValueError:
            return math.nan
    of = SHARES.get(words[0], float(CARDINALS.get(words[0], math.nan)))
    of = 1.0 if words[0] in ("a", "an") else of
    return (of + (0.5 if "half" in words[1:] else 0)) * SECONDS.get(words[-1].rstrip("s"), 1)


def is_of(results, workload):
    """Were the results made with the file as it is now?"""
    then = results.workload
    same = all(then.get(key) == workload[key] for key in ("protocols", "repetitions"))
    sections = (name for name in ("cluster", "load", "commands") if name in workload)
    return same and all(then[name].get(key) == value for name in sections
                        for key, value in workload[name].items())


def takes_s(workload, data):
    """How long the file takes, and how that is known: it took so long, or a real one plans it."""
    name = workload["name"]
    if name == "calibrate":
        return data.calibrated_in_s, data.in_reference("calibration.toml")
    if data.has_run(name):
        results = data.run(name)
        if is_of(results, workload):
            return results.ran_s, f"{results.path}/manifest.json"
    if workload["cluster"].get("driver", "quic") == "sim":
        return None, STALE if data.has_run(name) else None
    load = workload["load"]
    runs = math.prod(swept(workload)) * len(workload["protocols"]) * workload["repetitions"]
    return runs * (load["warmup_s"] + load["duration_s"] + BESIDE_S), "the file"


def check(document, data):
    """The numbers of the comments of a workload file: findings, and the edits that mend them."""
    workload = data.files.toml(document.path)
    findings, edits = [], []
    for match in TAKES.finditer(document.prose):
        least, most = said(match)
        seconds, source = takes_s(workload, data)
        document.cover(*match.span())
        printed = folded(match.group())
        if source == STALE:
            continue
        if seconds is None:
            text = f"{printed!r}: no committed run tells: say no time"
            findings.append(document.finding(match.start(), text))
        elif not least <= seconds <= most:
            words = f"About {duration(seconds)}" if seconds >= 10 else "A few seconds"
            words = words if match.group()[0].isupper() else words.lower()
            text = f"printed {printed!r}, derived {words!r} ({seconds:.0f} s), from {source}"
            findings.append(document.finding(match.start(), text))
            edits.append(Edit(*match.span(), words))
    found, mends = counts(document, workload)
    findings += found
    edits += mends
    numbers = known(workload)
    for begin, end in document.uncovered():
        value = amount(document.prose[begin:end])
        # A second, a minute: one of it.
        if document.prose[begin:end].lower() in ("a second", "a minute"):
            document.cover(begin, end)
        if any(math.isclose(value, of, rel_tol=1e-9) for of in numbers):
            document.cover(begin, end)
    return findings, edits


def counts(document, workload):
    """Points x protocols x repetitions."""
    sizes = swept(workload)
    leaders = listed(workload["cluster"].get("leader", 0))
    faults = [fault["every_s"] for fault in workload.get("faults", []) if "every_s" in fault]
    cycles = int(workload["load"]["duration_s"] / max(faults)) if faults else 0
    findings, edits, product, places = [], [], 1, []
    for match in COUNT.finditer(document.prose):
        document.cover(*match.span(1))
        of, value = folded(match.group(2)), int(match.group(1))
        right = {"protocols": len(workload["protocols"]), "leaders": len(leaders),
                 "cycles": cycles, "repetition": workload["repetitions"],
                 "repetitions": workload["repetitions"]}.get(of)
        if right is None:
            product *= value
            places.append(match)
        elif right != value:
            text = f"printed '{value} {of}', derived '{right} {of}', from the file"
            findings.append(document.finding(match.start(), text))
            edits.append(Edit(*match.span(1), str(right)))
    if places and product != math.prod(sizes):
        right = math.prod(sizes)
        text = f"printed {folded(places[0].group())!r}, derived {right} points, from the file"
        findings.append(document.finding(places[0].start(), text))
        if len(places) == 1:
            edits.append(Edit(*places[0].span(1), str(right)))
    return findings, edits
