//! How messages, timers and batches are called in scripts.

use std::collections::BTreeMap;

use protocols::{
    Batch, Dependencies, InstanceId, Replica, Slot,
    epaxos::{self, EPaxos, Phase, Report},
    multi_paxos::{self, MultiPaxos},
    paxos::{self, Paxos},
};

use super::pattern::{parse_instance, parse_replica};

/// A protocol that scripts can be written for.
pub trait Words: Replica {
    /// What a message is called.
    fn tell(message: &Self::Message, names: &Names) -> Told;
    /// What an instance is called.
    fn name(at: InstanceId) -> String;
    /// The timer of this name.
    fn timer(words: &[&str]) -> Option<Self::Timer>;
}

/// A message in words.
#[derive(Clone, Debug)]
pub struct Told {
    pub kind: &'static str,
    pub instance: Option<InstanceId>,
    line: String,
}

impl Told {
    /// About an instance of several rows.
    fn of(kind: &'static str, at: InstanceId, rest: &str) -> Self {
        Self { kind, instance: Some(at), line: format!("{kind} {at}{rest}") }
    }

    /// About a slot of the only row.
    fn slot(kind: &'static str, slot: Slot, rest: &str) -> Self {
        let instance = Some(InstanceId::single_row(slot));
        Self { kind, instance, line: format!("{kind} {slot}{rest}") }
    }

    /// About no single instance.
    fn general(kind: &'static str, rest: &str) -> Self {
        Self { kind, instance: None, line: format!("{kind}{rest}") }
    }

    pub fn line(&self) -> &str {
        &self.line
    }
}

/// The labels that a script gives to batches.
#[derive(Clone, Debug, Default)]
pub struct Names {
    labels: BTreeMap<Vec<u8>, String>,
    batches: BTreeMap<String, Batch>,
    /// Per label, its client and how many requests that client has made.
    pub clients: BTreeMap<String, u64>,
    pub requests: BTreeMap<u64, (u64, u64)>,
}

impl Names {
    pub fn add(&mut self, label: &str, batch: &Batch) {
        self.labels.insert(batch.as_bytes().to_vec(), label.to_owned());
        self.batches.insert(label.to_owned(), batch.clone());
    }

    pub fn batch(&self, label: &str) -> Option<&Batch> {
        self.batches.get(label)
    }

    pub fn of(&self, batch: &Batch) -> String {
        if batch.is_noop() {
            return "no-op".to_owned();
        }
        self.labels.get(batch.as_bytes()).cloned().unwrap_or_else(|| format!("{batch:?}"))
    }
}

/// ` after {…}`; nothing where there are no rows.
pub fn dependencies(on: &Dependencies) -> String {
    let seq = on.seq().map(|seq| format!(" seq {seq}")).unwrap_or_default();
    if on.rows() == 0 { String::new() } else { format!(" after {}{seq}", set(on)) }
}

fn set(on: &Dependencies) -> String {
    let upto: Vec<_> = on.iter().map(|upto| upto.to_string()).collect();
    format!("{{{}}}", upto.join(" "))
}

pub fn value(value: Option<&[u8]>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |value| String::from_utf8_lossy(value).into_owned())
}

fn report(report: &Report, names: &Names) -> String {
    let phase = match report.phase {
        Phase::None => "nothing",
        Phase::PreAccepted => "pre-accepted",
        Phase::Accepted => "accepted",
        Phase::Committed => "committed",
    };
    let mut text = format!(": {phase}");
    if report.phase > Phase::None {
        let at = if report.phase == Phase::Accepted {
            format!(" at {:?}", report.accepted_ballot)
        } else {
            String::new()
        };
        text += &format!("{at} {}{}", names.of(&report.batch), dependencies(&report.dependencies));
    }
    if let Some(initial) = &report.initial_dependencies {
        text += &format!(", proposed{}", dependencies(initial));
    }
    text
}

impl Words for EPaxos {
    fn name(at: InstanceId) -> String {
        at.to_string()
    }

