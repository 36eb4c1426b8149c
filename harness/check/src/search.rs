//! The general method: every order that time allows, depth first, without repeating itself.
//!
//! Wing and Gong, *Testing and verifying concurrent objects* (1993): the next operation is one that no other has ended
//! before. Lowe, *Testing for linearizability* (2017): what was tried once, the same operations placed and the same
//! value reached, is not tried again.
//!
//! Two rules more leave out what could not help. A read that may be next is placed next. And where
//! what was written tells the writes apart, no value is left that an operation with an answer still
//! needs.

use rustc_hash::FxHashSet;

use crate::{
    elements::Elements,
    history::{Kind, Operation, Outcome},
    values::{ABSENT, Value, Values},
    verdict::{Budget, Exhausted},
};

/// What the search came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// An order that explains every answer.
    Order,
    /// There is none.
    NoOrder,
    /// The budget ended first.
    Exhausted(Exhausted),
}

/// Chosen: often enough to stop within a moment, rarely enough to cost nothing.
const STEPS_BETWEEN_QUESTIONS: u64 = 1 << 12;

/// Judges operations that are all on one key.
pub(crate) fn search(
    operations: &[&Operation],
    budget: &Budget,
    go_on: &mut dyn FnMut() -> bool,
) -> Found {
    Search::new(operations).run(budget, go_on)
}

/// The positions of the operations on which `operations`' answers depend: all but those without an answer that cannot be
/// seen in any answer. If one of these had happened, leaving it out would change no answer.
pub(crate) fn relevant(operations: &[&Operation]) -> Vec<usize> {
    let fixed = |operation: &Operation| operation.answer.is_some();
    let seen = Seen::of(operations);
    (0..operations.len())
        .filter(|&at| fixed(operations[at]) || !seen.is_without(operations[at]))
        .collect()
}

/// What the operations saw.
pub(crate) struct Seen<'a> {
    values: Vec<&'a [u8]>,
    /// Did anybody see that the key was absent?
    absent: bool,
    appends: bool,
    failed_swap: bool,
}

impl<'a> Seen<'a> {
    pub(crate) fn of(operations: &[&'a Operation]) -> Self {
        let observed = || operations.iter().filter_map(|operation| operation.observed());
        let mut values: Vec<&[u8]> = observed().flatten().collect();
        values.sort_unstable();
        values.dedup();
        Self {
            values,
            absent: observed().any(|value| value.is_none()),
            appends: operations.iter().any(|operation| matches!(operation.kind, Kind::Append(_))),
            failed_swap: operations.iter().any(|operation| operation.is_failed_swap()),
        }
    }

    /// Was `part` seen, alone or, if there are appends, in what it may have become a part of?
    fn contains(&self, part: &[u8]) -> bool {
        let is_in = |whole: &[u8]| whole.windows(part.len()).any(|window| window == part);
        self.values.binary_search(&part).is_ok()
            || (self.appends && self.values.iter().any(|seen| is_in(seen)))
    }

    /// Would nobody's answer tell if the operation had not happened? Who saw that a value was *not* there may have seen
    /// any write's effect; an append onto an absent key makes it present, however little it adds.
    pub(crate) fn is_without(&self, operation: &Operation) -> bool {
        match operation.kind.written() {
            None if operation.kind == Kind::Get => operation.answer.is_none(),
            // An append that is the first of a value saw an absent key, too.
            None => !self.absent && !self.appends && !self.failed_swap,
            Some(value) => !self.failed_swap && !value.is_empty() && !self.contains(value),
        }
    }
}

/// What placing an operation does.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    /// Needs the value.
    Read(Value),
    /// Needs another value than this.
    ReadOther(Value),
    Write(Value),
    Append(Value),
    Swap(Value, Value),
}

