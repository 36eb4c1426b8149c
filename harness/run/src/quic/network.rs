//! How a fault plan has made the network by some moment, and what to tell somebody who knows how it was before.

use measure::{NetworkReport, ReplicaReport, SiteRecord};
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
    /// How links were made worse, and better again, in the order of time: what one change does not name stays as it was.
    links: Vec<LinkChange>,
    /// How many times its CPU time each replica takes.
    slow: Vec<f64>,
}

impl Network {
    /// Nothing was changed yet.
    pub(super) fn new(replicas: usize) -> Self {
        Self { version: 0, blocked: Vec::new(), links: Vec::new(), slow: vec![1.0; replicas] }
    }

    /// Takes `action` in; is it one that changes the network, or a replica's pace?
    pub(super) fn take(&mut self, action: &Action) -> bool {
        match action {
            Action::Partition(Partition::Groups(groups)) => {
                self.block(NetworkChange::split(&fault::groups(groups, self.slow.len())));
            }
            Action::Partition(Partition::OneWay { from, to }) => {
                self.block(NetworkChange::one_way(set(from), set(to)));
            }
            Action::Heal => self.blocked.clear(),
            Action::Slow(slow) => self.slow[slow.replica.index()] = slow.factor,
            Action::Links(links) => self.links.push(of_links(links, self.slow.len())),
            Action::Kill(_) | Action::Restart(_) | Action::Pause(_) | Action::Resume(_) => {
                return false;
            }
        }
        self.version += 1;
        true
    }

