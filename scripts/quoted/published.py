"""What `bench published --format markdown` prints, worked out anew from the CSV files."""

from .results import display, number
from .say import NONE, percent, plain, tenth
from .summary import BOUND_KEY, bounded, origin, verdict_text

COLUMNS = {("commit", 50): "commit_us_p50", ("commit", 99): "commit_us_p99",
           ("execute", 50): "execute_us_p50", ("execute", 99): "execute_us_p99"}
HEADINGS = ("protocol", "N", "conflicts", "site", "latency", "published", "formula", "ours",
            "difference")


class Line:
    """A published value beside its own."""

    def __init__(self, cells, far, bound, exact):
        self.cells, self.far, self.bound, self.exact = cells, far, bound, exact


class Own:
    """A results directory with its formulas."""

    def __init__(self, results):
        self.results = results
        self.formulas = results.rows("formulas")
        self.sites = {}
        for row in results.rows("latency"):
            known = self.sites.setdefault(row["point"], [])
            if row["site"] != "all" and row["site"] not in known:
                known.append(row["site"])

    def cell(self, series):
        if series.get("workload") not in (None, self.results.manifest["name"]):
            return None
        for row in self.results.summary:
            if (row["protocol"], int(row["replicas"]), number(row["conflict_rate"])) == (
                    series["protocol"], series["replicas"], series["conflict_rate"]):
                return self.results.cell(row["point"], row["protocol"])
        return None

    def formula_row(self, series, point, site):
        """The row, and whether not all that was asked there was committed."""
        own = [row for row in self.formulas
               if (row["protocol"], row["point"]) == (series["protocol"], point)]
        place = next((place for place, row in enumerate(own) if row["site"] == site), None)
        if place is None:
            return None, False
        cell = self.results.cell(point, series["protocol"])
        median = self.results.spread_of_replica(cell, place, "commit_us_p50")
        return own[place], bool(median and median.at_least)

    def ours(self, series, cell, point, site):
        """(ms, is it a lower bound?), or None."""
        latency, percentile = series["latency"], series["percentile"]
        if (latency, percentile) == ("commit", 50):
            row, is_bound = self.formula_row(series, point, site)
            if row and not is_bound and row["median_ns"]:
                return int(row["median_ns"]) / 1e6, False
        name = COLUMNS[latency, percentile]
        if site == "all":
            spread = cell.spread(name)
        else:
            sites = self.sites.get(point, [])
            spread = (self.results.spread_of_replica(cell, sites.index(site), name)
                      if site in sites else None)
        return (spread.median / 1e3, spread.at_least) if spread else None

    def formula(self, series, point, site):
        """(least, most, is it one, is it met), in ms; None where there is none."""
        row, is_bound = self.formula_row(series, point, site)
        if series["latency"] != "commit" or not row or not row["formula_ns_min"]:
            return None
        ends = row["formula_ns_min"], row["formula_ns_max"]
        least, most = (int(end) / 1e6 for end in ends)
        is_one = ends[0] == ends[1] and series["percentile"] == 50
        is_met = row["commits_within"] == row["commits"] and not is_bound
        ways = {"fast": (least, least), "slow": (most, most), None: (least, most)}
        return *ways[series.get("path")], is_one, is_met


def distance(one, other):
    """How far the first range is above the second (below it: less than zero); 0 if they meet."""
    if one[0] > other[1]:
        return one[0] - other[1]
    return one[1] - other[0] if one[1] < other[0] else 0.0


def between(low, high):
    return tenth(low) if low == high else f"{tenth(low)}–{tenth(high)}"


def signed(value):
    size = tenth(abs(value))
    return size if size == "0" else ("−" if value < 0 else "+") + size


def line(own, series, cell, site, value, read_off):
    point = cell.rows[0]["point"]
    low, high = value if isinstance(value, list) else (value, value)
    formula = own.formula(series, point, site)
    ours = own.ours(series, cell, point, site)
    what = {"commit": "commit", "execute": "execution"}[series["latency"]]
    far = None
    off = distance((low, high), formula[:2]) if formula else 0.0
    if abs(off) > read_off:
        reason = series.get("reasons", {}).get(site, "no reason is known")
        far = (f"{display(series['protocol'])}, N={series['replicas']}, "
               f"{percent(series['conflict_rate'])} conflicts, {site}, p{series['percentile']} of "
               f"{what}: {signed(off)} from the formula: {reason}")
    shown, difference = NONE, NONE
    if ours:
        above = distance((ours[0], ours[0]), (low, high))
        shown = bounded(ours[1], tenth(ours[0])) + ("" if cell.is_valid else " NOT VALID")
        if not ours[1] or above > 0:
            difference = bounded(ours[1], signed(above))
    cells = (display(series["protocol"]), str(series["replicas"]),
             percent(series["conflict_rate"]), site, f"p{series['percentile']} {what}",
             between(low, high), between(*formula[:2]) if formula else NONE, shown, difference)
    exact = formula[3] if formula and formula[2] else None
    return Line(cells, far, bool(ours and ours[1]), exact)


class Published:
    """The table of a file of published figures beside the results of some directories."""

    def __init__(self, files, path, directories):
        self.file = files.toml(path)
        self.own = [Own(results) for results in directories]
        self.table, self.without = [], 0
        for series in self.file["series"]:
            found = next(((own, cell) for own in self.own if (cell := own.cell(series))), None)
            if found is None:
                self.without += len(series["ms"])
                continue
            own, cell = found
            sites = own.sites.get(cell.rows[0]["point"], [])
            order = {site: place for place, site in enumerate(sites)}
            # By name, then as replicas are ordered; what is no site comes first.
            values = sorted(sorted(series["ms"].items()), key=lambda of: order.get(of[0], -1))
            for site, value in values:
                self.table.append(line(own, series, cell, site, value, self.file["read_off_ms"]))
        exact = [of.exact for of in self.table if of.exact is not None]
        self.exact, self.met = len(exact), sum(exact)

    def lines(self):
        """As they are printed, in order."""
        yield f"**{self.file['figure']}**"
        read_off = plain(self.file["read_off_ms"])
        yield f"Source: {self.file['source']}; read off to {read_off} ms."
        yield f"| {' | '.join(HEADINGS)} |"
        for of in self.table:
            yield f"| {' | '.join(of.cells)} |"
        yield "In ms; difference: ours less published, 0 where it is within a published range."
        if any(of.bound for of in self.table):
            yield f"{BOUND_KEY}."
        if self.exact:
            equal = "equals" if self.exact == self.met else "DIFFERS from"
            yield (f"Ours {equal} the formula, for every commit and to the nanosecond, in "
                   f"{self.met} of {self.exact} rows whose formula is one latency.")
        far = [of.far for of in self.table if of.far]
        if far:
            yield f"Published values more than {read_off} ms from the formula:"
            for reason in far:
                yield f"- {reason}"
        for series in self.file["series"]:
            if "note" in series:
                yield (f"{display(series['protocol'])}, N={series['replicas']}, "
                       f"{percent(series['conflict_rate'])} conflicts, "
                       f"p{series['percentile']}: {series['note']}")
        if self.without:
            yield f"{self.without} more published values have no run here."
        for own in self.own:
            yield f"Verdict of {origin(own.results)}: {verdict_text(own.results)}"
