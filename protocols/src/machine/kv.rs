//! The replicated key-value state, with sessions and with digests that make replicas comparable.
//!
//! Invariants, kept on every step: a write of a client is applied at most once; two replicas that applied the same
//! requests, conflicting ones in the same order, have equal [`Digest`]s. A deleted key keeps an entry of about 60 bytes
//! without a value, because the order of what was done to it stays part of the digest.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::{
    command::{Command, Outcome, Request, VALUE_BYTES_MAX},
    id::{ClientId, RequestNumber},
    session::Sessions,
};

/// What two replicas at rest compare. Every field is a sum over keys or requests, so that it is kept in constant time and
/// does not depend on the order of commands that do not conflict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Digest {
    /// Over every key and its value.
    pub state: u64,
    /// Over every command and the conflicting ones before it: equal only if conflicting commands came in one order.
    pub order: u64,
    /// Over every applied write.
    pub sessions: u64,
    /// How many writes were applied.
    pub writes: u64,
}

/// What became of one key: the piece of evidence that a difference between replicas comes down to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyDigest {
    /// The key.
    pub key: Vec<u8>,
    /// Hash of the value, 0 for none.
    pub value: u64,
    /// Hash of the sequence of writes.
    pub order: u64,
    /// How many writes there were.
    pub writes: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    value: Option<Vec<u8>>,
    /// This entry's share of [`Digest::state`], 0 without a value.
    value_digest: u64,
    /// The chain over the writes so far.
    chain: u64,
    writes: u64,
}

/// The key-value state of one replica.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kv {
    entries: HashMap<Box<[u8]>, Entry, FxBuildHasher>,
    sessions: Sessions,
    digest: Digest,
}

/// Bytes that are no snapshot of a [`Kv`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotASnapshot;

impl std::fmt::Display for NotASnapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the snapshot of the key-value state does not decode")
    }
}

impl std::error::Error for NotASnapshot {}

impl Kv {
    /// Applies `request`, unless it is a write that has been applied, and says what it came to.
    pub fn apply(&mut self, request: &Request<'_>) -> Outcome {
        let id = request_digest(request.client, request.number);
        if request.command.is_read() {
            return self.read(request.command.key(), id);
        }
        let (client, index) = (request.client, request.number.index());
        let first = self.sessions.begin(client, index, request.unanswered_from);
        if !first {
            return self.sessions.outcome(client, index).unwrap_or(Outcome::Forgotten);
        }
        let outcome = self.write(&request.command, id);
        self.digest.sessions = self.digest.sessions.wrapping_add(id);
        self.digest.writes += 1;
        self.sessions.finish(client, index, outcome.clone());
        outcome
    }

    /// What `request` came to if it is a write that has been applied: the answer to a retry.
    pub fn answered(&self, request: &Request<'_>) -> Option<Outcome> {
        if request.command.is_read() {
            return None;
        }
        self.sessions.outcome(request.client, request.number.index())
    }

    /// The sessions.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// The value under `key`, outside of any order: for tests and tools.
    pub fn value(&self, key: &[u8]) -> Option<&[u8]> {
        self.entries.get(key)?.value.as_deref()
    }

    /// What other replicas' state is compared with.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// How many keys were ever written.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Was no key ever written?
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The keys of bucket `bucket` of `buckets` (by hash), sorted: what to fetch when digests differ.
    pub fn key_digests(&self, bucket: u64, buckets: u64) -> Vec<KeyDigest> {
        let mut keys: Vec<_> = self
            .entries
            .iter()
            .filter(|(key, _)| xxh3_64(key) % buckets == bucket)
            .map(|(key, entry)| KeyDigest {
                key: key.to_vec(),
                value: entry.value_digest,
                order: entry.chain,
                writes: entry.writes,
            })
            .collect();
        keys.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        keys
    }

    /// The whole state as bytes.
    pub fn snapshot(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("a vector takes every byte")
    }

    /// The state that [`Kv::snapshot`] wrote.
    pub fn restore(bytes: &[u8]) -> Result<Self, NotASnapshot> {
        match postcard::take_from_bytes(bytes) {
            Ok((kv, [])) => Ok(kv),
            _ => Err(NotASnapshot),
        }
    }

    fn read(&mut self, key: &[u8], id: u64) -> Outcome {
        let entry = self.entries.get(key);
        let position = mix(id, entry.map_or(0, |entry| entry.chain));
        self.digest.order = self.digest.order.wrapping_add(mix(xxh3_64(key), position));
        Outcome::Value(entry.and_then(|entry| entry.value.clone()))
    }

