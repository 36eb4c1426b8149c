//! The replica: its state, the dispatcher, proposing and committing.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    conflicts::ConflictIndex,
    graph::{Executed, ExecutionGraph},
    instance::{Initial, Instance, Row},
    message::{Message, Phase, Record, Timer},
    progress::Retransmission,
    snapshot::Snapshots,
    takeover::Takeover,
    window::Window,
};
use crate::{
    Limit, Protocol,
    ballot::InstanceBallot,
    command::{Batch, Footprint},
    config::Config,
    dependencies::Dependencies,
    epaxos::{EpaxosQuorums, Variant, fixed_fast_quorum, quorums_of},
    id::{InstanceId, ReplicaId, ReplicaSet, Slot},
    observed::Observed,
    replica::{Effect, Effects, Input, Path, Replica, Snapshot, Status},
};

/// How far above its decided slots a row is held in memory. chosen: over a second of proposals at 100,000 a second, and
/// about 32 MiB a row; what is lost above it is sent again.
const SLOTS_AHEAD: Limit = Limit::new("slots ahead", 4, 1 << 17);

/// An EPaxos replica.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EPaxos {
    pub(super) id: ReplicaId,
    pub(super) config: Config,
    pub(super) quorums: EpaxosQuorums,
    pub(super) others: ReplicaSet,
    /// The others of the fixed fast quorum in the published variant, else all others.
    pub(super) fixed: ReplicaSet,
    pub(super) rows: Vec<Row>,
    pub(super) conflicts: ConflictIndex,
    pub(super) graph: ExecutionGraph,
    /// The last slot of the own row that was proposed in an earlier life: those are never continued.
    pub(super) earlier_lives_to: Slot,
    pub(super) retransmission: Retransmission,
    /// Instances whose recovery has a timer, with the number of times it ran out.
    pub(super) recoveries: BTreeMap<InstanceId, u32>,
    /// Rows of which this replica recovers one instance after the other.
    pub(super) taking_over: BTreeMap<ReplicaId, Takeover>,
    /// Instances whose recovery, led here, waits for others.
    pub(super) waiting: BTreeSet<InstanceId>,
    /// What others said their recoveries wait with: the highest |R| per instance.
    pub(super) heard_waiting: BTreeMap<InstanceId, usize>,
    pub(super) snapshots: Snapshots,
    /// What clients asked for that waits for earlier own commands on its key.
    pub(super) window: Window,
    executed: Observed<Executed>,
    takeovers: Observed<u64>,
    pub(super) installs: Observed<u64>,
}

impl Replica for EPaxos {
    type Message = Message;
    type Timer = Timer;
    type Record = Record;

    const PROTOCOL: Protocol = super::PROTOCOL;

    fn recover(
        id: ReplicaId,
        config: &Config,
        snapshot: Option<&Snapshot>,
        records: impl IntoIterator<Item = Record>,
    ) -> Self {
        let n = config.replicas;
        assert!(n >= 3 && n % 2 == 1, "{n} replicas: EPaxos needs an odd number, at least 3");
        let quorums = quorums_of(config);
        let others = ReplicaSet::others(id, n);
        let (fixed, conflicts) = match config.options.of::<Variant>() {
            Variant::Star => (others, ConflictIndex::new(n)),
            Variant::Sosp13 => {
                let fixed = config.nearest.unwrap_or_else(|| fixed_fast_quorum(id, n, |_| 0));
                let proper =
                    fixed.len() + 1 == quorums.fast() && fixed.difference(others).is_empty();
                assert!(proper, "{fixed:?} and {id} are no fast quorum of {n} replicas");
                (fixed, ConflictIndex::with_seq(n))
            }
        };
        let mut replica = Self {
            id,
            config: *config,
            quorums,
            others,
            fixed,
            rows: vec![Row::default(); n],
            conflicts,
            graph: ExecutionGraph::new(n, config.options.of()),
            earlier_lives_to: 0,
            retransmission: Retransmission::new(n),
            recoveries: BTreeMap::new(),
            taking_over: BTreeMap::new(),
            waiting: BTreeSet::new(),
            heard_waiting: BTreeMap::new(),
            snapshots: Snapshots::default(),
            window: Window::default(),
            executed: Observed::default(),
            takeovers: Observed(0),
            installs: Observed(0),
        };
        if let Some(snapshot) = snapshot {
            replica.begin_with(snapshot);
        }
        for record in records {
            replica.replay(record);
        }
        replica.assert_executed_is_held();
        replica.earlier_lives_to = replica.own_row().log.last();
        replica
    }

