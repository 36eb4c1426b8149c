//! Decided instances, for tests of the execution graph alone.

use protocols::{
    Batch, ClientId, Command, InstanceId, ReplicaId, Request, RequestNumber, Slot,
    command::Footprint, dependencies::Dependencies,
};

#[derive(Clone, Debug)]
pub(crate) struct Decision {
    pub(crate) instance: InstanceId,
    /// Of the command that was proposed.
    pub(crate) footprint: Footprint,
    /// A no-op if it was decided as one.
    pub(crate) batch: Batch,
    pub(crate) dependencies: Dependencies,
}

pub(crate) fn id(row: usize, slot: Slot) -> InstanceId {
    InstanceId::new(ReplicaId::from_index(row), slot)
}

/// A batch that touches each of `keys`, and writes those that say so.
pub(crate) fn batch(instance: InstanceId, keys: &[(u8, bool)]) -> Batch {
    let keys: Vec<([u8; 1], bool)> = keys.iter().map(|(key, write)| ([*key], *write)).collect();
    let requests = keys.iter().zip(1..).map(|((key, write), nth)| {
        let (number, command) = if *write {
            (RequestNumber::write(2 * instance.slot + nth), Command::Put { key, value: b"v" })
        } else {
            (RequestNumber::read(2 * instance.slot + nth), Command::Get { key })
        };
        let client = ClientId(u64::from(instance.row.0));
        Request { client, number, unanswered_from: 1, command }
    });
    Batch::new(&requests.collect::<Vec<_>>()).expect("small")
}
