//! Batches that this replica's clients proposed while another replica leads, until they are seen decided.

use crate::{
    command::Batch,
    parts::batch_queue::{BatchQueue, Name, Names},
};

/// The most batches kept; a batch beyond it is dropped and left to its client's retry. chosen: above what a saturated
/// leader has in flight, and 16 MiB of small batches.
const BATCHES_MAX: usize = 1 << 16;
/// The most batches forwarded again per period. chosen: a whole window of a busy client, far below a link's buffer.
const RESENT_MAX: usize = 1 << 10;

/// How many periods pass at most before what nobody answers is forwarded again. chosen: of a leader
/// that is busy for seconds all that is forwarded twice makes it busier.
const WAIT_PERIODS_MAX: u32 = 16;

/// The batches in the order in which they came.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Outbox {
    queue: BatchQueue,
    /// The highest number that was seen proposed or decided: what was sent before it and was not is
    /// probably lost.
    overtaken_below: i64,
    /// Was anything seen proposed or decided in this period?
    progressed: bool,
    /// Batches below this number were sent before this period began.
    sent_before: i64,
    /// How many periods must pass without progress before all is sent again, and how many have
    /// passed.
    wait_periods: u32,
    waited_periods: u32,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            queue: BatchQueue::default(),
            overtaken_below: i64::MIN,
            progressed: false,
            sent_before: 0,
            wait_periods: 1,
            waited_periods: 0,
        }
    }
}

impl Outbox {
    /// Keeps `batch`; false if it is here already or there is no room.
    pub(super) fn push(&mut self, batch: Batch) -> bool {
        self.len() < BATCHES_MAX && self.queue.push_back(Name::of(&batch), batch)
    }

    /// `batch` is decided somewhere: it need not be kept.
    pub(super) fn settle(&mut self, batch: &Batch) {
        // At a leader that is so at every decision.
        if self.is_empty() {
            return;
        }
        if let Some(number) = self.queue.remove(Name::of(batch)) {
            self.overtaken_below = self.overtaken_below.max(number);
            self.progressed = true;
        }
    }

    /// How many batches are kept.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// What they take in memory, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.queue.bytes()
    }

    /// Is no batch kept?
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Takes up to `most` batches out, the oldest first.
    pub(super) fn take(&mut self, most: usize) -> Vec<Batch> {
        std::iter::from_fn(|| self.queue.pop_front()).take(most).collect()
    }

    /// Every batch, to be sent to a new leader.
    pub(super) fn all_sent(&mut self) -> impl Iterator<Item = &Batch> {
        self.overtaken_below = i64::MIN;
        self.progressed = true;
        self.sent_before = i64::MIN;
        self.queue.iter().map(|(.., batch)| batch)
    }

    /// A period has passed: the batches to send again. Those that the leader has `proposed` are not
    /// among them: it repeats the Accepts. Those are due that were sent before the period began and
    /// are either older than one that it has proposed, or wait while nothing at all happens. In the
    /// latter case each further time takes twice as many periods: a queue that merely is long is not
    /// made longer.
    pub(super) fn due(&mut self, proposed: &Names) -> Vec<Batch> {
        let of_queue = self.queue.iter().filter(|(_, name, _)| proposed.contains(*name));
        if let Some(number) = of_queue.map(|(number, ..)| number).max()
            && number > self.overtaken_below
        {
            self.overtaken_below = number;
            self.progressed = true;
        }
        let first = self.queue.iter().find(|(_, name, _)| !proposed.contains(*name));
        let first = first.map(|(number, ..)| number);
        let below = self.due_below(first);
        self.sent_before = self.queue.end();
        let waiting = self.queue.iter().filter(|(_, name, _)| !proposed.contains(*name));
        let due = waiting.take_while(|(number, ..)| *number < below);
        due.map(|(.., batch)| batch.clone()).take(RESENT_MAX).collect()
    }

    fn due_below(&mut self, first_waiting: Option<i64>) -> i64 {
        if std::mem::take(&mut self.progressed) {
            self.wait_periods = 1;
            self.waited_periods = 0;
            return self.sent_before.min(self.overtaken_below);
        }
        if first_waiting.is_none_or(|number| number >= self.sent_before) {
            return i64::MIN;
        }
        self.waited_periods += 1;
        if self.waited_periods < self.wait_periods {
            return i64::MIN;
        }
        self.waited_periods = 0;
        self.wait_periods = (2 * self.wait_periods).min(WAIT_PERIODS_MAX);
        self.sent_before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::numbered as batch;

    #[test]
    fn what_is_decided_is_forgotten_in_any_order() {
        let mut outbox = Outbox::default();
        for index in 1..=4 {
            assert!(outbox.push(batch(index)));
        }
        assert!(!outbox.push(batch(2)), "it is there already");
        for index in [2, 1, 7, 2] {
            outbox.settle(&batch(index));
        }
        assert_eq!(outbox.len(), 2);
        assert_eq!(outbox.take(9), [batch(3), batch(4)]);
        assert!(outbox.is_empty());
    }

    #[test]
    fn only_what_is_overtaken_or_stuck_is_sent_again() {
        let mut outbox = Outbox::default();
        for index in 1..=3 {
            outbox.push(batch(index));
        }
        assert_eq!(outbox.due(&Names::default()), [], "sent during this period");
        outbox.settle(&batch(2));
        assert_eq!(
            outbox.due(&Names::default()),
            [batch(1)],
            "overtaken by 2, while 3 is merely waiting"
        );
        assert_eq!(
            outbox.due(&Names::default()),
            [batch(1), batch(3)],
            "nothing was decided for a period"
        );
    }

    #[test]
    fn what_the_leader_has_proposed_is_sent_to_the_next_leader_alone() {
        let mut outbox = Outbox::default();
        for index in 1..=3 {
            outbox.push(batch(index));
        }
        let none = Names::default();
        outbox.due(&none);
        let proposed: Names = [1, 3, 9].map(batch).iter().collect();
        assert_eq!(outbox.due(&proposed), [batch(2)], "overtaken by 3");
        assert_eq!(outbox.due(&proposed), [batch(2)], "nothing happened for a period");
        outbox.settle(&batch(3));
        assert!(outbox.all_sent().eq(&[batch(1), batch(2)]));
        assert_eq!(outbox.due(&none), [], "sent during this period");
        assert_eq!(outbox.due(&none), [batch(1), batch(2)], "neither is proposed again");
        assert_eq!(outbox.take(9), [batch(1), batch(2)]);
    }

    #[test]
    fn the_longer_nothing_happens_the_longer_it_waits() {
        let mut outbox = Outbox::default();
        outbox.push(batch(1));
        outbox.due(&Names::default());
        let sent_in = |outbox: &mut Outbox, periods: u32| {
            let sent = (0..periods).filter(|_| !outbox.due(&Names::default()).is_empty());
            sent.collect::<Vec<_>>()
        };
        assert_eq!(sent_in(&mut outbox, 64), [0, 2, 6, 14, 30, 46, 62]);
        outbox.push(batch(2));
        outbox.settle(&batch(2));
        assert_eq!(sent_in(&mut outbox, 2), [0, 1], "2 has overtaken it, and something happens");
    }
}
