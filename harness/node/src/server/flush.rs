//! The task that carries effects out, once everything that was ready has been stepped.

use std::{future::poll_fn, pin::Pin, task::Poll, time::Instant};

use protocols::Replica;
use tokio::time::{Sleep, sleep_until};

use super::{Node, Shared};

/// Runs for ever.
pub(super) async fn run<R: Replica>(shared: Shared<R>) {
    let mut alarm = Alarm { sleep: Box::pin(sleep_until(Instant::now().into())), set_for: None };
    poll_fn(|cx| {
        let node = &mut *shared.node.borrow_mut();
        if !node.flush.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            node.flush = Some(cx.waker().clone());
        }
        loop {
            if std::mem::take(&mut node.stepped) {
                let Node { engine, outputs, .. } = node;
                engine.flush(Instant::now(), outputs);
            }
            if !alarm.poll_expired(cx, node.engine.next_deadline()) {
                break;
            }
            node.engine.on_time(Instant::now());
            node.stepped = true;
        }
        node.outputs.poll_write(cx);
        if node.slow.pay() {
            cx.waker().wake_by_ref();
        }
        Poll::<()>::Pending
    })
    .await;
}

/// One sleep, for whichever timer of the core runs out first.
struct Alarm {
    sleep: Pin<Box<Sleep>>,
    set_for: Option<Instant>,
}

impl Alarm {
    /// Has `deadline` passed? If not, the task is woken then.
    fn poll_expired(&mut self, cx: &mut std::task::Context<'_>, deadline: Option<Instant>) -> bool {
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
