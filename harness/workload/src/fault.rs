//! Fault plans: what is done to the cluster while it is measured. Only their description; [`crate::schedule`] says when,
//! drivers carry them out.

use protocols::{ReplicaId, ReplicaSet};
use serde::{Serialize, Serializer};

/// One `[[faults]]` entry.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fault {
    /// When, from the start of measuring.
    pub at_s: f64,
    /// Again and again after so long; none is once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_s: Option<f64>,
    /// What.
    #[serde(flatten)]
    pub action: Action,
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The process ends at once, with nothing written.
    Kill(Target),
    /// A killed replica comes back with what it had persisted.
    Restart(Target),
    /// The process stands still.
    Pause(Target),
    /// A paused process goes on.
    Resume(Target),
    /// Messages between some replicas are cut off.
    Partition(Partition),
    /// Every partition ends.
    #[serde(serialize_with = "serialize_true")]
    Heal,
    /// One replica's processing takes longer.
    Slow(Slow),
    /// Every link gets worse; what is not named stays as it was.
    #[serde(untagged)]
    Links(Links),
}

/// Which replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// One drawn from the run's seed, of those that the action makes sense for.
    Random,
    /// The leader at that moment; for protocols without one as `Random`.
    Leader,
    /// This one.
    #[serde(untagged)]
    Replica(ReplicaId),
}

/// Who no longer hears whom.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Partition {
    /// Replicas hear only their own group. Disjoint; every replica is in one, or one group alone is
    /// named and all others are the second.
    Groups(Vec<Vec<ReplicaId>>),
    /// One way: what `from` sends does not reach `to`.
    OneWay {
        /// Senders.
        from: Vec<ReplicaId>,
        /// Receivers, none of them a sender.
        to: Vec<ReplicaId>,
    },
}

/// The groups that `named` ones are in a cluster of `replicas`.
pub fn groups(named: &[Vec<ReplicaId>], replicas: usize) -> Vec<ReplicaSet> {
    let set = |group: &Vec<ReplicaId>| group.iter().copied().collect::<ReplicaSet>();
    let mut groups: Vec<ReplicaSet> = named.iter().map(set).collect();
    if let [alone] = groups[..] {
        groups.push(ReplicaId::all(replicas).filter(|other| !alone.contains(*other)).collect());
    }
    groups
}

/// A slower replica.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Slow {
    /// Which.
    pub replica: ReplicaId,
    /// How many times the processing time; 1 is normal again.
    pub factor: f64,
}

/// Worse links. The simulator carries out the first three, on all links.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Links {
    /// Share that is lost, 0..=1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_rate: Option<f64>,
    /// Share that arrives twice, 0..=1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate_rate: Option<f64>,
    /// Added one way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<f64>,
    /// The most that is added beyond that, uniformly drawn from 0 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter_ms: Option<f64>,
    /// Share that is held back for later ones to overtake, 0..=1. Of packets only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reorder_rate: Option<f64>,
    /// What goes one way of each link in a second; 0 is no limit. Of packets only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandwidth_mbit_per_s: Option<f64>,
    /// Only what these send; none is everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Vec<ReplicaId>>,
    /// Only to these; none is everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Vec<ReplicaId>>,
    /// What is lost, doubled or delayed.
    pub layer: Layer,
}

/// Where a link fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// Datagrams, under QUIC, which hides loss and duplicates from the protocol.
    Packet,
    /// Protocol messages, above QUIC.
    Message,
}

impl Layer {
    /// The name in files and results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Packet => "packet",
            Self::Message => "message",
        }
    }
}

fn serialize_true<S: Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(true)
}
