"""What `bench run` prints when it ends, worked out anew from the CSV files and the manifest.

Each line is one that the program folds; white space between its words is of no account.
"""

from .results import Spread, bottlenecks, busiest, display, number, quotable
from .say import (NONE, digits3, grouped, human, human_beside, human_half, percent, plain, rounded,
                  times, trimmed)

BOUND_KEY = "≥: a lower bound, for not all requests were answered"
COMPARISONS_MAX, ROWS_MAX, STRIKES_MAX = 8, 40, 4
# What stands beside a throughput of a load on which a simulator's costs were not measured.
BEYOND = " †"
BEYOND_KEY = "†: of a load on which the simulator's costs were not measured, not to be quoted."
SITE_RATIO, WAIT_MS_MIN, ALIKE = 4.0, 1.0, 0.9


def lines(results):
    """Every line, in the order in which they are printed, but for what no committed file has."""
    yield from heading(results)
    yield from blocks(results)
    yield key_text(results)
    yield from under("Summary", findings(results))
    yield from under("Busiest replica", bottleneck_lines(results))
    yield from under("After each fault, at the longest", gap_lines(results))
    yield from under("Kept", kept_lines(results))
    yield f"Verdict: {verdict_text(results)}"
    yield from warnings(results)
    yield from formula_lines(results)


def under(title, found):
    found = list(found)
    if found:
        yield title
        yield from found


def origin(results):
    manifest, host = results.manifest, results.host
    parts = [manifest["name"], f"seed {manifest['seed']}", results.date,
             results.summary[0]["driver"]]
    if host.get("cpu"):
        cores = host.get("cores")
        parts.append(host["cpu"] + (f", {cores} cores" if cores is not None else ""))
    return " · ".join(parts)


def heading(results):
    yield origin(results)
    row = results.summary[0]
    parts = [f"{row['mode']} loop"]

    def say(key, text):
        if key not in results.dimensions:
            parts.append(text)

    say("replicas", f"{row['replicas']} replicas")
    if results.counts_clients and row.get("clients"):
        say("clients", f"{row['clients']} clients")
    elif row["clients_per_site"]:
        say("clients_per_site", f"{row['clients_per_site']} clients per site")
    say("window", f"window {row['window']}")
    say("value_bytes", f"{row['value_bytes']} B values")
    if row["conflict_rate"]:
        say("conflict_rate", f"{percent(float(row['conflict_rate']))} conflicts")
    if results.searched_p99_ms is not None:
        limit = plain(results.searched_p99_ms)
        parts.append(f"the highest rate with a p99 of at most {limit} ms")
    elif row["rate_ops_per_s"]:
        say("rate_ops_per_s", f"{human(float(row['rate_ops_per_s']))} ops/s offered")
    variant = results.workload.get("epaxos", {}).get("variant")
    if variant and variant != "star" and "epaxos" in results.protocols:
        parts.append(f"EPaxos variant {variant}")
    parts.append(f"{plain(results.manifest['duration_s'])} s per run")
    yield " · ".join(parts)


HEADERS = ("ops/s ms ms ms ops/ commit exec fast busiest",
           "p50 p99 p99.9 CPU-s p50 p50 path messages CPU verdict")


def blocks(results):
    for point in results.points:
        yield results.label(point)
        yield from HEADERS
        for protocol in results.protocols:
            cell = results.cell(point, protocol)
            if cell:
                yield row(results, protocol, cell)


def bounded(at_least, text):
    return f"≥{text}" if at_least else text


def figure(spread, text):
    return NONE if spread is None else bounded(spread.at_least, text(spread.median))


def with_spread(spread):
    if spread is None:
        return NONE
    median = human(spread.median)
    if spread.count == 1:
        return median
    if spread.coverage is not None:
        low, high = (human_beside(spread.median, end) for end in (spread.low, spread.high))
        return f"{median} [{low}, {high}]"
    return f"{median} ± {human_half(spread.median, spread.half)}"


FIGURES = ("latency_us_p50", "latency_us_p99", "latency_us_p999", "ops_per_cpu_s",
           "commit_us_p50", "execute_us_p50", "fast_path_ratio")


def is_beyond(results, run):
    """Does the throughput follow from costs that were not measured on such a load?"""
    key = ("protocol", "point", "repetition")
    return any(row["text"].startswith("not to be quoted") and all(row[k] == run[k] for k in key)
               for row in results.rows("verdicts"))


def beyond(results, cell):
    return BEYOND if any(is_beyond(results, run) for run in cell.rows) else ""


