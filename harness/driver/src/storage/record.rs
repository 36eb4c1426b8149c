//! Records as they stand in a log, and how a write that was cut short is told from one that was
//! damaged.
//!
//! Records that are written together are one *write*. In the stream of a log it stands as `sum of
//! the head u64 · sum of the body u64 · sequence u32 · length of the body u32 · body · stamp u8`,
//! little endian; the body is `length u32 · payload` for each record. The sum of the head covers
//! the rest of the head. The sequence is the lower half of the number of the first record. The seed
//! of both sums is the incarnation and that whole number, so that no write is ever taken for
//! another's or for one of another place.
//!
//! A write begins only after the one before has been synced. So all that a crash can leave is a
//! last write of which any sectors are missing, and whose file may be too short for it; a process
//! that was killed leaves a first part of it. That is *torn*. Everything else that is not whole was
//! whole once: it is *damaged*. (A log that is not synced survives no power cut. What one leaves of
//! it may well be called damaged.) Four things tell the two apart, and a flipped bit turns none of
//! them into another:
//!
//! * A head says how long its write is, and has a sum of its own.
//! * A file that goes on behind a write, or has the head of a later one, proves that this write had
//!   been synced.
//! * A file that is too short for its last write proves that this write never came to its end.
//! * A sector's part that was never written is all zeros, and no other is: it ends with a stamp.

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::sector::{SECTOR_BYTES, STAMP, has_stamps, has_unwritten};
pub use super::sector::{place, stamped, unstamped};
use crate::encode::append_value;

/// What precedes the body of a write.
const HEAD_BYTES: usize = 24;
/// What precedes a payload.
const LENGTH_BYTES: usize = 4;

/// Records of one write, encoded one behind the other.
#[derive(Debug)]
pub struct Frames {
    incarnation: u64,
    /// The number of the next record.
    next: u64,
    records: u32,
    /// Room for the head, and the body so far; nothing, if there is no record.
    bytes: Vec<u8>,
}

impl Frames {
    /// No records; the first will have the number `next`.
    pub const fn new(incarnation: u64, next: u64) -> Self {
        Self { incarnation, next, records: 0, bytes: Vec::new() }
    }

    /// Appends `record`.
    pub fn push<T: Serialize>(&mut self, record: &T) {
        if self.records == 0 {
            self.bytes.resize(HEAD_BYTES, 0);
        }
        let start = self.bytes.len() + LENGTH_BYTES;
        self.bytes.extend_from_slice(&[0; LENGTH_BYTES]);
        append_value(&mut self.bytes, record);
        let length = length_word(self.bytes.len() - start);
        self.bytes[start - LENGTH_BYTES..start].copy_from_slice(&length);
        self.next += 1;
        self.records += 1;
    }

    /// Gives every record of this write, and the next one, a number that is higher by one. Files
    /// are named by such numbers: a snapshot and the log behind it must not take the place of the
    /// files that count until both are there, which have the same number if nothing was recorded
    /// since.
    pub const fn leave_out_a_number(&mut self) {
        self.next += 1;
    }

    /// Is there no record?
    pub const fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// The number of the next record.
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Takes the write out: its bytes and how many records it has, none of both if there are none.
    /// The next record begins a write of its own.
    pub fn take(&mut self) -> (Vec<u8>, u32) {
        if self.records == 0 {
            return (Vec::new(), 0);
        }
        let first = self.next - u64::from(self.records);
        let seed = seed(self.incarnation, first);
        let (head, body) = self.bytes.split_at_mut(HEAD_BYTES);
        head[8..16].copy_from_slice(&xxh3_64_with_seed(body, seed).to_le_bytes());
        head[16..20].copy_from_slice(&low_half(first).to_le_bytes());
        head[20..].copy_from_slice(&length_word(body.len()));
        let sum = xxh3_64_with_seed(&head[8..], seed);
        head[..8].copy_from_slice(&sum.to_le_bytes());
        self.bytes.push(STAMP);
        let room = Vec::with_capacity(self.bytes.len());
        (std::mem::replace(&mut self.bytes, room), std::mem::take(&mut self.records))
    }
}

