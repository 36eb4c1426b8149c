//! Execution: from committed instances with dependencies to one order, the same on every replica.
//!
//! The graph holds the instances that are known and not executed. An instance is executed once
//! everything it depends on, transitively, is committed: strongly connected components,
//! dependencies first, inside a component in instance order, in the published variant by sequence
//! number before that. (S13 §4.4, STAR) What is closed is executed at once, whatever else is still
//! open.
//!
//! Dependencies are read as "every conflicting instance of that row up to here". Of those, the graph visits the last
//! unexecuted write and the reads after it: a committed write reaches the earlier ones through its own dependencies, which
//! hold everything conflicting that its row's owner had proposed before it.
//!
//! # The search
//!
//! The search never begins again. Each committed instance follows its edges one after the other and
//! remembers where it stands. It stops at an edge whose end is not executed, and its component
//! waits for that end (`forest`):
//!
//! * The end is not committed, or the row is not known so far: the component goes on when that
//!   arrives.
//! * The end is in another component: the component goes on when that one has been executed.
//! * The end waits for the component itself: all on the way are one component, which goes on with
//!   the edges that any member has left.
//!
//! A component without edges left is executed. Its members reach each other, since they were joined
//! along a cycle. Every edge out of it ends in what is executed. So it is a strongly connected
//! component, and everything it depends on has come before. A component that is not executed waits
//! for something, and what it waits for does not wait for it; so at the end of each wait is
//! something that has not arrived. Hence what is executed is exactly what is closed. Each edge is
//! followed once, whatever arrives in whatever order; `forest` gives the cost.
//!
//! # Bounded execution
//!
//! With [`Execution::Bounded`] some edges are dropped, so that chains of commands that know each
//! other do not grow for as long as load lasts. Each committed instance has a *key*, a number and
//! then the instance itself. Of two committed instances, each in the other's dependencies, the edge
//! from the lower key to the higher one is dropped. No other edge is. Inside a component the order
//! is that of the keys.
//!
//! Why it is safe:
//!
//! * *The order is the same everywhere.* Whether an edge is there depends on the committed values
//!   of its two ends and on nothing else. An instance still waits until each instance that it
//!   depends on is decided, so that no replica guesses. So all replicas take the components of one
//!   graph, whatever was proposed, recovered or heard first.
//! * *Two conflicting commands are ordered.* One has the other in its dependencies (invariant 2).
//!   If both have, one edge of the two stays, since keys differ. So one reaches the other, or both
//!   are in one component.
//! * *Real time is kept.* Let A be answered before B is proposed. All that A reaches was decided by
//!   then, and nothing decided then depends on B. So A does not reach B, and the pair is not
//!   mutual. B depends on A, and that edge stays: A is first.
//! * *A dropped edge hides nothing.* An edge to a write stands for the earlier conflicting
//!   instances of its row, which that write reaches. Where the edge to it is dropped they are
//!   visited themselves, until an edge to a write stays. Edges within a row are never dropped,
//!   since no instance depends on a later slot of its row (invariant 6).
//! * *A snapshot may come between.* What a replica has executed contains all that it reaches. So a
//!   replica that goes on from there takes the same components as one that executed everything
//!   itself. Replicas with different rules would not; hence the rule is a part of what may not
//!   change over a cluster's life.
//!
//! The number is the sequence number where there is one. The corrected protocol has none, and needs
//! none: there it is the sum of the dependencies' slots, with the instance's own slot for its row.
//! It is a function of what is agreed on anyway, so that no message, record or fast path changes.
//! It grows with what an instance knows: of two instances that name the same or more in every row,
//! the one that knows the other has the higher number, so that edges to older instances are those
//! that stay. If the numbers order a pair the other way, a chain is longer, and nothing else.
//!
//! Chains become short and not bounded: one-sided edges to newer commands stay. The bound is
//! `window`.

use std::collections::{BTreeMap, VecDeque};

