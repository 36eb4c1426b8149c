//! What an EPaxos replica does per command. A command is put in order by the N rows that its
//! dependencies name.
//!
//! | replica | messages in | messages out | values in | values out |
//! |---|---|---|---|---|
//! | each | 3 (N−1)/N: PreAccept, PreAcceptOk, Commit | as many | (N−1)/N | (N−1)/N |
//! | each of the published variant | (3 − 1/(N−1)) (N−1)/N: one replica is left out of phase 1 | as many | (N−1)/N | (N−1)/N |
//! | and by the share s of slow paths | 2 s (N−1)/N: Accept, AcceptOk | as many | s (N−1)/N | s (N−1)/N |

use super::options::Variant;
use crate::load_model::{LoadQuestion, ReplicaLoad};

#[expect(clippy::cast_precision_loss, reason = "a number of replicas")]
pub(super) fn load(asked: &LoadQuestion<'_>) -> Result<ReplicaLoad, &'static str> {
    let thrifty = asked.options.of::<Variant>() == Variant::Sosp13;
    if thrifty && asked.has_sites {
        return Err("the fixed fast quorums follow the sites, so that replicas are not alike");
    }
    let n = asked.replicas as f64;
    let others = n - 1.0;
    // Of a command: what its leader exchanges with each of the others.
    // A thrifty phase 1 leaves one of them out, who gets the value with the Commit.
    let asked_first = if thrifty { (others - 1.0) / others } else { 1.0 };
    let (exchanged, values) = (1.0 + 2.0 * asked_first + 2.0 * asked.slow, 1.0 + asked.slow);
    let load = ReplicaLoad::leaderless(others, asked.asked, exchanged, values);
    Ok(ReplicaLoad { ordering_steps: n, ..load })
}
