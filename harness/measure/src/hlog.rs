//! HdrHistogram V2 interval logs: one file per protocol × point × repetition × kind, each with one histogram over the
//! whole measured time.
//!
//! Values are nanoseconds; the "max" column, which is for human eyes only, is in milliseconds. Any HdrHistogram reader
//! opens them.

use std::{
    io::Write,
    path::Path,
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use hdrhistogram::serialization::{
    V2DeflateSerializer,
    interval_log::{IntervalLogIterator, IntervalLogWriterBuilder, LogEntry},
};

use crate::{error::MeasureError, histogram::Histogram, identity::Identity};

/// What a histogram measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistogramKind {
    /// At the client, from the time at which a request was due to the reply. What was never answered counts as long as it was
    /// waited for.
    Latency,
    /// Those among the latencies that are lower bounds: what was never answered, and how long it was waited for.
    Censored,
    /// At the client, from the actual send to the reply.
    Service,
    /// At the replica asked, from the proposal to the commit.
    Commit,
    /// At the replica asked, from the proposal to the execution.
    Execute,
}

impl HistogramKind {
    /// The word used in file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Censored => "censored",
            Self::Service => "service",
            Self::Commit => "commit",
            Self::Execute => "execute",
        }
    }
}

/// The canonical name of a histogram's file inside `hist/`.
pub fn hlog_file_name(identity: &Identity, kind: HistogramKind) -> String {
    let point = if identity.point.is_empty() { "unswept" } else { &identity.point };
    format!(
        "{}_{}_r{}_{}.hlog",
        file_safe(&identity.protocol),
        file_safe(point),
        identity.repetition,
        kind.name()
    )
}

/// Writes `histogram` as an interval log with one interval.
pub(crate) fn write_hlog(
    path: &Path,
    identity: &Identity,
    kind: HistogramKind,
    started: SystemTime,
    elapsed: Duration,
    histogram: &Histogram,
) -> Result<(), MeasureError> {
    let mut text = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut builder = IntervalLogWriterBuilder::new();
    builder
        .add_comment("[Histogram log format version 1.3]")
        .add_comment(&format!(
            "{} of {} at {} repetition {}; values in nanoseconds, max in milliseconds",
            kind.name(),
            identity.protocol,
            identity.point,
            identity.repetition
        ))
        .with_start_time(started)
        .with_max_value_divisor(1e6);
    let written = builder.begin_log_with(&mut text, &mut serializer).map(|mut writer| {
        writer.write_histogram(histogram.counts(), Duration::ZERO, elapsed, None)
    });
    match written {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(MeasureError::new(path, error)),
        Err(error) => return Err(MeasureError::new(path, error)),
    }
    std::fs::File::create(path)
        .and_then(|mut file| file.write_all(&text))
        .map_err(|error| MeasureError::new(path, error))
}

/// Reads the one histogram of a file that [`write_hlog`] wrote.
pub(crate) fn read_hlog(path: &Path) -> Result<Histogram, MeasureError> {
    let fail = |error: &dyn std::fmt::Display| MeasureError::new(path, error);
    let bytes = std::fs::read(path).map_err(|error| fail(&error))?;
    let mut intervals = IntervalLogIterator::new(&bytes).filter_map(|entry| match entry {
        Ok(LogEntry::Interval(interval)) => Some(interval.encoded_histogram()),
        _ => None,
    });
    let encoded = intervals.next().ok_or_else(|| fail(&"holds no histogram"))?;
    let decoded = STANDARD.decode(encoded).map_err(|error| fail(&error))?;
    Histogram::from_bytes(&decoded).map_err(|error| fail(&error))
}

/// `text` as part of a file name: what is not plain is replaced, and where that (or the length limit) could make two
/// names meet, a hash of the original keeps them apart.
pub(crate) fn file_safe(text: &str) -> String {
    const CHARS_MAX: usize = 100;
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '=' | ',' | '+');
    let mut safe: String =
        text.chars().map(|c| if plain(c) { c } else { '-' }).take(CHARS_MAX).collect();
    if safe.starts_with('.') || safe.is_empty() {
        safe.insert(0, '-');
    }
    if safe != text {
        safe.push_str(&format!("-{:08x}", fnv1a(text.as_bytes())));
    }
    safe
}

/// FNV-1a, 32 bits: stable across versions and machines, which the standard hasher does not promise.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_and_do_not_meet() {
        assert_eq!(file_safe("conflict_rate=0.02,window=4"), "conflict_rate=0.02,window=4");
        assert!(!file_safe("../../etc").contains('/'));
        assert!(!file_safe("..").starts_with('.'));
        assert_ne!(file_safe("a/b"), file_safe("a b"));
        assert!(file_safe(&"x".repeat(500)).len() < 120);
    }
}
