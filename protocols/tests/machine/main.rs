//! The replicated state: known answers of its digests, and agreement with naive models.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

#[cfg(test)]
mod digests;
#[cfg(test)]
mod sizes;
