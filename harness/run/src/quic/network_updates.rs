//! A task per replica that tells it every change of the emulated network, so that the load never
//! waits for a replica that stands still: such a replica is told once it goes on.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};

use node::{NodeError, control::Control};
use protocols::ReplicaId;
use tokio::{
    sync::watch,
    task::{JoinHandle, spawn_local},
    time::{sleep, timeout},
};

use super::{cluster::Controls, network::Network};
use crate::Error;

/// Chosen: a process that is not up yet does not answer the first packet, and the next is sent late: better to dial anew.
/// Longer each time, for a host so loaded that a handshake takes its time.
const DIAL_TIMEOUT_MIN: Duration = Duration::from_millis(20);
const DIAL_TIMEOUT_MAX: Duration = Duration::from_secs(1);
/// Chosen: a replica that does not answer is asked again so much later.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// The task for one life of a replica, which ends with this.
#[derive(Debug)]
pub(super) struct NetworkUpdater {
    pub(super) replica: ReplicaId,
    known: Rc<Known>,
    task: JoinHandle<()>,
}

/// How far the task is.
#[derive(Debug, Default)]
struct Known {
    /// How long a replica that was started again took until it was up.
    up: Cell<Option<Duration>>,
    /// The version of the network that it was told last; none before it is up.
    told: Cell<Option<u64>>,
    /// Why it cannot be told.
    refused: RefCell<Option<String>>,
}

impl Drop for NetworkUpdater {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl NetworkUpdater {
    /// A task for `replica`, which is up and knows of no change of the network yet.
    pub(super) fn of_first_life(
        controls: &Controls,
        replica: ReplicaId,
        wanted: watch::Receiver<Network>,
    ) -> Self {
        let known = Rc::new(Known::default());
        let task =
            spawn_local(announce_changes(controls.clone(), replica, wanted, Rc::clone(&known)));
        Self { replica, known, task }
    }

    /// A task for `replica`, which was just started again. Once it is up and told how the network
    /// is, `let_in` is told.
    pub(super) fn of_next_life(
        controls: &Controls,
        replica: ReplicaId,
        wanted: watch::Receiver<Network>,
        let_in: watch::Sender<bool>,
    ) -> Self {
        let known = Rc::new(Known::default());
        let (start, seen, controls) = (Instant::now(), Rc::clone(&known), controls.clone());
        let task = spawn_local(async move {
            wait_until_up(&controls, replica).await;
            seen.up.set(Some(start.elapsed()));
            // The load may have ended.
            let _ = let_in.send(true);
            announce_changes(controls, replica, wanted, seen).await;
        });
        Self { replica, known, task }
    }

    /// How long the replica took until it was up with its log replayed, if it is.
    pub(super) fn up(&self) -> Option<Duration> {
        self.known.up.get()
    }

    /// Is the replica up, and told of this version of the network?
    ///
    /// # Errors
    /// If it refused.
    pub(super) fn has_told(&self, version: u64) -> Result<bool, Error> {
        match &*self.known.refused.borrow() {
            Some(reason) => Err(Error::Refused { replica: self.replica, reason: reason.clone() }),
            None => Ok(self.known.told.get() == Some(version)),
        }
    }
}

/// Waits until `replica` answers an operator: its process is up and its log replayed.
async fn wait_until_up(controls: &Controls, replica: ReplicaId) {
    let mut dial_timeout = DIAL_TIMEOUT_MIN;
    loop {
        let answer = async { controls.open(replica).await?.status().await };
        if let Ok(Ok(_)) = timeout(dial_timeout, answer).await {
            return;
        }
        dial_timeout = (dial_timeout * 5 / 4).min(DIAL_TIMEOUT_MAX);
    }
}

/// Tells `replica` every change, for as long as there may be more.
async fn announce_changes(
    controls: Controls,
    replica: ReplicaId,
    mut wanted: watch::Receiver<Network>,
    known: Rc<Known>,
) {
    let mut told = Network::new(controls.replicas());
    let mut line: Option<Control> = None;
    loop {
        let network = wanted.borrow_and_update().clone();
        while let Err(error) = changes(&controls, replica, (&told, &network), &mut line).await {
            // A refusal comes over a line that is well.
            let is_well = match &mut line {
                Some(line) => line.status().await.is_ok(),
                None => false,
            };
            if is_well {
                *known.refused.borrow_mut() = Some(error.to_string());
                return;
            }
            line = None;
            sleep(RETRY_AFTER).await;
        }
        known.told.set(Some(network.version));
        told = network;
        if wanted.changed().await.is_err() {
            return;
        }
    }
}

/// Makes of the network that was told the one that is wanted.
async fn changes(
    controls: &Controls,
    replica: ReplicaId,
    (told, wanted): (&Network, &Network),
    line: &mut Option<Control>,
) -> Result<(), NodeError> {
    for change in wanted.changes_since(told, Some(replica)) {
        let line = match line {
            Some(line) => line,
            None => line.insert(controls.open(replica).await?),
        };
        line.network(&change).await?;
    }
    Ok(())
}
