//! Facts about the host, read from `/proc`. What a host does not tell is `None`, never a guess.

use std::fs;

use serde::{Deserialize, Serialize};

use crate::cgroup::CpuLimit;

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

/// The clocks of the CPUs that this process and its children may use, at one moment; two of them make an interval.
///
/// A process may be bound to some of the host's CPUs, and its control group may let it have only a part of their time. What
/// is full, then, is what it may use, however idle the rest of the host is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostCpu {
    /// In programs and their system calls.
    programs_s: f64,
    /// In interrupts, soft ones included, and stolen by a hypervisor.
    elsewhere_s: f64,
    total_s: f64,
    /// How many of the host's CPUs these are.
    allowed: usize,
    /// How many the host has.
    all: usize,
    limit: CpuLimit,
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
    /// The clocks now; `None` without `/proc/stat`.
    pub fn sample() -> Option<Self> {
        let allowed = read("/proc/self/status").and_then(|text| field(&text, "Cpus_allowed_list"));
        let allowed = allowed.and_then(|list| cpu_list(&list));
        let limit = CpuLimit::sample();
        Some(Self { limit, ..Self::parse(&read("/proc/stat")?, allowed.as_deref())? })
    }

    /// Share, 0..=1, of what this process and its children may use that was busy since `earlier`, where they took `ours_s`
    /// CPU-seconds; `None` if the clocks have not moved.
    pub fn busy_share_since(&self, earlier: &Self, ours_s: Option<f64>) -> Option<f64> {
        let busy_s = self.programs_s + self.elsewhere_s - earlier.programs_s - earlier.elsewhere_s;
        let of_cpus = self.share_since(earlier, busy_s)?;
        let of_quota = self.quota_since(earlier).zip(ours_s);
        let of_quota = of_quota.map_or(0.0, |(quota_s, ours_s)| (ours_s / quota_s).min(1.0));
        Some(of_cpus.max(of_quota))
    }

    /// Share of those CPUs, 0..=1, that programs other than ours took since `earlier`, where ours took `ours_s`
    /// CPU-seconds; `None` if the clocks have not moved.
    ///
    /// Interrupts are left out: on some kernels the packets of our own loopback traffic are handled there and charged
    /// to no program, and would count against us.
    pub fn foreign_share_since(&self, earlier: &Self, ours_s: f64) -> Option<f64> {
        self.share_since(earlier, self.programs_s - earlier.programs_s - ours_s)
    }

    /// Share, 0..=1, of the quota's periods since `earlier` in which the control group had to stop before their end; `None`
    /// without a quota.
    #[expect(clippy::cast_precision_loss, reason = "ten periods a second")]
    pub fn throttled_share_since(&self, earlier: &Self) -> Option<f64> {
        let periods = self.limit.periods.saturating_sub(earlier.limit.periods);
        let throttled = self.limit.throttled.saturating_sub(earlier.limit.throttled);
        (self.limit.quota_cpus.is_some() && periods > 0).then(|| throttled as f64 / periods as f64)
    }

    /// What may be used, in words, where it is not the whole host; empty otherwise.
    pub fn restriction(&self) -> String {
        let mut parts = Vec::new();
        if self.allowed < self.all {
            parts.push(format!("{} of {} CPUs", self.allowed, self.all));
        }
        if let Some(quota) = self.limit.quota_cpus {
            parts.push(format!("its control group's quota of {quota:.2} CPUs"));
        }
        parts.join(" and ")
    }

    /// The CPU time that the quota allowed since `earlier`, seconds.
    #[expect(clippy::cast_precision_loss, reason = "a number of CPUs")]
    fn quota_since(&self, earlier: &Self) -> Option<f64> {
        let elapsed_s = (self.total_s - earlier.total_s) / self.allowed as f64;
        self.limit.quota_cpus.map(|cpus| cpus * elapsed_s)
    }

    fn share_since(&self, earlier: &Self, used_s: f64) -> Option<f64> {
        let total_s = self.total_s - earlier.total_s;
        (total_s > 0.0).then(|| (used_s / total_s).clamp(0.0, 1.0))
    }

    /// The clocks of the CPUs in `allowed`, or of all if that is not known; no quota.
    fn parse(stat: &str, allowed: Option<&[usize]>) -> Option<Self> {
        let of = |name: &str| stat.lines().find_map(|line| ticks(line, name));
        let number = |line: &str| line.split_whitespace().next()?.strip_prefix("cpu")?.parse().ok();
        let cpus: Vec<usize> = stat.lines().filter_map(number).collect();
        let used: Vec<usize> = cpus
            .iter()
            .copied()
            .filter(|cpu| allowed.is_none_or(|list| list.contains(cpu)))
            .collect();
        let clocks: Option<Vec<[f64; 8]>> = match used.len() == cpus.len() {
            // Exact where the sum of the CPUs is, too: the kernel rounds each.
            true => of("cpu").map(|all| vec![all]),
            false => used.iter().map(|cpu| of(&format!("cpu{cpu}"))).collect(),
        };
        let sum = |places: &[usize]| {
            clocks
                .iter()
                .flatten()
                .flat_map(|ticks| places.iter().map(|place| ticks[*place]))
                .sum::<f64>()
                / TICKS_PER_S
        };
        clocks.as_ref().filter(|clocks| !clocks.is_empty())?;
        // user nice system idle iowait irq softirq steal; guest time is part of user already.
        Some(Self {
            programs_s: sum(&[0, 1, 2]),
            elsewhere_s: sum(&[5, 6, 7]),
            total_s: sum(&[0, 1, 2, 3, 4, 5, 6, 7]),
            allowed: used.len().max(1),
            all: cpus.len().max(1),
            limit: CpuLimit::default(),
        })
    }
}