def row(results, protocol, cell):
    def millis(us):
        return digits3(us / 1e3)

    def path(share):
        return percent(rounded(share * 1e3) / 1e3).replace(" ", "")

    texts = [millis, millis, millis, human, millis, millis, path]
    figures = [figure(cell.spread(name), text) for name, text in zip(FIGURES, texts)]
    most = busiest(results, cell)
    letter = "L" if most and most.role == "leader" else "r"
    load = f"{letter}{most.replica} {times(most.messages)}" if most else NONE
    mark = beyond(results, cell)
    figures[3] += mark if figures[3] != NONE else ""
    throughput = with_spread(cell.spread("throughput_ops_per_s")) + mark
    cells = [display(protocol), throughput, *figures, load,
             times(most.cpu if most else None), cell.verdict]
    return " ".join(cells)


def spread_names(counts):
    """(name, is it an interval, of how many repetitions), the most first."""
    names = []
    for count in sorted(counts - {1}, reverse=True):
        coverage = Spread.of([0.0] * count).coverage
        name = f"{coverage * 100:.1f} % interval" if coverage is not None else "min … max"
        if names and names[-1][0] == name:
            names[-1][2] += f" or {count}"
        else:
            names.append([name, coverage is not None, str(count)])
    return names


def key_text(results):
    spreads = [cell.spread("throughput_ops_per_s") for *_, cell in results.cells()]
    told = []
    for name, is_interval, counts in spread_names({of.count for of in spreads if of}):
        shown = f"median [{name}, in its unit]" if is_interval else f"median ± half of {name}"
        told.append(f"{shown} over {counts}{'' if told else ' repetitions'}")
    told = told or ["one repetition, so the spread is not known"]
    columns = ("throughput_ops_per_s", *FIGURES)
    bound = any(spread and spread.at_least for *_, cell in results.cells()
                for spread in map(cell.spread, columns))
    return (f"ops/s: {', or '.join(told)}; latencies in ms; busiest: the replica (L: leader) with "
            "the most peer messages, and its messages and CPU time over the replicas' mean."
            + (f" {BOUND_KEY}." if bound else "")
            + (f" {BEYOND_KEY}" if any(is_beyond(results, run) for run in results.summary) else ""))


CRITERIA = {
    "throughput_ops_per_s": ("ran", "{} times as many operations per second as {}"),
    "ops_per_cpu_s": ("ran", "{} times as many operations per CPU-second as {}"),
    "latency_us_p50": ("answered", "{} times as fast as {} at p50"),
}


def criterion(results, point):
    verdicts = [row for row in results.rows("verdicts") if row["point"] == point]
    if results.searched_p99_ms is not None:
        return "throughput_ops_per_s"
    if any(row["mode"] == "open" for row in results.summary if row["point"] == point):
        return "latency_us_p50"
    if any(row["text"].startswith("host-bound") for row in verdicts):
        return "ops_per_cpu_s"
    return "throughput_ops_per_s"


def comparison(results, point):
    """How protocols compare at a point; None if there is nothing to compare."""
    name = criterion(results, point)
    found, mark = [], ""
    for protocol in results.protocols:
        cell = results.cell(point, protocol)
        if cell and cell.is_valid and name != "latency_us_p50":
            mark = mark or beyond(results, cell)
        spread = cell.spread(name) if cell and cell.is_valid else None
        if spread:
            found.append((protocol, spread))
    found.sort(key=lambda of: -of[1].median)
    if name == "latency_us_p50":
        found.reverse()
    known = next((place for place, of in enumerate(found) if not of[1].at_least), len(found))
    if len(found[known:]) < 2:
        return None
    (best, best_figure), *others = found[known:]
    verb, words = CRITERIA[name]
    told = []
    for protocol, spread in others:
        over = (spread, best_figure) if name == "latency_us_p50" else (best_figure, spread)
        ratio = over[0].ratio(over[1])
        if ratio:
            text = ratio_text(ratio, best_figure.count > 1 and spread.count > 1)
            told.append((words if not told else "{} times {}").format(text, display(protocol)))
    return f"{display(best)} {verb} {', '.join(told)}{mark}" if told else None


def ratio_text(ratio, repeated):
    prefix = "at least " if ratio.at_least else ""
    if not repeated:
        return prefix + digits3(ratio.value)
    within = " (within the spread)" if ratio.value - ratio.half <= 1 else ""
    if ratio.at_least:
        return f"{prefix}{ratio.value:.2f}{within}"
    return f"{ratio.value:.2f} ± {bounded(ratio.half_at_least, f'{ratio.half:.2f}')}{within}"


