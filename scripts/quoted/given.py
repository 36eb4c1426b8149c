"""Numbers that are no measurement of ours: what they are instead, document by document.

A number that is nobody's claim must be of one of these kinds, or it has no place in the document.
"""

from .check import Given

EVERYWHERE = [
    Given("*", r"\b[Ff]igures? \d+(?:(?:, \d+)* and \d+)?|\b[Ss]ections? \d+(?:\.\d+)?",
          "where a paper has it"),
    Given("*", r"\bN ?= ?\d+(?:(?:, \d+)*,? (?:and|to) \d+)?", "a size that a sentence is about"),
    Given("*", r"\b[Pp]hase [12]\b", "the phases of Paxos"),
    Given("*", r"kill -9", "a command"),
    Given("*", r"(?:applied|given|AcceptOk|arrives|lost or) twice|or double a single|"
          r"[Dd]oubled (?:packets|messages)", "once more, which is no multiple"),
]

CONSTANTS = [
    Given("README.md", r"through thousands of hostile schedules",
          "as many as are asked for: `soak --seeds`"),
    Given("README.md", r"at 0, 2 and 100 % conflicts", "the points of a figure"),
    Given("README.md", r"3 to \d+ replicas", "the sizes of a figure"),
    Given("README.md", r"of fewer, half of their range", "how a spread is defined"),
    Given("README.md", r"a twentieth of it makes the found rate too high by a twentieth at most",
          "an argument, not a measurement"),
    Given("README.md", r"\b[a-z_0-9]+ = (?:\[.*\]|\{.*?\}|\S+)|\{ from = .*? \}",
          "a setting of the example"),
    Given("README.md", r"1 joins none|0: what is there|all 0: latencies|0: unlimited|"
          r"doubled from|0 if real", "what a setting of the example means"),
    Given("ARCHITECTURE.md", r"`[a-z_]+ = \d+`", "a setting"),
    Given("ARCHITECTURE.md", r"64-bit", "a type's width"),
    Given("ARCHITECTURE.md", r"by the hundred", "as many as are asked for"),
    Given("ARCHITECTURE.md", r"recovery \(steps 6–9\)", "steps of the protocol's description"),
    Given("ARCHITECTURE.md", r"Sutra 2019", "a citation"),
    Given("ARCHITECTURE.md", r"F\+⌊\(F\+1\)/2⌋|quorum of 2F", "a formula"),
    Given("ARCHITECTURE.md", r"for thousands of instances", "what would be too many"),
    Given("results/README.md", r"a million operations", "LINES_MAX in history/judged.rs, 2^20"),
    Given("results/README.md", r"0 where slots are", "what a column says then"),
    Given("results/README.md", r"`≥2\.05`", "an example"),
    Given("results/README.md", r"`c3#17` .* with its 17th write", "an example"),
    Given("protocols/testdata/README.md", r"`[^`\n]*`|(?m:^\x20{4}.*$)",
          "the language of the scripts"),
    Given("protocols/testdata/README.md", r"(?m:^\| .*\|.*\| `.*$)|(?m:^\| .* \| `.*$)",
          "what a script or a test has: they run"),
    Given("workloads/topologies/README.md", r"(?:May|June|February) \d{4}|30 days|of a week",
          "when others measured, and for how long"),
    Given("workloads/topologies/README.md", r"half of (?:it|the round trip)", "a definition"),
    Given("workloads/topologies/README.md", r"replica 0 at the first|from 0 to this|0 between real|"
          r"`[a-z_]+ = \d+`",
          "what the example means"),
]

WORKLOADS = [
    Given("workloads/latency-throughput.toml", r"nine times for EPaxos", "SOSP'13's"),
    Given("workloads/leader-bottleneck-slow.toml", r"has EPaxos at 45k, .* 16\.5k of 40k",
          "SOSP'13's, section 7.3"),
    Given("workloads/throughput-conflicts.toml", r"with 0\.4 ms round trips", "SOSP'13's cluster"),
    Given("workloads/wan5-isolated.toml", r"every half second", "the rate is two a second"),
    Given("workloads/memory-flat.toml", r"five million", "what the question is about"),
    Given("workloads/memory-flat.toml", r"--set load\.duration_s=10", "a command"),
    Given("workloads/kill-loop.toml", r"do hundreds of kills", "what the question is about"),
    Given("workloads/kill-loop.toml", r"must be 0,|is not 0\.", "a demand"),
    Given("harness/workload/src/sim_costs.rs", r"0 is unlimited", "what a setting means"),
]

PROGRAM_OUTPUT = [
    Given("results/reference/mutants.md", r"(?s:.*)",
          "written by scripts/mutants, of which the gate runs some"),
    Given("results/reference/*/summary.txt",
          r"Emulated network\n(?:\x20\x20.*\n)+", "of network.csv, which is not committed"),
    Given("results/reference/*/summary.txt", r"restarts; up and replayed [^;]* at most",
          "of recoveries.csv, which is not committed"),
]

GIVENS = EVERYWHERE + CONSTANTS + WORKLOADS + PROGRAM_OUTPUT
