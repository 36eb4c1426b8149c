//! What a Multi-Paxos replica does per command. The leader's commit index travels with its next
//! Accept.
//!
//! | replica | messages in | messages out | values in | values out |
//! |---|---|---|---|---|
//! | the leader | N−1 Accepted, (N−1)/N Forward | N−1 Accept | (N−1)/N | N−1 |
//! | a follower | 1 Accept | 1 Accepted, 1/N Forward | 1 | 1/N |

use crate::load_model::{LoadQuestion, ReplicaLoad};

#[expect(clippy::unnecessary_wraps, reason = "others have no model of some of their runs")]
#[expect(clippy::cast_precision_loss, reason = "a number of replicas")]
pub(super) fn load(asked: &LoadQuestion<'_>) -> Result<ReplicaLoad, &'static str> {
    let others = asked.replicas as f64 - 1.0;
    Ok(if asked.is_leader {
        ReplicaLoad {
            messages: 2.0 * others + (1.0 - asked.asked),
            values_in: 1.0 - asked.asked,
            values_out: others,
            ..ReplicaLoad::default()
        }
    } else {
        ReplicaLoad {
            messages: 2.0 + asked.asked,
            values_in: 1.0,
            values_out: asked.asked,
            ..ReplicaLoad::default()
        }
    })
}