    fn write(&mut self, command: &Command<'_>, id: u64) -> Outcome {
        let key = command.key();
        let entry = match self.entries.get_mut(key) {
            Some(entry) => entry,
            None => self.entries.entry(key.into()).or_default(),
        };
        let key_digest = xxh3_64(key);
        entry.chain = mix(entry.chain, id);
        entry.writes += 1;
        self.digest.order = self.digest.order.wrapping_add(mix(key_digest, entry.chain));

        let outcome = change(&mut entry.value, command);
        let value_digest =
            entry.value.as_ref().map_or(0, |value| xxh3_64_with_seed(value, key_digest) | 1);
        let added = value_digest.wrapping_sub(entry.value_digest);
        self.digest.state = self.digest.state.wrapping_add(added);
        entry.value_digest = value_digest;
        outcome
    }
}

/// Changes one value as `command` says.
fn change(value: &mut Option<Vec<u8>>, command: &Command<'_>) -> Outcome {
    match *command {
        Command::Get { .. } => unreachable!("reads do not come here"),
        Command::Put { value: new, .. } => set(value, new),
        Command::Delete { .. } => *value = None,
        Command::Append { value: more, .. } => {
            let present = value.get_or_insert_with(Vec::new);
            if present.len() + more.len() > VALUE_BYTES_MAX {
                return Outcome::TooLong;
            }
            present.extend_from_slice(more);
        }
        Command::CompareAndSet { expected, value: new, .. } => {
            let as_expected = value.as_deref() == expected;
            if as_expected {
                set(value, new);
            }
            return Outcome::Swapped(as_expected);
        }
    }
    Outcome::Done
}

/// Overwrites in place, so that a steady state of puts does not allocate.
fn set(value: &mut Option<Vec<u8>>, new: &[u8]) {
    let bytes = value.get_or_insert_with(Vec::new);
    bytes.clear();
    bytes.extend_from_slice(new);
}

fn request_digest(client: ClientId, number: RequestNumber) -> u64 {
    mix(client.0 ^ 0x9e37_79b9_7f4a_7c15, number.as_u64())
}