    fn tell(message: &epaxos::Message, names: &Names) -> Told {
        use epaxos::Message as M;
        let tuple = |batch: &Batch, on: &Dependencies| {
            format!(" = {}{}", names.of(batch), dependencies(on))
        };
        match message {
            M::PreAccept { instance, batch, dependencies } => {
                Told::of("PreAccept", *instance, &tuple(batch, dependencies))
            }
            M::PreAcceptOk { instance, more } => {
                let more = more.as_ref().map(dependencies).unwrap_or_default();
                Told::of("PreAcceptOk", *instance, &more)
            }
            M::Accept { instance, ballot, batch, dependencies } => {
                let text = format!(" at {ballot:?}{}", tuple(batch, dependencies));
                Told::of("Accept", *instance, &text)
            }
            M::AcceptOk { instance, ballot } => {
                Told::of("AcceptOk", *instance, &format!(" at {ballot:?}"))
            }
            M::Commit { instance, batch, dependencies: on } => {
                let batch = batch.as_ref().map(|batch| format!(" = {}", names.of(batch)));
                let on = on.as_ref().map(dependencies).unwrap_or_default();
                Told::of("Commit", *instance, &(batch.unwrap_or_default() + &on))
            }
            M::Ask { instance } => Told::of("Ask", *instance, ""),
            M::Progress { committed, executed, .. } => {
                let text = format!(": committed {}, executed {}", set(committed), set(executed));
                Told::general("Progress", &text)
            }
            M::Recover { instance, ballot } => {
                Told::of("Recover", *instance, &format!(" at {ballot:?}"))
            }
            M::RecoverOk { instance, ballot, report: held } => {
                let text = format!(" at {ballot:?}{}", report(held, names));
                Told::of("RecoverOk", *instance, &text)
            }
            M::Validate { instance, ballot, batch, dependencies } => {
                let text = format!(" at {ballot:?}{}", tuple(batch, dependencies));
                Told::of("Validate", *instance, &text)
            }
            M::ValidateOk { instance, ballot, against } => {
                let against: Vec<_> =
                    against.iter().map(|(other, phase)| format!("{other} ({phase:?})")).collect();
                let against =
                    if against.is_empty() { "nothing".to_owned() } else { against.join(", ") };
                let text = format!(" at {ballot:?}: {against} is against it");
                Told::of("ValidateOk", *instance, &text)
            }
            M::Waiting { instance, matching } => {
                Told::of("Waiting", *instance, &format!(" with {matching}"))
            }
            M::Refused { instance, ballot } => {
                Told::of("Refused", *instance, &format!(": {ballot:?} is promised"))
            }
            M::Collected { instance } => Told::of("Collected", *instance, ""),
            M::Fetch { offset, .. } => {
                Told::general("Fetch", &format!(" a snapshot from byte {offset}"))
            }
            M::Piece(_) => Told::general("Piece", " of a snapshot"),
            M::PreAcceptAgain { instance, ballot, batch, dependencies } => {
                let text = format!(" at {ballot:?}{}", tuple(batch, dependencies));
                Told::of("PreAcceptAgain", *instance, &text)
            }
            M::PreAcceptAgainOk { instance, ballot, dependencies: on } => {
                let text = format!(" at {ballot:?}{}", dependencies(on));
                Told::of("PreAcceptAgainOk", *instance, &text)
            }
        }
    }

    fn timer(words: &[&str]) -> Option<epaxos::Timer> {
        Some(match words {
            ["retransmit"] => epaxos::Timer::Retransmit,
            ["progress"] => epaxos::Timer::Progress,
            ["fast", "quorum"] => epaxos::Timer::FastQuorum,
            ["row", row] => epaxos::Timer::Row(parse_replica(&format!("r{row}")).ok()?),
            ["instance", at] => epaxos::Timer::Instance(parse_instance(at).ok()?),
            _ => return None,
        })
    }
}

impl Words for MultiPaxos {
    fn name(at: InstanceId) -> String {
        at.slot.to_string()
    }

