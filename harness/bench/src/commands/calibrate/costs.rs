//! From what replicas counted, and the CPU time that they took, to the cost of each kind of work.

use measure::{Mixture, ReplicaRow, SummaryRow, fit};
use protocols::{Batch, ClientId, Command, Request, RequestNumber};
use workload::{KEY_BYTES, SimCosts};

/// About how long the reply to a write is on its way: a number, a session and an outcome, with the length before them.
const REPLY_BYTES: f64 = 10.0;
/// How many kinds of work cost something.
const KINDS: usize = 5;
/// The length before a frame.
const FRAME_HEAD_BYTES: usize = 4;

/// One run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MeasuredRun {
    pub(crate) protocol: String,
    /// N.
    pub(crate) size: u32,
    /// Of the whole cluster.
    pub(crate) clients: u32,
    pub(crate) window: u32,
    pub(crate) value_bytes: u64,
    /// May its figures be quoted?
    pub(crate) valid: bool,
    pub(crate) operations: f64,
    pub(crate) replicas: Vec<Worked>,
}

/// What one replica did, and the CPU time that it took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Worked {
    pub(crate) wakeups: f64,
    /// In and out, clients' requests and replies included.
    pub(crate) messages: f64,
    /// Theirs.
    pub(crate) bytes: f64,
    /// Commands executed.
    pub(crate) commands: f64,
    /// Rows by which they were put in order.
    pub(crate) ordering_steps: f64,
    pub(crate) cpu_s: f64,
}

impl MeasuredRun {
    /// CPU time of all replicas.
    pub(crate) fn cpu_s(&self) -> f64 {
        self.replicas.iter().map(|replica| replica.cpu_s).sum()
    }

    /// Operations in a CPU-second of the replica that took most CPU time.
    pub(crate) fn per_busiest_cpu_s(&self) -> f64 {
        self.operations / self.replicas.iter().map(|replica| replica.cpu_s).fold(0.0, f64::max)
    }

    /// Requests of all clients that wait for their answer at the same time.
    pub(crate) fn requests_under_way(&self) -> f64 {
        f64::from(self.clients) * f64::from(self.window)
    }
}

/// The costs that explain what was measured, and how well.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measured {
    pub(super) costs: SimCosts,
    /// The least and the most of each cost of the CPU as one run after the other is left out, in
    /// the order of [`SimCosts::of_cpu`].
    pub(super) ranges: [[f64; 2]; KINDS],
    pub(super) error_rms: f64,
    pub(super) error_max: f64,
    /// N of the clusters that were fitted.
    pub(super) size: u32,
    pub(super) runs: usize,
    pub(super) samples: usize,
}

/// The runs of a results directory; none without the CPU time of every replica.
pub(crate) fn loads(summary: &[SummaryRow], replicas: &[ReplicaRow]) -> Option<Vec<MeasuredRun>> {
    summary
        .iter()
        .map(|run| {
            let of_run = |row: &&ReplicaRow| {
                (&row.protocol, &row.point, row.repetition)
                    == (&run.protocol, &run.point, run.repetition)
            };
            let request_bytes = request_bytes(usize::try_from(run.value_bytes).ok()?);
            Some(MeasuredRun {
                protocol: run.protocol.clone(),
                size: run.replicas,
                clients: run.clients?,
                window: run.window,
                value_bytes: run.value_bytes,
                valid: run.valid && !run.is_violation(),
                operations: run.operations as f64,
                replicas: (replicas.iter().filter(of_run))
                    .map(|row| worked(row, request_bytes))
                    .collect::<Option<_>>()?,
            })
        })
        .collect()
}

fn worked(row: &ReplicaRow, request_bytes: f64) -> Option<Worked> {
    let (requests, replies) = (row.client_requests as f64, row.client_replies as f64);
    Some(Worked {
        wakeups: row.wakeups? as f64,
        messages: (row.messages_in + row.messages_out) as f64 + requests + replies,
        bytes: (row.bytes_in + row.bytes_out) as f64
            + requests * request_bytes
            + replies * REPLY_BYTES,
        commands: row.commands_executed as f64,
        ordering_steps: row.ordering_steps? as f64,
        cpu_s: row.cpu_s?,
    })
}

