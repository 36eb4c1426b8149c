//! Loss, doubles and delay of the protocols' own messages, above QUIC: what a replica sends to others passes here before
//! it reaches their outboxes, so that the protocols see what became of it. Delayed and doubled messages may overtake others.

use std::{
    io,
    task::Context,
    time::{Duration, Instant},
};

use measure::LayerReport;
use protocols::ReplicaId;

use super::{
    Layer, NetworkChange,
    queue::Queue,
    way::{Direction, Ways},
};
use crate::alarm::Alarm;

/// Chosen: what a replica's outboxes may hold, too.
const UNDER_WAY_BYTES_MAX: usize = 64 << 20;

/// The ways of one replica's messages to the others.
#[derive(Debug)]
pub(crate) struct Messages {
    ways: Ways,
    under_way: Queue<(ReplicaId, Box<[u8]>)>,
    /// None until something is asked for.
    alarm: Option<Alarm>,
}

impl Messages {
    /// Ways on which nothing is done.
    pub(crate) fn new(own: ReplicaId, replicas: usize, seed: u64) -> Self {
        Self {
            ways: Ways::new(Layer::Message, own, Direction::Out, replicas, (seed, 0)),
            under_way: Queue::new(UNDER_WAY_BYTES_MAX),
            alarm: None,
        }
    }

    /// Takes of `change` what concerns messages. Needs a runtime.
    ///
    /// # Errors
    /// If the system has no timer left; then nothing was changed.
    pub(crate) fn change(&mut self, change: &NetworkChange) -> io::Result<()> {
        if self.alarm.is_none() {
            self.alarm = Some(Alarm::new()?);
        }
        self.ways.change(change);
        Ok(())
    }

    /// Is anything done to messages? If not, they need not pass here.
    pub(crate) const fn in_use(&self) -> bool {
        self.ways.in_use
    }

    /// A message for `to`: returns how many copies of it leave now. Others may leave later.
    pub(crate) fn pass(&mut self, to: ReplicaId, frame: &[u8]) -> usize {
        let now = Instant::now();
        let mut at_once = 0;
        for delay in self.ways.fate(to, frame.len(), now) {
            if delay == Duration::ZERO {
                at_once += 1;
            } else if !self.under_way.push(now, delay, frame.len(), (to, frame.into())) {
                self.ways.report.overflowed += 1;
            }
        }
        at_once
    }

    /// Takes out a message that is due. If none is, the task is woken when the next one will be.
    pub(crate) fn next_due(&mut self, cx: &mut Context<'_>) -> Option<(ReplicaId, Box<[u8]>)> {
        loop {
            let due = self.under_way.next_due()?;
            let now = Instant::now();
            if let Some(waiting) = self.under_way.pop_due(now) {
                let had = now.saturating_duration_since(waiting.since);
                self.ways.delayed(waiting.planned(), had);
                return Some(waiting.item);
            }
            // Nothing is under way unless something was asked for.
            if self.alarm.as_mut()?.poll_at(cx, due).is_pending() {
                return None;
            }
        }
    }

    /// What was done since the last [`Messages::begin_measuring`].
    pub(crate) const fn report(&self) -> LayerReport {
        self.ways.report
    }

    /// Counts anew.
    pub(crate) fn begin_measuring(&mut self) {
        self.ways.report = LayerReport::default();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::runtime::Builder;

    use super::{super::LinkChange, *};

    const B: ReplicaId = ReplicaId(1);

    #[test]
    fn delayed_messages_come_out_in_time_and_may_overtake() {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut messages = Messages::new(ReplicaId(0), 3, 7);
            assert!(!messages.in_use());
            let mut links = LinkChange::of_all(Layer::Message, 3);
            links.delay_ns = Some(20_000_000);
            messages.change(&NetworkChange::Links(links.clone())).unwrap();
            assert!(messages.in_use());
            let start = Instant::now();
            assert_eq!(messages.pass(B, b"slow"), 0);
            links.delay_ns = Some(2_000_000);
            links.duplicate_rate = Some(1.0);
            messages.change(&NetworkChange::Links(links)).unwrap();
            assert_eq!(messages.pass(B, b"fast"), 0);
            let mut out = Vec::new();
            while out.len() < 3 {
                let next = poll_fn(|cx| match messages.next_due(cx) {
                    Some(due) => std::task::Poll::Ready(due),
                    None => std::task::Poll::Pending,
                });
                let (to, frame) = next.await;
                assert_eq!(to, B);
                out.push(frame);
            }
            assert_eq!(out.concat(), b"fastfastslow");
            assert!(start.elapsed() >= Duration::from_millis(20), "none comes before its time");
            let report = messages.report();
            assert_eq!((report.seen, report.doubled, report.delayed), (2, 1, 3));
            assert_eq!(report.delay_asked_ns, 24_000_000);
            assert!(report.delay_ns >= report.delay_asked_ns);
            messages.begin_measuring();
            assert_eq!(messages.report(), LayerReport::default());
        });
    }

    #[test]
    fn lost_messages_are_gone_and_doubled_ones_leave_twice_at_once() {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let _entered = runtime.enter();
        let mut messages = Messages::new(ReplicaId(0), 3, 7);
        let mut links = LinkChange::of_all(Layer::Message, 3);
        links.loss_rate = Some(1.0);
        messages.change(&NetworkChange::Links(links.clone())).unwrap();
        assert_eq!(messages.pass(B, b"x"), 0);
        (links.loss_rate, links.duplicate_rate) = (Some(0.0), Some(1.0));
        messages.change(&NetworkChange::Links(links)).unwrap();
        assert_eq!(messages.pass(B, b"x"), 2);
    }
}
