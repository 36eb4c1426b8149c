//! What becomes of a simulated run whose cores are wrong.

use std::fs;

use measure::{Linearizable, Role, Severity};
use protocols::{
    Config, Effect, Effects, Input, Protocol, Replica, ReplicaId, Snapshot, Status, epaxos::EPaxos,
    multi_paxos::MultiPaxos,
};
use workload::Plan;

use super::*;

/// Multi-Paxos, of which one replica forgets to execute one command.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Negligent {
    inner: MultiPaxos,
    id: ReplicaId,
}

const NEGLIGENT: ReplicaId = ReplicaId(2);
const FORGOTTEN_SLOT: u64 = 50;

impl Replica for Negligent {
    type Message = <MultiPaxos as Replica>::Message;
    type Timer = <MultiPaxos as Replica>::Timer;
    type Record = <MultiPaxos as Replica>::Record;

    const PROTOCOL: Protocol = protocols::multi_paxos::PROTOCOL;

    fn recover(
        id: ReplicaId,
        config: &Config,
        snapshot: Option<&Snapshot>,
        records: impl IntoIterator<Item = Self::Record>,
    ) -> Self {
        Self { inner: MultiPaxos::recover(id, config, snapshot, records), id }
    }

    fn step(&mut self, input: Input<Self>, effects: &mut Effects<Self>) {
        let input = match input {
            Input::Start => Input::Start,
            Input::Propose(batch) => Input::Propose(batch),
            Input::Message { from, message } => Input::Message { from, message },
            Input::Timer(timer) => Input::Timer(timer),
            Input::Captured(state) => Input::Captured(state),
            Input::Checkpoint(state) => Input::Checkpoint(state),
            Input::Flush => Input::Flush,
        };
        let mut asked = Effects::default();
        self.inner.step(input, &mut asked);
        for effect in asked.drain() {
            effects.push(match effect {
                Effect::Execute { instance, .. }
                    if self.id == NEGLIGENT && instance.slot == FORGOTTEN_SLOT =>
                {
                    continue;
                }
                Effect::Execute { instance, batch } => Effect::Execute { instance, batch },
                Effect::Persist(record) => Effect::Persist(record),
                Effect::Send { to, message } => Effect::Send { to, message },
                Effect::SetTimer { timer, after } => Effect::SetTimer { timer, after },
                Effect::CancelTimer(timer) => Effect::CancelTimer(timer),
                Effect::Committed { instance, batch, dependencies, path } => {
                    Effect::Committed { instance, batch, dependencies, path }
                }
                Effect::Capture => Effect::Capture,
                Effect::Install(snapshot) => Effect::Install(snapshot),
                Effect::Checkpoint(snapshot) => Effect::Checkpoint(snapshot),
            });
        }
    }

    fn admissible(message: &Self::Message, replicas: usize) -> bool {
        MultiPaxos::admissible(message, replicas)
    }

    fn status(&self) -> Status {
        self.inner.status()
    }
}

const WORKLOAD: &str = "name = \"x\"\nprotocols = [\"multi-paxos\"]\nrepetitions = 1\n\
    cluster.driver = \"sim\"\ncommands.conflict_rate = 1\n\
    load = { clients_per_site = 4, warmup_s = 0.1, duration_s = 0.5 }";

fn simulated<R: Replica>(results: &Path) -> Simulated {
    let workload = Workload::parse("x.toml", WORKLOAD, &[]).unwrap();
    let plan = Plan::new(&workload);
    let halt = AtomicBool::new(false);
    let setting = Setting {
        workload: &workload,
        results,
        keep_history: false,
        halt: &halt,
        command: "bench run x.toml",
    };
    run::<R>(setting, &plan.runs[0])
}

#[test]
fn a_broken_rule_is_a_violation_with_its_last_events_as_evidence() {
    let results = tempfile::tempdir().unwrap();
    let Simulated { ended, violation, .. } = simulated::<Negligent>(results.path());
    let line = violation.expect("the observers saw nothing");
    assert!(line.starts_with("Order broken: r2 executes 0.51 after 49 writes"), "{line}");
    assert!(line.contains("; again: bench "), "{line}");
    let verdict = ended.record.expect("there is a record of what was measured").verdict;
    assert!(verdict.is_violation() && !verdict.valid);
    assert_eq!(verdict.replicas_agree, Some(false));
    let finding = &verdict.reasons[0];
    assert_eq!(finding.severity, Severity::Violation);
    assert!(finding.text.contains("Order broken at"), "{finding:?}");
    let evidence = results.path().join("evidence-multi-paxos-default-r1.txt");
    let evidence = fs::read_to_string(evidence).unwrap();
    assert!(evidence.contains("r2 executes 0.51 = "), "{evidence}");
    assert!(evidence.lines().count() > 100, "{evidence}");
}

#[test]
fn a_correct_core_leaves_no_evidence() {
    let results = tempfile::tempdir().unwrap();
    let Simulated { ended, violation, commits_ns } = simulated::<MultiPaxos>(results.path());
    assert_eq!((violation, ended.witness), (None, None));
    let record = ended.record.unwrap();
    assert!(record.verdict.valid, "{:?}", record.verdict);
    assert_eq!(record.verdict.linearizable, Linearizable::True);
    let commits: u64 = record.replicas.iter().map(|replica| replica.commit.len()).sum();
    assert_eq!(commits, commits_ns.iter().map(|of| of.len() as u64).sum::<u64>());
    assert!(commits > 100, "{commits}");
    assert_eq!(fs::read_dir(results.path()).unwrap().count(), 0, "nothing was written");
}