    fn step(&mut self, input: Input<Self>, effects: &mut Effects<Self>) {
        match input {
            Input::Start => self.start(effects),
            Input::Propose(batch) => self.propose(batch, effects),
            Input::Message { from, message } => self.on_message(from, message, effects),
            Input::Timer(timer) => self.on_timer(timer, effects),
            Input::Captured(machine) => self.on_captured(machine, effects),
            Input::Checkpoint(machine) => self.on_checkpoint(machine, effects),
            Input::Flush => self.report_progress_if_due(effects),
        }
        self.propose_held(effects);
    }

    fn admissible(message: &Message, replicas: usize) -> bool {
        message.is_for(replicas)
    }

    fn forgotten_by(&self, rebuilt: &Self) -> Option<String> {
        self.not_in(rebuilt)
    }

    fn status(&self) -> Status {
        Status {
            leader: None,
            unexecuted: self.graph.unexecuted(),
            undecided: {
                let own = self.own_row();
                own.log.last() - own.committed_to + self.window.held()
            },
            held: self.rows.iter().map(|row| row.log.len() as u64).sum(),
            held_bytes: self.rows.iter().map(|row| row.log.bytes()).sum::<u64>()
                + self.window.bytes()
                + self.snapshots.bytes(),
            crowded_out: self.rows.iter().map(|row| row.log.crowded_out()).sum(),
            longest_component: self.graph.longest_component(),
            ordering_steps: self.graph.steps(),
            takeovers: self.takeovers.0,
            installs: self.installs.0,
        }
    }
}

impl EPaxos {
    /// Which EPaxos this is.
    pub(super) fn variant(&self) -> Variant {
        self.config.options.of()
    }

    fn on_message(&mut self, from: ReplicaId, message: Message, effects: &mut Effects<Self>) {
        assert!(from != self.id, "a replica never sends to itself");
        // As good as lost: nobody is so far ahead, or this replica must catch up first.
        if message.instance().is_some_and(|instance| !self.is_in_reach(instance))
            || !self.is_near(&message)
            || !message.is_of(self.variant())
        {
            return;
        }
        match message {
            Message::PreAccept { instance, batch, dependencies } => {
                self.on_pre_accept(from, instance, batch, dependencies, effects);
            }
            Message::PreAcceptOk { instance, more } => {
                self.on_pre_accept_ok(from, instance, more.as_ref(), effects);
            }
            Message::Accept { instance, ballot, batch, dependencies } => {
                self.on_accept(from, instance, ballot, batch, dependencies, effects);
            }
            Message::AcceptOk { instance, ballot } => {
                self.on_accept_ok(from, instance, ballot, effects);
            }
            Message::Commit { instance, batch, dependencies } => {
                self.on_commit(from, instance, batch, dependencies, effects);
            }
            Message::Ask { instance } => self.on_ask(from, instance, effects),
            Message::Progress { committed, executed, pace } => {
                self.on_progress(from, &committed, &executed, pace, effects);
            }
            Message::Recover { instance, ballot } => {
                self.on_recover(from, instance, ballot, effects);
            }
            Message::RecoverOk { instance, ballot, report } => {
                self.on_recover_ok(from, instance, ballot, *report, effects);
            }
            Message::Validate { instance, ballot, batch, dependencies } => {
                self.on_validate(from, instance, ballot, &batch, &dependencies, effects);
            }
            Message::ValidateOk { instance, ballot, against } => {
                self.on_validate_ok(from, instance, ballot, against, effects);
            }
            Message::Waiting { instance, matching } => {
                self.on_waiting(instance, matching, effects);
            }
            Message::Refused { instance, ballot } => self.on_refused(instance, ballot, effects),
            Message::Collected { instance } => self.on_collected(from, instance, effects),
            Message::Fetch { snapshot, offset } => self.on_fetch(from, snapshot, offset, effects),
            Message::Piece(piece) => self.on_piece(from, &piece, effects),
            Message::PreAcceptAgain { instance, ballot, batch, dependencies } => {
                self.on_pre_accept_again(from, instance, ballot, batch, &dependencies, effects);
            }
            Message::PreAcceptAgainOk { instance, ballot, dependencies } => {
                self.on_pre_accept_again_ok(from, instance, ballot, &dependencies, effects);
            }
        }
    }

