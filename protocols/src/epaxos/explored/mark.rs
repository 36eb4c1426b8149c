//! The marks that are EPaxos' alone.

use crate::explored::Mark;

/// A recovery asked its quorum whether a fast commit can have been.
pub(super) const VALIDATED: Mark = Mark::Own(0);
/// A recovery waited for others to be decided.
pub(super) const WAITED: Mark = Mark::Own(1);
/// Phase 1 was begun without a fast path, in the published variant.
pub(super) const PHASE_ONE_AGAIN: Mark = Mark::Own(2);
/// A recovery's quorum had accepted something.
pub(super) const ACCEPTED_FOUND: Mark = Mark::Own(3);
/// A recovery's quorum had the owner in it, so that nothing was committed fast.
pub(super) const OWNER_HEARD: Mark = Mark::Own(4);
/// Too few of a recovery's quorum held the proposal that a fast commit would have left with them.
pub(super) const NOTHING_FOUND: Mark = Mark::Own(5);
/// Enough of the quorum held the proposal that a fast commit would have left, in the published
/// variant.
pub(super) const TRACES_FOUND: Mark = Mark::Own(6);
/// Nothing stood against the candidate.
pub(super) const NOTHING_AGAINST: Mark = Mark::Own(7);
/// A decision stood against the candidate.
pub(super) const REFUTED: Mark = Mark::Own(8);
/// The instance that stood against the candidate had its owner outside the quorum, and too few held
/// the candidate.
pub(super) const UNDECIDABLE: Mark = Mark::Own(9);
/// A wait ended, since more replicas hold the candidate of another recovery that waits.
pub(super) const OUTVOTED: Mark = Mark::Own(10);
/// A wait ended, since an instance that it waited for was decided without it.
pub(super) const WAIT_REFUTED: Mark = Mark::Own(11);
/// A wait ended, since nothing stands against the candidate any more.
pub(super) const WAIT_CLEARED: Mark = Mark::Own(12);
/// A wait ended, since a replica outside the quorum had accepted something.
pub(super) const WAIT_HEARD_ACCEPTED: Mark = Mark::Own(13);
/// A wait ended, since the owner answered.
pub(super) const WAIT_HEARD_OWNER: Mark = Mark::Own(14);

/// Their names in reports, in order.
pub(super) const NAMES: [&str; 15] = [
    "recovery validated",
    "recovery waited",
    "phase 1 begun again",
    "recovery found what was accepted",
    "recovery heard the owner",
    "recovery found no trace",
    "recovery found a fast commit's traces",
    "nothing stood against",
    "candidate refuted",
    "candidate ruled out",
    "wait ended by a wait",
    "wait ended by a decision against",
    "wait ended with the candidate",
    "wait ended by what was accepted",
    "wait ended by the owner",
];
