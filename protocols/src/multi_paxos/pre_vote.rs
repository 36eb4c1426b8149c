//! The gate before a campaign. A replica that does not hear the leader asks first whether a
//! majority misses it too. (Ongaro 2014, §9.6)
//!
//! A question stays open until a leader is heard, or somebody's higher ballot: until then it is
//! repeated, and every consent to it counts, however late. Once no leader is heard by anyone, each
//! question is thus granted in the end.

use std::time::Duration;

use super::{
    message::{Message, Timer},
    replica::{MultiPaxos, Role},
};
use crate::{
    ballot::Ballot,
    id::{ReplicaId, ReplicaSet},
    replica::Effects,
};

/// Since when a replica hears no leader, and no candidate that gets on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Watch {
    /// For less than an election timeout.
    Hearing,
    /// For longer: it consents to others' campaigns, and will soon ask for consent itself.
    Missing,
    /// It has asked. Those that consent, itself among them.
    Asking(ReplicaSet),
}

impl MultiPaxos {
    /// Waits for a leader to be heard.
    pub(super) fn await_leader(&mut self, effects: &mut Effects<Self>) {
        self.await_leader_for(self.election_timeout(), effects);
    }

    fn await_leader_for(&mut self, timeout: Duration, effects: &mut Effects<Self>) {
        self.leader_heard = false;
        self.watch = Watch::Hearing;
        effects.set_timer(Timer::Election, timeout..=timeout);
    }

    /// The leader, or a candidate that gets on, was heard. Noted here, looked at when the election
    /// timer runs out: setting the timer at every Accept would be dear.
    pub(super) fn note_leader(&mut self, effects: &mut Effects<Self>) {
        if self.watch != Watch::Hearing {
            self.await_leader(effects);
        }
        self.leader_heard = true;
    }

    /// Nobody leads, as far as this replica knows. It asks at a time of its own, lest all ask at
    /// once.
    pub(super) fn miss_leader(&mut self, effects: &mut Effects<Self>) {
        self.watch = Watch::Missing;
        effects.set_timer(Timer::Election, Duration::ZERO..=self.election_timeout());
    }

    /// This replica has led, and no majority has answered. It consents to others' campaigns at
    /// once, and campaigns later than they do: whoever hears all of a majority is the better
    /// leader.
    pub(super) fn leave_to_others(&mut self, effects: &mut Effects<Self>) {
        self.watch = Watch::Missing;
        let timeout = self.election_timeout();
        effects.set_timer(Timer::Election, 2 * timeout..=3 * timeout);
    }

    pub(super) fn on_election_timer(&mut self, effects: &mut Effects<Self>) {
        let gets_on = match &mut self.role {
            // The timer ran out while the election was won.
            Role::Leader(_) => return,
            Role::Follower => self.leader_heard,
            Role::Candidate(candidate) => candidate.takes_note_that_it_gets_on(),
        };
        if gets_on {
            if matches!(self.role, Role::Follower) {
                self.patience.leader_lasted();
                // No heartbeat has come for a whole timeout, only something else, and nobody knows
                // when. Half of one more is long enough.
                self.await_leader_for(self.election_timeout() / 2, effects);
            } else {
                self.await_leader(effects);
            }
            return;
        }
        match self.watch {
            Watch::Hearing => self.miss_leader(effects),
            Watch::Missing => self.ask_for_consent(effects),
            // The timer ran out before it was stopped.
            Watch::Asking(_) => {}
        }
    }

    fn ask_for_consent(&mut self, effects: &mut Effects<Self>) {
        if matches!(self.role, Role::Candidate(_)) {
            self.patience.election_failed();
        }
        if self.majority() == 1 {
            // There is nobody to ask.
            self.campaign(effects);
            return;
        }
        self.polls += 1;
        self.watch = Watch::Asking(ReplicaSet::only(self.id));
        effects.send(self.others, Message::PreVote { poll: self.polls });
        self.retransmit_later(effects);
    }

    /// Asks those again that have not consented. Is a question open?
    pub(super) fn resend_pre_vote(&mut self, effects: &mut Effects<Self>) -> bool {
        let Watch::Asking(consenting) = self.watch else { return false };
        let silent = self.others.difference(consenting);
        effects.send(silent, Message::PreVote { poll: self.polls });
        true
    }

    pub(super) fn on_pre_vote(&mut self, from: ReplicaId, poll: u64, effects: &mut Effects<Self>) {
        if matches!(self.role, Role::Leader(_)) || self.is_led() {
            effects.reply(from, Message::Led { executed: self.executed });
        } else if self.watch != Watch::Hearing {
            effects.reply(from, Message::PreVoteGranted { poll, promised: self.promised });
        }
    }

    /// `from` misses the leader, too.
    pub(super) fn on_pre_vote_granted(
        &mut self,
        from: ReplicaId,
        poll: u64,
        promised: Ballot,
        effects: &mut Effects<Self>,
    ) {
        self.seen = self.seen.max(promised);
        let majority = self.majority();
        // Consent to a question that is not open any more is none to a later one: a leader was
        // heard in between.
        let Watch::Asking(consenting) = &mut self.watch else { return };
        if poll != self.polls {
            return;
        }
        consenting.insert(from);
        if consenting.len() >= majority {
            self.campaign(effects);
        }
    }
}
