//! The execution graph on its own: one order for conflicting commands, whatever order decisions arrive in.

#[path = "support/decision.rs"]
mod decision;

use std::collections::BTreeMap;

use decision::{Decision, batch, id};
use protocols::{
    Batch, InstanceId, ReplicaId, Slot,
    command::Footprint,
    dependencies::Dependencies,
    epaxos::{
        Execution,
        graph::{Executed, ExecutionGraph},
    },
};
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

fn decision(instance: InstanceId, key: u8, write: bool, dependencies: &[Slot]) -> Decision {
    let batch = batch(instance, &[(key, write)]);
    Decision {
        instance,
        footprint: batch.footprint(),
        batch,
        dependencies: dependencies.iter().copied().collect(),
    }
}

fn commit(graph: &mut ExecutionGraph, d: &Decision, executed: &mut Executed) {
    graph.committed(d.instance, d.batch.clone(), &d.footprint, d.dependencies.clone(), executed);
}

fn order(executed: &Executed) -> Vec<InstanceId> {
    executed.iter().map(|(instance, _)| *instance).collect()
}

/// Commits `decisions` in their order and returns what was executed after each.
fn run(rows: usize, decisions: &[Decision]) -> Vec<Vec<InstanceId>> {
    let mut graph = ExecutionGraph::new(rows, Execution::Closed);
    let steps = decisions.iter().map(|decision| {
        let mut executed = Executed::new();
        commit(&mut graph, decision, &mut executed);
        order(&executed)
    });
    steps.collect()
}

/// In the published variant, whose dependencies have a sequence number.
#[test]
fn inside_a_component_sequence_numbers_come_before_instance_order() {
    let cycle = |seqs: [u64; 3]| {
        let decisions = [0, 1, 2].map(|row| {
            let mut dependencies = Dependencies::none_with_seq(3);
            for other in (0..3).filter(|other| *other != row) {
                dependencies.set(ReplicaId::from_index(other), 1);
            }
            dependencies.raise_seq(seqs[row]);
            Decision { dependencies, ..decision(id(row, 1), 0, true, &[]) }
        });
        run(3, &decisions).pop().unwrap()
    };
    assert_eq!(cycle([3, 2, 1]), [id(2, 1), id(1, 1), id(0, 1)]);
    assert_eq!(cycle([2, 1, 2]), [id(1, 1), id(0, 1), id(2, 1)]);
    assert_eq!(cycle([1, 1, 1]), [id(0, 1), id(1, 1), id(2, 1)]);
}

#[test]
fn what_depends_on_nothing_is_executed_at_once() {
    assert_eq!(run(3, &[decision(id(1, 1), 0, true, &[0, 0, 0])]), [[id(1, 1)]]);
}

#[test]
fn a_dependency_comes_first_whenever_it_arrives() {
    let a = decision(id(0, 1), 0, true, &[0, 0, 0]);
    let b = decision(id(1, 1), 0, true, &[1, 0, 0]);
    assert_eq!(run(3, &[a.clone(), b.clone()]), [[id(0, 1)], [id(1, 1)]]);
    assert_eq!(run(3, &[b, a]), [vec![], vec![id(0, 1), id(1, 1)]]);
}

/// Two commands each in the other's dependencies: one component, in instance order on every replica.
#[test]
fn a_cycle_is_executed_in_instance_order() {
    let a = decision(id(0, 1), 0, true, &[0, 1, 0]);
    let b = decision(id(1, 1), 0, true, &[1, 0, 0]);
    for decisions in [[a.clone(), b.clone()], [b, a]] {
        assert_eq!(run(3, &decisions), [vec![], vec![id(0, 1), id(1, 1)]]);
    }
}

/// A ↔ C ↔ B, with A answered before B was proposed: A does not reach B, B reaches A, and A must come first.
#[test]
fn a_component_does_not_reorder_what_was_answered() {
    let a = decision(id(1, 1), 0, true, &[0, 0, 0]);
    let c = decision(id(2, 1), 0, true, &[1, 1, 0]);
    let b = decision(id(0, 1), 0, true, &[0, 1, 1]);
    let mut all = [a, c, b];
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..20 {
        all.shuffle(&mut rng);
        assert_eq!(run(3, &all).concat(), [id(1, 1), id(0, 1), id(2, 1)]);
    }
}

