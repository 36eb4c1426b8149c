//! Finishing an instance in place of a replica that does not: steps 6 to 9 of the corrected protocol (STAR).

use std::collections::BTreeMap;

use super::{
    EPaxos,
    instance::{Candidate, Initial, Instance, Leading},
    message::{Message, Phase, Record, Report, Timer},
};
use crate::{
    ballot::InstanceBallot,
    command::{Batch, Footprint},
    config::doubled,
    dependencies::Dependencies,
    epaxos::Variant,
    id::{InstanceId, ReplicaId, ReplicaSet},
    replica::{Effects, Path},
};

/// chosen: an instance's timer range doubles at most so many times, unless the row's has to be longer.
const DOUBLINGS_MAX: u32 = 4;
/// chosen: a recovery that did not get on for so many runs of its timer begins again at a higher ballot, with whoever
/// answers then; its quorum may have lost a member.
const RUNS_PER_BALLOT: u32 = 3;

impl EPaxos {
    /// Step 6: asks everybody for what they hold, at a ballot above any seen.
    pub(super) fn begin_recovery(&mut self, instance: InstanceId, effects: &mut Effects<Self>) {
        let (id, n) = (self.id, self.config.replicas);
        let entry = self.entry_mut(instance).expect("made by the caller");
        let ballot = entry.ballot.next_for(id, n);
        entry.ballot = ballot;
        let reports = BTreeMap::from([(id, entry.report())]);
        entry.leading = Some(Box::new(Leading::Recover { reports }));
        self.waiting.remove(&instance);
        self.count_takeover();
        effects.persist(Record::Promised { instance, ballot });
        effects.send(self.others, Message::Recover { instance, ballot });
        self.set_instance_timer(instance, effects);
    }

    fn set_instance_timer(&mut self, instance: InstanceId, effects: &mut Effects<Self>) {
        let runs = *self.recoveries.entry(instance).or_insert(0);
        // No shorter than the row's, which has learnt how long messages take.
        let doublings = runs.min(DOUBLINGS_MAX).max(self.rows[instance.row.index()].patience);
        let period = doubled(self.config.timeouts.recovery, doublings);
        effects.set_timer(Timer::Instance(instance), period..=period * 2);
    }

    /// Drives a recovery on: sends again what is unanswered, or begins again.
    pub(super) fn on_instance_timer(&mut self, instance: InstanceId, effects: &mut Effects<Self>) {
        let Some(runs) = self.recoveries.get_mut(&instance) else { return };
        *runs += 1;
        let again = runs.is_multiple_of(RUNS_PER_BALLOT);
        let others = self.others;
        let Some(entry) = self.rows[instance.row.index()].log.ensure(instance.slot) else { return };
        let ballot = entry.ballot;
        match entry.leading.as_deref() {
            // Its own retransmission drives it.
            Some(Leading::PreAccept { .. } | Leading::Thrifty { .. }) => {}
            Some(Leading::PreAcceptAgain { .. }) if ballot == InstanceBallot::INITIAL => {}
            Some(Leading::PreAcceptAgain { acks, .. }) if !again => {
                let acks = *acks;
                self.send_pre_accept_again(instance, others.difference(acks), effects);
            }
            Some(Leading::Accept { acks, .. }) => {
                let to = others.difference(*acks);
                self.send_accept(instance, to, effects);
            }
            Some(Leading::Recover { reports }) if !again => {
                let answered = reports.keys().copied().collect();
                effects.send(others.difference(answered), Message::Recover { instance, ballot });
            }
            Some(Leading::Validate { candidate, acks }) if !again => {
                let to = others.intersection(candidate.quorum).difference(*acks);
                effects.send(to, validate(instance, ballot, candidate));
            }
            Some(Leading::Wait { candidate }) if !again => {
                let outside = others.difference(candidate.quorum);
                effects.send(outside, Message::Recover { instance, ballot });
                effects.send(others, waiting(instance, candidate));
            }
            Some(
                Leading::Recover { .. }
                | Leading::PreAcceptAgain { .. }
                | Leading::Validate { .. }
                | Leading::Wait { .. },
            )
            | None => {
                self.begin_recovery(instance, effects);
                return;
            }
        }
        self.set_instance_timer(instance, effects);
    }