fn length_word(length: usize) -> [u8; LENGTH_BYTES] {
    u32::try_from(length).expect("what one drain records is far below 4 GiB").to_le_bytes()
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is asked for")]
const fn low_half(number: u64) -> u32 {
    number as u32
}

fn seed(incarnation: u64, first: u64) -> u64 {
    incarnation ^ first.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// What is said of a write before it.
#[derive(Clone, Copy)]
struct Head {
    body_sum: u64,
    body_bytes: usize,
}

impl Head {
    /// The head at the start of `bytes`, if it is there as it was written and the first record is
    /// number `first`.
    fn read(bytes: &[u8], incarnation: u64, first: u64) -> Option<Self> {
        let head = bytes.first_chunk::<HEAD_BYTES>()?;
        let (sum, covered) = head.split_first_chunk::<8>()?;
        let (body_sum, rest) = covered.split_first_chunk::<8>()?;
        let (sequence, length) = rest.split_first_chunk::<4>()?;
        let is_it = u32::from_le_bytes(*sequence) == low_half(first)
            && xxh3_64_with_seed(covered, seed(incarnation, first)) == u64::from_le_bytes(*sum);
        let body_bytes = length_at(length)?;
        is_it.then(|| Self { body_sum: u64::from_le_bytes(*body_sum), body_bytes })
    }

    /// How long the write is with everything.
    const fn write_bytes(self) -> usize {
        HEAD_BYTES + self.body_bytes + 1
    }
}

fn length_at(bytes: &[u8]) -> Option<usize> {
    Some(u32::from_le_bytes(*bytes.first_chunk()?) as usize)
}

/// A write that is there whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    /// How much of the stream it takes.
    pub bytes: usize,
    /// How many records it has.
    pub records: u64,
}

/// The write at the start of `stream` whose first record is number `first`, if it is there whole
/// and as it was written.
pub fn read(stream: &[u8], incarnation: u64, first: u64) -> Option<Write> {
    let head = Head::read(stream, incarnation, first)?;
    let (body, end) = stream.get(HEAD_BYTES..head.write_bytes())?.split_at(head.body_bytes);
    if end != [STAMP] || xxh3_64_with_seed(body, seed(incarnation, first)) != head.body_sum {
        return None;
    }
    let (mut at, mut records) = (0, 0);
    while at < body.len() {
        at += LENGTH_BYTES + length_at(&body[at..])?;
        records += 1;
    }
    (at == body.len() && records > 0).then_some(Write { bytes: head.write_bytes(), records })
}

/// The payloads of the records of writes that are whole, each with its place in them.
#[derive(Clone, Copy, Debug)]
pub struct Payloads<'s> {
    writes: &'s [u8],
    at: usize,
    /// Where the body ends that `at` is in; the same place between two writes.
    body_end: usize,
}

impl<'s> Payloads<'s> {
    /// Of the writes that `writes` consists of.
    pub const fn new(writes: &'s [u8]) -> Self {
        Self { writes, at: 0, body_end: 0 }
    }
}

impl<'s> Iterator for Payloads<'s> {
    type Item = (usize, &'s [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.at == self.body_end {
            let body_bytes = length_at(self.writes.get(self.at + HEAD_BYTES - LENGTH_BYTES..)?)?;
            self.at += HEAD_BYTES;
            self.body_end = self.at + body_bytes;
        }
        let at = self.at;
        let start = at + LENGTH_BYTES;
        let payload = self.writes.get(start..start + length_at(self.writes.get(at..)?)?)?;
        self.at = start + payload.len();
        if self.at == self.body_end {
            // The stamp of the write.
            self.at += 1;
            self.body_end += 1;
        }
        Some((at, payload))
    }
}

/// What stands behind the last write that is whole.
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
    /// Behind the last write that is whole, in the stream.
    pub end: usize,
    /// The number of the record that would come next.
    pub next: u64,
    /// What stands there.
    pub rest: Rest,
}

/// Looks at every write of `file`, whose [`unstamped`] bytes are `stream`. The first is to be at
/// `start` of the stream, and its first record has the number `first`.
pub fn extent(file: &[u8], stream: &[u8], start: usize, incarnation: u64, first: u64) -> Extent {
    let (mut end, mut next) = (start, first);
    while let Some(write) = read(&stream[end..], incarnation, next) {
        if !has_stamps(file, end, end + write.bytes) {
            break;
        }
        end += write.bytes;
        next += write.records;
    }
    Extent { end, next, rest: rest_behind(file, stream, end, incarnation, next) }
}

