//! The published variant: what differs from the corrected protocol (S13 §4.2, §4.3.1, basic recovery; two ballots as in SUT).
//!
//! A replica sends PreAccept to one *fast quorum* alone, itself and 2F−1 others, and commits on the
//! fast path if those have answered with identical dependencies, whatever was proposed. If one of
//! them does not answer in time, it *widens*: phase 1 goes to all others, and never is there a fast
//! path any more. A recovery takes what is accepted, else what F of its quorum hold identically as
//! parts of a fast path, else it begins phase 1 again at its own ballot, as widening does at ballot
//! 0.
//!
//! A replica's fast quorum is the same for every instance, as long as all of its members answer in
//! time. The replica that it leaves out takes the place of a silent one (`fast_quorum`); with two
//! silent ones an instance begins as if it had been widened. What follows needs the fast quorum of
//! an *instance* to be one set, chosen before anybody is asked.
//!
//! # Why a recovery finds what was committed fast, and chooses nothing else instead
//!
//! Let Q be the F+1 replicas that promised the recovery's ballot.
//!
//! * The owner is in Q: it did not commit on the fast path, and having promised it never will. (It would have answered with
//!   the decision, which it persists before it tells anybody.)
//! * The owner is not in Q: then Q are F+1 of the 2F others, of which 2F−1 belong to the instance's
//!   fast quorum. So F of them at least hold what was committed fast, if anything was, and report
//!   it: identical, and as parts of a fast path. For N ≥ 5 no second value can have F reports,
//!   since 2F > F+1. For N = 3 there is one member beside the owner, and only its report can count:
//!   what widening stores does not.
//! * If fewer than F are identical, nothing was committed fast, and nothing will be: some member of
//!   that quorum has promised not to answer any more. Any dependencies may be chosen that a
//!   majority has completed.
//!
//! There are two guards about widening, and one would do. Nobody commits fast once it has begun, so that what it stores is
//! never a part of a fast commit. And what it stores does not count, so that an owner which went on to count the answers to
//! its original PreAccepts would be recovered all the same. As published there is neither: at N = 3 two different answers may
//! stand, either of which may be what was committed fast.
//!
//! What F identical reports make a recovery choose need not have been committed fast. It is safe all the same: the owner
//! proposed a part of it, so that with the owner F+1 replicas knew the command and nothing conflicting before it beyond
//! those dependencies. A command that was decided without it was decided by another majority, one of which knew it.

use std::collections::BTreeMap;

use super::{
    EPaxos,
    instance::{Instance, Leading},
    message::{Message, Phase, Record, Report},
};
use crate::{
    ballot::InstanceBallot,
    command::Batch,
    dependencies::Dependencies,
    epaxos::Variant,
    id::{InstanceId, ReplicaId, ReplicaSet},
    replica::{Effects, Path},
};

impl EPaxos {
    /// Counts an answer to the own proposal. The last one of the fast quorum decides: identical
    /// answers are committed, of others the union goes on to phase 2. After widening it is one of
    /// any majority.
    pub(super) fn on_thrifty_ok(
        &mut self,
        from: ReplicaId,
        instance: InstanceId,
        more: Option<&Dependencies>,
        effects: &mut Effects<Self>,
    ) {
        let Some(entry) = self.entry(instance) else { return };
        if entry.ballot > InstanceBallot::INITIAL {
            return; // Taken over; if by this replica itself, the answer is one to an earlier phase 1.
        }
        let Some(initial) = &entry.initial else { return };
        let held = more.unwrap_or(&initial.dependencies).clone();
        match entry.leading.as_deref() {
            Some(Leading::Thrifty { .. }) => self.count_thrifty(from, instance, &held, effects),
            Some(Leading::PreAcceptAgain { .. }) => {
                self.count_again(from, instance, &held, effects);
            }
            _ => {}
        }
    }

    fn count_thrifty(
        &mut self,
        from: ReplicaId,
        instance: InstanceId,
        held: &Dependencies,
        effects: &mut Effects<Self>,
    ) {
        let fast = self.quorums.fast();
        let entry = self.entry_mut(instance).expect("led here");
        let Some(Leading::Thrifty { acks, identical, union, .. }) = entry.leading.as_deref_mut()
        else {
            unreachable!("looked at by the caller");
        };
        if !acks.insert(from) {
            return;
        }
        // Every answer contains the proposal, with which the union begins.
        if acks.len() == 1 {
            union.merge(held);
        }
        *identical &= union == held;
        union.merge(held);
        if acks.len() + 1 < fast {
            return;
        }
        if *identical {
            self.commit_identical(instance, effects);
        } else {
            self.end_phase_1(instance, effects);
        }
    }

