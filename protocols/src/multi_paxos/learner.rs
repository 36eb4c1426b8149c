//! Learning what is decided, executing it in order, and discarding what everyone has executed.

use super::{
    message::Record,
    replica::{Entry, MultiPaxos, Role},
};
use crate::{
    command::Batch,
    dependencies::Dependencies,
    id::{InstanceId, ReplicaId, Slot},
    replica::{Effect, Effects, Path},
};

impl MultiPaxos {
    /// `slot`, of which the log has the batch, is decided.
    pub(super) fn decide(&mut self, slot: Slot, path: Path, effects: &mut Effects<Self>) {
        let decide = |entry: &mut Entry| {
            assert!(!entry.decided, "slot {slot} is decided twice");
            entry.decided = true;
            (std::mem::take(&mut entry.own), entry.batch.clone())
        };
        let decided = self.log.amend(slot, decide);
        let (own, batch) = decided.expect("only a slot that is held gets decided");
        if own {
            let Role::Leader(leader) = &mut self.role else {
                unreachable!("own proposals leave the log when the leadership ends");
            };
            leader.own_undecided -= 1;
        }
        if self.outbox.settle(&batch) {
            self.forward_more(effects);
        }
        effects.push(Effect::Committed {
            instance: InstanceId::single_row(slot),
            batch,
            dependencies: Dependencies::default(),
            path,
        });
    }

    /// Executes what is decided next in the order.
    pub(super) fn advance(&mut self, effects: &mut Effects<Self>) {
        while let Some(entry) = self.log.get(self.executed + 1)
            && entry.decided
        {
            self.executed += 1;
            let instance = InstanceId::single_row(self.executed);
            effects.push(Effect::Execute { instance, batch: entry.batch.clone() });
        }
    }

    /// Another replica says that `batch` is decided at `slot`.
    pub(super) fn learn(&mut self, slot: Slot, batch: Batch, effects: &mut Effects<Self>) {
        // Nothing is there to be learnt below the executed slot, and nothing is kept far above it.
        if slot <= self.executed || slot > self.highest_slot_kept() {
            return;
        }
        let unknown = Entry::default();
        let entry = self.log.get(slot).unwrap_or(&unknown);
        if entry.decided {
            assert!(entry.batch == batch, "slot {slot} is decided as two batches");
            return;
        }
        if !entry.is_known() || entry.batch != batch {
            let learnt = Entry { batch: batch.clone(), own: false, ..entry.clone() };
            // A leader of a higher ballot, of which this one has not heard, got it chosen.
            if entry.own {
                self.step_down(effects);
            }
            self.log.put(slot, learnt);
            effects.persist(Record::Decided { slot, batch });
        }
        self.decide(slot, Path::Learned, effects);
    }

    /// The leader of the promised ballot says that everything through `commit` is chosen. That holds for what it
    /// proposed: an entry of an older ballot may be another batch.
    pub(super) fn learn_commit(
        &mut self,
        leader: ReplicaId,
        commit: Slot,
        effects: &mut Effects<Self>,
    ) {
        let known = self.commit.max(self.executed);
        self.commit = self.commit.max(commit);
        for slot in known + 1..=commit.min(self.log.last()) {
            let entry = self.log.get(slot).expect("between the executed and the last slot");
            if entry.ballot == self.promised && !entry.decided {
                self.decide(slot, Path::Learned, effects);
            }
        }
        self.advance(effects);
        if self.executed < commit {
            self.seek(commit, leader, effects);
        }
    }

    /// Discards what is executed through `collect`, and what beyond it is too much to be kept.
    pub(super) fn collect(&mut self, collect: Slot) {
        self.log.collect(collect.min(self.executed));
        let crowded = self.log.crowded(self.executed, self.config.kept_bytes_max);
        self.log.crowd_out(crowded);
    }

    /// Says again, to the driver of a new life, what the records know to be decided, and executes it.
    pub(super) fn announce_recovered(&mut self, effects: &mut Effects<Self>) {
        for (slot, entry) in self.log.iter().filter(|(_, entry)| entry.decided) {
            effects.push(Effect::Committed {
                instance: InstanceId::single_row(slot),
                batch: entry.batch.clone(),
                dependencies: Dependencies::default(),
                path: Path::Learned,
            });
        }
        self.advance(effects);
    }
}
