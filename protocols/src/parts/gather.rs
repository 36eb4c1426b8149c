//! Commands that wait for company: a driver joins what clients send into larger batches before it proposes them.
//!
//! A core orders whatever batch it is given as one. How long a command waits for others is the driver's to time, since a
//! core has no clock; what is joined, and when a batch is full, is said here once for all drivers.

use crate::{
    command::{BATCH_BYTES_MAX, Batch, Request},
    config::Batching,
};

/// What waits at one replica, in the order in which it came. A crash loses it: nobody was promised anything.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    batches: Vec<Batch>,
    commands: usize,
    bytes: usize,
}

impl Gathered {
    /// Takes `batch` in and hands every batch that is full, or has no room for it, to `propose`. A batch larger than
    /// `batching` allows is not parted.
    pub fn add(&mut self, batching: &Batching, batch: Batch, mut propose: impl FnMut(Batch)) {
        let (commands, bytes) = (batch.requests().len(), batch.as_bytes().len());
        let is_too_much = self.commands + commands > batching.commands_max
            || self.bytes + bytes > BATCH_BYTES_MAX;
        if is_too_much && let Some(before) = self.close() {
            propose(before);
        }
        self.batches.push(batch);
        self.commands += commands;
        self.bytes += bytes;
        if self.commands >= batching.commands_max
            && let Some(full) = self.close()
        {
            propose(full);
        }
    }

    /// All that waits as one batch; none if nothing does.
    pub fn close(&mut self) -> Option<Batch> {
        (self.commands, self.bytes) = (0, 0);
        if self.batches.len() < 2 {
            return self.batches.pop();
        }
        let requests: Vec<Request<'_>> = self.batches.iter().flat_map(Batch::requests).collect();
        let joined = Batch::new(&requests).expect("batches that fit together are a batch");
        self.batches.clear();
        Some(joined)
    }

    /// Does nothing wait?
    pub const fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        command::{Command, VALUE_BYTES_MAX},
        id::{ClientId, RequestNumber},
    };

    fn put(index: u64, value: &[u8]) -> Batch {
        let request = Request {
            client: ClientId(1),
            number: RequestNumber::write(index),
            unanswered_from: 1,
            command: Command::Put { key: b"k", value },
        };
        Batch::single(&request).unwrap()
    }

    fn sizes(gathered: &mut Gathered, commands_max: usize, batches: &[Batch]) -> Vec<usize> {
        let batching = Batching { commands_max, ..Batching::default() };
        let mut proposed = Vec::new();
        for batch in batches {
            gathered.add(&batching, batch.clone(), |full| proposed.push(full.requests().len()));
        }
        proposed
    }

    #[test]
    fn a_full_batch_is_proposed_at_once_and_the_rest_when_it_is_closed() {
        let mut gathered = Gathered::default();
        let puts: Vec<Batch> = (1..=7).map(|index| put(index, b"v")).collect();
        assert_eq!(sizes(&mut gathered, 3, &puts), [3, 3]);
        let rest = gathered.close().unwrap();
        assert_eq!(rest, puts[6], "one alone is left as it was");
        assert!(gathered.is_empty() && gathered.close().is_none());
        assert_eq!(sizes(&mut gathered, 1, &puts[..2]), [1, 1], "nothing waits");
    }

    #[test]
    fn commands_keep_their_order_and_batches_are_not_parted() {
        let mut gathered = Gathered::default();
        let requests: Vec<Batch> = (1..=5).map(|index| put(index, b"v")).collect();
        let pair = |a: &Batch, b: &Batch| {
            Batch::new(&[a.requests().next().unwrap(), b.requests().next().unwrap()]).unwrap()
        };
        let (first, second) = (pair(&requests[0], &requests[1]), pair(&requests[2], &requests[3]));
        assert_eq!(sizes(&mut gathered, 3, &[first, second]), [2], "four are too many for three");
        assert_eq!(sizes(&mut gathered, 4, &requests[4..]), []);
        let joined = gathered.close().unwrap();
        let indices: Vec<u64> = joined.requests().map(|request| request.number.index()).collect();
        assert_eq!(indices, [3, 4, 5]);
    }

    #[test]
    fn what_would_be_too_long_for_a_frame_is_proposed_before() {
        let value = vec![0; VALUE_BYTES_MAX];
        let fit = BATCH_BYTES_MAX / put(1, &value).as_bytes().len();
        let puts: Vec<Batch> = (1..=fit as u64 + 1).map(|index| put(index, &value)).collect();
        let mut gathered = Gathered::default();
        assert_eq!(sizes(&mut gathered, 1_000, &puts), [fit]);
        assert_eq!(gathered.close().unwrap().requests().len(), 1);
    }
}
