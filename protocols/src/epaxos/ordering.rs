//! The ordinary path: PreAccept, Accept, Commit. Steps 1 to 5 of the corrected protocol (STAR; S13 §4.3).

use super::{
    EPaxos,
    instance::{Initial, Leading},
    message::{Message, Phase, Record},
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
    /// Stores the proposal with what else conflicts here, and says with which dependencies.
    pub(super) fn on_pre_accept(
        &mut self,
        from: ReplicaId,
        instance: InstanceId,
        batch: Batch,
        initial_dependencies: Dependencies,
        effects: &mut Effects<Self>,
    ) {
        // Ballot 0 is the row's own, and no row can depend on its own future.
        if from != instance.row || batch.is_noop() {
            return;
        }
        let Some(entry) = self.rows[instance.row.index()].log.ensure(instance.slot) else {
            effects.reply(from, Message::Collected { instance });
            return;
        };
        if entry.ballot > InstanceBallot::INITIAL || entry.phase > Phase::PreAccepted {
            self.answer_late_request(from, instance, InstanceBallot::INITIAL, effects);
            return;
        }
        if entry.phase == Phase::PreAccepted {
            // A duplicate: the stored answer, never one worked out again, since others may rely on the first.
            let held = entry.dependencies.clone();
            let answer = match &entry.initial {
                Some(initial) => {
                    let more = (held != initial.dependencies).then_some(held);
                    Message::PreAcceptOk { instance, more }
                }
                // Overtaken by what was sent when the fast path was given up (published variant).
                None => Message::PreAcceptAgainOk {
                    instance,
                    ballot: InstanceBallot::INITIAL,
                    dependencies: held,
                },
            };
            effects.reply(from, answer);
            return;
        }

        // Known already if a Validate came first.
        let known = !entry.footprint.touches().is_empty();
        let footprint = if known { entry.footprint.clone() } else { batch.footprint() };
        let mut dependencies = initial_dependencies.clone();
        self.conflicts.add_dependencies(&footprint, &mut dependencies);
        // Of its own row the proposer knows everything before this slot; what is later depends on this slot instead.
        dependencies.set(instance.row, initial_dependencies.slot(instance.row));

        let entry = self.entry_mut(instance).expect("made above");
        entry.phase = Phase::PreAccepted;
        entry.batch = batch.clone();
        entry.dependencies = dependencies.clone();
        entry.initial =
            Some(Initial { batch: batch.clone(), dependencies: initial_dependencies.clone() });
        let more = (dependencies != initial_dependencies).then(|| dependencies.clone());
        self.rows[instance.row.index()].mention(instance.slot);
        if !known {
            self.learn_footprint(instance, footprint, effects);
        }
        self.note_seq(instance, &dependencies);
        self.mention(&dependencies, effects);
        self.watch_row(instance.row, effects);
        effects.persist(Record::PreAccepted {
            instance,
            batch,
            initial_dependencies,
            dependencies,
        });
        effects.reply(from, Message::PreAcceptOk { instance, more });
    }

    /// Counts an answer to the own proposal. Decides at the fast quorum; before that once the fast path is out of reach.
    pub(super) fn on_pre_accept_ok(
        &mut self,
        from: ReplicaId,
        instance: InstanceId,
        more: Option<&Dependencies>,
        effects: &mut Effects<Self>,
    ) {
        let quorums = self.quorums;
        if instance.row != self.id {
            return;
        }
        if self.variant() == Variant::Sosp13 {
            self.on_thrifty_ok(from, instance, more, effects);
            return;
        }
        let Some(entry) = self.entry_mut(instance) else { return };
        let Some(Leading::PreAccept { acks, equal, union }) = entry.leading.as_deref_mut() else {
            return; // Decided, in phase 2, or taken over at a higher ballot.
        };
        if !acks.insert(from) {
            return;
        }
        match more {
            None => *equal += 1,
            Some(more) => union.merge(more),
        }
        let (replies, differing) = (acks.len() + 1, acks.len() - *equal);
        let acks = *acks;
        if replies == quorums.fast() && differing == 0 {
            self.commit_fast(instance, effects);
        } else if replies == quorums.fast()
            || (replies >= quorums.slow()
                && (differing > quorums.fast_faults || self.lacks_fast_quorum(acks)))
        {
            self.take_slow_path(instance, effects);
        } else if replies == quorums.slow() {
            self.arm_fast_quorum_timer(effects);
        }
    }

    /// Every reply of a fast quorum had the proposed dependencies: they are decided.
    fn commit_fast(&mut self, instance: InstanceId, effects: &mut Effects<Self>) {
        let entry = self.entry(instance).expect("led here");
        let initial = entry.initial.clone().expect("proposed here");
        self.commit(instance, initial.batch, initial.dependencies, Path::Fast, effects);
        effects.send(self.others, Message::Commit { instance, batch: None, dependencies: None });
    }

    /// Goes on to phase 2 with the union of the replies.
    pub(super) fn take_slow_path(&mut self, instance: InstanceId, effects: &mut Effects<Self>) {
        let entry = self.entry_mut(instance).expect("led here");
        let Some(Leading::PreAccept { union, .. }) = entry.leading.as_deref_mut() else {
            unreachable!("the slow path follows phase 1");
        };
        let (batch, dependencies) = (entry.batch.clone(), std::mem::take(union));
        self.lead_accept(instance, batch, dependencies, Path::Slow, effects);
    }

    /// Proposes a tuple at the instance's current ballot, which this replica leads.
    pub(super) fn lead_accept(
        &mut self,
        instance: InstanceId,
        batch: Batch,
        dependencies: Dependencies,
        path: Path,
        effects: &mut Effects<Self>,
    ) {
        self.learn_command(instance, &batch, effects);
        self.mention(&dependencies, effects);
        let entry = self.entry_mut(instance).expect("led here");
        let ballot = entry.ballot;
        entry.phase = Phase::Accepted;
        entry.accepted_ballot = ballot;
        entry.batch = batch.clone();
        entry.dependencies = dependencies.clone();
        entry.leading = Some(Box::new(Leading::Accept { acks: ReplicaSet::EMPTY, path }));
        self.note_seq(instance, &dependencies);
        effects.persist(Record::Accepted {
            instance,
            ballot,
            batch: batch.clone(),
            dependencies: dependencies.clone(),
        });
        effects.send(self.others, Message::Accept { instance, ballot, batch, dependencies });
    }

    /// Stores a tuple at a ballot that is not below the promised one.
    pub(super) fn on_accept(
        &mut self,
        from: ReplicaId,
        instance: InstanceId,
        ballot: InstanceBallot,
        batch: Batch,
        dependencies: Dependencies,
        effects: &mut Effects<Self>,
    ) {
        if ballot.owner(instance.row, self.config.replicas) != from {
            return;
        }
        let Some(entry) = self.rows[instance.row.index()].log.ensure(instance.slot) else {
            effects.reply(from, Message::Collected { instance });
            return;
        };
        if entry.is_committed() || ballot < entry.ballot {
            self.answer_late_request(from, instance, ballot, effects);
            return;
        }
        if entry.phase == Phase::Accepted && entry.accepted_ballot == ballot {
            effects.reply(from, Message::AcceptOk { instance, ballot });
            return;
        }
        (entry.ballot, entry.accepted_ballot) = (ballot, ballot);
        entry.phase = Phase::Accepted;
        entry.batch = batch.clone();
        entry.dependencies = dependencies.clone();
        entry.leading = None;
        self.waiting.remove(&instance);
        self.yield_takeover(instance);
        self.learn_command(instance, &batch, effects);
        self.note_seq(instance, &dependencies);
        self.mention(&dependencies, effects);
        self.watch_row(instance.row, effects);
        effects.persist(Record::Accepted { instance, ballot, batch, dependencies });
        effects.reply(from, Message::AcceptOk { instance, ballot });
    }

    /// Counts an acceptance at the current ballot; a majority decides.
    pub(super) fn on_accept_ok(
        &mut self,
        from: ReplicaId,
        instance: InstanceId,
        ballot: InstanceBallot,
        effects: &mut Effects<Self>,
    ) {
        let slow = self.quorums.slow();
        let Some(entry) = self.entry_mut(instance) else { return };
        if entry.ballot != ballot {
            return; // An answer to an earlier ballot.
        }
        let Some(Leading::Accept { acks, path }) = entry.leading.as_deref_mut() else { return };
        if !acks.insert(from) || acks.len() + 1 != slow {
            return;
        }
        let (path, batch) = (*path, entry.batch.clone());
        let dependencies = entry.dependencies.clone();
        // The receivers of the proposal need not be sent the command again.
        let short = entry.initial.as_ref().is_some_and(|initial| initial.batch == batch);
        self.commit(instance, batch.clone(), dependencies.clone(), path, effects);
        effects.send(
            self.others,
            Message::Commit {
                instance,
                batch: (!short).then_some(batch),
                dependencies: Some(dependencies),
            },
        );
    }

    /// Takes a decision at any ballot: agreement makes it safe, and one that was overtaken would otherwise be lost.
    pub(super) fn on_commit(
        &mut self,
        from: ReplicaId,
        instance: InstanceId,
        batch: Option<Batch>,
        dependencies: Option<Dependencies>,
        effects: &mut Effects<Self>,
    ) {
        if self.rows[instance.row.index()].log.ensure(instance.slot).is_none() {
            self.owe_progress(); // Executed and collected, and the sender does not know it.
            return;
        }
        let entry = self.entry(instance).expect("made above");
        if entry.is_committed() {
            self.owe_progress(); // The sender does not know that we know.
            return;
        }
        let initial = entry.initial.as_ref();
        let batch = batch.or_else(|| initial.map(|initial| initial.batch.clone()));
        let batch = batch.or_else(|| self.proposed_batch(entry));
        let dependencies =
            dependencies.or_else(|| initial.map(|initial| initial.dependencies.clone()));
        let (Some(batch), Some(dependencies)) = (batch, dependencies) else {
            effects.reply(from, Message::Ask { instance });
            return;
        };
        self.mention(&dependencies, effects);
        self.commit(instance, batch, dependencies, Path::Learned, effects);
    }

    /// Sends the whole decision, if it is known.
    pub(super) fn on_ask(
        &mut self,
        from: ReplicaId,
        instance: InstanceId,
        effects: &mut Effects<Self>,
    ) {
        if !self.send_decision(ReplicaSet::only(from), instance, effects)
            && self.collected_to().contain(instance)
        {
            effects.reply(from, Message::Collected { instance });
        }
    }

    /// Sends the whole decision of `instance` to `to`, if it is known here; says whether it is.
    pub(super) fn send_decision(
        &self,
        to: ReplicaSet,
        instance: InstanceId,
        effects: &mut Effects<Self>,
    ) -> bool {
        let Some(entry) = self.entry(instance).filter(|entry| entry.is_committed()) else {
            return false;
        };
        let (batch, dependencies) = (entry.batch.clone(), entry.dependencies.clone());
        effects.send(
            to,
            Message::Commit { instance, batch: Some(batch), dependencies: Some(dependencies) },
        );
        true
    }

    /// Answers a request that cannot be granted: with the decision, with the ballot that stands against it, or with that
    /// nothing is held any more.
    pub(super) fn answer_late_request(
        &self,
        from: ReplicaId,
        instance: InstanceId,
        ballot: InstanceBallot,
        effects: &mut Effects<Self>,
    ) {
        if self.send_decision(ReplicaSet::only(from), instance, effects) {
            return;
        }
        match self.entry(instance) {
            Some(entry) if entry.ballot > ballot => {
                effects.reply(from, Message::Refused { instance, ballot: entry.ballot });
            }
            None if self.collected_to().contain(instance) => {
                effects.reply(from, Message::Collected { instance });
            }
            _ => {}
        }
    }
}
