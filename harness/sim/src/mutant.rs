//! Mistakes of a driver and of the state machine, for the tests that must notice them ([`protocols::mutant`]). Without the
//! feature `mutants` none of this does anything.

use protocols::{Batch, Config, Replica, ReplicaId, kv::Kv};

use crate::{host::submission_id, simulation::Simulation, source::Source};

#[cfg(feature = "mutants")]
use protocols::mutant::Mutant;

/// Are clients answered when their command is committed?
pub(crate) fn replies_early(config: &Config) -> bool {
    #[cfg(feature = "mutants")]
    return config.mutant == Some(Mutant::ReplyBeforeExecution);
    #[cfg(not(feature = "mutants"))]
    return made_by_none(config);
}

/// Does what is sent leave before the records that it relies on are durable?
pub(crate) fn sends_first(config: &Config) -> bool {
    #[cfg(feature = "mutants")]
    return config.mutant == Some(Mutant::SendBeforePersist);
    #[cfg(not(feature = "mutants"))]
    return made_by_none(config);
}

/// What a crash takes with it where sending does not wait for the disk: the last records, of which others know already.
pub(crate) fn lose_unsynced<T>(config: &Config, records: &mut Vec<T>) {
    const UNSYNCED: usize = 4;
    if sends_first(config) {
        records.truncate(records.len().saturating_sub(UNSYNCED));
    }
}

/// The state machine makes the mistake that its core makes.
pub(crate) fn pass_on(config: &Config, kv: &mut Kv) {
    #[cfg(feature = "mutants")]
    {
        kv.mutant = config.mutant;
    }
    #[cfg(not(feature = "mutants"))]
    let _ = (config, kv);
}

#[cfg(not(feature = "mutants"))]
const fn made_by_none(_: &Config) -> bool {
    false
}

impl<R: Replica, S: Source> Simulation<R, S> {
    /// Answers the client of `batch`, which `replica` knows to be committed and has not executed, with what it would come
    /// to now.
    pub(crate) fn answer_early(&mut self, replica: ReplicaId, batch: &Batch) {
        let host = &mut self.hosts[replica.index()];
        let Some(pending) = submission_id(batch).and_then(|id| host.pending.remove(&id)) else {
            return;
        };
        let mut kv = host.kv.clone();
        let outcomes = batch.requests().map(|request| kv.apply(&request)).collect();
        self.answer(replica, pending.client, pending.number, outcomes);
    }
}
