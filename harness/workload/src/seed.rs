//! Seeds: one number decides everything that is drawn, and every stream has a generator of its own.
//!
//! A stream's seed is the run's seed folded with the stream's purpose, site and client; a run's seed is the workload's
//! folded with the point's text and the repetition. Folding is `s ← mix(s ⊕ part + γ)` with splitmix64's output function
//! and increment (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA'14). Generators are ChaCha8,
//! keyed with four successive splitmix64 outputs: both are fixed by their definitions, so a seed means the same stream
//! for ever. Turning words into choices is done here too, for the same reason.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

/// splitmix64's increment.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// What a stream is for. Streams of different purposes share nothing: a new one leaves the others as they were.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Commands = 1,
    Routing = 2,
    Arrivals = 3,
    Faults = 4,
    Kinds = 5,
}

/// splitmix64's output function.
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

const fn fold(seed: u64, part: u64) -> u64 {
    mix((seed ^ part).wrapping_add(GAMMA))
}

/// The seed of the run of a point: the same for every protocol, so that all are offered the same load.
pub(crate) fn run_seed(seed: u64, point: &str, repetition: u32) -> u64 {
    let text = point.bytes().fold(mix(seed), |folded, byte| fold(folded, u64::from(byte)));
    fold(text, u64::from(repetition))
}

/// The generator of one stream of a run.
pub(crate) fn generator(run_seed: u64, purpose: Purpose, site: usize, client: usize) -> ChaCha8Rng {
    let parts = [purpose as u64, site as u64, client as u64];
    let mut state = parts.into_iter().fold(run_seed, fold);
    let mut key = [0; 32];
    for chunk in key.chunks_exact_mut(8) {
        state = state.wrapping_add(GAMMA);
        chunk.copy_from_slice(&mix(state).to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// A yes with a given probability.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Chance {
    Never,
    /// Yes where a drawn word is below this.
    Below(u64),
    Always,
}

impl Chance {
    /// `probability` is within 0..=1; at both ends nothing is drawn.
    pub(crate) fn new(probability: f64) -> Self {
        const WORDS: f64 = 18_446_744_073_709_551_616.0;
        if probability <= 0.0 {
            return Self::Never;
        }
        if probability >= 1.0 {
            return Self::Always;
        }
        #[expect(clippy::cast_possible_truncation, reason = "below 2^64, as probability < 1")]
        Self::Below((probability * WORDS) as u64)
    }

    pub(crate) fn draw(self, rng: &mut ChaCha8Rng) -> bool {
        match self {
            Self::Never => false,
            Self::Below(threshold) => rng.next_u64() < threshold,
            Self::Always => true,
        }
    }
}

/// A number below `bound`, each as likely as another up to a bias of bound / 2^64.
pub(crate) fn below(rng: &mut ChaCha8Rng, bound: u64) -> u64 {
    let product = u128::from(rng.next_u64()) * u128::from(bound);
    (product >> 64) as u64
}

/// A number above 0 and at most 1, in steps of 2^−53.
pub(crate) fn unit(rng: &mut ChaCha8Rng) -> f64 {
    let steps = ((rng.next_u64() >> 11) + 1) as f64;
    steps / 9_007_199_254_740_992.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// splitmix64 from state 0, as its authors' reference gives it.
    #[test]
    fn mix_is_splitmix64() {
        assert_eq!(mix(GAMMA), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mix(GAMMA.wrapping_mul(2)), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn streams_differ_by_purpose_site_and_client() {
        let first = |purpose, site, client| generator(42, purpose, site, client).next_u64();
        let firsts = [
            first(Purpose::Commands, 0, 0),
            first(Purpose::Commands, 0, 1),
            first(Purpose::Commands, 1, 0),
            first(Purpose::Routing, 0, 0),
            first(Purpose::Arrivals, 0, 0),
            first(Purpose::Kinds, 0, 0),
        ];
        for (i, a) in firsts.iter().enumerate() {
            assert!(firsts[..i].iter().all(|b| a != b), "{firsts:?}");
        }
    }

    #[test]
    fn chances_at_the_ends_draw_nothing() {
        let mut rng = generator(1, Purpose::Commands, 0, 0);
        let untouched = rng.clone();
        assert!(!Chance::new(0.0).draw(&mut rng));
        assert!(Chance::new(1.0).draw(&mut rng));
        assert!(rng == untouched);
    }
}
