//! From what replicas counted, and the CPU time that they took, to the cost of each kind of work.

use measure::{Mixture, ReplicaRow, SummaryRow, fit};
use protocols::{Batch, ClientId, Command, Request, RequestNumber};
use workload::{KEY_BYTES, SimCosts};

/// About how long the reply to a write is on its way: a number, a session and an outcome, with the length before them.
const REPLY_BYTES: f64 = 10.0;
/// The length before a frame.
const FRAME_HEAD_BYTES: usize = 4;

/// One run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Load {
    pub(super) protocol: String,
    /// N.
    pub(super) size: u32,
    pub(super) clients_per_site: u32,
    pub(super) window: u32,
    pub(super) value_bytes: u64,
    pub(super) operations: f64,
    pub(super) throughput_ops_per_s: f64,
    pub(super) replicas: Vec<Worked>,
}

/// What one replica did, and the CPU time that it took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Worked {
    pub(super) wakeups: f64,
    /// In and out, clients' requests and replies included.
    pub(super) messages: f64,
    /// Theirs.
    pub(super) bytes: f64,
    pub(super) cpu_s: f64,
}

impl Load {
    /// CPU time of all replicas.
    pub(super) fn cpu_s(&self) -> f64 {
        self.replicas.iter().map(|replica| replica.cpu_s).sum()
    }

    /// CPU time of the replica that took most.
    pub(super) fn busiest_cpu_s(&self) -> f64 {
        self.replicas.iter().map(|replica| replica.cpu_s).fold(0.0, f64::max)
    }
}

/// The costs that explain what was measured, and how well.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measured {
    pub(super) costs: SimCosts,
    pub(super) error_rms: f64,
    pub(super) error_max: f64,
    /// N of the clusters that were fitted.
    pub(super) size: u32,
    pub(super) runs: usize,
    pub(super) samples: usize,
}

