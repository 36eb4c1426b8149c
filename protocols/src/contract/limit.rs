//! The limits that a core has chosen for itself: how far ahead it looks, how much it keeps for
//! later, how much it does at once.
//!
//! They are far above what a short run reaches, so that what lies beyond them would never be tried.
//! A simulation draws smaller ones: with [`Config::limits_seed`](crate::Config::limits_seed) each
//! limit is of a magnitude of its own between its least and what was chosen.

use crate::config::Config;

/// A limit of a core.
///
/// Every replica of a cluster has the same, as it has the same [`Config`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// A hash of its name, so that each limit is drawn apart from the others.
    name: u64,
    least: u64,
    chosen: u64,
}

impl Limit {
    /// The limit of this name, which is `chosen` where nothing else is asked for, and `least` at
    /// least.
    ///
    /// # Panics
    /// If `least` is 0 or above `chosen`.
    pub const fn new(name: &str, least: u64, chosen: u64) -> Self {
        assert!(0 < least && least <= chosen, "a limit is at least 1, and at most what was chosen");
        Self { name: hash(name), least, chosen }
    }

    /// What a core with this configuration keeps to.
    pub const fn of(self, config: &Config) -> u64 {
        if config.limits_seed == 0 {
            return self.chosen;
        }
        // Each doubling from the least on is as likely.
        let drawn = mix(config.limits_seed ^ self.name);
        let doublings = (self.chosen / self.least).ilog2() as u64 + 1;
        let base = self.least << ((drawn >> 32) % doublings);
        let limit = base + (drawn & 0xffff_ffff) % base;
        if limit < self.chosen { limit } else { self.chosen }
    }

    /// The same of things that are counted in memory.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "chosen limits fit into every address space"
    )]
    pub const fn count(self, config: &Config) -> usize {
        self.of(config) as usize
    }
}

/// FNV-1a.
const fn hash(name: &str) -> u64 {
    let (bytes, mut at, mut hash) = (name.as_bytes(), 0, 0xcbf2_9ce4_8422_2325u64);
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}

/// The finaliser of `SplitMix64`.
const fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AHEAD: Limit = Limit::new("ahead", 4, 1 << 17);
    const WINDOW: Limit = Limit::new("window", 1, 64);

    fn config(limits_seed: u64) -> Config {
        Config { limits_seed, ..Config::new(3) }
    }

    #[test]
    fn a_limit_is_as_chosen_unless_smaller_ones_are_asked_for() {
        assert_eq!((AHEAD.of(&config(0)), WINDOW.count(&config(0))), (1 << 17, 64));
    }

    #[test]
    fn drawn_limits_are_of_every_magnitude_and_of_each_other_independent() {
        let (mut magnitudes, mut differ) = ([0; 18], 0);
        for seed in 1..=4_000 {
            let (ahead, window) = (AHEAD.of(&config(seed)), WINDOW.of(&config(seed)));
            assert!((4..=1 << 17).contains(&ahead) && (1..=64).contains(&window), "seed {seed}");
            assert_eq!(ahead, AHEAD.of(&config(seed)), "seed {seed}");
            magnitudes[ahead.ilog2() as usize] += 1;
            differ += u32::from((ahead < 724) != (window < 8));
        }
        assert!(magnitudes[2..].iter().all(|often| *often > 150), "{magnitudes:?}");
        assert!((1_500..2_500).contains(&differ), "{differ}");
    }
}
