"""A directory that `bench run` wrote, as far as it is committed: the figures, worked out anew."""

import math
from collections import namedtuple
from datetime import datetime

from .say import of_bytes, percent, short

DISPLAY = {"paxos": "Paxos", "multi-paxos": "Multi-Paxos", "epaxos": "EPaxos"}
COVERAGE_MIN = 0.95

# A figure of one repetition; at_least: it is a lower bound.
Observed = namedtuple("Observed", "value at_least")
Ratio = namedtuple("Ratio", "value half at_least half_at_least")


def display(protocol):
    return DISPLAY.get(protocol, protocol)


def number(text):
    return float(text) if text not in (None, "") else None


def interval_of_median(count, at_least=COVERAGE_MIN):
    """How many values an interval leaves out on each side, and its coverage; None of too few."""
    found, left = None, 1.0
    for below in range((count + 1) // 2):
        left -= 2 * math.comb(count, below) / 2**count
        if left < at_least - 1e-12:
            break
        found = (below, left)
    return found


class Spread:
    """The median of some repetitions, and how far they spread."""

    def __init__(self, observed):
        values = sorted(of.value for of in observed)
        self.count = len(values)
        self.median = (values[(self.count - 1) // 2] + values[self.count // 2]) / 2
        interval = interval_of_median(self.count)
        self.coverage = interval[1] if interval else None
        place = interval[0] if interval else 0
        self.low, self.high = values[place], values[self.count - 1 - place]
        bound = min((of.value for of in observed if of.at_least), default=math.inf)
        self.at_least = bound <= values[self.count // 2]
        self.high_at_least = bound <= self.high

    @classmethod
    def of(cls, observed):
        """None of nothing. Plain numbers are exact."""
        kept = [of if isinstance(of, Observed) else Observed(of, False)
                for of in observed if of is not None]
        return cls(kept) if kept else None

    @property
    def half(self):
        return (self.high - self.low) / 2

    def ratio(self, other):
        """To another's median; None where it is not known, not even what it is at least."""
        if other.at_least or not other.median or not self.median:
            return None
        value = self.median / other.median
        relative = math.hypot(self.half / self.median, other.half / other.median)
        return Ratio(value, value * relative, self.at_least,
                     self.high_at_least or other.high_at_least)


def column(row, name):
    """The figure of a row in a column; None if it has none."""
    value = number(row.get(name))
    return None if value is None else Observed(value, name in (row.get("at_least") or "").split())


class Cell:
    """One protocol at one point: its repetitions, which of them count."""

    def __init__(self, rows):
        valid = [row for row in rows if quotable(row)]
        self.violation = any(is_violation(row) for row in rows)
        self.runs, self.valid_runs = len(rows), len(valid)
        self.rows = valid or rows

    def spread(self, name):
        return Spread.of([column(row, name) for row in self.rows])

    @property
    def is_valid(self):
        return self.valid_runs > 0 and not self.violation

    @property
    def verdict(self):
        if self.violation:
            return "VIOLATION"
        if self.valid_runs == 0:
            return "NOT VALID"
        return "valid" if self.valid_runs == self.runs else f"{self.valid_runs}/{self.runs} valid"


def is_violation(row):
    return row["linearizable"] == "false" or row["replicas_agree"] == "false"


def quotable(row):
    return row["valid"] == "true" and not is_violation(row)


def distinct(values):
    return list(dict.fromkeys(values))


class Results:
    """What is committed of one directory."""

    def __init__(self, files, path):
        self.files, self.path = files, path
        self.manifest = files.json(f"{path}/manifest.json")
        self.summary = self.rows("summary")
        self.protocols = distinct(row["protocol"] for row in self.summary)
        self.points = distinct(row["point"] for row in self.summary)
        self.workload = self.manifest["workload"]
        self.counts_clients = "clients" in self.workload["load"]
        self.searched_p99_ms = self.workload["load"].get("p99_ms_max")
        self.dimensions = self._dimensions()

    def rows(self, name):
        """Of a CSV file; none if it is not committed."""
        path = f"{self.path}/{name}.csv"
        return self.files.rows(path) if self.files.has(path) else []

    def has(self, name):
        return self.files.has(f"{self.path}/{name}.csv")

    def _dimensions(self):
        clients = "clients" if self.counts_clients else "clients_per_site"
        keys = ["replicas", clients, "window", "rate_ops_per_s", "conflict_rate", "value_bytes"]
        if self.searched_p99_ms is not None:
            keys.remove("rate_ops_per_s")
        # Other swept keys have columns of their own; points name them.
        named = {part.partition("=")[0] for point in self.points for part in point.split()}
        keys += [key for key in self.summary[0] if key in named]
        swept = {}
        for key in distinct(keys):
            values = distinct(row.get(key) or "" for row in self.summary)
            if len(values) > 1:
                swept[key] = values
        return swept

    def label(self, point):
        """What distinguishes a point from the others, in words."""
        row = next(row for row in self.summary if row["point"] == point)
        return ", ".join(key_label(key, row.get(key) or "") for key in self.dimensions)

    def cell(self, point, protocol):
        rows = [row for row in self.summary if (row["point"], row["protocol"]) == (point, protocol)]
        return Cell(rows) if rows else None

    def cells(self):
        for point in self.points:
            for protocol in self.protocols:
                cell = self.cell(point, protocol)
                if cell:
                    yield point, protocol, cell

    def replicas_of(self, run):
        key = ("protocol", "point", "repetition")
        return [row for row in self.rows("replicas") if all(row[k] == run[k] for k in key)]

    def spread_of_replica(self, cell, replica, name):
        found = []
        for run in cell.rows:
            rows = [row for row in self.replicas_of(run) if int(row["replica"]) == replica]
            found += [column(row, name) for row in rows]
        return Spread.of(found)

    @property
    def ran_s(self):
        """How long all runs took, by the manifest."""
        begun, ended = (datetime.fromisoformat(self.manifest[key].replace("Z", "+00:00"))
                        for key in ("started_utc", "ended_utc"))
        return (ended - begun).total_seconds()

    @property
    def date(self):
        return self.manifest["started_utc"].partition("T")[0]

    @property
    def host(self):
        return self.manifest["host"]


def key_label(key, value):
    try:
        as_number = float(value)
    except ValueError:
        as_number = None
    if as_number is not None and key in ("conflict_rate", "write_ratio"):
        text = percent(as_number)
    elif as_number is not None and key == "value_bytes":
        text = of_bytes(as_number)
    else:
        text = value if as_number is None else short(as_number)
    words = {
        "conflict_rate": "{} conflicts", "write_ratio": "{} writes", "value_bytes": "{} values",
        "rate_ops_per_s": "{} ops/s offered", "clients_per_site": "{} clients per site",
        "clients": "{} clients", "replicas": "{} replicas",
    }
    return words.get(key, key.replace("_", " ") + " {}").format(text)


def peer_messages(row):
    return int(row["messages_in"]) + int(row["messages_out"])


def relative(rows, own, figure):
    """A replica's figure over the mean of all replicas' figures."""
    known = [value for value in map(figure, rows) if value is not None]
    value = figure(own)
    return value * len(known) / sum(known) if value is not None and sum(known) > 0 else None


Busiest = namedtuple("Busiest", "replica role messages cpu")


def busiest(results, cell):
    """The replica with the largest share of messages; of equals the first."""
    best = None
    for replica in range(int(cell.rows[0]["replicas"])):
        role, messages, cpu = "", [], []
        for run in cell.rows:
            rows = results.replicas_of(run)
            own = next((row for row in rows if int(row["replica"]) == replica), None)
            if own:
                role = own["role"]
                messages.append(relative(rows, own, peer_messages))
                cpu.append(relative(rows, own, lambda row: number(row["cpu_s"])))
        messages, cpu = Spread.of(messages), Spread.of(cpu)
        if messages and (best is None or messages.median > best.messages):
            best = Busiest(replica, role, messages.median, cpu.median if cpu else None)
    return best


class Bottleneck:
    """One protocol at one point at the replica that limits the cluster by the model."""

    def __init__(self, results, cell, model):
        self.cell, self.model, self.replica = cell, model, int(model["replica"])
        self.modelled = float(model["messages_per_op"])
        self.capacity = number(model["capacity_ops_per_s"])
        duration = results.manifest["duration_s"]
        nic = (results.workload.get("sim") or {}).get("nic_mbit_per_s") or None
        messages, cpu, sent = [], [], []
        self.per_busiest_cpu = []
        for run in cell.rows:
            rows = results.replicas_of(run)
            row = next((row for row in rows if int(row["replica"]) == self.replica), None)
            operations = int(run["operations"])
            if row is None:
                continue
            messages.append(peer_messages(row) / operations if operations else None)
            cpu_s = number(row["cpu_s"])
            cpu.append(cpu_s / duration if cpu_s is not None else None)
            self.per_busiest_cpu.append(operations / cpu_s if cpu_s else None)
            sent.append(int(row["bytes_out"]) * 8 / (nic * 1e6 * duration) if nic else None)
        self.messages, self.cpu, self.nic = map(Spread.of, (messages, cpu, sent))
        self.throughput = cell.spread("throughput_ops_per_s")
        self.saturated = results.searched_p99_ms is not None or cell.rows[0]["mode"] != "open"

    @property
    def messages_error(self):
        return self.messages.median / self.modelled - 1 if self.messages else None

    @property
    def capacity_error(self):
        if not self.saturated or not self.throughput or self.capacity is None:
            return None
        return self.throughput.median / self.capacity - 1


def weight(row):
    """What a replica weighs in the search for the busiest by the model."""
    capacity = number(row["capacity_ops_per_s"])
    if capacity is not None:
        return 1 / capacity
    return (number(row["messages_per_op"]) or 0) + (number(row["client_messages_per_op"]) or 0)


def bottlenecks(results):
    """Every protocol at every point that has a model: (point, protocol, Bottleneck)."""
    for point, protocol, cell in results.cells():
        rows = [row for row in results.rows("load-model")
                if (row["point"], row["protocol"]) == (point, protocol)]
        model = max(rows, key=weight, default=None)
        if model and model["messages_per_op"]:
            yield point, protocol, Bottleneck(results, cell, model)
