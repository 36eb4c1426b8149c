//! The replicated state: keys and values, and what makes every request take effect once.

pub mod kv;
pub mod session;
