//! The execution graph against an executor that searches from scratch after each event, and the
//! work that it does.

#[path = "support/decision.rs"]
mod decision;

use std::collections::BTreeMap;

use decision::{Decision, batch, id};
use protocols::{
    Batch, InstanceId, Slot,
    dependencies::Dependencies,
    epaxos::{
        Execution,
        graph::{Executed, ExecutionGraph},
    },
};
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

/// A random history that keeps the protocol's promise: of two conflicting commands one knows the
/// other, and a row knows its own past. Dependencies are compressed, as they always are.
fn random_history(rows: usize, numbered: bool, rng: &mut ChaCha8Rng) -> Vec<Decision> {
    let length = rng.random_range(1..=if rows == 3 { 12 } else { 8 });
    let keys = rng.random_range(1..4);
    let mut history = Vec::new();
    for slot in 1..=length {
        for row in 0..rows {
            let instance = id(row, slot);
            let touches = 1 + usize::from(rng.random_bool(0.2));
            let touch = |_| (rng.random_range(0..keys), rng.random_bool(0.6));
            let batch = batch(instance, &(0..touches).map(touch).collect::<Vec<_>>());
            let mut dependencies = match numbered {
                true => Dependencies::none_with_seq(rows),
                false => Dependencies::none(rows),
            };
            dependencies.raise_seq(rng.random_range(1..12));
            history.push(Decision { instance, footprint: batch.footprint(), batch, dependencies });
        }
    }
    for a in 0..history.len() {
        for b in 0..a {
            if !history[a].footprint.conflicts(&history[b].footprint) {
                continue;
            }
            let (early, late) = (history[b].instance, history[a].instance);
            let same_row = early.row == late.row;
            let (forward, backward) = match rng.random_range(0..5) {
                _ if same_row => (true, false),
                0 | 1 => (true, true),
                2 if late.slot < early.slot + 3 => (false, true),
                _ => (true, false),
            };
            if forward {
                history[a].dependencies.raise(early.row, early.slot);
            }
            if backward {
                history[b].dependencies.raise(late.row, late.slot);
            }
        }
    }
    for decision in &mut history {
        if rng.random_bool(0.05) {
            decision.batch = Batch::NOOP;
        }
    }
    history
}

/// What happens to an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Heard {
    #[default]
    Nothing,
    Known,
    Decided,
}

/// The whole graph of a history, by bits: no edge is left out because another path has it.
struct Naive<'h> {
    history: &'h [Decision],
    /// What each instance has to come after.
    edges: Vec<u64>,
    /// The instances that have to be decided before this one, whatever they turn out to be.
    needs: Vec<u64>,
    /// All that its edges reach.
    reach: Vec<u64>,
    places: BTreeMap<InstanceId, usize>,
    execution: Execution,
}

impl<'h> Naive<'h> {
    fn new(history: &'h [Decision], execution: Execution) -> Self {
        assert!(history.len() <= 64, "a bit for each");
        let places = history.iter().map(|decision| decision.instance).zip(0..).collect();
        let mut naive = Self {
            history,
            edges: Vec::new(),
            needs: Vec::new(),
            reach: Vec::new(),
            places,
            execution,
        };
        for from in 0..history.len() {
            let (mut edges, mut needs) = (0, 0);
            for (to, decision) in history.iter().enumerate() {
                if naive.depends(from, to) {
                    needs |= 1 << to;
                    let dropped = execution == Execution::Bounded
                        && naive.depends(to, from)
                        && naive.key(from) < naive.key(to);
                    if !dropped && !decision.batch.is_noop() {
                        edges |= 1 << to;
                    }
                }
            }
            naive.edges.push(edges);
            naive.needs.push(needs);
        }
        naive.reach.clone_from(&naive.edges);
        loop {
            let before = naive.reach.clone();
            for reach in &mut naive.reach {
                for (to, more) in before.iter().enumerate() {
                    if *reach >> to & 1 == 1 {
                        *reach |= more;
                    }
                }
            }
            if naive.reach == before {
                return naive;
            }
        }
    }