def findings(results):
    told = []
    for point in results.points:
        text = comparison(results, point)
        if text:
            label = results.label(point)
            told.append(f"At {label}: {text}" if label else text)
    yield from told[:COMPARISONS_MAX]
    if len(told) > COMPARISONS_MAX:
        yield f"… and {len(told) - COMPARISONS_MAX} more points, see summary.csv"


def bottleneck_lines(results):
    found = list(bottlenecks(results))
    if "replicas" in results.dimensions or any(of.capacity is not None for *_, of in found):
        if found:
            yield "busiest messages/op model CPU NIC ops/s model saturates verdict"
        for point, protocol, of in found[:ROWS_MAX]:
            yield bottleneck_row(results, results.label(point), protocol, of)
        if len(found) > ROWS_MAX:
            yield f"… and {len(found) - ROWS_MAX} more, see load-model.csv and replicas.csv"
    for protocol in results.protocols:
        own = [of for _, name, of in found if name == protocol]
        parts = []
        for errors, what in (([of.messages_error for of in own], "messages"),
                             ([of.capacity_error for of in own], "throughput")):
            errors = [error for error in errors if error is not None]
            if errors:
                least, most = signed(min(errors)), signed(max(errors))
                parts.append((least if least == most else f"{least} to {most}") + f" {what}")
        if parts:
            yield f"{display(protocol)}: measured against the model: {', '.join(parts)}"


def signed(share):
    share = rounded(share * 1e3) / 1e3
    return ("+" if share > 0 else "−" if share < 0 else "") + percent(abs(share))


def bottleneck_row(results, label, protocol, of):
    def share(spread):
        return NONE if spread is None else f"{spread.median * 100:.0f} %"

    name = display(protocol)
    cells = [f"{label}, {name}" if label else name, f"r{of.replica}",
             digits3(of.messages.median) if of.messages else NONE, digits3(of.modelled),
             share(of.cpu), share(of.nic),
             (human(of.throughput.median) if of.throughput else NONE) + beyond(results, of.cell),
             human(of.capacity) if of.capacity is not None else NONE,
             of.model["saturates"].upper() or NONE, of.cell.verdict]
    return " ".join(cells)


def gap_lines(results):
    for point in results.points:
        label = results.label(point)
        for protocol in results.protocols:
            told, more = strikes_told(results, point, protocol)
            for text in told:
                yield f"{display(protocol)}{f', {label}' if label else ''}: {text}"
            if more > 0:
                yield f"… and {more} more faults, see gaps.csv"


def strikes_told(results, point, protocol):
    cell = results.cell(point, protocol)
    if cell is None:
        return [], 0
    counted = {run["repetition"] for run in cell.rows}
    strikes = []
    for row in results.rows("gaps"):
        if (row["protocol"], row["point"]) == (protocol, point) and row["repetition"] in counted:
            same = ("repetition", "t_s", "event", "detail")
            if strikes and all(strikes[-1][0][key] == row[key] for key in same):
                strikes[-1].append(row)
            else:
                strikes.append([row])
    strikes = [of for of in strikes if max(gap(row) for row in of) >= WAIT_MS_MIN]

    def cost(strike):
        counts = [row for row in strike if row["what"] == "wait"
                  or (row["what"], row["place"]) == ("reply", "all")]
        return max((gap(row) for row in counts), default=0.0)

    worst = sorted(strikes, key=lambda strike: -cost(strike))[:STRIKES_MAX]
    worst.sort(key=lambda strike: (int(strike[0]["repetition"]), float(strike[0]["t_s"])))
    return [strike_text(strike, len(cell.rows) > 1) for strike in worst], len(strikes) - len(worst)


def gap(row):
    return float(row["gap_ms"])