impl Step {
    pub(crate) fn of(operation: &Operation, values: &mut Values) -> Self {
        match (&operation.kind, &operation.answer) {
            (Kind::Get, _) => Self::Read(values.number(operation.read().flatten())),
            (Kind::Put(value), _) => Self::Write(values.number(Some(value))),
            (Kind::Delete, _) => Self::Write(ABSENT),
            (Kind::Append(value), _) => Self::Append(values.number(Some(value))),
            (Kind::CompareAndSet { expected, .. }, Some((_, Outcome::Swapped(false)))) => {
                Self::ReadOther(values.number(expected.as_deref()))
            }
            (Kind::CompareAndSet { expected, value }, _) => {
                Self::Swap(values.number(expected.as_deref()), values.number(Some(value)))
            }
        }
    }

    /// The value that must be there.
    const fn needs(self) -> Option<Value> {
        match self {
            Self::Read(value) | Self::Swap(value, _) => Some(value),
            Self::ReadOther(_) | Self::Write(_) | Self::Append(_) => None,
        }
    }

    /// Does it leave the value as it is?
    const fn is_read(self) -> bool {
        matches!(self, Self::Read(_) | Self::ReadOther(_))
    }

    /// The value afterwards; none if the operation cannot stand here.
    pub(crate) fn apply(self, state: Value, values: &mut Values) -> Option<Value> {
        match self {
            Self::Read(value) => (state == value).then_some(state),
            Self::ReadOther(value) => (state != value).then_some(state),
            Self::Write(value) => Some(value),
            Self::Append(tail) => Some(values.append(state, tail)),
            Self::Swap(expected, value) => (state == expected).then_some(value),
        }
    }
}

/// Beginnings and ends in the order of time, as a list from which placed operations are taken out.
struct Timeline {
    /// The operation of each entry; its beginning if `is_end` is false.
    entries: Vec<(usize, bool)>,
    next: Vec<usize>,
    previous: Vec<usize>,
    /// The entries of each operation's beginning and end; without an answer there is no end.
    begin: Vec<usize>,
    end: Vec<Option<usize>>,
}

impl Timeline {
    /// Entry 0 is the head, the last one the tail: neither is an operation's.
    fn new(operations: &[&Operation]) -> Self {
        let mut times: Vec<(u64, bool, usize)> = Vec::with_capacity(2 * operations.len());
        for (at, operation) in operations.iter().enumerate() {
            times.push((operation.invoke, false, at));
            times.extend(operation.answer.as_ref().map(|(returned, _)| (*returned, true, at)));
        }
        // At the same time beginnings are first: the operations are side by side.
        times.sort_unstable();
        let count = times.len() + 2;
        let mut begin = vec![0; operations.len()];
        let mut end = vec![None; operations.len()];
        let mut entries = vec![(usize::MAX, true)];
        for (entry, (_, is_end, at)) in (1..).zip(times) {
            entries.push((at, is_end));
            if is_end {
                end[at] = Some(entry);
            } else {
                begin[at] = entry;
            }
        }
        entries.push((usize::MAX, true));
        let next = (1..=count).collect();
        let previous = (0..count).map(|at| at.saturating_sub(1)).collect();
        Self { entries, next, previous, begin, end }
    }

    fn take_out(&mut self, at: usize) {
        for entry in [Some(self.begin[at]), self.end[at]].into_iter().flatten() {
            let (previous, next) = (self.previous[entry], self.next[entry]);
            self.next[previous] = next;
            self.previous[next] = previous;
        }
    }

    /// Undoes the last [`take_out`](Self::take_out) that is not undone.
    fn put_back(&mut self, at: usize) {
        for entry in [self.end[at], Some(self.begin[at])].into_iter().flatten() {
            let (previous, next) = (self.previous[entry], self.next[entry]);
            self.next[previous] = entry;
            self.previous[next] = entry;
        }
    }
}

/// Which operations are placed: those with an answer in the order of their beginning, then those without. In histories as
/// they are, all but the last few with an answer are placed, and few without: kept is only what lies between.
struct Placed {
    /// The bit of each operation.
    bit: Vec<usize>,
    words: Vec<u64>,
    /// How many of the words hold operations with an answer.
    answered_words: usize,
    /// Words before this one are all ones.
    full_words: usize,
}