/// How long a client's request to write so many bytes is on its way.
fn request_bytes(value_bytes: usize) -> f64 {
    let value = vec![0; value_bytes];
    let request = Request {
        client: ClientId(1),
        number: RequestNumber::write(1 << 14),
        unanswered_from: 1 << 14,
        command: Command::Put { key: &[b'k'; KEY_BYTES], value: &value },
    };
    let batch = Batch::new(&[request]).expect("workloads are checked to have short values");
    (batch.as_bytes().len() + FRAME_HEAD_BYTES) as f64
}

/// The costs of the smallest clusters' replicas; none if the runs do not tell the kinds of work apart.
pub(super) fn fitted(loads: &[MeasuredRun]) -> Option<Measured> {
    let size = loads.iter().map(|load| load.size).min()?;
    let smallest: Vec<&MeasuredRun> = loads.iter().filter(|load| load.size == size).collect();
    let samples = mixtures(smallest.iter().copied());
    let fitted = fit(&samples)?;
    let costs = in_units(fitted.costs);
    let mut ranges = costs.of_cpu().map(|(_, cost)| [cost; 2]);
    for left_out in 0..smallest.len() {
        let others = smallest.iter().enumerate().filter(|(place, _)| *place != left_out);
        let others = fit(&mixtures(others.map(|(_, load)| *load)))?;
        for ([least, most], (_, cost)) in ranges.iter_mut().zip(in_units(others.costs).of_cpu()) {
            (*least, *most) = (least.min(cost), most.max(cost));
        }
    }
    let (error_rms, error_max) = (fitted.error_rms, fitted.error_max);
    let (runs, samples) = (smallest.len(), samples.len());
    Some(Measured { costs, ranges, error_rms, error_max, size, runs, samples })
}

fn mixtures<'a>(loads: impl Iterator<Item = &'a MeasuredRun>) -> Vec<Mixture<KINDS>> {
    let replicas = loads.flat_map(|load| &load.replicas).filter(|replica| replica.cpu_s > 0.0);
    let mixture = |of: &Worked| Mixture {
        counts: [of.wakeups, of.messages, of.bytes, of.commands, of.ordering_steps],
        cost: of.cpu_s * 1e9,
    };
    replicas.map(mixture).collect()
}

