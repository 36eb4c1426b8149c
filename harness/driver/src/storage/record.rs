//! Records as they stand in a log, and how a log that was cut short is told from one that was damaged.
//!
//! A record is framed as `checksum u64 · length u32 · position u32 · sequence u32 · payload`, little endian. The checksum
//! covers what follows it and, through its seed, the whole sequence number and the incarnation, so that no record is ever
//! taken for another's or for one of another place. The position counts the records of one write: what is written together
//! is synced together, so that a record of a later write proves that an earlier one had reached the disk.

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::frame::append_value;

/// What precedes a payload.
pub const HEADER_BYTES: usize = 20;
/// Disks write sectors of this size as a whole, or multiples of it.
const SECTOR_BYTES: usize = 512;
/// Chosen: so many zeros in a row are taken for bytes that were never written; a shorter run may be part of a value.
const UNWRITTEN_BYTES_MIN: usize = 64;

/// Records of one write, encoded one behind the other.
#[derive(Debug)]
pub struct Frames {
    incarnation: u64,
    /// The number of the next record.
    next: u64,
    records: u32,
    bytes: Vec<u8>,
}

impl Frames {
    /// No records; the first will have the number `next`.
    pub const fn new(incarnation: u64, next: u64) -> Self {
        Self { incarnation, next, records: 0, bytes: Vec::new() }
    }

    /// Appends `record`.
    pub fn push<T: Serialize>(&mut self, record: &T) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; HEADER_BYTES]);
        append_value(&mut self.bytes, record);
        let length = self.bytes.len() - start - HEADER_BYTES;
        let length = u32::try_from(length).expect("a record is not much longer than a message");
        let frame = &mut self.bytes[start..];
        frame[8..12].copy_from_slice(&length.to_le_bytes());
        frame[12..16].copy_from_slice(&self.records.to_le_bytes());
        frame[16..20].copy_from_slice(&low_half(self.next).to_le_bytes());
        let checksum = checksum(&frame[8..], self.incarnation, self.next);
        frame[..8].copy_from_slice(&checksum.to_le_bytes());
        self.next += 1;
        self.records += 1;
    }

    /// Is there no record?
    pub const fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// The number of the next record.
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Takes the records out: their bytes and how many there are. The next one begins a write of its own.
    pub fn take(&mut self) -> (Vec<u8>, u32) {
        let room = Vec::with_capacity(self.bytes.len());
        (std::mem::replace(&mut self.bytes, room), std::mem::take(&mut self.records))
    }
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'b> {
    /// Which of its write it is, from 0.
    pub position: u32,
    /// What was recorded.
    pub payload: &'b [u8],
}

/// The record `sequence` at the start of `bytes`, if one is there whole and as it was written.
pub fn read(bytes: &[u8], incarnation: u64, sequence: u64) -> Option<Record<'_>> {
    let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let word = |at: usize| {
        u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    if word(16) != low_half(sequence) {
        return None;
    }
    let payload = rest.get(..word(8) as usize)?;
    let expected = bytes.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes))?;
    let covered = &bytes[8..HEADER_BYTES + payload.len()];
    (checksum(covered, incarnation, sequence) == expected)
        .then_some(Record { position: word(12), payload })
}

/// What stands behind the last record that is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Nothing.
    Empty,
    /// The beginning of a write that never came to its end: nothing relied on it.
    Torn,
    /// Something that was whole once.
    Damaged,
}

/// How far a log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Behind the last record that is whole.
    pub end: usize,
    /// The number of the record that would come next.
    pub next: u64,
    /// What stands there.
    pub rest: Rest,
}

/// Looks at every record of `bytes`, whose first is to be at `start` and has the number `first`.
pub fn extent(bytes: &[u8], start: usize, incarnation: u64, first: u64) -> Extent {
    let (mut end, mut next) = (start, first);
    while let Some(record) = read(&bytes[end..], incarnation, next) {
        end += HEADER_BYTES + record.payload.len();
        next += 1;
    }
    Extent { end, next, rest: rest_behind(bytes, end, incarnation, next) }
}

/// What stands behind `end`, where the record `missing` should be.
fn rest_behind(bytes: &[u8], end: usize, incarnation: u64, missing: u64) -> Rest {
    if end == bytes.len() {
        return Rest::Empty;
    }
    let mut behind = whole_behind(bytes, end, incarnation, missing).peekable();
    let Some((first, ..)) = behind.peek().copied() else { return Rest::Torn };
    // One of a later write proves that the missing record's write was whole once.
    let was_whole = behind
        .any(|(_, sequence, record)| sequence.saturating_sub(record.position.into()) > missing);
    if !was_whole && has_unwritten(bytes, end, first) { Rest::Torn } else { Rest::Damaged }
}

/// The records behind `end` that are whole, each with its place and its number; the record `missing` should be at `end`.
fn whole_behind(
    bytes: &[u8],
    end: usize,
    incarnation: u64,
    missing: u64,
) -> impl Iterator<Item = (usize, u64, Record<'_>)> {
    (end + 1..bytes.len().saturating_sub(HEADER_BYTES - 1)).filter_map(move |at| {
        let low = u32::from_le_bytes(*bytes[at + 16..].first_chunk()?);
        let ahead = low.wrapping_sub(low_half(missing));
        // A record takes no less room than its header: more cannot lie in between.
        if ahead as usize > (at - end) / HEADER_BYTES + 1 {
            return None;
        }
        let sequence = missing + u64::from(ahead);
        read(&bytes[at..], incarnation, sequence).map(|record| (at, sequence, record))
    })
}

