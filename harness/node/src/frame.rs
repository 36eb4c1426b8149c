//! Frames: a length of four bytes, little endian, and that many bytes. The one unit on every stream.
//!
//! A reader keeps one buffer per stream, reads whatever has arrived straight into it, and takes whole frames out without
//! copying them. The buffer grows with the bytes that came, never with a length that a sender merely claims.

use std::fmt;

use driver::encode::append_value;
use serde::{Serialize, de::DeserializeOwned};

/// The longest frame, without its length. Above every limit on batches and pieces of the protocols.
pub const FRAME_BYTES_MAX: usize = 16 << 20;
/// The length in front of a frame.
pub const HEADER_BYTES: usize = 4;
/// Chosen: the bytes of about a hundred packets, so that a backlog is read in few calls.
const READ_BYTES: usize = 128 << 10;
/// Chosen: a buffer of a stream that grew beyond this is given back once it is empty.
pub(crate) const EMPTY_BUFFER_BYTES_MAX: usize = 1 << 20;

/// A frame's length that is beyond its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameTooLong {
    /// The length.
    pub length: usize,
    /// The limit: [`FRAME_BYTES_MAX`] or less.
    pub limit: usize,
}

impl fmt::Display for FrameTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "frame of {} bytes: at most {}", self.length, self.limit)
    }
}

impl std::error::Error for FrameTooLong {}

/// The bytes received on one stream that are not taken yet.
#[derive(Debug, Default)]
pub struct FrameBuffer {
    bytes: Vec<u8>,
    /// Received and not taken: `start..end`. Everything from `end` is free to read into.
    start: usize,
    end: usize,
}

impl FrameBuffer {
    /// Room for the next bytes of the stream; tell with [`FrameBuffer::filled`] how many there were.
    pub fn room(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == 0 && self.bytes.len() > EMPTY_BUFFER_BYTES_MAX {
            self.bytes = Vec::new();
        }
        if self.bytes.len() - self.end < READ_BYTES / 2 {
            self.bytes.resize((self.bytes.len() * 2).max(READ_BYTES), 0);
        }
        &mut self.bytes[self.end..]
    }

    /// The first `count` bytes of the room have been filled.
    pub fn filled(&mut self, count: usize) {
        self.end += count;
        assert!(self.end <= self.bytes.len(), "more bytes than there was room for");
    }

    /// Takes the next whole frame, if it is there.
    ///
    /// # Errors
    /// If its length is beyond the limit. The stream is of no use any more.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, FrameTooLong> {
        self.next_frame_within(FRAME_BYTES_MAX)
    }

    /// The same of a sender whose frames have a lower limit.
    ///
    /// # Errors
    /// If its length is beyond `limit`. The stream is of no use any more.
    pub fn next_frame_within(&mut self, limit: usize) -> Result<Option<&[u8]>, FrameTooLong> {
        let received = &self.bytes[self.start..self.end];
        let Some((header, rest)) = received.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*header) as usize;
        if length > limit {
            return Err(FrameTooLong { length, limit });
        }
        if rest.len() < length {
            return Ok(None);
        }
        let frame = self.start + HEADER_BYTES;
        self.start = frame + length;
        Ok(Some(&self.bytes[frame..frame + length]))
    }
}

/// Appends a frame whose content `write` appends.
///
/// # Errors
/// If the content came out beyond the limit; then nothing was appended.
pub fn append_frame(
    bytes: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>),
) -> Result<(), FrameTooLong> {
    let header = bytes.len();
    bytes.extend_from_slice(&[0; HEADER_BYTES]);
    let start = bytes.len();
    write(bytes);
    let length = bytes.len() - start;
    match u32::try_from(length) {
        Ok(word) if length <= FRAME_BYTES_MAX => {
            bytes[header..start].copy_from_slice(&word.to_le_bytes());
            Ok(())
        }
        _ => {
            bytes.truncate(header);
            Err(FrameTooLong { length, limit: FRAME_BYTES_MAX })
        }
    }
}

/// The value that `bytes` are the whole encoding of.
pub fn whole_value<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Some(value),
        _ => None,
    }
}