/// What stands behind `end` of the stream, where the write should be that begins with record
/// `missing`.
fn rest_behind(file: &[u8], stream: &[u8], end: usize, incarnation: u64, missing: u64) -> Rest {
    let start = place(end);
    if start == file.len() {
        return Rest::Empty;
    }
    let (write_end, looked_at_end, went_on) =
        if let Some(head) = Head::read(&stream[end..], incarnation, missing) {
            let write_end = place(end + head.write_bytes());
            (write_end, write_end, write_end < file.len())
        } else {
            // How long the write is is not known. The parts in which its head stands tell enough,
            // up to the stamp that ends each of them: there, or before it, the write's own.
            let head_end = place(end + HEAD_BYTES);
            let looked_at_end = head_end.next_multiple_of(SECTOR_BYTES).min(file.len());
            (head_end, looked_at_end, has_head_behind(stream, end, incarnation, missing))
        };
    let is_torn = write_end > file.len() || has_unwritten(file, start, looked_at_end);
    if is_torn && !went_on { Rest::Torn } else { Rest::Damaged }
}

/// Is there the head of a later write behind `end` of the stream, where the one should be that
/// begins with record `missing`?
fn has_head_behind(stream: &[u8], end: usize, incarnation: u64, missing: u64) -> bool {
    (end + 1..stream.len().saturating_sub(HEAD_BYTES - 1)).any(|at| {
        let Some(low) = stream.get(at + 16..).and_then(|bytes| bytes.first_chunk()) else {
            return false;
        };
        let ahead = u32::from_le_bytes(*low).wrapping_sub(low_half(missing));
        // A record takes no less room than its length: more cannot lie in between.
        ahead as usize <= (at - end) / LENGTH_BYTES
            && Head::read(&stream[at..], incarnation, missing + u64::from(ahead)).is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INCARNATION: u64 = 0x1234_5678_9abc_def0;
    const FIRST: u64 = u32::MAX as u64 - 2;
    /// Four writes, by what is recorded in each: values that are mostly zeros, within a sector,
    /// over several, and of one bit.
    const WRITES: [&[usize]; 4] = [&[5, 10, 15], &[700, 0, 1_100], &[20], &[430, 1, 505, 40]];

    fn value(bytes: usize) -> Vec<u8> {
        let mut value = vec![0; bytes];
        if let Some(last) = value.last_mut() {
            *last = 1;
        }
        value
    }

    /// The file of the writes, and where each of them ends.
    fn log() -> (Vec<u8>, Vec<usize>) {
        let mut frames = Frames::new(INCARNATION, FIRST);
        let (mut stream, mut ends) = (Vec::new(), vec![0]);
        for write in WRITES {
            write.iter().for_each(|bytes| frames.push(&value(*bytes)));
            let (bytes, records) = frames.take();
            assert_eq!(records as usize, write.len());
            stream.extend(bytes);
            ends.push(stream.len());
        }
        (stamped(0, &stream), ends)
    }

    fn extent_of(file: &[u8]) -> Extent {
        extent(file, &unstamped(file), 0, INCARNATION, FIRST)
    }

    /// What is found of a log whose first `writes` writes are whole.
    fn found(writes: usize, ends: &[usize], rest: Rest) -> Extent {
        let records: usize = WRITES[..writes].iter().map(|write| write.len()).sum();
        Extent { end: ends[writes], next: FIRST + records as u64, rest }
    }

    #[test]
    fn what_was_pushed_is_read_in_order() {
        let (file, ends) = log();
        let stream = unstamped(&file);
        let values = Payloads::new(&stream)
            .map(|(_, payload)| postcard::from_bytes::<Vec<u8>>(payload).unwrap());
        let expected: Vec<_> = WRITES.concat().into_iter().map(value).collect();
        assert_eq!(values.collect::<Vec<_>>(), expected);
        assert_eq!(extent_of(&file), found(4, &ends, Rest::Empty));
        assert!(read(&stream, INCARNATION, FIRST).is_some());
        assert_eq!(read(&stream, INCARNATION, FIRST + 1), None, "another's place");
        assert_eq!(read(&stream, INCARNATION + 1, FIRST), None, "another's life");
        assert_eq!(Frames::new(INCARNATION, FIRST).take(), (Vec::new(), 0));
    }

    #[test]
    fn a_log_cut_at_any_byte_is_torn_behind_its_last_whole_write() {
        let (file, ends) = log();
        for length in 0..file.len() {
            let whole = ends.iter().filter(|end| place(**end) <= length).count() - 1;
            let rest = if place(ends[whole]) == length { Rest::Empty } else { Rest::Torn };
            assert_eq!(extent_of(&file[..length]), found(whole, &ends, rest), "{length} bytes");
        }
    }

    #[test]
    fn a_flipped_bit_is_damage_in_the_last_write_too() {
        let (file, ends) = log();
        for bit in 0..file.len() * 8 {
            let mut flipped = file.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let hit = ends.iter().filter(|end| place(**end) <= bit / 8).count() - 1;
            assert_eq!(extent_of(&flipped), found(hit, &ends, Rest::Damaged), "bit {bit}");
        }
    }

    /// Wherever the last write stands in its sectors, its head over two of them, too.
    #[test]
    fn a_short_last_write_is_told_from_a_torn_one_at_every_place() {
        for before in 400..530 {
            let mut frames = Frames::new(INCARNATION, FIRST);
            frames.push(&value(before));
            let mut stream = frames.take().0;
            let end = stream.len();
            frames.push(&value(2));
            stream.extend(frames.take().0);
            let file = stamped(0, &stream);
            let found = |rest| Extent { end, next: FIRST + 1, rest };
            for bit in place(end) * 8..file.len() * 8 {
                let mut flipped = file.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(extent_of(&flipped), found(Rest::Damaged), "{before}, bit {bit}");
            }
            for sector in place(end) / SECTOR_BYTES..file.len().div_ceil(SECTOR_BYTES) {
                let mut left = file.clone();
                let part_end = ((sector + 1) * SECTOR_BYTES).min(file.len());
                left[(sector * SECTOR_BYTES).max(place(end))..part_end].fill(0);
                assert_eq!(extent_of(&left), found(Rest::Torn), "{before}, sector {sector}");
            }
        }
    }

    /// A crash leaves any of the sectors of the last write, and the file at any length.
    #[test]
    fn a_last_write_that_lacks_any_of_its_sectors_is_torn_and_one_before_it_is_damaged() {
        let (file, ends) = log();
        for (write, start) in ends[..WRITES.len()].iter().enumerate() {
            let (start, end) = (place(*start), place(ends[write + 1]));
            let sectors: Vec<usize> = (start / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES)).collect();
            for missing in 1..1_u32 << sectors.len() {
                let mut left = file.clone();
                for (bit, sector) in sectors.iter().enumerate() {
                    let part =
                        (sector * SECTOR_BYTES).max(start)..((sector + 1) * SECTOR_BYTES).min(end);
                    if missing & 1 << bit != 0 {
                        left[part].fill(0);
                    }
                }
                for length in [end, end - 1, start + 1] {
                    let torn = found(write, &ends, Rest::Torn);
                    assert_eq!(extent_of(&left[..length]), torn, "{missing:b} of write {write}");
                }
                if write + 1 < WRITES.len() {
                    let damaged = found(write, &ends, Rest::Damaged);
                    assert_eq!(extent_of(&left), damaged, "{missing:b} of write {write}");
                    let head = &unstamped(&left)[ends[write]..];
                    if Head::read(head, INCARNATION, damaged.next).is_some() {
                        assert_eq!(extent_of(&left[..=end]), damaged, "{missing:b} of {write}");
                    }
                }
            }
        }
    }

    #[test]
    fn bytes_that_no_write_leaves_are_damage() {
        let (file, ends) = log();
        let mut left = file.clone();
        let last = place(ends[3]);
        left[last + 30..last + 300].fill(9);
        assert_eq!(extent_of(&left), found(3, &ends, Rest::Damaged));
    }
}
