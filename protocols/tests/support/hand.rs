//! Single cores, fed by hand: what one input makes them ask for, sorted by kind.

use protocols::{Batch, Effect, Effects, Input, Path, Replica, ReplicaSet, Slot};

use super::r;

/// Steps one core by hand and flushes; returns what it asks for.
pub fn step<R: Replica>(core: &mut R, input: Input<R>) -> Vec<Effect<R>> {
    let mut effects = Effects::default();
    core.step(input, &mut effects);
    core.step(Input::Flush, &mut effects);
    effects.drain().collect()
}

/// Hands a message to one core by hand; returns what it asks for.
pub fn receive<R: Replica>(core: &mut R, from: u8, message: R::Message) -> Vec<Effect<R>> {
    step(core, Input::Message { from: r(from), message })
}

/// The messages among `effects`, each with its receivers.
pub fn sends<R: Replica>(effects: &[Effect<R>]) -> Vec<(ReplicaSet, R::Message)> {
    let sends = effects.iter().filter_map(|effect| match effect {
        Effect::Send { to, message } => Some((*to, message.clone())),
        _ => None,
    });
    sends.collect()
}

/// The messages among `effects`.
pub fn messages<R: Replica>(effects: &[Effect<R>]) -> Vec<R::Message> {
    sends(effects).into_iter().map(|(_, message)| message).collect()
}

/// The messages to `peer` among `effects`.
pub fn sent_to<R: Replica>(effects: &[Effect<R>], peer: u8) -> Vec<R::Message> {
    let to_peer = sends(effects).into_iter().filter(|(to, _)| to.contains(r(peer)));
    to_peer.map(|(_, message)| message).collect()
}

/// The records among `effects`, and how many of them come before the first message.
pub fn records<R: Replica>(effects: &[Effect<R>]) -> (Vec<R::Record>, usize) {
    let is_send = |effect: &Effect<R>| matches!(effect, Effect::Send { .. });
    let first_send = effects.iter().position(is_send).unwrap_or(effects.len());
    let record = |effect: &Effect<R>| match effect {
        Effect::Persist(record) => Some(record.clone()),
        _ => None,
    };
    let before = effects[..first_send].iter().filter_map(record).count();
    (effects.iter().filter_map(record).collect(), before)
}

/// The slots and batches that `effects` say are committed.
pub fn commits<R: Replica>(effects: &[Effect<R>]) -> Vec<(Slot, Batch, Path)> {
    let commits = effects.iter().filter_map(|effect| match effect {
        Effect::Committed { instance, batch, path, .. } => {
            Some((instance.slot, batch.clone(), *path))
        }
        _ => None,
    });
    commits.collect()
}

/// The slots that `effects` execute.
pub fn executions<R: Replica>(effects: &[Effect<R>]) -> Vec<Slot> {
    let executions = effects.iter().filter_map(|effect| match effect {
        Effect::Execute { instance, .. } => Some(instance.slot),
        _ => None,
    });
    executions.collect()
}
