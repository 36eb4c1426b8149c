//! Execution: from committed instances with dependencies to one order, the same on every replica.
//!
//! The graph holds the instances that are known and not executed. An instance is executed once everything it depends on,
//! transitively, is committed: strongly connected components by Tarjan's algorithm (iterative, so that no chain is too
//! long), dependencies first, inside a component in instance order, in the published variant by sequence number before that.
//! (S13 §4.4, STAR)
//!
//! It is driven by events and never searches twice for nothing: an instance that cannot be executed is filed under the
//! one thing that it lacks (an uncommitted instance, or unknown slots of a row) and tried again when that arrives. What is
//! closed is executed at once, whatever else is still open.
//!
//! Dependencies are read as "every conflicting instance of that row up to here". Of those, the graph visits the last
//! unexecuted write and the reads after it: a committed write reaches the earlier ones through its own dependencies, which
//! hold everything conflicting that its row's owner had proposed before it.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    command::{Batch, Footprint, Touch},
    dependencies::Dependencies,
    id::{InstanceId, ReplicaId, Slot},
    key_map::KeyMap,
    log::SlotLog,
    observed::Observed,
};

/// What was executed, in order.
pub type Executed = Vec<(InstanceId, Batch)>;

/// The instances known and not executed, by row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExecutionGraph {
    rows: Vec<Row>,
    /// Which unexecuted instances touch a key: a view of `rows`.
    keys: Observed<Keys>,
    search: Observed<Search>,
    counts: Observed<Counts>,
}

