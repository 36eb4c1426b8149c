//! A map from key hashes that a core may hold: equal and hashable by content, never iterated on a path that decides
//! anything.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{BuildHasherDefault, Hash, Hasher},
};

use rustc_hash::FxHasher;
use xxhash_rust::xxh3::xxh3_64;

/// A key's name inside the cores: 64 bits of XXH3. Two keys with one hash conflict, which costs order between them and
/// nothing else, because every replica computes the same.
pub type KeyHash = u64;

/// The hash under which the cores know `key`.
pub fn key_hash(key: &[u8]) -> KeyHash {
    xxh3_64(key)
}

/// Hashes a [`KeyHash`] to itself: it is uniform already.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only whole words are hashed with KeyHasher");
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }
}

/// chosen: room for so many pairs is kept, whatever there is in the map.
const ROOM_KEPT: usize = 1 << 12;

/// A map keyed by [`KeyHash`].
#[derive(Clone, Debug)]
pub struct KeyMap<V>(HashMap<KeyHash, V, BuildHasherDefault<KeyHasher>>);

impl<V> Default for KeyMap<V> {
    fn default() -> Self {
        Self(HashMap::default())
    }
}

impl<V> KeyMap<V> {
    /// The value under `key`.
    pub fn get(&self, key: KeyHash) -> Option<&V> {
        self.0.get(&key)
    }

    /// The value under `key`, to be changed.
    pub fn get_mut(&mut self, key: KeyHash) -> Option<&mut V> {
        self.0.get_mut(&key)
    }

    /// The value under `key`, made by `default` if there is none.
    pub fn get_or_insert_with(&mut self, key: KeyHash, default: impl FnOnce() -> V) -> &mut V {
        match self.0.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(default()),
        }
    }

    /// Puts `value` under `key`.
    pub fn insert(&mut self, key: KeyHash, value: V) {
        self.0.insert(key, value);
    }

    /// Removes what is under `key`.
    pub fn remove(&mut self, key: KeyHash) -> Option<V> {
        self.0.remove(&key)
    }

    /// Removes every pair whose value is none to keep, and gives back the room of those that go.
    pub fn retain(&mut self, keeps: impl Fn(&V) -> bool) {
        self.0.retain(|_, value| keeps(value));
        let (len, capacity) = (self.0.len(), self.0.capacity());
        if capacity > ROOM_KEPT && len < capacity / 8 {
            self.0.shrink_to((2 * len).max(ROOM_KEPT));
        }
    }

    /// How many keys have a value.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Has no key a value?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every pair, in ascending order of the hash, so that what is written out of it is the same everywhere.
    pub fn sorted(&self) -> Vec<(KeyHash, &V)> {
        let mut pairs: Vec<_> = self.0.iter().map(|(key, value)| (*key, value)).collect();
        pairs.sort_unstable_by_key(|(key, _)| *key);
        pairs
    }
}

impl<V: PartialEq> PartialEq for KeyMap<V> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<V: Eq> Eq for KeyMap<V> {}

impl<V: Hash> Hash for KeyMap<V> {
    /// The sum of the pairs' hashes: the same in whatever order they lie.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let sum = self.0.iter().fold(0u64, |sum, pair| {
            let mut hasher = FxHasher::default();
            pair.hash(&mut hasher);
            sum.wrapping_add(hasher.finish())
        });
        state.write_usize(self.0.len());
        state.write_u64(sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_of(map: &KeyMap<u32>) -> u64 {
        let mut hasher = FxHasher::default();
        map.hash(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn what_is_retained_is_what_was_there_and_room_is_given_back() {
        let mut map = KeyMap::default();
        (0..100_000u32).for_each(|value| map.insert(key_hash(&value.to_le_bytes()), value));
        map.retain(|value| *value % 1_000 == 7);
        let mut kept: Vec<u32> = map.sorted().into_iter().map(|(_, value)| *value).collect();
        kept.sort_unstable();
        assert!(kept.iter().copied().eq((0..100).map(|thousand| 1_000 * thousand + 7)));
        assert!(map.0.capacity() <= 2 * ROOM_KEPT, "{}", map.0.capacity());
    }

    #[test]
    fn equal_content_hashes_equal_in_whatever_order_it_came() {
        let (mut a, mut b) = (KeyMap::default(), KeyMap::default());
        let keys: Vec<KeyHash> = (0..1000u32).map(|k| key_hash(&k.to_le_bytes())).collect();
        for (i, key) in keys.iter().enumerate() {
            a.insert(*key, u32::try_from(i).unwrap());
        }
        for (i, key) in keys.iter().enumerate().rev() {
            b.insert(*key, u32::try_from(i).unwrap());
        }
        assert_eq!(a, b);
        assert_eq!(hash_of(&a), hash_of(&b));
        assert_eq!(a.sorted(), b.sorted());
        b.insert(keys[0], 7);
        assert_ne!(hash_of(&a), hash_of(&b));
    }
}
