//! What the control groups of this process let it have of the CPUs, version 1 and 2 of the kernel's interface.
//!
//! The tightest quota counts, of this process' own group and of all above it: a group cannot use more than those around it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

const ROOT: &str = "/sys/fs/cgroup";

/// The limit on CPU time, and how often it bit, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct CpuLimit {
    /// CPUs' worth of time; `None` without a quota.
    pub(crate) quota_cpus: Option<f64>,
    /// Periods of the quota that have passed.
    pub(crate) periods: u64,
    /// Those among them in which the group had to stop before their end.
    pub(crate) throttled: u64,
}

impl CpuLimit {
    /// That of this process now.
    pub(crate) fn sample() -> Self {
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self::within(Path::new(ROOT), &groups)
    }

    /// That of the groups listed in `groups`, as `/proc/self/cgroup` has them, below `root`.
    fn within(root: &Path, groups: &str) -> Self {
        let mut tightest = Self::default();
        for directory in groups.lines().flat_map(|line| directories(root, line)) {
            let limit = Self::of(&directory);
            let is_tighter = match (limit.quota_cpus, tightest.quota_cpus) {
                (Some(quota), Some(known)) => quota < known,
                (quota, None) => quota.is_some(),
                (None, Some(_)) => false,
            };
            if is_tighter {
                tightest = limit;
            }
        }
        tightest
    }

    /// That of the one group at `directory`.
    fn of(directory: &Path) -> Self {
        let read = |name: &str| fs::read_to_string(directory.join(name)).unwrap_or_default();
        let number = |name: &str| read(name).trim().parse::<f64>().ok();
        let in_v1 = || Some((number("cpu.cfs_quota_us")?, number("cpu.cfs_period_us")?));
        let in_v2 = || {
            let text = read("cpu.max");
            let mut words = text.split_whitespace().map(|word| word.parse().ok());
            Some((words.next()??, words.next()??))
        };
        // Version 1 writes −1 where there is no quota, version 2 a word.
        let quota = in_v2().or_else(in_v1).filter(|(quota, period)| *quota > 0.0 && *period > 0.0);
        let stat = read("cpu.stat");
        let count = |key: &str| {
            let mut lines = stat.lines().filter_map(|line| line.split_once(' '));
            lines.find(|(name, _)| *name == key).and_then(|(_, count)| count.trim().parse().ok())
        };
        Self {
            quota_cpus: quota.map(|(quota, period)| quota / period),
            periods: count("nr_periods").unwrap_or(0),
            throttled: count("nr_throttled").unwrap_or(0),
        }
    }
}

/// The group of one line, and all above it, where the kernel usually shows them.
fn directories(root: &Path, line: &str) -> Vec<PathBuf> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { return Vec::new() };
    let mounts = match controllers {
        "" => vec![root.to_owned(), root.join("unified")],
        _ if controllers.split(',').any(|controller| controller == "cpu") => {
            vec![root.join("cpu"), root.join(controllers)]
        }
        _ => return Vec::new(),
    };
    let path = Path::new(path.trim_start_matches('/'));
    let below = |mount: &PathBuf| -> Vec<PathBuf> {
        path.ancestors().map(|ancestor| mount.join(ancestor)).collect()
    };
    mounts.iter().flat_map(below).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, group: &str, files: &[(&str, &str)]) {
        fs::create_dir_all(root.join(group)).unwrap();
        for (name, text) in files {
            fs::write(root.join(group).join(name), text).unwrap();
        }
    }

    #[test]
    fn the_tightest_quota_of_version_2_counts_with_its_own_throttling() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write(root, "outer", &[("cpu.max", "50000 100000\n"), ("cpu.stat", OUTER)]);
        write(root, "outer/inner", &[("cpu.max", "max 100000\n"), ("cpu.stat", "nr_periods 0\n")]);
        let limit = CpuLimit::within(root, "0::/outer/inner\n");
        assert_eq!(limit, CpuLimit { quota_cpus: Some(0.5), periods: 40, throttled: 7 });
        write(root, "outer/inner", &[("cpu.max", "20000 100000\n")]);
        assert_eq!(CpuLimit::within(root, "0::/outer/inner\n").quota_cpus, Some(0.2));
        assert_eq!(CpuLimit::within(root, "0::/other\n"), CpuLimit::default());
    }

    #[test]
    fn version_1_has_files_of_its_own() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let files = [("cpu.cfs_quota_us", "150000\n"), ("cpu.cfs_period_us", "100000\n")];
        write(root, "cpu,cpuacct/group", &[files[0], files[1], ("cpu.stat", OUTER)]);
        let groups = "9:name=systemd:/\n5:cpu,cpuacct:/group\n4:memory:/elsewhere\n";
        let limit = CpuLimit::within(root, groups);
        assert_eq!(limit, CpuLimit { quota_cpus: Some(1.5), periods: 40, throttled: 7 });
        write(root, "cpu,cpuacct/group", &[("cpu.cfs_quota_us", "-1\n")]);
        assert_eq!(CpuLimit::within(root, groups), CpuLimit::default());
    }

    const OUTER: &str = "nr_periods 40\nnr_throttled 7\nthrottled_usec 12345\n";
}