use super::forest::{Cell, Forest};
use crate::{
    command::{Batch, Footprint, Touch},
    dependencies::Dependencies,
    epaxos::Execution,
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
    execution: Execution,
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
    /// How many instances were entered and edges looked at.
    visits: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Row {
    /// What is collected is executed.
    nodes: SlotLog<Node>,
    /// Every slot up to here is known.
    known_to: Slot,
    /// The instances that wait until the row is known up to a slot.
    awaiting_known: Observed<BTreeMap<Slot, Vec<Cell>>>,
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
    /// Of a committed node that is not executed.
    cell: Cell,
    /// The instances that go on when this node has been decided.
    waiters: Vec<Cell>,
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
    forest: Forest,
    /// By cell.
    explored: Vec<Explored>,
    /// Components that may go on, each by one of its members.
    ready: VecDeque<Cell>,
    cells: Vec<Cell>,
    component: Vec<InstanceId>,
}

/// A committed instance, and which of its edges are left.
#[derive(Clone, Copy, Debug)]
struct Explored {
    instance: InstanceId,
    /// The row that its edges lead to now, as an index.
    row: usize,
    /// The key that they are about now, as an index.
    touch: usize,
    /// The slots of that row and key up to here are left; none if all are.
    to: Option<Slot>,
}

/// What comes next of an instance.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// It has to come after this one, which is committed and not executed.
    After(InstanceId),
    /// This one has to be decided first.
    Undecided(InstanceId),
    /// The row has to be known up to this slot first.
    Unknown { row: ReplicaId, to: Slot },
    /// No edge is left.
    Done,
}

impl ExecutionGraph {
    /// An empty graph of `rows` rows.
    pub fn new(rows: usize, execution: Execution) -> Self {
        Self {
            execution,
            rows: vec![Row::default(); rows],
            keys: Observed::default(),
            search: Observed::default(),
            counts: Observed::default(),
        }
    }