/// The slots below a dependency belong to it too: a conflicting one that is not known yet has to be waited for.
#[test]
fn a_hole_below_a_dependency_is_waited_for_until_known() {
    let first = decision(id(0, 1), 0, true, &[0, 0, 0]);
    let second = decision(id(0, 2), 9, true, &[0, 0, 0]);
    let waits = decision(id(1, 1), 0, true, &[2, 0, 0]);
    let mut graph = ExecutionGraph::new(3, Execution::Closed);
    let mut executed = Executed::new();
    commit(&mut graph, &waits, &mut executed);
    commit(&mut graph, &second, &mut executed);
    assert_eq!(order(&executed), [id(0, 2)], "its key is another");
    graph.known(first.instance, &first.footprint, &mut executed);
    assert_eq!(executed.len(), 1, "known to conflict, and not decided");
    commit(&mut graph, &first, &mut executed);
    assert_eq!(order(&executed), [id(0, 2), id(0, 1), id(1, 1)]);
}

#[test]
fn a_hole_that_does_not_conflict_holds_up_only_until_it_is_known() {
    let hole = decision(id(0, 1), 9, true, &[0, 0, 0]);
    let waits = decision(id(1, 1), 0, true, &[1, 0, 0]);
    let mut graph = ExecutionGraph::new(3, Execution::Closed);
    let mut executed = Executed::new();
    commit(&mut graph, &waits, &mut executed);
    graph.known(hole.instance, &hole.footprint, &mut executed);
    assert_eq!(order(&executed), [id(1, 1)], "whatever the hole commits with");
}

#[test]
fn a_no_op_satisfies_whoever_depends_on_it() {
    let waits = decision(id(1, 1), 0, true, &[1, 0, 0]);
    let mut graph = ExecutionGraph::new(3, Execution::Closed);
    let mut executed = Executed::new();
    graph.known(id(0, 1), &batch(id(0, 1), &[(0, true)]).footprint(), &mut executed);
    commit(&mut graph, &waits, &mut executed);
    assert!(executed.is_empty());
    let none = Dependencies::none(3);
    graph.committed(id(0, 1), Batch::NOOP, &Footprint::default(), none, &mut executed);
    assert_eq!(order(&executed), [id(0, 1), id(1, 1)]);
}

/// A write that turns out to be a no-op no longer stands for the conflicting slots before it.
#[test]
fn a_no_op_does_not_hide_what_came_before_it() {
    let before = decision(id(0, 1), 0, true, &[0, 0, 0]);
    let waits = decision(id(1, 1), 0, true, &[2, 0, 0]);
    let mut graph = ExecutionGraph::new(3, Execution::Closed);
    let mut executed = Executed::new();
    graph.known(id(0, 1), &before.footprint, &mut executed);
    graph.known(id(0, 2), &before.footprint, &mut executed);
    commit(&mut graph, &waits, &mut executed);
    let none = Dependencies::none(3);
    graph.committed(id(0, 2), Batch::NOOP, &Footprint::default(), none, &mut executed);
    assert_eq!(order(&executed), [id(0, 2)], "slot 1 conflicts and is not decided");
    commit(&mut graph, &before, &mut executed);
    assert_eq!(order(&executed), [id(0, 2), id(0, 1), id(1, 1)]);
}

#[test]
fn a_write_waits_for_every_read_below_it_and_reads_not_for_reads() {
    let reads = [1, 2, 3].map(|slot| decision(id(0, slot), 0, false, &[0, 0, 0]));
    let write = decision(id(1, 1), 0, true, &[3, 0, 0]);
    let mut graph = ExecutionGraph::new(3, Execution::Closed);
    let mut executed = Executed::new();
    for read in &reads {
        graph.known(read.instance, &read.footprint, &mut executed);
    }
    commit(&mut graph, &write, &mut executed);
    commit(&mut graph, &reads[2], &mut executed);
    commit(&mut graph, &reads[0], &mut executed);
    assert_eq!(order(&executed), [id(0, 3), id(0, 1)]);
    commit(&mut graph, &reads[1], &mut executed);
    assert_eq!(order(&executed), [id(0, 3), id(0, 1), id(0, 2), id(1, 1)]);
}

