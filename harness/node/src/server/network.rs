//! A replica's emulated network and pace, as an operator changes and asks for them.

use measure::{NetworkReport, SlowReport};
use protocols::Replica;

use super::{Context, Node};
use crate::emulator::{NetworkChange, socket::Emulator};

/// Carries `change` out.
///
/// # Errors
/// Why it cannot be, and what to do.
pub(super) fn change<R: Replica>(
    context: &Context<R>,
    node: &mut Node<R>,
    change: &NetworkChange,
) -> Result<(), String> {
    if let NetworkChange::Slow { factor } = change {
        node.slow.set(*factor);
        return Ok(());
    }
    match &context.transport.emulator {
        Some(emulator) => emulator.change(change),
        None if change.impairs_packets() => {
            return Err("it runs without an emulated network: start it with --network".to_owned());
        }
        None => {}
    }
    node.outputs.messages.change(change).map_err(|error| format!("no timer is left: {error}"))
}

/// What was done since the measuring began.
pub(super) fn report<R: Replica>(context: &Context<R>, node: &Node<R>) -> NetworkReport {
    let emulator = context.transport.emulator.as_ref();
    NetworkReport {
        packets: emulator.map(Emulator::report).unwrap_or_default(),
        messages: node.outputs.messages.report(),
        slow: node.slow.report,
    }
}

/// Counts anew.
pub(super) fn begin_measuring<R: Replica>(context: &Context<R>, node: &mut Node<R>) {
    if let Some(emulator) = &context.transport.emulator {
        emulator.begin_measuring();
    }
    node.outputs.begin_measuring();
    node.slow.report = SlowReport::default();
}