/// Mixes two words so that order matters (the finaliser of `SplitMix64` over a multiply-add).
const fn mix(a: u64, b: u64) -> u64 {
    let mut z = a.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(b).wrapping_add(1);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(client: u64, index: u64, command: Command<'static>) -> Request<'static> {
        Request {
            client: ClientId(client),
            number: RequestNumber::write(index),
            unanswered_from: 1,
            command,
        }
    }

    fn read(client: u64, index: u64, key: &'static [u8]) -> Request<'static> {
        Request {
            client: ClientId(client),
            number: RequestNumber::read(index),
            unanswered_from: 1,
            command: Command::Get { key },
        }
    }

    fn put(client: u64, index: u64, key: &'static [u8], value: &'static [u8]) -> Request<'static> {
        write(client, index, Command::Put { key, value })
    }

    fn digest_of(requests: &[Request<'_>]) -> Digest {
        let mut kv = Kv::default();
        for request in requests {
            kv.apply(request);
        }
        kv.digest()
    }

    #[test]
    fn each_command_does_what_it_says() {
        let mut kv = Kv::default();
        let mut index = 0;
        let mut apply = |command: Command<'static>| {
            index += 1;
            let number = if command.is_read() {
                RequestNumber::read(index)
            } else {
                RequestNumber::write(index)
            };
            kv.apply(&Request { client: ClientId(1), number, unanswered_from: 1, command })
        };
        let value = |bytes: &[u8]| Outcome::Value(Some(bytes.to_vec()));
        assert_eq!(apply(Command::Get { key: b"k" }), Outcome::Value(None));
        assert_eq!(apply(Command::Put { key: b"k", value: b"1" }), Outcome::Done);
        assert_eq!(apply(Command::Append { key: b"k", value: b"23" }), Outcome::Done);
        assert_eq!(apply(Command::Get { key: b"k" }), value(b"123"));
        let cas = |expected, value| Command::CompareAndSet { key: b"k", expected, value };
        assert_eq!(apply(cas(Some(b"12"), b"x")), Outcome::Swapped(false));
        assert_eq!(apply(cas(Some(b"123"), b"x")), Outcome::Swapped(true));
        assert_eq!(apply(Command::Get { key: b"k" }), value(b"x"));
        assert_eq!(apply(Command::Delete { key: b"k" }), Outcome::Done);
        assert_eq!(apply(Command::Get { key: b"k" }), Outcome::Value(None));
        assert_eq!(apply(cas(None, b"y")), Outcome::Swapped(true));
        assert_eq!(apply(Command::Get { key: b"k" }), value(b"y"));
    }

    #[test]
    fn an_append_beyond_the_limit_changes_nothing() {
        let mut kv = Kv::default();
        let big = vec![7; VALUE_BYTES_MAX];
        let request = |index, value| Request {
            client: ClientId(1),
            number: RequestNumber::write(index),
            unanswered_from: 1,
            command: Command::Append { key: b"k", value },
        };
        assert_eq!(kv.apply(&request(1, &big)), Outcome::Done);
        assert_eq!(kv.apply(&request(2, b"x")), Outcome::TooLong);
        assert_eq!(kv.value(b"k").unwrap().len(), VALUE_BYTES_MAX);
    }

    #[test]
    fn a_retried_write_is_applied_once_and_answered_again() {
        let mut kv = Kv::default();
        let append = write(1, 1, Command::Append { key: b"k", value: b"x" });
        assert_eq!(kv.answered(&append), None);
        assert_eq!(kv.apply(&append), Outcome::Done);
        let digest = kv.digest();
        assert_eq!(kv.apply(&append), Outcome::Done);
        assert_eq!(kv.answered(&append), Some(Outcome::Done));
        assert_eq!((kv.value(b"k"), kv.digest()), (Some(&b"x"[..]), digest));
    }

    #[test]
    fn a_window_of_one_client_may_execute_in_any_order() {
        let requests = [put(1, 1, b"a", b"1"), put(1, 2, b"b", b"2"), put(1, 3, b"c", b"3")];
        let [a, b, c] = requests;
        assert_eq!(digest_of(&[a, b, c]), digest_of(&[c, a, b]));
        let mut kv = Kv::default();
        for request in [c, a, b, a, b, c] {
            kv.apply(&request);
        }
        assert_eq!(kv.digest().writes, 3);
    }

    #[test]
    fn the_digest_tells_orders_of_conflicting_commands_apart() {
        let (x, y) = (put(1, 1, b"k", b"v"), put(2, 1, b"k", b"v"));
        assert_ne!(digest_of(&[x, y]).order, digest_of(&[y, x]).order, "write and write");
        assert_eq!(digest_of(&[x, y]).state, digest_of(&[y, x]).state);
        let r = read(3, 1, b"k");
        assert_ne!(digest_of(&[x, r]).order, digest_of(&[r, x]).order, "read and write");
        let r2 = read(4, 1, b"k");
        assert_eq!(digest_of(&[x, r, r2]), digest_of(&[x, r2, r]), "reads commute");
        let other = put(5, 1, b"other", b"v");
        assert_eq!(digest_of(&[x, other]), digest_of(&[other, x]), "no conflict");
        let d = write(6, 1, Command::Delete { key: b"k" });
        assert_ne!(digest_of(&[r, x, d]).order, digest_of(&[x, d, r]).order, "around a delete");
    }

    #[test]
    fn the_state_digest_forgets_what_was_overwritten() {
        let twice = digest_of(&[put(1, 1, b"k", b"old"), put(1, 2, b"k", b"new")]).state;
        assert_eq!(twice, digest_of(&[put(1, 1, b"k", b"new")]).state);
        let gone = [put(1, 1, b"k", b"v"), write(1, 2, Command::Delete { key: b"k" })];
        assert_eq!(digest_of(&gone).state, 0);
        assert_ne!(digest_of(&[put(1, 1, b"k", b"")]).state, 0, "empty is not absent");
    }

    #[test]
    fn a_snapshot_holds_state_sessions_and_digest() {
        let mut kv = Kv::default();
        for index in 1..100 {
            kv.apply(&put(index % 7, index, b"k", b"v"));
        }
        let restored = Kv::restore(&kv.snapshot()).unwrap();
        assert_eq!(restored, kv);
        assert_eq!(Kv::restore(b"\xff\xff"), Err(NotASnapshot));
    }

    #[test]
    fn a_difference_comes_down_to_its_key() {
        let (mut a, mut b) = (Kv::default(), Kv::default());
        for kv in [&mut a, &mut b] {
            kv.apply(&put(1, 1, b"same", b"v"));
        }
        a.apply(&put(1, 2, b"k", b"1"));
        b.apply(&put(1, 2, b"k", b"2"));
        let differing: Vec<_> =
            a.key_digests(0, 1).into_iter().filter(|d| !b.key_digests(0, 1).contains(d)).collect();
        assert_eq!(differing.len(), 1);
        assert_eq!(differing[0].key, b"k");
    }
}
