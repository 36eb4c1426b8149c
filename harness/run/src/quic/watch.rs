//! What ends a run before its time: a signal, the death of a replica, the loss of a host, or
//! something that could not be done.

use std::{future::Future, time::Duration};

use node::interrupt::Interrupt;

use super::fleet::Fleet;
use crate::{Error, Progress, Stop};

/// How often the processes are looked at.
const DEATH_POLL: Duration = Duration::from_millis(50);
/// Chosen: a lost connection is often the first sign of a death; this is how long the death itself may take to show.
const DEATH_NOTICE: Duration = Duration::from_millis(400);

/// Looks out for reasons to stop.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    pub(super) fleet: &'a mut Fleet,
    pub(super) interrupt: &'a mut Interrupt,
    pub(super) progress: &'a dyn Progress,
}

impl Watch<'_> {
    /// Does `work` unless there is a reason to stop; a death counts for more than what it makes fail.
    ///
    /// # Errors
    /// The reason.
    pub(super) async fn over<T>(
        &mut self,
        phase: &'static str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Stop> {
        self.progress.phase(phase);
        let failed = tokio::select! {
            biased;
            stop = self.reason(phase) => return Err(stop),
            done = work => match done {
                Ok(done) => return Ok(done),
                Err(error) => error,
            },
        };
        let reason = tokio::time::timeout(DEATH_NOTICE, self.reason(phase)).await;
        Err(reason.unwrap_or_else(|_| failed.into()))
    }

    async fn reason(&mut self, phase: &'static str) -> Stop {
        let Self { fleet, interrupt, progress } = self;
        let died = async {
            loop {
                if let Some(stop) = fleet.trouble() {
                    return stop;
                }
                progress.phase(phase);
                tokio::time::sleep(DEATH_POLL).await;
            }
        };
        tokio::select! {
            signal = interrupt.raised() => Stop::Interrupted(signal),
            stop = died => stop,
        }
    }
}
