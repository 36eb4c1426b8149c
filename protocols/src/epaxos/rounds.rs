//! What is sent again to each of the others: what of the own row it has not answered, the decisions
//! of the own row that it has not reported, and questions for decisions that it has reported and
//! that did not come here. All of that is paced by what that replica takes in, in bytes
//! ([`pacing`](crate::pacing)).
//!
//! A round goes on where the one before it ended, as long as those are answered; the next run of
//! the timer begins again with what is unanswered and unreported then. What is younger than a run
//! of the timer is not sent again.

use super::{
    EPaxos,
    instance::{Instance, Leading},
    message::{Message, Pace},
};
use crate::{
    Limit,
    ballot::InstanceBallot,
    dependencies::Dependencies,
    id::{InstanceId, ReplicaId, ReplicaSet, Slot},
    pacing::{Budget, Pacing},
    replica::Effects,
};

/// chosen: for how many decisions of a row one round asks at most. Their size is not known before
/// they come.
const ASKED_PER_ROUND: Limit = Limit::new("questions per round", 1, 64);

/// What is sent again to one replica.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Rounds {
    pub(super) pacing: Pacing,
    /// Has it begun a round for this replica since the timer ran out? Then it sends what it has
    /// decided without being asked.
    pub(super) is_pushing: bool,
    /// The own requests up to here have been sent since the rounds began again, or need not be.
    requests_to: Slot,
    /// The own decisions up to here have been, likewise.
    decisions_to: Slot,
    /// Per row, the decisions up to here have been asked for; empty before the first question.
    asked_to: Dependencies,
}

impl Rounds {
    fn begin_again(&mut self) {
        (self.requests_to, self.decisions_to) = (0, 0);
        self.asked_to = Dependencies::default();
    }
}

impl EPaxos {
    /// The retransmission timer has run for so many periods: begins rounds for those that are not
    /// in the middle of one.
    pub(super) fn begin_rounds(&mut self, periods: u32, effects: &mut Effects<Self>) {
        for peer in self.others.iter() {
            let rounds = &mut self.retransmission.peer_mut(peer).rounds;
            if rounds.pacing.passed(periods) {
                rounds.begin_again();
                // A replica may have missed the last report of a row whose owner is gone: any other
                // replica that knows of it tells.
                let is_due = self.is_behind(peer) || self.retransmission.silent.contains(peer);
                self.send_round(peer, is_due, effects);
            }
            self.retransmission.peer_mut(peer).rounds.is_pushing = false;
        }
    }

    /// `peer` has taken in the round of this number.
    pub(super) fn on_round_answered(
        &mut self,
        peer: ReplicaId,
        round: u64,
        effects: &mut Effects<Self>,
    ) {
        let pacing = &mut self.retransmission.peer_mut(peer).rounds.pacing;
        if pacing.answered(round) {
            if pacing.is_prompt() {
                self.wait_again_for(peer);
            }
            self.send_round(peer, false, effects);
        }
    }

    /// Sends `peer` what is left to be sent again, as far as the budget goes, and the round's
    /// number behind it; nothing if there is nothing, unless it `is_due` all the same.
    fn send_round(&mut self, peer: ReplicaId, is_due: bool, effects: &mut Effects<Self>) {
        let mut budget = self.retransmission.peer(peer).rounds.pacing.budget();
        let mut sent = self.resend_requests(peer, &mut budget, effects);
        sent |= self.resend_decisions(peer, &mut budget, effects);
        if !self.snapshots.is_fetching() {
            sent |= self.ask_for_decisions(peer, &mut budget, effects);
        }
        if sent || is_due {
            let round = self.retransmission.peer_mut(peer).rounds.pacing.sent();
            effects.reply(peer, self.progress(Pace::Probe(round)));
        }
    }

    /// Sends own requests again that `peer` has not answered; true if there were any.
    fn resend_requests(
        &mut self,
        peer: ReplicaId,
        budget: &mut Budget,
        effects: &mut Effects<Self>,
    ) -> bool {
        let from =
            self.own_row().committed_to.max(self.retransmission.peer(peer).rounds.requests_to);
        let (mut sent, mut seen_to) = (false, from);
        for slot in from + 1..=self.retransmission.old_to {
            let instance = InstanceId::new(self.id, slot);
            if self.awaits_answer(instance, peer) {
                let entry = self.entry(instance).expect("led here");
                if !budget.take(entry.batch.as_bytes().len()) {
                    break;
                }
                self.resend_request(instance, peer, effects);
                sent = true;
            }
            seen_to = slot;
        }
        self.retransmission.peer_mut(peer).rounds.requests_to = seen_to;
        sent
    }

