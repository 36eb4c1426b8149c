//! Clusters in the background, for tests of `bench cluster` and `bench client`: whatever becomes of a test, nothing of its
//! cluster is left running.

use std::{fs, path::PathBuf};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::place::{Ended, Place, Running, TINY, wait_for};

/// A place with a cluster in it, or none yet.
pub(crate) struct Background {
    pub(crate) place: Place,
}

impl Background {
    /// A place without a cluster.
    pub(crate) fn none() -> Self {
        Self { place: Place::new(TINY) }
    }

    /// A cluster that is up.
    pub(crate) fn up(arguments: &[&str]) -> Self {
        let background = Self::none();
        let ended = background.bench(&[&["cluster", "up"], arguments].concat());
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
        background
    }

    /// Runs the program to its end.
    pub(crate) fn bench(&self, arguments: &[&str]) -> Ended {
        self.place.bench(arguments)
    }

    /// Starts the program.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        self.place.start(arguments)
    }

    /// Runs the program, which succeeds and complains of nothing; returns what it printed.
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let Ended { code, stdout, stderr } = self.bench(arguments);
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{arguments:?}: {stdout}");
        stdout
    }

    /// Runs the program, which fails with `code` and one line that contains `expected`.
    pub(crate) fn refused(&self, code: i32, arguments: &[&str], expected: &str) {
        let ended = self.bench(arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {} {}", ended.stderr, ended.stdout);
        assert_eq!(ended.stderr.lines().count(), 1, "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{arguments:?}: {}", ended.stderr);
    }

    /// Where `bench cluster` puts things if it is not told.
    pub(crate) fn directory(&self) -> PathBuf {
        self.place.path().join(".bench-cluster")
    }

    /// Changes the text of `cluster.json`.
    pub(crate) fn edit(&self, change: impl FnOnce(&str) -> String) {
        let file = self.directory().join("cluster.json");
        let text = fs::read_to_string(&file).unwrap();
        let changed = change(&text);
        assert_ne!(text, changed, "nothing was changed");
        fs::write(file, changed).unwrap();
    }

    /// The ids of its replicas' processes, by the place that they were told.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let place = fs::canonicalize(self.place.path()).unwrap();
        let place = format!("{}/", place.display());
        let processes = fs::read_dir("/proc").unwrap().flatten();
        processes
            .filter_map(|entry| {
                let pid = entry.file_name().to_str()?.parse().ok()?;
                // Of a zombie there is no command line.
                let arguments = fs::read(entry.path().join("cmdline")).ok()?;
                let arguments = String::from_utf8_lossy(&arguments).into_owned();
                (arguments.contains("\0--detach") && arguments.contains(&place)).then_some(pid)
            })
            .collect()
    }

    /// The id of the process of `replica`.
    pub(crate) fn process(&self, replica: u8) -> i32 {
        let of = |pid: &i32| {
            let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&arguments).contains(&format!("\0--id\0{replica}\0"))
        };
        self.processes().into_iter().find(of).unwrap()
    }

    /// Waits until `status` says of every replica that its data is equal.
    pub(crate) fn settle(&self) {
        wait_for("all replicas to hold the same", || {
            let ended = self.bench(&["cluster", "status"]);
            assert_ne!(ended.code, Some(4), "replicas disagree: {}", ended.stdout);
            let up = ended.stdout.lines().filter(|line| line.contains("  up  ")).count();
            let equal = ended.stdout.lines().filter(|line| line.contains("  equal  ")).count();
            (up > 0 && up == equal && ended.code == Some(0)).then_some(())
        });
    }

    /// Stops it: nothing is left, neither a process nor a file.
    pub(crate) fn down(&self) {
        let stdout = self.done(&["cluster", "down"]);
        assert!(stdout.contains("removed ./.bench-cluster ("), "{stdout}");
        assert!(self.processes().is_empty(), "replicas are left running");
        assert_eq!(self.place.names(), ["w.toml"]);
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        for pid in self.processes() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}
