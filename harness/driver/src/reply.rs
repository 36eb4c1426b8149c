//! What a replica answers a client.

use protocols::{ClientId, Outcome, RequestNumber};
use serde::{Deserialize, Serialize};

/// The answer to one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The session.
    pub client: ClientId,
    /// The request within the session.
    pub number: RequestNumber,
    /// What it came to, or why it was not taken on.
    pub answer: Result<Outcome, Refusal>,
}

/// Why a request was not taken on. This replica has not ordered it; another that was asked before
/// may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// There are as many sessions as a replica admits, and this client has none of them; or its own
    /// holds as many results and gaps as one may.
    SessionsFull,
}
