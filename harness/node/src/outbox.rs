//! What waits to be written to one stream: frames are appended, and everything there is goes out in one write.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll},
};

use quinn::{SendStream, WriteError};

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