/// One key of five far sites, on which a chain of conflicts grows while the load lasts: what came in during the window is
/// counted once, executed or not when the waiting ends, and once the load is over nothing is.
#[test]
fn what_comes_in_during_the_window_is_counted_once_however_late_it_is_executed() {
    let results = tempfile::tempdir().unwrap();
    let halt = AtomicBool::new(false);
    let text = "name = \"x\"\nprotocols = [\"epaxos\"]\nrepetitions = 1\nseed = 7\n\
         cluster = { driver = \"sim\", replicas = 5 }\n\
         sim = { cpu_us_per_wakeup = 0, cpu_us_per_message = 0, cpu_ns_per_byte = 0 }\n\
         load = { mode = \"open\", clients_per_site = 4, rate_ops_per_s = 500, warmup_s = 0.2, duration_s = 1 }\n\
         commands.conflict_rate = 1\ntimeouts.client_ms = 300\n\
         [network.topology]\nsource = \"invented\"\nsites = [\"A\", \"B\", \"C\", \"D\", \"E\"]\n\
         round_trip_ms = { A-B = 70, A-C = 90, A-D = 60, A-E = 150, B-C = 140, B-D = 30, B-E = 120, C-D = 150, \
         C-E = 270, D-E = 110 }\n";
    let workload = Workload::parse("x.toml", text, &[]).unwrap();
    let setting = Setting {
        workload: &workload,
        results: results.path(),
        keep_history: false,
        halt: &halt,
        command: "bench run x.toml",
    };
    let record = run::<EPaxos>(setting, &Plan::new(&workload).runs[0]).ended.record.unwrap();
    let (commit, execute) = (record.merged_commit(), record.merged_execute());
    assert!(execute.censored() > 0, "some are not executed while the load lasts: {execute:?}");
    assert_eq!(commit.len(), execute.len());
    assert_eq!(record.executed_before_commit(), "");
}

/// Under load, where announcements travel with other messages, every replica exchanges what the model says, but for a tenth:
/// progress reports, and what finds no company.
#[test]
fn replicas_exchange_the_messages_of_the_busiest_replica_model() {
    let results = tempfile::tempdir().unwrap();
    let halt = AtomicBool::new(false);
    let even = "clients_per_site = 64";
    let uneven = "clients = 3, mode = \"pipelined\", window = 64";
    for (variant, replicas, clients) in
        [("star", 3, even), ("star", 5, even), ("sosp13", 5, even), ("star", 5, uneven)]
    {
        let text = format!(
            "name = \"x\"\nprotocols = [\"multi-paxos\", \"epaxos\"]\nrepetitions = 1\n\
             cluster = {{ driver = \"sim\", replicas = {replicas} }}\nepaxos.variant = \"{variant}\"\n\
             commands.conflict_rate = 0.1\n\
             load = {{ {clients}, warmup_s = 0.02, duration_s = 0.02 }}"
        );
        let workload = Workload::parse("x.toml", &text, &[]).unwrap();
        let setting = Setting {
            workload: &workload,
            results: results.path(),
            keep_history: false,
            halt: &halt,
            command: "bench run x.toml",
        };
        for planned in &Plan::new(&workload).runs {
            let simulated = match planned.protocol.name() {
                "multi-paxos" => run::<MultiPaxos>(setting, planned),
                _ => run::<EPaxos>(setting, planned),
            };
            let record = simulated.ended.record.unwrap();
            assert!(record.verdict.valid, "{:?}", record.verdict);
            let (first, rest) = if planned.protocol == protocols::multi_paxos::PROTOCOL {
                (Role::Leader, Role::Follower)
            } else {
                (Role::Peer, Role::Peer)
            };
            let roles: Vec<Role> = record.replicas.iter().map(|replica| replica.role).collect();
            assert_eq!(roles[0], first, "{}", planned.protocol);
            assert_eq!(roles[1..], vec![rest; replicas - 1], "{}", planned.protocol);
            let count = |of: fn(&measure::ReplicaCounters) -> u64| -> u64 {
                record.replicas.iter().map(|replica| of(&replica.counters)).sum()
            };
            let (fast, slow) = (count(|of| of.commits_fast), count(|of| of.commits_slow));
            let slow = if planned.protocol == protocols::epaxos::PROTOCOL {
                slow as f64 / (fast + slow) as f64
            } else {
                0.0
            };
            let model = workload.load_model(planned.protocol, &planned.point, slow).unwrap();
            for (replica, load) in record.replicas.iter().zip(&model) {
                let messages = replica.counters.messages_in + replica.counters.messages_out;
                let measured = messages as f64 / record.operations() as f64;
                let error = measured / load.messages - 1.0;
                let who = (planned.protocol, variant, replicas, replica.replica);
                assert!(error.abs() < 0.1, "{who:?}: {measured} against {}", load.messages);
            }
        }
    }
}
