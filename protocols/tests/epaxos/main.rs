//! Directed tests of EPaxos: each a schedule that a wrong implementation gets wrong.

mod checkpoint;
mod fast_quorum;
mod net;
mod ordinary;
mod published;
mod published_execution;
mod recovery;
mod retries;
mod rounds;
mod snapshot;
#[path = "../support/mod.rs"]
mod support;
mod takeover;
mod window;