    fn tell(message: &multi_paxos::Message, names: &Names) -> Told {
        use multi_paxos::Message as M;
        match message {
            M::Prepare { ballot, first } => {
                Told::general("Prepare", &format!(" {ballot:?} from {first}"))
            }
            M::Promise(promise) => {
                let entries: Vec<_> = promise
                    .entries
                    .iter()
                    .map(|entry| {
                        let decided = if entry.decided { " (decided)" } else { "" };
                        let batch = names.of(&entry.batch);
                        format!("{} = {batch} at {:?}{decided}", entry.slot, entry.ballot)
                    })
                    .collect();
                let entries =
                    if entries.is_empty() { "nothing".to_owned() } else { entries.join(", ") };
                let gone = promise.discarded;
                let text = format!(" {:?}: {entries}; discarded to {gone}", promise.ballot);
                Told::general("Promise", &text)
            }
            M::Accept { ballot, slot, batch, commit, .. } => {
                let text = format!(" at {ballot:?} = {}, commit {commit}", names.of(batch));
                Told::slot("Accept", *slot, &text)
            }
            M::Accepted { ballot, slot, .. } => {
                Told::slot("Accepted", *slot, &format!(" at {ballot:?}"))
            }
            M::Commit { ballot, commit, .. } => {
                Told::general("Commit", &format!(" {ballot:?} to {commit}"))
            }
            M::Heartbeat { ballot, commit, .. } => {
                Told::general("Heartbeat", &format!(" {ballot:?}, commit {commit}"))
            }
            M::Alive { ballot, executed, .. } => {
                Told::general("Alive", &format!(" {ballot:?}, executed {executed}"))
            }
            M::Refuse { promised } => {
                Told::general("Refuse", &format!(": {promised:?} is promised"))
            }
            M::Forward { batch, .. } => Told::general("Forward", &format!(" {}", names.of(batch))),
            M::Relay { batch, .. } => Told::general("Relay", &format!(" {}", names.of(batch))),
            M::Led { executed } => Told::general("Led", &format!(", executed {executed}")),
            M::Fetch { first, last, .. } => Told::general("Fetch", &format!(" {first} to {last}")),
            M::Decided { first, batches } => {
                Told::general("Decided", &decided(*first, batches, names))
            }
            M::Discarded { through } => Told::general("Discarded", &format!(" to {through}")),
            M::FetchSnapshot { through, offset, .. } => {
                Told::general("FetchSnapshot", &format!(" {through} from byte {offset}"))
            }
            M::Piece(piece) => {
                Told::general("Piece", &format!(" of the snapshot to {}", piece.through))
            }
            M::PreVote { poll } => Told::general("PreVote", &format!(" {poll}")),
            M::PreVoteGranted { poll, promised } => {
                Told::general("PreVoteGranted", &format!(" {poll}, {promised:?} is promised"))
            }
        }
    }

    fn timer(words: &[&str]) -> Option<multi_paxos::Timer> {
        Some(match words {
            ["election"] => multi_paxos::Timer::Election,
            ["heartbeat"] => multi_paxos::Timer::Heartbeat,
            ["retransmit"] => multi_paxos::Timer::Retransmit,
            ["supply"] => multi_paxos::Timer::Supply,
            _ => return None,
        })
    }
}

impl Words for Paxos {
    fn name(at: InstanceId) -> String {
        at.slot.to_string()
    }

    fn tell(message: &paxos::Message, names: &Names) -> Told {
        use paxos::Message as M;
        match message {
            M::Prepare { slot, ballot } => Told::slot("Prepare", *slot, &format!(" {ballot:?}")),
            M::Promise { slot, ballot, accepted } => {
                let held = accepted.as_ref().map_or_else(
                    || "nothing accepted".to_owned(),
                    |(at, batch)| format!("accepted {} at {at:?}", names.of(batch)),
                );
                Told::slot("Promise", *slot, &format!(" {ballot:?}: {held}"))
            }
            M::Accept { slot, ballot, batch } => {
                Told::slot("Accept", *slot, &format!(" {ballot:?} = {}", names.of(batch)))
            }
            M::Accepted { slot, ballot } => Told::slot("Accepted", *slot, &format!(" {ballot:?}")),
            M::Refuse { slot, ballot, promised } => {
                Told::slot("Refuse", *slot, &format!(" {ballot:?}: {promised:?} is promised"))
            }
            M::Commit { slot, ballot } => Told::slot("Commit", *slot, &format!(" {ballot:?}")),
            M::Report { executed, yours } => {
                Told::general("Report", &format!(": I am at {executed}, you at {yours}"))
            }
            M::Fetch { first, last, .. } => Told::general("Fetch", &format!(" {first} to {last}")),
            M::Decided { first, batches } => {
                Told::general("Decided", &decided(*first, batches, names))
            }
            M::Discarded { through } => Told::general("Discarded", &format!(" to {through}")),
            M::FetchSnapshot { through, offset, .. } => {
                Told::general("FetchSnapshot", &format!(" {through} from byte {offset}"))
            }
            M::Piece(piece) => {
                Told::general("Piece", &format!(" of the snapshot to {}", piece.through))
            }
        }
    }

    fn timer(words: &[&str]) -> Option<paxos::Timer> {
        Some(match words {
            ["back-off"] => paxos::Timer::BackOff,
            ["retransmit"] => paxos::Timer::Retransmit,
            ["supply"] => paxos::Timer::Supply,
            _ => return None,
        })
    }
}

fn decided(first: u64, batches: &[Batch], names: &Names) -> String {
    let told: Vec<_> = (first..)
        .zip(batches)
        .map(|(slot, batch)| format!("{slot} = {}", names.of(batch)))
        .collect();
    format!(" {}", told.join(", "))
}
