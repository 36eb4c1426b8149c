//! Mangling: from a true input to one that is nearly true.

use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;

/// Chosen: of one input at most so many mutations at once; more leave nothing of it.
const MUTATIONS_MAX: usize = 6;
/// Chosen: inputs do not grow beyond this, so that a case takes microseconds.
const INPUT_BYTES_MAX: usize = 1 << 16;
/// Chosen: long enough to make a parser that calls itself run out of stack, if it does not count.
const REPEATS_MAX: usize = 1 << 14;

/// Runs of bytes at which decoders stumble: the largest numbers of every encoding, and texts that are nearly numbers.
const AWKWARD: [&[u8]; 16] = [
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff; 8],
    &[0; 8],
    &[0x80],
    &[0xc3, 0x28],
    b"18446744073709551616",
    b"-1",
    b"-9223372036854775808",
    b"1e309",
    b"nan",
    b"0.1",
    b"[",
    b"{\"hex\":\"f\"}",
    b"\"",
    b"\n",
];

/// One of `corpus`, mangled; now and then bytes out of nothing.
pub fn mutated(corpus: &[Vec<u8>], random: &mut ChaCha8Rng) -> Vec<u8> {
    if corpus.is_empty() || random.random_ratio(1, 64) {
        let mut bytes = vec![0; random.random_range(0..256)];
        random.fill_bytes(&mut bytes);
        return bytes;
    }
    let mut bytes = corpus[random.random_range(0..corpus.len())].clone();
    for _ in 0..random.random_range(1..=MUTATIONS_MAX) {
        mutate(&mut bytes, corpus, random);
    }
    bytes.truncate(INPUT_BYTES_MAX);
    bytes
}

fn mutate(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut ChaCha8Rng) {
    let at = random.random_range(0..=bytes.len());
    let length = random.random_range(0..=(bytes.len() - at).min(32));
    match random.random_range(0..9u32) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8u32),
        1 if at < bytes.len() => bytes[at] = random.random(),
        2 => drop(bytes.drain(at..at + length)),
        3 => {
            let copy = bytes[at..at + length].to_vec();
            let to = random.random_range(0..=bytes.len());
            bytes.splice(to..to, copy);
        }
        4 => bytes.truncate(at),
        5 => {
            let awkward = AWKWARD[random.random_range(0..AWKWARD.len())];
            bytes.splice(at..at + length, awkward.iter().copied());
        }
        6 => {
            let other = &corpus[random.random_range(0..corpus.len())];
            let from = random.random_range(0..=other.len());
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
        7 if random.random_ratio(1, 16) => {
            let part = bytes[at..at + length.min(4)].to_vec();
            let repeats = random.random_range(0..=REPEATS_MAX);
            bytes.splice(at..at, part.repeat(repeats));
        }
        _ => {
            let mut more = vec![0; random.random_range(0..8)];
            random.fill_bytes(&mut more);
            bytes.splice(at..at, more);
        }
    }
}
