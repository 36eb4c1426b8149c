//! Logs as they stand on a disk, which writes sectors: every sector says whether it was written.
//!
//! The bytes of a log are a *stream*. In the file the last byte of every sector is a [`STAMP`] that
//! is no part of the stream. A write of the log ends with a stamp, too. So each part of it that
//! lies in one sector ends with a byte that is not zero, and a part that was never written, which a
//! file system shows as zeros, is told from any other, whatever was recorded there. No three
//! flipped bits turn the one into the other.

/// Disks write sectors of this size as a whole, or multiples of it.
pub(super) const SECTOR_BYTES: usize = 512;
/// What a sector holds of a stream.
const CONTENT_BYTES: usize = SECTOR_BYTES - 1;
/// Ends every sector and every write: half of its bits are set.
pub(super) const STAMP: u8 = 0xa5;

/// Where in the file the byte `at` of the stream stands; also how long the file is once so many
/// bytes were written.
pub const fn place(at: usize) -> usize {
    at + at / CONTENT_BYTES
}

/// `bytes`, which begin at `at` in the stream, as they stand in the file.
pub fn stamped(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut written = Vec::with_capacity(place(at + bytes.len()) - place(at));
    let (first, rest) = bytes.split_at(bytes.len().min(CONTENT_BYTES - at % CONTENT_BYTES));
    let mut end = at;
    for content in std::iter::once(first).chain(rest.chunks(CONTENT_BYTES)) {
        written.extend_from_slice(content);
        end += content.len();
        if end.is_multiple_of(CONTENT_BYTES) && !content.is_empty() {
            written.push(STAMP);
        }
    }
    written
}

/// The stream that a file holds, whatever its stamps are.
pub fn unstamped(file: &[u8]) -> Vec<u8> {
    let mut stream = Vec::with_capacity(file.len());
    for sector in file.chunks(SECTOR_BYTES) {
        stream.extend_from_slice(&sector[..sector.len().min(CONTENT_BYTES)]);
    }
    stream
}

/// Do all sectors that end within the bytes `start..end` of the stream end with a stamp?
pub(super) fn has_stamps(file: &[u8], start: usize, end: usize) -> bool {
    let sectors = start / CONTENT_BYTES..end / CONTENT_BYTES;
    sectors
        .into_iter()
        .all(|sector| file.get(place(sector * CONTENT_BYTES) + CONTENT_BYTES) == Some(&STAMP))
}

/// Is there a sector's part within `start..end` of the file that was never written?
pub(super) fn has_unwritten(file: &[u8], start: usize, end: usize) -> bool {
    let mut at = start;
    while at < end {
        let part_end = ((at / SECTOR_BYTES + 1) * SECTOR_BYTES).min(end);
        if file[at..part_end].iter().all(|byte| *byte == 0) {
            return true;
        }
        at = part_end;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_written_in_any_two_pieces_is_read_back_and_every_sector_ends_with_a_stamp() {
        let stream: Vec<u8> = (0..2_000_u32).map(|at| (at % 251) as u8).collect();
        let whole = stamped(0, &stream);
        for cut in 0..=stream.len() {
            let mut file = stamped(0, &stream[..cut]);
            assert_eq!(file.len(), place(cut));
            file.extend(stamped(cut, &stream[cut..]));
            assert_eq!(file, whole, "cut at {cut}");
        }
        assert_eq!(unstamped(&whole), stream);
        assert_eq!(whole.len(), place(stream.len()));
        assert!(whole.chunks_exact(SECTOR_BYTES).all(|sector| sector.last() == Some(&STAMP)));
        for at in 0..stream.len() {
            assert_eq!(whole[place(at)], stream[at]);
        }
    }

    #[test]
    fn a_stamp_belongs_to_the_write_that_fills_its_sector() {
        let mut file = stamped(0, &[1; 3 * CONTENT_BYTES + 4]);
        assert!(has_stamps(&file, 0, 3 * CONTENT_BYTES + 4));
        file[2 * SECTOR_BYTES - 1] ^= 1;
        assert!(has_stamps(&file, 0, 2 * CONTENT_BYTES - 1));
        assert!(!has_stamps(&file, 0, 2 * CONTENT_BYTES));
        assert!(!has_stamps(&file, 2 * CONTENT_BYTES - 1, 2 * CONTENT_BYTES));
        assert!(has_stamps(&file, 2 * CONTENT_BYTES, 3 * CONTENT_BYTES + 4));
        assert!(!has_stamps(&file[..3 * SECTOR_BYTES - 1], 2 * CONTENT_BYTES, 3 * CONTENT_BYTES));
    }

    #[test]
    fn a_part_of_zeros_was_never_written_however_short_it_is() {
        let file = stamped(0, &[0; 2 * CONTENT_BYTES]);
        assert!(!has_unwritten(&file, 0, file.len()), "zeros that were written are under a stamp");
        assert!(has_unwritten(&file, 0, SECTOR_BYTES - 1));
        assert!(has_unwritten(&file, 500, SECTOR_BYTES + 1), "one byte of the second sector");
        assert!(!has_unwritten(&file, 7, 7));
    }
}
