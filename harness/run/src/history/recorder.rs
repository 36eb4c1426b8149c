//! Takes note of operations as they begin and end.
//!
//! **Invariants.** The recorder is told of beginnings and ends in the order in which they happen to the clients, and stamps
//! them in this order: an operation precedes another in the record exactly if its answer was here before the other was
//! sent. Nothing is allocated per operation but the room for more entries, and thinning is done bit by bit: no operation
//! waits for it.

use check::register::{Access, NEVER};
use protocols::{ClientId, Outcome, RequestNumber};
use rustc_hash::FxHashMap;
use workload::{Kind, value_writer};

use super::{
    entry::{Change, Entry, Times, Told, Value},
    states::States,
};

/// Chosen: 160 MiB; a run of twenty seconds at the best rate seen on two cores is kept whole.
const ENTRIES_MAX: usize = 1 << 22;
/// Chosen: 1.3 GiB; a history that is to be kept has room for three minutes at the best rate seen on two cores.
const KEPT_ENTRIES_MAX: usize = 1 << 25;
/// As many keys as operations.
const KEPT_KEYS_MAX: usize = KEPT_ENTRIES_MAX;
/// Chosen: as many keys are told apart; operations on others are only counted. The contended ones come early.
const KEYS_MAX: usize = 1 << 16;
/// Entries that are looked at per new one while the record is thinned: it grows by a third until that is done.
const THINNED_PER_ENTRY: usize = 4;
/// Chosen: strange values that are kept; one is a violation.
const STRANGE_MAX: usize = 64;
/// Chosen: as much of a strange value as is shown.
const STRANGE_BYTES_MAX: usize = 64;
/// In place of a key: one that is not told apart.
const OTHER: u32 = u32::MAX;

/// An operation that has begun: to be handed back when it ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Invoked {
    key: u32,
    /// What it does if it is a write.
    change: Change,
    /// When it should have been asked for.
    pub(crate) due_ns: u64,
    /// When it was.
    pub(crate) at_ns: u64,
}

/// An operation that ended without an answer that counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lost {
    pub(super) entry: Entry,
    /// When it was refused, or no longer waited for.
    pub(super) until_ns: u64,
    /// It had no effect. Otherwise nobody knows.
    pub(super) is_refused: bool,
}

/// What is known of one key.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: Box<[u8]>,
    under_way: u32,
    /// Operations that began while another was under way.
    overlapping: u64,
    entries: u64,
    /// Is everything that is done to the key recorded?
    kept: bool,
    /// The last end of the operations that were left out because there were too many; 0 if none was.
    pub(super) left_out_until: u64,
    /// What clients last saw or wrote of it, as far as one write alone or appends that are told
    /// apart made it.
    last: Value,
}

/// The record while it is thinned: entries before `write` are done, those from `read` on are not.
#[derive(Clone, Copy, Debug)]
struct Thinning {
    read: usize,
    write: usize,
    /// How many of the oldest entries of which key are left out.
    leave_out: (u32, u64),
}

/// How many writes there were, those included that are not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Writes {
    /// Their clients were told that they were executed.
    pub(crate) acknowledged: u64,
    /// Nobody knows whether they took effect.
    pub(crate) unknown: u64,
}

/// The history of a run, as far as it is kept.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    value_bytes: usize,
    numbers: FxHashMap<Box<[u8]>, u32>,
    pub(super) keys: Vec<Key>,
    pub(super) entries: Vec<Entry>,
    /// The values read that no client writes.
    pub(super) strange: Vec<Vec<u8>>,
    /// The values that several writes made.
    pub(super) states: States,
    /// Are there other commands than gets and puts?
    pub(super) is_mixed: bool,
    clock: u64,
    pub(super) begun: u64,
    pub(super) writes: Writes,
    /// Without an answer: what is judged does not show them, what is kept does. Empty unless the history is to be kept.
    pub(super) lost: Vec<Lost>,
    /// Is the history to be kept, with all that was asked for?
    pub(super) is_kept: bool,
    entries_max: usize,
    keys_max: usize,
    thinning: Option<Thinning>,
    /// Was anything left out?
    pub(super) is_thinned: bool,
}

