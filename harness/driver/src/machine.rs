//! The replicated state with its place in the order of execution.

use protocols::{
    InstanceId,
    kv::{Kv, NotASnapshot},
};

/// The key-value state, and which instances it stands for.
///
/// Two states of different places in the order may be equal: a no-op changes nothing, nor does a
/// command that was chosen twice. Their snapshots must differ all the same, since a replica that
/// begins with the one executes again what the other has behind it.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// The key-value state.
    pub kv: Kv,
    executed: Executed,
}

/// A set of instances, as far as sets are told apart: their number, and a sum of their hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Executed {
    instances: u64,
    digest: u64,
}

impl Machine {
    /// How many bytes of a snapshot say which instances it stands for: two words, little endian,
    /// behind the key-value state.
    const PLACE_BYTES: usize = 16;

    /// `instance` is executed now.
    pub(crate) fn begin(&mut self, instance: InstanceId) {
        let Executed { instances, digest } = &mut self.executed;
        *instances += 1;
        *digest = digest.wrapping_add(hash(instance));
    }

    /// The state in bytes, equal for equal states of one place in the order.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut bytes = self.kv.snapshot();
        bytes.extend_from_slice(&self.executed.instances.to_le_bytes());
        bytes.extend_from_slice(&self.executed.digest.to_le_bytes());
        bytes
    }

    /// The state that [`Machine::snapshot`] wrote.
    ///
    /// # Errors
    /// If `bytes` are no such state.
    pub fn restore(bytes: &[u8]) -> Result<Self, NotASnapshot> {
        let (state, place) =
            bytes.split_last_chunk::<{ Self::PLACE_BYTES }>().ok_or(NotASnapshot)?;
        let word = |at: usize| {
            let bytes = place[at..].first_chunk().expect("the place is two words long");
            u64::from_le_bytes(*bytes)
        };
        let executed = Executed { instances: word(0), digest: word(8) };
        Ok(Self { kv: Kv::restore(state)?, executed })
    }
}

/// Mixes the instance's row and slot well enough that sums of them do not cancel out (the finalizer
/// of SplitMix64).
const fn hash(instance: InstanceId) -> u64 {
    let mut word = instance.slot ^ (instance.row.0 as u64) << 56;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use protocols::ReplicaId;

    use super::*;

    /// Found as "executes again" after a restart from the earlier of two snapshots with equal bytes
    /// (Paxos, seed 214).
    #[test]
    fn equal_states_of_different_places_are_told_apart() {
        let mut machine = Machine::default();
        let before = machine.snapshot();
        machine.begin(InstanceId::new(ReplicaId(1), 7));
        let after = machine.snapshot();
        assert_ne!(before, after);
        let restored = Machine::restore(&after).unwrap();
        assert_eq!(restored.executed, machine.executed);
        assert_eq!(restored.snapshot(), after);
        let mut elsewhere = Machine::default();
        elsewhere.begin(InstanceId::new(ReplicaId(2), 7));
        assert_ne!(elsewhere.snapshot(), after, "as many, and others");
        assert!(Machine::restore(&after[1..]).is_err());
        assert!(Machine::restore(&[0; 15]).is_err());
    }
}