/// The runs of a results directory; none without the CPU time of every replica.
pub(super) fn loads(summary: &[SummaryRow], replicas: &[ReplicaRow]) -> Option<Vec<Load>> {
    summary
        .iter()
        .map(|run| {
            let of_run = |row: &&ReplicaRow| {
                (&row.protocol, &row.point, row.repetition)
                    == (&run.protocol, &run.point, run.repetition)
            };
            let request_bytes = request_bytes(usize::try_from(run.value_bytes).ok()?);
            Some(Load {
                protocol: run.protocol.clone(),
                size: run.replicas,
                clients_per_site: run.clients_per_site?,
                window: run.window,
                value_bytes: run.value_bytes,
                operations: run.operations as f64,
                throughput_ops_per_s: run.throughput_ops_per_s?,
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
pub(super) fn fitted(loads: &[Load]) -> Option<Measured> {
    let size = loads.iter().map(|load| load.size).min()?;
    let smallest = loads.iter().filter(|load| load.size == size);
    let samples: Vec<Mixture<3>> = smallest
        .clone()
        .flat_map(|load| &load.replicas)
        .filter(|replica| replica.cpu_s > 0.0)
        .map(|replica| Mixture {
            counts: [replica.wakeups, replica.messages, replica.bytes],
            cost: replica.cpu_s * 1e9,
        })
        .collect();
    let fit = fit(&samples)?;
    let [wakeup_ns, message_ns, byte_ns] = fit.costs;
    // As a file shows them.
    let rounded = |cost: f64| (cost * 1e4).round() / 1e4;
    let costs = SimCosts {
        cpu_us_per_wakeup: rounded(wakeup_ns / 1e3),
        cpu_us_per_message: rounded(message_ns / 1e3),
        cpu_ns_per_byte: rounded(byte_ns),
        ..SimCosts::default()
    };
    let (error_rms, error_max) = (fit.error_rms, fit.error_max);
    let runs = smallest.count();
    Some(Measured { costs, error_rms, error_max, size, runs, samples: samples.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(window: u32, value_bytes: u64, replicas: u32) -> (SummaryRow, Vec<ReplicaRow>) {
        let operations = 1_000 * u64::from(window);
        let summary = SummaryRow {
            protocol: "epaxos".to_owned(),
            point: format!("replicas={replicas} value_bytes={value_bytes} window={window}"),
            replicas,
            clients_per_site: Some(1),
            window,
            value_bytes,
            repetition: 1,
            operations,
            throughput_ops_per_s: Some(operations as f64),
            ..SummaryRow::default()
        };
        let row = |replica: u32| ReplicaRow {
            protocol: summary.protocol.clone(),
            point: summary.point.clone(),
            repetition: 1,
            replicas,
            replica,
            messages_in: 4 * operations,
            messages_out: 4 * operations + u64::from(replica),
            bytes_in: operations * (60 + value_bytes),
            bytes_out: operations * (90 + 2 * value_bytes),
            client_requests: operations / 3,
            client_replies: operations / 3,
            wakeups: Some(3_000),
            ..ReplicaRow::default()
        };
        let costed = |row: ReplicaRow| {
            let requests = row.client_requests as f64;
            let messages = (row.messages_in + row.messages_out) as f64 + 2.0 * requests;
            let client_bytes =
                requests * (request_bytes(usize::try_from(value_bytes).unwrap()) + REPLY_BYTES);
            let bytes = (row.bytes_in + row.bytes_out) as f64 + client_bytes;
            let cpu_s = 3_000.0 * 11e-6 + messages * 0.4e-6 + bytes * 0.8e-9;
            ReplicaRow { cpu_s: Some(cpu_s), ..row }
        };
        (summary.clone(), (0..replicas).map(row).map(costed).collect())
    }

    fn all(runs: Vec<(SummaryRow, Vec<ReplicaRow>)>) -> (Vec<SummaryRow>, Vec<ReplicaRow>) {
        let (summary, replicas): (Vec<_>, Vec<Vec<_>>) = runs.into_iter().unzip();
        (summary, replicas.concat())
    }

    #[test]
    fn costs_that_rows_were_made_with_are_found_again_in_the_smallest_clusters_alone() {
        let mut runs: Vec<_> = [(1, 16), (32, 16), (1, 8192), (32, 8192)]
            .into_iter()
            .map(|(window, value_bytes)| run(window, value_bytes, 3))
            .collect();
        let mut other = run(32, 16, 5);
        other.1.iter_mut().for_each(|row| row.cpu_s = row.cpu_s.map(|cpu_s| cpu_s * 3.0));
        runs.push(other);
        let (summary, replicas) = all(runs);
        let loads = loads(&summary, &replicas).unwrap();
        assert_eq!((loads.len(), loads[4].replicas.len()), (5, 5));
        let measured = fitted(&loads).unwrap();
        assert_eq!((measured.size, measured.runs, measured.samples), (3, 4, 12));
        let SimCosts { cpu_us_per_wakeup, cpu_us_per_message, cpu_ns_per_byte, .. } =
            measured.costs;
        assert_eq!((cpu_us_per_wakeup, cpu_us_per_message, cpu_ns_per_byte), (11.0, 0.4, 0.8));
        assert!(measured.error_max < 1e-6);
    }

    #[test]
    fn rows_without_what_is_needed_give_no_loads() {
        let (summary, mut replicas) = all(vec![run(1, 16, 3)]);
        assert!(loads(&summary, &replicas).is_some());
        replicas[1].wakeups = None;
        assert_eq!(loads(&summary, &replicas), None);
        let (summary, replicas) = all(vec![run(1, 16, 3), run(1, 16, 5)]);
        assert_eq!(
            fitted(&loads(&summary, &replicas).unwrap()),
            None,
            "one load tells nothing apart"
        );
    }

    #[test]
    fn a_request_is_as_long_as_its_value_and_a_little_more() {
        assert!((40.0..60.0).contains(&request_bytes(16)), "{}", request_bytes(16));
        assert!((1_040.0..1_090.0).contains(&request_bytes(1_024)));
    }
}
