//! Where a replica's work goes that must be durable before anything that relies on it leaves.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    task::{Context, Poll, Waker},
    thread::{self, JoinHandle},
};

use super::writer::{Work, Writer};
use crate::NodeError;

/// Takes work and says when it is durable.
pub(crate) trait Store {
    /// Ready when everything begun is durable; if not, the task is woken then.
    ///
    /// # Errors
    /// If it cannot be made durable. Then nothing may be released any more.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NodeError>>;

    /// Begins `work`. The one before must be done.
    fn begin(&mut self, work: Work);
}

/// The store of a replica process.
#[derive(Debug)]
pub(crate) enum Disk {
    /// Durability "memory": nothing is ever begun.
    Absent,
    /// Durability "buffered": done when begun.
    Buffered { writer: Box<Writer>, failure: Option<NodeError> },
    /// Durability "fsync": done by a thread of its own, so that the replica reads and steps on meanwhile, and what comes in
    /// during one sync forms the group of the next.
    Synced(Helper),
}

impl Store for Disk {
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NodeError>> {
        match self {
            Self::Absent => Poll::Ready(Ok(())),
            Self::Buffered { failure, .. } => Poll::Ready(failure.take().map_or(Ok(()), Err)),
            Self::Synced(helper) => helper.poll_idle(cx),
        }
    }

    fn begin(&mut self, work: Work) {
        match self {
            Self::Absent => unreachable!("there is nothing to keep"),
            Self::Buffered { writer, failure } => *failure = writer.write(&work).err(),
            Self::Synced(helper) => helper.begin(work),
        }
    }
}

/// A thread that writes and syncs.
#[derive(Debug)]
pub(crate) struct Helper {
    /// None once this is dropped: the thread ends when it is done.
    work: Option<mpsc::Sender<Work>>,
    thread: Option<JoinHandle<()>>,
    /// Was something begun whose end was not seen? Spares a look at what is shared.
    begun: bool,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    busy: bool,
    failure: Option<NodeError>,
    waker: Option<Waker>,
}

impl Helper {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has no more threads.
    pub(crate) fn start(mut writer: Writer) -> Result<Self, NodeError> {
        let (sender, receiver) = mpsc::channel::<Work>();
        let state = Arc::<Mutex<State>>::default();
        let shared = state.clone();
        let run = move || {
            for work in receiver {
                let failure = writer.write(&work).err();
                let mut state = locked(&shared);
                state.busy = false;
                state.failure = failure;
                if let Some(waker) = state.waker.take() {
                    waker.wake();
                }
            }
        };
        let thread = thread::Builder::new().name("storage".to_owned()).spawn(run);
        let thread = thread.map_err(|error| {
            NodeError::new(format!("cannot start the storage's thread: {error}"))
        })?;
        Ok(Self { work: Some(sender), thread: Some(thread), begun: false, state })
    }

    fn poll_idle(&mut self, cx: &Context<'_>) -> Poll<Result<(), NodeError>> {
        if !self.begun {
            return Poll::Ready(Ok(()));
        }
        let mut state = locked(&self.state);
        if state.busy {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        self.begun = false;
        Poll::Ready(state.failure.take().map_or(Ok(()), Err))
    }

    fn begin(&mut self, work: Work) {
        self.begun = true;
        locked(&self.state).busy = true;
        let sent = self.work.as_ref().is_some_and(|sender| sender.send(work).is_ok());
        assert!(sent, "the storage's thread ended before its time");
    }
}

impl Drop for Helper {
    /// Waits for what is under way: until then the directory is in use.
    fn drop(&mut self) {
        self.work = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// No state is left halfway by a panic here.
fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
