//! What shares of the hosts' CPUs a run had in its window, and what others had.
//!
//! Containers of one host have the same clocks, which `boot_id` tells: what others took of that
//! host is what none of them took. A quota is each one's own.

use measure::{HostCpu, ReplicaReport};
use node::agent::wire::HostSample;

use super::record::{Clocks, Seen};

/// The name of this host where the replicas are on others.
const DRIVER: &str = "of the driver";

/// The worst share that a host has of something, 0..=1.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Worst {
    /// None if it is not known of any.
    pub(super) share: Option<f64>,
    /// Which host's; empty if there is one alone.
    pub(super) name: String,
    /// What may be used of it, where that is not all.
    pub(super) restriction: String,
}

/// The worst shares of all hosts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct OfHosts {
    /// Of what may be used, what programs took that are none of the run's.
    pub(super) foreign: Worst,
    /// Of what may be used, what was busy.
    pub(super) busy: Worst,
    /// Of a quota's periods, those that ended early.
    pub(super) throttled: Worst,
}

impl Worst {
    fn take(&mut self, share: Option<f64>, name: &str, now: &HostCpu) {
        // Without any share, what may be used is that of the first.
        let is_worse = match (share, self.share) {
            (Some(share), Some(worst)) => share > worst,
            (Some(_), None) => true,
            (None, None) => self.restriction.is_empty(),
            (None, Some(_)) => false,
        };
        if is_worse {
            *self = Self { share, name: name.to_owned(), restriction: now.restriction() };
        }
    }
}

/// The CPU time that the driver's process took between the two, seconds; none if that is not known.
pub(super) fn own_s(before: &Clocks, after: &Clocks) -> Option<f64> {
    own_s_of(before.0.first()?, after.0.first()?)
}

fn own_s_of(before: &HostSample, after: &HostSample) -> Option<f64> {
    Some(after.own_s? - before.own_s?)
}

/// The CPU time of each replica, by number, seconds: of the lives that were `killed` and, if it
/// reports, of the last. None where that is not known.
pub(super) fn replicas_cpu_s(
    reports: &[ReplicaReport],
    killed: &[Option<f64>],
) -> Vec<Option<f64>> {
    let of = |(number, killed_s): (usize, &Option<f64>)| {
        let report = reports.iter().find(|report| report.replica as usize == number);
        #[expect(clippy::cast_precision_loss, reason = "CPU time of a run in nanoseconds")]
        let living_s = report.map_or(Some(0.0), |report| report.cpu_ns.map(|ns| ns as f64 / 1e9));
        Some((*killed_s)? + living_s?)
    };
    killed.iter().enumerate().map(of).collect()
}

/// The shares of all hosts in the window of `seen`, whose replicas took `replicas_cpu_s`, by
/// number.
pub(super) fn of(seen: &Seen, replicas_cpu_s: &[Option<f64>], all_reported: bool) -> OfHosts {
    let known = replicas_cpu_s.iter().map(|cpu_s| cpu_s.filter(|_| all_reported));
    let used_s = match seen.hosts.as_slice() {
        [] => vec![known.sum()],
        _ => std::iter::once(Some(0.0)).chain(known).collect(),
    };
    let names = match seen.hosts.as_slice() {
        [] => vec![""],
        names => std::iter::once(DRIVER).chain(names.iter().map(String::as_str)).collect(),
    };
    worst(&seen.before.0, &seen.after.0, &names, &used_s)
}

/// The same of samples `befores` and `afters`, each of a host of that name whose replicas took
/// `used_s`.
fn worst(
    befores: &[HostSample],
    afters: &[HostSample],
    names: &[&str],
    used_s: &[Option<f64>],
) -> OfHosts {
    let with_own: Vec<Option<f64>> = (befores.iter().zip(afters).zip(used_s))
        .map(|((before, after), used_s)| Some((*used_s)? + own_s_of(before, after)?))
        .collect();
    let mut worst = OfHosts::default();
    for (place, ((before, after), name)) in befores.iter().zip(afters).zip(names).enumerate() {
        let (Some(then), Some(now)) = (&before.cpu, &after.cpu) else { continue };
        // Of all that are on this host, the own one included.
        let together: Option<f64> = (afters.iter().zip(&with_own))
            .filter(|(other, _)| std::ptr::eq(*other, after) || is_one_host(other, after))
            .map(|(_, used_s)| *used_s)
            .sum();
        let foreign = together.and_then(|ours_s| now.foreign_share_since(then, ours_s));
        worst.foreign.take(foreign, name, now);
        worst.busy.take(now.busy_share_since(then, with_own[place]), name, now);
        worst.throttled.take(now.throttled_share_since(then), name, now);
    }
    worst
}

