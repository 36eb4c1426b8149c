//! Values by number, each held once: states then consist of numbers, which are cheap to copy, to compare and to hash.

use std::{
    fmt,
    hash::{BuildHasher, Hash},
    sync::{
        Mutex, OnceLock, PoisonError, RwLock,
        atomic::{AtomicU32, Ordering},
    },
};

use rustc_hash::{FxBuildHasher, FxHashMap};
use smallvec::SmallVec;

/// The first chunk holds 2^6 values, every further one twice as many as the one before.
const FIRST_CHUNK_BITS: u32 = 6;
const CHUNKS: usize = 26;
/// chosen: far more than there are threads, so that two of them seldom meet.
const SHARDS: usize = 64;

/// A chunk, made when its first value comes.
type Chunk<T> = OnceLock<Box<[OnceLock<T>]>>;

/// A table that only grows. Reading takes no lock.
pub(crate) struct Table<T> {
    chunks: [Chunk<T>; CHUNKS],
    next: AtomicU32,
    /// The numbers of the values with a hash. Equality is what decides, so a collision costs a comparison.
    shards: Vec<Mutex<FxHashMap<u64, SmallVec<[u32; 2]>>>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            chunks: std::array::from_fn(|_| OnceLock::new()),
            next: AtomicU32::new(0),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }
}

impl<T> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a table of {} values", self.len())
    }
}

impl<T> Table<T> {
    /// How many different values there are.
    pub(crate) fn len(&self) -> usize {
        self.next.load(Ordering::Relaxed) as usize
    }

    /// The value with this number, which the table gave out.
    pub(crate) fn get(&self, number: u32) -> &T {
        let (chunk, offset) = place(number);
        let value = self.chunks[chunk].get().and_then(|chunk| chunk[offset].get());
        value.expect("numbers come from the table itself")
    }
}

impl<T: Eq + Hash> Table<T> {
    /// The number of `value`: the one it has, or a new one.
    pub(crate) fn intern(&self, value: T) -> u32 {
        let hash = FxBuildHasher.hash_one(&value);
        let shard = &self.shards[usize::try_from(hash >> 32).unwrap_or(0) % SHARDS];
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let numbers = shard.entry(hash).or_default();
        if let Some(number) = numbers.iter().find(|number| *self.get(**number) == value) {
            return *number;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (chunk, offset) = place(number);
        let length = 1 << (FIRST_CHUNK_BITS as usize + chunk);
        let chunk =
            self.chunks[chunk].get_or_init(|| (0..length).map(|_| OnceLock::new()).collect());
        assert!(chunk[offset].set(value).is_ok(), "every number is given out once");
        numbers.push(number);
        number
    }
}

/// Chunk and offset of a number.
fn place(number: u32) -> (usize, usize) {
    let from_first = u64::from(number) + (1 << FIRST_CHUNK_BITS);
    let bits = from_first.ilog2();
    let offset = from_first - (1 << bits);
    let offset = usize::try_from(offset).expect("tables fit into memory");
    ((bits - FIRST_CHUNK_BITS) as usize, offset)
}

/// What came of something once, so that it is not worked out again.
#[derive(Debug, Default)]
pub(crate) struct Memo(RwLock<FxHashMap<u64, u32>>);

impl Memo {
    /// What is remembered under `key`, worked out by `make` if nothing is. Two threads may work it out at once; the tables
    /// see to it that they come to the same number.
    pub(crate) fn get_or_make(&self, key: u64, make: impl FnOnce() -> u32) -> u32 {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
        if let Some(known) = known {
            return known;
        }
        let made = make();
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(key, made);
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_one_number_and_numbers_are_dense() {
        let table = Table::default();
        let numbers: Vec<u32> = (0..1000u64).map(|value| table.intern(value)).collect();
        assert_eq!(numbers, (0..1000).collect::<Vec<u32>>());
        assert!((0..1000u64).zip(&numbers).all(|(value, number)| table.intern(value) == *number));
        assert!(numbers.iter().all(|number| *table.get(*number) == u64::from(*number)));
        assert_eq!(table.len(), 1000);
    }

    #[test]
    fn threads_agree_on_numbers() {
        let table = Table::default();
        let of = |values: Vec<u64>| {
            let table = &table;
            move || values.into_iter().map(|value| (value, table.intern(value))).collect()
        };
        let (up, down): (Vec<_>, Vec<_>) = std::thread::scope(|scope| {
            let up = scope.spawn(of((0..5000).collect()));
            let down = scope.spawn(of((0..5000).rev().collect()));
            (up.join().unwrap(), down.join().unwrap())
        });
        assert!(up.iter().zip(down.iter().rev()).all(|(a, b)| a == b));
        assert_eq!(table.len(), 5000);
    }

    #[test]
    fn what_is_remembered_is_made_once() {
        let memo = Memo::default();
        assert_eq!(memo.get_or_make(7, || 1), 1);
        assert_eq!(memo.get_or_make(7, || unreachable!("it is known")), 1);
    }
}