    /// All of the fast quorum hold the same: that is decided.
    fn commit_identical(&mut self, instance: InstanceId, effects: &mut Effects<Self>) {
        let entry = self.entry_mut(instance).expect("led here");
        let Some(Leading::Thrifty { asked, union, .. }) = entry.leading.as_deref_mut() else {
            unreachable!("the fast path follows a thrifty phase 1");
        };
        let (asked, batch, decided) = (*asked, entry.batch.clone(), std::mem::take(union));
        self.mention(&decided, effects);
        self.commit(instance, batch.clone(), decided.clone(), Path::Fast, effects);
        // The others know nothing of the instance; and what all know was more than was proposed, perhaps.
        let strangers = self.others.difference(asked);
        for (to, batch) in [(asked, None), (strangers, Some(batch))] {
            let dependencies = Some(decided.clone());
            effects.send(to, Message::Commit { instance, batch, dependencies });
        }
    }

    /// The fast quorum did not answer in time: from now on a majority will do, and there is no fast
    /// path. What has been answered counts.
    pub(super) fn widen(&mut self, instance: InstanceId, effects: &mut Effects<Self>) {
        let entry = self.entry_mut(instance).expect("led here");
        let Some(Leading::Thrifty { acks, union, .. }) = entry.leading.as_deref_mut() else {
            return;
        };
        let (acks, union) = (*acks, std::mem::take(union));
        entry.leading = Some(Box::new(Leading::PreAcceptAgain { acks, union }));
        if acks.len() + 1 >= self.quorums.slow() {
            self.end_phase_1(instance, effects);
        } else {
            self.send_pre_accept_again(instance, self.others.difference(acks), effects);
        }
    }

    /// Asks `to` about phase 1 of `instance`, without a fast path, at the instance's ballot, which this replica leads.
    pub(super) fn send_pre_accept_again(
        &self,
        instance: InstanceId,
        to: ReplicaSet,
        effects: &mut Effects<Self>,
    ) {
        let entry = self.entry(instance).expect("led here");
        effects.send(
            to,
            Message::PreAcceptAgain {
                instance,
                ballot: entry.ballot,
                batch: entry.batch.clone(),
                dependencies: entry.dependencies.clone(),
            },
        );
    }

    /// Stores the instance as pre-accepted, and not as a part of a fast path, unless it is held as pre-accepted at this ballot
    /// already; says with which dependencies.
    pub(super) fn on_pre_accept_again(
        &mut self,
        from: ReplicaId,
        instance: InstanceId,
        ballot: InstanceBallot,
        batch: Batch,
        dependencies: &Dependencies,
        effects: &mut Effects<Self>,
    ) {
        if ballot.owner(instance.row, self.config.replicas) != from || batch.is_noop() {
            return;
        }
        let Some(entry) = self.rows[instance.row.index()].log.ensure(instance.slot) else {
            effects.reply(from, Message::Collected { instance });
            return;
        };
        if entry.is_committed() || entry.ballot > ballot {
            self.answer_late_request(from, instance, ballot, effects);
            return;
        }
        match entry.phase {
            Phase::PreAccepted if entry.pre_accepted_ballot == ballot => {}
            Phase::None | Phase::PreAccepted => {
                self.yield_takeover(instance);
                self.pre_accept_again(instance, ballot, batch, dependencies, effects);
            }
            // Either the request comes late, or it is of a recovery that this replica took no part in.
            Phase::Accepted | Phase::Committed => return,
        }
        let entry = self.entry(instance).expect("made above");
        let dependencies = entry.dependencies.clone();
        effects.reply(from, Message::PreAcceptAgainOk { instance, ballot, dependencies });
    }

    /// Phase 1 at `ballot`, which is promised with it: the dependencies given, and all that conflicts here.
    fn pre_accept_again(
        &mut self,
        instance: InstanceId,
        ballot: InstanceBallot,
        batch: Batch,
        given: &Dependencies,
        effects: &mut Effects<Self>,
    ) {
        self.learn_command(instance, &batch, effects);
        let entry = self.entry(instance).expect("made by the caller");
        let mut dependencies = given.clone();
        self.conflicts.add_dependencies(&entry.footprint, &mut dependencies);
        // As for a PreAccept: of its own row the proposer knew everything before this slot.
        dependencies.set(instance.row, given.slot(instance.row));
        let entry = self.entry_mut(instance).expect("made by the caller");
        (entry.ballot, entry.pre_accepted_ballot) = (ballot, ballot);
        entry.phase = Phase::PreAccepted;
        entry.batch = batch.clone();
        entry.dependencies = dependencies.clone();
        entry.leading = None;
        self.note_seq(instance, &dependencies);
        self.mention(&dependencies, effects);
        self.watch_row(instance.row, effects);
        effects.persist(Record::PreAcceptedAgain { instance, ballot, batch, dependencies });
    }

