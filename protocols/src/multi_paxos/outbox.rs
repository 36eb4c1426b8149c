//! Batches that this replica's clients proposed while another replica leads, until they are seen decided.

use crate::{
    command::Batch,
    pacing::Pacing,
    parts::batch_queue::{BatchQueue, Name, Names},
};

/// The most batches kept; a batch beyond it is dropped and left to its client's retry. chosen: above what a saturated
/// leader has in flight, and 16 MiB of small batches.
const BATCHES_MAX: usize = 1 << 16;

/// The batches in the order in which they came. What is forwarded again, to the same leader or to
/// the next one, goes out in rounds, as fast as the leader takes it in, in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Outbox {
    queue: BatchQueue,
    /// Batches below this number have been sent to the present leader, on the present way.
    sent_below: i64,
    /// The highest number that was seen proposed or decided: what was sent before it and was not is
    /// probably lost.
    overtaken_below: i64,
    /// Was anything seen proposed or decided in this period?
    progressed: bool,
    /// Batches below this number were sent before this period began.
    old_below: i64,
    pacing: Pacing,
    /// Batches below this number are probably lost, and of these those below the next one have been
    /// sent since the rounds began again.
    lost_below: i64,
    again_below: i64,
    /// The last batch of the round under way.
    last: i64,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            queue: BatchQueue::default(),
            sent_below: 0,
            overtaken_below: i64::MIN,
            progressed: false,
            old_below: i64::MIN,
            pacing: Pacing::default(),
            lost_below: i64::MIN,
            again_below: i64::MIN,
            last: i64::MIN,
        }
    }
}

impl Outbox {
    /// Keeps `batch`; false if it is here already or there is no room.
    pub(super) fn push(&mut self, batch: Batch) -> bool {
        self.len() < BATCHES_MAX && self.queue.push_back(Name::of(&batch), batch)
    }

    /// There is a way to a leader, and a batch was just kept. Is it to be sent at once? Not if
    /// others before it have not been sent yet: it comes after them.
    pub(super) fn sends_last(&mut self) -> bool {
        let end = self.queue.end();
        let sends = self.sent_below == end - 1;
        self.sent_below += i64::from(sends);
        sends
    }

    /// `batch` is decided somewhere: it need not be kept. True if another round may start now.
    pub(super) fn settle(&mut self, batch: &Batch) -> bool {
        // At a leader that is so at every decision.
        if self.is_empty() {
            return false;
        }
        let Some(number) = self.queue.remove(Name::of(batch)) else { return false };
        self.progressed = true;
        self.overtaken_below = self.overtaken_below.max(number);
        self.is_answered_by(number)
    }