def strike_text(strike, repeated):
    def of(what):
        return [row for row in strike if row["what"] == what]

    first = strike[0]
    text = f"{first['event']} {first['detail']} at {float(first['t_s']):.2f} s"
    if repeated:
        text += f" (repetition {first['repetition']})"
    parts = []
    reply = next((row for row in of("reply") if row["place"] == "all"), None)
    if reply:
        ended = reply["ended"] == "true"
        until = f"until {float(reply['to_s']):.2f} s" if ended else "to the end"
        site = max(reversed(of("reply")), key=gap)
        if site["place"] != "all" and gap(site) >= SITE_RATIO * gap(reply):
            until += f"; at site {site['place']} for {digits3(gap(site))} ms"
        parts.append(f"no reply for {digits3(gap(reply))} ms ({until})")
    for what, word in (("commit", "no commit for"), ("execution", "no execution for")):
        rows = of(what)
        if rows:
            short, long = min(rows, key=gap), max(reversed(rows), key=gap)
            ends = [long] if gap(short) >= ALIKE * gap(long) else [short, long]
            told = " … ".join(f"{digits3(gap(row))} ms ({row['place']})" for row in ends)
            parts.append(f"{word} {told}")
    text += f": {', '.join(parts)}"
    wait = max(reversed(of("wait")), key=gap, default=None)
    if wait and gap(wait) >= WAIT_MS_MIN:
        text += (f"; a committed request waited {digits3(gap(wait))} ms for its execution "
                 f"({wait['place']})")
    return text


def kept_lines(results):
    rows = results.rows("kept")
    if not rows:
        return
    totals = ("acknowledged_checked", "acknowledged_lost", "applied_twice", "differing_digests")
    checked, lost, twice, differing = (grouped(sum(int(row[name]) for row in rows))
                                       for name in totals)
    durabilities = ", ".join(sorted({row["durability"] for row in rows}))
    yield (f"{checked} acknowledged writes looked for at every replica (durability {durabilities}):"
           f" {lost} lost, {twice} applied twice; {differing} differing digests")
    for point, protocol, _ in results.cells():
        own = [row for row in rows if (row["point"], row["protocol"]) == (point, protocol)]
        # Of several repetitions the percentiles are of all restarts, which are not committed.
        if len(own) == 1 and int(own[0]["restarts"]) > 0:
            label = results.label(point)
            yield f"{display(protocol)}{f', {label}' if label else ''}: {recovery_text(own[0])}"


def recovery_text(row):
    def shown(name):
        value = number(row[name])
        return NONE if value is None else digits3(value)

    return (f"{row['restarts']} restarts; up and replayed after {shown('up_ms_p50')} ms (p50), "
            f"{shown('up_ms_p99')} ms (p99), a client answered after {shown('recovery_ms_p50')} ms "
            f"(p50), {shown('recovery_ms_p99')} ms (p99), {shown('recovery_ms_max')} ms at most")


def verdict_text(results):
    rows = results.summary
    parts = [f"{sum(map(quotable, rows))} of {len(rows)} runs valid", agreement(rows),
             linearizability(rows)]
    marked = sum(is_beyond(results, row) for row in rows)
    if marked:
        parts.append(f"throughput of {marked} not to be quoted")
    if not results.manifest["complete"]:
        parts.append("incomplete")
    return " · ".join(parts)


def agreement(rows):
    differ = sum(row["replicas_agree"] == "false" for row in rows)
    unknown = sum(row["replicas_agree"] == "" for row in rows)
    if differ:
        return f"REPLICAS DISAGREE in {differ}"
    if unknown == len(rows):
        return "replicas not compared"
    return "replicas agree" + (f", not compared in {unknown}" if unknown else "")


def linearizability(rows):
    violated = sum(row["linearizable"] == "false" for row in rows)
    unknown = sum(row["linearizable"] == "unknown" for row in rows)
    checked = ""
    known = [row for row in rows if row.get("checked_operations")]
    if known:
        def part(of, all_of):
            of, all_of = (sum(int(row[name]) for row in known) for name in (of, all_of))
            return f"{grouped(of)} of {grouped(all_of)}" if of < all_of else grouped(of)
        operations = part("checked_operations", "history_operations")
        keys = part("checked_keys", "history_keys")
        checked = f" ({operations} operations on {keys} keys checked)"
    if violated:
        return f"NOT LINEARIZABLE in {violated}{checked}"
    if unknown == len(rows):
        return "linearizability unknown"
    return f"linearizable{f', UNKNOWN in {unknown}' if unknown else ''}{checked}"


SEVERITIES = {"warning": "warning", "invalid": "not valid", "violation": "VIOLATION"}


def warnings(results):
    found = []
    groups = []
    for row in results.rows("verdicts"):
        same = ("severity", "advice")
        group = next((of for of in groups if all(of[0][k] == row[k] for k in same)), None)
        if group is None:
            groups.append([row])
        else:
            group.append(row)
    for group in groups:
        found.append((group[0]["severity"], group_text(results, group), group[0]["advice"]))
    found += failed_operations(results)
    if not results.manifest["complete"]:
        here, planned = len(results.summary), results.manifest["runs_planned"]
        text = f"incomplete: {here} of {planned} planned runs are here"
        found.append(("invalid", text, "continue it with bench run --resume"))
    found += [("warning", text, "") for text in results.manifest.get("warnings", [])]
    order = list(SEVERITIES)
    found.sort(key=lambda of: -order.index(of[0]))
    for severity, text, advice in found:
        yield f"{SEVERITIES[severity]}: {text}{f': {advice}' if advice else ''}"


