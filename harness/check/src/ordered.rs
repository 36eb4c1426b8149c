//! Is a history explained by an order of its writes that somebody knows?
//!
//! Whoever has seen the writes take effect, as a simulator has, need not search: an order that keeps to time and gives every
//! answer is the proof that the history is linearizable, however it was come by. One that does not proves nothing.
//!
//! With the order of the writes given, a read has its place in a stretch between two of them at which its value is there.
//! Reads are placed in the order of their beginning, each as early as it can be, which leaves the most room to the others.

use std::{cmp::Reverse, collections::BinaryHeap};

use rustc_hash::FxHashMap;

use crate::{
    history::{Kind, Operation},
    search::Step,
    values::{ABSENT, Value, Values},
};

/// Does `writes`, an order of those among `operations` that took effect, explain every answer? All operations are on one
/// key.
pub(crate) fn explains(operations: &[&Operation], writes: &[&Operation]) -> bool {
    let answered_writes = operations
        .iter()
        .filter(|operation| operation.kind != Kind::Get && operation.answer.is_some());
    let ordered = writes.iter().filter(|write| write.answer.is_some()).count();
    if answered_writes.count() != ordered || !keeps_to_time(writes) {
        return false;
    }
    let mut values = Values::default();
    let Some(stretches) = Stretches::new(writes, &mut values) else { return false };
    stretches.hold(operations, writes, &mut values)
}

/// Did none of them end before an earlier one began?
fn keeps_to_time(writes: &[&Operation]) -> bool {
    let mut last_begin = 0;
    writes.iter().all(|write| {
        last_begin = last_begin.max(write.invoke);
        write.returned() >= last_begin
    })
}

/// The times between writes; stretch n follows n of them.
struct Stretches {
    /// By value: the stretches with it, ascending.
    with: FxHashMap<Value, Vec<usize>>,
    /// The last beginning among the first n writes, for n from 1.
    last_begin: Vec<u64>,
}

impl Stretches {
    /// None if a write was answered otherwise than its place says.
    fn new(writes: &[&Operation], values: &mut Values) -> Option<Self> {
        let mut with: FxHashMap<Value, Vec<usize>> = FxHashMap::default();
        with.insert(ABSENT, vec![0]);
        let (mut state, mut latest, mut last_begin) = (ABSENT, 0, Vec::new());
        for (number, write) in (1..).zip(writes) {
            let after = Step::of(write, values).apply(state, values);
            // A compare-and-set without an answer that found something else has changed nothing.
            state = match after {
                None if write.answer.is_none() => state,
                after => after?,
            };
            with.entry(state).or_default().push(number);
            latest = latest.max(write.invoke);
            last_begin.push(latest);
        }
        Some(Self { with, last_begin })
    }

    /// Is there a stretch for every read?
    fn hold(&self, operations: &[&Operation], writes: &[&Operation], values: &mut Values) -> bool {
        let mut reads: Vec<&Operation> = operations
            .iter()
            .filter(|operation| operation.kind == Kind::Get && operation.answer.is_some())
            .copied()
            .collect();
        reads.sort_unstable_by_key(|read| read.invoke);
        // What has a place, by when it ended: whoever begins later is not before it.
        let mut placed: BinaryHeap<Reverse<(u64, usize)>> =
            (1..).zip(writes).map(|(number, write)| Reverse((write.returned(), number))).collect();
        let mut not_before = 0;
        reads.into_iter().all(|read| {
            while let Some(Reverse((returned, place))) = placed.peek()
                && *returned < read.invoke
            {
                not_before = not_before.max(*place);
                placed.pop();
            }
            let not_after = self.last_begin.partition_point(|begin| *begin <= read.returned());
            let value = values.number(read.read().flatten());
            let stretches = self.with.get(&value).map_or(&[][..], Vec::as_slice);
            let first = stretches.partition_point(|&stretch| stretch < not_before);
            let place = stretches.get(first).copied().filter(|&place| place <= not_after);
            placed.extend(place.map(|place| Reverse((read.returned(), place))));
            place.is_some()
        })
    }
}