    /// Counts an answer to phase 1 without a fast path.
    pub(super) fn on_pre_accept_again_ok(
        &mut self,
        from: ReplicaId,
        instance: InstanceId,
        ballot: InstanceBallot,
        held: &Dependencies,
        effects: &mut Effects<Self>,
    ) {
        let Some(entry) = self.entry(instance) else { return };
        if entry.ballot != ballot {
            return; // An answer to an earlier ballot.
        }
        if matches!(entry.leading.as_deref(), Some(Leading::PreAcceptAgain { .. })) {
            self.count_again(from, instance, held, effects);
        }
    }

    fn count_again(
        &mut self,
        from: ReplicaId,
        instance: InstanceId,
        held: &Dependencies,
        effects: &mut Effects<Self>,
    ) {
        let slow = self.quorums.slow();
        let entry = self.entry_mut(instance).expect("led here");
        let Some(Leading::PreAcceptAgain { acks, union }) = entry.leading.as_deref_mut() else {
            unreachable!("looked at by the callers");
        };
        if !acks.insert(from) {
            return;
        }
        union.merge(held);
        if acks.len() + 1 == slow {
            self.end_phase_1(instance, effects);
        }
    }

    /// Phase 1 has come to no fast path: phase 2 follows, with the union of the answers.
    fn end_phase_1(&mut self, instance: InstanceId, effects: &mut Effects<Self>) {
        let entry = self.entry_mut(instance).expect("led here");
        let Some(Leading::Thrifty { union, .. } | Leading::PreAcceptAgain { union, .. }) =
            entry.leading.as_deref_mut()
        else {
            unreachable!("phase 1 has been led");
        };
        let (batch, dependencies) = (entry.batch.clone(), std::mem::take(union));
        let own = entry.ballot == InstanceBallot::INITIAL;
        let path = if own { Path::Slow } else { Path::Recovered };
        self.lead_accept(instance, batch, dependencies, path, effects);
    }

    /// What a recovery does of whose quorum nobody has accepted anything. (S13 §4.3.1, Figure 3, with the fast quorum 2F)
    pub(super) fn decide_published_recovery(
        &mut self,
        instance: InstanceId,
        reports: &BTreeMap<ReplicaId, Report>,
        effects: &mut Effects<Self>,
    ) {
        if !reports.contains_key(&instance.row)
            && let Some(report) = self.perhaps_committed_fast(reports)
        {
            let (batch, dependencies) = (report.batch.clone(), report.dependencies.clone());
            self.recover_with(instance, batch, dependencies, effects);
            return;
        }
        let known = || reports.values().filter(|report| report.phase == Phase::PreAccepted);
        let Some(first) = known().next() else {
            self.recover_with_noop(instance, effects);
            return;
        };
        let (batch, mut given) = (first.batch.clone(), first.dependencies.clone());
        known().for_each(|report| given.merge(&report.dependencies));
        let ballot = self.entry(instance).expect("led here").ballot;
        self.pre_accept_again(instance, ballot, batch, &given, effects);
        let entry = self.entry_mut(instance).expect("led here");
        let (acks, union) = (ReplicaSet::EMPTY, entry.dependencies.clone());
        entry.leading = Some(Box::new(Leading::PreAcceptAgain { acks, union }));
        self.send_pre_accept_again(instance, self.others, effects);
    }

    /// What F of the quorum, without the owner, hold identically as parts of a fast path.
    fn perhaps_committed_fast<'a>(
        &self,
        reports: &'a BTreeMap<ReplicaId, Report>,
    ) -> Option<&'a Report> {
        let parts = || {
            reports.values().filter(|report| {
                report.phase == Phase::PreAccepted && report.initial_dependencies.is_some()
            })
        };
        let identical =
            |to: &Report| parts().filter(|report| report.dependencies == to.dependencies).count();
        parts().find(|report| identical(report) >= self.quorums.faults)
    }

    /// The command that the row's replica proposed, as far as the variant's PreAcceptAgain and Accept tell it.
    pub(super) fn proposed_batch(&self, entry: &Instance) -> Option<Batch> {
        let published = self.variant() == Variant::Sosp13;
        (published && !entry.batch.is_noop()).then(|| entry.batch.clone())
    }
}