def group_text(results, group):
    named = told_apart(group)
    if named:
        return named
    first = group[0]
    label = results.label(first["point"]) if first["point"] in results.points else ""
    return (f"{first['text']} ({how_often(group)}, first {display(first['protocol'])}"
            f"{f', {label}' if label else ''}, repetition {first['repetition']})")


def how_often(group):
    key = ("protocol", "driver", "point", "repetition")
    runs = len({tuple(row[k] for k in key) for row in group})
    text = f"{runs} {'run' if runs == 1 else 'runs'}"
    return text if len(group) == runs else f"{len(group)} times in {text}"


def told_apart(group):
    """Findings that differ in what follows their last colon alone, as one text."""
    named = {}
    said = group[0]["text"].rpartition(": ")[0]
    for row in group:
        also_said, _, who = row["text"].rpartition(": ")
        if not said or also_said != said:
            return None
        names = named.setdefault(who, [])
        if display(row["protocol"]) not in names:
            names.append(display(row["protocol"]))
    told = [f"{who} in {' and '.join(names)}" for who, names in named.items()]
    return f"{said}: {', '.join(told)} ({how_often(group)})" if len(told) > 1 else None


def failed_operations(results):
    def unsaid(row):
        # Each run's own findings say it, but for those of versions that did not count what was due.
        return 0 if row.get("due") else int(row["unknown"])

    rows = results.summary
    errors, unknown = sum(int(row["errors"]) for row in rows), sum(map(unsaid, rows))
    runs = sum(int(row["errors"]) + unsaid(row) > 0 for row in rows)
    if errors and unknown:
        said = f"{errors} operations were refused and {unknown} have an unknown outcome"
    elif errors:
        said = f"{errors} operations were refused"
    elif unknown:
        said = f"{unknown} operations have an unknown outcome"
    else:
        return []
    text = f"{said}, in {runs} of {len(rows)} runs"
    return [("warning", text, "see errors in timeseries.csv, and the replicas' logs")]


def formula_lines(results):
    rows = results.rows("formulas")
    if not rows:
        return
    yield "Commit latency against the formulas"
    parts = {}
    for row in rows:
        others = [part for part in row["point"].split()
                  if "=" in part and not part.startswith("conflict_rate=")]
        parts.setdefault(" ".join(others), []).append(row)
    for swept, own in parts.items():
        if swept:
            yield swept
        yield ("protocol site conflict formula (ms) simulated median (ms) difference commits")
        for row in own:
            yield formula_row(row)
    exact = [row for row in rows if row["difference_ns"]]
    off = sum(row["commits_within"] != row["commits"] for row in exact)
    if not exact:
        yield "No row has a formula that gives one figure"
    elif off:
        yield f"{off} of {len(exact)} rows with an exact formula DIFFER from it"
    else:
        yield f"Every commit of all {len(exact)} rows with an exact formula takes exactly that"


def formula_row(row):
    def ms(ns):
        return trimmed(int(ns) / 1e6)

    least, most = row["formula_ns_min"], row["formula_ns_max"]
    formula = NONE if not least else ms(least) if least == most else f"{ms(least)} to {ms(most)}"
    difference = row["difference_ns"]
    if difference:
        sign = {-1: "-", 0: "", 1: "+"}[(int(difference) > 0) - (int(difference) < 0)]
        shown = sign + ms(abs(int(difference)))
    else:
        shown = NONE
    agreeing = "exact" if difference else "within"
    mark = ", NOT VALID" if row["note"].startswith("NOT VALID") else ""
    within = row["commits_within"]
    if not within:
        commits = f"{row['commits']}, {row['note']}"
    elif within == row["commits"]:
        commits = f"all {within} {agreeing}{mark}"
    else:
        commits = f"{within} of {row['commits']} {agreeing}{mark}"
    rate = number(row["conflict_rate"])
    conflicts = NONE if rate is None else f"{plain(rounded(rate * 1e6) / 1e4)} %"
    return " ".join([row["protocol"], row["site"], conflicts, formula,
                     ms(row["median_ns"]) if row["median_ns"] else NONE, shown, commits])
