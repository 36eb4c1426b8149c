//! What a workload's fault plan does to real processes: it kills them.
//!
//! A killed replica is dead as planned: nobody waits for it, its clients ask the next one at once, as clients on the same
//! host do whose connection is reset, and it is left out of what is compared at the end.

use measure::{Event, ReplicaReport};
use node::control::Control;
use protocols::{ReplicaId, ReplicaSet};
use workload::{Strike, Victims, fault::Action};

use super::{cluster::Processes, generator::Load};

/// The faults of one run as they happen.
#[derive(Debug)]
pub(super) struct Faults {
    victims: Victims,
    pub(super) killed: ReplicaSet,
    /// What those reported last that were killed.
    pub(super) ended: Vec<ReplicaReport>,
    pub(super) events: Vec<Event>,
}

impl Faults {
    /// Nothing has happened yet in the run with this seed.
    pub(super) fn new(run_seed: u64) -> Self {
        Self {
            victims: Victims::new(run_seed),
            killed: ReplicaSet::EMPTY,
            ended: Vec::new(),
            events: Vec::new(),
        }
    }

    /// `strike` happens now. `leader` is whom the replicas take for it, `reports` what they said of themselves just before.
    pub(super) fn strike(
        &mut self,
        strike: &Strike<'_>,
        leader: Option<ReplicaId>,
        reports: Vec<ReplicaReport>,
        (processes, lines, load): (&mut Processes, &mut Vec<Control>, &mut Load),
    ) {
        let Action::Kill(target) = strike.action else {
            unreachable!("other faults are refused before anything is started")
        };
        let living: ReplicaSet = lines.iter().map(Control::replica).collect();
        let struck = self.victims.resolve(*target, living, leader);
        self.events.push(Event {
            t_s: load.since_begin_s(),
            event: strike.action.name().to_owned(),
            detail: strike.action.detail(struck),
        });
        let Some(killed) = struck else { return };
        processes.kill(killed);
        lines.retain(|line| line.replica() != killed);
        load.close(killed);
        self.killed.insert(killed);
        let its = |report: &ReplicaReport| report.replica == u32::from(killed.0);
        self.ended.extend(reports.into_iter().filter(its));
    }
}

/// Whom most replicas take for the leader, by what they said.
pub(super) fn most_named(leaders: impl Iterator<Item = Option<ReplicaId>>) -> Option<ReplicaId> {
    let mut named: Vec<ReplicaId> = leaders.flatten().collect();
    named.sort_unstable();
    let groups = named.chunk_by(|one, other| one == other);
    groups.max_by_key(|group| group.len()).map(|group| group[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leader_is_whom_most_name() {
        let named = |leaders: &[u8]| {
            let name = |&leader: &u8| (leader < 9).then_some(ReplicaId(leader));
            most_named(leaders.iter().map(name))
        };
        assert_eq!(named(&[9, 9, 9]), None);
        assert_eq!(named(&[2, 9, 9]), Some(ReplicaId(2)));
        assert_eq!(named(&[0, 1, 1]), Some(ReplicaId(1)));
    }
}
