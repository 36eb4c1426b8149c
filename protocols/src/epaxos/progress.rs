//! What keeps a row moving when messages are lost, and what lets it be forgotten when it is done:
//! the timer of retransmission (`rounds` is what is sent then), progress reports, collecting.
//!
//! No timer belongs to a single instance here. One timer resends what has been unanswered for a whole period, one reports
//! progress when nothing else did, and one per row looks at the row's oldest uncommitted slot (its running out begins a
//! recovery).

use std::time::Duration;

use super::{
    EPaxos,
    instance::{Instance, Watch},
    message::{Message, Pace, Timer},
    rounds::Rounds,
};
use crate::{
    Limit,
    command::Batch,
    config::{Config, doubled},
    dependencies::Dependencies,
    id::{InstanceId, ReplicaId, ReplicaSet, Slot},
    replica::Effects,
};

/// chosen: a report of a few dozen bytes per peer every so many executions costs under 1 % of what they cost.
const EXECUTIONS_PER_REPORT: Limit = Limit::new("executions per report", 1, 256);
/// chosen: so many reports at least while a whole budget of bytes is executed, so that little is
/// kept since nobody knows that others have it.
const REPORTS_PER_BUDGET: u64 = 8;
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
    /// The last own slot that is old enough to be sent again: `marked_to` when the timer last ran
    /// out.
    pub(super) old_to: Slot,
    /// What is to be asked for: `known_elsewhere` when the timer last ran out.
    pub(super) missing_to: Dependencies,
    /// While the timer runs that ends the wait for fast quorums: the last own slot when it was set.
    pub(super) fast_quorum_marked_to: Option<Slot>,
    /// Those that no fast path waits for (`fast_quorum`).
    pub(super) silent: ReplicaSet,
    executed_unreported: u64,
    /// Is there something that the others have not been told?
    report_due: bool,
    report_timer: bool,
}

/// What is known of another replica.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Peer {
    /// Per row: what it has reported to know the decisions of.
    pub(super) committed: Dependencies,
    executed: Dependencies,
    /// What is sent to it again.
    pub(super) rounds: Rounds,
}

impl Retransmission {
    pub(super) fn new(replicas: usize) -> Self {
        let none = Dependencies::none(replicas);
        let peer =
            Peer { committed: none.clone(), executed: none.clone(), rounds: Rounds::default() };
        Self {
            peers: vec![peer; replicas],
            known_elsewhere: none.clone(),
            old_to: 0,
            missing_to: none,
            marked_to: None,
            quiet_ticks: 0,
            confirmed: 0,
            fast_quorum_marked_to: None,
            silent: ReplicaSet::EMPTY,
            executed_unreported: 0,
            report_due: false,
            report_timer: false,
        }
    }

    /// A batch was executed. A large one counts as several, so that bytes alone call for a report,
    /// too, where so many are kept at most.
    pub(super) fn note_executed(&mut self, batch: &Batch, config: &Config) {
        let per_report = EXECUTIONS_PER_REPORT.of(config);
        let reports = batch.weight().saturating_mul(per_report * REPORTS_PER_BUDGET);
        let counted = 1 + (reports / config.kept_bytes_max.max(1)).min(per_report);
        self.executed_unreported += counted;
    }

    pub(super) fn peer(&self, peer: ReplicaId) -> &Peer {
        &self.peers[peer.index()]
    }

    pub(super) fn peer_mut(&mut self, peer: ReplicaId) -> &mut Peer {
        &mut self.peers[peer.index()]
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

    /// Begins to send again what others lack or have not answered (`rounds`).
    pub(super) fn on_retransmit_timer(&mut self, effects: &mut Effects<Self>) {
        let retransmission = &mut self.retransmission;
        let Some(marked_to) = retransmission.marked_to.take() else { return };
        retransmission.old_to = marked_to;
        retransmission.missing_to = retransmission.known_elsewhere.clone();
        let periods = 1 << retransmission.quiet_ticks;
        self.begin_rounds(periods, effects);
        let snapshots = self.drive_snapshots(effects);
        let mut confirmed: u64 = self.rows.iter().map(|row| row.committed_to).sum();
        for peer in self.others.iter() {
            confirmed += self.retransmission.peer(peer).committed.slot(self.id);
        }
        let retransmission = &mut self.retransmission;
        if confirmed == retransmission.confirmed {
            retransmission.quiet_ticks = (retransmission.quiet_ticks + 1).min(QUIET_TICKS_MAX);
        } else {
            retransmission.quiet_ticks = 0;
        }
        retransmission.confirmed = confirmed;
        let own = self.own_row();
        let open = own.committed_to < own.log.last();
        let behind = self.others.iter().any(|peer| self.is_behind(peer));
        if open || behind || snapshots || self.lacks_decisions() {
            self.arm_retransmission(effects);
        }
    }

    /// Has `peer` not reported all the decisions that are known here?
    pub(super) fn is_behind(&self, peer: ReplicaId) -> bool {
        let reported = self.retransmission.peer(peer).committed.slots();
        self.rows.iter().zip(reported).any(|(row, reported)| *reported < row.committed_to)
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

    /// Sends the Accept of `instance`, which this replica leads, again to `to`.
    pub(super) fn send_accept(
        &self,
        instance: InstanceId,
        to: ReplicaSet,
        effects: &mut Effects<Self>,
    ) {
        let entry = self.entry(instance).expect("led here");
        effects.send(
            to,
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
        if self.retransmission.executed_unreported >= EXECUTIONS_PER_REPORT.of(&self.config) {
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
        effects.send(self.others, self.progress(Pace::Free));
    }

    pub(super) fn progress(&self, pace: Pace) -> Message {
        let committed = self.rows.iter().map(|row| row.committed_to).collect();
        Message::Progress { committed, executed: self.executed_to(), pace }
    }

    /// Another replica is as far as it says: what it lacks can be sent again, what all have executed can go.
    pub(super) fn on_progress(
        &mut self,
        from: ReplicaId,
        committed: &Dependencies,
        executed: &Dependencies,
        pace: Pace,
        effects: &mut Effects<Self>,
    ) {
        let peer = &mut self.retransmission.peers[from.index()];
        peer.committed.merge(committed);
        peer.executed.merge(executed);
        self.mention(committed, effects);
        if self.retransmission.marked_to.is_none() && self.lacks_decisions() {
            self.arm_retransmission(effects);
        }
        self.collect();
        match pace {
            Pace::Free => {}
            Pace::Probe(round) => {
                self.retransmission.peer_mut(from).rounds.is_pushing = true;
                effects.reply(from, self.progress(Pace::Answer(round)));
            }
            Pace::Answer(round) => self.on_round_answered(from, round, effects),
        }
    }

    /// Per row: every slot up to here is executed here.
    pub(super) fn executed_to(&self) -> Dependencies {
        ReplicaId::all(self.config.replicas).map(|row| self.graph.executed_to(row)).collect()
    }

    /// Drops every instance that all replicas have executed, and those that a majority has executed long ago: whoever lacks
    /// them will take a snapshot. Their marks in the conflict index stay.
    ///
    /// Long ago is [`Config::kept_slots_max`](crate::Config::kept_slots_max) slots of the row, or
    /// an N-th of [`Config::kept_bytes_max`](crate::Config::kept_bytes_max). A decided instance has
    /// as many bytes at every replica, and one that is not known here counts as the largest there
    /// may be. A replica that is itself so far behind another in any row drops only what all have
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
        let behind = wanted.iter().any(is_wanted) && self.is_far_behind(&here);
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
    fn is_far_behind(&self, here: &Dependencies) -> bool {
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
