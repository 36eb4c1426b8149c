//! What keeps a row moving when messages are lost, and what lets it be forgotten when it is done: retransmission, progress
//! reports, collecting.
//!
//! No timer belongs to a single instance here. One timer resends what has been unanswered for a whole period, one reports
//! progress when nothing else did, and one per row looks at the row's oldest uncommitted slot (its running out begins a
//! recovery).

use std::time::Duration;

use super::{
    EPaxos,
    instance::{Instance, Leading, Watch},
    message::{Message, Timer},
};
use crate::{
    ballot::InstanceBallot,
    command::Batch,
    config::doubled,
    dependencies::Dependencies,
    id::{InstanceId, ReplicaId, ReplicaSet, Slot},
    replica::Effects,
};

/// chosen: a report of a few dozen bytes per peer every so many executions costs under 1 % of what they cost.
const EXECUTIONS_PER_REPORT: u64 = 256;
/// chosen: so many reports at least while a whole budget of bytes is executed, so that little is
/// kept since nobody knows that others have it.
const REPORTS_PER_BUDGET: u64 = 8;
/// chosen: how much of the own row one run of the timer sends again, so that a cut-off peer is not flooded.
const RESENT_PER_TICK: u64 = 512;
/// chosen: how many decisions of a row one run of the timer asks for.
const ASKED_PER_TICK: u64 = 64;
/// chosen: the retransmission period doubles at most so many times while nothing moves.
const QUIET_TICKS_MAX: u32 = 4;

/// The state of retransmission and of progress reports.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Retransmission {
    /// Per replica, how far it said it is.
    peers: Vec<Peer>,
    /// While the timer runs: the last own slot when it was set. What is younger is not sent again yet.
    marked_to: Option<Slot>,
    /// Runs of the timer since anything moved.
    quiet_ticks: u32,
    /// What has moved if the next run finds another number: all that is known here, and of the own row elsewhere.
    confirmed: u64,
    /// While the timer runs: what others had reported committed when it was set. What of that is still not known here
    /// when it runs out is asked for.
    known_elsewhere: Dependencies,
    /// While the timer runs that ends the wait for fast quorums: the last own slot when it was set.
    pub(super) fast_quorum_marked_to: Option<Slot>,
    executed_unreported: u64,
    /// Is there something that the others have not been told?
    report_due: bool,
    report_timer: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Peer {
    committed: Dependencies,
    executed: Dependencies,
}

impl Retransmission {
    pub(super) fn new(replicas: usize) -> Self {
        let none = Dependencies::none(replicas);
        Self {
            peers: vec![Peer { committed: none.clone(), executed: none.clone() }; replicas],
            known_elsewhere: none,
            marked_to: None,
            quiet_ticks: 0,
            confirmed: 0,
            fast_quorum_marked_to: None,
            executed_unreported: 0,
            report_due: false,
            report_timer: false,
        }
    }

    /// A batch was executed. A large one counts as several, so that bytes alone call for a report,
    /// too, where so many are kept at most.
    pub(super) fn note_executed(&mut self, batch: &Batch, kept_bytes_max: u64) {
        let reports = batch.weight().saturating_mul(EXECUTIONS_PER_REPORT * REPORTS_PER_BUDGET);
        let counted = 1 + (reports / kept_bytes_max.max(1)).min(EXECUTIONS_PER_REPORT);
        self.executed_unreported += counted;
    }
}

impl EPaxos {
    /// Starts the retransmission timer unless it runs.
    pub(super) fn arm_retransmission(&mut self, effects: &mut Effects<Self>) {
        if self.retransmission.marked_to.is_none() {
            self.retransmission.marked_to = Some(self.own_row().log.last());
            self.retransmission.known_elsewhere = self.known_elsewhere();
            let doubled = 1 << self.retransmission.quiet_ticks;
            let period = self.config.timeouts.retransmit * doubled;
            effects.set_timer(Timer::Retransmit, period..=period + period / 4);
        }
    }

