//! Helpers to drive the real binary: each test in a directory of its own, every wait bounded.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Chosen: many times what anything here takes on a loaded machine; beyond it something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A workload that takes a moment.
pub(crate) const TINY: &str = "\
    # Question: does it run at all?\n\
    name = \"tiny\"\n\
    repetitions = 1\n\
    [load]\n\
    clients_per_site = 4\n\
    warmup_s = 0.1\n\
    duration_s = 0.3\n";

/// A directory to run the program in, holding the workload file `w.toml`.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new(workload: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("w.toml"), workload).unwrap();
        Self(dir)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The names of everything in it, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        names(self.path())
    }

    /// The newest results directory.
    pub(crate) fn results(&self) -> PathBuf {
        self.path().join("results/latest")
    }

    /// Runs the program to its end.
    pub(crate) fn bench(&self, arguments: &[&str]) -> Ended {
        self.start(arguments).end()
    }

    /// Runs the program to its end, and lets it falsify what it sees.
    #[cfg(debug_assertions)]
    pub(crate) fn bench_tampered(&self, how: &str, arguments: &[&str]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
        self.start_command(command.env("BENCH_TAMPER", how), arguments).end()
    }

    /// Runs the program to its end, and lets each replica die where this failpoint says.
    #[cfg(debug_assertions)]
    pub(crate) fn bench_dying(&self, failpoint: &str, arguments: &[&str]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
        self.start_command(command.env("BENCH_FAILPOINT", failpoint), arguments).end()
    }

    /// Starts the program.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        self.start_command(&mut Command::new(env!("CARGO_BIN_EXE_bench")), arguments)
    }

    fn start_command(&self, command: &mut Command, arguments: &[&str]) -> Running {
        let child = command
            .args(arguments)
            .current_dir(self.path())
            // A program that is killed cannot remove its credentials; here they go with the place.
            .env("TMPDIR", self.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Running { child }
    }
}

/// The names in a directory, sorted.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The program while it runs.
pub(crate) struct Running {
    child: Child,
}

/// The program after it has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Running {
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the end, and for nothing of it to be left running.
    pub(crate) fn end(mut self) -> Ended {
        // What it prints is far shorter than a pipe holds, but for completion scripts, which are read as they come.
        let mut output = None;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.child.try_wait().unwrap().is_some() {
                output = Some(read(&mut self.child));
                break;
            }
            sleep(Duration::from_millis(5));
        }
        let pid = self.pid();
        let Some(output) = output else {
            let _ = self.child.kill();
            panic!("it did not end within {PATIENCE:?}");
        };
        // The kernel kills them when this process ends, and takes a moment for it.
        wait_for("the replicas to end", || replicas_of(pid).is_empty().then_some(()));
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ended {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

fn read(child: &mut Child) -> Output {
    use std::io::Read;
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    child.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
    child.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
    Output { status: child.wait().unwrap(), stdout, stderr }
}

/// The ids of the replica processes that `bench`, by its id, has started.
pub(crate) fn replicas_of(bench: i32) -> Vec<i32> {
    let parent = format!("\0--parent\0{bench}\0");
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let arguments = fs::read(entry.path().join("cmdline")).ok()?;
            String::from_utf8_lossy(&arguments).contains(&parent).then_some(pid)
        })
        .collect()
}

/// Waits until `done` gives something.
pub(crate) fn wait_for<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        sleep(Duration::from_millis(5));
    }
}

/// The rows of a CSV file without quoted cells, each cell with its column's name.
pub(crate) fn rows(file: &Path) -> Vec<Vec<(String, String)>> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let mut lines = text.lines();
    let header: Vec<String> =
        lines.next().unwrap_or_default().split(',').map(str::to_owned).collect();
    lines
        .map(|line| {
            let cells: Vec<String> = line.split(',').map(str::to_owned).collect();
            assert_eq!(cells.len(), header.len(), "{line}");
            header.iter().cloned().zip(cells).collect()
        })
        .collect()
}

/// A cell of a row.
pub(crate) fn cell<'a>(row: &'a [(String, String)], column: &str) -> &'a str {
    let found = row.iter().find(|(name, _)| name == column);
    found.map_or_else(|| panic!("no column {column}"), |(_, value)| value)
}