    /// A graph where every instance of each row up to `executed`, and each of `above`, is executed
    /// already; what was counted so far is taken over from an earlier graph.
    pub fn resumed(
        execution: Execution,
        executed: &Dependencies,
        above: impl IntoIterator<Item = InstanceId>,
        counts: Counts,
    ) -> Self {
        let mut graph = Self::new(executed.rows(), execution);
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
        let waiters = std::mem::take(&mut node.visit.0.waiters);
        if batch.is_noop() {
            self.execute(instance, executed);
        } else {
            assert!(
                dependencies.slot(instance.row) < instance.slot,
                "{instance} depends on itself or on a later slot of its row: {dependencies:?}"
            );
            node.batch = batch;
            node.dependencies = dependencies;
            self.enter(instance);
        }
        self.search.0.ready.extend(waiters);
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

    /// How much work the search has done so far: instances entered, edges looked at, and steps in
    /// the forest.
    pub fn visits(&self) -> u64 {
        self.counts.0.visits + self.search.0.forest.hops()
    }

    /// How many unexecuted instances of `row` touch the key of `touch`, if that is contended: if
    /// `touch` writes it, or an unexecuted instance of any row does. Else none.
    pub fn contending(&self, touch: &Touch, row: ReplicaId) -> usize {
        let Some(touching) = self.keys.0.by_key.get(touch.key) else { return 0 };
        let is_written = touch.write || touching.iter().any(|row| !row.writes.is_empty());
        let Touching { writes, reads } = &touching[row.index()];
        if is_written { writes.len() + reads.len() } else { 0 }
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

    /// Marks `instance` as executed.
    fn execute(&mut self, instance: InstanceId, executed: &mut Executed) {
        let node = self.node_mut(instance);
        assert_eq!(node.state, State::Committed, "{instance} executed twice or uncommitted");
        node.state = State::Executed;
        let rows = node.dependencies.rows() as u64;
        let batch = std::mem::take(&mut node.batch);
        let footprint = std::mem::take(&mut node.footprint);
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

    /// Lets those go on that waited until `row` was known as far as it is now.
    fn wake_known(&mut self, row: ReplicaId) {
        let row = &mut self.rows[row.index()];
        while let Some(first) = row.awaiting_known.0.first_entry()
            && *first.key() <= row.known_to
        {
            self.search.0.ready.extend(first.remove());
        }
    }

    fn run(&mut self, executed: &mut Executed) {
        while let Some(cell) = self.search.0.ready.pop_front() {
            self.go_on(cell, executed);
        }
    }

    /// A committed instance begins to follow its edges.
    fn enter(&mut self, instance: InstanceId) {
        self.counts.0.visits += 1;
        let search = &mut self.search.0;
        let cell = search.forest.enter();
        let explored = Explored { instance, row: 0, touch: 0, to: None };
        match search.explored.get_mut(cell as usize) {
            Some(place) => *place = explored,
            None => search.explored.push(explored),
        }
        search.ready.push_back(cell);
        self.node_mut(instance).visit.0.cell = cell;
    }

    /// Follows the edges of the component of `cell`, which waits for nothing, until it has to wait
    /// or is executed.
    fn go_on(&mut self, cell: Cell, executed: &mut Executed) {
        let component = self.search.0.forest.component(cell);
        while let Some(member) = self.search.0.forest.open(component) {
            match self.next_step(member) {
                Step::After(instance) => {
                    let cell = self.node(instance).visit.0.cell;
                    if self.search.0.forest.wait(component, cell) {
                        return;
                    }
                }
                Step::Undecided(instance) => {
                    self.node_mut(instance).visit.0.waiters.push(member);
                    return;
                }
                Step::Unknown { row, to } => {
                    let awaiting = &mut self.rows[row.index()].awaiting_known.0;
                    awaiting.entry(to).or_default().push(member);
                    return;
                }
                Step::Done => self.search.0.forest.close(component),
            }
        }
        self.execute_component(component, executed);
    }

    /// Moves `cell` on along its edges.
    fn next_step(&mut self, cell: Cell) -> Step {
        let mut at = self.search.0.explored[cell as usize];
        let step = self.next_step_from(&mut at);
        self.search.0.explored[cell as usize] = at;
        step
    }

    fn next_step_from(&mut self, at: &mut Explored) -> Step {
        let node = self.node(at.instance);
        let touches = node.footprint.touches();
        let mut looked_at = 0;
        let step = loop {
            let Some(&upto) = node.dependencies.slots().get(at.row) else { break Step::Done };
            let row = &self.rows[at.row];
            let id = ReplicaId::from_index(at.row);
            if upto > row.nodes.collected() && upto > row.known_to {
                break Step::Unknown { row: id, to: upto };
            }
            let touch = touches.get(at.touch).filter(|_| upto > row.nodes.collected());
            let Some(touch) = touch else {
                (at.row, at.touch, at.to) = (at.row + 1, 0, None);
                continue;
            };
            looked_at += 1;
            let upto = InstanceId::new(id, at.to.unwrap_or(upto));
            let Some((slot, write)) = self.keys.0.last_conflicting(touch, upto) else {
                (at.touch, at.to) = (at.touch + 1, None);
                continue;
            };
            let on = InstanceId::new(id, slot);
            if self.node(on).state != State::Committed {
                // What is decided as a no-op does not stand for what came before it.
                at.to = Some(slot);
                break Step::Undecided(on);
            }
            let dropped = self.is_dropped(at.instance, on);
            if write && !dropped {
                (at.touch, at.to) = (at.touch + 1, None);
            } else {
                at.to = Some(slot - 1);
            }
            if !dropped {
                break Step::After(on);
            }
        };
        self.counts.0.visits += looked_at;
        step
    }

    /// Of `from` and `on`, on which it depends, both committed: is that edge dropped?
    fn is_dropped(&self, from: InstanceId, on: InstanceId) -> bool {
        self.execution == Execution::Bounded
            && self.node(on).dependencies.contain(from)
            && self.key(from) < self.key(on)
    }

    /// The place of a committed instance in the order that bounded execution goes by.
    fn key(&self, instance: InstanceId) -> (u64, InstanceId) {
        let dependencies = &self.node(instance).dependencies;
        let number = dependencies.seq().unwrap_or_else(|| {
            // The own slot takes the place of the one that the row depends on, which is lower.
            let own = instance.slot - dependencies.slot(instance.row);
            dependencies.slots().iter().fold(own, |sum, slot| sum.saturating_add(*slot))
        });
        (number, instance)
    }

    fn execute_component(&mut self, component: Cell, executed: &mut Executed) {
        let search = &mut self.search.0;
        let mut component_of = std::mem::take(&mut search.component);
        search.forest.dissolve(component, &mut search.cells, &mut search.ready);
        let instance = |cell: Cell| search.explored[cell as usize].instance;
        component_of.extend(search.cells.drain(..).map(instance));
        // Where there are sequence numbers every instance has one: the published variant. (S13 §4.4)
        match self.execution {
            Execution::Closed => component_of.sort_unstable_by_key(|instance| {
                (self.node(*instance).dependencies.seq(), *instance)
            }),
            Execution::Bounded => component_of.sort_unstable_by_key(|at| self.key(*at)),
        }
        let longest = &mut self.counts.0.longest_component;
        *longest = (*longest).max(component_of.len() as u64);
        for instance in component_of.drain(..) {
            self.execute(instance, executed);
        }
        self.search.0.component = component_of;
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

    /// The last instance of `upto.row` up to `upto.slot` that conflicts with a command of this
    /// touch, and whether it writes.
    fn last_conflicting(&self, touch: &Touch, upto: InstanceId) -> Option<(Slot, bool)> {
        let Touching { writes, reads } = &self.by_key.get(touch.key)?[upto.row.index()];
        let write = last_at_or_below(writes, upto.slot);
        let read = last_at_or_below(reads, upto.slot).filter(|_| touch.write);
        write.max(read).map(|slot| (slot, Some(slot) == write))
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