    /// Promises a ballot and says what is held; `accepted_ballot` is not touched.
    pub(super) fn on_recover(
        &mut self,
        from: ReplicaId,
        instance: InstanceId,
        ballot: InstanceBallot,
        effects: &mut Effects<Self>,
    ) {
        if ballot == InstanceBallot::INITIAL
            || ballot.owner(instance.row, self.config.replicas) != from
        {
            return;
        }
        let row = &mut self.rows[instance.row.index()];
        row.mention(instance.slot);
        let Some(entry) = row.log.ensure(instance.slot) else {
            // Never "none": the sender would take what is executed here for something that never was.
            effects.reply(from, Message::Collected { instance });
            return;
        };
        if entry.is_committed() || ballot < entry.ballot {
            self.answer_late_request(from, instance, ballot, effects);
            return;
        }
        let report = Box::new(entry.report());
        self.promise(instance, ballot, effects);
        effects.reply(from, Message::RecoverOk { instance, ballot, report });
        self.watch_row(instance.row, effects);
    }

    /// Takes part in no ballot below `ballot` any more, and leads none.
    fn promise(
        &mut self,
        instance: InstanceId,
        ballot: InstanceBallot,
        effects: &mut Effects<Self>,
    ) {
        let entry = self.entry_mut(instance).expect("made by the caller");
        if ballot > entry.ballot {
            entry.ballot = ballot;
            entry.leading = None;
            self.waiting.remove(&instance);
            self.yield_takeover(instance);
            effects.persist(Record::Promised { instance, ballot });
        }
    }

    /// Collects promises; a majority of them decides what can be done. One that comes late may end a wait.
    pub(super) fn on_recover_ok(
        &mut self,
        from: ReplicaId,
        instance: InstanceId,
        ballot: InstanceBallot,
        report: Report,
        effects: &mut Effects<Self>,
    ) {
        let slow = self.quorums.slow();
        let Some(entry) = self.entry(instance) else { return };
        if entry.ballot != ballot {
            // An answer to an earlier ballot of this replica's, which it gave up or was preempted at.
            self.suspected_too_soon(instance.row);
            return;
        }
        if from == instance.row {
            self.suspected_too_soon(from);
        }
        let entry = self.entry_mut(instance).expect("checked above");
        match entry.leading.as_deref_mut() {
            Some(Leading::Recover { reports }) => {
                reports.entry(from).or_insert(report);
                if reports.len() == slow {
                    let reports = std::mem::take(reports);
                    self.decide_recovery(instance, &reports, effects);
                }
            }
            Some(Leading::Wait { candidate }) if !candidate.quorum.contains(from) => {
                if report.phase == Phase::Accepted {
                    self.recover_with(instance, report.batch, report.dependencies, effects);
                } else if from == instance.row {
                    self.recover_with_noop(instance, effects);
                }
            }
            _ => {}
        }
    }

    /// Rules 6b to 6e. (6a needs no rule: a replica that knows the decision answers with it.)
    fn decide_recovery(
        &mut self,
        instance: InstanceId,
        reports: &BTreeMap<ReplicaId, Report>,
        effects: &mut Effects<Self>,
    ) {
        let newest = reports.values().map(|report| report.accepted_ballot).max();
        let accepted = reports.values().find(|report| {
            report.phase == Phase::Accepted && Some(report.accepted_ballot) == newest
        });
        if let Some(report) = accepted {
            let (batch, dependencies) = (report.batch.clone(), report.dependencies.clone());
            self.recover_with(instance, batch, dependencies, effects);
            return;
        }
        if self.variant() == Variant::Sosp13 {
            self.decide_published_recovery(instance, reports, effects);
            return;
        }
        if reports.contains_key(&instance.row) {
            // The row's replica did not commit it, and having promised it never will.
            self.recover_with_noop(instance, effects);
            return;
        }
        let matching: Vec<_> = reports
            .values()
            .filter(|report| {
                report.phase == Phase::PreAccepted
                    && report.initial_dependencies.as_ref() == Some(&report.dependencies)
            })
            .collect();
        let enough = || matching.len() >= self.matching_min();
        let Some(first) = matching.first().filter(|_| enough()) else {
            self.recover_with_noop(instance, effects);
            return;
        };
        let candidate = Candidate {
            batch: first.batch.clone(),
            dependencies: first.dependencies.clone(),
            quorum: reports.keys().copied().collect(),
            matching: matching.len(),
            against: BTreeMap::new(),
        };
        self.begin_validation(instance, candidate, effects);
    }

