//! What waits to be written to one stream: frames are appended, and everything there is goes out in one write.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll},
};

use quinn::{SendStream, WriteError};

use crate::frame::EMPTY_BUFFER_BYTES_MAX;

/// The bytes to be written to one stream.
#[derive(Debug)]
pub(crate) struct Outbox {
    stream: SendStream,
    /// Frames; those before `written` are the stream's already.
    pub(crate) bytes: Vec<u8>,
    written: usize,
}

impl Outbox {
    /// An empty outbox for `stream`.
    pub(crate) fn new(stream: SendStream) -> Self {
        Self { stream, bytes: Vec::new(), written: 0 }
    }

    /// Bytes that the stream has not taken.
    pub(crate) fn unsent_bytes(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// Appends `frame`; false if more than `bytes_max` would then wait. An empty outbox takes one
    /// of any length.
    pub(crate) fn push_within(&mut self, frame: &[u8], bytes_max: usize) -> bool {
        push_within(&mut self.bytes, &mut self.written, frame, bytes_max)
    }

    /// Writes as much as the stream takes; ready when that was everything.
    ///
    /// # Errors
    /// If the stream is of no use any more.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WriteError>> {
        while self.written < self.bytes.len() {
            let unsent = &self.bytes[self.written..];
            let written = pin!(self.stream.write(unsent)).poll(cx);
            match written {
                Poll::Ready(Ok(count)) => self.written += count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.make_room();
                    return Poll::Pending;
                }
            }
        }
        self.bytes.clear();
        self.written = 0;
        give_back(&mut self.bytes);
        Poll::Ready(Ok(()))
    }

    /// Moves what is left to the front once that is the lesser part, so that a blocked outbox does not grow for ever.
    fn make_room(&mut self) {
        if self.written > self.bytes.len() / 2 {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
    }
}

/// Gives the room of an empty buffer back if it has grown.
pub(crate) fn give_back(bytes: &mut Vec<u8>) {
    if bytes.capacity() > EMPTY_BUFFER_BYTES_MAX {
        *bytes = Vec::new();
    }
}

/// Appends `frame` to `bytes`, of which the first `written` are gone: see [`Outbox::push_within`].
fn push_within(bytes: &mut Vec<u8>, written: &mut usize, frame: &[u8], bytes_max: usize) -> bool {
    let unsent = bytes.len() - *written;
    if unsent > 0 && unsent.saturating_add(frame.len()) > bytes_max {
        return false;
    }
    if bytes.len() + frame.len() > bytes.capacity() {
        bytes.drain(..*written);
        *written = 0;
        // As a vector grows, but not beyond what may ever be in it.
        let grown = (2 * bytes.capacity()).min(bytes_max);
        bytes.reserve_exact(grown.saturating_sub(bytes.len()).max(frame.len()));
    }
    bytes.extend_from_slice(frame);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES_MAX: usize = 10_000;

    #[test]
    fn no_more_waits_than_may_and_no_more_room_is_taken() {
        let (mut bytes, mut written, mut taken) = (Vec::new(), 0, 0);
        while push_within(&mut bytes, &mut written, &[1; 300], BYTES_MAX) {
            taken += 1;
        }
        assert_eq!(taken, BYTES_MAX / 300);
        assert!(bytes.capacity() <= BYTES_MAX, "{}", bytes.capacity());
        // The stream has taken some: there is room for as much again, in the same place.
        written = 650;
        assert!(push_within(&mut bytes, &mut written, &[2; 300], BYTES_MAX));
        assert!(push_within(&mut bytes, &mut written, &[3; 300], BYTES_MAX));
        assert!(!push_within(&mut bytes, &mut written, &[4; 300], BYTES_MAX));
        assert!(bytes.capacity() <= BYTES_MAX, "{}", bytes.capacity());
        assert_eq!(bytes.len() - written, taken * 300 - 650 + 600);
        assert!(bytes.ends_with(&[[2; 300], [3; 300]].concat()));
    }

    #[test]
    fn an_empty_one_takes_a_frame_of_any_length_and_gives_its_room_back() {
        let (mut bytes, mut written) = (Vec::new(), 0);
        let frame = vec![7; 2 * EMPTY_BUFFER_BYTES_MAX];
        assert!(push_within(&mut bytes, &mut written, &frame, BYTES_MAX));
        assert!(!push_within(&mut bytes, &mut written, &[1], BYTES_MAX));
        bytes.clear();
        give_back(&mut bytes);
        assert_eq!(bytes.capacity(), 0);
        bytes.reserve_exact(EMPTY_BUFFER_BYTES_MAX);
        give_back(&mut bytes);
        assert!(bytes.capacity() >= EMPTY_BUFFER_BYTES_MAX, "a usual one is kept");
    }
}
