//! Catching up by snapshot: what a replica does that lacks what others have collected. (PROTOCOLS of the design, Collecting)
//!
//! Who is asked about a collected instance answers `Collected`; the asker stops what it led there and fetches a snapshot
//! from who answered, piece by piece. A snapshot is the machine's state with [`Core`]: what was executed to make it. The
//! receiver keeps its own ballots and values of everything that is not in it, and executes again what it had executed and
//! the snapshot lacks. The graph puts that in the old order as far as it matters: the order of conflicting commands is a
//! function of what is committed.
//!
//! A checkpoint is a snapshot that a replica takes of itself, for its own next life. The log stays as long as it is: what is
//! executed and not collected is part of what is persisted beside it. If a restart collected it, two replicas could each have
//! collected what the other lacks, and neither could take the other's snapshot (`progress` says why that must not be).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    EPaxos,
    conflicts::Marks,
    graph::ExecutionGraph,
    instance::Instance,
    message::{Message, Phase, Record, Timer},
};
use crate::{
    ballot::InstanceBallot,
    command::Batch,
    dependencies::Dependencies,
    id::{InstanceId, ReplicaId},
    key_map::KeyHash,
    replica::{Effect, Effects, Path, Snapshot},
    transfer::{Answer, Assembled, Assembly, Piece, Supply},
};

/// chosen: after so many retransmission periods without a piece the fetch is given up; whoever answers `Collected` next is
/// asked instead.
const PATIENCE_PERIODS: u32 = 3;

/// The core's part of a snapshot: what the machine's state contains, and what later commands have to know of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Core {
    /// Per row: every slot up to here is executed.
    pub(super) executed: Dependencies,
    /// Per row: every slot up to here is gone from the log. In a snapshot for others all that is executed; in a checkpoint
    /// the executed slots above are on record beside it.
    pub(super) collected: Dependencies,
    /// What is executed above that, with its decision.
    pub(super) above: Vec<(InstanceId, Batch, Dependencies)>,
    /// The conflict index of the commands up to `collected`.
    pub(super) conflicts: Vec<(KeyHash, Marks)>,
}

impl Core {
    /// The core's part of a snapshot that a replica of `replicas` was given; none if it is no such thing.
    fn decode(bytes: &[u8], replicas: usize) -> Option<Self> {
        let core: Self = postcard::from_bytes(bytes).ok()?;
        let known = |(instance, _, dependencies): &(InstanceId, Batch, Dependencies)| {
            instance.row.index() < replicas
                && instance.slot > core.executed.slot(instance.row)
                && dependencies.rows() == replicas
                && !dependencies.contain(*instance)
        };
        let sound = core.executed.rows() == replicas
            && core.collected.rows() == replicas
            && core.collected.iter().all(|upto| core.executed.contain(upto))
            && core.above.iter().all(known)
            && core.conflicts.iter().all(|(_, marks)| marks.rows() == replicas);
        sound.then_some(core)
    }

    /// Can another replica go on from it, without the records of the one that took it?
    fn is_for_others(&self) -> bool {
        self.collected == self.executed
    }

    /// Does the snapshot contain the execution of `instance`?
    fn contains(&self, instance: InstanceId) -> bool {
        self.executed.contain(instance) || self.above.iter().any(|(other, ..)| *other == instance)
    }
}

/// Both ends of a snapshot's way to another replica.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Snapshots {
    supply: Supply,
    /// What the snapshot on offer has executed of each row.
    offered: Dependencies,
    /// The core's part of the snapshot whose machine state was asked for.
    capturing: Option<(Dependencies, Arc<[u8]>)>,
    fetch: Option<Fetch>,
}

/// A snapshot on its way here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Fetch {
    source: ReplicaId,
    assembly: Assembly,
    /// Runs of the retransmission timer since the last piece.
    silent_periods: u32,
}

impl Snapshots {
    /// What both ends hold, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.supply.bytes() + self.fetch.as_ref().map_or(0, |fetch| fetch.assembly.bytes())
    }

    /// Is a snapshot on its way here?
    pub(super) fn is_fetching(&self) -> bool {
        self.fetch.is_some()
    }
}

impl EPaxos {
    /// `from` has executed and collected `instance`. If it is not known here, neither it nor what came before it will come
    /// one by one any more.
    pub(super) fn on_collected(
        &mut self,
        from: ReplicaId,
        instance: InstanceId,
        effects: &mut Effects<Self>,
    ) {
        // The answer to an old question.
        if self.graph.is_executed(instance)
            || self.entry(instance).is_some_and(Instance::is_committed)
        {
            return;
        }
        if let Some(entry) = self.entry_mut(instance) {
            entry.leading = None;
        }
        self.forget_recovery(instance, effects);
        if self.snapshots.is_fetching() {
            return;
        }
        self.taking_over.clear();
        let (source, assembly) = (from, Assembly::default());
        self.snapshots.fetch = Some(Fetch { source, assembly, silent_periods: 0 });
        self.ask_for_piece(effects);
    }