    /// |Q|−E for the recovery quorums used here, of N−F replicas: how many of them at least had the proposed dependencies if
    /// these were committed on the fast path.
    fn matching_min(&self) -> usize {
        self.quorums.slow() - self.quorums.fast_faults
    }

    /// Step 7: asks the quorum whether anything stands against the candidate.
    fn begin_validation(
        &mut self,
        instance: InstanceId,
        mut candidate: Candidate,
        effects: &mut Effects<Self>,
    ) {
        self.store_validated(instance, &candidate.batch, &candidate.dependencies, effects);
        let footprint = candidate.batch.footprint();
        candidate.against = self
            .standing_against(instance, &footprint, &candidate.dependencies)
            .into_iter()
            .collect();
        let entry = self.entry_mut(instance).expect("led here");
        let message = validate(instance, entry.ballot, &candidate);
        let to = candidate.quorum.difference(ReplicaSet::only(self.id));
        let entry = self.entry_mut(instance).expect("led here");
        entry.leading = Some(Box::new(Leading::Validate { candidate, acks: ReplicaSet::EMPTY }));
        effects.send(to, message);
    }

    /// Stores what the row's replica proposed, and answers with what stands against it.
    pub(super) fn on_validate(
        &mut self,
        from: ReplicaId,
        instance: InstanceId,
        ballot: InstanceBallot,
        batch: &Batch,
        dependencies: &Dependencies,
        effects: &mut Effects<Self>,
    ) {
        let Some(entry) = self.entry(instance) else {
            self.answer_late_request(from, instance, ballot, effects);
            return;
        };
        if entry.is_committed() || ballot < entry.ballot {
            self.answer_late_request(from, instance, ballot, effects);
            return;
        }
        // Once something is accepted a Validate at the same ballot is a duplicate: taking it would overwrite a no-op.
        if ballot > entry.ballot || entry.phase > Phase::PreAccepted {
            return;
        }
        self.store_validated(instance, batch, dependencies, effects);
        let against = self.standing_against(instance, &batch.footprint(), dependencies);
        effects.reply(from, Message::ValidateOk { instance, ballot, against });
    }

    /// Phase, dependencies and accepted ballot stay.
    fn store_validated(
        &mut self,
        instance: InstanceId,
        batch: &Batch,
        dependencies: &Dependencies,
        effects: &mut Effects<Self>,
    ) {
        self.learn_command(instance, batch, effects);
        let entry = self.entry_mut(instance).expect("promised, so held");
        if entry.initial.is_none() {
            entry.batch = batch.clone();
            entry.initial =
                Some(Initial { batch: batch.clone(), dependencies: dependencies.clone() });
            effects.persist(Record::Validated {
                instance,
                batch: batch.clone(),
                initial_dependencies: dependencies.clone(),
            });
        }
        self.mention(dependencies, effects);
    }

