//! How a fault plan has made the network by some moment, and what to tell somebody who knows how it was before.

use node::emulator::{Layer, LinkChange, NetworkChange, NetworkPlan};
use protocols::{ReplicaId, ReplicaSet};
use workload::{
    Run, Workload,
    fault::{self, Action, Links, Partition},
};

/// The network with all changes so far.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Network {
    /// How many changes there were.
    pub(super) version: u64,
    /// Who is not heard by whom, sorted.
    blocked: Vec<(ReplicaId, ReplicaId)>,
    packets: Worse,
    messages: Worse,
    /// How many times its CPU time each replica takes.
    slow: Vec<f64>,
}

/// How much worse every link is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Worse {
    loss_rate: f64,
    duplicate_rate: f64,
    delay_ns: u64,
}

impl Network {
    /// Nothing was changed yet.
    pub(super) fn new(replicas: usize) -> Self {
        Self {
            version: 0,
            blocked: Vec::new(),
            packets: Worse::default(),
            messages: Worse::default(),
            slow: vec![1.0; replicas],
        }
    }

    /// Takes `action` in; is it one that changes the network, or a replica's pace?
    pub(super) fn take(&mut self, action: &Action) -> bool {
        match action {
            Action::Partition(Partition::Groups(groups)) => {
                let groups: Vec<ReplicaSet> = groups.iter().map(|group| set(group)).collect();
                self.block(NetworkChange::split(&groups));
            }
            Action::Partition(Partition::OneWay { from, to }) => {
                self.block(NetworkChange::one_way(set(from), set(to)));
            }
            Action::Heal => self.blocked.clear(),
            Action::Slow(slow) => self.slow[slow.replica.index()] = slow.factor,
            Action::Links(links) => match links.layer {
                fault::Layer::Packet => self.packets.take(links),
                fault::Layer::Message => self.messages.take(links),
            },
            Action::Kill(_) | Action::Restart(_) | Action::Pause(_) | Action::Resume(_) => {
                return false;
            }
        }
        self.version += 1;
        true
    }

    /// Every change ends.
    pub(super) fn end(&mut self) {
        *self = Self { version: self.version + 1, ..Self::new(self.slow.len()) };
    }

    /// What to tell `replica`, or the clients, who know of all changes up to `before`.
    pub(super) fn changes_since(
        &self,
        before: &Self,
        replica: Option<ReplicaId>,
    ) -> Vec<NetworkChange> {
        let mut changes = Vec::new();
        let ended = before.blocked.iter().any(|pair| !self.blocked.contains(pair));
        if ended {
            changes.push(NetworkChange::Heal);
        }
        let is_new = |pair: &&(ReplicaId, ReplicaId)| ended || !before.blocked.contains(pair);
        let blocked: Vec<_> = self.blocked.iter().filter(is_new).copied().collect();
        if !blocked.is_empty() {
            changes.push(NetworkChange::Partition { blocked });
        }
        let replicas = self.slow.len();
        if self.packets != before.packets {
            changes.push(self.packets.change(Layer::Packet, replicas));
        }
        if self.messages != before.messages {
            changes.push(self.messages.change(Layer::Message, replicas));
        }
        if let Some(replica) = replica {
            let factor = self.slow[replica.index()];
            if factor.to_bits() != before.slow[replica.index()].to_bits() {
                changes.push(NetworkChange::Slow { factor });
            }
        }
        changes
    }

    fn block(&mut self, change: NetworkChange) {
        if let NetworkChange::Partition { blocked } = change {
            self.blocked.extend(blocked);
            self.blocked.sort_unstable();
            self.blocked.dedup();
        }
    }
}

impl Worse {
    /// What is not named stays as it was.
    fn take(&mut self, links: &Links) {
        self.loss_rate = links.loss_rate.unwrap_or(self.loss_rate);
        self.duplicate_rate = links.duplicate_rate.unwrap_or(self.duplicate_rate);
        self.delay_ns = links.delay_ms.map_or(self.delay_ns, nanoseconds);
    }

    fn change(&self, layer: Layer, replicas: usize) -> NetworkChange {
        NetworkChange::Links(LinkChange {
            loss_rate: Some(self.loss_rate),
            duplicate_rate: Some(self.duplicate_rate),
            delay_ns: Some(self.delay_ns),
            ..LinkChange::of_all(layer, replicas)
        })
    }
}