impl Recorder {
    /// The history of a run whose values have `value_bytes`, which is empty yet. One that `is_kept` has room for everything
    /// that a run of minutes asks for.
    pub(crate) fn new(value_bytes: usize, is_kept: bool) -> Self {
        if !is_kept {
            return Self::bounded(value_bytes, ENTRIES_MAX);
        }
        Self { is_kept, keys_max: KEPT_KEYS_MAX, ..Self::bounded(value_bytes, KEPT_ENTRIES_MAX) }
    }

    /// The same with a record of at most `entries_max` operations, and a third more while it is thinned.
    pub(super) fn bounded(value_bytes: usize, entries_max: usize) -> Self {
        Self {
            value_bytes,
            numbers: FxHashMap::default(),
            keys: Vec::new(),
            entries: Vec::new(),
            strange: Vec::new(),
            states: States::default(),
            is_mixed: false,
            clock: 0,
            begun: 0,
            writes: Writes::default(),
            lost: Vec::new(),
            is_kept: false,
            entries_max,
            keys_max: KEYS_MAX,
            thinning: None,
            is_thinned: false,
        }
    }

    /// The same for a run in which there are other commands than gets and puts, if `is_mixed`.
    pub(crate) fn of_all_kinds(self, is_mixed: bool) -> Self {
        Self { is_mixed, ..self }
    }

    /// A client sends a get or a put on `key`, for the first time, at `now_ns`. It was due at
    /// `due_ns`, or is now.
    pub(crate) fn begin(&mut self, key: &[u8], due_ns: Option<u64>, now_ns: u64) -> Invoked {
        self.begin_as(Kind::Put, key, due_ns, now_ns)
    }

    /// The same of a command of any kind. A compare-and-set expects what the run's clients last saw
    /// or wrote of the key.
    pub(crate) fn begin_as(
        &mut self,
        kind: Kind,
        key: &[u8],
        due_ns: Option<u64>,
        now_ns: u64,
    ) -> Invoked {
        self.begun += 1;
        let at_ns = self.stamp(now_ns);
        let number = match self.numbers.get(key) {
            Some(&number) => number,
            None => self.add_key(key),
        };
        if let Some(key) = self.keys.get_mut(number as usize) {
            key.overlapping += u64::from(key.under_way > 0);
            key.under_way += 1;
        }
        let last = || self.keys.get(number as usize).map_or(Value::ABSENT, |key| key.last);
        let change = match kind {
            Kind::Read | Kind::Put => Change::Put,
            Kind::Append => Change::Append,
            Kind::Delete => Change::Delete,
            Kind::CompareAndSet => Change::CompareAndSet(self.states.expect(last())),
        };
        Invoked { key: number, change, due_ns: due_ns.unwrap_or(at_ns), at_ns }
    }

    /// Makes `bytes` what a compare-and-set expects; false if that is an absent key, or if it is
    /// none.
    pub(crate) fn expected(&self, invoked: &Invoked, bytes: &mut Vec<u8>) -> bool {
        bytes.clear();
        let Change::CompareAndSet(number) = invoked.change else { return false };
        self.states.write(self.states.expected(number), self.value_bytes, bytes)
    }

    /// A write of `client` took effect somewhere, and nowhere before: a simulator sees that.
    pub(crate) fn took_effect(&mut self, client: ClientId, number: RequestNumber) {
        if self.is_mixed {
            self.states.effects.push(Value::written(client, number.index()));
        }
    }

    /// A request of `client` was answered with `outcome` at `now_ns`. A closing read was asked of one replica after the load.
    /// Gives the answer's stamp.
    pub(crate) fn answered(
        &mut self,
        invoked: Invoked,
        (client, number): (ClientId, RequestNumber),
        outcome: &Outcome,
        (now_ns, closing): (u64, bool),
    ) -> u64 {
        self.writes.acknowledged += u64::from(!number.is_read());
        let returned = self.stamp(now_ns);
        let is_kept = self.end(invoked);
        if !is_kept && !self.is_mixed {
            return returned;
        }
        let times = invoked.until(returned);
        let entry = if number.is_read() {
            let value = match outcome {
                Outcome::Value(None) => Value::ABSENT,
                Outcome::Value(Some(value)) => self.value(value),
                other => self.strange(format!("{other:?}").into_bytes()),
            };
            self.learn(invoked, value);
            Entry::read(invoked.key, client, value, times, closing)
        } else {
            let value = Value::written(client, number.index());
            let swapped = *outcome == Outcome::Swapped(true);
            let mut times = times;
            match (invoked.change, outcome) {
                (Change::Append, Outcome::TooLong) => {
                    // It changed nothing, as if it had been refused.
                    if is_kept {
                        let entry = unanswered(invoked, client, number, closing);
                        self.keep_lost(Lost { entry, until_ns: returned, is_refused: true });
                    }
                    return returned;
                }
                (Change::CompareAndSet(_), Outcome::Swapped(false)) => {}
                (Change::CompareAndSet(_), _) if !swapped => {
                    // Nobody knows whether it wrote.
                    times.returned = NEVER;
                }
                (Change::Put | Change::CompareAndSet(_), _) => self.learn(invoked, value),
                (Change::Delete, _) => self.learn(invoked, Value::ABSENT),
                (Change::Append, _) => self.learn_append(invoked, value),
            }
            Entry::write(invoked.key, (invoked.change, swapped), value, times)
        };
        if is_kept {
            self.push(entry);
        }
        returned
    }