impl Placed {
    fn new(operations: &[&Operation]) -> Self {
        let mut order: Vec<usize> = (0..operations.len()).collect();
        order.sort_by_key(|&at| (operations[at].answer.is_none(), operations[at].invoke));
        let answered = operations.iter().filter(|operation| operation.answer.is_some()).count();
        let answered_words = answered.div_ceil(64);
        let mut bit = vec![0; operations.len()];
        for (rank, at) in order.into_iter().enumerate() {
            bit[at] = if rank < answered { rank } else { answered_words * 64 + rank - answered };
        }
        let words = answered_words + (operations.len() - answered).div_ceil(64);
        Self { bit, words: vec![0; words], answered_words, full_words: 0 }
    }

    fn insert(&mut self, at: usize) {
        self.words[self.bit[at] / 64] |= 1 << (self.bit[at] % 64);
        while self.full_words < self.answered_words && self.words[self.full_words] == u64::MAX {
            self.full_words += 1;
        }
    }

    fn remove(&mut self, at: usize) {
        let word = self.bit[at] / 64;
        self.words[word] &= !(1 << (self.bit[at] % 64));
        if word < self.answered_words {
            self.full_words = self.full_words.min(word);
        }
    }

    /// The set and `state`, as short as they can be told from all others.
    fn key(&self, state: Value) -> Box<[u64]> {
        let (answered, others) = self.words.split_at(self.answered_words);
        let answered = trimmed(&answered[self.full_words..]);
        let others = trimmed(others);
        let mut key = Vec::with_capacity(2 + answered.len() + others.len());
        key.push(u64::from(state) << 32 | answered.len() as u64);
        key.push(self.full_words as u64);
        key.extend_from_slice(answered);
        key.extend_from_slice(others);
        key.into_boxed_slice()
    }
}

fn trimmed(words: &[u64]) -> &[u64] {
    let length = words.iter().rposition(|&word| word != 0).map_or(0, |last| last + 1);
    &words[..length]
}

/// How many operations with an answer are not placed yet that need each value, if a value that was
/// left never comes again.
///
/// That is so where what was written tells the writes apart ([`Elements`]): a value ends with one
/// write, which takes effect once. The absent value comes again only by deletes.
struct Needed {
    counts: Vec<u32>,
    never_again: bool,
    absent_never_again: bool,
}

impl Needed {
    fn new(operations: &[&Operation], steps: &[Step]) -> Self {
        let never_again = Elements::new(operations).is_some();
        let has_delete = operations.iter().any(|operation| operation.kind == Kind::Delete);
        let mut needed = Self {
            counts: Vec::new(),
            never_again,
            absent_never_again: never_again && !has_delete,
        };
        for (operation, step) in operations.iter().zip(steps) {
            if let Some(value) = step.needs().filter(|_| operation.answer.is_some()) {
                let place = value as usize;
                if needed.counts.len() <= place {
                    needed.counts.resize(place + 1, 0);
                }
                needed.counts[place] += 1;
            }
        }
        needed
    }

    /// May `value` be left for good, by an operation that itself needs it or not?
    fn may_leave(&self, value: Value, itself: bool) -> bool {
        let is_final = if value == ABSENT { self.absent_never_again } else { self.never_again };
        let needed = self.counts.get(value as usize).copied().unwrap_or(0);
        !is_final || needed <= u32::from(itself)
    }
}

struct Search {
    steps: Vec<Step>,
    needed: Needed,
    values: Values,
    timeline: Timeline,
    placed: Placed,
    tried: FxHashSet<Box<[u64]>>,
    memory_bytes: usize,
    /// How many operations with an answer are not placed.
    left: usize,
}

impl Search {
    fn new(operations: &[&Operation]) -> Self {
        let operations: Vec<_> =
            relevant(operations).into_iter().map(|at| operations[at]).collect();
        let mut values = Values::default();
        let steps: Vec<Step> =
            operations.iter().map(|operation| Step::of(operation, &mut values)).collect();
        Self {
            needed: Needed::new(&operations, &steps),
            steps,
            values,
            timeline: Timeline::new(&operations),
            placed: Placed::new(&operations),
            tried: FxHashSet::default(),
            memory_bytes: 0,
            left: operations.iter().filter(|operation| operation.answer.is_some()).count(),
        }
    }

