//! Facts about the host, read from `/proc`. What a host does not tell is `None`, never a guess.

use std::fs;

use serde::{Deserialize, Serialize};

/// The unit of `/proc/stat`. Linux shows user space 100 ticks per second on every architecture this runs on.
const TICKS_PER_S: f64 = 100.0;

/// What was measured on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// The host's name.
    pub hostname: Option<String>,
    /// The CPU's model name.
    pub cpu: Option<String>,
    /// Cores this process may use.
    pub cores: Option<usize>,
    /// Main memory in bytes.
    pub memory_bytes: Option<u64>,
    /// The kernel's name and release.
    pub kernel: Option<String>,
}

/// The host's CPU clock at one moment; two of them make an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HostCpu {
    /// In programs and their system calls.
    programs_s: f64,
    /// In interrupts, soft ones included, and stolen by a hypervisor.
    elsewhere_s: f64,
    total_s: f64,
}

impl Host {
    /// Asks this host.
    pub fn probe() -> Self {
        Self {
            hostname: read("/proc/sys/kernel/hostname"),
            cpu: read("/proc/cpuinfo").and_then(|text| field(&text, "model name")),
            cores: std::thread::available_parallelism().ok().map(usize::from),
            memory_bytes: read("/proc/meminfo").and_then(|text| kilobytes(&text, "MemTotal")),
            kernel: read("/proc/version").map(|text| {
                text.split_whitespace()
                    .take(3)
                    .filter(|word| *word != "version")
                    .collect::<Vec<_>>()
                    .join(" ")
            }),
        }
    }
}

impl HostCpu {
    /// The clock now; `None` without `/proc/stat`.
    pub fn sample() -> Option<Self> {
        Self::parse(&read("/proc/stat")?)
    }

    /// Share of the host's CPU, 0..=1, that was busy since `earlier`; `None` if the clock has not moved.
    pub fn busy_share_since(&self, earlier: &Self) -> Option<f64> {
        let busy_s = self.programs_s + self.elsewhere_s - earlier.programs_s - earlier.elsewhere_s;
        self.share_since(earlier, busy_s)
    }

    /// Share of the host's CPU, 0..=1, that programs other than ours took since `earlier`, where ours took `ours_s`
    /// CPU-seconds; `None` if the clock has not moved.
    ///
    /// Interrupts are left out: on some kernels the packets of our own loopback traffic are handled there and charged
    /// to no program, and would count against us.
    pub fn foreign_share_since(&self, earlier: &Self, ours_s: f64) -> Option<f64> {
        self.share_since(earlier, self.programs_s - earlier.programs_s - ours_s)
    }

    fn share_since(&self, earlier: &Self, used_s: f64) -> Option<f64> {
        let total_s = self.total_s - earlier.total_s;
        (total_s > 0.0).then(|| (used_s / total_s).clamp(0.0, 1.0))
    }

    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().find(|line| line.starts_with("cpu "))?;
        let ticks: Vec<f64> =
            line.split_whitespace().skip(1).map_while(|word| word.parse().ok()).collect();
        // user nice system idle iowait irq softirq steal; guest time is part of user already.
        let ticks = ticks.get(..8)?;
        let sum = |places: &[usize]| places.iter().map(|place| ticks[*place]).sum::<f64>();
        Some(Self {
            programs_s: sum(&[0, 1, 2]) / TICKS_PER_S,
            elsewhere_s: sum(&[5, 6, 7]) / TICKS_PER_S,
            total_s: ticks.iter().sum::<f64>() / TICKS_PER_S,
        })
    }
}

/// The load averages over 1, 5 and 15 minutes.
pub fn load_average() -> Option<[f64; 3]> {
    parse_load_average(&read("/proc/loadavg")?)
}

/// Resident memory of this process in bytes.
pub fn rss_bytes() -> Option<u64> {
    kilobytes(&read("/proc/self/status")?, "VmRSS")
}

fn read(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn parse_load_average(text: &str) -> Option<[f64; 3]> {
    let mut words = text.split_whitespace().map_while(|word| word.parse().ok());
    Some([words.next()?, words.next()?, words.next()?])
}

/// The value of the first `key : value` line.
fn field(text: &str, key: &str) -> Option<String> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.trim() == key)
        .map(|(_, value)| value.trim().to_owned())
}

fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let value: u64 = field(text, key)?.strip_suffix("kB")?.trim().parse().ok()?;
    Some(value * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_time_leaves_out_idle_and_waiting_and_foreign_time_leaves_out_ours() {
        let earlier = HostCpu::parse("cpu  100 0 100 1000 50 0 0 0 0 0\ncpu0 1 2 3").unwrap();
        let later = HostCpu::parse("cpu  200 10 150 1200 60 5 5 20 30 0\n").unwrap();
        // Of 4 seconds, 1.6 went to programs and 0.3 to interrupts and the hypervisor.
        assert!((later.busy_share_since(&earlier).unwrap() - 1.9 / 4.0).abs() < 1e-9);
        assert!((later.foreign_share_since(&earlier, 1.2).unwrap() - 0.4 / 4.0).abs() < 1e-9);
        assert_eq!(later.foreign_share_since(&earlier, 1.7), Some(0.0));
        assert_eq!(earlier.busy_share_since(&earlier), None);
        assert_eq!(HostCpu::parse("cpu 1 2 3\n"), None);
        assert_eq!(HostCpu::parse(""), None);
    }

    #[test]
    fn proc_texts_are_read() {
        assert_eq!(parse_load_average("0.50 1.25 2.00 1/99 1234"), Some([0.5, 1.25, 2.0]));
        assert_eq!(parse_load_average("0.50"), None);
        let cpuinfo = "processor\t: 0\nmodel name\t: Some CPU: fast\nmodel name\t: Other";
        assert_eq!(field(cpuinfo, "model name").as_deref(), Some("Some CPU: fast"));
        assert_eq!(kilobytes("MemTotal:       2048 kB\n", "MemTotal"), Some(2_097_152));
        assert_eq!(kilobytes("MemTotal:       much\n", "MemTotal"), None);
    }
}
