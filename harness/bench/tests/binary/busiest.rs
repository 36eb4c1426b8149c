//! The analytic count of messages per command beside what simulated replicas counted.

use protocols::Protocol;
use workload::busiest::{Circumstances, Share, shares};

use crate::place::{Ended, Place, cell, rows};

/// Requests come one by one, at every site in turn, in a cluster as near as a loopback's.
const ONE_BY_ONE: &str = "\
    name = \"one-by-one\"\n\
    repetitions = 1\n\
    cluster = { driver = \"sim\", replicas = [3, 5, 7, 9] }\n\
    sim = { cpu_us_per_message = 0, cpu_ns_per_byte = 0 }\n\
    load = { mode = \"open\", arrival = \"constant\", rate_ops_per_s = 3000, clients_per_site = 2, warmup_s = 0.1, \
    duration_s = 1 }\n";

/// Every command conflicts, and as many are under way as replicas can hold.
const CROWDED: &str = "\
    name = \"crowded\"\n\
    protocols = [\"multi-paxos\", \"epaxos\"]\n\
    repetitions = 1\n\
    cluster = { driver = \"sim\", replicas = [3, 5, 7] }\n\
    load = { clients_per_site = 20, warmup_s = 0.05, duration_s = 0.1 }\n\
    commands = { conflict_rate = 1 }\n";

/// What the replicas of one run counted.
struct Counted {
    protocol: Protocol,
    /// By replica, per command of the whole cluster.
    shares: Vec<Share>,
    /// The share of commands on the slow path.
    slow: f64,
}

fn counted(workload: &str) -> Vec<Counted> {
    let place = Place::new(workload);
    let Ended { code, stderr, .. } = place.bench(&["run", "w.toml", "--quiet"]);
    assert_eq!(code, Some(0), "{stderr}");
    let all = rows(&place.results().join("replicas.csv"));
    let same = |one: &Row, other: &Row| {
        ["protocol", "point"].iter().all(|column| cell(one, column) == cell(other, column))
    };
    all.chunk_by(same).map(of_run).collect()
}

type Row = Vec<(String, String)>;

fn of_run(rows: &[Row]) -> Counted {
    let number = |row: &Row, column: &str| -> f64 {
        let text = cell(row, column);
        if text.is_empty() { 0.0 } else { text.parse().expect(column) }
    };
    let sum = |column: &str| rows.iter().map(|row| number(row, column)).sum::<f64>();
    let commands = sum("client_requests");
    let share = |row: &Row| Share {
        messages_out: number(row, "messages_out") / commands,
        messages_in: number(row, "messages_in") / commands,
        requests: number(row, "client_requests") / commands,
        ..Share::default()
    };
    let slow = sum("commits_slow") / (sum("commits_fast") + sum("commits_slow")).max(1.0);
    let shares = rows.iter().map(share).collect();
    Counted { protocol: cell(&rows[0], "protocol").parse().unwrap(), shares, slow }
}

fn near(counted: f64, expected: f64, tolerance: f64) -> bool {
    (counted / expected - 1.0).abs() <= tolerance
}

#[test]
fn one_by_one_every_replica_sends_and_receives_what_the_model_says() {
    let all = counted(ONE_BY_ONE);
    assert_eq!(all.iter().map(|run| run.shares.len()).sum::<usize>(), 3 * (3 + 5 + 7 + 9));
    for Counted { protocol, shares: counted, .. } in all {
        let expected = shares(protocol, &Circumstances::even(counted.len()));
        for (replica, (counted, expected)) in counted.iter().zip(&expected).enumerate() {
            // Heartbeats, and reports of progress: one to each other replica for 256 executions at least.
            for (counted, expected) in [
                (counted.messages_out, expected.messages_out),
                (counted.messages_in, expected.messages_in),
                (counted.requests, expected.requests),
            ] {
                assert!(
                    near(counted, expected, 0.05),
                    "{protocol} {replica}: {counted}, not {expected}"
                );
            }
        }
    }
}

#[test]
fn in_a_crowd_conflicts_cost_a_round_and_commits_are_rarely_announced_apart() {
    for Counted { protocol, shares: counted, slow } in counted(CROWDED) {
        // Who is nearer to the leader is answered sooner and asks more.
        let asked: Vec<f64> = counted.iter().map(|share| share.requests).collect();
        let with = |slow, announced| {
            let circumstances =
                Circumstances { slow, announced, ..Circumstances::even(asked.len()) };
            shares(protocol, &Circumstances { asked: asked.clone(), ..circumstances })
        };
        let (least, most) = match protocol {
            Protocol::EPaxos => (with(slow, 0.0), with(slow, 0.0)),
            _ => (with(0.0, 0.0), with(0.0, 1.0)),
        };
        for (replica, counted) in counted.iter().enumerate() {
            let bounds = 0.95 * least[replica].messages()..1.05 * most[replica].messages();
            let messages = counted.messages();
            assert!(
                bounds.contains(&messages),
                "{protocol} {replica}: {messages} not in {bounds:?}"
            );
        }
        let is_crowded = protocol != Protocol::EPaxos || asked.len() == 3 || slow > 0.2;
        assert!(is_crowded, "hardly a conflict among {}: {slow}", asked.len());
        if protocol == Protocol::MultiPaxos {
            // By far not every decision is announced: the next Accept tells it.
            let announced = counted[0].messages() - least[0].messages();
            let all = most[0].messages() - least[0].messages();
            assert!(announced < 0.6 * all, "{announced} of {all}");
        }
    }
}