    /// Sends again what of the own row is unanswered, and the decisions that a peer has not reported; asks for the
    /// decisions that a peer has reported and that did not come; and tells those that are behind how far this replica is.
    pub(super) fn on_retransmit_timer(&mut self, effects: &mut Effects<Self>) {
        let Some(marked_to) = self.retransmission.marked_to.take() else { return };
        let committed_to = self.own_row().committed_to;
        for slot in committed_to + 1..=marked_to.min(committed_to + RESENT_PER_TICK) {
            self.resend_request(InstanceId::new(self.id, slot), effects);
        }
        let mut confirmed: u64 = self.rows.iter().map(|row| row.committed_to).sum();
        for peer in self.others.iter() {
            let known = self.retransmission.peers[peer.index()].committed.slot(self.id);
            confirmed += known;
            for slot in known + 1..=marked_to.min(known + RESENT_PER_TICK) {
                let instance = InstanceId::new(self.id, slot);
                self.send_decision(ReplicaSet::only(peer), instance, effects);
            }
        }
        if !self.snapshots.is_fetching() {
            self.ask_for_decisions(effects);
        }
        let snapshots = self.drive_snapshots(effects);
        let retransmission = &mut self.retransmission;
        if confirmed == retransmission.confirmed {
            retransmission.quiet_ticks = (retransmission.quiet_ticks + 1).min(QUIET_TICKS_MAX);
        } else {
            retransmission.quiet_ticks = 0;
        }
        retransmission.confirmed = confirmed;
        let behind = self.peers_behind();
        // A peer that missed the last report of a row whose owner is gone learns of it from whoever knows.
        effects.send(behind, self.progress(true));
        let open = committed_to < self.own_row().log.last();
        if open || !behind.is_empty() || snapshots || self.lacks_decisions() {
            self.arm_retransmission(effects);
        }
    }

    /// The replicas that have not reported all the decisions that are known here.
    fn peers_behind(&self) -> ReplicaSet {
        let behind = |peer: &ReplicaId| {
            let reported = self.retransmission.peers[peer.index()].committed.slots();
            self.rows.iter().zip(reported).any(|(row, reported)| *reported < row.committed_to)
        };
        self.others.iter().filter(behind).collect()
    }

    fn ask_for_decisions(&mut self, effects: &mut Effects<Self>) {
        for upto in self.retransmission.known_elsewhere.iter() {
            let row = &self.rows[upto.row.index()];
            let from = row.committed_to + 1;
            for slot in from..=upto.slot.min(from + ASKED_PER_TICK - 1) {
                let instance = InstanceId::new(upto.row, slot);
                if self.entry(instance).is_some_and(Instance::is_committed) {
                    continue;
                }
                let knows = |peer: &ReplicaId| {
                    let peer = &self.retransmission.peers[peer.index()];
                    peer.committed.slot(upto.row) >= slot
                };
                effects.send(self.others.iter().filter(knows).collect(), Message::Ask { instance });
            }
        }
    }

    /// Per row the highest slot up to which some other replica has reported to know the decisions.
    fn known_elsewhere(&self) -> Dependencies {
        let mut known = Dependencies::none(self.config.replicas);
        for peer in self.others.iter() {
            known.merge(&self.retransmission.peers[peer.index()].committed);
        }
        known
    }

    /// Has another replica reported a decision that is not known here?
    fn lacks_decisions(&self) -> bool {
        let known = self.known_elsewhere();
        known.iter().any(|upto| self.rows[upto.row.index()].committed_to < upto.slot)
    }

