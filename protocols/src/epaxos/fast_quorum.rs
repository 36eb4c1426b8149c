//! The wait for a fast quorum: which replicas are asked, what ends the wait, and which replicas are
//! not waited for again.
//!
//! A replica that lets a wait run out is *silent* to the one that waited. No later command waits for
//! it:
//!
//! * The published variant puts the replica that it otherwise leaves out into the fast quorum of the
//!   instance. If too few replicas answer, the instance begins without a fast path.
//! * The corrected protocol takes the slow path as soon as those that answer are no fast quorum.
//!
//! A silent replica gets a round of `rounds` in every period, even if nothing is to be sent again.
//! Commands wait for it again once it has answered a round before the next period began.
//!
//! Nothing of this survives a crash, and no instance's safety depends on it: `published` needs the
//! fast quorum of an instance to stay the same, not that of a replica.

use super::{
    EPaxos,
    instance::Leading,
    message::{Message, Timer},
};
use crate::{
    command::Batch,
    dependencies::Dependencies,
    epaxos::Variant,
    id::{InstanceId, ReplicaId, ReplicaSet},
    replica::Effects,
};

impl EPaxos {
    /// The replicas beside this one that are asked for the fast path of a new instance: in the
    /// corrected protocol all others; in the published variant as many as a fast quorum takes, of
    /// those that are not silent, those of the fixed fast quorum first. None if there are too few.
    pub(super) fn asked_for_fast_path(&self) -> Option<ReplicaSet> {
        if self.variant() == Variant::Star {
            return Some(self.others);
        }
        let count = self.quorums.fast() - 1;
        let fixed = self.fixed.difference(self.retransmission.silent);
        let others = self.others.difference(self.fixed).difference(self.retransmission.silent);
        let asked: ReplicaSet = fixed.iter().chain(others.iter()).take(count).collect();
        (asked.len() == count).then_some(asked)
    }

    /// Are those that have answered, `acks`, and those that are waited for fewer than a fast
    /// quorum?
    pub(super) fn lacks_fast_quorum(&self, acks: ReplicaSet) -> bool {
        let silent = self.retransmission.silent.difference(acks);
        self.others.difference(silent).len() + 1 < self.quorums.fast()
    }

    /// Starts the timer that ends the wait for fast quorums, unless it runs.
    pub(super) fn arm_fast_quorum_timer(&mut self, effects: &mut Effects<Self>) {
        if self.retransmission.fast_quorum_marked_to.is_none() {
            self.retransmission.fast_quorum_marked_to = Some(self.own_row().log.last());
            let period = self.config.timeouts.retransmit;
            let after = match self.variant() {
                Variant::Star => period / 2..=period,
                // Nothing may have been answered yet: as long as before anything is sent again.
                Variant::Sosp13 => period..=period + period / 4,
            };
            effects.set_timer(Timer::FastQuorum, after);
        }
    }

    /// Gives the fast path of own instances up that have waited a whole period for it: with a
    /// majority of replies they take the slow one, in the published variant they ask all others.
    pub(super) fn on_fast_quorum_timer(&mut self, effects: &mut Effects<Self>) {
        let Some(marked_to) = self.retransmission.fast_quorum_marked_to.take() else { return };
        let own = self.own_row();
        let late: Vec<_> = (own.committed_to + 1..=own.log.last())
            .map(|slot| InstanceId::new(self.id, slot))
            .filter_map(|instance| Some((instance, self.awaited(instance)?)))
            .collect();
        for (instance, awaited) in late {
            if instance.slot > marked_to {
                self.arm_fast_quorum_timer(effects);
                continue;
            }
            self.retransmission.silent = self.retransmission.silent.union(awaited);
            match self.variant() {
                Variant::Sosp13 => self.widen(instance, effects),
                Variant::Star => self.take_slow_path(instance, effects),
            }
        }
    }

    /// The replicas that the fast path of `instance` waits for; none if it does not wait. The
    /// published variant waits from the beginning, the corrected protocol once there is a majority.
    fn awaited(&self, instance: InstanceId) -> Option<ReplicaSet> {
        match self.entry(instance)?.leading.as_deref()? {
            Leading::PreAccept { acks, .. } => {
                (acks.len() + 1 >= self.quorums.slow()).then(|| self.others.difference(*acks))
            }
            Leading::Thrifty { asked, acks, .. } => Some(asked.difference(*acks)),
            _ => None,
        }
    }

    /// `peer` has answered a round before the period ended: commands wait for it again.
    pub(super) fn wait_again_for(&mut self, peer: ReplicaId) {
        self.retransmission.silent.remove(peer);
    }

    /// What leading an instance with these dependencies begins with, if `asked` are asked for the
    /// fast path.
    pub(super) fn leading_proposal(
        &self,
        asked: Option<ReplicaSet>,
        dependencies: &Dependencies,
    ) -> Leading {
        let (acks, union) = (ReplicaSet::EMPTY, dependencies.clone());
        match (self.variant(), asked) {
            (Variant::Star, _) => Leading::PreAccept { acks, equal: 0, union },
            (Variant::Sosp13, Some(asked)) => {
                Leading::Thrifty { asked, acks, identical: true, union }
            }
            (Variant::Sosp13, None) => Leading::PreAcceptAgain { acks, union },
        }
    }

    /// Asks `asked` about the new `instance`, or all others where there is no fast path.
    pub(super) fn send_proposal(
        &mut self,
        instance: InstanceId,
        asked: Option<ReplicaSet>,
        batch: Batch,
        dependencies: Dependencies,
        effects: &mut Effects<Self>,
    ) {
        let Some(asked) = asked else {
            self.send_pre_accept_again(instance, self.others, effects);
            return;
        };
        effects.send(asked, Message::PreAccept { instance, batch, dependencies });
        if self.variant() == Variant::Sosp13 {
            self.arm_fast_quorum_timer(effects);
        }
    }
}