    /// A client saw, or wrote, `value`.
    fn learn(&mut self, invoked: Invoked, value: Value) {
        let is_written = value.strangeness().is_none();
        if let Some(key) = self.keys.get_mut(invoked.key as usize).filter(|_| is_written) {
            key.last = value;
        }
    }

    /// A client has appended `value`, to what was last seen unless another client was faster.
    fn learn_append(&mut self, invoked: Invoked, value: Value) {
        if let Some(key) = self.keys.get_mut(invoked.key as usize) {
            key.last = self.states.appended(key.last, value);
        }
    }

    /// Nobody waits for an answer to a request of `client` any more, from `now_ns` on: it may have taken effect, or may yet.
    /// Gives the stamp of that moment.
    pub(crate) fn given_up(
        &mut self,
        invoked: Invoked,
        (client, number): (ClientId, RequestNumber),
        (now_ns, closing): (u64, bool),
    ) -> u64 {
        self.writes.unknown += u64::from(!number.is_read());
        let until_ns = self.stamp(now_ns);
        if self.end(invoked) {
            let entry = unanswered(invoked, client, number, closing);
            self.keep_lost(Lost { entry, until_ns, is_refused: false });
            // A read without an answer says nothing.
            if !number.is_read() {
                self.push(entry);
            }
        }
        until_ns
    }

    /// A request of `client` was refused at `now_ns`: it has had no effect. Gives the refusal's stamp.
    pub(crate) fn refused(
        &mut self,
        invoked: Invoked,
        (client, number): (ClientId, RequestNumber),
        (now_ns, closing): (u64, bool),
    ) -> u64 {
        let until_ns = self.stamp(now_ns);
        if self.end(invoked) {
            let entry = unanswered(invoked, client, number, closing);
            self.keep_lost(Lost { entry, until_ns, is_refused: true });
        }
        until_ns
    }

    fn keep_lost(&mut self, lost: Lost) {
        if self.is_kept {
            self.lost.push(lost);
        }
    }

    /// Up to `keys_max` keys of which everything is recorded, the most contended first.
    pub(crate) fn checked_keys(&self, keys_max: usize) -> Vec<Box<[u8]>> {
        let mut kept: Vec<&Key> = self.keys.iter().filter(|key| key.kept).collect();
        kept.sort_by_key(|key| std::cmp::Reverse(key.contention()));
        kept.into_iter().take(keys_max).map(|key| key.name.clone()).collect()
    }

    /// Ends the thinning that may be under way.
    pub(super) fn finish(&mut self) {
        while self.thinning.is_some() {
            self.thin();
        }
    }

    /// Later than every stamp before, and otherwise `now_ns`.
    pub(crate) fn stamp(&mut self, now_ns: u64) -> u64 {
        self.clock = now_ns.max(self.clock + 1);
        self.clock
    }

    fn add_key(&mut self, name: &[u8]) -> u32 {
        if self.keys.len() >= self.keys_max {
            self.is_thinned = true;
            return OTHER;
        }
        let number = u32::try_from(self.keys.len()).expect("fewer than KEYS_MAX");
        let name: Box<[u8]> = name.into();
        self.numbers.insert(name.clone(), number);
        self.keys.push(Key {
            name,
            under_way: 0,
            overlapping: 0,
            entries: 0,
            kept: true,
            left_out_until: 0,
            last: Value::ABSENT,
        });
        number
    }

    /// The operation is under way no more; is it recorded?
    fn end(&mut self, invoked: Invoked) -> bool {
        let Some(key) = self.keys.get_mut(invoked.key as usize) else { return false };
        key.under_way -= 1;
        key.kept
    }