/// The first eight ticks of the line of `/proc/stat` that begins with `name`.
fn ticks(line: &str, name: &str) -> Option<[f64; 8]> {
    let mut words = line.split_whitespace();
    if words.next() != Some(name) {
        return None;
    }
    let ticks: Vec<f64> = words.map_while(|word| word.parse().ok()).collect();
    ticks.get(..8)?.try_into().ok()
}

/// The numbers of a list like `0-2,5`.
fn cpu_list(text: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cpus.extend(first.trim().parse::<usize>().ok()?..=last.trim().parse().ok()?);
    }
    Some(cpus)
}

/// The life of the system that this process runs in; empty where it is not told. Containers of one
/// host have the same.
pub fn boot_id() -> String {
    read("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}

/// The load averages over 1, 5 and 15 minutes.
pub fn load_average() -> Option<[f64; 3]> {
    parse_load_average(&read("/proc/loadavg")?)
}

/// Resident memory of this process in bytes.
pub fn rss_bytes() -> Option<u64> {
    kilobytes(&read("/proc/self/status")?, "VmRSS")
}

/// The most resident memory that this process ever had, in bytes.
pub fn rss_bytes_max() -> Option<u64> {
    kilobytes(&read("/proc/self/status")?, "VmHWM")
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
        let parse = |text| HostCpu::parse(text, None);
        let earlier = parse("cpu  100 0 100 1000 50 0 0 0 0 0\ncpu0 1 2 3").unwrap();
        let later = parse("cpu  200 10 150 1200 60 5 5 20 30 0\n").unwrap();
        // Of 4 seconds, 1.6 went to programs and 0.3 to interrupts and the hypervisor.
        assert!((later.busy_share_since(&earlier, None).unwrap() - 1.9 / 4.0).abs() < 1e-9);
        assert!((later.foreign_share_since(&earlier, 1.2).unwrap() - 0.4 / 4.0).abs() < 1e-9);
        assert_eq!(later.foreign_share_since(&earlier, 1.7), Some(0.0));
        assert_eq!(earlier.busy_share_since(&earlier, None), None);
        assert_eq!(parse("cpu 1 2 3\n"), None);
        assert_eq!(parse(""), None);
    }

    /// Three CPUs over one second: the first was full, the others did nothing.
    fn one_of_three_full(allowed: Option<&[usize]>) -> (HostCpu, HostCpu) {
        let stat = |full: u32, idle: u32| {
            let line = |name: &str, user, idle| format!("{name} {user} 0 0 {idle} 0 0 0 0 0 0\n");
            let each: String =
                (1..3).map(|cpu| line(&format!("cpu{cpu}"), 0, full + idle)).collect();
            let all = line("cpu ", full, idle + 2 * (full + idle));
            format!("{all}{}{each}", line("cpu0", full, idle))
        };
        let parse = |text: String| HostCpu::parse(&text, allowed).unwrap();
        (parse(stat(50, 50)), parse(stat(150, 50)))
    }

    #[test]
    fn what_is_full_is_what_may_be_used() {
        let share = |(earlier, later): (HostCpu, HostCpu)| later.busy_share_since(&earlier, None);
        assert_eq!(share(one_of_three_full(Some(&[0]))), Some(1.0));
        assert_eq!(share(one_of_three_full(Some(&[1, 2]))), Some(0.0));
        assert!((share(one_of_three_full(None)).unwrap() - 1.0 / 3.0).abs() < 1e-9);
        let (_, bound) = one_of_three_full(Some(&[0]));
        assert_eq!(bound.restriction(), "1 of 3 CPUs");
        assert_eq!(one_of_three_full(None).1.restriction(), "");
    }

    #[test]
    fn a_quota_is_full_while_the_cpus_are_not() {
        let (earlier, later) = one_of_three_full(None);
        let limit = |periods, throttled| CpuLimit { quota_cpus: Some(1.0), periods, throttled };
        let earlier = HostCpu { limit: limit(100, 4), ..earlier };
        let later = HostCpu { limit: limit(110, 9), ..later };
        assert!((later.busy_share_since(&earlier, Some(0.97)).unwrap() - 0.97).abs() < 1e-9);
        assert_eq!(later.throttled_share_since(&earlier), Some(0.5));
        assert_eq!(later.restriction(), "its control group's quota of 1.00 CPUs");
        assert_eq!(one_of_three_full(None).1.throttled_share_since(&earlier), None);
    }

    #[test]
    fn lists_of_cpus_are_read() {
        assert_eq!(cpu_list("0-2,5"), Some(vec![0, 1, 2, 5]));
        assert_eq!(cpu_list("3"), Some(vec![3]));
        assert_eq!(cpu_list("all"), None);
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