    fn on_timer(&mut self, timer: Timer, effects: &mut Effects<Self>) {
        match timer {
            Timer::Retransmit => self.on_retransmit_timer(effects),
            Timer::Progress => self.on_progress_timer(effects),
            Timer::FastQuorum => self.on_fast_quorum_timer(effects),
            Timer::Row(row) => self.on_row_timer(row, effects),
            Timer::Instance(instance) => self.on_instance_timer(instance, effects),
        }
    }

    /// After a crash: everything that was known to be committed is executed again, in an order that the dependencies allow.
    fn start(&mut self, effects: &mut Effects<Self>) {
        for row in ReplicaId::all(self.config.replicas) {
            let log = &self.rows[row.index()].log;
            for slot in log.collected() + 1..=log.last() {
                let instance = InstanceId::new(row, slot);
                if let Some(entry) = self.entry(instance).filter(|entry| entry.is_committed()) {
                    effects.push(Effect::Committed {
                        instance,
                        batch: entry.batch.clone(),
                        dependencies: entry.dependencies.clone(),
                        path: Path::Learned,
                    });
                }
                self.enter_into_graph(instance);
            }
            self.watch_row(row, effects);
        }
        self.execute_closed(effects);
        self.owe_progress();
        self.arm_retransmission(effects);
    }

    /// Leads a new instance with `batch`, at once or when its keys' window allows. (S13 §4.3.1
    /// phase 1)
    pub(super) fn propose(&mut self, batch: Batch, effects: &mut Effects<Self>) {
        assert!(!batch.is_noop(), "nobody asks for a no-op");
        let footprint = batch.footprint();
        match self.full_key(&footprint) {
            Some(key) => self.window.hold(key, batch),
            None => self.lead(batch, footprint, effects),
        }
    }

    /// Leads a new instance with `batch`, which touches `footprint`.
    pub(super) fn lead(&mut self, batch: Batch, footprint: Footprint, effects: &mut Effects<Self>) {
        let dependencies = self.conflicts.dependencies(&footprint);
        let asked = self.asked_for_fast_path();
        let leading = self.leading_proposal(asked, &dependencies);
        let row = &mut self.rows[self.id.index()];
        let instance = InstanceId::new(self.id, row.log.last() + 1);
        self.conflicts.insert(instance, &footprint);
        self.conflicts.note_seq(&footprint, &dependencies);
        self.graph.known(instance, &footprint, &mut self.executed.0);
        row.mention(instance.slot);
        *row.log.ensure(instance.slot).expect("beyond the last slot") = Instance {
            phase: Phase::PreAccepted,
            batch: batch.clone(),
            dependencies: dependencies.clone(),
            initial: Some(Initial { batch: batch.clone(), dependencies: dependencies.clone() }),
            footprint,
            leading: Some(Box::new(leading)),
            ..Instance::default()
        };
        effects.persist(Record::PreAccepted {
            instance,
            batch: batch.clone(),
            initial_dependencies: dependencies.clone(),
            dependencies: dependencies.clone(),
        });
        self.send_proposal(instance, asked, batch, dependencies, effects);
        self.arm_retransmission(effects);
        self.watch_row(self.id, effects);
        self.execute_closed(effects);
    }

    /// Takes a decision, at whatever ballot, once; then does all that follows from it.
    pub(super) fn commit(
        &mut self,
        instance: InstanceId,
        batch: Batch,
        dependencies: Dependencies,
        path: Path,
        effects: &mut Effects<Self>,
    ) {
        self.learn_command(instance, &batch, effects);
        let row = &mut self.rows[instance.row.index()];
        let Some(entry) = row.log.ensure(instance.slot) else { return };
        if !entry.decide(&batch, &dependencies) {
            return;
        }
        let lost = batch.is_noop().then(|| entry.initial.clone()).flatten();
        row.mention(instance.slot);
        row.decided(batch.is_noop());
        self.note_seq(instance, &dependencies);

        effects.persist(Record::Committed {
            instance,
            batch: batch.clone(),
            dependencies: dependencies.clone(),
        });
        effects.push(Effect::Committed {
            instance,
            batch,
            dependencies: dependencies.clone(),
            path,
        });
        let log = &self.rows[instance.row.index()].log;
        let entry = log.get(instance.slot).expect("committed above");
        let batch = entry.batch.clone();
        self.graph.committed(instance, batch, &entry.footprint, dependencies, &mut self.executed.0);
        self.execute_closed(effects);
        self.owe_progress();
        self.arm_retransmission(effects);
        self.watch_row(instance.row, effects);
        self.end_recovery(instance, effects);
        if let Some(initial) = lost
            && instance.row == self.id
            && instance.slot > self.earlier_lives_to
        {
            self.propose(initial.batch, effects);
        }
    }