    /// Every change ends.
    pub(super) fn end(&mut self) {
        self.version += 1;
        self.blocked.clear();
        self.slow.fill(1.0);
        // A layer that nothing was done to stays untouched: there may be no emulated network at all.
        let undone = NetworkChange::ends(self.slow.len());
        let undone = undone.into_iter().filter_map(|change| match change {
            NetworkChange::Links(links) => Some(links),
            _ => None,
        });
        let is_changed =
            |undone: &LinkChange| self.links.iter().any(|change| change.layer == undone.layer);
        let undone: Vec<LinkChange> = undone.filter(is_changed).collect();
        self.links.extend(undone);
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
        let news = self.links.get(before.links.len()..).unwrap_or_default();
        changes.extend(news.iter().cloned().map(NetworkChange::Links));
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

/// The network that `run` begins with; none if it needs no other than the bare loopback.
pub(super) fn plan(workload: &Workload, run: &Run) -> Option<NetworkPlan> {
    let replicas = run.point.replicas;
    let sites = workload.sites(replicas);
    let is_of_packets = |action: &Action| match action {
        Action::Partition(_) => true,
        Action::Links(links) => links.layer == fault::Layer::Packet,
        _ => false,
    };
    let is_changed = workload.faults.iter().any(|fault| is_of_packets(&fault.action));
    if sites.is_none() && !is_changed {
        return None;
    }
    let mut plan = NetworkPlan::flat(replicas, run.seed);
    if let Some(sites) = sites {
        (plan.one_way_ns, plan.jitter_ns) = (sites.one_way_ns, sites.jitter_ns);
    }
    plan.round_trip_ns_max =
        u64::try_from(workload.round_trip_max().as_nanos()).unwrap_or(u64::MAX);
    Some(plan)
}

fn of_links(links: &Links, replicas: usize) -> LinkChange {
    let layer = match links.layer {
        fault::Layer::Packet => Layer::Packet,
        fault::Layer::Message => Layer::Message,
    };
    let mut change = LinkChange::of_all(layer, replicas);
    let set = |ids: &Option<Vec<ReplicaId>>, all: ReplicaSet| {
        ids.as_ref().map_or(all, |ids| ids.iter().copied().collect())
    };
    change.from = set(&links.from, change.from);
    change.to = set(&links.to, change.to);
    change.loss_rate = links.loss_rate;
    change.duplicate_rate = links.duplicate_rate;
    change.delay_ns = links.delay_ms.map(nanoseconds);
    change.jitter_ns = links.jitter_ms.map(nanoseconds);
    change.reorder_rate = links.reorder_rate;
    change.bytes_per_s = links.bandwidth_mbit_per_s.map(|mbit_per_s| match mbit_per_s {
        0.0 => f64::INFINITY,
        mbit_per_s => mbit_per_s * 1e6 / 8.0,
    });
    change
}

/// What was done on purpose in a run, by the name of whoever did it.
pub(super) fn reports(
    replicas: &[ReplicaReport],
    sites: &[SiteRecord],
    of_sites: &[NetworkReport],
) -> Vec<(String, NetworkReport)> {
    let of_replicas =
        replicas.iter().map(|report| (format!("replica {}", report.replica), report.network));
    let of_clients = of_sites.iter().zip(sites);
    let of_clients =
        of_clients.map(|(report, site)| (format!("the clients at site {}", site.site), *report));
    of_replicas.chain(of_clients).filter(|(_, report)| report.is_used()).collect()
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
    use workload::fault::Slow;

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
    fn what_a_fault_of_links_says_is_told_in_order_and_keeps_its_units() {
        let (mut network, fresh) = (Network::new(3), Network::new(3));
        let workload = workload(
            "faults = [{ at_s = 1, loss_rate = 0.1, layer = \"message\" }, \
             { at_s = 1, delay_ms = 1.5, jitter_ms = 0.25, bandwidth_mbit_per_s = 8, reorder_rate = 0.1, \
             from = [0], to = [1, 2], layer = \"packet\" }]",
        );
        assert!(workload.faults.iter().all(|fault| network.take(&fault.action)));
        let changes = network.changes_since(&fresh, None);
        let [NetworkChange::Links(lossy), NetworkChange::Links(slow)] = changes.as_slice() else {
            panic!("{changes:?}")
        };
        assert_eq!(
            (lossy.loss_rate, lossy.delay_ns, lossy.layer),
            (Some(0.1), None, Layer::Message)
        );
        assert_eq!((slow.delay_ns, slow.jitter_ns), (Some(1_500_000), Some(250_000)));
        assert_eq!((slow.bytes_per_s, slow.reorder_rate), (Some(1e6), Some(0.1)));
        assert_eq!((slow.from, slow.to.len()), (ReplicaSet::only(ReplicaId(0)), 2));
        let before = network.clone();
        network.end();
        let ends = network.changes_since(&before, None);
        assert_eq!(ends.len(), 2, "packets and messages fare well again: {ends:?}");
        let mut untouched = Network::new(3);
        untouched.end();
        assert_eq!(untouched.changes_since(&fresh, Some(ReplicaId(0))), []);
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

    fn workload(rest: &str) -> Workload {
        Workload::parse("x.toml", &format!("name = \"x\"\n{rest}"), &[]).unwrap()
    }

    fn plan_of(rest: &str) -> Option<NetworkPlan> {
        let workload = workload(rest);
        plan(&workload, &workload::Plan::new(&workload).runs[0])
    }

    #[test]
    fn a_network_is_emulated_only_where_packets_are_to_fare_otherwise() {
        assert!(plan_of("").is_none());
        assert!(plan_of("faults = [{ at_s = 1, kill = 0 }]").is_none());
        let message = "faults = [{ at_s = 1, loss_rate = 0.1, layer = \"message\" }]";
        assert!(plan_of(message).is_none());
        assert!(plan_of("faults = [{ at_s = 1, slow = { replica = 0, factor = 2 } }]").is_none());
        let cut = plan_of("faults = [{ at_s = 1, partition = [[0], [1, 2]] }]").unwrap();
        assert_eq!(cut.one_way_ns, vec![vec![0; 3]; 3]);
        let far = "faults = [{ at_s = 1, delay_ms = 500, layer = \"packet\" }]\n[network]\n\
            topology = { source = \"x\", sites = [\"A\", \"B\", \"C\"], jitter_ms = 1, \
            round_trip_ms = { A-B = 10, A-C = 20, B-C = 30 } }";
        let far = plan_of(far).unwrap();
        assert_eq!((far.one_way_ns[0][1], far.jitter_ns[0][1]), (5_000_000, 1_000_000));
        assert!(far.round_trip_ns_max >= 1_032_000_000, "{far:?}");
    }
}