    /// Sends an own request again to those that have not answered it.
    fn resend_request(&self, instance: InstanceId, effects: &mut Effects<Self>) {
        let Some(entry) = self.entry(instance) else { return };
        match entry.leading.as_deref() {
            Some(Leading::PreAccept { acks, .. }) => {
                let initial = entry.initial.as_ref().expect("proposed here");
                effects.send(
                    self.others.difference(*acks),
                    Message::PreAccept {
                        instance,
                        batch: initial.batch.clone(),
                        dependencies: initial.dependencies.clone(),
                    },
                );
            }
            Some(Leading::Accept { acks, .. }) => self.resend_accept(instance, *acks, effects),
            Some(Leading::PreAcceptAgain { acks, .. })
                if entry.ballot == InstanceBallot::INITIAL =>
            {
                self.send_pre_accept_again(instance, self.others.difference(*acks), effects);
            }
            // A recovery has a timer of its own; and where a fixed fast quorum is waited for, so has the end of the wait.
            Some(
                Leading::Thrifty { .. }
                | Leading::PreAcceptAgain { .. }
                | Leading::Recover { .. }
                | Leading::Validate { .. }
                | Leading::Wait { .. },
            )
            | None => {}
        }
    }

    /// Sends the Accept of `instance`, which this replica leads, again to those that have not answered.
    pub(super) fn resend_accept(
        &self,
        instance: InstanceId,
        acks: ReplicaSet,
        effects: &mut Effects<Self>,
    ) {
        let entry = self.entry(instance).expect("led here");
        effects.send(
            self.others.difference(acks),
            Message::Accept {
                instance,
                ballot: entry.ballot,
                batch: entry.batch.clone(),
                dependencies: entry.dependencies.clone(),
            },
        );
    }

    /// Something changed that others want to know, or one of them did not know that we know.
    pub(super) fn owe_progress(&mut self) {
        self.retransmission.report_due = true;
    }

    /// Reports progress if much was executed; else makes sure that a timer will.
    pub(super) fn report_progress_if_due(&mut self, effects: &mut Effects<Self>) {
        if self.retransmission.executed_unreported >= EXECUTIONS_PER_REPORT {
            self.report_progress(effects);
        } else if self.retransmission.report_due && !self.retransmission.report_timer {
            self.retransmission.report_timer = true;
            let period: Duration = self.config.timeouts.retransmit;
            effects.set_timer(Timer::Progress, period / 4..=period / 2);
        }
    }

    pub(super) fn on_progress_timer(&mut self, effects: &mut Effects<Self>) {
        self.retransmission.report_timer = false;
        if self.retransmission.report_due {
            self.report_progress(effects);
        }
    }

    fn report_progress(&mut self, effects: &mut Effects<Self>) {
        self.retransmission.report_due = false;
        self.retransmission.executed_unreported = 0;
        self.collect();
        effects.send(self.others, self.progress(false));
    }

    fn progress(&self, answer: bool) -> Message {
        let committed = self.rows.iter().map(|row| row.committed_to).collect();
        Message::Progress { committed, executed: self.executed_to(), answer }
    }

    /// Another replica is as far as it says: what it lacks can be sent again, what all have executed can go.
    pub(super) fn on_progress(
        &mut self,
        from: ReplicaId,
        committed: &Dependencies,
        executed: &Dependencies,
        answer: bool,
        effects: &mut Effects<Self>,
    ) {
        if answer {
            self.owe_progress();
        }
        let peer = &mut self.retransmission.peers[from.index()];
        peer.committed.merge(committed);
        peer.executed.merge(executed);
        self.mention(committed, effects);
        if self.retransmission.marked_to.is_none() && self.lacks_decisions() {
            self.arm_retransmission(effects);
        }
        self.collect();
    }

    /// Per row: every slot up to here is executed here.
    pub(super) fn executed_to(&self) -> Dependencies {
        ReplicaId::all(self.config.replicas).map(|row| self.graph.executed_to(row)).collect()
    }

