//! The clients' history, as the checker judges it.
//!
//! The simulator has seen in which order the writes took effect, and hands that to the checker as a proof to be verified:
//! no seed then needs a search unless something is wrong. The cluster is at rest, so that every key is read once more at
//! the end: a lost write shows even if no client looked.

use check::{Budget, Kind, Outcome as Seen, Verdict, check_ordered};
use protocols::{ClientId, Command, Outcome};
use rustc_hash::FxHashMap;

use crate::{
    history::{Elements, History, Operation, elements},
    queue::Nanos,
    violation::{Breach, Broken},
};

/// Chosen: a violation is found within seconds, where it takes a search.
const BUDGET: Budget = Budget { steps_max: 20_000_000, memory_bytes_max: 1 << 28 };

/// How the values of a history are written down.
type Writing = fn(&[u8]) -> Vec<u8>;

impl History {
    /// Is there an order of the operations that explains every answer? `effects` are the writes in the order in which they
    /// took effect; at `now` all replicas rest, and a key has `value`.
    pub(crate) fn check_linearizability(
        &self,
        effects: &[(ClientId, u64)],
        now: Nanos,
        value: impl Fn(&[u8]) -> Option<Vec<u8>>,
    ) -> Result<(), Breach> {
        let judged = self.judge(effects, now, &value, <[u8]>::to_vec);
        if matches!(judged, Verdict::Linearizable { .. }) {
            return Ok(());
        }
        // Once more with values that people can read.
        match self.judge(effects, now, &value, readable) {
            Verdict::NotLinearizable(witness) => {
                Err(Breach::new(Broken::Linearizability, witness.to_string()))
            }
            other => Err(Breach::new(Broken::HistoryUndecided, format!("{other:?}"))),
        }
    }

    fn judge(
        &self,
        effects: &[(ClientId, u64)],
        now: Nanos,
        value: &impl Fn(&[u8]) -> Option<Vec<u8>>,
        write: Writing,
    ) -> Verdict {
        let mut positions = FxHashMap::default();
        let mut keys: FxHashMap<&[u8], ()> = FxHashMap::default();
        let mut history = check::History::default();
        for operation in self.operations() {
            let request = operation.request();
            if !request.number.is_read() {
                let id = (request.client, request.number.index());
                positions.insert(id, history.operations().len());
            }
            keys.insert(request.command.key(), ());
            history.push(judged(operation, write));
        }
        let mut keys: Vec<&[u8]> = keys.into_keys().collect();
        keys.sort_unstable();
        for key in keys {
            let found = value(key).as_deref().map(write);
            history.push(check::Operation {
                process: 0,
                key: key.to_vec(),
                kind: Kind::Get,
                invoke: now + 1,
                answer: Some((now + 2, Seen::Value(found))),
            });
        }
        let writes: Vec<usize> =
            effects.iter().filter_map(|id| positions.get(id).copied()).collect();
        check_ordered(&history, &writes, &BUDGET, &mut || true)
    }
}

/// Element by element, so that appending to what is written down is writing down what is appended.
fn readable(value: &[u8]) -> Vec<u8> {
    let written: String =
        elements(value).map(|element| format!("<{}>", Elements(element))).collect();
    written.into_bytes()
}

fn judged(operation: &Operation, write: Writing) -> check::Operation {
    let request = operation.request();
    let kind = match request.command {
        Command::Get { .. } => Kind::Get,
        Command::Put { value, .. } => Kind::Put(write(value)),
        Command::Append { value, .. } => Kind::Append(write(value)),
        Command::Delete { .. } => Kind::Delete,
        Command::CompareAndSet { expected, value, .. } => {
            Kind::CompareAndSet { expected: expected.map(write), value: write(value) }
        }
    };
    let answer = operation.answer.as_ref().and_then(|(at, outcome)| {
        let seen = match outcome {
            Outcome::Done => Seen::Done,
            Outcome::Value(value) => Seen::Value(value.as_deref().map(write)),
            Outcome::Swapped(swapped) => Seen::Swapped(*swapped),
            // What it came to is not known. No append here is too long, and a client that waits is never told that its
            // result is gone: both are rules of their own.
            Outcome::TooLong | Outcome::Forgotten => return None,
        };
        Some((*at, seen))
    });
    let (process, key) = (request.client.0, request.command.key().to_vec());
    check::Operation { process, key, kind, invoke: operation.invoke_ns, answer }
}

#[cfg(test)]
mod tests {
    use protocols::{Batch, Request, RequestNumber};

    use super::*;

    const KEY: &[u8] = b"mixed-0";

    fn element(client: u64, number: u64) -> [u8; 8] {
        (client << 32 | number).to_be_bytes()
    }

    /// One after the other, 10 ns each: the history, and its writes in this order.
    fn history(
        operations: &[(RequestNumber, Command<'_>, Outcome)],
    ) -> (History, Vec<(ClientId, u64)>) {
        let (mut history, mut effects) = (History::default(), Vec::new());
        for (at, (number, command, outcome)) in (0..).zip(operations) {
            let client = ClientId(1);
            let request =
                Request { client, number: *number, unanswered_from: 1, command: *command };
            let batch = Batch::new(&[request]).unwrap();
            let first = history.invoke(&batch, 20 * at);
            history.answer(first, outcome.clone(), 20 * at + 10);
            if !number.is_read() {
                effects.push((client, number.index()));
            }
        }
        (history, effects)
    }

    fn found(values: &[[u8; 8]]) -> Option<Vec<u8>> {
        (!values.is_empty()).then(|| values.concat())
    }

    /// What is said of a put, an append, a failed compare-and-set, a delete and two reads, of which the second returns
    /// `second`; at the end the key is `last`.
    fn said(second: &[[u8; 8]], last: &[[u8; 8]]) -> Result<(), Breach> {
        let [one, two, three] = [1, 2, 3].map(|number| element(1, number));
        let (write, read) = (RequestNumber::write, RequestNumber::read);
        let swap = Command::CompareAndSet { key: KEY, expected: Some(&one), value: &three };
        let (history, effects) = history(&[
            (write(1), Command::Put { key: KEY, value: &one }, Outcome::Done),
            (write(2), Command::Append { key: KEY, value: &two }, Outcome::Done),
            (read(1), Command::Get { key: KEY }, Outcome::Value(found(&[one, two]))),
            (write(3), swap, Outcome::Swapped(false)),
            (write(4), Command::Delete { key: KEY }, Outcome::Done),
            (read(2), Command::Get { key: KEY }, Outcome::Value(found(second))),
        ]);
        history.check_linearizability(&effects, 1_000, |key| {
            assert_eq!(key, KEY);
            found(last)
        })
    }

    #[test]
    fn a_stale_read_and_a_lost_write_are_found_and_told_in_words() {
        let (one, two) = (element(1, 1), element(1, 2));
        assert_eq!(said(&[], &[]), Ok(()));
        let stale = said(&[one, two], &[]).unwrap_err();
        assert_eq!(stale.broken, Broken::Linearizability);
        assert!(stale.detail.contains("get -> \"<c1#1><c1#2>\""), "{}", stale.detail);
        let lost = said(&[], &[one]).unwrap_err();
        assert_eq!(lost.broken, Broken::Linearizability);
        assert!(lost.detail.contains("[1001..1002] get -> \"<c1#1>\""), "{}", lost.detail);
        let twice = said(&[], &[one, two, two]).unwrap_err();
        assert_eq!(twice.broken, Broken::Linearizability);
    }
}