    fn depends(&self, from: usize, to: usize) -> bool {
        let (a, b) = (&self.history[from], &self.history[to]);
        from != to
            && !a.batch.is_noop()
            && a.dependencies.contain(b.instance)
            && a.footprint.conflicts(&b.footprint)
    }

    fn key(&self, place: usize) -> (u64, InstanceId) {
        let Decision { instance, dependencies, .. } = &self.history[place];
        let mut known = dependencies.clone();
        known.raise(instance.row, instance.slot);
        let number = dependencies.seq().unwrap_or_else(|| known.slots().iter().sum());
        (number, *instance)
    }

    /// What can be executed if this was heard: all that reaches nothing that is open.
    fn closed(&self, heard: &[Heard]) -> u64 {
        let mut open = 0u64;
        for (place, decision) in self.history.iter().enumerate() {
            let needed = |to: usize| self.needs[place] >> to & 1 == 1;
            let undecided = |to: &usize| needed(*to) && heard[*to] < Heard::Decided;
            let unknown = |to: &InstanceId| {
                let place = self.places[to];
                decision.dependencies.contain(*to) && heard[place] == Heard::Nothing
            };
            let is_open = heard[place] < Heard::Decided
                || !decision.batch.is_noop()
                    && ((0..heard.len()).any(|to| undecided(&to))
                        || self.places.keys().any(unknown));
            open |= u64::from(is_open) << place;
        }
        let is_open = |place: &usize| open >> place & 1 == 1 || self.reach[*place] & open != 0;
        (0..heard.len()).filter(|place| !is_open(place)).map(|place| 1 << place).sum()
    }

    /// Whether `a` comes before `b`, which conflicts with it.
    fn is_before(&self, a: usize, b: usize) -> bool {
        let [a_reaches_b, b_reaches_a] =
            [(a, b), (b, a)].map(|(from, to)| self.reach[from] >> to & 1 == 1);
        assert!(a_reaches_b || b_reaches_a, "conflicting, so ordered");
        match (a_reaches_b, b_reaches_a, self.execution) {
            (true, true, Execution::Closed) => {
                let place =
                    |at: usize| (self.history[at].dependencies.seq(), self.history[at].instance);
                place(a) < place(b)
            }
            (true, true, Execution::Bounded) => self.key(a) < self.key(b),
            (_, is_before, _) => is_before,
        }
    }
}

/// Thousands of random graphs, in random orders of arrival, for both rules and both kinds of keys:
/// after each event exactly that is executed which an executor finds that looks at everything anew,
/// and conflicting commands are executed in the order that the whole graph gives.
#[test]
fn it_executes_what_a_search_from_scratch_finds() {
    let (mut longest, mut dropped) = (0, 0);
    for seed in 0..6_000 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let execution = [Execution::Closed, Execution::Bounded][usize::from(seed % 2 == 1)];
        let rows = [3, 5][usize::from(rng.random_bool(0.4))];
        let history = random_history(rows, seed % 4 < 2, &mut rng);
        let naive = Naive::new(&history, execution);
        let edges = |of: &[u64]| of.iter().map(|edges| edges.count_ones()).sum::<u32>();
        dropped += edges(&naive.needs) - edges(&naive.edges);

        let mut events: Vec<(usize, Heard)> = (0..history.len())
            .flat_map(|place| [(place, Heard::Known), (place, Heard::Decided)])
            .collect();
        events.shuffle(&mut rng);
        let mut graph = ExecutionGraph::new(rows, execution);
        let (mut executed, mut heard) = (Executed::new(), vec![Heard::Nothing; history.len()]);
        for (place, what) in events {
            let Decision { instance, footprint, batch, dependencies } = &history[place];
            if what == Heard::Decided {
                let (batch, dependencies) = (batch.clone(), dependencies.clone());
                graph.committed(*instance, batch, footprint, dependencies, &mut executed);
            } else {
                graph.known(*instance, footprint, &mut executed);
            }
            heard[place] = what.max(heard[place]);
            let bits = executed.iter().map(|(instance, _)| 1u64 << naive.places[instance]);
            assert_eq!(bits.sum::<u64>(), naive.closed(&heard), "seed {seed}");
        }
        assert_eq!(executed.len(), history.len(), "seed {seed}: all is decided");
        longest = longest.max(graph.longest_component());
        for (nth, (later, batch)) in executed.iter().enumerate() {
            for (earlier, other) in &executed[..nth] {
                if batch.footprint().conflicts(&other.footprint()) {
                    let [a, b] = [earlier, later].map(|instance| naive.places[instance]);
                    assert!(naive.is_before(a, b), "seed {seed}: {earlier} before {later}");
                }
            }
        }
    }
    assert!(longest > 8 && dropped > 10_000, "longest {longest}, {dropped} edges dropped");
}

