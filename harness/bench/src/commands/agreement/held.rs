//! Runs of one load, real ones held against simulated ones.

use protocols::Protocol;
use workload::calibrated::{self, Calibrated, Loads};

use crate::commands::calibrate::costs::MeasuredRun;

/// Chosen: a simulation that is further off than this does not show what a real cluster does.
const FACTOR_MAX: f64 = 2.0;

/// One load of one cluster, as it came out on both drivers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Held {
    pub(crate) protocol: String,
    /// N.
    pub(crate) size: u32,
    /// Of the whole cluster.
    pub(crate) clients: u32,
    pub(crate) window: u32,
    pub(crate) value_bytes: u64,
    pub(crate) requests_under_way: f64,
    pub(crate) real: Seen,
    pub(crate) simulated: Seen,
}

/// What came of the runs of one load: medians of the valid ones, or of all where none is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    pub(crate) runs: u32,
    pub(crate) valid_runs: u32,
    /// Operations per CPU-second of all replicas.
    pub(crate) per_cpu_s: f64,
    /// Operations per CPU-second of the replica that takes most CPU time.
    pub(crate) per_busiest_cpu_s: f64,
}

impl Held {
    /// Simulated over real, by the replica that takes most CPU time.
    pub(crate) fn ratio(&self) -> f64 {
        self.simulated.per_busiest_cpu_s / self.real.per_busiest_cpu_s
    }
}

/// Every load that is in both, in the order of the real ones.
pub(crate) fn held(real: &[MeasuredRun], simulated: &[MeasuredRun]) -> Vec<Held> {
    let mut loads: Vec<Held> = Vec::new();
    for load in real {
        if loads.iter().any(|held| is_of(held, load)) {
            continue;
        }
        let mut held = Held {
            protocol: load.protocol.clone(),
            size: load.size,
            clients: load.clients,
            window: load.window,
            value_bytes: load.value_bytes,
            requests_under_way: load.requests_under_way(),
            real: Seen::default(),
            simulated: Seen::default(),
        };
        held.real = seen(real.iter().filter(|load| is_of(&held, load)));
        held.simulated = seen(simulated.iter().filter(|load| is_of(&held, load)));
        if held.simulated.runs > 0 {
            loads.push(held);
        }
    }
    loads
}

/// The loads in which both agree within [`FACTOR_MAX`], as far as they are valid.
pub(crate) fn calibrated(loads: &[Held]) -> Calibrated {
    let mut calibrated = Calibrated::NONE;
    for held in loads {
        let agrees = (FACTOR_MAX.recip()..=FACTOR_MAX).contains(&held.ratio());
        let valid = held.real.valid_runs > 0 && held.simulated.valid_runs > 0;
        let protocol: Result<Protocol, _> = held.protocol.parse();
        if let (true, true, Ok(protocol)) = (agrees, valid, protocol) {
            let load = calibrated::LoadPoint {
                replicas: held.size.into(),
                value_bytes: held.value_bytes,
                requests_under_way: held.requests_under_way,
                operations_per_cpu_s: held
                    .real
                    .per_busiest_cpu_s
                    .max(held.simulated.per_busiest_cpu_s),
            };
            calibrated.add(protocol, &Loads::only(&load));
        }
    }
    calibrated
}

fn is_of(held: &Held, load: &MeasuredRun) -> bool {
    let Held { protocol, size, clients, window, value_bytes, .. } = held;
    let MeasuredRun { protocol: of, size: n, clients: of_all, window: of_one, .. } = load;
    (protocol, size, clients, window, value_bytes) == (of, n, of_all, of_one, &load.value_bytes)
}

fn seen<'a>(runs: impl Iterator<Item = &'a MeasuredRun>) -> Seen {
    let (valid, not_valid): (Vec<&MeasuredRun>, Vec<&MeasuredRun>) =
        runs.partition(|load| load.valid);
    let (all, valid_runs) = (valid.len() + not_valid.len(), valid.len());
    let counted = if valid.is_empty() { not_valid } else { valid };
    let median = |figure: fn(&MeasuredRun) -> f64| {
        spread(counted.iter().map(|load| figure(load))).map_or(f64::NAN, |[_, median, _]| median)
    };
    let count = |runs: usize| u32::try_from(runs).expect("plans have fewer runs");
    Seen {
        runs: count(all),
        valid_runs: count(valid_runs),
        per_cpu_s: median(|load| load.operations / load.cpu_s()),
        per_busiest_cpu_s: median(MeasuredRun::per_busiest_cpu_s),
    }
}

