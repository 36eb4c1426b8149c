//! Phase 2a: what a leader proposes, counts, repeats and announces.

use super::{
    again::Again,
    in_hand::InHand,
    message::{Message, Record, Timer},
    replica::{Entry, MultiPaxos, Role},
};
use crate::{
    Limit,
    ballot::Ballot,
    command::Batch,
    id::{ReplicaId, ReplicaSet, Slot},
    log::SlotLog,
    quorum::majority,
    replica::{Effects, Path},
};

/// The most slots that a leader has open. chosen: more than a second's worth at 100,000 commands per second, and 6 MiB
/// of log; clients' windows end far below it unless no majority answers.
pub(super) const IN_FLIGHT: Limit = Limit::new("proposals in flight", 1, 1 << 17);
/// Heartbeats per election timeout. chosen: four may be lost in a row before anyone campaigns.
const HEARTBEATS_PER_TIMEOUT: u32 = 5;

/// What a leader keeps beside the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Leader {
    peers: Vec<Peer>,
    /// The highest commit index that was sent to all.
    announced: Slot,
    /// Everything through here may be discarded.
    pub(super) collect: Slot,
    /// Slots through here were proposed before this period began, and before the one before it.
    pub(super) resend_through: Slot,
    pub(super) old_through: Slot,
    /// How many batches of this replica's clients are open.
    pub(super) own_undecided: u64,
    /// Who has answered since a majority did.
    heard: ReplicaSet,
    /// How many heartbeats were sent since then, and after how many the leader steps down.
    silence: u32,
    silence_max: u32,
    /// What was executed then.
    executed: Slot,
    /// How many heartbeats were sent in all.
    beats: u64,
    /// Where the batches of the log are.
    pub(super) in_hand: InHand,
}

/// What a leader knows of another replica; of itself it has a place in the table that is not used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Peer {
    /// What it said last that it has executed.
    executed: Slot,
    /// The highest slot it has accepted: what was sent before that and is not accepted was probably lost.
    pub(super) accepted: Slot,
    /// Has it accepted anything in this period?
    pub(super) answered: bool,
    pub(super) again: Again,
    /// The last heartbeat that it has answered.
    beat: u64,
}

impl Leader {
    /// A leader with this log, which steps down after `silence_max` heartbeats that no majority
    /// answers.
    pub(super) fn new(replicas: usize, log: &SlotLog<Entry>, silence_max: u32) -> Self {
        Self {
            peers: vec![Peer::default(); replicas],
            announced: 0,
            collect: 0,
            resend_through: log.last(),
            old_through: 0,
            own_undecided: 0,
            heard: ReplicaSet::EMPTY,
            silence: 0,
            silence_max,
            executed: 0,
            beats: 0,
            in_hand: InHand::of(log),
        }
    }

    pub(super) fn peer_mut(&mut self, peer: ReplicaId) -> &mut Peer {
        &mut self.peers[peer.index()]
    }

    /// What a majority has executed, of which the leader, `own`, has executed everything through
    /// `commit`.
    fn executed_by_majority(&self, own: ReplicaId, commit: Slot) -> Slot {
        let of_peers = self.peers.iter().enumerate().map(|(index, peer)| {
            if index == own.index() { commit } else { peer.executed.min(commit) }
        });
        let mut executed: Vec<Slot> = of_peers.collect();
        executed.sort_unstable();
        executed[executed.len() - majority(executed.len())]
    }

    /// Has `peer` answered a heartbeat of the last election timeout?
    fn hears_in_time(&self, peer: ReplicaId) -> bool {
        self.peers[peer.index()].beat + u64::from(HEARTBEATS_PER_TIMEOUT) >= self.beats
    }

    /// A heartbeat is due. Has a majority answered, the leader itself among it, not too long ago?
    /// And since when `is_open`, that something waits to be decided, has anything been, now that
    /// everything through `executed` is? A leader that a majority answers only now and then decides
    /// next to nothing.
    fn is_heard_by(&mut self, majority: usize, is_open: bool, executed: Slot) -> bool {
        if self.heard.len() + 1 >= majority && (!is_open || executed > self.executed) {
            self.heard = ReplicaSet::EMPTY;
            self.silence = 0;
            self.executed = executed;
        }
        self.silence += 1;
        self.silence <= self.silence_max
    }
}

impl MultiPaxos {
    /// May this replica propose: does it lead, and is there room for a further slot in flight?
    pub(super) fn has_room(&self) -> bool {
        matches!(self.role, Role::Leader(_))
            && self.log.last() - self.executed < IN_FLIGHT.of(&self.config)
    }

