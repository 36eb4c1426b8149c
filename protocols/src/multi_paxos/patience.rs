//! How much longer than the election timeout a replica waits before it campaigns, or, if it leads,
//! before it steps down for want of answers.
//!
//! Two things make it wait longer. Elections that fail: up to a bound, since a replica that is cut off fails for as long
//! as that lasts, and should not then wait as long again. And signs that it gave up too early, which come only where
//! messages take longer than it waited: without a bound, so that any delay is outlasted in the end.

use crate::{
    ballot::Ballot,
    id::{ReplicaId, ReplicaSet},
};

/// How often failed elections alone double the timer. chosen: with one to two times that, two candidates meet no more
/// even where delays are well above the timeout.
const FAILURES_MAX: u32 = 4;

/// What a replica has learnt about its election timer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Patience {
    /// Elections that failed since a leader was found, up to the most that count.
    failures: u32,
    /// Campaigns that were too early, less the runs of the timer since in which a leader lasted.
    too_early: u32,
    /// The ballot of the last campaign.
    campaigned: Ballot,
    /// Was that one too early?
    counted: bool,
    /// The ballot that this replica left last because no majority answered, and who did.
    lost: Ballot,
    answered: ReplicaSet,
}

impl Patience {
    /// How often the timer's range is to be doubled.
    pub(super) fn doublings(&self) -> u32 {
        self.failures + self.too_early
    }

    pub(super) fn campaign_begins(&mut self, ballot: Ballot) {
        self.campaigned = ballot;
        self.counted = false;
    }

    pub(super) fn election_failed(&mut self) {
        self.failures = (self.failures + 1).min(FAILURES_MAX);
    }

    /// Something came that has to do with `ballot`: a promise to this replica, or the heartbeat of its leader. If this
    /// replica has campaigned at a higher one since, it should have waited.
    pub(super) fn sign_came(&mut self, ballot: Ballot) {
        if ballot < self.campaigned && !self.counted {
            self.counted = true;
            self.too_early += 1;
        }
    }

    /// This replica leads `ballot` no more, since no majority has answered it, but only those of
    /// `answered`.
    pub(super) fn quorum_lost(&mut self, ballot: Ballot, answered: ReplicaSet) {
        self.lost = ballot;
        self.answered = answered;
    }

    /// `peer` answered what this replica sent as the leader of `ballot`. If it has left that for
    /// want of answers, and they are a majority's by now, it should have waited.
    pub(super) fn answer_came(&mut self, peer: ReplicaId, ballot: Ballot, majority: usize) {
        if ballot != self.lost || ballot == Ballot::ZERO {
            return;
        }
        self.answered.insert(peer);
        if self.answered.len() + 1 >= majority {
            self.lost = Ballot::ZERO;
            self.too_early += 1;
        }
    }

    /// Somebody leads.
    pub(super) fn leader_found(&mut self) {
        self.failures = 0;
    }

    /// The leader was heard in time for a whole run of the timer.
    pub(super) fn leader_lasted(&mut self) {
        self.too_early = self.too_early.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ReplicaId;

    #[test]
    fn failures_stretch_the_timer_so_far_and_late_answers_without_end() {
        let mut patience = Patience::default();
        for round in 1..=40 {
            patience.campaign_begins(Ballot { round, leader: ReplicaId(1) });
            patience.election_failed();
        }
        assert_eq!(patience.doublings(), FAILURES_MAX, "nobody answered: it may be cut off");
        for round in 41..=60 {
            patience.campaign_begins(Ballot { round, leader: ReplicaId(1) });
            for _ in 0..2 {
                patience.sign_came(Ballot { round: round - 1, leader: ReplicaId(1) });
            }
        }
        assert_eq!(patience.doublings(), FAILURES_MAX + 20, "each campaign counts once");
        patience.leader_found();
        patience.leader_lasted();
        assert_eq!(patience.doublings(), 19);
        patience.sign_came(Ballot { round: 60, leader: ReplicaId(1) });
        assert_eq!(patience.doublings(), 19, "the answer to the last campaign is in time");
    }
}
