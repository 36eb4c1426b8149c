"""What scripts/check-numbers must notice, tried on copies of this repository: `--self-test`."""

import contextlib
import io
import os
import re
import shutil
import tempfile
import unittest
from pathlib import Path

from . import claims, cli, outputs, say, workloads
from .check import Claim, Edit, edited
from .data import REFERENCE, Data
from .documents import Document
from .files import Missing, holds
from .results import Observed, Spread

ROOT = Path(__file__).resolve().parent.parent.parent
KEPT = ("README.md", "ARCHITECTURE.md", "docs", "results", "workloads", "scripts",
        "protocols/testdata", "harness")


class Copy:
    """A copy of what is read of the repository; its files are links until they are changed."""

    def __init__(self):
        self.root = Path(tempfile.mkdtemp(prefix="check-numbers-"))
        self.changed = set()
        for name in KEPT:
            if (ROOT / name).is_file():
                self._link(Path(name))
            for directory, below, names in os.walk(ROOT / name):
                below[:] = [of for of in below if of not in ("target", "__pycache__")]
                for file in names:
                    self._link((Path(directory) / file).relative_to(ROOT))

    def _link(self, path):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).symlink_to(ROOT / path)

    def restore(self):
        """As it was, whatever has been changed, written or removed."""
        for path in self.root.rglob("*"):
            if path.is_file() and not path.is_symlink():
                self.changed.add(str(path.relative_to(self.root)))
        for path in self.changed:
            (self.root / path).unlink(missing_ok=True)
            if (ROOT / path).is_file():
                self._link(Path(path))
        self.changed.clear()

    def remove(self, path):
        self.changed.add(str(path))
        (self.root / path).unlink()

    def text(self, path):
        return (self.root / path).read_text(encoding="utf-8")

    def put(self, path, text):
        self.changed.add(str(path))
        (self.root / path).unlink(missing_ok=True)
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding="utf-8")

    def change(self, path, pattern, new):
        """Puts `new` for what the first group matches; its line, and what it was."""
        text = self.text(path)
        match = re.search(pattern, text)
        assert match, f"{path} has no {pattern}"
        assert match.group(1) != new
        self.put(path, text[:match.start(1)] + new + text[match.end(1):])
        return text.count("\n", 0, match.start(1)) + 1, match.group(1)

    def check(self, **options):
        findings, _ = cli.check_all(self.root, **options)
        return [f"{of.path}:{of.line}: {of.text}" for of in findings]