/// A command on one key, which all of these write.
fn hot(row: usize, slot: Slot, dependencies: &[Slot]) -> Decision {
    let instance = id(row, slot);
    let batch = batch(instance, &[(0, true)]);
    let footprint = batch.footprint();
    Decision { instance, footprint, batch, dependencies: dependencies.iter().copied().collect() }
}

/// How much work the graph does per instance of `decisions`, which arrive in this order and are
/// known before; and its longest component.
fn work(rows: usize, execution: Execution, decisions: &[Decision]) -> (u64, u64) {
    let mut graph = ExecutionGraph::new(rows, execution);
    let mut executed = Executed::new();
    for decision in decisions {
        graph.known(decision.instance, &decision.footprint, &mut executed);
    }
    for Decision { instance, footprint, batch, dependencies } in decisions {
        let (batch, dependencies) = (batch.clone(), dependencies.clone());
        graph.committed(*instance, batch, footprint, dependencies, &mut executed);
    }
    assert_eq!((executed.len(), graph.unexecuted()), (decisions.len(), 0));
    (graph.visits() / decisions.len() as u64, graph.longest_component())
}

/// Five rows whose commands know the others' up to `ahead` rounds later, in rounds.
fn growing(rounds: Slot, ahead: Slot) -> Vec<Decision> {
    let round = |slot: Slot| {
        (0..5).map(move |row| {
            let mut on = [(slot + ahead).min(rounds); 5];
            on[row] = slot - 1;
            hot(row, slot, &on)
        })
    };
    (1..=rounds).flat_map(round).collect()
}

/// A component that grows for as long as commands arrive, since each knows newer ones: the work per
/// instance does not depend on how many there are.
#[test]
fn the_work_on_a_component_that_keeps_growing_is_linear() {
    for ahead in [1, 7] {
        let [(few, _), (many, longest)] =
            [500, 8_000].map(|rounds| work(5, Execution::Closed, &growing(rounds, ahead)));
        assert_eq!(longest, 5 * 8_000, "one component");
        assert!(many <= few + few / 4 + 1 && many < 100, "{few} {many} an instance");
        let [(few, _), (many, longest)] =
            [500, 8_000].map(|rounds| work(5, Execution::Bounded, &growing(rounds, ahead)));
        assert!(longest <= 5, "{longest}: each pair is mutual");
        assert!(many <= few + few / 4 + 1 && many < 200, "{few} {many} an instance");
    }
}