/// Appends a frame that holds `value`.
///
/// # Errors
/// As [`append_frame`].
pub fn append_value_frame<T: Serialize + ?Sized>(
    bytes: &mut Vec<u8>,
    value: &T,
) -> Result<(), FrameTooLong> {
    append_frame(bytes, |bytes| append_value(bytes, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(lengths: &[usize]) -> (Vec<Vec<u8>>, Vec<u8>) {
        let contents: Vec<Vec<u8>> = lengths
            .iter()
            .enumerate()
            .map(|(index, length)| {
                (0..*length).map(|byte| (byte * 7 + index).to_le_bytes()[0]).collect()
            })
            .collect();
        let mut wire = Vec::new();
        for content in &contents {
            append_frame(&mut wire, |bytes| bytes.extend_from_slice(content)).unwrap();
        }
        (contents, wire)
    }

    fn receive(buffer: &mut FrameBuffer, mut piece: &[u8], into: &mut Vec<Vec<u8>>) {
        while !piece.is_empty() {
            let room = buffer.room();
            let count = piece.len().min(room.len());
            room[..count].copy_from_slice(&piece[..count]);
            buffer.filled(count);
            piece = &piece[count..];
            while let Some(frame) = buffer.next_frame().unwrap() {
                into.push(frame.to_vec());
            }
        }
    }

    #[test]
    fn frames_come_out_whole_however_the_stream_is_cut() {
        let (contents, wire) = frames(&[0, 1, 3, 4, 5, 100, 0, 0, 17]);
        for size in 1..wire.len() {
            let (mut buffer, mut received) = (FrameBuffer::default(), Vec::new());
            for piece in wire.chunks(size) {
                receive(&mut buffer, piece, &mut received);
            }
            assert_eq!(received, contents, "in pieces of {size}");
        }
        for cut in 0..wire.len() {
            let (mut buffer, mut received) = (FrameBuffer::default(), Vec::new());
            receive(&mut buffer, &wire[..cut], &mut received);
            receive(&mut buffer, &wire[cut..], &mut received);
            assert_eq!(received, contents, "cut at {cut}");
        }
    }

    #[test]
    fn a_frame_longer_than_the_buffer_makes_it_grow() {
        let (contents, wire) = frames(&[5, 3 * READ_BYTES + 1, 7, 5 * READ_BYTES]);
        for size in [1_000, READ_BYTES - 1, READ_BYTES, wire.len()] {
            let (mut buffer, mut received) = (FrameBuffer::default(), Vec::new());
            for piece in wire.chunks(size) {
                receive(&mut buffer, piece, &mut received);
            }
            assert_eq!(received, contents, "in pieces of {size}");
        }
    }

    #[test]
    fn a_claimed_length_is_refused_before_anything_is_allocated_for_it() {
        let mut buffer = FrameBuffer::default();
        let room = buffer.room().len();
        let claimed = FRAME_BYTES_MAX + 1;
        buffer.room()[..4].copy_from_slice(&claimed.to_le_bytes()[..4]);
        buffer.filled(4);
        assert_eq!(
            buffer.next_frame(),
            Err(FrameTooLong { length: claimed, limit: FRAME_BYTES_MAX })
        );
        let mut buffer = FrameBuffer::default();
        buffer.room()[..4].copy_from_slice(&FRAME_BYTES_MAX.to_le_bytes()[..4]);
        buffer.filled(4);
        assert_eq!(buffer.next_frame(), Ok(None));
        assert_eq!(
            buffer.next_frame_within(99),
            Err(FrameTooLong { length: FRAME_BYTES_MAX, limit: 99 })
        );
        assert_eq!(buffer.room().len() + 4, room, "no room is made for bytes that did not come");
    }

    #[test]
    fn a_value_is_taken_from_the_whole_of_its_bytes_or_not_at_all() {
        let mut bytes = Vec::new();
        append_value(&mut bytes, &(7_u64, "seven"));
        assert_eq!(whole_value(&bytes), Some((7_u64, "seven".to_owned())));
        assert_eq!(whole_value::<(u64, String)>(&bytes[..bytes.len() - 1]), None);
        bytes.push(0);
        assert_eq!(whole_value::<(u64, String)>(&bytes), None);
    }

    #[test]
    fn a_frame_beyond_the_limit_is_not_written() {
        let mut wire = vec![1, 2, 3];
        let long = vec![0; FRAME_BYTES_MAX + 1];
        let error = append_frame(&mut wire, |bytes| bytes.extend_from_slice(&long)).unwrap_err();
        assert_eq!(error, FrameTooLong { length: long.len(), limit: FRAME_BYTES_MAX });
        assert_eq!(wire, [1, 2, 3]);
    }
}
