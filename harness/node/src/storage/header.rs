//! What stands at the head of logs and snapshots: which format, whose, and from which record on.
//!
//! `magic [8] · format u32 · length u32 · body · checksum u64`. Format and magic come first and stay where they are, so that
//! every later program can say what it has before it.

use std::path::Path;

use protocols::{Protocol, ReplicaId};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::sheet::damaged;
use crate::{NodeError, frame::append_value};

/// Counted up whenever a log or a snapshot changes its form.
const FORMAT: u32 = 2;
const MAGIC_BYTES: usize = 8;
/// Everything before the body.
const FIXED_BYTES: usize = MAGIC_BYTES + 4 + 4;

/// The kinds of files that have a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Log,
    Snapshot,
}

impl Kind {
    const fn magic(self) -> [u8; MAGIC_BYTES] {
        match self {
            Self::Log => *b"pxlabLOG",
            Self::Snapshot => *b"pxlabSNP",
        }
    }
}

/// Whose file it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) cluster: String,
    pub(super) replica: ReplicaId,
    pub(super) protocol: Protocol,
    pub(super) incarnation: u64,
    /// The number of a log's first record, or of the first record behind a snapshot.
    pub(super) sequence: u64,
}

impl Header {
    pub(super) fn encode(&self, kind: Kind) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&kind.magic());
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        append_value(&mut bytes, self);
        let length = u32::try_from(bytes.len() - FIXED_BYTES).expect("names are short");
        bytes[MAGIC_BYTES + 4..FIXED_BYTES].copy_from_slice(&length.to_le_bytes());
        let checksum = xxh3_64(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Checks that `bytes`, the content of `path`, begin with this header; returns its length.
    ///
    /// # Errors
    /// If they do not.
    pub(super) fn expect(&self, kind: Kind, path: &Path, bytes: &[u8]) -> Result<usize, NodeError> {
        let encoded = self.encode(kind);
        if bytes.starts_with(&encoded) {
            return Ok(encoded.len());
        }
        let word = |at: usize| {
            let bytes = bytes.get(at..)?.first_chunk()?;
            Some(u32::from_le_bytes(*bytes))
        };
        let is_ours = bytes.starts_with(&kind.magic());
        if is_ours && let Some(format) = word(MAGIC_BYTES).filter(|format| *format != FORMAT) {
            return Err(damaged(
                path,
                format_args!(
                    "is of format {format}, here it is {FORMAT}, or its head is damaged (offset 8)"
                ),
            ));
        }
        let body = word(MAGIC_BYTES + 4).and_then(|length| {
            let end = FIXED_BYTES.checked_add(length as usize)?;
            let checksum = u64::from_le_bytes(*bytes.get(end..)?.first_chunk()?);
            (xxh3_64(&bytes[..end]) == checksum).then(|| &bytes[FIXED_BYTES..end])
        });
        Err(match body.and_then(|body| postcard::from_bytes::<Self>(body).ok()) {
            Some(other) if is_ours => damaged(
                path,
                format_args!(
                    "belongs to {} of {} ({}, incarnation {:016x}, from record {}), not to {} of {} ({}, incarnation \
                     {:016x}, from record {})",
                    other.replica,
                    other.cluster,
                    other.protocol,
                    other.incarnation,
                    other.sequence,
                    self.replica,
                    self.cluster,
                    self.protocol,
                    self.incarnation,
                    self.sequence
                ),
            ),
            _ => damaged(path, "its head is damaged (offset 0)"),
        })
    }
}