    /// Makes the command of `instance` known to the conflict index and to the graph, if it was not.
    pub(super) fn learn_command(
        &mut self,
        instance: InstanceId,
        batch: &Batch,
        effects: &mut Effects<Self>,
    ) {
        let row = &mut self.rows[instance.row.index()];
        row.mention(instance.slot);
        let Some(entry) = row.log.ensure(instance.slot) else { return };
        if !batch.is_noop() && entry.footprint.touches().is_empty() {
            self.learn_footprint(instance, batch.footprint(), effects);
        }
    }

    /// As [`EPaxos::learn_command`], of a command that was not known and touches this.
    pub(super) fn learn_footprint(
        &mut self,
        instance: InstanceId,
        footprint: Footprint,
        effects: &mut Effects<Self>,
    ) {
        self.conflicts.insert(instance, &footprint);
        self.graph.known(instance, &footprint, &mut self.executed.0);
        self.entry_mut(instance).expect("made by the caller").footprint = footprint;
        self.execute_closed(effects);
    }

    /// `instance` has these dependencies, or may come to have them: what comes after it is numbered higher.
    pub(super) fn note_seq(&mut self, instance: InstanceId, dependencies: &Dependencies) {
        if let Some(entry) = self.rows[instance.row.index()].log.get(instance.slot) {
            self.conflicts.note_seq(&entry.footprint, dependencies);
        }
    }

    /// The dependencies of a no-op.
    pub(super) fn no_dependencies(&self) -> Dependencies {
        match self.variant() {
            Variant::Star => Dependencies::none(self.config.replicas),
            Variant::Sosp13 => Dependencies::none_with_seq(self.config.replicas),
        }
    }

    /// Notes that the instances in `dependencies` exist, and sees to it that they get decided.
    pub(super) fn mention(&mut self, dependencies: &Dependencies, effects: &mut Effects<Self>) {
        for upto in dependencies.iter() {
            if self.rows[upto.row.index()].mention(upto.slot) {
                self.watch_row(upto.row, effects);
            }
        }
    }

    /// Is `instance` no further above what is decided in its row than is kept in memory?
    pub(super) fn is_in_reach(&self, instance: InstanceId) -> bool {
        let decided = self.rows[instance.row.index()].committed_to;
        instance.slot <= decided.saturating_add(SLOTS_AHEAD.of(&self.config))
    }

    /// Is `instance` in the others' reach, too? They may not have heard of the last decisions yet:
    /// for those there is the other half of what is kept.
    pub(super) fn is_in_reach_of_others(&self, instance: InstanceId) -> bool {
        let decided = self.rows[instance.row.index()].committed_to;
        instance.slot <= decided.saturating_add(SLOTS_AHEAD.of(&self.config) / 2)
    }

    /// Is the ballot that `message` names one that someone may have come to at its instance?
    fn is_near(&self, message: &Message) -> bool {
        let Some((instance, ballot)) = message.instance().zip(message.ballot()) else {
            return true;
        };
        let known = self.entry(instance).map_or(InstanceBallot::INITIAL, |entry| entry.ballot);
        ballot.is_near(known)
    }

    pub(super) fn entry(&self, instance: InstanceId) -> Option<&Instance> {
        self.rows[instance.row.index()].log.get(instance.slot)
    }

    pub(super) fn entry_mut(&mut self, instance: InstanceId) -> Option<&mut Instance> {
        self.rows[instance.row.index()].log.get_mut(instance.slot)
    }

    pub(super) fn own_row(&self) -> &Row {
        &self.rows[self.id.index()]
    }

    /// Counts an instance that this replica begins to recover.
    pub(super) fn count_takeover(&mut self) {
        self.takeovers.0 += 1;
    }

