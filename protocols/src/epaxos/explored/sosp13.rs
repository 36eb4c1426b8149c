//! Configurations of EPaxos' published variant. Fixed fast quorums are those of the next numbers:
//! with three replicas that of r0 is {r0, r1}, with five {r0, r1, r2, r3}.

use super::{
    FAST_QUORUM, INSTANCE, PROGRESS, RETRANSMIT, ROW, bounded, dead_owners, mark::PHASE_ONE_AGAIN,
    windowed,
};
use crate::{
    ReplicaId,
    epaxos::{EPaxos, Message, Timer, Variant},
    explored::{Bounds, Director, Mark, Marks, Setup, repeated},
};

const FAST: Marks = Marks::only(Mark::Fast).with(Mark::Everywhere);
const WIDENED: Marks = FAST.with(Mark::Slow).with(PHASE_ONE_AGAIN);
const RECOVERED: Marks = FAST.with(Mark::Recovered).with(PHASE_ONE_AGAIN);
const ORDERED: Bounds = Bounds { overtakings: Some(0), ..Bounds::NONE };
const OVERTAKEN: Bounds = Bounds { overtakings: Some(1), ..Bounds::NONE };

pub(super) fn all() -> Vec<Setup<EPaxos>> {
    let mut all = vec![
        Setup::plain("two", "two commands, links in any order", 3, 2, Bounds::NONE, FAST),
        Setup::plain("three", "three commands, ordered links", 3, 3, ORDERED, FAST),
        bounded(ORDERED, FAST),
        bounded_recovery(),
        windowed(ORDERED, FAST),
        Setup::plain(
            "duplicates",
            "two commands, every message any number of times in any order",
            3,
            2,
            Bounds { duplicates: None, ..Bounds::NONE },
            FAST,
        ),
        Setup::plain(
            "widening",
            "the fixed fast quorums are given up at any time, a message overtaken",
            3,
            2,
            OVERTAKEN.with_timers(FAST_QUORUM, 2),
            WIDENED,
        )
        .at_most(4_000_000),
        Setup::plain(
            "faults",
            "a message lost, one repeated, one overtaken, retransmission, a report",
            3,
            1,
            Bounds { losses: 1, duplicates: Some(1), ..OVERTAKEN }
                .with_timers(RETRANSMIT, 1)
                .with_timers(PROGRESS, 1),
            FAST.with(Mark::Lost).with(Mark::Duplicated).with(Mark::Overtaken),
        )
        .at_most(4_000_000),
        Setup::plain(
            "recovery",
            "one recovery at any time, a message overtaken",
            3,
            2,
            OVERTAKEN.with_timers(ROW, 1),
            RECOVERED,
        )
        .at_most(4_000_000),
        Setup::plain(
            "recoveries",
            "two recoveries and a renewed one at any time",
            3,
            2,
            ORDERED.with_timers(ROW, 2).with_timers(INSTANCE, 1),
            RECOVERED,
        )
        .at_most(4_000_000),
        Setup::plain(
            "crash",
            "a crash, also midway in a step, a restart and a recovery",
            3,
            2,
            Bounds { crashes: 1, midway: true, restarts: 1, ..ORDERED }.with_timers(ROW, 1),
            RECOVERED.with(Mark::Midway).with(Mark::Restarted),
        )
        .at_most(4_000_000),
        Setup::plain(
            "checkpoint",
            "a checkpoint, then a crash, also midway in it, a restart from it alone and a recovery",
            3,
            2,
            Bounds { crashes: 1, midway: true, restarts: 1, checkpoints: 1, ..ORDERED }
                .with_timers(ROW, 1),
            Marks::only(Mark::Recovered)
                .with(PHASE_ONE_AGAIN)
                .with(Mark::Checkpointed)
                .with(Mark::Midway)
                .with(Mark::Restarted),
        )
        .at_most(4_000_000),
        Setup::plain(
            "repeated-messages",
            "a message delivered again, and a recovery, at any time",
            3,
            2,
            Bounds { duplicates: Some(1), ..ORDERED }.with_timers(ROW, 1),
            RECOVERED.with(Mark::Duplicated),
        )
        .at_most(4_000_000),
        repeated(OVERTAKEN.with_timers(ROW, 1), RECOVERED.with(Mark::Repeated)),
        widened(),
        short_form(),
        Setup::plain(
            "five",
            "N = 5: two commands, ordered links",
            5,
            2,
            ORDERED,
            Marks::only(Mark::Fast).with(Mark::Slow),
        )
        .at_most(4_000_000),
        fast_commit_alone(),
        one_match(),
    ];
    all.extend(dead_owners::all(Variant::Sosp13));
    for setup in &mut all {
        setup.config.options.put(Variant::Sosp13);
    }
    all
}