    /// The conflicting instances outside `dependencies` that do not, or cannot be seen to, depend on `instance`.
    fn standing_against(
        &self,
        instance: InstanceId,
        footprint: &Footprint,
        dependencies: &Dependencies,
    ) -> Vec<(InstanceId, Phase)> {
        let mut against = Vec::new();
        for row in ReplicaId::all(self.config.replicas) {
            let log = &self.rows[row.index()].log;
            let depended_on = dependencies.slot(row);
            // What is collected was executed here, before `instance` was even decided: it does not depend on it.
            let collected = self.conflicts.collected_conflict(footprint, row);
            if collected > depended_on {
                against.push((InstanceId::new(row, collected), Phase::Committed));
            }
            // Every command in the log is in the index, so nothing above what the index knows conflicts.
            let known = self.conflicts.known_conflict(footprint, row);
            for slot in depended_on.max(log.collected()) + 1..=log.last().min(known) {
                let other = InstanceId::new(row, slot);
                let entry = log.get(slot).expect("within the log");
                if other != instance
                    && entry.footprint.conflicts(footprint)
                    && stands_against(entry, instance)
                {
                    against.push((other, entry.phase));
                }
            }
        }
        against
    }

    /// Collects what stands against the candidate, from exactly all of the quorum.
    pub(super) fn on_validate_ok(
        &mut self,
        from: ReplicaId,
        instance: InstanceId,
        ballot: InstanceBallot,
        against: Vec<(InstanceId, Phase)>,
        effects: &mut Effects<Self>,
    ) {
        let own = ReplicaSet::only(self.id);
        let Some(entry) = self.entry_mut(instance) else { return };
        if entry.ballot != ballot {
            return; // An answer to an earlier ballot.
        }
        let Some(Leading::Validate { candidate, acks }) = entry.leading.as_deref_mut() else {
            return;
        };
        if !candidate.quorum.contains(from) || !acks.insert(from) {
            return;
        }
        for (other, phase) in against {
            let heard = candidate.against.entry(other).or_insert(phase);
            *heard = phase.max(*heard);
        }
        if acks.union(own) == candidate.quorum {
            self.judge_candidate(instance, effects);
        }
    }

    /// Step 8.
    fn judge_candidate(&mut self, instance: InstanceId, effects: &mut Effects<Self>) {
        let matching_min = self.matching_min();
        let entry = self.entry_mut(instance).expect("led here");
        let Some(Leading::Validate { candidate, .. }) =
            entry.leading.take().map(|leading| *leading)
        else {
            unreachable!("validated before it is judged");
        };
        if candidate.against.is_empty() {
            self.recover_with(instance, candidate.batch, candidate.dependencies, effects);
            return;
        }
        let refuted = candidate.against.values().any(|phase| *phase == Phase::Committed);
        let undecidable = candidate.matching == matching_min
            && candidate.against.keys().any(|other| !candidate.quorum.contains(other.row));
        if refuted || undecidable {
            self.recover_with_noop(instance, effects);
            return;
        }
        effects.send(self.others, waiting(instance, &candidate));
        let (matching, against) = (candidate.matching, candidate.against.clone());
        let entry = self.entry_mut(instance).expect("led here");
        entry.leading = Some(Box::new(Leading::Wait { candidate }));
        self.waiting.insert(instance);
        self.hear_waiting(instance, matching);
        for other in against.into_keys() {
            if !self.is_in_reach(other) {
                continue;
            }
            let Some(entry) = self.rows[other.row.index()].log.ensure(other.slot) else { continue };
            if !entry.is_committed() && !self.recoveries.contains_key(&other) {
                self.set_instance_timer(other, effects);
            }
        }
        self.check_waiting(effects);
    }

    /// Another recovery waits: that may end one of ours.
    pub(super) fn on_waiting(
        &mut self,
        instance: InstanceId,
        matching: u8,
        effects: &mut Effects<Self>,
    ) {
        let held = self.rows[instance.row.index()].log.ensure(instance.slot);
        if held.is_some_and(|entry| !entry.is_committed()) {
            self.hear_waiting(instance, usize::from(matching));
            self.check_waiting(effects);
        }
    }

    fn hear_waiting(&mut self, instance: InstanceId, matching: usize) {
        let heard = self.heard_waiting.entry(instance).or_insert(matching);
        *heard = matching.max(*heard);
    }