    /// Proposes `batch`, which came from a client of this replica, unless a slot that is to be
    /// executed here has it: there its client is answered.
    pub(super) fn propose_own(&mut self, batch: Batch, effects: &mut Effects<Self>) {
        let Role::Leader(leader) = &mut self.role else {
            unreachable!("only a leader proposes");
        };
        let next = self.log.last() + 1;
        let Some(slot) = leader.in_hand.find_or_note(&batch, self.executed, next, &self.log) else {
            let ballot = self.promised;
            self.open(next, Entry { ballot, batch, own: true, ..Entry::default() }, effects);
            return;
        };
        let becomes_own =
            |entry: &mut Entry| !entry.decided && !std::mem::replace(&mut entry.own, true);
        let becomes_own = self.log.amend(slot, becomes_own).expect("it has the batch");
        leader.own_undecided += u64::from(becomes_own);
    }

    /// Proposes `batch` again at `slot`, to finish what an earlier leader began.
    pub(super) fn propose_at(&mut self, slot: Slot, batch: Batch, effects: &mut Effects<Self>) {
        let Role::Leader(leader) = &mut self.role else {
            unreachable!("only a leader proposes");
        };
        leader.in_hand.note(&batch, slot, &self.log);
        let ballot = self.promised;
        self.open(slot, Entry { ballot, batch, recovered: true, ..Entry::default() }, effects);
    }

    /// Accepts `proposal`, which is noted as in hand, here and asks all others to.
    fn open(&mut self, slot: Slot, proposal: Entry, effects: &mut Effects<Self>) {
        let (ballot, batch, commit) = (proposal.ballot, proposal.batch.clone(), self.executed);
        let Role::Leader(leader) = &mut self.role else {
            unreachable!("only a leader proposes");
        };
        leader.own_undecided += u64::from(proposal.own);
        leader.announced = commit;
        let collect = leader.collect;
        effects.persist(Record::Accepted { slot, ballot, batch: batch.clone(), executed: commit });
        let is_put = self.log.put(slot, proposal);
        assert!(is_put, "proposals are above the executed slots");
        effects.send(self.others, Message::Accept { ballot, slot, batch, commit, collect });
        self.retransmit_later(effects);
        self.count_vote(slot, self.id, effects);
    }

    /// Counts that `replica` accepted what this leader proposes at `slot`.
    fn count_vote(&mut self, slot: Slot, replica: ReplicaId, effects: &mut Effects<Self>) {
        let majority = self.majority();
        let vote = |entry: &mut Entry| {
            // Repeated, or after the choice was learnt in another way.
            let counts = entry.votes.insert(replica) && !entry.decided;
            let path = if entry.recovered { Path::Recovered } else { Path::Slow };
            (counts && entry.votes.len() == majority).then_some(path)
        };
        // A slot that is discarded was chosen long ago.
        if let Some(path) = self.log.amend(slot, vote).flatten() {
            self.decide(slot, path, effects);
            self.advance(effects);
        }
    }

    pub(super) fn on_accepted(
        &mut self,
        from: ReplicaId,
        ballot: Ballot,
        slot: Slot,
        executed: Slot,
        effects: &mut Effects<Self>,
    ) {
        let Some(peer) = self.answering_peer(from, ballot) else { return };
        peer.executed = executed;
        peer.accepted = peer.accepted.max(slot);
        peer.answered = true;
        self.count_vote(slot, from, effects);
        self.note_taken_in(from, slot, effects);
    }

    pub(super) fn on_alive(&mut self, from: ReplicaId, ballot: Ballot, beat: u64, executed: Slot) {
        if let Some(peer) = self.answering_peer(from, ballot) {
            peer.executed = executed;
            peer.beat = peer.beat.max(beat);
        }
    }

    /// `peer` has answered what was sent at `ballot`. None if that is of an earlier leadership.
    fn answering_peer(&mut self, peer: ReplicaId, ballot: Ballot) -> Option<&mut Peer> {
        let majority = self.majority();
        self.patience.answer_came(peer, ballot, majority);
        let Role::Leader(leader) = &mut self.role else { return None };
        if ballot != self.promised {
            return None;
        }
        leader.heard.insert(peer);
        leader.peers.get_mut(peer.index())
    }

