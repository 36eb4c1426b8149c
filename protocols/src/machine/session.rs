//! Client sessions: which requests have been applied, and what they came to.

use std::collections::{HashMap, VecDeque};

use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::{command::Outcome, id::ClientId};

/// The most sessions that a replica admits. A session takes 72 bytes, up to as much again of room that the table keeps
/// free, and 128 for its first results; each write skipped for ever (its client gave up before it was ordered) adds 16,
/// each cached result beyond four 32.
///
/// This and the bounds below are held at admission, by each replica against what it has executed ([`Sessions::admits`]).
/// Execution refuses nothing, so that all replicas hold the same sessions whichever of them admitted what; what was admitted
/// and is not executed yet may exceed the bounds by that much.
pub const SESSIONS_MAX: usize = 1 << 20;
/// The most results that a client has cached, and so the largest window that it can have. chosen: as many as one connection
/// may have pending; half a MiB.
pub const OUTCOMES_MAX: usize = 1 << 14;
/// The most gaps in a client's writes, plus one: those it gave up, and those of its window that are executed later than
/// others. chosen: above half the largest window; a client that gave up more opens another session; 256 KiB.
pub const INTERVALS_MAX: usize = 1 << 14;

/// A set of numbers as disjoint, ascending, inclusive intervals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IntervalSet(SmallVec<[(u64, u64); 1]>);

impl IntervalSet {
    /// Adds `number`; false if it was there. Constant time for the number after the highest.
    pub fn insert(&mut self, number: u64) -> bool {
        if let Some(last) = self.0.last_mut()
            && last.1 + 1 == number
        {
            last.1 = number;
            return true;
        }
        // `after` is the first interval that begins above `number`.
        let after = self.0.partition_point(|interval| interval.0 <= number);
        if after > 0 && number <= self.0[after - 1].1 {
            return false;
        }
        let joins_before = after > 0 && self.0[after - 1].1 + 1 == number;
        let joins_after = after < self.0.len() && number + 1 == self.0[after].0;
        match (joins_before, joins_after) {
            (true, true) => {
                self.0[after - 1].1 = self.0[after].1;
                self.0.remove(after);
            }
            (true, false) => self.0[after - 1].1 = number,
            (false, true) => self.0[after].0 = number,
            (false, false) => self.0.insert(after, (number, number)),
        }
        true
    }

    /// Is `number` in the set?
    pub fn contains(&self, number: u64) -> bool {
        let after = self.0.partition_point(|interval| interval.0 <= number);
        after > 0 && number <= self.0[after - 1].1
    }

    /// How many intervals there are.
    pub fn intervals(&self) -> usize {
        self.0.len()
    }
}

/// What is remembered of one client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Session {
    /// Exactly the writes applied, whatever the order in which they were.
    applied: IntervalSet,
    /// Below this index no result is kept; the marks in `applied` stay.
    unanswered_from: u64,
    /// Results by write index, ascending.
    outcomes: VecDeque<(u64, Outcome)>,
}

/// Every client's session. Part of the replicated state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sessions(HashMap<ClientId, Session, FxBuildHasher>);

impl Sessions {
    /// Marks `client`'s write `index` as applied and forgets results below `unanswered_from`. False if it was applied
    /// before: then it must not be applied again.
    pub fn begin(&mut self, client: ClientId, index: u64, unanswered_from: u64) -> bool {
        let session = self.0.entry(client).or_default();
        session.unanswered_from = session.unanswered_from.max(unanswered_from);
        while session.outcomes.front().is_some_and(|(index, _)| *index < session.unanswered_from) {
            session.outcomes.pop_front();
        }
        session.applied.insert(index)
    }

    /// Keeps what `client`'s write `index` came to, for a retry.
    pub fn finish(&mut self, client: ClientId, index: u64, outcome: Outcome) {
        let session = self.0.get_mut(&client).expect("begin made the session");
        if index < session.unanswered_from {
            return;
        }
        let position = session.outcomes.partition_point(|(other, _)| *other < index);
        session.outcomes.insert(position, (index, outcome));
    }

