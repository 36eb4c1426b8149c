//! After the load: the cluster comes to rest, and its replicas are compared.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use driver::ReplicaStatus;
use futures_util::future::join_all;
use measure::{Finding, Severity};
use node::control::Control;
use protocols::{ReplicaId, ReplicaSet, kv::KeyDigest};
use serde_json::{Value, json};

use super::{cluster::collected, tamper::Tamper};
use crate::{Error, history::Writes};

/// Chosen: an overloaded cluster works off what it has taken on; beyond this it is not coming to rest.
const REST_TIMEOUT: Duration = Duration::from_secs(10);
const REST_POLL: Duration = Duration::from_millis(5);
/// Tried in turn until a bucket's answer fits into a frame.
const BUCKETS: [u64; 3] = [16, 1 << 10, 1 << 16];
/// Chosen: the smallest evidence is one key; a few more show whether it is alone.
const KEYS_SHOWN_MAX: usize = 10;

/// What comparing the replicas came to.
#[derive(Clone, Debug)]
pub(super) struct Agreement {
    /// None if they could not be compared.
    pub(super) agree: Option<bool>,
    /// What is to be said about it.
    pub(super) finding: Option<Finding>,
    /// Those that were compared.
    replicas: Vec<ReplicaId>,
    statuses: Vec<ReplicaStatus>,
}

impl Agreement {
    /// Acknowledged writes that a replica lacks, those that one applied although nobody asked for so many, and replicas in
    /// another state than most: each replica says how many writes it applied.
    pub(super) fn kept(&self, writes: Writes) -> (u64, u64, u64) {
        let most = |of: fn(&ReplicaStatus, Writes) -> u64| {
            self.statuses.iter().map(|status| of(status, writes)).max().unwrap_or(0)
        };
        let lost = most(|status, writes| writes.acknowledged.saturating_sub(status.digest.writes));
        let twice = most(|status, writes| {
            status.digest.writes.saturating_sub(writes.acknowledged + writes.unknown)
        });
        let alike = |one: &ReplicaStatus| {
            self.statuses.iter().filter(|other| other.digest == one.digest).count()
        };
        let most_alike = self.statuses.iter().map(alike).max().unwrap_or(0);
        (lost, twice, (self.statuses.len() - most_alike) as u64)
    }
}

/// Lets the cluster come to rest and compares states, orders of execution and decisions. `restarted` have seen only a part
/// of the commits in their last life.
///
/// # Errors
/// If a line is lost.
pub(super) async fn compare(
    lines: &mut [Control],
    restarted: ReplicaSet,
) -> Result<Agreement, Error> {
    let deadline = Instant::now() + REST_TIMEOUT;
    loop {
        let mut statuses = collected(join_all(lines.iter_mut().map(Control::status)).await)?;
        Tamper::asked_for().with_statuses(&mut statuses);
        let settled = statuses.iter().all(is_at_rest) && same_state(&statuses);
        if settled || Instant::now() >= deadline {
            let replicas: Vec<ReplicaId> = lines.iter().map(Control::replica).collect();
            return Ok(judge(&replicas, restarted, statuses));
        }
        tokio::time::sleep(REST_POLL).await;
    }
}

/// Judges what the living replicas say last.
fn judge(replicas: &[ReplicaId], restarted: ReplicaSet, statuses: Vec<ReplicaStatus>) -> Agreement {
    let of_one_life = || {
        let seen = replicas.iter().zip(&statuses);
        seen.filter(|(replica, _)| !restarted.contains(**replica)).map(|(_, status)| status)
    };
    let finding = |severity, text: String, advice: &str| {
        Some(Finding { severity, text, advice: advice.to_owned() })
    };
    let busy: Vec<String> = replicas.iter().zip(&statuses).filter_map(at_work).collect();
    let (agree, finding) = match (same_state(&statuses), busy.is_empty()) {
        _ if decided_differently(of_one_life()) => {
            let text = "the replicas committed different instances".to_owned();
            (Some(false), finding(Severity::Violation, text, "the evidence is in the results"))
        }
        (true, true) => (Some(true), None),
        (true, false) => {
            let text = format!("in equal states, and yet not at rest: {}", busy.join("; "));
            (Some(true), finding(Severity::Warning, text, "look at the replicas' logs"))
        }
        (false, true) => (Some(false), None),
        (false, false) => {
            let text = format!(
                "the replicas did not come to rest within {} s and were not compared: {}",
                REST_TIMEOUT.as_secs(),
                busy.join("; ")
            );
            (
                None,
                finding(Severity::Invalid, text, "lower the load, or look at the replicas' logs"),
            )
        }
    };
    Agreement { agree, finding, replicas: replicas.to_vec(), statuses }
}