/// What the network of `run` is like when it begins; none if no fault changes the fate of packets.
pub(super) fn plan(workload: &Workload, run: &Run) -> Option<NetworkPlan> {
    let is_of_packets = |action: &Action| match action {
        Action::Partition(_) => true,
        Action::Links(links) => links.layer == fault::Layer::Packet,
        _ => false,
    };
    workload.faults.iter().any(|fault| is_of_packets(&fault.action)).then(|| NetworkPlan {
        round_trip_ns_max: u64::try_from(workload.round_trip_max().as_nanos()).unwrap_or(u64::MAX),
        ..NetworkPlan::flat(run.point.replicas, run.seed)
    })
}

fn set(replicas: &[ReplicaId]) -> ReplicaSet {
    replicas.iter().copied().collect()
}

fn nanoseconds(ms: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "ranges are checked at load")]
    #[expect(clippy::cast_sign_loss, reason = "ranges are checked at load")]
    let ns = (ms * 1e6).round() as u64;
    ns
}

#[cfg(test)]
mod tests {
    use workload::fault::{Layer as FaultLayer, Slow};

    use super::*;

    fn partition(from: u8, to: u8) -> Action {
        Action::Partition(Partition::OneWay {
            from: vec![ReplicaId(from)],
            to: vec![ReplicaId(to)],
        })
    }

    fn pair(from: u8, to: u8) -> (ReplicaId, ReplicaId) {
        (ReplicaId(from), ReplicaId(to))
    }

    #[test]
    fn whoever_was_away_is_told_the_sum_of_what_it_missed() {
        let fresh = Network::new(3);
        let mut network = fresh.clone();
        let groups = vec![vec![ReplicaId(0)], vec![ReplicaId(1), ReplicaId(2)]];
        assert!(network.take(&Action::Partition(Partition::Groups(groups))));
        let split = network.clone();
        assert!(network.take(&Action::Heal));
        assert!(network.take(&partition(2, 1)));
        let blocked = vec![pair(2, 1)];
        assert_eq!(network.changes_since(&fresh, None), [NetworkChange::Partition { blocked }]);
        let blocked = vec![pair(2, 1)];
        let told = network.changes_since(&split, None);
        assert_eq!(told, [NetworkChange::Heal, NetworkChange::Partition { blocked }]);
        assert_eq!(network.changes_since(&network, None), []);
    }

    #[test]
    fn a_partition_is_added_to_those_before() {
        let mut network = Network::new(3);
        network.take(&partition(0, 1));
        let before = network.clone();
        network.take(&partition(1, 0));
        let blocked = vec![pair(1, 0)];
        assert_eq!(network.changes_since(&before, None), [NetworkChange::Partition { blocked }]);
    }

    #[test]
    fn what_a_fault_of_links_does_not_name_stays_as_it_was() {
        let mut network = Network::new(3);
        let links = |loss_rate, delay_ms| {
            Action::Links(Links {
                loss_rate,
                duplicate_rate: None,
                delay_ms,
                layer: FaultLayer::Message,
            })
        };
        network.take(&links(Some(0.1), None));
        network.take(&links(None, Some(2.5)));
        let changes = network.changes_since(&Network::new(3), None);
        let [NetworkChange::Links(change)] = changes.as_slice() else { panic!("{changes:?}") };
        assert_eq!((change.loss_rate, change.delay_ns), (Some(0.1), Some(2_500_000)));
        assert_eq!(change.layer, Layer::Message);
    }

    #[test]
    fn one_replica_alone_is_told_to_be_slow_and_the_end_is_told_to_all() {
        let mut network = Network::new(3);
        network.take(&Action::Slow(Slow { replica: ReplicaId(1), factor: 4.0 }));
        let fresh = Network::new(3);
        assert_eq!(network.changes_since(&fresh, Some(ReplicaId(0))), []);
        let slow = [NetworkChange::Slow { factor: 4.0 }];
        assert_eq!(network.changes_since(&fresh, Some(ReplicaId(1))), slow);
        let before = network.clone();
        network.end();
        let normal = [NetworkChange::Slow { factor: 1.0 }];
        assert_eq!(network.changes_since(&before, Some(ReplicaId(1))), normal);
        assert!(network.version > before.version);
        assert!(!network.take(&Action::Kill(fault::Target::Random)));
    }
}