    fn run(mut self, budget: &Budget, go_on: &mut dyn FnMut() -> bool) -> Found {
        let mut path: Vec<(usize, Value)> = Vec::new();
        let mut state = ABSENT;
        let mut entry = self.timeline.next[0];
        let mut steps = 0;
        while self.left > 0 {
            steps += 1;
            if steps > budget.steps_max || (steps % STEPS_BETWEEN_QUESTIONS == 0 && !go_on()) {
                return Found::Exhausted(Exhausted::Time);
            }
            if self.memory_bytes + self.values.memory_bytes() > budget.memory_bytes_max {
                return Found::Exhausted(Exhausted::Memory);
            }
            if entry == self.timeline.next[0]
                && let Some(at) = self.read_that_may_be_next(state)
            {
                self.take(at);
                path.push((at, state));
                entry = self.timeline.next[0];
                continue;
            }
            let (at, is_end) = self.timeline.entries[entry];
            if !is_end {
                if let Some(after) = self.try_place(at, state) {
                    path.push((at, state));
                    state = after;
                    entry = self.timeline.next[0];
                } else {
                    entry = self.timeline.next[entry];
                }
                continue;
            }
            // Nothing that may be next can be. A read that could be next was the only choice.
            let (last, before) = loop {
                let Some((last, before)) = path.pop() else { return Found::NoOrder };
                self.take_back(last);
                if !self.steps[last].is_read() {
                    break (last, before);
                }
            };
            state = before;
            entry = self.timeline.next[self.timeline.begin[last]];
        }
        Found::Order
    }

    /// A read with an answer that may be next. In whatever order explains the rest it could as well
    /// be first: it leaves the value as it is. So nothing else need be tried.
    fn read_that_may_be_next(&mut self, state: Value) -> Option<usize> {
        let mut entry = self.timeline.next[0];
        loop {
            let (at, is_end) = self.timeline.entries[entry];
            if is_end {
                return None;
            }
            let step = self.steps[at];
            let is_answered = self.timeline.end[at].is_some();
            if step.is_read() && is_answered && step.apply(state, &mut self.values).is_some() {
                return Some(at);
            }
            entry = self.timeline.next[entry];
        }
    }

    /// Places the write if it can stand here and this was not tried before; the value afterwards.
    fn try_place(&mut self, at: usize, state: Value) -> Option<Value> {
        let step = self.steps[at];
        let answered = self.timeline.end[at].is_some();
        if step.is_read() {
            return None;
        }
        let after = step.apply(state, &mut self.values)?;
        let leaves = after != state;
        if !answered && !leaves {
            // As if it had not happened.
            return None;
        }
        if leaves && !self.needed.may_leave(state, answered && step.needs() == Some(state)) {
            return None;
        }
        self.placed.insert(at);
        let key = self.placed.key(after);
        self.placed.remove(at);
        // The set keeps a pointer and a length, with room to grow.
        let bytes = size_of_val(&*key) + 4 * size_of::<usize>();
        if !self.tried.insert(key) {
            return None;
        }
        self.memory_bytes += bytes;
        self.take(at);
        Some(after)
    }

    /// Places the operation.
    fn take(&mut self, at: usize) {
        self.placed.insert(at);
        self.timeline.take_out(at);
        if self.timeline.end[at].is_some() {
            self.left -= 1;
            if let Some(value) = self.steps[at].needs() {
                self.needed.counts[value as usize] -= 1;
            }
        }
    }

    fn take_back(&mut self, at: usize) {
        self.placed.remove(at);
        self.timeline.put_back(at);
        if self.timeline.end[at].is_some() {
            self.left += 1;
            if let Some(value) = self.steps[at].needs() {
                self.needed.counts[value as usize] += 1;
            }
        }
    }
}