    fn ask_for_piece(&mut self, effects: &mut Effects<Self>) {
        let Some(fetch) = &self.snapshots.fetch else { return };
        let (snapshot, offset) = fetch.assembly.wanted();
        effects.reply(fetch.source, Message::Fetch { snapshot, offset });
        self.arm_retransmission(effects);
    }

    /// Sends a piece of a snapshot, which is taken first if there is none that the logs here can continue.
    pub(super) fn on_fetch(
        &mut self,
        from: ReplicaId,
        snapshot: u64,
        offset: u64,
        effects: &mut Effects<Self>,
    ) {
        let collected = self.collected_to();
        let continued = self.snapshots.offered.rows() == collected.rows()
            && collected.iter().all(|upto| self.snapshots.offered.contain(upto));
        // Names of snapshots say nothing about rows: the bound is either met by all of them or by none.
        let name_min = if continued { 0 } else { u64::MAX };
        let name = self.graph.executed_count();
        let bytes_max = self.config.piece_bytes_max;
        let wanted = (snapshot, offset);
        match self.snapshots.supply.request(from, wanted, name_min, name, bytes_max) {
            Answer::Piece(piece) => effects.reply(from, Message::Piece(piece)),
            Answer::Wait => {}
            Answer::Capture => {
                let core = self.core_collected(self.executed_to());
                let bytes = postcard::to_stdvec(&core).expect("a vector takes every byte");
                self.snapshots.capturing = Some((core.executed, bytes.into()));
                effects.push(Effect::Capture);
            }
        }
    }

    /// What is executed here, as of now: between two components, since those are executed whole. Of that, what is up to
    /// `collected` is left out of the log of whoever goes on from it.
    fn core_collected(&self, collected: Dependencies) -> Core {
        let executed = self.executed_to();
        let (mut below, mut above) = (Vec::new(), Vec::new());
        for row in ReplicaId::all(self.config.replicas) {
            for (slot, entry) in self.rows[row.index()].log.iter() {
                let instance = InstanceId::new(row, slot);
                if collected.contain(instance) {
                    if !entry.batch.is_noop() {
                        below.push((instance, &entry.footprint, &entry.dependencies));
                    }
                } else if !executed.contain(instance) && self.graph.is_executed(instance) {
                    above.push((instance, entry.batch.clone(), entry.dependencies.clone()));
                }
            }
        }
        Core { executed, collected, above, conflicts: self.conflicts.collected_with(&below) }
    }

    /// A new life may begin with the state as it is now, and with the log as it is now.
    pub(super) fn on_checkpoint(&self, machine: Arc<[u8]>, effects: &mut Effects<Self>) {
        let core = self.core_collected(self.collected_to());
        let core = postcard::to_stdvec(&core).expect("a vector takes it");
        effects.push(Effect::Checkpoint(Snapshot { machine, core: core.into() }));
        self.persist_again(effects);
    }

    /// The machine's state has come: with the core's part it is the snapshot that others wait for.
    pub(super) fn on_captured(&mut self, machine: Arc<[u8]>, effects: &mut Effects<Self>) {
        let (executed, core) = self.snapshots.capturing.take().expect("asked for in on_fetch");
        self.snapshots.offered = executed;
        let whole = postcard::to_stdvec(&Snapshot { machine, core }).expect("a vector takes it");
        let (waiting, first) = self.snapshots.supply.captured(whole.into());
        effects.send(waiting, Message::Piece(first));
        self.arm_retransmission(effects);
    }

    pub(super) fn on_piece(&mut self, from: ReplicaId, piece: &Piece, effects: &mut Effects<Self>) {
        let Some(fetch) = self.snapshots.fetch.as_mut().filter(|fetch| fetch.source == from) else {
            return;
        };
        match fetch.assembly.add(piece) {
            Assembled::Ignored => {}
            Assembled::More => {
                fetch.silent_periods = 0;
                self.ask_for_piece(effects);
            }
            Assembled::Whole(_, bytes) => {
                self.snapshots.fetch = None;
                // What does not decode, or comes too late, is given up; whoever is asked next answers again.
                if let Ok(snapshot) = postcard::from_bytes::<Snapshot>(&bytes)
                    && let Some(core) = Core::decode(&snapshot.core, self.config.replicas)
                    && core.is_for_others()
                    && self.can_install(&core)
                {
                    self.install(snapshot, core, effects);
                }
            }
        }
    }

