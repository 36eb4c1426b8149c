//! Moments as people and programs read them, in UTC.

use std::time::SystemTime;

/// A moment as 2026-01-31T12:00:00Z.
pub fn utc_text(time: SystemTime) -> String {
    utc(time, "%Y-%m-%dT%H:%M:%SZ")
}

fn utc(time: SystemTime, format: &str) -> String {
    let timestamp = jiff::Timestamp::try_from(time).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    timestamp.strftime(format).to_string()
}