    /// The value that was read.
    fn value(&mut self, value: &[u8]) -> Value {
        let known = if self.is_mixed {
            self.states.read(value, self.value_bytes)
        } else {
            let writer = value_writer(value, self.value_bytes);
            writer.and_then(|(client, number)| Value::read(client, number))
        };
        known.unwrap_or_else(|| {
            let mut shown = value[..value.len().min(STRANGE_BYTES_MAX)].to_vec();
            if shown.len() < value.len() {
                shown.extend_from_slice(format!("… of {} bytes", value.len()).as_bytes());
            }
            self.strange(shown)
        })
    }

    fn strange(&mut self, shown: Vec<u8>) -> Value {
        if self.strange.len() < STRANGE_MAX {
            self.strange.push(shown);
        }
        Value::strange(u32::try_from(self.strange.len() - 1).expect("fewer than STRANGE_MAX"))
    }

    fn push(&mut self, entry: Entry) {
        self.keys[entry.key() as usize].entries += 1;
        self.entries.push(entry);
        if self.thinning.is_none() && self.entries.len() >= self.entries_max {
            self.begin_thinning();
        }
        for _ in 0..THINNED_PER_ENTRY {
            self.thin();
        }
    }

    /// Chooses the keys that are kept: the most contended ones, with at most half of the record's room.
    fn begin_thinning(&mut self) {
        let room = (self.entries_max / 2) as u64;
        let mut numbers: Vec<usize> =
            (0..self.keys.len()).filter(|&at| self.keys[at].kept).collect();
        numbers.sort_by_key(|&at| std::cmp::Reverse(self.keys[at].contention()));
        // What appends and compare-and-sets saw cannot be told without what came before: no key is
        // cut short then.
        let may_cut = !self.is_mixed;
        let mut sum = 0;
        for &at in &numbers {
            let with_it = sum + self.keys[at].entries;
            let has_room = with_it <= room;
            // Otherwise the most contended key stays, however much it is.
            self.keys[at].kept = has_room || (at == numbers[0] && may_cut);
            if has_room || may_cut {
                sum = with_it;
            }
        }
        let first = u32::try_from(numbers[0]).expect("fewer than KEYS_MAX");
        let of_first = self.keys[numbers[0]].entries;
        let too_many = if may_cut { of_first.saturating_sub(room) } else { 0 };
        self.is_thinned = true;
        self.thinning = Some(Thinning { read: 0, write: 0, leave_out: (first, too_many) });
    }

    /// Looks at one more entry.
    fn thin(&mut self) {
        let Some(thinning) = &mut self.thinning else { return };
        let Some(&entry) = self.entries.get(thinning.read) else {
            self.entries.truncate(thinning.write);
            self.thinning = None;
            return;
        };
        thinning.read += 1;
        let key = &mut self.keys[entry.key() as usize];
        let (too_busy, too_many) = &mut thinning.leave_out;
        // Without an answer it may take effect at any later time: it stays.
        let leave_out = entry.key() == *too_busy && *too_many > 0 && entry.has_ended();
        if leave_out {
            *too_many -= 1;
            key.left_out_until = key.left_out_until.max(entry.returned());
        }
        if key.kept && !leave_out {
            self.entries[thinning.write] = entry;
            thinning.write += 1;
        } else {
            key.entries -= 1;
        }
    }
}

impl Recorder {
    /// What the numbers of the history stand for.
    pub(super) fn told(&self) -> Told<'_> {
        let Self { strange, states, is_mixed, .. } = self;
        Told { strange, states, is_mixed: *is_mixed }
    }
}

impl Invoked {
    /// The times of an operation that ended at `returned`.
    const fn until(&self, returned: u64) -> Times {
        Times { due: self.due_ns, invoke: self.at_ns, returned }
    }
}

/// A request without an answer.
fn unanswered(invoked: Invoked, client: ClientId, number: RequestNumber, closing: bool) -> Entry {
    let times = invoked.until(NEVER);
    if number.is_read() {
        Entry::read(invoked.key, client, Value::ABSENT, times, closing)
    } else {
        let value = Value::written(client, number.index());
        Entry::write(invoked.key, (invoked.change, false), value, times)
    }
}

impl Key {
    fn contention(&self) -> (u64, u64) {
        (self.overlapping, self.entries)
    }
}