    /// Has the snapshot executed everything that can no longer be executed again here, and something new?
    fn can_install(&self, core: &Core) -> bool {
        let collected = self.collected_to();
        let nothing_lost = collected.iter().all(|upto| core.executed.contain(upto));
        let new = |row| core.executed.slot(row) > self.graph.executed_to(row);
        nothing_lost && ReplicaId::all(self.config.replicas).any(new)
    }

    /// Goes on from the snapshot. Ballots and values of what it does not contain stay as they are.
    fn install(&mut self, snapshot: Snapshot, core: Core, effects: &mut Effects<Self>) {
        effects.push(Effect::Install(snapshot));
        self.installs.0 += 1;
        let unanswered = self.own_unexecuted_in(&core);
        self.take_up(&core);
        for (instance, batch, dependencies) in core.above {
            self.take_decision_of_snapshot(instance, batch, dependencies, effects);
        }
        self.forget_decided(effects);
        self.persist_again(effects);
        self.execute_again(effects);
        self.window.free_all();
        for row in ReplicaId::all(self.config.replicas) {
            self.watch_row(row, effects);
        }
        self.owe_progress();
        self.arm_retransmission(effects);
        // The snapshot contains their effect, if they had one, and not the answers. Executed once more they bring the answers
        // and no second effect.
        for batch in unanswered {
            self.propose(batch, effects);
        }
        self.check_waiting(effects);
    }

    /// The own batches of this life that the snapshot has decided and that were not executed here.
    fn own_unexecuted_in(&self, core: &Core) -> Vec<Batch> {
        let own = self.own_row();
        let unanswered = own.log.iter().filter(|(slot, _)| {
            let instance = InstanceId::new(self.id, *slot);
            *slot > self.earlier_lives_to
                && core.contains(instance)
                && !self.graph.is_executed(instance)
        });
        // A no-op that took the place of an own command had it proposed again when it was committed.
        unanswered
            .filter(|(_, entry)| !(entry.is_committed() && entry.batch.is_noop()))
            .filter_map(|(_, entry)| entry.initial.as_ref().map(|initial| initial.batch.clone()))
            .collect()
    }

    /// Begins the logs, the conflict index and the graph after what `core` contains. For a replica that begins its life
    /// with a snapshot, and for one that installs it later.
    pub(super) fn take_up(&mut self, core: &Core) {
        let above = core.above.iter().map(|(instance, ..)| *instance);
        let counts = self.graph.counts();
        let execution = self.config.options.of();
        self.graph = ExecutionGraph::resumed(execution, &core.executed, above, counts);
        self.conflicts.merge_collected(&core.conflicts);
        for row in ReplicaId::all(self.config.replicas) {
            let executed = core.executed.slot(row);
            let state = &mut self.rows[row.index()];
            state.mention(executed);
            state.log.collect(core.collected.slot(row));
            state.committed_to = state.committed_to.max(executed);
            state.advance_committed();
        }
        for (instance, batch, dependencies) in &core.above {
            let entry = self.rows[instance.row.index()].log.ensure(instance.slot);
            let entry = entry.expect("above what is collected");
            entry.footprint = batch.footprint();
            self.conflicts.insert(*instance, &entry.footprint);
            self.conflicts.note_seq(&entry.footprint, dependencies);
            for upto in dependencies.iter() {
                self.rows[upto.row.index()].mention(upto.slot);
            }
            self.rows[instance.row.index()].mention(instance.slot);
        }
    }

    /// What the snapshot says was decided above the executed prefix of its row.
    fn take_decision_of_snapshot(
        &mut self,
        instance: InstanceId,
        batch: Batch,
        dependencies: Dependencies,
        effects: &mut Effects<Self>,
    ) {
        let row = &mut self.rows[instance.row.index()];
        let entry = row.log.get_mut(instance.slot).expect("made in take_up");
        if entry.decide(&batch, &dependencies) {
            row.advance_committed();
            let path = Path::Learned;
            effects.push(Effect::Committed { instance, batch, dependencies, path });
        }
    }

    /// Persists what is held of the instances that the snapshot does not contain once more, so that nothing recorded before
    /// it is needed any more.
    fn persist_again(&self, effects: &mut Effects<Self>) {
        for row in ReplicaId::all(self.config.replicas) {
            for (slot, entry) in self.rows[row.index()].log.iter() {
                persist_entry(InstanceId::new(row, slot), entry, effects);
            }
        }
    }

    /// Fills the new graph with what is known here, which executes again what the snapshot lacks.
    fn execute_again(&mut self, effects: &mut Effects<Self>) {
        for row in ReplicaId::all(self.config.replicas) {
            let first = self.rows[row.index()].log.collected() + 1;
            for slot in first..=self.rows[row.index()].log.last() {
                self.enter_into_graph(InstanceId::new(row, slot));
            }
        }
        self.execute_closed(effects);
    }

