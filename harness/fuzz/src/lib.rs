//! Every decoder of the project under mangled input, on a stable compiler and without an instrumented build.
//!
//! A [`Target`] is a plain function of bytes that panics if something is wrong: a decoder that panics, or something that
//! was accepted and does not mean the same once it is encoded again. [`corpus`] holds encodings of real values, made by
//! [`samples`] from the lives of small clusters and committed; [`mutate`] mangles them with draws from a seed, so that
//! every failure comes again. A test takes a few thousand cases of every target, and more where `FUZZ_SECONDS` says how long;
//! the example `fuzz` takes one target for as long as it is told:
//!
//! ```sh
//! cargo run --release -p fuzz --example fuzz -- message-epaxos 60
//! cargo run -p fuzz --example fuzz -- make-corpus
//! ```
//!
//! It is an example and no program, because the project has one program.
//!
//! **Not covered**, since they are others' decoders: TLS, QUIC, TOML and JSON themselves. What this crate gives them is
//! what they hand on.

pub mod corpus;
pub mod mutate;
pub mod run;
pub mod samples;
pub mod targets;

pub use targets::{TARGETS, Target};