    /// Tells the graph what is known of `instance`, if anything is.
    pub(super) fn enter_into_graph(&mut self, instance: InstanceId) {
        let log = &self.rows[instance.row.index()].log;
        let Some(entry) = log.get(instance.slot) else { return };
        let executed = &mut self.executed.0;
        if entry.is_committed() {
            let (batch, dependencies) = (entry.batch.clone(), entry.dependencies.clone());
            self.graph.committed(instance, batch, &entry.footprint, dependencies, executed);
        } else if !entry.footprint.touches().is_empty() {
            self.graph.known(instance, &entry.footprint, executed);
        }
    }

    /// Asks for the execution of what the graph has put in order.
    pub(super) fn execute_closed(&mut self, effects: &mut Effects<Self>) {
        for (instance, batch) in self.executed.0.drain(..) {
            self.retransmission.note_executed(&batch, &self.config);
            if instance.row == self.id && self.window.held() > 0 {
                let entry = self.rows[self.id.index()].log.get(instance.slot);
                self.window.free(&entry.expect("executed here, so held").footprint);
            }
            effects.push(Effect::Execute { instance, batch });
        }
    }

    /// Takes up a record of an earlier life.
    fn replay(&mut self, record: Record) {
        // What replaying asks for was carried out in the earlier life; what still matters is asked for by `start`.
        let dependencies = match &record {
            Record::PreAccepted { dependencies, .. }
            | Record::Accepted { dependencies, .. }
            | Record::Validated { initial_dependencies: dependencies, .. }
            | Record::Committed { dependencies, .. }
            | Record::PreAcceptedAgain { dependencies, .. } => Some(dependencies),
            Record::Promised { .. } => None,
        };
        for upto in dependencies.into_iter().flat_map(Dependencies::iter) {
            self.rows[upto.row.index()].mention(upto.slot);
        }
        match record {
            Record::PreAccepted { instance, batch, initial_dependencies, dependencies } => {
                let Some(entry) = self.replay_into(instance, &batch) else { return };
                if entry.phase <= Phase::PreAccepted {
                    entry.phase = Phase::PreAccepted;
                    entry.batch = batch.clone();
                    entry.dependencies = dependencies.clone();
                }
                entry.initial = Some(Initial { batch, dependencies: initial_dependencies });
                self.note_seq(instance, &dependencies);
            }
            Record::Accepted { instance, ballot, batch, dependencies } => {
                let Some(entry) = self.replay_into(instance, &batch) else { return };
                entry.phase = Phase::Accepted;
                entry.accepted_ballot = ballot;
                entry.ballot = entry.ballot.max(ballot);
                (entry.batch, entry.dependencies) = (batch, dependencies.clone());
                self.note_seq(instance, &dependencies);
            }
            Record::Promised { instance, ballot } => {
                let Some(entry) = self.replay_into(instance, &Batch::NOOP) else { return };
                entry.ballot = entry.ballot.max(ballot);
            }
            Record::Validated { instance, batch, initial_dependencies } => {
                let Some(entry) = self.replay_into(instance, &batch) else { return };
                if entry.phase == Phase::None {
                    entry.batch = batch.clone();
                }
                entry.initial = Some(Initial { batch, dependencies: initial_dependencies });
            }
            Record::Committed { instance, batch, dependencies } => {
                let Some(entry) = self.replay_into(instance, &batch) else { return };
                entry.decide(&batch, &dependencies);
                self.note_seq(instance, &dependencies);
                self.rows[instance.row.index()].advance_committed();
            }
            Record::PreAcceptedAgain { instance, ballot, batch, dependencies } => {
                let Some(entry) = self.replay_into(instance, &batch) else { return };
                entry.ballot = entry.ballot.max(ballot);
                if entry.phase <= Phase::PreAccepted {
                    entry.phase = Phase::PreAccepted;
                    entry.pre_accepted_ballot = ballot;
                    entry.batch = batch;
                    entry.dependencies = dependencies.clone();
                }
                self.note_seq(instance, &dependencies);
            }
        }
    }

    /// The entry that a record of `instance` is about; none if the instance is decided or collected already. What is on
    /// record twice, as after a snapshot, must not undo what came between.
    fn replay_into(&mut self, instance: InstanceId, batch: &Batch) -> Option<&mut Instance> {
        self.learn_command(instance, batch, &mut Effects::default());
        self.entry_mut(instance).filter(|entry| !entry.is_committed())
    }
}
