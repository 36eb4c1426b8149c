//! The one stream between a driver and an agent, as both sides use it.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    frame::{FrameBuffer, append_value_frame, whole_value},
    limits::CONTROL_BYTES_MAX,
    transport::Link,
};

/// A connection with its stream, and what was read and not taken of it.
#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) link: Link,
    buffer: FrameBuffer,
}

impl Conversation {
    pub(super) fn new(link: Link) -> Self {
        Self { link, buffer: FrameBuffer::default() }
    }

    /// Why the stream is of no more use: the reason of the connection's end, if it has ended.
    fn reason(&self, error: &dyn std::fmt::Display) -> String {
        let closed = self.link.connection.close_reason();
        closed.map_or_else(|| error.to_string(), |closed| closed.to_string())
    }

    /// Says `value`.
    pub(super) async fn say<T: Serialize>(&mut self, value: &T) -> Result<(), String> {
        let mut frame = Vec::new();
        append_value_frame(&mut frame, value).map_err(|error| error.to_string())?;
        let written = self.link.send.write_all(&frame).await;
        written.map_err(|error| self.reason(&error))
    }

    /// Hears the next value. A call that is dropped before its end has lost nothing.
    pub(super) async fn hear<T: DeserializeOwned>(&mut self) -> Result<T, String> {
        loop {
            let frame = self.buffer.next_frame_within(CONTROL_BYTES_MAX);
            if let Some(frame) = frame.map_err(|error| error.to_string())? {
                return whole_value(frame)
                    .ok_or_else(|| "what came has another form than it should".to_owned());
            }
            match self.link.receive.read(self.buffer.room()).await {
                Ok(Some(count)) => self.buffer.filled(count),
                Ok(None) => return Err("the other side ended the stream".to_owned()),
                Err(error) => return Err(self.reason(&error)),
            }
        }
    }
}
