//! Where a replica's work goes that must be durable before anything that relies on it leaves.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    task::Waker,
    thread::{self, JoinHandle},
};

use driver::{
    Store,
    storage::{StorageError, Work, Writer},
};

use crate::{NodeError, disk::ProcessDisk};

/// The store of a replica process.
#[derive(Debug)]
pub(crate) enum ProcessStore {
    /// Durability "memory": nothing is ever begun.
    Absent,
    /// Durability "buffered": done when begun.
    Buffered { writer: Box<Writer<ProcessDisk>>, failure: Option<StorageError> },
    /// Durability "fsync": done by a thread of its own, so that the replica reads and steps on
    /// meanwhile, and what comes in during one sync forms the group of the next.
    Synced(Helper),
}

impl ProcessStore {
    /// Wakes `waker` whenever something is done that was begun, until another takes its place. Must
    /// be called before [`Store::is_idle`] by the task that asks: then nothing is done unnoticed
    /// between the two calls, or after [`Store::begin`].
    pub(crate) fn register(&mut self, waker: &Waker) {
        if let Self::Synced(helper) = self {
            helper.register(waker);
        }
    }
}

impl Store for ProcessStore {
    fn is_idle(&mut self) -> Result<bool, StorageError> {
        match self {
            Self::Absent => Ok(true),
            Self::Buffered { failure, .. } => failure.take().map_or(Ok(true), Err),
            Self::Synced(helper) => helper.is_idle(),
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
    /// The waker in `state`. Spares a look at what is shared, too.
    waker: Option<Waker>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    busy: bool,
    failure: Option<StorageError>,
    waker: Option<Waker>,
}

impl Helper {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has no more threads.
    pub(crate) fn start(mut writer: Writer<ProcessDisk>) -> Result<Self, NodeError> {
        let (sender, receiver) = mpsc::channel::<Work>();
        let state = Arc::<Mutex<State>>::default();
        let shared = state.clone();
        let run = move || {
            for work in receiver {
                let failure = writer.write(&work).err();
                let mut state = locked(&shared);
                state.busy = false;
                state.failure = failure;
                if let Some(waker) = &state.waker {
                    waker.wake_by_ref();
                }
            }
        };
        let thread = thread::Builder::new().name("storage".to_owned()).spawn(run);
        let doing = || "start the storage's thread".to_owned();
        let thread = thread.map_err(|error| NodeError::System { doing: doing(), error })?;
        Ok(Self { work: Some(sender), thread: Some(thread), begun: false, waker: None, state })
    }

    fn register(&mut self, waker: &Waker) {
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.waker = Some(waker.clone());
            locked(&self.state).waker.clone_from(&self.waker);
        }
    }

    fn is_idle(&mut self) -> Result<bool, StorageError> {
        if !self.begun {
            return Ok(true);
        }
        let mut state = locked(&self.state);
        if state.busy {
            return Ok(false);
        }
        self.begun = false;
        state.failure.take().map_or(Ok(true), Err)
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

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        task::Wake,
        time::{Duration, Instant},
    };

    use driver::storage::{Journal, Owner, Past};
    use protocols::{Config, ReplicaId};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// The task registers itself once, before anything is begun, and sleeps until it is woken, time
    /// after time.
    #[test]
    fn a_task_that_registered_is_woken_by_everything_that_is_done_later() {
        let directory = tempfile::tempdir().unwrap();
        let owner = Owner {
            cluster: "c".to_owned(),
            replica: ReplicaId(1),
            protocol: protocols::paxos::PROTOCOL,
            config: Config::new(3),
        };
        let past = Past::read(ProcessDisk::open(directory.path()).unwrap(), owner, 1).unwrap();
        let mut journal = Journal::new(&past, None);
        let helper = Helper::start(Writer::new(past, true, None).unwrap()).unwrap();
        let mut store = ProcessStore::Synced(helper);
        let count = Arc::<Count>::default();
        store.register(&Waker::from(count.clone()));
        assert!(store.is_idle().unwrap());
        for done in 1..20 {
            journal.record(&done);
            store.begin(journal.take().unwrap());
            let _ = store.is_idle().unwrap();
            let begun = Instant::now();
            while count.0.load(Ordering::SeqCst) < done {
                assert!(begun.elapsed() < Duration::from_secs(20), "the wake-up {done} was lost");
                thread::yield_now();
            }
            assert!(store.is_idle().unwrap());
        }
        // The file is gone: the next write fails, which is told, and told once.
        std::fs::remove_dir_all(directory.path()).unwrap();
        journal.replace(protocols::Snapshot { machine: [1].into(), core: [2].into() });
        store.begin(journal.take().unwrap());
        let error = loop {
            match store.is_idle() {
                Ok(false) => thread::yield_now(),
                Ok(true) => panic!("the failure was not told"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, StorageError::NotKept(_)), "{error}");
    }
}
