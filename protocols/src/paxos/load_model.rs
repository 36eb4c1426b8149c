//! What a Paxos replica does per command, uncontended: of each it exchanges Prepare, Promise,
//! Accept, Accepted and Commit with each other replica, and the value is in one of them.
//!
//! | replica | messages in | messages out | values in | values out |
//! |---|---|---|---|---|
//! | each | 5 (N−1)/N | as many | (N−1)/N | (N−1)/N |

use crate::load_model::{LoadQuestion, ReplicaLoad};

#[expect(clippy::unnecessary_wraps, reason = "others have no model of some of their runs")]
#[expect(clippy::cast_precision_loss, reason = "a number of replicas")]
pub(super) fn load(asked: &LoadQuestion<'_>) -> Result<ReplicaLoad, &'static str> {
    let others = asked.replicas as f64 - 1.0;
    Ok(ReplicaLoad::leaderless(others, asked.asked, 5.0, 1.0))
}