/// 100,000 in a chain that closes at its far end: no recursion, and no search of what was searched before.
#[test]
fn a_chain_of_100_000_is_executed_in_order() {
    let length = 100_000;
    let mut graph = ExecutionGraph::new(3, Execution::Closed);
    let mut executed = Executed::new();
    let link = |slot: Slot| decision(id(0, slot), 0, true, &[slot - 1, 0, 0]);
    for slot in 1..=length {
        graph.known(id(0, slot), &link(slot).footprint, &mut executed);
    }
    for slot in (1..=length).rev() {
        commit(&mut graph, &link(slot), &mut executed);
    }
    assert_eq!(order(&executed), (1..=length).map(|slot| id(0, slot)).collect::<Vec<_>>());
    assert_eq!(graph.unexecuted(), 0);
}

/// One component of 3,000: every third row's commands depend on the others' next ones.
#[test]
fn a_cycle_of_3_000_is_one_component() {
    let length = 1_000;
    let mut graph = ExecutionGraph::new(3, Execution::Closed);
    let mut executed = Executed::new();
    for slot in 1..=length {
        for row in 0..3 {
            let next = if row == 2 { slot.min(length - 1) + 1 } else { slot };
            let mut on = [next, next, next];
            on[row] = slot - 1;
            commit(&mut graph, &decision(id(row, slot), 0, true, &on), &mut executed);
        }
    }
    assert_eq!(executed.len(), 3 * 1_000);
    assert_eq!(graph.longest_component(), 3 * length);
}

/// Random histories that keep the protocol's promise (of two conflicting commands one knows the other; a row knows its own
/// past), decided in random orders: every order executes everything, and conflicting commands always in the same order.
#[test]
fn every_order_of_arrival_gives_one_order_of_execution() {
    let mut components = 0;
    for seed in 0..400 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let rows = [3, 5][usize::from(rng.random_bool(0.3))];
        let history = random_history(rows, &mut rng);
        let expected = execute_shuffled(rows, &history, None);
        components = components.max(expected.1);
        for _ in 0..6 {
            let (actual, _) = execute_shuffled(rows, &history, Some(&mut rng));
            assert_eq!(actual, expected.0, "seed {seed}");
        }
    }
    assert!(components > 3, "the histories hold cycles worth the name: {components}");
}

fn random_history(rows: u8, rng: &mut ChaCha8Rng) -> Vec<Decision> {
    let length = rng.random_range(1..=12);
    let mut history: Vec<Decision> = Vec::new();
    for slot in 1..=length {
        for row in 0..rows {
            let (key, write) = (rng.random_range(0..2), rng.random_bool(0.6));
            let none = vec![0; usize::from(rows)];
            history.push(decision(id(usize::from(row), slot), key, write, &none));
        }
    }
    for a in 0..history.len() {
        for b in 0..a {
            if !history[a].footprint.conflicts(&history[b].footprint) {
                continue;
            }
            let (early, late) = (history[b].instance, history[a].instance);
            let same_row = early.row == late.row;
            let (forward, backward) = match rng.random_range(0..4) {
                _ if same_row => (true, false),
                0 => (true, true),
                1 if late.slot < early.slot + 3 => (false, true),
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
    // A slot covers all below it, so a dependency on another row may now name what it was not drawn for: a superset.
    history
}

/// Executes `history`, shuffled; returns per key the writes in order, each with the reads since the one before, and the
/// longest component.
fn execute_shuffled(
    rows: u8,
    history: &[Decision],
    rng: Option<&mut ChaCha8Rng>,
) -> (BTreeMap<u64, Vec<Vec<InstanceId>>>, u64) {
    let mut events: Vec<(usize, bool)> =
        (0..history.len()).flat_map(|i| [(i, false), (i, true)]).collect();
    if let Some(rng) = rng {
        events.shuffle(rng);
    }
    let mut graph = ExecutionGraph::new(usize::from(rows), Execution::Closed);
    let mut executed = Executed::new();
    for (i, decided) in events {
        let decision = &history[i];
        if decided {
            commit(&mut graph, decision, &mut executed);
        } else {
            graph.known(decision.instance, &decision.footprint, &mut executed);
        }
    }
    assert_eq!(executed.len(), history.len(), "everything is decided, so everything is executed");
    let mut by_key: BTreeMap<u64, Vec<Vec<InstanceId>>> = BTreeMap::new();
    for (instance, batch) in executed {
        let touch = batch.footprint().touches()[0];
        let groups = by_key.entry(touch.key).or_insert_with(|| vec![Vec::new()]);
        if touch.write {
            groups.push(vec![instance]);
            groups.push(Vec::new());
        } else {
            let reads = groups.last_mut().expect("never empty");
            reads.push(instance);
            reads.sort_unstable();
        }
    }
    (by_key, graph.longest_component())
}