    /// What `client`'s write `index` came to, if it has been applied.
    pub fn outcome(&self, client: ClientId, index: u64) -> Option<Outcome> {
        let session = self.0.get(&client)?;
        if !session.applied.contains(index) {
            return None;
        }
        let kept = session.outcomes.binary_search_by_key(&index, |(index, _)| *index);
        Some(kept.map_or(Outcome::Forgotten, |position| session.outcomes[position].1.clone()))
    }

    /// How many clients have a session.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Has no client a session?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// May a write of `client` be ordered, whose answers below `unanswered_from` it has: is there room for its session, or in
    /// it?
    pub fn admits(&self, client: ClientId, unanswered_from: u64) -> bool {
        let Some(session) = self.0.get(&client) else { return self.0.len() < SESSIONS_MAX };
        let freed = session.outcomes.partition_point(|(index, _)| *index < unanswered_from);
        session.outcomes.len() - freed < OUTCOMES_MAX && session.applied.intervals() < INTERVALS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against a dumb second version, over every order of a small set.
    #[test]
    fn interval_set_agrees_with_a_plain_set() {
        let mut state = 1u64;
        for _ in 0..200 {
            let (mut set, mut plain) = (IntervalSet::default(), std::collections::BTreeSet::new());
            for _ in 0..60 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let number = 1 + (state >> 33) % 40;
                assert_eq!(set.insert(number), plain.insert(number));
            }
            for number in 0..45 {
                assert_eq!(set.contains(number), plain.contains(&number), "{number} in {set:?}");
            }
            let gaps = plain.iter().filter(|n| !plain.contains(&(*n + 1))).count();
            assert_eq!(set.intervals(), gaps, "intervals are joined: {set:?}");
        }
    }

    #[test]
    fn the_stated_sizes_are_the_real_ones() {
        assert_eq!(size_of::<(ClientId, Session)>(), 72);
        assert_eq!(size_of::<(u64, Outcome)>(), 32);
        let mut results = VecDeque::new();
        results.push_back((1u64, Outcome::Done));
        assert_eq!(results.capacity(), 4);
    }

    #[test]
    fn a_client_is_refused_before_its_session_grows_without_bound() {
        let (mut sessions, hoarder, skipper) = (Sessions::default(), ClientId(1), ClientId(2));
        for index in 1..=OUTCOMES_MAX as u64 {
            assert!(sessions.admits(hoarder, 1), "write {index}");
            sessions.begin(hoarder, index, 1);
            sessions.finish(hoarder, index, Outcome::Done);
        }
        assert!(!sessions.admits(hoarder, 1), "it never takes an answer");
        assert!(sessions.admits(hoarder, 2), "it has taken the first");
        for gap in 1..=INTERVALS_MAX as u64 {
            assert!(sessions.admits(skipper, 2 * gap), "gap {gap}");
            sessions.begin(skipper, 2 * gap, 2 * gap);
        }
        assert!(!sessions.admits(skipper, u64::MAX));
        assert!(sessions.admits(ClientId(3), 1), "others are served");
    }

    #[test]
    fn a_floor_frees_results_and_never_marks() {
        let (mut sessions, client) = (Sessions::default(), ClientId(1));
        for index in [2, 1, 5] {
            assert!(sessions.begin(client, index, 1));
            sessions.finish(client, index, Outcome::Done);
        }
        assert!(sessions.begin(client, 6, 5), "the client has its answers below 5");
        assert_eq!(sessions.outcome(client, 1), Some(Outcome::Forgotten));
        assert_eq!(sessions.outcome(client, 5), Some(Outcome::Done));
        assert!(!sessions.begin(client, 2, 1), "applied long ago");
        assert!(sessions.begin(client, 3, 1), "below the floor, and yet never applied");
        assert_eq!(sessions.outcome(client, 4), None);
    }
}