/// The least, the middle and the largest of `ratios`; none of none.
pub(crate) fn spread(ratios: impl Iterator<Item = f64>) -> Option<[f64; 3]> {
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
pub(super) mod tests {
    use super::*;
    use crate::commands::calibrate::costs::Worked;

    /// A run of three replicas.
    pub(crate) fn load(value_bytes: u64, operations: f64, cpu_s: [f64; 3]) -> MeasuredRun {
        MeasuredRun {
            protocol: "epaxos".to_owned(),
            size: 3,
            clients: 48,
            window: 32,
            value_bytes,
            valid: true,
            operations,
            replicas: cpu_s.map(|cpu_s| Worked { cpu_s, ..Worked::default() }).to_vec(),
        }
    }

    #[test]
    fn what_is_compared_is_work_per_cpu_time() {
        let real = [load(16, 100_000.0, [0.5, 1.0, 0.5]), load(1024, 80_000.0, [1.0; 3])];
        let simulated = [load(16, 220_000.0, [1.0, 2.0, 1.0]), load(1024, 80_000.0, [1.5; 3])];
        let found = held(&real, &simulated);
        assert_eq!(found.len(), 2);
        assert!((found[0].ratio() - 1.1).abs() < 1e-9, "{found:?}");
        assert!((found[1].ratio() - 2.0 / 3.0).abs() < 1e-9, "{found:?}");
        assert_eq!(found[0].real.per_cpu_s, 50_000.0);
        assert_eq!(found[0].requests_under_way, 1_536.0);
        assert_eq!(held(&real, &simulated[..1]).len(), 1, "what is not simulated is left out");
    }

    #[test]
    fn repetitions_are_one_load_and_count_by_their_median_if_they_are_valid() {
        let times = [4.0, 1.0, 2.0].map(|cpu_s| load(16, 1_000.0, [cpu_s; 3]));
        let not_valid = MeasuredRun { valid: false, ..load(16, 1_000.0, [0.001; 3]) };
        let real = [times.as_slice(), std::slice::from_ref(&not_valid)].concat();
        let found = held(&real, &[not_valid]);
        assert_eq!(found.len(), 1);
        let Held { real, simulated, .. } = &found[0];
        assert_eq!((real.runs, real.valid_runs, real.per_busiest_cpu_s), (4, 3, 500.0));
        assert_eq!((simulated.runs, simulated.valid_runs), (1, 0));
        assert_eq!(simulated.per_busiest_cpu_s, 1e6, "where none is valid, of all");
        assert!(calibrated(&found).is_none(), "what is not valid calibrates nothing");
    }

    #[test]
    fn only_loads_that_agree_are_calibrated() {
        let real = [16, 1_024, 16_384].map(|bytes| load(bytes, 1_000.0, [1.0; 3]));
        let took_s = [0.6, 1.9, 0.1];
        let of = |(real, cpu_s): (&MeasuredRun, f64)| MeasuredRun {
            replicas: [cpu_s; 3].map(|cpu_s| Worked { cpu_s, ..Worked::default() }).to_vec(),
            ..real.clone()
        };
        let simulated: Vec<MeasuredRun> = real.iter().zip(took_s).map(of).collect();
        let loads = calibrated(&held(&real, &simulated)).of(protocols::epaxos::PROTOCOL).unwrap();
        assert_eq!((loads.replicas, loads.value_bytes), ([3, 3], [16, 1_024]));
        assert_eq!(loads.requests_under_way, [1_536; 2]);
        assert_eq!(loads.bytes_under_way_max, 1_536 * 1_024);
        assert!((loads.operations_per_cpu_s_max - 1_000.0 / 0.6).abs() < 1e-9, "{loads:?}");
    }

    #[test]
    fn a_spread_is_least_middle_and_largest() {
        assert_eq!(spread([3.0, 1.0, 2.0].into_iter()), Some([1.0, 2.0, 3.0]));
        assert_eq!(spread([4.0, 1.0].into_iter()), Some([1.0, 2.5, 4.0]));
        assert_eq!(spread(std::iter::empty()), None);
    }
}