fn is_at_rest(status: &ReplicaStatus) -> bool {
    status.pending == 0 && status.core.unexecuted == 0 && status.core.undecided == 0
}

/// What keeps a replica from being at rest, if anything does.
fn at_work((replica, status): (&ReplicaId, &ReplicaStatus)) -> Option<String> {
    (!is_at_rest(status)).then(|| {
        format!(
            "replica {} has {} requests pending, {} batches undecided, {} instances unexecuted",
            replica.0, status.pending, status.core.undecided, status.core.unexecuted
        )
    })
}

fn same_state(statuses: &[ReplicaStatus]) -> bool {
    statuses.windows(2).all(|pair| pair[0].digest == pair[1].digest)
}

/// Whether replicas that saw the same number of commits, each with its own eyes, saw different ones.
fn decided_differently<'a>(statuses: impl Iterator<Item = &'a ReplicaStatus>) -> bool {
    let statuses: Vec<&ReplicaStatus> = statuses.collect();
    let complete = statuses.iter().all(|status| status.core.installs == 0)
        && statuses.windows(2).all(|pair| pair[0].commits == pair[1].commits);
    complete && statuses.windows(2).any(|pair| pair[0].commit_digest != pair[1].commit_digest)
}

/// Writes what shows the disagreement into `file`: what every replica says, and the first keys that differ.
///
/// # Errors
/// If a line is lost or the file cannot be written.
pub(super) async fn write_evidence(
    agreement: &Agreement,
    lines: &mut [Control],
    file: &Path,
) -> Result<(), Error> {
    let evidence = json!({
        "compared": agreement.replicas,
        "replicas": agreement.statuses,
        "keys": differing_keys(lines).await?,
    });
    let text = serde_json::to_string_pretty(&evidence).expect("evidence is plain data");
    fs::write(file, text + "\n").map_err(|error| Error::File { path: file.to_owned(), error })
}

/// The first keys whose value or history differs, with what each replica has; empty if only sessions or the order of
/// reads differ.
async fn differing_keys(lines: &mut [Control]) -> Result<Vec<Value>, Error> {
    let mut error = None;
    'sizes: for buckets in BUCKETS {
        for bucket in 0..buckets {
            let asked = lines.iter_mut().map(|line| line.key_digests(bucket, buckets));
            match collected(join_all(asked).await) {
                Ok(replicas) => {
                    let keys = differences(&replicas);
                    if !keys.is_empty() {
                        return Ok(keys);
                    }
                }
                Err(too_long) => {
                    error = Some(too_long);
                    continue 'sizes;
                }
            }
        }
        return Ok(Vec::new());
    }
    error.map_or(Ok(Vec::new()), Err)
}

/// What differs in one bucket; `replicas` hold sorted keys.
fn differences(replicas: &[Vec<KeyDigest>]) -> Vec<Value> {
    let mut keys: Vec<&[u8]> =
        replicas.iter().flatten().map(|digest| digest.key.as_slice()).collect();
    keys.sort_unstable();
    keys.dedup();
    let of = |replica: &'_ [KeyDigest], key: &[u8]| {
        let found = replica.binary_search_by(|digest| digest.key.as_slice().cmp(key));
        found.ok().map(|index| replica[index].clone())
    };
    keys.into_iter()
        .filter_map(|key| {
            let has: Vec<Option<KeyDigest>> =
                replicas.iter().map(|replica| of(replica, key)).collect();
            let differ = has.windows(2).any(|pair| pair[0] != pair[1]);
            differ.then(|| key_value(key, &has))
        })
        .take(KEYS_SHOWN_MAX)
        .collect()
}

fn key_value(key: &[u8], has: &[Option<KeyDigest>]) -> Value {
    let replicas: Vec<Value> = has
        .iter()
        .map(|digest| {
            digest.as_ref().map_or(Value::Null, |digest| {
                json!({
                    "value_hash": format!("{:016x}", digest.value),
                    "order_hash": format!("{:016x}", digest.order),
                    "writes": digest.writes,
                })
            })
        })
        .collect();
    json!({ "key": String::from_utf8_lossy(key), "replicas": replicas })
}

