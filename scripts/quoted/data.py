"""What claims are derived from: the newest committed results of each name, and the files beside."""

import posixpath
import re
from datetime import datetime

from .files import Files, Missing
from .published import Published
from .results import Results

REFERENCE = "results/reference"


class Data:
    """Committed data by what they are of, wherever they are: no date or machine is written down."""

    def __init__(self, root):
        self.files = Files(root)
        self._results = {}
        self._all = {}
        for path in self.files.glob(f"{REFERENCE}/*/*/manifest.json"):
            self._all.setdefault(posixpath.basename(posixpath.dirname(path)), []).append(
                posixpath.dirname(path))

    def directories(self):
        """Every directory that `bench run` wrote."""
        return sorted(path for paths in self._all.values() for path in paths)

    def run(self, name):
        """The newest results of this name."""
        if name not in self._all:
            raise Missing(f"{REFERENCE}/*/{name}/manifest.json: no such results are committed")
        return self.results(self._all[name][-1])

    def has_run(self, name):
        return name in self._all

    def results(self, path):
        if path not in self._results:
            self._results[path] = Results(self.files, path)
        results = self._results[path]
        self.files.note(results.path)
        return results

    def in_reference(self, rest):
        """The newest path below results/reference/<any>/."""
        found = [path for path in (self.files.root / REFERENCE).glob(f"*/{rest}")]
        return str(max(found).relative_to(self.files.root)) if found else None

    @property
    def papers(self):
        """The directory of the papers' figures."""
        path = self.in_reference("topology.txt")
        if path is None:
            raise Missing(f"{REFERENCE}/*/topology.txt: scripts/figures writes it")
        return posixpath.dirname(path)

    def runs_below(self, directory):
        """The results in a directory, in the order in which they were made."""
        found = [self.results(path) for path in self.directories()
                 if posixpath.dirname(path) == directory]
        return sorted(found, key=lambda results: results.manifest["started_utc"])

    @property
    def compared(self):
        """Two results of one workload, to be compared."""
        again = self._all.get("quickstart-again")
        found = self._all.get("quickstart", [])
        pair = [found[-1], again[-1]] if again and found else found[-2:]
        if len(pair) < 2:
            raise Missing(f"{REFERENCE}: has no two quickstarts to compare")
        return pair

    @property
    def calibration(self):
        path = self.in_reference("calibration.toml")
        if path is None:
            raise Missing(f"{REFERENCE}/*/calibration.toml: `bench calibrate` writes it")
        return self.files.toml(path)

    @property
    def calibrated_in_s(self):
        """From the first real run to the file."""
        measured = self.calibration["measured"]
        # The names of results begin with when they were begun.
        begun = min(re.findall(r"\b\d{8}T\d{6}Z", str(measured)))
        begun = datetime.strptime(begun, "%Y%m%dT%H%M%SZ")
        ended = datetime.strptime(measured["date_utc"], "%Y-%m-%dT%H:%M:%SZ")
        return (ended - begun).total_seconds()

    def published(self, directory=None):
        """The papers' table, from the results that scripts/figures takes, in its order."""
        directory = directory or self.papers
        path = "scripts/figures"
        order = self.files.match(path, r"(?m)^for \w+ in (sosp13-[\w \-]+); do").split()
        paths = [f"{directory}/{name}" for name in order]
        results = [self.results(path) for path in paths
                   if self.files.has(f"{path}/manifest.json")]
        return Published(self.files, "workloads/published/sosp13-fig4.toml", results)

    def workload(self, name):
        return self.files.toml(f"workloads/{name}.toml")

    def code(self, path, pattern):
        return self.files.code(path, pattern)
