//! The task that lets the driver carry effects out, once everything that was ready has been
//! stepped.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use protocols::Replica;
use tokio::time::{Sleep, sleep_until};

use super::{Node, Shared, outputs::Writing};
use crate::{NodeError, clock::Clock};

/// Runs for ever, or until something cannot be made durable: then nothing is ever written again.
pub(super) async fn run<R: Replica>(shared: Shared<R>) {
    let mut alarm = Alarm { sleep: Box::pin(sleep_until(Instant::now().into())), set_for: None };
    let error = poll_fn(|cx| {
        let node = &mut *shared.node.borrow_mut();
        if !node.flush.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            node.flush = Some(cx.waker().clone());
        }
        let ended = poll_node(node, &mut alarm, shared.clock, cx);
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
    clock: Clock,
    cx: &mut Context<'_>,
) -> Poll<NodeError> {
    loop {
        let Node { driver, store, outputs, .. } = node;
        store.register(cx.waker());
        match driver.turn(clock.now(), store, &mut Writing { outputs, cx }, &mut ()) {
            Ok(true) => {}
            Ok(false) => return Poll::Pending,
            Err(error) => return Poll::Ready(error.into()),
        }
        if !alarm.poll_expired(cx, driver.next_deadline().map(|at| clock.instant(at))) {
            return Poll::Pending;
        }
        driver.on_time(clock.now(), &mut ());
    }
}

/// One sleep, until the first of the core's timers runs out.
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