    /// A client of a replica that has executed everything through `executed` asks for `batch`.
    pub(super) fn on_forward(&mut self, batch: Batch, executed: Slot, effects: &mut Effects<Self>) {
        // The sender forwards it again once it knows better who leads, or once there is room.
        if !self.has_room() {
            return;
        }
        let Role::Leader(leader) = &mut self.role else { return };
        // Where a slot that its replica is to execute yet has the batch, the client is answered.
        // Once it has executed the slot, or a snapshot of it, it wants the batch for another
        // reason: a read that was asked for again, or answers that the snapshot did not bring.
        let next = self.log.last() + 1;
        if leader.in_hand.find_or_note(&batch, executed, next, &self.log).is_none() {
            let ballot = self.promised;
            self.open(next, Entry { ballot, batch, ..Entry::default() }, effects);
        }
    }

    /// Proposes what clients of this replica proposed while it did not lead, or had no room.
    pub(super) fn propose_kept(&mut self, effects: &mut Effects<Self>) {
        let room = IN_FLIGHT.of(&self.config).saturating_sub(self.log.last() - self.executed);
        for batch in self.outbox.take(usize::try_from(room).unwrap_or(usize::MAX)) {
            self.propose_own(batch, effects);
        }
    }

    /// The leadership has ended: what clients of this replica wait for is forwarded to the next leader.
    pub(super) fn keep_own_proposals(&mut self) {
        for slot in self.executed + 1..=self.log.last() {
            let own =
                |entry: &mut Entry| std::mem::take(&mut entry.own).then(|| entry.batch.clone());
            let own = self.log.amend(slot, own).expect("between the executed and the last slot");
            if let Some(batch) = own {
                self.outbox.push(batch);
            }
        }
    }

    pub(super) fn on_heartbeat_timer(&mut self, effects: &mut Effects<Self>) {
        let (majority, executed) = (self.majority(), self.executed);
        let is_open = self.log.last() > executed;
        // The timer ran out while the leadership ended.
        let Role::Leader(leader) = &mut self.role else { return };
        if leader.is_heard_by(majority, is_open, executed) {
            self.beat(effects);
        } else {
            // Others may be able to lead. As long as it is heard, they leave that to it. (Ongaro
            // 2014, §6.2)
            self.patience.quorum_lost(self.promised, leader.heard);
            self.step_down(effects);
            self.leave_to_others(effects);
        }
    }

    /// How many heartbeats a leader sends without a majority's answers. It lasted so many `periods`
    /// of retransmission until a majority had promised: answers may take as long, and half of that
    /// again.
    pub(super) fn silence_max(&self, periods: u32) -> u32 {
        let timeouts = self.config.timeouts;
        let beat = (timeouts.election / HEARTBEATS_PER_TIMEOUT).as_nanos().max(1);
        let promised_in = timeouts.retransmit.as_nanos() * u128::from(periods) * 3 / 2;
        let silence = self.election_timeout().as_nanos() + promised_in;
        u32::try_from(silence / beat).unwrap_or(u32::MAX)
    }

    /// Tells the followers that their leader lives.
    pub(super) fn beat(&mut self, effects: &mut Effects<Self>) {
        let commit = self.executed;
        let Role::Leader(leader) = &mut self.role else {
            unreachable!("only a leader's heart beats");
        };
        leader.announced = commit;
        leader.beats += 1;
        let (ballot, collect, beat) = (self.promised, leader.collect, leader.beats);
        let heard = self.others.iter().filter(|peer| leader.hears_in_time(*peer)).collect();
        effects.send(self.others, Message::Heartbeat { ballot, commit, collect, beat, heard });
        let period = self.config.timeouts.election / HEARTBEATS_PER_TIMEOUT;
        effects.set_timer(Timer::Heartbeat, period..=period);
    }

    /// Announces the commit index if no Accept has brought it, and collects.
    pub(super) fn on_flush(&mut self, effects: &mut Effects<Self>) {
        let (commit, id) = (self.executed, self.id);
        let Role::Leader(leader) = &mut self.role else { return };
        let peers = leader.peers.iter().enumerate().filter(|(index, _)| *index != id.index());
        let everywhere = peers.map(|(_, peer)| peer.executed).fold(commit, Slot::min);
        leader.collect = leader.collect.max(everywhere);
        // A replica that is silent or slow holds a majority up only so far.
        let kept_slots_max = self.config.kept_slots_max;
        if commit - leader.collect > kept_slots_max {
            let settled = leader.executed_by_majority(id, commit);
            leader.collect = leader.collect.max(settled.saturating_sub(kept_slots_max));
        }
        let collect = leader.collect;
        if commit > leader.announced {
            leader.announced = commit;
            effects.send(self.others, Message::Commit { ballot: self.promised, commit, collect });
        }
        self.collect(collect);
    }
}