class OnACopy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.copy = Copy()
        cls.addClassCleanup(shutil.rmtree, cls.copy.root)
        cls.before = cls.copy.check()
        cls.data = Data(cls.copy.root)

    def setUp(self):
        self.addCleanup(self.copy.restore)

    def new(self, **options):
        return [line for line in self.copy.check(**options) if line not in self.before]

    def test_a_wrong_number_in_a_sentence_is_reported_and_mended(self):
        line, old = self.copy.change("README.md", r"\((\d+\.\d) % for\s+seven", "95")
        said = f"README.md:{line}: printed '95', derived '{old}', from arithmetic"
        self.assertEqual(self.new(), [said])
        self.copy.check(write=True)
        self.assertEqual(self.new(), [])
        self.assertIn(f"({old} % for", self.copy.text("README.md"))

    def test_a_sentence_over_two_lines_is_found(self):
        text = self.copy.text("README.md")
        self.copy.put("README.md", text.replace("tested with ", "tested\n  with "))
        self.assertFalse([line for line in self.new() if "tested with" in line])

    def test_a_sentence_that_is_gone_is_reported(self):
        text = self.copy.text("README.md")
        self.copy.put("README.md", text.replace("tested with ", "it works with "))
        found = self.new()
        self.assertTrue(any("has no sentence 'tested with {})'" in line for line in found), found)
        self.assertTrue(any("is not derived from anything" in line for line in found), found)

    def test_a_wrong_figure_in_the_block_of_output_is_reported_and_mended(self):
        line, old = self.copy.change("README.md", r"\n  Multi-Paxos +(\d[\d.]*)", "9999")
        found = self.new()
        self.assertEqual(len(found), 1, found)
        self.assertRegex(found[0], rf"^README.md:{line}: printed .*9999.*derived .*{old}.*, from "
                                   rf"{REFERENCE}/\S+/quickstart/summary.txt$")
        self.copy.check(write=True)
        self.assertEqual(self.new(), [])

    def test_what_is_cut_from_the_block_of_output_is_not_missed(self):
        path = f"{self.data.run('quickstart').path}/summary.txt"
        text = self.copy.text(path)
        before, verdict, after = text.partition("Verdict:")
        more = "Busiest replica\n  Paxos: as ever\n\n"
        self.copy.put(path, before + more + verdict + after)
        self.assertEqual(self.new(), [])
        self.copy.put(path, before + "After each fault\n  none\n\n" + verdict + after)
        self.assertRegex("\n".join(self.new()), r"printed 'Verdict.*', derived 'After each fault'")

    def test_what_a_program_printed_is_worked_out_anew(self):
        for run in ("quickstart", "leader-bottleneck-simulated", "failover-execution"):
            path = f"{self.data.run(run).path}/summary.txt"
            line, old = self.copy.change(path, r"\n  EPaxos +(\d\S*)", "9999")
            found = [of for of in self.new() if of.startswith(path)]
            self.assertEqual(len(found), 1, found)
            self.assertIn(f"{path}:{line}: printed '9999', derived '{old}', from ", found[0])

    def test_silences_kept_writes_and_verdicts_are_worked_out_anew(self):
        path = f"{self.data.run('failover-execution').path}/summary.txt"
        text = self.copy.text(path)
        for pattern in (r"no reply for (\d+)", r"waited (\d+)", r"\n  ([\d,]+) acknowledged writes",
                        r"Verdict: (\d+) of", r"linearizable \(([\d,]+)"):
            old = re.search(pattern, text)
            if old is None and "waited" in pattern:
                continue
            self.copy.change(path, pattern, f"7{old.group(1)}")
            found = self.new()
            self.assertEqual(len(found), 1, (pattern, found))
            self.assertRegex(found[0], f"printed '.?7{old.group(1)}.*derived '.?{old.group(1)}")
            self.copy.put(path, text)

    def test_a_changed_table_changes_what_is_derived(self):
        path = f"{self.data.run('quickstart').path}/summary.csv"
        rows = self.copy.text(path).splitlines()
        cells = rows[1].split(",")
        cells[rows[0].split(",").index("operations")] = "1"
        cells[rows[0].split(",").index("throughput_ops_per_s")] = "1.0"
        self.copy.put(path, "\n".join([rows[0], ",".join(cells), *rows[2:]]) + "\n")
        found = self.new()
        self.assertTrue(any("/quickstart/summary.txt:" in line for line in found), found)

    def test_a_number_that_nothing_derives_is_reported(self):
        text = self.copy.text("README.md")
        line = text.count("\n") + 1
        added = "EPaxos is 3.7 times as fast, slower by a quarter to a third in two seconds.\n"
        self.copy.put("README.md", text + added)
        found = self.new()
        numbers = ["3.7", "quarter", "third", "two seconds"]
        self.assertEqual([f"README.md:{line}: '{of}' is not derived" for of in numbers],
                         [of[:of.index(" from anything")] for of in found])

    def test_documents_that_are_linked_are_read(self):
        text = self.copy.text("README.md")
        self.copy.put("docs/more.md", "See [there](deeper/last.md).\n")
        self.copy.put("docs/deeper/last.md", "It takes 4.5 ms.\n")
        self.copy.put("README.md", text + "More is [here](docs/more.md#part).\n")
        self.assertEqual([of.partition(" is")[0] for of in self.new()],
                         ["docs/deeper/last.md:1: '4.5'"])

    def test_a_link_to_what_is_not_there_is_reported(self):
        text = self.copy.text("README.md")
        self.copy.put("README.md", text + "Less is [here](docs/gone.md).\n")
        line = text.count("\n") + 1
        self.assertEqual(self.new(), [f"README.md:{line}: links docs/gone.md, which is not there"])

    def test_results_that_are_nowhere_are_reported(self):
        path = f"{REFERENCE}/2031-01-02-some/knee.csv"
        text = self.copy.text("results/README.md")
        self.copy.put("results/README.md", text + f"See `{path}`.\n")
        line = text.count("\n") + 1
        self.assertEqual(self.new(), [f"results/README.md:{line}: {path}: is not there"])

    def test_a_table_that_is_not_there_ends_it(self):
        self.copy.remove(f"{self.data.run('quickstart').path}/summary.csv")
        with self.assertRaisesRegex(Missing, "quickstart"):
            self.copy.check()

    def test_a_document_that_has_moved_ends_it(self):
        gone = [Claim("docs/gone.md", "takes {} ms", lambda d: "1")]
        with self.assertRaisesRegex(Missing, "docs/gone.md: no such document"):
            self.copy.check(claims=gone)

    def test_results_of_another_day_are_followed(self):
        self.addCleanup(lambda: os.rename(self.copy.root / new, self.copy.root / old))
        old = Path(self.data.papers)
        new = old.parent / f"2031-01-02-another-{old.name[11:]}"
        for path in (ROOT / old).rglob("*.md"):
            text = path.read_text()
            self.copy.put(path.relative_to(ROOT), text.replace(old.name, new.name))
        os.rename(self.copy.root / old, self.copy.root / new)
        found = self.copy.check()
        told = [of for of in found if of.startswith("README.md:") and new.name in of]
        self.assertTrue(told, found)
        self.copy.check(write=True)
        text = self.copy.text("README.md")
        self.assertNotIn(f"{REFERENCE}/{old.name}", text)
        self.assertIn(f"{REFERENCE}/{new.name}", text)
        self.assertFalse([of for of in self.new() if of.startswith("README.md:")])

    def test_a_plot_that_is_only_there_as_svg_is_followed(self):
        path = self.data.in_reference("faults-kill-random/plots/throughput-over-time.[sp][vn]g")
        self.copy.put(f"{path.rpartition('.')[0]}.svg", "<svg/>")
        text = self.copy.text("README.md")
        name = "throughput-over-time"
        self.copy.put("README.md", text.replace(f"{name}.svg", f"{name}.png"))
        for name in self.copy.root.glob(f"{REFERENCE}/*/faults-kill-random/plots/*.png"):
            self.copy.remove(name.relative_to(self.copy.root))
        self.copy.check(write=True)
        self.assertIn("faults-kill-random/plots/throughput-over-time.svg",
                      self.copy.text("README.md"))

    def test_words_that_no_longer_hold_are_not_mended(self):
        def derive(_):
            holds(False, "the leader is ahead")
        held = [Claim("README.md", "tested with {})", derive)]
        options = {"claims": held, "givens": []}
        found = [line for line in self.copy.check(**options) if "no longer holds" in line]
        self.assertEqual(len(found), 1)
        self.assertIn("no longer holds: the leader is ahead: reword it", found[0])
        self.copy.check(write=True, **options)
        self.assertIn(found[0], self.copy.check(**options))

    def test_a_model_that_is_nearer_to_the_leader_flips_the_sentence(self):
        results = self.data.run("leader-bottleneck")
        path = f"{results.path}/load-model.csv"
        rows = [row.split(",") for row in self.copy.text(path).splitlines()]
        place = rows[0].index("messages_per_op")
        for row in rows[1:]:
            if row[0] == "epaxos":
                row[place] = str(float(row[place]) * 3)
        self.copy.put(path, "\n".join(map(",".join, rows)) + "\n")
        with self.assertRaisesRegex(Exception, "further off for a leader"):
            claims.model_within(Data(self.copy.root))

    def test_published_figures_are_held_against_the_tables(self):
        path = f"{self.data.run('sosp13-latency').path}/formulas.csv"
        rows = [row.split(",") for row in self.copy.text(path).splitlines()]
        row = next(row for row in rows if row[0] == "multi-paxos" and "replicas=5" in row[2])
        row[rows[0].index("median_ns")] = "999000000"
        row[rows[0].index("commits_within")] = "0"
        self.copy.put(path, "\n".join(map(",".join, rows)) + "\n")
        found = "\n".join(self.new())
        self.assertRegex(found, r"README.md:\d+: printed '\d+', derived '999', from")
        self.assertIn("printed 'equals', derived 'DIFFERS from', from", found)
        self.assertIn("no longer holds: every simulated commit takes what the formula says", found)

    def test_a_published_value_is_that_of_its_file(self):
        path = "workloads/published/sosp13-fig4.toml"
        self.copy.change(path, r"ms = \{ VA = (\d+)", "99")
        found = "\n".join(self.new())
        self.assertRegex(found, r"workloads/sosp13-latency.toml:\d+: printed '81', derived '99'")
        self.assertRegex(found, r"README.md:\d+: printed '81', derived '99', from")
        self.assertRegex(found, r"README.md:\d+: printed '\+4', derived '−14', from")

    def test_what_a_matrix_promises_is_worked_out_anew(self):
        self.copy.change("workloads/topologies/ec2-2013.toml", r"VA-CA = (\d+)", "87")
        found = "\n".join(self.new())
        self.assertRegex(found, r"topology.txt:\d+: printed '.*85.0.*', derived '.*87.0")

    def test_constants_are_those_of_the_code(self):
        self.copy.change("harness/bench/src/exit.rs", r"NOT_VALID: u8 = (\d+)", "7")
        self.assertRegex("\n".join(self.new()), r"README.md:\d+: printed '3', derived '7', from "
                                                r"harness/bench/src/exit.rs")

    def test_a_constant_that_has_moved_ends_it(self):
        path = "harness/bench/src/exit.rs"
        self.copy.put(path, self.copy.text(path).replace("NOT_VALID: u8", "NOT_QUOTABLE: u8"))
        with self.assertRaisesRegex(Missing, "exit.rs: has no"):
            self.copy.check()

    def test_comments_of_workloads_are_held_against_the_file(self):
        path = "workloads/conflict-sweep.toml"
        line, _ = self.copy.change(path, r"(\d+) points", "5")
        self.assertEqual(self.new(), [f"{path}:{line}: printed '5 points', derived 4 points, "
                                      "from the file"])
        self.copy.change(path, r"(\d+) protocols", "7")
        self.copy.change(path, r"About ([\w ]+) minutes", "nine")
        found = "\n".join(self.new())
        self.assertIn("printed '7 protocols', derived '3 protocols'", found)
        self.assertRegex(found, r"printed 'About nine minutes', derived 'About \w+")
        self.copy.check(write=True)
        self.assertEqual(self.new(), [])

    def test_a_comment_may_not_quote_what_its_file_does_not_say(self):
        path = "workloads/conflict-sweep.toml"
        text = self.copy.text(path)
        self.copy.put(path, text.replace("be flat.", "be flat: 7,318 a second, 31 % less."))
        self.assertEqual([of.partition(" is ")[0].partition(" ")[2] for of in self.new()],
                         ["'7,318'", "'31'"])

    def test_a_simulated_throughput_that_is_not_to_be_quoted_is_marked(self):
        results = self.data.run("leader-bottleneck-far")
        run = results.summary[0]
        path = f"{results.path}/verdicts.csv"
        cells = {**run, "severity": "warning", "text": "not to be quoted: too large", "advice": ""}
        header = self.copy.text(path).splitlines()[0]
        row = ",".join(cells[name] for name in header.split(","))
        self.copy.put(path, self.copy.text(path).rstrip("\n") + f"\n{row}\n")
        found = "\n".join(of for of in self.new() if of.startswith(results.path))
        for marked in ("†", "†: of a load on which", "throughput of 1 not to be quoted"):
            self.assertIn(f"derived '{marked}" if marked == "†" else marked, found)

    def agreement(self, **figures):
        """A table of agreement in a document that is linked, with some figures changed."""
        path = f"{REFERENCE}/2031-01-02-some/agreement.csv"
        row = {"workload": "saturated", "date_utc": "2031-01-02T03:04:05Z", "cpu": "Some CPU",
               "cores": "2", "real_runs": "3", "real_runs_valid": "2", "simulated_runs": "1",
               "simulated_runs_valid": "1"}
        rows = [{**row, "replicas": size, "protocol": protocol,
                 "real_ops_per_busiest_cpu_s": real, "simulated_ops_per_busiest_cpu_s": simulated}
                for size, protocol, real, simulated in (
                    ("3", "epaxos", "50000", "51000"), ("3", "multi-paxos", "800000", "700000"))]
        rows[0].update(figures)
        lines = [",".join(rows[0]), *(",".join(of.values()) for of in rows)]
        self.copy.put(path, "\n".join(lines) + "\n")
        return path

    def test_a_table_of_agreement_is_worked_out_anew(self):
        path = self.agreement()
        text = self.copy.text("README.md")
        self.copy.put("README.md", text + "See [there](docs/agreed.md).\n")
        document = Path("docs/agreed.md")
        self.copy.put(document, f"""<!-- agreement of {path.rpartition('/')[0]} -->
`saturated`, 2031-01-02, 2 cores of Some CPU. Thousands of operations per CPU-second of the
replica that takes most CPU time:

| 3 | EPaxos | 50.0 | 51.0 | 1.02 | 2 of 3 | 1 of 1 |
| 3 | Multi-Paxos | 800 | 700 | 0.88 | 2 of 3 | 1 of 1 |

| 3 | Multi-Paxos over EPaxos | 16.00 | 13.73 | 0.86 | yes |
<!-- end of agreement -->
""")
        of_page = [of for of in self.new() if of.startswith("docs/agreed.md")]
        self.assertEqual(of_page, [])
        self.agreement(simulated_ops_per_busiest_cpu_s="900000")
        of_page = "\n".join(of for of in self.new() if of.startswith("docs/agreed.md"))
        self.assertIn("docs/agreed.md:5: printed '51.0', derived '900', from", of_page)
        self.assertIn("docs/agreed.md:8: printed 'yes', derived '**no**', from", of_page)

    def test_default_costs_are_those_that_were_measured(self):
        path = outputs.DEFAULTS
        self.copy.put(path, self.copy.text(self.data.in_reference("calibration.toml")))
        self.assertFalse([of for of in self.new() if of.startswith(path)])
        self.copy.change(path, r"cpu_us_per_wakeup = (\S+)", "7.5")
        self.assertIn(f"{path}:1: is not what was measured", "\n".join(self.copy.check()))

    def test_how_it_is_called(self):
        def code(arguments):
            out, error = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
                return cli.main(arguments, self.copy.root), out.getvalue(), error.getvalue()

        self.assertEqual(code(["--wrong"])[0], 2)
        self.assertEqual(code([])[0], 1 if self.before else 0)
        text = self.copy.text("README.md")
        self.copy.put("README.md", text + "It takes 7.31 ms.\n")
        ended, out, _ = code([])
        self.assertEqual(ended, 1)
        line = text.count("\n") + 1
        self.assertIn(f"README.md:{line}: '7.31' is not derived from anything: 'It takes", out)
        self.copy.remove("ARCHITECTURE.md")
        ended, out, error = code([])
        self.assertEqual((ended, out), (2, ""))
        self.assertRegex(error, r"^check-numbers: ARCHITECTURE.md: .*\n$")


