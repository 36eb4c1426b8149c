//! Batches that this replica's clients proposed while another replica leads, until they are seen decided.

use crate::{command::Batch, parts::batch_queue::BatchQueue};

/// The most batches kept; a batch beyond it is dropped and left to its client's retry. chosen: above what a saturated
/// leader has in flight, and 16 MiB of small batches.
const BATCHES_MAX: usize = 1 << 16;
/// The most batches forwarded again per period. chosen: a whole window of a busy client, far below a link's buffer.
const RESENT_MAX: usize = 1 << 10;

/// The batches in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Outbox {
    queue: BatchQueue,
    /// The highest number seen decided: what was sent before it and is not decided was probably lost.
    settled_highest: i64,
    /// Was anything seen decided in this period?
    progressed: bool,
    /// Batches below this number were sent before this period began.
    sent_before: i64,
}

impl Outbox {
    /// Keeps `batch`; false if it is here already or there is no room.
    pub(super) fn push(&mut self, batch: Batch) -> bool {
        self.queue.len() < BATCHES_MAX && self.queue.push_back(batch)
    }

    /// `batch` is decided somewhere: it need not be kept.
    pub(super) fn settle(&mut self, batch: &Batch) {
        if let Some(number) = self.queue.remove(batch) {
            self.settled_highest = self.settled_highest.max(number);
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
        self.progressed = true;
        self.sent_before = i64::MIN;
        self.queue.iter().map(|(_, batch)| batch)
    }

    /// A period has passed: the batches to send again. Those are due that were sent before the period began and are
    /// either older than one that is decided, or undecided while nothing at all was decided; a queue that merely is long
    /// is not sent twice.
    pub(super) fn due(&mut self) -> Vec<Batch> {
        let stuck = !std::mem::take(&mut self.progressed);
        let below =
            if stuck { self.sent_before } else { self.sent_before.min(self.settled_highest) };
        self.sent_before = self.queue.end();
        let due = self.queue.iter().take_while(|(number, _)| *number < below);
        due.map(|(_, batch)| batch.clone()).take(RESENT_MAX).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientId, Command, Request, RequestNumber};

    fn batch(index: u64) -> Batch {
        let command = Command::Put { key: b"k", value: b"v" };
        let number = RequestNumber::write(index);
        Batch::single(&Request { client: ClientId(1), number, unanswered_from: 1, command })
            .unwrap()
    }

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
        assert_eq!(outbox.due(), [], "sent during this period");
        outbox.settle(&batch(2));
        assert_eq!(outbox.due(), [batch(1)], "overtaken by 2, while 3 is merely waiting");
        assert_eq!(outbox.due(), [batch(1), batch(3)], "nothing was decided for a period");
    }
}
