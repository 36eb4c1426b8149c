//! A module per command: each takes its arguments and says how the program ends.

pub(crate) mod agent;
pub(crate) mod agreement;
pub(crate) mod calibrate;
pub(crate) mod check;
pub(crate) mod client;
pub(crate) mod cluster;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod explore;
pub(crate) mod hosts;
pub(crate) mod keys;
pub(crate) mod list;
pub(crate) mod node;
pub(crate) mod plot;
pub(crate) mod published;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod seeds;
pub(crate) mod soak;
pub(crate) mod topology;
