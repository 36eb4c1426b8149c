//! The same near-linear method for a register whose history is kept as numbers: what a load generator can afford to
//! record of every operation, and what is then judged where it lies, without a copy.
//!
//! Only puts and gets, and no value put twice. The operations of one value are neighbours once they are sorted by it, so
//! that there is no map: the time is that of two sorts.

use crate::{
    history::Operation,
    unique::{self, Unique},
    verdict::Witness,
    zones::{self, Mark, Zone},
};

/// The value of a key that was never put.
pub const ABSENT: u64 = 0;
/// The time of an answer that never came.
pub const NEVER: u64 = u64::MAX;

/// One put or get of one key.
pub trait Access {
    /// What was put or seen, as a number that no other put of the key has; [`ABSENT`] for nothing.
    fn value(&self) -> u64;
    /// A get; otherwise a put.
    fn is_read(&self) -> bool;
    /// When it was asked for.
    fn invoke(&self) -> u64;
    /// When the answer came; [`NEVER`] if none did.
    fn returned(&self) -> u64;
}

/// Judges `accesses`, all on one key; their order does not matter and is changed. `Some` if no order of them explains
/// every answer; `shown` makes the evidence of those few that contradict each other, and gives different values to
/// different numbers.
///
/// # Panics
/// If two puts have the same value: a bug of the caller.
pub fn witness<A: Access>(accesses: &mut [A], shown: impl Fn(&A) -> Operation) -> Option<Witness> {
    accesses.sort_unstable_by_key(|access| (access.value(), access.is_read()));
    let mut involved = contradiction(accesses)?;
    involved.sort_unstable();
    involved.dedup();
    let operations: Vec<Operation> =
        involved.into_iter().map(|at| shown(&accesses[at as usize])).collect();
    let all: Vec<&Operation> = operations.iter().collect();
    let Unique::Contradiction(contradiction) = unique::check(&all) else {
        unreachable!("what contradicts itself as numbers does so as operations")
    };
    let mut witness = Witness::of(&all, contradiction);
    witness.others = accesses.len() - witness.operations.len();
    Some(witness)
}

/// The positions of operations that contradict each other, if any do.
fn contradiction<A: Access>(accesses: &[A]) -> Option<Vec<u32>> {
    let mut zones = Vec::new();
    let mut first = 0u32;
    for group in accesses.chunk_by(|one, other| one.value() == other.value()) {
        match zone(group, first) {
            Ok(zone) => zones.extend(zone),
            Err(involved) => return Some(involved),
        }
        first += u32::try_from(group.len()).expect("fewer operations than fit in memory");
    }
    let (one, other) = zones::crossing(&zones)?;
    let marks = [one.first_end, one.last_begin, other.first_end, other.last_begin];
    let ends = marks.iter().filter_map(|mark| mark.operation);
    // A read is no evidence without the put that it saw, which is the first of its block.
    let puts = marks.iter().filter(|mark| accesses[mark.block as usize].value() != ABSENT);
    Some(ends.chain(puts.map(|mark| mark.block)).collect())
}

/// When the value of `group` was there; none if its put need not have happened. `first` is the group's position.
fn zone<A: Access>(group: &[A], first: u32) -> Result<Option<Zone>, Vec<u32>> {
    let mark = |time, operation| Mark { time, operation, block: first };
    let (mut zone, reads, reads_from) = match group.split_first() {
        Some((put, reads)) if !put.is_read() => {
            let unique = reads.first().is_none_or(Access::is_read);
            assert!(unique, "the value {} was put twice", put.value());
            if put.returned() == NEVER && reads.iter().all(|read| read.returned() == NEVER) {
                return Ok(None);
            }
            let (end, begin) = (after(put.returned()), after(put.invoke()));
            let (first_end, last_begin) = (mark(end, Some(first)), mark(begin, Some(first)));
            (Zone { first_end, last_begin }, reads, first + 1)
        }
        // The absent value was there from the beginning of the world, which is time 0.
        Some((read, _)) if read.value() == ABSENT => {
            (Zone { first_end: mark(0, None), last_begin: mark(0, None) }, group, first)
        }
        _ => {
            let mut read = (first..).zip(group).filter(|(_, read)| read.returned() != NEVER);
            return read.next().map_or(Ok(None), |(at, _)| Err(vec![at]));
        }
    };
    let put_begin = zone.last_begin.time;
    for (at, read) in (reads_from..).zip(reads).filter(|(_, read)| read.returned() != NEVER) {
        let (begin, end) = (after(read.invoke()), after(read.returned()));
        if end < put_begin {
            return Err(vec![first, at]);
        }
        if end < zone.first_end.time {
            zone.first_end = mark(end, Some(at));
        }
        if begin > zone.last_begin.time {
            zone.last_begin = mark(begin, Some(at));
        }
    }
    Ok(Some(zone))
}

/// 0 is left to the beginning of the world.
const fn after(time: u64) -> u64 {
    time.saturating_add(1)
}