/// Is there a sector, or a sector's part, between `start` and `end` that was never written? A file system shows such bytes
/// as zeros. A sector that was written and has rotted is hardly all zeros.
fn has_unwritten(bytes: &[u8], start: usize, end: usize) -> bool {
    let mut at = start;
    while at < end {
        let sector_end = ((at / SECTOR_BYTES + 1) * SECTOR_BYTES).min(end);
        let part = &bytes[at..sector_end];
        // At the start there should be a checksum: it is not zero.
        let enough = at == start || part.len() >= UNWRITTEN_BYTES_MIN;
        if enough && part.iter().all(|byte| *byte == 0) {
            return true;
        }
        at = sector_end;
    }
    false
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is asked for")]
const fn low_half(sequence: u64) -> u32 {
    sequence as u32
}

fn checksum(covered: &[u8], incarnation: u64, sequence: u64) -> u64 {
    xxh3_64_with_seed(covered, incarnation ^ sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INCARNATION: u64 = 0x1234_5678_9abc_def0;
    const FIRST: u64 = u32::MAX as u64 - 2;

    /// A log of three writes, and where each of its records begins.
    fn log() -> (Vec<u8>, Vec<usize>) {
        let mut frames = Frames::new(INCARNATION, FIRST);
        let (mut log, mut starts) = (Vec::new(), Vec::new());
        for write in [1..4, 4..5, 5..9_u8] {
            for record in write {
                starts.push(log.len() + frames.bytes.len());
                frames.push(&vec![record; usize::from(record) * 5]);
            }
            log.extend(frames.take().0);
        }
        (log, starts)
    }

    fn extent_of(log: &[u8]) -> Extent {
        extent(log, 0, INCARNATION, FIRST)
    }

    #[test]
    fn what_was_pushed_is_read_in_order() {
        let (log, starts) = log();
        let mut positions = Vec::new();
        for ((sequence, start), number) in (FIRST..).zip(&starts).zip(1..) {
            let record = read(&log[*start..], INCARNATION, sequence).unwrap();
            let payload: Vec<u8> = postcard::from_bytes(record.payload).unwrap();
            assert_eq!(payload, vec![number; usize::from(number) * 5]);
            positions.push(record.position);
            assert_eq!(read(&log[*start..], INCARNATION, sequence + 1), None, "another's place");
            assert_eq!(read(&log[*start..], INCARNATION + 1, sequence), None, "another's life");
        }
        assert_eq!(positions, [0, 1, 2, 0, 0, 1, 2, 3]);
        assert_eq!(extent_of(&log), Extent { end: log.len(), next: FIRST + 8, rest: Rest::Empty });
    }

    #[test]
    fn a_log_cut_at_any_byte_is_torn_behind_its_last_whole_record() {
        let (log, starts) = log();
        for length in 0..log.len() {
            let whole = starts.iter().filter(|start| **start <= length).count() - 1;
            let at_the_end = starts[whole] == length;
            let rest = if at_the_end { Rest::Empty } else { Rest::Torn };
            let next = FIRST + whole as u64;
            assert_eq!(extent_of(&log[..length]), Extent { end: starts[whole], next, rest });
        }
    }

    #[test]
    fn a_flipped_bit_is_damage_wherever_a_record_follows_and_ends_the_log_in_the_last() {
        let (log, starts) = log();
        let last = *starts.last().unwrap();
        for bit in 0..log.len() * 8 {
            let mut flipped = log.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let hit = starts.iter().filter(|start| **start <= bit / 8).count() - 1;
            let rest = if starts[hit] == last { Rest::Torn } else { Rest::Damaged };
            let expected = Extent { end: starts[hit], next: FIRST + hit as u64, rest };
            assert_eq!(extent_of(&flipped), expected, "bit {bit}");
        }
    }

    #[test]
    fn a_hole_in_the_last_write_is_torn_and_in_an_earlier_one_damage() {
        let mut frames = Frames::new(INCARNATION, FIRST);
        let mut write = |sizes: &[usize]| {
            sizes.iter().for_each(|size| frames.push(&vec![7_u8; *size]));
            frames.take().0
        };
        let first = write(&[100, 2_000, 2_000, 100]);
        let hole = |log: &mut Vec<u8>, sector: usize| {
            log[sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES].fill(0);
        };
        let mut log = first.clone();
        hole(&mut log, 2);
        assert_eq!(extent_of(&log).rest, Rest::Torn);
        log.extend(write(&[100]));
        assert_eq!(extent_of(&log).rest, Rest::Damaged, "the later write proves the sync");
        // Not a sector of zeros, but something else: no write leaves that.
        let mut log = first;
        log[2 * SECTOR_BYTES..3 * SECTOR_BYTES].fill(9);
        assert_eq!(extent_of(&log).rest, Rest::Damaged);
    }
}
