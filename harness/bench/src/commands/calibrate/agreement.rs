//! How far the simulation of a run agrees with the run.

use super::costs::Load;

/// Chosen: a replica that is busy for less of the time is not what bounds a cluster.
const SATURATED_SHARE: f64 = 0.9;

/// One load of one cluster, at every size of values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Agreement {
    pub(super) protocol: String,
    /// N.
    pub(super) size: u32,
    pub(super) clients_per_site: u32,
    pub(super) window: u32,
    pub(super) values: Vec<AtValue>,
}

/// Simulated over real.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct AtValue {
    pub(super) value_bytes: u64,
    /// Operations per CPU-second of all replicas.
    pub(super) per_cpu_s: f64,
    /// What the cluster can do: the throughput of the simulated one where its busiest replica has no time left, over the
    /// operations per CPU-second of the real one's busiest, which had to share its CPU; none below saturation.
    pub(super) capacity: Option<f64>,
}

/// The agreement of every run that is in both, in the order of the real ones.
pub(super) fn of(real: &[Load], simulated: &[Load]) -> Vec<Agreement> {
    let mut agreements: Vec<Agreement> = Vec::new();
    for real in real {
        let key = |load: &Load| {
            (load.protocol.clone(), load.size, load.clients_per_site, load.window, load.value_bytes)
        };
        let Some(simulated) = simulated.iter().find(|load| key(load) == key(real)) else {
            continue;
        };
        let at = AtValue {
            value_bytes: real.value_bytes,
            per_cpu_s: (simulated.operations / simulated.cpu_s())
                / (real.operations / real.cpu_s()),
            capacity: capacity(simulated)
                .map(|ops_per_s| ops_per_s / (real.operations / real.busiest_cpu_s())),
        };
        let same = |other: &&mut Agreement| {
            (&other.protocol, other.size, other.clients_per_site, other.window)
                == (&real.protocol, real.size, real.clients_per_site, real.window)
        };
        match agreements.iter_mut().find(same) {
            Some(agreement) => agreement.values.push(at),
            None => agreements.push(Agreement {
                protocol: real.protocol.clone(),
                size: real.size,
                clients_per_site: real.clients_per_site,
                window: real.window,
                values: vec![at],
            }),
        }
    }
    agreements
}

/// The throughput of a saturated cluster.
fn capacity(simulated: &Load) -> Option<f64> {
    let elapsed_s = simulated.operations / simulated.throughput_ops_per_s;
    let saturated = simulated.busiest_cpu_s() >= SATURATED_SHARE * elapsed_s;
    saturated.then_some(simulated.throughput_ops_per_s)
}

/// The least, the middle and the largest of `ratios`; none of none.
pub(super) fn spread(ratios: impl Iterator<Item = f64>) -> Option<[f64; 3]> {
    let mut sorted: Vec<f64> = ratios.collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let median = match sorted.len() {
        0 => return None,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    };
    Some([sorted[0], median, sorted[sorted.len() - 1]])
}

#[cfg(test)]
mod tests {
    use super::{super::costs::Worked, *};

    fn load(value_bytes: u64, throughput_ops_per_s: f64, cpu_s: [f64; 3]) -> Load {
        let worked = |cpu_s| Worked { wakeups: 1.0, messages: 1.0, bytes: 1.0, cpu_s };
        Load {
            protocol: "epaxos".to_owned(),
            size: 3,
            clients_per_site: 16,
            window: 32,
            value_bytes,
            operations: 2.0 * throughput_ops_per_s,
            throughput_ops_per_s,
            replicas: cpu_s.map(worked).to_vec(),
        }
    }

    #[test]
    fn what_is_compared_is_work_per_cpu_time_and_where_it_is_saturated_capacity() {
        // Two seconds each: the real one shares its CPUs, the simulated one has one for each replica.
        let real = [load(16, 50_000.0, [0.5, 1.0, 0.5]), load(1024, 40_000.0, [1.0; 3])];
        let simulated = [load(16, 110_000.0, [1.0, 2.0, 1.0]), load(1024, 40_000.0, [1.5; 3])];
        let found = of(&real, &simulated);
        assert_eq!(found.len(), 1, "one load, two sizes of values");
        let [small, large] = [found[0].values[0], found[0].values[1]];
        assert!((small.per_cpu_s - 1.1).abs() < 1e-9, "{small:?}");
        assert!((small.capacity.unwrap() - 1.1).abs() < 1e-9, "110,000 over 100,000");
        assert!((large.per_cpu_s - 2.0 / 3.0).abs() < 1e-9, "{large:?}");
        assert_eq!(large.capacity, None, "busy for three quarters of the time");
        assert_eq!(of(&real, &[]), []);
    }

    #[test]
    fn a_spread_is_least_middle_and_largest() {
        assert_eq!(spread([3.0, 1.0, 2.0].into_iter()), Some([1.0, 2.0, 3.0]));
        assert_eq!(spread([4.0, 1.0].into_iter()), Some([1.0, 2.5, 4.0]));
        assert_eq!(spread(std::iter::empty()), None);
    }
}
