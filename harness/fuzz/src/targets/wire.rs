//! What comes over a connection.

use driver::Reply;
use node::{
    frame::{FRAME_BYTES_MAX, FrameBuffer, HEADER_BYTES, append_frame},
    wire::{ClientHello, ControlReply, ControlRequest, PeerHello},
};
use protocols::{
    Batch, Replica,
    command::{BATCH_BYTES_MAX, BATCH_COMMANDS_MAX, KEY_BYTES_MAX},
    id::REPLICAS_MAX,
    transfer::Piece,
};
use serde::{Serialize, de::DeserializeOwned};

/// Decodes a `T` that takes all of `bytes`, and checks that it is the same once encoded and decoded again. Encodings are
/// compared, not values: a number that is none does not equal itself.
pub(super) fn value<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (value, rest) = postcard::take_from_bytes::<T>(bytes).ok()?;
    if !rest.is_empty() {
        return None;
    }
    let encoded = postcard::to_stdvec(&value).expect("what was decoded can be encoded");
    let decoded: T = postcard::from_bytes(&encoded).expect("what was encoded can be decoded");
    let again = postcard::to_stdvec(&decoded).expect("what was decoded can be encoded");
    assert_eq!(again, encoded, "it means another thing once encoded again");
    Some(value)
}

/// A peer's message, up to the check that a replica makes before its core sees it.
pub(super) fn message<R: Replica>(bytes: &[u8]) -> bool {
    let Some(message) = value::<R::Message>(bytes) else { return false };
    for replicas in [1, 3, 5, REPLICAS_MAX] {
        // Either is right; it must answer.
        let _: bool = R::admissible(&message, replicas);
    }
    true
}

pub(super) fn piece(bytes: &[u8]) -> bool {
    value::<Piece>(bytes).is_some()
}

/// What a client sends: a batch, with its limits.
pub(super) fn client_frame(bytes: &[u8]) -> bool {
    let Ok(batch) = Batch::from_bytes(bytes) else { return false };
    assert!(batch.as_bytes().len() <= BATCH_BYTES_MAX);
    let requests: Vec<_> = batch.requests().collect();
    assert!(requests.len() <= BATCH_COMMANDS_MAX);
    assert!(requests.iter().all(|request| request.command.key().len() <= KEY_BYTES_MAX));
    let _ = batch.footprint();
    if !requests.is_empty() {
        let again = Batch::new(&requests).expect("a batch of a batch's requests");
        assert!(again.requests().eq(requests.iter().copied()), "other requests once encoded again");
    }
    true
}

/// A stream of frames, cut into reads at places that the bytes themselves give.
pub(super) fn frames(bytes: &[u8]) -> bool {
    let mut whole = FrameBuffer::default();
    let expected = taken(&mut whole, bytes, bytes.len().max(1));
    let step = usize::from(bytes.first().copied().unwrap_or(0)) + 1;
    let cut = taken(&mut FrameBuffer::default(), bytes, step);
    assert_eq!(cut, expected, "frames depend on how the stream is cut");
    let Some(frames) = expected else { return false };
    let mut again = Vec::new();
    for frame in &frames {
        append_frame(&mut again, |bytes| bytes.extend_from_slice(frame)).expect("it was short");
    }
    assert!(bytes.starts_with(&again));
    !frames.is_empty()
}

/// The frames of a stream that comes in pieces of `step` bytes; none if one claims to be too long.
fn taken(buffer: &mut FrameBuffer, bytes: &[u8], step: usize) -> Option<Vec<Vec<u8>>> {
    let mut frames = Vec::new();
    for mut piece in bytes.chunks(step) {
        while !piece.is_empty() {
            let room = buffer.room();
            let count = piece.len().min(room.len());
            room[..count].copy_from_slice(&piece[..count]);
            buffer.filled(count);
            piece = &piece[count..];
            while let Some(frame) = buffer.next_frame().ok()? {
                assert!(
                    frame.len() <= FRAME_BYTES_MAX && frame.len() + HEADER_BYTES <= bytes.len()
                );
                frames.push(frame.to_vec());
            }
        }
    }
    Some(frames)
}

pub(super) fn hello(bytes: &[u8]) -> bool {
    value::<ClientHello>(bytes).is_some()
}

pub(super) fn peer_hello(bytes: &[u8]) -> bool {
    value::<PeerHello>(bytes).is_some()
}

pub(super) fn control_request(bytes: &[u8]) -> bool {
    value::<ControlRequest>(bytes).is_some()
}

pub(super) fn control_reply(bytes: &[u8]) -> bool {
    value::<ControlReply>(bytes).is_some()
}

pub(super) fn reply(bytes: &[u8]) -> bool {
    value::<Reply>(bytes).is_some()
}
