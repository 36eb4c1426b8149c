//! The task that carries effects out, once everything that was ready has been stepped.
//!
//! **Invariant.** What a flush puts out is written only when all that the flush recorded, and all before it, is durable.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use protocols::Replica;
use tokio::time::{Sleep, sleep_until};

use super::{Node, Shared};
use crate::{
    NodeError,
    engine::{Engine, Output},
    failpoint::{self, Failpoint},
    storage::Store,
};

/// Runs for ever, or until something cannot be made durable: then nothing is ever written again.
pub(super) async fn run<R: Replica>(shared: Shared<R>) {
    let mut alarm = Alarm { sleep: Box::pin(sleep_until(Instant::now().into())), set_for: None };
    let error = poll_fn(|cx| {
        let node = &mut *shared.node.borrow_mut();
        if !node.flush.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            node.flush = Some(cx.waker().clone());
        }
        let ended = poll_node(node, &mut alarm, cx);
        if node.slow.pay() {
            cx.waker().wake_by_ref();
        }
        ended
    })
    .await;
    shared.fail(error);
}

/// Ready with what ends the replica.
fn poll_node<R: Replica>(
    node: &mut Node<R>,
    alarm: &mut Alarm,
    cx: &mut Context<'_>,
) -> Poll<NodeError> {
    loop {
        let Node { engine, disk, outputs, turn, .. } = node;
        if let Err(error) = ready!(turn.poll(engine, disk, outputs, cx)) {
            return Poll::Ready(error);
        }
        if !alarm.poll_expired(cx, engine.next_deadline()) {
            return Poll::Pending;
        }
        engine.on_time(Instant::now());
        turn.stepped = true;
    }
}

/// Where things go that leave the replica: what is put out is kept until it is written.
pub(super) trait Outlet: Output {
    /// Writes all that can be written now.
    fn write(&mut self, cx: &mut Context<'_>);
}

/// What a flush task has to do.
#[derive(Debug)]
pub(super) struct Turn {
    /// Was the engine stepped since the last flush?
    pub(super) stepped: bool,
    /// Was something put out and not written since?
    unwritten: bool,
}

impl Turn {
    /// The engine has just begun.
    pub(super) const fn first() -> Self {
        Self { stepped: true, unwritten: false }
    }

