//! What a replica that is rebuilt from its records must know of what the living one does.

use super::{EPaxos, instance::Instance, message::Phase};
use crate::id::{InstanceId, ReplicaId};

impl EPaxos {
    /// What `rebuilt` lacks of the instances held here, in words.
    pub(super) fn not_in(&self, rebuilt: &Self) -> Option<String> {
        let unknown = Instance::default();
        for row in ReplicaId::all(self.config.replicas) {
            for (slot, entry) in self.rows[row.index()].log.iter() {
                let instance = InstanceId::new(row, slot);
                let known = rebuilt.entry(instance).unwrap_or(&unknown);
                if entry.lacks(known) {
                    return Some(format!("{instance}: {entry:?} lives, {known:?} is on record"));
                }
            }
        }
        None
    }
}

impl Instance {
    /// Does `rebuilt` not know the phase, a ballot, or the command and its dependencies? Of a
    /// decision nothing else matters.
    fn lacks(&self, rebuilt: &Self) -> bool {
        let command = |of: &Self| (of.batch.clone(), of.dependencies.clone());
        if self.phase != rebuilt.phase {
            return true;
        }
        if self.is_committed() {
            return command(self) != command(rebuilt);
        }
        // At which ballot phase 1 was taken says whether that counts as a part of a fast path. An
        // Accept outweighs it, and a checkpoint of one does not keep it.
        let phase_1 =
            |of: &Self| (of.phase == Phase::PreAccepted).then_some(of.pre_accepted_ballot);
        let ballots = |of: &Self| (of.ballot, of.accepted_ballot, phase_1(of));
        ballots(self) != ballots(rebuilt)
            || self.initial != rebuilt.initial
            || (self.phase != Phase::None && command(self) != command(rebuilt))
    }
}
