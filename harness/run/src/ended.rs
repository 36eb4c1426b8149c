//! How a run ended, whatever carried it out.

use std::sync::Arc;

use measure::RunRecord;
use node::child::Death;

use crate::Error;

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// None if it ended before anything was measured.
    pub record: Option<RunRecord>,
    /// Why it ended before its time, if it did.
    pub stop: Option<Stop>,
    /// Had the clients begun by then?
    pub under_load: bool,
    /// What shows that its history is not linearizable, for people.
    pub witness: Option<String>,
    /// What could not be done beside the run, and changes nothing about its verdict: a line each.
    pub warnings: Vec<String>,
}

impl Ended {
    /// A run that ended before anything was measured.
    pub(crate) fn unmeasured(stop: Stop, under_load: bool) -> Self {
        Self { record: None, stop: Some(stop), under_load, witness: None, warnings: Vec::new() }
    }
}

/// Why a run ended before its time.
#[derive(Clone, Debug)]
pub enum Stop {
    /// By this signal.
    Interrupted(&'static str),
    /// A replica died unasked.
    Died(Death),
    /// Something else failed.
    Failed(Arc<Error>),
}

impl Stop {
    /// The reason, for people.
    pub fn text(&self) -> String {
        match self {
            Self::Interrupted(signal) => format!("interrupted by {signal}"),
            Self::Died(death) => format!("died unasked: {death}"),
            Self::Failed(error) => format!("the run failed: {error}"),
        }
    }
}

impl<E: Into<Error>> From<E> for Stop {
    /// A death is a reason of its own; everything else failed.
    fn from(error: E) -> Self {
        match error.into() {
            Error::Died(death) => Self::Died(death),
            error => Self::Failed(Arc::new(error)),
        }
    }
}