class Alone(unittest.TestCase):
    def test_of_edits_that_overlap_the_widest_is_made(self):
        edits = [Edit(4, 7, "x"), Edit(2, 9, "longer than before"), Edit(0, 1, ""),
                 Edit(9, 10, "-"), Edit(2, 9, "longer than before")]
        self.assertEqual(edited("0123456789a", edits), "1longer than before-a")

    def numbers(self, text, path="x.md"):
        document = Document(path, text)
        return [document.prose[begin:end] for begin, end in document.numbers()]

    def test_what_a_number_is(self):
        text = ("p99.9 is 3.98k, N=5, ec2-2013.toml, SOSP'13, `wan5`, r2, 2026-11-25, 1,234 and "
                "−4.5 %, 4–9, 1/16, twice, half, two seconds, tens, three replicas.")
        self.assertEqual(self.numbers(text), [
            "3.98k", "5", "2026-11-25", "1,234", "4.5", "4", "9", "1", "16", "twice", "half",
            "two seconds", "tens"])

    def test_commands_and_settings_are_none(self):
        text = "```sh\nrun 7\n```\n```toml\na = 5 # of 6\n```\n```text\n8\n```\n"
        self.assertEqual(self.numbers(text), ["6", "8"])
        self.assertEqual(self.numbers("# 1\nx = 2 # 3\n", "x.toml"), ["1", "3"])
        self.assertEqual(self.numbers("/// 1\nlet x = 2; // 3\n", "x.rs"), ["1", "3"])

    def test_numbers_are_printed_as_the_program_does(self):
        shown = [say.human(value) for value in (41_234, 999_600, 0, 152.3, 9.996, 0.0949)]
        self.assertEqual(shown, ["41.2k", "1.00M", "0.00", "152", "10.0", "0.095"])
        self.assertEqual(say.human_half(1_234_000, 30_000), "0.03M")
        self.assertEqual([say.percent(of) for of in (0.02, 1.0, 0.125)], ["2 %", "100 %", "12.5 %"])
        self.assertEqual([say.of_bytes(of) for of in (16, 1024)], ["16 B", "1 KiB"])
        self.assertEqual([say.tenth(of) for of in (85.0, 82.25, 82.04)], ["85", "82.3", "82"])

    def test_times_are_said_in_words(self):
        said = [say.duration(of) for of in (3, 33, 61, 86, 131, 900, 2520)]
        self.assertEqual(said, ["a few seconds", "35 seconds", "a minute",
                                "one and a half minutes", "two minutes", "a quarter of an hour",
                                "42 minutes"])
        for seconds in (33, 61, 86, 131, 240, 400):
            match = workloads.TAKES.search(f"About {say.duration(seconds)}: 2 points")
            least, most = workloads.said(match)
            self.assertTrue(least <= seconds <= most, seconds)

    def test_spreads_cover_what_they_say(self):
        spread = Spread.of([3.0, 1.0, 4.0, 1.5, 9.0, 2.6, 5.3, 2.0, 7.0])
        self.assertEqual((spread.low, spread.high), (1.5, 7.0))
        self.assertAlmostEqual(spread.coverage, 1 - 20 / 512)
        self.assertIsNone(Spread.of([1.0] * 5).coverage)
        self.assertTrue(Spread.of([Observed(1.0, True), Observed(2.0, False)]).at_least)
        self.assertFalse(Spread.of([Observed(1.0, False), Observed(2.0, False),
                                    Observed(9.0, True)]).at_least)


def run():
    suite = unittest.defaultTestLoader.loadTestsFromName(__name__)
    return 0 if unittest.TextTestRunner(verbosity=1).run(suite).wasSuccessful() else 1