/// Two answers with different dependencies are under way to an owner that has widened, and it may
/// die.
fn widened() -> Setup<EPaxos> {
    let prefix = |director: &mut Director<'_, EPaxos>| {
        director.propose(1);
        director.lose(|_, _, _| true);
        director.propose(0);
        director.deliver(|from, to, _| (from, to) == (0, 1));
        director.fire(0, Timer::FastQuorum);
        director.lose(|from, to, message| {
            (from, to) == (0, 1) && matches!(message, Message::PreAcceptAgain { .. })
        });
        director.deliver(|from, to, message| {
            (from, to) == (0, 2) && matches!(message, Message::PreAcceptAgain { .. })
        });
    };
    let mut setup = Setup::plain(
        "widened",
        "two different answers to an owner that has widened, a crash and a recovery",
        3,
        2,
        Bounds { crashes: 1, midway: true, ..Bounds::NONE }.with_timers(ROW, 1),
        Marks::only(Mark::Slow).with(Mark::Recovered).with(Mark::Midway),
    );
    setup.prefix = Some(prefix);
    setup.at_most(4_000_000)
}

/// Sutra's trace in short: a tuple is accepted at ballot 0 by its owner alone, after widening; what
/// others would make of it has a dependency more.
fn short_form() -> Setup<EPaxos> {
    let prefix = |director: &mut Director<'_, EPaxos>| {
        director.propose(1);
        director.lose(|_, _, _| true);
        director.propose(0);
        director.lose(|_, _, _| true);
        director.fire(0, Timer::FastQuorum);
        director
            .deliver(|_, to, message| to == 1 && matches!(message, Message::PreAcceptAgain { .. }));
        director.deliver(|_, to, message| {
            to == 0 && matches!(message, Message::PreAcceptAgainOk { .. })
        });
        director.lose(|_, _, _| true);
    };
    let mut setup = Setup::plain(
        "short-form",
        "Sutra's: a tuple accepted by its owner alone, recovered and recovered again",
        3,
        2,
        Bounds::NONE.with_timers(ROW, 2).with_timers(INSTANCE, 1),
        Marks::only(Mark::Recovered).with(PHASE_ONE_AGAIN),
    );
    setup.proposals[1].replica = ReplicaId(2);
    setup.prefix = Some(prefix);
    setup.at_most(4_000_000)
}

/// Fixed fast quorums are given up and an instance is recovered, at any time, beside the bounded
/// rule: sequence numbers that grow after others have heard them.
fn bounded_recovery() -> Setup<EPaxos> {
    let mut setup = bounded(ORDERED.with_timers(FAST_QUORUM, 1).with_timers(ROW, 1), RECOVERED);
    setup.name = "bounded-recovery";
    setup.about = "the same with a fast quorum given up and a recovery at any time";
    setup.at_most(4_000_000)
}

/// The owner and one more of its fixed fast quorum crash right after a fast commit that a client
/// saw and nobody else.
fn fast_commit_alone() -> Setup<EPaxos> {
    let prefix = |director: &mut Director<'_, EPaxos>| {
        director.propose(0);
        director.deliver(|_, _, message| matches!(message, Message::PreAccept { .. }));
        director.deliver(|_, _, message| matches!(message, Message::PreAcceptOk { .. }));
        director.crash(0);
        director.crash(1);
        director.lose(|_, _, _| true);
    };
    let mut setup = Setup::plain(
        "fast-commit-alone",
        "N = 5: a fast commit that only a client saw is recovered beside a conflicting command",
        5,
        2,
        Bounds::NONE.with_timers(ROW, 2).with_timers(INSTANCE, 1),
        Marks::only(Mark::Recovered),
    );
    setup.proposals[1].replica = ReplicaId(4);
    setup.prefix = Some(prefix);
    setup.at_most(4_000_000)
}

/// Two members of a dead owner's fixed fast quorum hold its command with different dependencies:
/// without the conflicting one, and with it, which is decided by a majority that did not know the
/// other.
fn one_match() -> Setup<EPaxos> {
    let prefix = |director: &mut Director<'_, EPaxos>| {
        director.propose(1);
        director.deliver(|from, to, _| (from, to) == (4, 2));
        director.lose(|from, to, _| from == 4 && to != 2);
        director.propose(0);
        director.deliver(|from, to, _| from == 0 && matches!(to, 1 | 2));
        director.lose(|from, to, _| from == 0 && to == 3);
        director.lose(|_, to, _| to == 0);
        director.crash(0);
        director.fire(4, Timer::FastQuorum);
        director
            .deliver(|_, to, message| to == 3 && matches!(message, Message::PreAcceptAgain { .. }));
        director.deliver(|_, to, message| {
            to == 4
                && matches!(message, Message::PreAcceptOk { .. } | Message::PreAcceptAgainOk { .. })
        });
        director.lose(|_, _, message| matches!(message, Message::PreAcceptAgain { .. }));
        director.lose(|_, to, message| to < 2 && matches!(message, Message::Accept { .. }));
    };
    let mut setup = Setup::plain(
        "one-match",
        "N = 5: one report of two that a fast commit would leave, beside a command that knows nothing of it",
        5,
        2,
        Bounds::NONE.with_timers(ROW, 1),
        Marks::only(Mark::Slow).with(Mark::Recovered).with(PHASE_ONE_AGAIN),
    );
    setup.proposals[1].replica = ReplicaId(4);
    setup.prefix = Some(prefix);
    setup.at_most(4_000_000)
}