/// A system that does not tell one boot from another is a host of its own.
fn is_one_host(one: &HostSample, other: &HostSample) -> bool {
    !one.boot_id.is_empty() && one.boot_id == other.boot_id
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Of a host with two CPUs that have counted so much, and of a process that took `own_s`.
    fn sample(boot_id: &str, programs_s: f64, total_s: f64, own_s: f64) -> HostSample {
        let limit = json!({ "quota_cpus": null, "periods": 0, "throttled": 0 });
        let cpu = json!({
            "programs_s": programs_s, "elsewhere_s": 0.0, "total_s": total_s, "allowed": 2, "all": 2, "limit": limit,
        });
        let cpu = serde_json::from_value(cpu).unwrap();
        HostSample { boot_id: boot_id.to_owned(), cpu: Some(cpu), own_s: Some(own_s) }
    }

    /// The driver's host and two others; programs took so many of ten seconds on each.
    fn shares(boots: [&str; 3], programs_s: [f64; 3], used_s: [Option<f64>; 3]) -> OfHosts {
        let at = |total_s: f64, share: f64| -> Vec<HostSample> {
            (boots.iter().zip(programs_s))
                .map(|(boot, programs_s)| sample(boot, programs_s * share, total_s, 0.5 * share))
                .collect()
        };
        worst(&at(0.0, 0.0), &at(10.0, 1.0), &[DRIVER, "r0", "r1"], &used_s)
    }

    fn close(share: Option<f64>, expected: f64) -> bool {
        share.is_some_and(|share| (share - expected).abs() < 1e-9)
    }

    #[test]
    fn the_worst_host_is_named() {
        let used_s = [Some(0.0), Some(2.0), Some(3.0)];
        let of = shares(["a", "b", "c"], [1.0, 2.5, 8.0], used_s);
        // Beside the replica and its agent others took 4.5 s of ten.
        assert!(close(of.foreign.share, 0.45) && of.foreign.name == "r1", "{of:?}");
        assert!(close(of.busy.share, 0.8) && of.busy.name == "r1", "{of:?}");
        assert_eq!(of.throttled.share, None);
    }

    #[test]
    fn containers_of_one_host_are_no_strangers_to_each_other() {
        let used_s = [Some(0.0), Some(2.0), Some(3.0)];
        let of = shares(["a", "a", "a"], [6.5; 3], used_s);
        assert!(close(of.foreign.share, 0.0), "{of:?}");
        let of = shares(["a", "b", "c"], [6.5; 3], used_s);
        assert!(close(of.foreign.share, 0.6), "{of:?}");
        // Whoever does not tell its boot is alone.
        let of = shares(["", "", ""], [6.5; 3], used_s);
        assert!(close(of.foreign.share, 0.6), "{of:?}");
    }

    #[test]
    fn what_is_not_known_of_a_replica_is_not_known_of_its_host() {
        let of = shares(["a", "b", "c"], [1.0, 2.5, 8.0], [Some(0.0), Some(2.0), None]);
        assert!(of.foreign.name == DRIVER || of.foreign.name == "r0", "{of:?}");
        let of = shares(["a", "a", "a"], [8.0; 3], [Some(0.0), Some(2.0), None]);
        assert_eq!(of.foreign.share, None);
    }

    #[test]
    fn the_time_of_ended_lives_counts() {
        let report =
            ReplicaReport { replica: 1, cpu_ns: Some(2_000_000_000), ..Default::default() };
        let known = replicas_cpu_s(&[report], &[Some(1.0), Some(0.5), None]);
        assert_eq!(known, [Some(1.0), Some(2.5), None]);
    }
}