/// Two keys of one row each, and a third row whose commands tie what came before together, one step
/// further at each arrival: a search that begins again would walk all of it each time.
#[test]
fn a_component_that_is_tied_together_step_by_step_is_not_walked_again() {
    // Row 0 is a chain. Each command of row 1 stands on a key of its own with one link of that
    // chain, and arrives from the chain's end to its beginning. The last link knows the first one
    // of row 2, which closes all.
    let decisions = |length: Slot| {
        let link = |slot: Slot| {
            let instance = id(0, slot);
            let own = batch(instance, &[(0, true), (u8::try_from(slot % 200).unwrap() + 1, true)]);
            let on = [slot - 1, slot, u64::from(slot == 1)];
            let footprint = own.footprint();
            let dependencies = on.into_iter().collect();
            Decision { instance, footprint, batch: own, dependencies }
        };
        let tie = |slot: Slot| {
            let instance = id(1, slot);
            let own = batch(instance, &[(u8::try_from(slot % 200).unwrap() + 1, true)]);
            let dependencies = [length, slot.saturating_sub(200), 0].into_iter().collect();
            Decision { instance, footprint: own.footprint(), batch: own, dependencies }
        };
        let mut all: Vec<_> = (1..=length).map(link).collect();
        all.extend((1..=length).rev().map(tie));
        all.push(hot(2, 1, &[length, 0, 0]));
        all
    };
    for execution in [Execution::Closed, Execution::Bounded] {
        let [few, many] = [500, 8_000].map(|length| work(3, execution, &decisions(length)).0);
        assert!(many <= 2 * few && many < 300, "{execution:?}: {few} {many} an instance");
    }
}

/// A chain that is as long at its end as it grows at its beginning.
#[test]
fn the_work_on_a_chain_that_slides_is_linear() {
    let decisions = |length: Slot| {
        let depth = length / 4;
        // Row 1 decides a hole that the chain of row 0 waits for, long after what hangs on it.
        let mut all: Vec<_> = (1..=depth).map(|slot| hot(0, slot, &[slot - 1, slot, 0])).collect();
        for slot in 1..=length - depth {
            let newest = depth + slot;
            all.push(hot(0, newest, &[newest - 1, newest.min(length - depth), 0]));
            all.push(hot(1, slot, &[0, slot - 1, 0]));
        }
        all
    };
    let [few, many] = [500, 8_000].map(|length| work(3, Execution::Closed, &decisions(length)).0);
    assert!(many <= 2 * few && many < 200, "{few} {many} an instance");
}

/// Each knows the other: the edge from the lower key to the higher one is dropped, and both are
/// executed one by one, in the order of the keys. The lower one waits for the other's decision all
/// the same, and not for what that waits for.
#[test]
fn of_a_mutual_pair_one_edge_is_dropped() {
    let low = hot(0, 1, &[0, 1, 0]);
    let high = hot(1, 1, &[1, 0, 1]);
    let open = hot(2, 1, &[1, 1, 0]);
    let mut graph = ExecutionGraph::new(3, Execution::Bounded);
    let mut executed = Executed::new();
    let mut commit = |decision: &Decision| {
        let Decision { instance, footprint, batch, dependencies } = decision.clone();
        graph.known(open.instance, &open.footprint, &mut executed);
        graph.committed(instance, batch, &footprint, dependencies, &mut executed);
        executed.iter().map(|(instance, _)| *instance).collect::<Vec<_>>()
    };
    assert_eq!(commit(&low), [], "what it depends on is not decided");
    assert_eq!(commit(&high), [low.instance], "though that waits");
    assert_eq!(commit(&open), [low.instance, high.instance, open.instance]);
}

/// A row is one slot in dependencies. Where the edge to that slot is dropped, an earlier one of the
/// row that is to come first must be found all the same.
#[test]
fn a_dropped_edge_hides_nothing_of_its_row() {
    let earlier = hot(1, 1, &[0, 0, 0]);
    let low = hot(0, 1, &[0, 2, 0]);
    let high = hot(1, 2, &[1, 1, 4]);
    let mut graph = ExecutionGraph::new(3, Execution::Bounded);
    let mut executed = Executed::new();
    for slot in 1..=4 {
        graph.known(id(2, slot), &earlier.footprint, &mut executed);
    }
    graph.known(earlier.instance, &earlier.footprint, &mut executed);
    for decision in [&low, &high, &earlier] {
        assert_eq!(executed.len(), 0);
        let Decision { instance, footprint, batch, dependencies } = decision.clone();
        graph.committed(instance, batch, &footprint, dependencies, &mut executed);
    }
    let order: Vec<_> = executed.iter().map(|(instance, _)| *instance).collect();
    assert_eq!(order, [earlier.instance, low.instance], "the higher one waits for row 2");
}