    /// Is `instance` an own request, driven by retransmission, that `peer` has not answered? A
    /// recovery has a timer of its own; and where a fixed fast quorum is waited for, so has the end
    /// of the wait.
    fn awaits_answer(&self, instance: InstanceId, peer: ReplicaId) -> bool {
        let Some(entry) = self.entry(instance) else { return false };
        match entry.leading.as_deref() {
            Some(Leading::PreAccept { acks, .. } | Leading::Accept { acks, .. }) => {
                !acks.contains(peer)
            }
            Some(Leading::PreAcceptAgain { acks, .. }) => {
                entry.ballot == InstanceBallot::INITIAL && !acks.contains(peer)
            }
            Some(
                Leading::Thrifty { .. }
                | Leading::Recover { .. }
                | Leading::Validate { .. }
                | Leading::Wait { .. },
            )
            | None => false,
        }
    }

    fn resend_request(&self, instance: InstanceId, peer: ReplicaId, effects: &mut Effects<Self>) {
        let entry = self.entry(instance).expect("led here");
        let to = ReplicaSet::only(peer);
        match entry.leading.as_deref() {
            Some(Leading::PreAccept { .. }) => {
                let initial = entry.initial.as_ref().expect("proposed here");
                let (batch, dependencies) = (initial.batch.clone(), initial.dependencies.clone());
                effects.send(to, Message::PreAccept { instance, batch, dependencies });
            }
            Some(Leading::Accept { .. }) => self.send_accept(instance, to, effects),
            _ => self.send_pre_accept_again(instance, to, effects),
        }
    }

    /// Sends `peer` decisions of the own row that it has not reported; true if there were any.
    fn resend_decisions(
        &mut self,
        peer: ReplicaId,
        budget: &mut Budget,
        effects: &mut Effects<Self>,
    ) -> bool {
        let state = self.retransmission.peer(peer);
        let known = state.committed.slot(self.id);
        let collected = self.own_row().log.collected();
        let (mut sent, mut seen_to) = (false, known.max(state.rounds.decisions_to));
        if seen_to < collected {
            // It will not come one by one any more.
            let instance = InstanceId::new(self.id, seen_to + 1);
            effects.reply(peer, Message::Collected { instance });
            (sent, seen_to) = (true, collected);
        }
        for slot in seen_to + 1..=self.retransmission.old_to {
            let instance = InstanceId::new(self.id, slot);
            if let Some(entry) = self.entry(instance).filter(|entry| entry.is_committed()) {
                if !budget.take(entry.batch.as_bytes().len()) {
                    break;
                }
                self.send_decision(ReplicaSet::only(peer), instance, effects);
                sent = true;
            }
            seen_to = slot;
        }
        self.retransmission.peer_mut(peer).rounds.decisions_to = seen_to;
        sent
    }

    /// Asks `peer` for decisions that others have had for a run of the timer; true if there were
    /// any.
    fn ask_for_decisions(
        &mut self,
        peer: ReplicaId,
        budget: &mut Budget,
        effects: &mut Effects<Self>,
    ) -> bool {
        let mut asked_to = self.retransmission.peer(peer).rounds.asked_to.clone();
        if asked_to.rows() == 0 {
            asked_to = Dependencies::none(self.config.replicas);
        }
        let mut asked = false;
        for row in ReplicaId::all(self.config.replicas) {
            let state = &self.rows[row.index()];
            let known = self.retransmission.peer(peer).committed.slot(row);
            let to = known.min(self.retransmission.missing_to.slot(row));
            let from = state.committed_to.max(asked_to.slot(row));
            if from >= to || self.whom_to_ask(row) != Some(peer) {
                continue;
            }
            // As large as the last one of the row that is known, for all that is known.
            let bytes =
                state.log.get(state.committed_to).map_or(0, |entry| entry.batch.as_bytes().len());
            for slot in from + 1..=to.min(from + ASKED_PER_ROUND.of(&self.config)) {
                if !state.log.get(slot).is_some_and(Instance::is_committed) {
                    if !budget.take(bytes) {
                        break;
                    }
                    effects.reply(peer, Message::Ask { instance: InstanceId::new(row, slot) });
                    asked = true;
                }
                asked_to.set(row, slot);
            }
        }
        self.retransmission.peer_mut(peer).rounds.asked_to = asked_to;
        asked
    }

    /// Who is asked for decisions of `row`: its own replica, or who comes next after this one of
    /// those that know more than is known here; before those that are silent. Nobody if the row's
    /// own replica sends them in any case.
    fn whom_to_ask(&self, row: ReplicaId) -> Option<ReplicaId> {
        let n = self.config.replicas;
        let here = self.rows[row.index()].committed_to;
        if self.retransmission.peer(row).rounds.is_pushing {
            return None;
        }
        let next = (0..n).map(|distance| (self.id.index() + distance) % n);
        let all = std::iter::once(row).chain(next.map(ReplicaId::from_index));
        let mut knowing = all.filter(|peer| {
            self.others.contains(*peer)
                && self.retransmission.peer(*peer).committed.slot(row) > here
        });
        let first = knowing.clone().next();
        knowing.find(|peer| !self.retransmission.peer(*peer).rounds.pacing.is_silent()).or(first)
    }
}