    /// A run of the retransmission timer: asks for the next piece again, or gives the source up. Keeps a snapshot on offer as
    /// long as pieces are asked for. True if the timer has to go on.
    pub(super) fn drive_snapshots(&mut self, effects: &mut Effects<Self>) -> bool {
        let kept = self.snapshots.supply.keep_if_asked();
        if !kept {
            self.snapshots.offered = Dependencies::default();
        }
        let Some(fetch) = &mut self.snapshots.fetch else { return kept };
        fetch.silent_periods += 1;
        match fetch.silent_periods {
            // The request may have left just before the period ended.
            1 => {}
            2..=PATIENCE_PERIODS => self.ask_for_piece(effects),
            _ => self.snapshots.fetch = None,
        }
        true
    }

    /// Per row: what has left the log.
    pub(super) fn collected_to(&self) -> Dependencies {
        self.rows.iter().map(|row| row.log.collected()).collect()
    }

    /// The state of a replica that begins its life with `snapshot`, before the records of its own that came with it.
    pub(super) fn begin_with(&mut self, snapshot: &Snapshot) {
        let core = Core::decode(&snapshot.core, self.config.replicas)
            .expect("the driver keeps the snapshots that this core gave it as they are");
        self.take_up(&core);
        for (instance, batch, dependencies) in &core.above {
            let row = &mut self.rows[instance.row.index()];
            let entry = row.log.get_mut(instance.slot).expect("made in take_up");
            entry.decide(batch, dependencies);
            row.advance_committed();
        }
    }

    /// Of what the replica's snapshot has executed everything that is not collected came back with the records.
    pub(super) fn assert_executed_is_held(&self) {
        for (row, state) in ReplicaId::all(self.config.replicas).zip(&self.rows) {
            for slot in state.log.collected() + 1..=self.graph.executed_to(row) {
                let entry = state.log.get(slot);
                assert!(
                    entry.is_some_and(Instance::is_committed),
                    "the records lack {}, which the snapshot they belong to has executed",
                    InstanceId::new(row, slot)
                );
            }
        }
    }

    /// Whatever was done about instances that the snapshot has decided ends.
    fn forget_decided(&mut self, effects: &mut Effects<Self>) {
        let worked_on =
            self.recoveries.keys().chain(&self.waiting).chain(self.heard_waiting.keys());
        let decided: Vec<_> = worked_on
            .copied()
            .filter(|instance| self.entry(*instance).is_none_or(Instance::is_committed))
            .collect();
        for instance in decided {
            self.forget_recovery(instance, effects);
        }
    }

    /// Whatever was done to get `instance` decided ends.
    pub(super) fn forget_recovery(&mut self, instance: InstanceId, effects: &mut Effects<Self>) {
        if self.recoveries.remove(&instance).is_some() {
            effects.cancel_timer(Timer::Instance(instance));
        }
        self.waiting.remove(&instance);
        self.heard_waiting.remove(&instance);
    }
}

/// The records that bring `entry` back.
fn persist_entry(instance: InstanceId, entry: &Instance, effects: &mut Effects<EPaxos>) {
    let (batch, dependencies) = (entry.batch.clone(), entry.dependencies.clone());
    if entry.is_committed() {
        effects.persist(Record::Committed { instance, batch, dependencies });
        return;
    }
    let initial = entry.initial.clone();
    let as_proposed = entry.pre_accepted_ballot == InstanceBallot::INITIAL && initial.is_some();
    match (entry.phase, initial) {
        (Phase::PreAccepted, Some(initial)) if as_proposed => {
            let initial_dependencies = initial.dependencies;
            effects.persist(Record::PreAccepted {
                instance,
                batch,
                initial_dependencies,
                dependencies,
            });
        }
        (_, Some(initial)) => effects.persist(Record::Validated {
            instance,
            batch: initial.batch,
            initial_dependencies: initial.dependencies,
        }),
        (_, None) => {}
    }
    if entry.phase == Phase::PreAccepted && !as_proposed {
        let ballot = entry.pre_accepted_ballot;
        let (batch, dependencies) = (entry.batch.clone(), entry.dependencies.clone());
        effects.persist(Record::PreAcceptedAgain { instance, ballot, batch, dependencies });
    }
    if entry.phase == Phase::Accepted {
        let ballot = entry.accepted_ballot;
        let (batch, dependencies) = (entry.batch.clone(), entry.dependencies.clone());
        effects.persist(Record::Accepted { instance, ballot, batch, dependencies });
    }
    if entry.ballot > entry.accepted_ballot.max(InstanceBallot::INITIAL) {
        effects.persist(Record::Promised { instance, ballot: entry.ballot });
    }
}
