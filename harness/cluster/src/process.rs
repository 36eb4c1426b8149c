//! Processes by number and start time, as /proc tells them.

use std::{
    fs, io,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::{Pid, SysconfVar, sysconf},
};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Chosen: a killed process is gone within a scheduler's turn, or the system is stuck.
const END_TIMEOUT: Duration = Duration::from_secs(5);
const END_POLL: Duration = Duration::from_millis(2);

/// A process. Its number alone may be another one's by now; with the time of its start it is this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// In clock ticks since the system was started.
    pub started_ticks: u64,
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It runs, or waits for something.
    Running,
    /// It was stopped by a signal, and goes on at another.
    Paused,
    /// It has ended.
    Gone,
}

impl Process {
    /// The process that has the number `pid` now.
    ///
    /// # Errors
    /// If there is none.
    pub fn of(pid: i32) -> io::Result<Self> {
        let stat = Stat::read(pid)?;
        Ok(Self { pid, started_ticks: stat.started_ticks })
    }

    /// What it does.
    pub fn look(self) -> Sight {
        match Stat::read(self.pid) {
            Ok(stat) if stat.started_ticks == self.started_ticks => stat.sight,
            _ => Sight::Gone,
        }
    }

    /// How long it has been running; none where the system does not tell.
    pub fn uptime(self) -> Option<Duration> {
        let ticks_per_s = sysconf(SysconfVar::CLK_TCK).ok()??;
        let since_boot = fs::read_to_string("/proc/uptime").ok()?;
        let since_boot_s: f64 = since_boot.split_whitespace().next()?.parse().ok()?;
        #[expect(clippy::cast_precision_loss, reason = "a few years of ticks")]
        let started_s = self.started_ticks as f64 / ticks_per_s as f64;
        Some(Duration::from_secs_f64((since_boot_s - started_s).max(0.0)))
    }

    /// Ends it at once, with nothing said or written, and waits until it is gone. A process that has ended already is none
    /// of anybody's concern.
    ///
    /// # Errors
    /// If the system refuses, or it does not go.
    pub fn kill(self) -> Result<(), Error> {
        if self.look() == Sight::Gone {
            return Ok(());
        }
        match kill(Pid::from_raw(self.pid), Signal::SIGKILL) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => return Err(Error::NotKilled { pid: self.pid, error: error.into() }),
        }
        if self.is_gone_within(END_TIMEOUT) {
            return Ok(());
        }
        Err(Error::Stuck { pid: self.pid })
    }

    /// Waits, at most so long, until it is gone.
    pub fn is_gone_within(self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        loop {
            if self.look() == Sight::Gone {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(END_POLL);
        }
    }
}

/// What is read of `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    sight: Sight,
    started_ticks: u64,
}

impl Stat {
    fn read(pid: i32) -> io::Result<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        Self::parse(&text).ok_or_else(|| io::Error::other(format!("unknown form: {text}")))
    }

    fn parse(text: &str) -> Option<Self> {
        // The name, in parentheses, may itself hold spaces and parentheses.
        let (_, rest) = text.rsplit_once(')')?;
        let mut fields = rest.split_whitespace();
        let sight = match fields.next()? {
            "T" | "t" => Sight::Paused,
            // A zombie has ended: it only waits for somebody to take note of it.
            "Z" | "X" | "x" => Sight::Gone,
            _ => Sight::Running,
        };
        // The start time is field 22, the state field 3.
        let started_ticks = fields.nth(18)?.parse().ok()?;
        Some(Self { sight, started_ticks })
    }
}

/// Names the system's present life: it changes at every start of the machine.
pub fn boot_id() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_is_known_by_its_start_time_too() {
        let own = i32::try_from(std::process::id()).unwrap();
        let process = Process::of(own).unwrap();
        assert_eq!(process.look(), Sight::Running);
        assert!(process.uptime().unwrap() < Duration::from_secs(3600));
        let recycled = Process { started_ticks: process.started_ticks + 1, ..process };
        assert_eq!(recycled.look(), Sight::Gone);
        recycled.kill().unwrap();
    }

    #[test]
    fn a_process_is_paused_killed_and_gone() {
        let mut child = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
        let process = Process::of(i32::try_from(child.id()).unwrap()).unwrap();
        assert!(!process.is_gone_within(Duration::ZERO));
        kill(Pid::from_raw(process.pid), Signal::SIGSTOP).unwrap();
        while process.look() != Sight::Paused {
            std::thread::sleep(END_POLL);
        }
        process.kill().unwrap();
        assert_eq!(process.look(), Sight::Gone, "a zombie is gone");
        child.wait().unwrap();
        assert_eq!(process.look(), Sight::Gone);
        process.kill().unwrap();
    }

    #[test]
    fn names_with_parentheses_do_not_mislead() {
        let text = "12 (a) S (b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 0 0";
        assert_eq!(Stat::parse(text), Some(Stat { sight: Sight::Running, started_ticks: 4711 }));
        assert_eq!(Stat::parse("12 (a) S 1 2"), None);
    }
}