    /// Drops every instance that all replicas have executed, and those that a majority has executed long ago: whoever lacks
    /// them will take a snapshot. Their marks in the conflict index stay.
    ///
    /// Long ago is [`Config::kept_slots_max`](crate::Config::kept_slots_max) slots of the row, or an
    /// N-th of [`Config::kept_bytes_max`](crate::Config::kept_bytes_max). A decided instance has as
    /// many bytes at every replica, and one that is not known here counts as the largest there may
    /// be. A replica that is itself so far behind another in any row drops only what all have
    /// executed. So of two replicas that each lack something at most one can have dropped what the
    /// other lacks, and that other can take its snapshot: if both had, some replica of both
    /// majorities had executed both, and whichever of the two heard of it last would have seen how
    /// far behind it was.
    fn collect(&mut self) {
        let here = self.executed_to();
        let bytes_max = self.kept_bytes_of_a_row();
        let mut wanted = Vec::with_capacity(self.config.replicas);
        for row in ReplicaId::all(self.config.replicas) {
            let peers = self.others.iter().map(|peer| &self.retransmission.peers[peer.index()]);
            let mut executed: Vec<Slot> = peers.map(|peer| peer.executed.slot(row)).collect();
            executed.push(here.slot(row));
            executed.sort_unstable();
            let everywhere = executed[0];
            // So far that all but a minority are at least there.
            let by_majority = executed[self.quorums.replicas - self.quorums.slow()];
            let long_ago = by_majority.saturating_sub(self.config.kept_slots_max);
            let long_ago = everywhere.max(long_ago).min(here.slot(row));
            let log = &mut self.rows[row.index()].log;
            let crowded = log.crowded(by_majority.min(here.slot(row)), bytes_max);
            wanted.push((everywhere, long_ago, crowded.max(long_ago)));
        }
        let is_wanted = |(everywhere, _, crowded): &(Slot, Slot, Slot)| crowded > everywhere;
        let behind = wanted.iter().any(is_wanted) && self.is_behind(&here);
        for (row, (everywhere, long_ago, crowded)) in
            ReplicaId::all(self.config.replicas).zip(wanted)
        {
            let (long_ago, to) =
                if behind { (everywhere, everywhere) } else { (long_ago, crowded) };
            let log = &mut self.rows[row.index()].log;
            for slot in log.collected() + 1..=to {
                let entry = log.get(slot).expect("executed, so held");
                if !entry.batch.is_noop() {
                    let instance = InstanceId::new(row, slot);
                    self.conflicts.collect(instance, &entry.footprint, &entry.dependencies);
                }
            }
            log.collect(long_ago);
            log.crowd_out(to);
        }
    }

    fn kept_bytes_of_a_row(&self) -> u64 {
        self.config.kept_bytes_max / self.config.replicas as u64
    }

    /// Has another replica executed so much of a row that is not executed here that somebody may
    /// have dropped some of it?
    fn is_behind(&self, here: &Dependencies) -> bool {
        let (slots_max, bytes_max) = (self.config.kept_slots_max, self.kept_bytes_of_a_row());
        ReplicaId::all(self.config.replicas).any(|row| {
            let peers = self.others.iter().map(|peer| &self.retransmission.peers[peer.index()]);
            let there = peers.map(|peer| peer.executed.slot(row)).max().unwrap_or(0);
            let log = &self.rows[row.index()].log;
            let (first, mut bytes) = (here.slot(row) + 1, 0);
            there >= first.saturating_add(slots_max)
                || (first..=there).any(|slot| {
                    bytes += Instance::weight_at_most(log.get(slot));
                    bytes >= bytes_max
                })
        })
    }

    /// Starts the timer of `row` if the row has an uncommitted slot and the timer does not run.
    pub(super) fn watch_row(&mut self, row: ReplicaId, effects: &mut Effects<Self>) {
        let n = self.config.replicas;
        let state = &mut self.rows[row.index()];
        if state.watch.is_some() || !state.is_open() {
            return;
        }
        state.watch = Some(Watch {
            oldest: state.committed_to + 1,
            mentioned_to: state.mentioned_to,
            patience: state.patience,
            noop: false,
        });
        // Staggered by distance from the row, so that one replica at a time leads its recovery; the row's own comes last.
        let distance = match (self.id.index() + n - row.index()) % n {
            0 => n,
            distance => distance,
        };
        #[expect(clippy::cast_possible_truncation, reason = "at most 64 replicas")]
        let base = self.config.timeouts.recovery * (1 + distance as u32) / 2;
        let base = doubled(base, state.patience);
        effects.set_timer(Timer::Row(row), base..=base + base / 2);
    }
}