/// Costs in nanoseconds as a file shows them.
fn in_units([wakeup, message, byte, command, ordering_step]: [f64; KINDS]) -> SimCosts {
    let rounded = |cost: f64| (cost * 1e4).round() / 1e4;
    SimCosts {
        cpu_us_per_wakeup: rounded(wakeup / 1e3),
        cpu_us_per_message: rounded(message / 1e3),
        cpu_ns_per_byte: rounded(byte),
        cpu_us_per_command: rounded(command / 1e3),
        cpu_us_per_ordering_step: rounded(ordering_step / 1e3),
        ..SimCosts::NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run whose CPU time is that of its work, at costs of 11, 0.4, 0.5 and 0.2 µs and 0.8 ns.
    fn run(
        protocol: &str,
        window: u32,
        value_bytes: u64,
        replicas: u32,
    ) -> (SummaryRow, Vec<ReplicaRow>) {
        let operations = 1_000 * u64::from(window);
        let summary = SummaryRow {
            protocol: protocol.to_owned(),
            point: format!("replicas={replicas} value_bytes={value_bytes} window={window}"),
            replicas,
            clients: Some(replicas),
            window,
            value_bytes,
            repetition: 1,
            operations,
            valid: true,
            ..SummaryRow::default()
        };
        let ordered = protocol == "epaxos";
        let row = |replica: u32| ReplicaRow {
            protocol: summary.protocol.clone(),
            point: summary.point.clone(),
            repetition: 1,
            replicas,
            replica,
            messages_in: 4 * operations,
            messages_out: 4 * operations + u64::from(replica) * (10 + operations / 20),
            bytes_in: operations * (60 + value_bytes),
            bytes_out: operations * (90 + 2 * value_bytes),
            client_requests: operations / 3,
            client_replies: operations / 3,
            commands_executed: operations,
            ordering_steps: Some(if ordered { operations * u64::from(replicas) } else { 0 }),
            wakeups: Some(3_000),
            ..ReplicaRow::default()
        };
        let costed = |row: ReplicaRow| {
            let requests = row.client_requests as f64;
            let messages = (row.messages_in + row.messages_out) as f64 + 2.0 * requests;
            let client_bytes =
                requests * (request_bytes(usize::try_from(value_bytes).unwrap()) + REPLY_BYTES);
            let bytes = (row.bytes_in + row.bytes_out) as f64 + client_bytes;
            let (commands, steps) = (row.commands_executed as f64, row.ordering_steps.unwrap());
            let of_work = messages * 0.4e-6 + bytes * 0.8e-9 + commands * 0.5e-6;
            let cpu_s = 3_000.0 * 11e-6 + of_work + steps as f64 * 0.2e-6;
            ReplicaRow { cpu_s: Some(cpu_s), ..row }
        };
        (summary.clone(), (0..replicas).map(row).map(costed).collect())
    }

    fn all(runs: Vec<(SummaryRow, Vec<ReplicaRow>)>) -> (Vec<SummaryRow>, Vec<ReplicaRow>) {
        let (summary, replicas): (Vec<_>, Vec<Vec<_>>) = runs.into_iter().unzip();
        (summary, replicas.concat())
    }

    fn runs_of(protocols: &[&str], replicas: u32) -> Vec<(SummaryRow, Vec<ReplicaRow>)> {
        let points = [(1, 16), (32, 16), (1, 8192), (32, 8192)];
        let of = |protocol: &&str| {
            points.map(|(window, value_bytes)| run(protocol, window, value_bytes, replicas))
        };
        protocols.iter().flat_map(of).collect()
    }

    #[test]
    fn costs_that_rows_were_made_with_are_found_again_in_the_smallest_clusters_alone() {
        let mut runs = runs_of(&["multi-paxos", "epaxos"], 3);
        let mut other = run("epaxos", 32, 16, 5);
        other.1.iter_mut().for_each(|row| row.cpu_s = row.cpu_s.map(|cpu_s| cpu_s * 3.0));
        runs.push(other);
        let (summary, replicas) = all(runs);
        let loads = loads(&summary, &replicas).unwrap();
        assert_eq!((loads.len(), loads[8].replicas.len()), (9, 5));
        let measured = fitted(&loads).unwrap();
        assert_eq!((measured.size, measured.runs, measured.samples), (3, 8, 24));
        assert_eq!(measured.costs.of_cpu().map(|(_, cost)| cost), [11.0, 0.4, 0.8, 0.5, 0.2]);
        assert_eq!(measured.ranges, [11.0, 0.4, 0.8, 0.5, 0.2].map(|cost| [cost; 2]));
        assert!(measured.error_max < 1e-6);
    }

    /// One run that took longer than the others shows in how far costs depend on single runs.
    #[test]
    fn a_run_that_stands_alone_widens_the_ranges() {
        let mut runs = runs_of(&["multi-paxos", "epaxos"], 3);
        runs[3].1.iter_mut().for_each(|row| row.cpu_s = row.cpu_s.map(|cpu_s| cpu_s * 1.3));
        let (summary, replicas) = all(runs);
        let measured = fitted(&loads(&summary, &replicas).unwrap()).unwrap();
        let costs = measured.costs.of_cpu().map(|(_, cost)| cost);
        for ([least, most], cost) in measured.ranges.iter().zip(costs) {
            assert!(*least <= cost && cost <= *most, "{measured:?}");
        }
        let true_byte = 0.8;
        assert!((measured.ranges[2][0] - true_byte).abs() < 1e-6, "without it: {measured:?}");
        assert!(measured.ranges[2][1] > true_byte, "{measured:?}");
    }

    #[test]
    fn rows_without_what_is_needed_give_no_loads() {
        let (summary, mut replicas) = all(vec![run("epaxos", 1, 16, 3)]);
        assert!(loads(&summary, &replicas).is_some());
        replicas[1].wakeups = None;
        assert_eq!(loads(&summary, &replicas), None);
        let fitted_to = |runs| {
            let (summary, replicas) = all(runs);
            fitted(&loads(&summary, &replicas).unwrap())
        };
        let few = vec![run("epaxos", 1, 16, 3), run("epaxos", 1, 16, 5)];
        assert_eq!(fitted_to(few), None, "one load tells nothing apart");
        assert_eq!(fitted_to(runs_of(&["epaxos"], 3)), None, "commands go with ordering them");
        assert_eq!(fitted_to(runs_of(&["multi-paxos"], 3)), None, "nothing is ordered by more");
    }

    #[test]
    fn a_request_is_as_long_as_its_value_and_a_little_more() {
        assert!((40.0..60.0).contains(&request_bytes(16)), "{}", request_bytes(16));
        assert!((1_040.0..1_090.0).contains(&request_bytes(1_024)));
    }
}