/// What a graph counts of its work, for its observers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// The most instances executed as one component.
    longest_component: u64,
    /// By how many rows instances were put in order, each by all that its dependencies name.
    steps: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Row {
    /// What is collected is executed.
    nodes: SlotLog<Node>,
    /// Every slot up to here is known.
    known_to: Slot,
    /// Who waits until the row is known up to a slot.
    awaiting_known: Observed<BTreeMap<Slot, Vec<InstanceId>>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Node {
    state: State,
    footprint: Footprint,
    batch: Batch,
    dependencies: Dependencies,
    visit: Observed<Visit>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum State {
    #[default]
    Unknown,
    /// The command is known (or it becomes a no-op); whether and with what it commits is not.
    Known,
    Committed,
    Executed,
}

/// What the search remembers of a node. It can be worked out again from the graph.
#[derive(Clone, Debug, Default)]
struct Visit {
    lacks: Option<Lack>,
    /// Who is to be tried again when this node has been executed.
    waiters: Vec<InstanceId>,
    round: u64,
    index: u32,
    low: u32,
    on_stack: bool,
}

/// The one thing that keeps an instance from being executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lack {
    /// This instance is not committed, or lacks something itself.
    Instance(InstanceId),
    /// The row is not known up to this slot.
    Known { row: ReplicaId, to: Slot },
}

/// Unexecuted slots of one row that touch one key, ascending.
#[derive(Clone, Debug, Default)]
struct Touching {
    writes: VecDeque<Slot>,
    reads: VecDeque<Slot>,
}

#[derive(Clone, Debug, Default)]
struct Keys {
    by_key: KeyMap<Vec<Touching>>,
    /// Emptied entries, used again: a steady state does not allocate.
    spare: Vec<Vec<Touching>>,
}

#[derive(Clone, Debug, Default)]
struct Search {
    round: u64,
    next_index: u32,
    stack: Vec<InstanceId>,
    frames: Vec<Frame>,
    edges: Vec<InstanceId>,
    component: Vec<InstanceId>,
    ready: VecDeque<InstanceId>,
}

/// A node on the search's path, with the part of the edge list that is left to follow.
#[derive(Clone, Copy, Debug)]
struct Frame {
    node: InstanceId,
    edges_from: usize,
    next: usize,
}

impl ExecutionGraph {
    /// An empty graph of `rows` rows.
    pub fn new(rows: usize) -> Self {
        Self {
            rows: vec![Row::default(); rows],
            keys: Observed::default(),
            search: Observed::default(),
            counts: Observed::default(),
        }
    }

    /// A graph where every instance of each row up to `executed`, and each of `above`, is executed
    /// already; what was counted so far is taken over from an earlier graph.
    pub fn resumed(
        executed: &Dependencies,
        above: impl IntoIterator<Item = InstanceId>,
        counts: Counts,
    ) -> Self {
        let mut graph = Self::new(executed.rows());
        graph.counts = Observed(counts);
        for upto in executed.iter() {
            let row = &mut graph.rows[upto.row.index()];
            row.nodes.collect(upto.slot);
            row.known_to = upto.slot;
        }
        for instance in above {
            let nodes = &mut graph.rows[instance.row.index()].nodes;
            let node = nodes.ensure(instance.slot).expect("above what is executed of its row");
            node.state = State::Executed;
        }
        graph
    }

    /// `instance` has, or will have, a command with this footprint, or becomes a no-op.
    pub fn known(&mut self, instance: InstanceId, footprint: &Footprint, executed: &mut Executed) {
        if self.make_known(instance, footprint) {
            self.wake_known(instance.row);
            self.run(executed);
        }
    }

    /// `instance` is committed. Executes whatever that closes, appending it to `executed`. Telling it twice is harmless.
    pub fn committed(
        &mut self,
        instance: InstanceId,
        batch: Batch,
        footprint: &Footprint,
        dependencies: Dependencies,
        executed: &mut Executed,
    ) {
        let row = &mut self.rows[instance.row.index()];
        let Some(node) = row.nodes.ensure(instance.slot) else { return };
        if matches!(node.state, State::Committed | State::Executed) {
            return;
        }
        let newly_known = self.make_known(instance, footprint);
        let node = self.node_mut(instance);
        node.state = State::Committed;
        if batch.is_noop() {
            self.execute(instance, executed);
        } else {
            assert!(
                dependencies.slot(instance.row) < instance.slot,
                "{instance} depends on itself or on a later slot of its row: {dependencies:?}"
            );
            node.batch = batch;
            node.dependencies = dependencies;
            self.search.0.ready.push_back(instance);
        }
        if newly_known {
            self.wake_known(instance.row);
        }
        self.run(executed);
    }

    /// Every instance of `row` up to this slot is executed.
    pub fn executed_to(&self, row: ReplicaId) -> Slot {
        self.rows[row.index()].nodes.collected()
    }

    /// How many instances are executed.
    pub fn executed_count(&self) -> u64 {
        let above =
            |row: &Row| row.nodes.iter().filter(|(_, n)| n.state == State::Executed).count();
        self.rows.iter().map(|row| row.nodes.collected() + above(row) as u64).sum()
    }

    /// Is `instance` executed?
    pub fn is_executed(&self, instance: InstanceId) -> bool {
        let nodes = &self.rows[instance.row.index()].nodes;
        instance.slot <= nodes.collected()
            || nodes.get(instance.slot).is_some_and(|node| node.state == State::Executed)
    }

    /// How many slots are known or awaited, and not executed with all before them.
    pub fn unexecuted(&self) -> u64 {
        self.rows.iter().map(|row| row.nodes.len() as u64).sum()
    }

    /// The most instances executed as one component so far.
    pub fn longest_component(&self) -> u64 {
        self.counts.0.longest_component
    }

    /// By how many rows instances were put in order so far: each that was executed, by all that its
    /// dependencies name.
    pub fn steps(&self) -> u64 {
        self.counts.0.steps
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        self.counts.0
    }

    /// Files `instance` under its keys; false if it was known.
    fn make_known(&mut self, instance: InstanceId, footprint: &Footprint) -> bool {
        let replicas = self.rows.len();
        let row = &mut self.rows[instance.row.index()];
        let Some(node) = row.nodes.ensure(instance.slot) else { return false };
        if node.state != State::Unknown {
            return false;
        }
        node.state = State::Known;
        node.footprint = footprint.clone();
        for touch in footprint.touches() {
            self.keys.0.insert(touch, instance, replicas);
        }
        while row.nodes.get(row.known_to + 1).is_some_and(|node| node.state != State::Unknown) {
            row.known_to += 1;
        }
        true
    }

    /// Marks `instance` as executed and lets those that waited for it try again.
    fn execute(&mut self, instance: InstanceId, executed: &mut Executed) {
        let node = self.node_mut(instance);
        assert_eq!(node.state, State::Committed, "{instance} executed twice or uncommitted");
        node.state = State::Executed;
        let rows = node.dependencies.rows() as u64;
        let batch = std::mem::take(&mut node.batch);
        let footprint = std::mem::take(&mut node.footprint);
        let waiters = std::mem::take(&mut node.visit.0.waiters);
        self.search.0.ready.extend(waiters);
        self.counts.0.steps += rows;
        for touch in footprint.touches() {
            self.keys.0.remove(touch, instance);
        }
        executed.push((instance, batch));

        let row = &mut self.rows[instance.row.index()];
        let mut to = row.nodes.collected();
        while row.nodes.get(to + 1).is_some_and(|node| node.state == State::Executed) {
            to += 1;
        }
        row.nodes.collect(to);
    }

    /// Lets those try again that waited until `row` was known as far as it is now.
    fn wake_known(&mut self, row: ReplicaId) {
        let row = &mut self.rows[row.index()];
        while let Some(first) = row.awaiting_known.0.first_entry()
            && *first.key() <= row.known_to
        {
            self.search.0.ready.extend(first.remove());
        }
    }

    fn run(&mut self, executed: &mut Executed) {
        while let Some(instance) = self.search.0.ready.pop_front() {
            self.try_execute(instance, executed);
        }
    }

    /// Tarjan from `root`. Executes each component as it closes; on meeting something that lacks, files `root` under it.
    fn try_execute(&mut self, root: InstanceId, executed: &mut Executed) {
        if self.is_executed(root) {
            return;
        }
        if let Some(lack) = self.lack_of(root) {
            self.file(root, lack);
            return;
        }
        self.search.0.round += 1;
        self.search.0.next_index = 0;
        if let Err(lack) = self.enter(root) {
            self.abandon(root, lack);
            return;
        }
        while let Some(frame) = self.search.0.frames.last_mut() {
            let (node, edges_from) = (frame.node, frame.edges_from);
            if let Some(&to) = self.search.0.edges.get(frame.next) {
                frame.next += 1;
                if let Err(lack) = self.follow(node, to) {
                    self.abandon(root, lack);
                    return;
                }
                continue;
            }
            self.search.0.edges.truncate(edges_from);
            self.search.0.frames.pop();
            let (index, low) = {
                let visit = &self.node(node).visit.0;
                (visit.index, visit.low)
            };
            if let Some(parent) = self.search.0.frames.last().map(|frame| frame.node) {
                let visit = &mut self.node_mut(parent).visit.0;
                visit.low = visit.low.min(low);
            }
            if index == low {
                self.close_component(node, executed);
            }
        }
    }

    /// Takes the edge `from` → `to`: enters a node not seen in this search, or notes a way back.
    fn follow(&mut self, from: InstanceId, to: InstanceId) -> Result<(), Lack> {
        if self.is_executed(to) {
            return Ok(());
        }
        let visit = &self.node(to).visit.0;
        if visit.round != self.search.0.round {
            return self.enter(to);
        }
        if visit.on_stack {
            let index = visit.index;
            let visit = &mut self.node_mut(from).visit.0;
            visit.low = visit.low.min(index);
        }
        Ok(())
    }

    fn enter(&mut self, instance: InstanceId) -> Result<(), Lack> {
        let search = &mut self.search.0;
        let (round, index) = (search.round, search.next_index);
        search.next_index += 1;
        search.stack.push(instance);
        let edges_from = search.edges.len();
        search.frames.push(Frame { node: instance, edges_from, next: edges_from });
        let visit = &mut self.node_mut(instance).visit.0;
        visit.lacks = None;
        (visit.round, visit.index, visit.low, visit.on_stack) = (round, index, index, true);
        self.push_edges(instance)?;
        for i in edges_from..self.search.0.edges.len() {
            let to = self.search.0.edges[i];
            if self.node(to).state != State::Committed {
                return Err(Lack::Instance(to));
            }
            if let Some(lack) = self.lack_of(to) {
                return Err(lack);
            }
        }
        Ok(())
    }

    /// Appends to the edge list what `instance` has to come after.
    fn push_edges(&mut self, instance: InstanceId) -> Result<(), Lack> {
        let node = &self.rows[instance.row.index()].nodes.get(instance.slot).expect("entered");
        for upto in node.dependencies.iter() {
            let row = &self.rows[upto.row.index()];
            if upto.slot <= row.nodes.collected() {
                continue;
            }
            if row.known_to < upto.slot {
                return Err(Lack::Known { row: upto.row, to: upto.slot });
            }
            for touch in node.footprint.touches() {
                self.keys.0.push_conflicting(touch, upto, &mut self.search.0.edges);
            }
        }
        Ok(())
    }

    /// What `instance` still lacks, as far as that was found out before.
    fn lack_of(&mut self, instance: InstanceId) -> Option<Lack> {
        let mut at = instance;
        let lack = loop {
            let lack = self.node(at).visit.0.lacks?;
            match lack {
                Lack::Known { row, to } => {
                    if self.rows[row.index()].known_to >= to {
                        return None;
                    }
                    break lack;
                }
                Lack::Instance(on) => {
                    if self.is_executed(on) {
                        return None;
                    }
                    match self.node(on).state {
                        State::Unknown | State::Known => break lack,
                        State::Committed | State::Executed => at = on,
                    }
                }
            }
        };
        self.node_mut(instance).visit.0.lacks = Some(lack);
        Some(lack)
    }

    /// Ends a search that met `lack`: all that is on the stack reaches it.
    fn abandon(&mut self, root: InstanceId, lack: Lack) {
        let mut stack = std::mem::take(&mut self.search.0.stack);
        for instance in stack.drain(..) {
            let visit = &mut self.node_mut(instance).visit.0;
            visit.on_stack = false;
            visit.lacks = Some(lack);
        }
        self.search.0.stack = stack;
        self.search.0.frames.clear();
        self.search.0.edges.clear();
        self.file(root, lack);
    }

    fn file(&mut self, instance: InstanceId, lack: Lack) {
        match lack {
            Lack::Instance(on) => self.node_mut(on).visit.0.waiters.push(instance),
            Lack::Known { row, to } => {
                self.rows[row.index()].awaiting_known.0.entry(to).or_default().push(instance);
            }
        }
    }

    fn close_component(&mut self, head: InstanceId, executed: &mut Executed) {
        let mut component = std::mem::take(&mut self.search.0.component);
        loop {
            let instance = self.search.0.stack.pop().expect("the head is on the stack");
            self.node_mut(instance).visit.0.on_stack = false;
            component.push(instance);
            if instance == head {
                break;
            }
        }
        // Where there are sequence numbers every instance has one: the published variant. (S13 §4.4)
        match self.node(head).dependencies.seq() {
            None => component.sort_unstable(),
            Some(_) => component.sort_unstable_by_key(|instance| {
                (self.node(*instance).dependencies.seq(), *instance)
            }),
        }
        let longest = &mut self.counts.0.longest_component;
        *longest = (*longest).max(component.len() as u64);
        for instance in component.drain(..) {
            self.execute(instance, executed);
        }
        self.search.0.component = component;
    }

    fn node(&self, instance: InstanceId) -> &Node {
        self.rows[instance.row.index()].nodes.get(instance.slot).expect("not executed, so held")
    }

    fn node_mut(&mut self, instance: InstanceId) -> &mut Node {
        self.rows[instance.row.index()].nodes.get_mut(instance.slot).expect("not executed, so held")
    }
}

impl Keys {
    fn insert(&mut self, touch: &Touch, instance: InstanceId, rows: usize) {
        let spare = &mut self.spare;
        let touching = self.by_key.get_or_insert_with(touch.key, || {
            spare.pop().unwrap_or_else(|| vec![Touching::default(); rows])
        });
        let slots = touching[instance.row.index()].slots(touch.write);
        // Rows grow at the end; only reordered messages come before it.
        let at = match slots.back() {
            Some(last) if *last > instance.slot => slots.partition_point(|s| *s < instance.slot),
            _ => slots.len(),
        };
        slots.insert(at, instance.slot);
    }

    fn remove(&mut self, touch: &Touch, instance: InstanceId) {
        let touching = self.by_key.get_mut(touch.key).expect("inserted when known");
        let slots = touching[instance.row.index()].slots(touch.write);
        let at = slots.binary_search(&instance.slot).expect("inserted when known");
        slots.remove(at);
        if touching.iter().all(Touching::is_empty) {
            // chosen: enough for the keys in flight, not for every key there is.
            if let Some(emptied) = self.by_key.remove(touch.key)
                && self.spare.len() < 4096
            {
                self.spare.push(emptied);
            }
        }
    }

    /// Appends the instances of `upto.row` up to `upto.slot` that have to be visited for a command with this touch.
    fn push_conflicting(&self, touch: &Touch, upto: InstanceId, edges: &mut Vec<InstanceId>) {
        let Some(touching) = self.by_key.get(touch.key) else { return };
        let Touching { writes, reads } = &touching[upto.row.index()];
        let last_write = last_at_or_below(writes, upto.slot);
        edges.extend(last_write.map(|slot| InstanceId::new(upto.row, slot)));
        if touch.write {
            let after_write = last_write.unwrap_or(0);
            let reads = reads.iter().rev().skip_while(|slot| **slot > upto.slot);
            let reads = reads.take_while(|slot| **slot > after_write);
            edges.extend(reads.map(|slot| InstanceId::new(upto.row, *slot)));
        }
    }
}

impl Touching {
    fn slots(&mut self, write: bool) -> &mut VecDeque<Slot> {
        if write { &mut self.writes } else { &mut self.reads }
    }

    fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.reads.is_empty()
    }
}

fn last_at_or_below(slots: &VecDeque<Slot>, limit: Slot) -> Option<Slot> {
    match slots.back() {
        Some(last) if *last <= limit => Some(*last),
        _ => slots.partition_point(|slot| *slot <= limit).checked_sub(1).map(|at| slots[at]),
    }
}
