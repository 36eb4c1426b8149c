"""The sentences whose numbers are derived, and from what.

A place is {} for a number, {w} for words, {t} for anything in a line. `d` is the data (data.py). A
sentence that says in words how figures compare has a `holds`, which fails once they no longer do.
"""

import math

from .check import Claim
from .files import holds
from .results import Spread, bottlenecks, interval_of_median, peer_messages
from .say import a_machine, duration, grouped, percent, plain, rounded, word

SIM_COSTS = "harness/workload/src/sim_costs.rs"


# Machines and times.

def machine(results):
    return [str(results.host["cores"]), a_machine(results.host["cpu"])]


def papers_ran_s(d, directory=None):
    """The running time of everything in the directory of the papers' figures, by its manifests."""
    return sum(results.ran_s for results in d.runs_below(directory or d.papers))


def papers_time(d):
    results = d.runs_below(d.papers)
    return [str(results[0].host["cores"]), duration(papers_ran_s(d))]


def compiler(d):
    """1.95, of 'rustc 1.95.0 (…)'."""
    version = d.run("quickstart").manifest["versions"]["rustc"].split()[1]
    return version.rpartition(".")[0]


# Calibration.

def largest_calibrated(d):
    """The load of five replicas with most under way: (requests, KiB)."""
    workload = d.workload("calibrate")
    load = workload["load"]
    requests = max(workload["cluster"]["replicas"]) * max(load["clients_per_site"]) * max(
        load["window"])
    return [str(requests), str(max(workload["commands"]["value_bytes"]) // 1024)]


def calibrated_loads(d):
    """The most requests that are under way, as a word; the sizes of values, in B and KiB."""
    values = d.workload("calibrate")["commands"]["value_bytes"]
    holds(100 <= int(largest_calibrated(d)[0]) < 1000, "hundreds of requests are under way at most")
    return ["hundreds", str(min(values)), str(max(values) // 1024)]


def alone(d):
    """How many times its cost in a crowd a message costs that has a wakeup to itself, as a word."""
    sim = d.calibration["sim"]
    ratio = (sim["cpu_us_per_wakeup"] + sim["cpu_us_per_message"]) / sim["cpu_us_per_message"]
    holds(ratio >= 20, "a wakeup costs tens of times what a message does")
    return "tens" if ratio < 200 else "hundreds"


# The leader bottleneck.

def model_errors(d, protocol):
    """By how much the model's messages are off, of every size that is valid."""
    found = [of.messages_error for _, name, of in bottlenecks(d.run("leader-bottleneck"))
             if name == protocol and of.cell.is_valid]
    holds(found, f"leader-bottleneck has valid runs of {protocol}")
    return [abs(error) * 100 for error in found]


def model_within(d):
    leader, peers = model_errors(d, "multi-paxos"), model_errors(d, "epaxos")
    holds(max(leader) > max(peers), "the model is further off for a leader than for peers")
    ends = [str(rounded(min(leader))), str(rounded(max(leader)))]
    rate = d.run("leader-bottleneck").summary[0]["rate_ops_per_s"]
    holds(rate, "leader-bottleneck has one rate")
    return [*ends, grouped(float(rate)), str(math.ceil(max(peers)))]


def most_replicas(name):
    return lambda d: str(max(int(row["replicas"]) for row in d.run(name).summary))


def per_busiest(d, name, protocol):
    """Operations per CPU-second of the busiest replica, by size."""
    return {int(of.cell.rows[0]["replicas"]): Spread.of(of.per_busiest_cpu).median
            for _, own, of in bottlenecks(d.run(name)) if own == protocol}


def leader_stays_above(d):
    leader = per_busiest(d, "leader-bottleneck-saturated", "multi-paxos")
    peers = per_busiest(d, "leader-bottleneck-saturated", "epaxos")
    falls = [leader[size] for size in sorted(leader)]
    holds(falls == sorted(falls, reverse=True), "Multi-Paxos' busiest does less as N grows")
    holds(all(leader[size] > peers[size] for size in leader), "Multi-Paxos' does more than EPaxos'")
    return []


def shared_wakeups(d):
    """How many of its peers' messages a leader takes or sends per wakeup, as a word."""
    found = []
    for row in d.run("leader-bottleneck-saturated").rows("replicas"):
        if row["role"] == "leader":
            found.append(peer_messages(row) / int(row["wakeups"]))
    holds(min(found) >= 20, "tens of messages share a wakeup")
    return "hundreds" if min(found) >= 150 else "tens"


def slow_leader(d):
    """The share of its throughput that a cluster has under a slow leader, of every size."""
    def throughput(name):
        return {row["replicas"]: float(row["throughput_ops_per_s"]) for row in d.run(name).summary
                if row["protocol"] == "multi-paxos"}
    slow, whole = throughput("leader-bottleneck-slow"), throughput("leader-bottleneck-simulated")
    shares = [slow[size] / whole[size] for size in sorted(slow, key=int)]
    holds(max(shares) <= 0.5, "under a slow leader half is left at most")
    return "half"


# Between sites.

def default_jitter(d):
    path = "harness/workload/src/topology.rs"
    return plain(d.code(path, r"SIMULATED_JITTER_MS_MAX: f64 = ([\d.]+)"))


def jitter_in_words(d):
    """The most, and the part of the shortest way."""
    holds(default_jitter(d) == "0.5", "the jitter is half a millisecond at most")
    part = d.code("harness/workload/src/topology.rs", r"SIMULATED_JITTER_SHARE_MAX: f64 = ([\d.]+)")
    return ["half", {0.05: "twentieth", 0.1: "tenth"}.get(part, "?")]


def of_both_drivers(d):
    """By how much medians of executions of real replicas differ from simulated ones, at most."""
    real, simulated = d.run("sosp13-execution-real"), d.run("sosp13-execution")
    found = []
    for _, _, cell in simulated.cells():
        for replica in range(int(cell.rows[0]["replicas"])):
            ours = simulated.spread_of_replica(cell, replica, "execute_us_p50").median
            own = next(cell for *_, cell in real.cells())
            theirs = real.spread_of_replica(own, replica, "execute_us_p50").median
            found.append(abs(ours / theirs - 1))
    return str(math.ceil(100 * max(found)))


def real_executions_time(d):
    workload = d.workload("sosp13-execution")
    load = workload["load"]
    return duration(workload["repetitions"] * (load["warmup_s"] + load["duration_s"] + 0.5))


# Faults.

def leader_killed_at(d):
    """When the first leader of Multi-Paxos dies."""
    deaths = [row for row in d.run("faults-kill-random").rows("gaps")
              if row["protocol"] == "multi-paxos" and row["event"] == "kill"
              and row["what"] == "reply" and row["place"] == "all"]
    worst = max(deaths, key=lambda row: float(row["gap_ms"]))
    return str(rounded(float(worst["t_s"])))


def limit(key, factor=1):
    """What a verdict allows."""
    def derive(d):
        path = "harness/measure/src/verdict/mod.rs"
        return plain(rounded(factor * 1e6 * d.code(path, rf"{key}: ([\d.]+)")) / 1e6)
    return derive


def sends(d):
    return word(d.code("harness/run/src/clients/mod.rs", r"SENDS_MAX: u32 = (\d+)"))


def waits(d):
    """Client timeouts, and the part of one, after which nothing is waited for."""
    path = "harness/run/src/clients/mod.rs"
    part = d.code(path, r"SWEEPS_PER_TIMEOUT \* (\d+)") / d.code(
        path, r"SWEEPS_PER_TIMEOUT: u32 = (\d+)")
    return [sends(d), {0.2: "fifth", 0.1: "tenth", 0.5: "half"}.get(part, "?")]


def kill_loop(d):
    return plain(d.code("scripts/kill-loop", r"cycles=\$\{1:-(\d+)\}"))


def kill_loop_minutes(d):
    workload = d.workload("kill-loop")
    runs = len(workload["cluster"]["replicas"]) * len(workload["protocols"])
    every = {fault["every_s"] for fault in workload["faults"]}
    return str(rounded(float(kill_loop(d)) * max(every) * runs / 600) * 10)


# Published figures.

def exact_rows(d):
    published = d.published()
    holds(published.exact == published.met, "every simulated commit takes what the formula says")
    return str(published.exact)


def published_matrices(d):
    files = d.files.glob("workloads/topologies/*.toml")
    invented = [path for path in files if d.files.toml(path)["source"] == "invented"]
    return word(len(files) - len(invented))


def of_figure_4(protocol, conflicts, size, sites):
    """Published medians of commits."""
    def derive(d):
        for series in d.files.toml("workloads/published/sosp13-fig4.toml")["series"]:
            key = (series["protocol"], series["conflict_rate"], series["replicas"],
                   series["latency"], series["percentile"])
            if key == (protocol, conflicts, size, "commit", 50):
                return [plain(series["ms"][site]) for site in sites]
        raise KeyError(protocol)
    return derive


def five_sites(d):
    """Of each site EPaxos at 0 % and 100 %, and Multi-Paxos."""
    sites = ("VA", "CA", "OR", "JP", "EU")
    columns = [of_figure_4("epaxos", 0.0, 5, sites)(d), of_figure_4("epaxos", 1.0, 5, sites)(d),
               of_figure_4("multi-paxos", 0.0, 5, sites)(d)]
    return [text for of in zip(*columns) for text in of]


def three_sites(d):
    sites = ("VA", "CA", "EU")
    epaxos = of_figure_4("epaxos", 0.0, 3, sites)(d)
    holds(epaxos == of_figure_4("epaxos", 1.0, 3, sites)(d), "the same at every conflict rate")
    return epaxos + of_figure_4("multi-paxos", 0.0, 3, sites)(d)


def executions(size):
    def derive(d):
        for series in d.files.toml("workloads/published/sosp13-fig4.toml")["series"]:
            if (series["latency"], series["replicas"]) == ("execute", size):
                return [plain(end) for end in series["ms"]["all"]]
        raise KeyError(size)
    return derive


def sites_of(*names):
    """How many sites matrices have, all as many."""
    def derive(d):
        counts = {len(d.files.toml(f"workloads/topologies/{name}.toml")["sites"]) for name in names}
        holds(len(counts) == 1, f"{', '.join(names)} have as many sites each")
        return str(counts.pop())
    return derive


def hottest_key(d):
    """The share of the first key under Zipf's law, as a word."""
    commands = d.workload("zipf")["commands"]
    ranks = range(1, commands["key_count"] + 1)
    share = 1 / sum(rank ** -commands["theta"] for rank in ranks)
    holds(0.09 < share < 0.11, "the first key takes about a tenth")
    return "tenth"


# Intervals.

def coverage(repetitions):
    return lambda d: f"{interval_of_median(repetitions)[1] * 100:.1f}"


def coverage_min(d):
    return percent(d.code("harness/measure/src/median.rs",
                          r"COVERAGE_MIN: f64 = ([\d.]+)")).partition(" ")[0]


def fewest_for_an_interval(d):
    return word(next(count for count in range(2, 20) if interval_of_median(count)))


def delays(d):
    """What the test of long delays tries, in timeouts."""
    path = "harness/sim/tests/delays.rs"
    timeout = d.code(path, r"TIMEOUT: Duration = Duration::from_millis\((\d+)\)")
    names = (r"\bLONG_NS", r"VERY_LONG_NS")
    return [plain(d.code(path, name + r": u64 = ([\d_]+) \* MILLISECOND") / timeout)
            for name in names]


def bootstrap(d):
    """A percentile bootstrap of seven lies between the second and the second last of them."""
    sides = 2 * (math.comb(7, 0) + math.comb(7, 1)) / 2**7
    return plain(100 * (1 - sides))


README = [
    Claim("README.md", "tested with {})", compiler),
    Claim("README.md", "in about {w} after the build:",
          lambda d: duration(d.run("quickstart").ran_s)),
    Claim("README.md", "ends with ({} cores of {w}, shared by",
          lambda d: machine(d.run("quickstart"))),
    Claim("README.md", "topologies/README.md), {w} of them published ones", published_matrices),
    Claim("README.md", "other committed run on {} cores in {w}: commit", papers_time),
    Claim("README.md", "quoted from, {w} plots, and a table",
          lambda d: word(d.code("scripts/figures", r"figures_max=(\d+)"))),
    Claim("README.md", "[Those of {}](results/reference/{t}/README.md) are committed: in all {} "
          "rows",
          lambda d: [d.run("sosp13-latency").date, d.papers.split("/")[2], exact_rows(d)]),
    Claim("README.md", "how that goes on up to {} simulated ones",
          most_replicas("leader-bottleneck-simulated"), optional=True),
    Claim("README.md", "and what {} simulated replicas bear",
          most_replicas("leader-bottleneck-simulated"), optional=True),
    Claim("README.md", "its messages are within {} to {} % of what Multi-Paxos' leader exchanges "
          "at {} operations per second, and within {} % of EPaxos' replicas", model_within,
          optional=True),
    Claim("README.md", "busiest replica, 3 to {} replicas]",
          most_replicas("leader-bottleneck-simulated"), optional=True),
    Claim("README.md", "(at {} s the leader of Multi-Paxos dies;", leader_killed_at),
    Claim("README.md", "restarts replicas under load, {} times for each", kill_loop),
    Claim("README.md", "and runs for about {} minutes.", kill_loop_minutes),
    Claim("README.md", "from {w} on, an interval that covers", fewest_for_an_interval),
    Claim("README.md", "printed under the table ({} % for seven,", coverage(7)),
    Claim("README.md", "given up, after {w} client timeouts.", sends),
    Claim("README.md", "with fewer than {w} samples beyond it",
          lambda d: word(d.code("harness/measure/src/histogram.rs",
                                r"SAMPLES_BEYOND_MIN: f64 = ([\d.]+)"))),
    Claim("README.md", "at most {} % of what was due is without an answer",
          limit("unanswered_share_max", 100)),
    Claim("README.md", "neither stood still for {} ms nor", limit("generator_still_ms_max")),
    Claim("README.md", "programs used at most {} % of the CPUs",
          limit("foreign_cpu_share_max", 100)),
    Claim("README.md", "the command then exits with {}.",
          lambda d: plain(d.code("harness/bench/src/exit.rs", r"NOT_VALID: u8 = (\d+)"))),
    Claim("README.md", "it exits with {} and leaves the evidence.",
          lambda d: plain(d.code("harness/bench/src/exit.rs", r"VIOLATION: u8 = (\d+)"))),
    Claim("README.md", "doubled from rate_start_ops_per_s ({}) on, then found within {} %",
          lambda d: [plain(d.code("harness/workload/src/parse/sections.rs",
                                  r"RATE_START_OPS_PER_S: f64 = ([\d_.]+)")),
                     plain(rounded(d.code("harness/run/src/clients/knee.rs",
                                          r"GAP_MAX: f64 = ([\d.]+)") * 100 - 100))]),
    Claim("README.md", "cargo run --release -- compare {t} {t}\n", lambda d: d.compared,
          everything=True),
]

ARCHITECTURE = [
    Claim("ARCHITECTURE.md", "looks at the clock every {} ms at the latest",
          lambda d: plain(d.code("harness/run/src/quic/generator.rs",
                                 r"from_millis\((\d+)\)"))),
    Claim("ARCHITECTURE.md", "Delays of {} to {} times every timeout are outlasted", delays),
    Claim("ARCHITECTURE.md", "a miss of more than {w} is not valid.",
          lambda d: {0.1: "a tenth"}.get(d.code("harness/measure/src/network.rs",
                                                r"MISSED_SHARE_MAX: f64 = ([\d.]+)"), "?")),
    Claim("ARCHITECTURE.md", "alone a message costs a real replica {w} of times what it does",
          alone),
    Claim("ARCHITECTURE.md", "that was called {} % covered {} %. Too few repetitions for {} % give",
          lambda d: [coverage_min(d), bootstrap(d), coverage_min(d)]),
    Claim("ARCHITECTURE.md", "under {} requests of {} KiB at once on one host", largest_calibrated,
          optional=True),
]

MATRICES = [("ec2-2013",), ("ec2-bailis",), ("ec2-2020",), ("ec2-2021",), ("gcp-fantoch",),
            ("ibm-2024",), ("chain", "skewed", "two-groups")]

WITHIN = "medians of executions are within {} % of each other at every site"

OTHERS = [
    Claim("docs/simulator.md", "loads from one request under way to {w}, with values of {} B to {} "
          "KiB,", calibrated_loads),
    Claim("docs/simulator.md", "takes about {w} on a machine that does nothing else",
          lambda d: duration(d.calibrated_in_s)),
    Claim("docs/simulator.md", WITHIN, of_both_drivers, optional=True),
    Claim("workloads/sosp13-execution.toml", "On real replicas {w}.",
          real_executions_time),
    Claim("workloads/topologies/README.md", "absent: {} between simulated sites", default_jitter),
    Claim("workloads/topologies/README.md", "have {w} a millisecond of it, or a {w} of the "
          "shortest way", jitter_in_words),
    Claim("README.md", "the topology's, else {} at most if simulated", default_jitter),
    Claim("results/README.md", "is sent up to {w}, to one replica", lambda d: f"{sends(d)} times"),
    Claim("results/README.md", "waits for {w} client timeouts and a {w} of one", waits),
    Claim("results/README.md", "long the row's time is: {} ms,",
          lambda d: plain(d.code("harness/measure/src/timeline.rs", r"BUCKET_MS: u64 = (\d+)"))),
    *(Claim("workloads/topologies/README.md",
            f"| {', '.join(f'`{name}`' for name in names)} | {{}} |", sites_of(*names))
      for names in MATRICES),
    Claim("results/README.md", "operations, errors and latency per {} ms and site",
          lambda d: plain(d.code("harness/measure/src/timeline.rs",
                                 r"BUCKET_MS: u64 = (\d+)"))),
    Claim("results/reference/*/README.md", "on the same machine before, from {} valid real runs",
          lambda d: plain(d.calibration["measured"]["fitted_runs_all_valid"]), optional=True),
    Claim("workloads/sosp13-latency.toml", "in ms: VA {}, {}, {}; CA {}, {}, {}; OR {}, {}, {}; "
          "JP {}, {}, {}; EU {}, {}, {}, read off", five_sites),
    Claim("workloads/sosp13-latency.toml", "gives as {} to {} ms with five replicas", executions(5),
          optional=True),
    Claim("workloads/sosp13-latency.toml", "and as {} to {} ms with three", executions(3),
          optional=True),
    Claim("workloads/sosp13-execution.toml", "gives as {} to {} ms with five replicas",
          executions(5), optional=True),
    Claim("workloads/sosp13-latency-n3.toml", "EPaxos VA {}, CA {}, EU {} at every conflict rate, "
          "Multi-Paxos under California {}, {}, {}.", three_sites),
    Claim("workloads/sosp13-latency-n3.toml", "gives as {} to {} ms at 100 %", executions(3)),
    Claim("workloads/open-loop.toml", "falls below {} % of the offered one is not valid",
          limit("achieved_share_min", 100)),
    Claim("workloads/zipf.toml", "the first takes about a {w} of all commands", hottest_key),
    Claim("workloads/zipf.toml", "the share of slow paths with that {w}, then", hottest_key),
    Claim("workloads/leader-bottleneck-slow.toml", "Multi-Paxos falls by the {w} at least.",
          slow_leader, optional=True),
    Claim("workloads/leader-bottleneck-saturated.toml", "is batching: {w} of a leader's messages "
          "share one wakeup", shared_wakeups, optional=True),
    Claim("workloads/leader-bottleneck-saturated.toml", "Multi-Paxos' falls as its leader talks to "
          "more followers. That it stays above EPaxos' here", leader_stays_above, optional=True),
]

CLAIMS = README + ARCHITECTURE + OTHERS