#[cfg(test)]
mod tests {
    use protocols::kv::Digest;

    use super::*;

    fn status(state: u64, pending: u64) -> ReplicaStatus {
        let digest = Digest { state, ..Digest::default() };
        ReplicaStatus { digest, pending, commits: 7, commit_digest: 1, ..ReplicaStatus::default() }
    }

    /// The verdict of these replicas, and how much is said about it.
    fn check(statuses: &[ReplicaStatus], agree: Option<bool>, severity: Option<Severity>) {
        let replicas: Vec<ReplicaId> = ReplicaId::all(statuses.len()).collect();
        let agreement = judge(&replicas, ReplicaSet::EMPTY, statuses.to_vec());
        assert_eq!(agreement.agree, agree, "{statuses:?}");
        assert_eq!(agreement.finding.map(|finding| finding.severity), severity, "{statuses:?}");
    }

    #[test]
    fn replicas_agree_when_their_states_are_equal_at_rest() {
        check(&[status(1, 0), status(1, 0)], Some(true), None);
        check(&[status(1, 0), status(1, 3)], Some(true), Some(Severity::Warning));
        check(&[status(1, 0), status(2, 0)], Some(false), None);
        check(&[status(1, 0), status(2, 1)], None, Some(Severity::Invalid));
    }

    #[test]
    fn equal_states_do_not_hide_different_decisions() {
        let other = ReplicaStatus { commit_digest: 2, ..status(1, 0) };
        check(&[status(1, 0), other.clone()], Some(false), Some(Severity::Violation));
        let behind = ReplicaStatus { commits: 6, ..other.clone() };
        check(&[status(1, 0), behind], Some(true), None);
        let mut installed = other;
        installed.core.installs = 1;
        check(&[status(1, 0), installed], Some(true), None);
    }

    #[test]
    fn what_a_restarted_replica_saw_decided_is_only_a_part() {
        let other = ReplicaStatus { commit_digest: 2, ..status(1, 0) };
        let statuses = vec![status(1, 0), other, status(1, 0)];
        let replicas: Vec<ReplicaId> = ReplicaId::all(3).collect();
        let agree = |restarted| judge(&replicas, restarted, statuses.clone()).agree;
        assert_eq!(agree(ReplicaSet::EMPTY), Some(false));
        assert_eq!(agree(std::iter::once(ReplicaId(1)).collect()), Some(true));
    }

    #[test]
    fn what_the_replicas_applied_is_held_against_what_was_acknowledged() {
        let kept = |applied: &[u64], acknowledged, unknown| {
            let status = |writes: &u64| {
                let digest = Digest { writes: *writes, ..Digest::default() };
                ReplicaStatus { digest, ..ReplicaStatus::default() }
            };
            let statuses: Vec<_> = applied.iter().map(status).collect();
            let replicas: Vec<ReplicaId> = ReplicaId::all(statuses.len()).collect();
            let agreement = judge(&replicas, ReplicaSet::EMPTY, statuses);
            agreement.kept(Writes { acknowledged, unknown })
        };
        assert_eq!(kept(&[9, 9, 9], 9, 0), (0, 0, 0));
        assert_eq!(kept(&[9, 9, 9], 7, 2), (0, 0, 0), "both unknown ones took effect");
        assert_eq!(kept(&[9, 9, 9], 7, 1), (0, 1, 0));
        assert_eq!(kept(&[9, 6, 9], 9, 3), (3, 0, 1));
    }

    #[test]
    fn the_evidence_names_the_keys_that_differ() {
        let digest =
            |key: &[u8], order| KeyDigest { key: key.to_vec(), value: 1, order, writes: 2 };
        let one = vec![digest(b"a", 1), digest(b"b", 1)];
        let other = vec![digest(b"a", 1), digest(b"b", 9), digest(b"c", 1)];
        let keys = differences(&[one, other]);
        assert_eq!(keys.len(), 2);
        assert_eq!(keys[0]["key"], "b");
        assert_eq!(keys[0]["replicas"][1]["order_hash"], "0000000000000009");
        assert_eq!((&keys[1]["key"], &keys[1]["replicas"][0]), (&json!("c"), &Value::Null));
    }
}