    /// Looks at every waiting recovery again.
    pub(super) fn check_waiting(&mut self, effects: &mut Effects<Self>) {
        let waiting: Vec<_> = self.waiting.iter().copied().collect();
        for instance in waiting {
            match self.end_of_wait(instance) {
                None => {}
                Some(EndOfWait::NoOp) => self.recover_with_noop(instance, effects),
                Some(EndOfWait::Candidate(batch, dependencies)) => {
                    self.recover_with(instance, batch, dependencies, effects);
                }
            }
        }
    }

    fn end_of_wait(&self, instance: InstanceId) -> Option<EndOfWait> {
        let entry = self.entry(instance)?;
        let Some(Leading::Wait { candidate }) = entry.leading.as_deref() else { return None };
        let q = self.quorums;
        let outvoted = q.replicas - q.faults - q.fast_faults;
        let footprint = candidate.batch.footprint();
        let mut open = false;
        for other in candidate.against.keys() {
            if self.heard_waiting.get(other).is_some_and(|matching| *matching > outvoted) {
                return Some(EndOfWait::NoOp);
            }
            let log = &self.rows[other.row.index()].log;
            match log.get(other.slot) {
                None if other.slot <= log.collected() => {
                    // Executed everywhere and collected: without `instance` if it was a command, or as a no-op.
                    let collected = self.conflicts.collected_conflict(&footprint, other.row);
                    if collected > candidate.dependencies.slot(other.row) {
                        return Some(EndOfWait::NoOp);
                    }
                }
                None => open = true, // Known to others only, as yet.
                Some(entry) if !entry.is_committed() => open = true,
                Some(entry) if stands_against(entry, instance) => return Some(EndOfWait::NoOp),
                Some(_) => {}
            }
        }
        (!open)
            .then(|| EndOfWait::Candidate(candidate.batch.clone(), candidate.dependencies.clone()))
    }

    pub(super) fn recover_with_noop(&mut self, instance: InstanceId, effects: &mut Effects<Self>) {
        let none = self.no_dependencies();
        self.recover_with(instance, Batch::NOOP, none, effects);
    }

    /// Proposes what the recovery came to, at its ballot.
    pub(super) fn recover_with(
        &mut self,
        instance: InstanceId,
        batch: Batch,
        dependencies: Dependencies,
        effects: &mut Effects<Self>,
    ) {
        self.waiting.remove(&instance);
        self.lead_accept(instance, batch, dependencies, Path::Recovered, effects);
    }

    /// Somebody has promised a higher ballot: whatever this replica led there is over.
    pub(super) fn on_refused(
        &mut self,
        instance: InstanceId,
        ballot: InstanceBallot,
        effects: &mut Effects<Self>,
    ) {
        if self.entry(instance).is_some_and(|entry| !entry.is_committed()) {
            self.promise(instance, ballot, effects);
            self.watch_row(instance.row, effects);
        }
    }

    /// `instance` is decided: whatever was done about it ends, and others may go on.
    pub(super) fn end_recovery(&mut self, instance: InstanceId, effects: &mut Effects<Self>) {
        self.forget_recovery(instance, effects);
        if !self.waiting.is_empty() {
            self.check_waiting(effects);
        }
        self.go_on_with_takeover(instance, effects);
    }
}

enum EndOfWait {
    NoOp,
    Candidate(Batch, Dependencies),
}

/// Is `entry`, which conflicts with `instance` and is not among its dependencies, without `instance` among its own?
fn stands_against(entry: &Instance, instance: InstanceId) -> bool {
    if entry.is_committed() {
        return !entry.batch.is_noop() && !entry.dependencies.contain(instance);
    }
    entry.initial.as_ref().is_some_and(|initial| !initial.dependencies.contain(instance))
}

fn validate(instance: InstanceId, ballot: InstanceBallot, candidate: &Candidate) -> Message {
    Message::Validate {
        instance,
        ballot,
        batch: candidate.batch.clone(),
        dependencies: candidate.dependencies.clone(),
    }
}

fn waiting(instance: InstanceId, candidate: &Candidate) -> Message {
    let matching = u8::try_from(candidate.matching).expect("at most 64 replicas");
    Message::Waiting { instance, matching }
}