    /// The batch of this number has been proposed or decided. True if that answers a round.
    fn is_answered_by(&mut self, number: i64) -> bool {
        number == self.last && self.pacing.progressed()
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

    /// There is another leader, or another way to it: nothing has been sent. The first round.
    pub(super) fn on_new_way(&mut self) -> Vec<Batch> {
        let queue = std::mem::take(&mut self.queue);
        *self = Self { queue, sent_below: i64::MIN, ..Self::default() };
        self.round(&Names::default())
    }

    /// A period has passed: the next round, unless one is under way. Those that the leader has
    /// `proposed` are not sent again: it repeats the Accepts. Those are probably lost that were
    /// sent before the period began and are either older than one that it has proposed, or wait
    /// while nothing at all happens: a queue that merely is long is not made longer.
    pub(super) fn on_period(&mut self, proposed: &Names) -> Vec<Batch> {
        let of_queue = self.queue.iter().filter(|(_, name, _)| proposed.contains(*name));
        let numbers: Vec<i64> = of_queue.map(|(number, ..)| number).collect();
        if let Some(number) = numbers.last().filter(|number| **number > self.overtaken_below) {
            self.overtaken_below = *number;
            self.progressed = true;
        }
        if numbers.binary_search(&self.last).is_ok() {
            self.is_answered_by(self.last);
        }
        let lost_below = if std::mem::take(&mut self.progressed) {
            self.old_below.min(self.overtaken_below)
        } else {
            self.old_below
        };
        self.old_below = self.sent_below;
        if !self.pacing.passed(1) {
            return Vec::new();
        }
        (self.lost_below, self.again_below) = (lost_below, i64::MIN);
        self.round(proposed)
    }

    /// What a round that starts now sends: what is lost, then what was not sent at all.
    pub(super) fn round(&mut self, proposed: &Names) -> Vec<Batch> {
        let (mut budget, mut round) = (self.pacing.budget(), Vec::new());
        let mut sent_below = self.queue.end();
        for (number, name, batch) in self.queue.iter() {
            let is_lost = number >= self.again_below && number < self.lost_below;
            if (!is_lost && number < self.sent_below) || proposed.contains(name) {
                continue;
            }
            if !budget.take(batch.as_bytes().len()) {
                sent_below = self.sent_below.max(number);
                break;
            }
            self.again_below = number + 1;
            self.last = number;
            round.push(batch.clone());
        }
        self.sent_below = sent_below;
        if !round.is_empty() {
            self.pacing.sent();
        }
        round
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

    /// Batches of these numbers, sent as they came.
    fn sent(indices: impl IntoIterator<Item = u64>) -> Outbox {
        let mut outbox = Outbox::default();
        for index in indices {
            assert!(outbox.push(batch(index)) && outbox.sends_last());
        }
        outbox
    }

    fn names(indices: &[u64]) -> Names {
        indices.iter().map(|index| batch(*index)).collect::<Vec<_>>().iter().collect()
    }

    #[test]
    fn only_what_is_overtaken_or_stuck_is_sent_again() {
        let mut outbox = sent(1..=3);
        let none = Names::default();
        assert_eq!(outbox.on_period(&none), [], "sent during this period");
        assert!(!outbox.settle(&batch(2)));
        assert_eq!(outbox.on_period(&none), [batch(1)], "overtaken by 2, while 3 merely waits");
        assert_eq!(outbox.on_period(&none), [], "the answer may come");
        assert_eq!(outbox.on_period(&none), [batch(1), batch(3)], "nothing happens");
        assert!(outbox.settle(&batch(3)), "the last of the round");
        assert_eq!(outbox.round(&none), [], "all of it has been sent");
    }

    #[test]
    fn what_the_leader_has_proposed_is_sent_to_the_next_leader_alone() {
        let mut outbox = sent(1..=3);
        outbox.on_period(&Names::default());
        let proposed = names(&[1, 3, 9]);
        assert_eq!(outbox.on_period(&proposed), [batch(2)], "overtaken by 3");
        let rounds = [(); 2].map(|()| outbox.on_period(&proposed));
        assert_eq!(rounds, [vec![], vec![batch(2)]], "nothing happened for two periods");
        assert!(!outbox.settle(&batch(3)));
        assert_eq!(outbox.on_new_way(), [batch(1), batch(2)]);
        assert_eq!(outbox.on_period(&names(&[1, 2])), [], "the next leader has proposed both");
        assert_eq!(outbox.take(9), [batch(1), batch(2)]);
    }

    #[test]
    fn the_longer_nothing_happens_the_longer_it_waits() {
        let mut outbox = sent(1..=1);
        let none = Names::default();
        outbox.on_period(&none);
        let rounds = |outbox: &mut Outbox, periods: u32| {
            (0..periods).filter(|_| !outbox.on_period(&none).is_empty()).collect::<Vec<_>>()
        };
        assert_eq!(rounds(&mut outbox, 60), [0, 2, 5, 10, 19, 36, 53]);
        let again = names(&[1]);
        assert_eq!(outbox.on_period(&again), [], "proposed at last");
        assert_eq!(rounds(&mut outbox, 1), [0], "the answer came late, and there is one");
    }

    /// What waits for a leader is not sent to it all at once, and what comes meanwhile waits
    /// behind.
    #[test]
    fn the_next_leader_is_sent_what_it_takes_in() {
        let mut outbox = sent(1..=1_000);
        let mut round = outbox.on_new_way();
        let (mut rounds, mut last) = (vec![round.len()], 1_000);
        while last < 1_002 {
            last += 1;
            assert!(outbox.push(batch(last)) && !outbox.sends_last(), "others come first");
            let answered = round.iter().filter(|batch| outbox.settle(batch)).count();
            assert_eq!(answered, 1, "by the last one");
            round = outbox.round(&Names::default());
            rounds.push(round.len());
        }
        assert!(rounds[0] < 256 && rounds[1] > 3 * rounds[0] / 2, "{rounds:?}");
        assert_eq!(rounds.iter().sum::<usize>(), 1_002, "{rounds:?}");
        assert!(outbox.push(batch(9_000)) && outbox.sends_last(), "nothing is left to be sent");
    }
}
