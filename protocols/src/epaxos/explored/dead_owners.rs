//! Five replicas, one or two of which propose and stay dead. The others recover all that these may
//! have left.
//!
//! An owner is dead from the moment at which it has proposed. Its PreAccepts reach any of the
//! others, in any order, before, between or after the recoveries, or never.

use super::{
    ROW,
    mark::{
        ACCEPTED_FOUND, NOTHING_AGAINST, NOTHING_FOUND, OWNER_HEARD, PHASE_ONE_AGAIN, TRACES_FOUND,
        UNDECIDABLE, VALIDATED, WAIT_CLEARED, WAIT_HEARD_OWNER, WAIT_REFUTED, WAITED,
    },
};
use crate::{
    ReplicaId,
    epaxos::{EPaxos, Variant},
    explored::{Bounds, Director, Mark, Marks, Proposal, Setup},
};

const ORDERED: Bounds = Bounds { overtakings: Some(0), ..Bounds::NONE };
const RECOVERED: Marks = Marks::only(Mark::Recovered).with(ACCEPTED_FOUND);

pub(super) fn all(variant: Variant) -> Vec<Setup<EPaxos>> {
    let (strangers, acquainted, one, three_of_two) = match variant {
        Variant::Star => {
            let validated = RECOVERED
                .with(Mark::NoOp)
                .with(VALIDATED)
                .with(NOTHING_FOUND)
                .with(NOTHING_AGAINST);
            let waited = validated.with(WAITED).with(UNDECIDABLE).with(WAIT_CLEARED);
            let heard = waited.with(OWNER_HEARD).with(WAIT_HEARD_OWNER).with(WAIT_REFUTED);
            (waited, validated, heard, validated)
        }
        Variant::Sosp13 => {
            let again = RECOVERED.with(PHASE_ONE_AGAIN).with(TRACES_FOUND);
            let none = again.with(Mark::NoOp).with(NOTHING_FOUND);
            (again, none, none, again)
        }
    };
    vec![strangers_dead(strangers), acquainted_dead(acquainted), one_dead(one), three(three_of_two)]
}

/// Two owners propose commands that conflict, without having heard of each other's, and die.
fn strangers_dead(reach: Marks) -> Setup<EPaxos> {
    let prefix = |director: &mut Director<'_, EPaxos>| {
        director.propose(0);
        director.propose(1);
        both_die(director);
    };
    let about = "N = 5: conflicting commands of two dead owners that did not know each other's";
    recovered("dead-owners", about, prefix, reach)
}

/// The same, but one of them had heard of the other's command.
fn acquainted_dead(reach: Marks) -> Setup<EPaxos> {
    let prefix = |director: &mut Director<'_, EPaxos>| {
        director.propose(0);
        director.deliver(|from, to, _| (from, to) == (0, 1));
        director.propose(1);
        both_die(director);
    };
    let about = "N = 5: conflicting commands of two dead owners, one of which knew the other's";
    recovered("dead-owners-known", about, prefix, reach)
}

fn both_die(director: &mut Director<'_, EPaxos>) {
    director.crash(0);
    director.crash(1);
}

/// One owner proposes and dies; another, which lives, proposes a command that conflicts.
fn one_dead(reach: Marks) -> Setup<EPaxos> {
    let prefix = |director: &mut Director<'_, EPaxos>| {
        director.propose(0);
        director.crash(0);
    };
    let about = "N = 5: a dead owner's command beside that of a living one, recovered at any time";
    let mut setup = recovered("dead-owner", about, prefix, reach);
    setup.bounds = ORDERED.with_timers(ROW, 1);
    setup.at_most(12_000_000)
}

/// Of two dead owners one had proposed two commands. All three conflict.
fn three(reach: Marks) -> Setup<EPaxos> {
    let prefix = |director: &mut Director<'_, EPaxos>| {
        for proposal in [0, 1, 2] {
            director.propose(proposal);
        }
        both_die(director);
    };
    let about = "N = 5: three conflicting commands of two dead owners";
    let mut setup = recovered("three-of-dead-owners", about, prefix, reach);
    setup.keys.push("k");
    setup.proposals.push(Proposal { command: 2, replica: ReplicaId(0) });
    setup.at_most(12_000_000)
}

/// Each of two conflicting commands is recovered once, or one of them twice.
fn recovered(
    name: &'static str,
    about: &'static str,
    prefix: fn(&mut Director<'_, EPaxos>),
    reach: Marks,
) -> Setup<EPaxos> {
    let mut setup = Setup::plain(name, about, 5, 2, ORDERED.with_timers(ROW, 2), reach);
    setup.prefix = Some(prefix);
    setup
}