    /// Ready when all that was stepped is carried out, durable and written. While something is on its way to the disk nothing
    /// is carried out or written; the engine may be stepped on, and what it then asks for is the next flush's.
    ///
    /// # Errors
    /// If something cannot be made durable.
    fn poll<R: Replica>(
        &mut self,
        engine: &mut Engine<R>,
        disk: &mut impl Store,
        outlet: &mut impl Outlet,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), NodeError>> {
        loop {
            ready!(disk.poll_idle(cx))?;
            let stepped = std::mem::take(&mut self.stepped);
            let unwritten = std::mem::take(&mut self.unwritten);
            if unwritten {
                failpoint::pass(Failpoint::Send);
            }
            if unwritten || !stepped {
                outlet.write(cx);
            }
            if unwritten {
                failpoint::pass(Failpoint::Sent);
            }
            if !stepped {
                return Poll::Ready(Ok(()));
            }
            engine.flush(Instant::now(), outlet);
            self.unwritten = true;
            if let Some(work) = engine.take_work() {
                disk.begin(work);
            }
        }
    }
}

/// One sleep, for whichever timer of the core runs out first.
struct Alarm {
    sleep: Pin<Box<Sleep>>,
    set_for: Option<Instant>,
}

impl Alarm {
    /// Has `deadline` passed? If not, the task is woken then.
    fn poll_expired(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> bool {
        let Some(deadline) = deadline else { return false };
        // Timers are mostly set again before they run out. An alarm that rings too early is set again for what is left,
        // which is cheaper than moving it at every flush.
        if self.set_for.is_none_or(|set_for| deadline < set_for) {
            self.sleep.as_mut().reset(deadline.into());
            self.set_for = Some(deadline);
        }
        while self.sleep.as_mut().poll(cx).is_ready() {
            self.set_for = None;
            if deadline <= Instant::now() {
                return true;
            }
            self.sleep.as_mut().reset(deadline.into());
            self.set_for = Some(deadline);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use protocols::{
        Batch, ClientId, Command, Config, ReplicaId, ReplicaSet, Request, RequestNumber,
        paxos::Paxos,
    };

    use super::*;
    use crate::{
        engine::ConnectionId,
        storage::{Journal, Owner, Past, Work},
        wire::Reply,
    };

    /// A store whose syncs end when the test says so, or fail.
    #[derive(Default)]
    struct Manual {
        under_way: Option<Work>,
        begun: usize,
        failing: bool,
    }

    impl Store for Manual {
        fn poll_idle(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NodeError>> {
            match self.under_way {
                Some(_) if self.failing => Poll::Ready(Err(NodeError::new("the disk is full"))),
                Some(_) => Poll::Pending,
                None => Poll::Ready(Ok(())),
            }
        }

        fn begin(&mut self, work: Work) {
            assert!(work.records > 0);
            assert!(self.under_way.replace(work).is_none(), "begun while another is under way");
            self.begun += 1;
        }
    }

    /// Counts what was put out and what was written of it.
    #[derive(Default)]
    struct Counting {
        put_out: usize,
        written: usize,
        writes: usize,
    }

    impl Output for Counting {
        fn send(&mut self, to: ReplicaSet, _: &[u8]) -> u64 {
            self.put_out += 1;
            to.len() as u64
        }

        fn reply(&mut self, _: ConnectionId, _: &Reply) {
            self.put_out += 1;
        }
    }

    impl Outlet for Counting {
        fn write(&mut self, _: &mut Context<'_>) {
            self.written = self.put_out;
            self.writes += 1;
        }
    }

    struct Bench {
        engine: Engine<Paxos>,
        store: Manual,
        outlet: Counting,
        turn: Turn,
        _directory: tempfile::TempDir,
    }

    impl Bench {
        fn new(replicas: usize) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let config = Config::new(replicas).with(protocols::paxos::Window(8));
            let id = ReplicaId(0);
            let owner = Owner {
                cluster: "c".to_owned(),
                replica: id,
                protocol: protocols::paxos::PROTOCOL,
                config,
            };
            let past = Past::read(directory.path(), owner).unwrap();
            let journal = Journal::new(&past, None);
            Self {
                engine: Engine::recover(id, &config, 1, &past, journal).unwrap(),
                store: Manual::default(),
                outlet: Counting::default(),
                turn: Turn::first(),
                _directory: directory,
            }
        }

        fn propose(&mut self, index: u64) {
            let request = Request {
                client: ClientId(1),
                number: RequestNumber::write(index),
                unanswered_from: index,
                command: Command::Put { key: b"k", value: b"v" },
            };
            let batch = Batch::new(&[request]).unwrap();
            self.engine.on_client_frame(1, batch.as_bytes(), Instant::now()).unwrap();
            self.turn.stepped = true;
        }

        fn poll(&mut self) -> Poll<Result<(), NodeError>> {
            let mut cx = Context::from_waker(Waker::noop());
            self.turn.poll(&mut self.engine, &mut self.store, &mut self.outlet, &mut cx)
        }
    }

    #[test]
    fn nothing_leaves_before_what_it_relies_on_is_durable() {
        let mut bench = Bench::new(3);
        assert!(bench.poll().is_ready(), "a new replica has nothing to keep");
        bench.propose(1);
        assert!(bench.poll().is_pending());
        assert_eq!((bench.store.begun, bench.outlet.put_out, bench.outlet.written), (1, 1, 0));
        // While the sync is under way the replica takes in more; none of it is carried out, however often it is woken.
        bench.propose(2);
        bench.propose(3);
        for _ in 0..3 {
            assert!(bench.poll().is_pending());
        }
        assert_eq!((bench.store.begun, bench.outlet.put_out, bench.outlet.writes), (1, 1, 1));
        // It is durable: the first leaves, and the others are one group, which waits for its own sync.
        bench.store.under_way = None;
        assert!(bench.poll().is_pending());
        assert_eq!((bench.store.begun, bench.outlet.put_out, bench.outlet.written), (2, 3, 1));
        assert!(bench.store.under_way.as_ref().is_some_and(|work| work.records == 2));
        bench.store.under_way = None;
        assert!(bench.poll().is_ready());
        assert_eq!((bench.outlet.put_out, bench.outlet.written), (3, 3));
        // Woken for nothing but a stream that takes bytes again: no sync, only a write.
        let writes = bench.outlet.writes;
        assert!(bench.poll().is_ready());
        assert_eq!((bench.store.begun, bench.outlet.writes), (2, writes + 1));
    }

    #[test]
    fn a_reply_waits_for_the_sync_too_and_never_leaves_when_that_fails() {
        let mut bench = Bench::new(1);
        assert!(bench.poll().is_ready());
        bench.propose(1);
        assert!(bench.poll().is_pending());
        assert_eq!((bench.outlet.put_out, bench.outlet.written), (1, 0), "executed and answered");
        bench.store.failing = true;
        let Poll::Ready(Err(error)) = bench.poll() else { panic!("the failure is told") };
        assert_eq!(error.to_string(), "the disk is full");
        assert_eq!(bench.outlet.written, 0);
    }
}
