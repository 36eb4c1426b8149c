//! EPaxos' configurations.

use super::{
    INSTANCE, PROGRESS, RETRANSMIT, ROW, bounded, dead_owners,
    mark::{OUTVOTED, REFUTED, VALIDATED, WAIT_HEARD_ACCEPTED, WAITED},
    windowed,
};
use crate::{
    ReplicaId,
    epaxos::{EPaxos, Execution, FastQuorum, Message, Timer, Variant},
    explored::{Bounds, Director, Mark, Marks, Setup, repeated},
};

const DECIDED: Marks = Marks::only(Mark::Fast).with(Mark::Slow).with(Mark::Everywhere);
const RECOVERED: Marks = DECIDED.with(Mark::Recovered).with(Mark::NoOp).with(VALIDATED);
const ORDERED: Bounds = Bounds { overtakings: Some(0), ..Bounds::NONE };
const OVERTAKEN: Bounds = Bounds { overtakings: Some(1), ..Bounds::NONE };

pub(super) fn all() -> Vec<Setup<EPaxos>> {
    let mut all = vec![
        Setup::plain("two", "two commands, links in any order", 3, 2, Bounds::NONE, DECIDED),
        Setup::plain("three", "three commands, ordered links", 3, 3, ORDERED, DECIDED),
        bounded(ORDERED, DECIDED),
        windowed(ORDERED, DECIDED),
        Setup::plain(
            "duplicates",
            "two commands, every message any number of times in any order",
            3,
            2,
            Bounds { duplicates: None, ..Bounds::NONE },
            DECIDED,
        ),
        Setup::plain(
            "faults",
            "a message lost, one repeated, one overtaken, retransmission, a report",
            3,
            1,
            Bounds { losses: 1, duplicates: Some(1), ..OVERTAKEN }
                .with_timers(RETRANSMIT, 1)
                .with_timers(PROGRESS, 1),
            Marks::only(Mark::Fast)
                .with(Mark::Everywhere)
                .with(Mark::Lost)
                .with(Mark::Duplicated)
                .with(Mark::Overtaken),
        )
        .at_most(4_000_000),
        Setup::plain(
            "recovery",
            "one recovery at any time, a message overtaken",
            3,
            2,
            OVERTAKEN.with_timers(ROW, 1),
            RECOVERED.with(WAITED).with(WAIT_HEARD_ACCEPTED),
        )
        .at_most(10_000_000),
        bounded_recovery(),
        Setup::plain(
            "recoveries",
            "two recoveries and a renewed one at any time",
            3,
            2,
            ORDERED.with_timers(ROW, 2).with_timers(INSTANCE, 1),
            RECOVERED.with(WAITED),
        )
        .at_most(6_000_000),
        Setup::plain(
            "crash",
            "a crash, also midway in a step, a restart and a recovery",
            3,
            2,
            Bounds { crashes: 1, midway: true, restarts: 1, ..ORDERED }.with_timers(ROW, 1),
            RECOVERED.with(Mark::Midway).with(Mark::Restarted),
        )
        .at_most(6_000_000),
        Setup::plain(
            "checkpoint",
            "a checkpoint, then a crash, also midway in it, a restart from it alone and a recovery",
            3,
            2,
            Bounds { crashes: 1, midway: true, restarts: 1, checkpoints: 1, ..ORDERED }
                .with_timers(ROW, 1),
            // That every command is executed everywhere lies behind the bound as often as before
            // it.
            Marks::only(Mark::Recovered)
                .with(Mark::NoOp)
                .with(VALIDATED)
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
        snapshot(),
        short_form(),
        five(),
        fast_commit_alone("fast-commit-alone", FastQuorum::Optimized),
        fast_commit_alone("fast-commit-simple", FastQuorum::Simple),
        two_waiting(),
        conflicting_fast(),
        duplicate_validate(),
    ];
    all.extend(dead_owners::all(Variant::Star));
    all
}

/// An instance that becomes a no-op, or is decided otherwise than it was heard of, beside the
/// bounded rule.
fn bounded_recovery() -> Setup<EPaxos> {
    let about = "two commands executed by the bounded rule, one recovery at any time";
    let bounds = ORDERED.with_timers(ROW, 1);
    let mut setup = Setup::plain("bounded-recovery", about, 3, 2, bounds, RECOVERED);
    setup.config.options.put(Execution::Bounded);
    setup.at_most(10_000_000)
}

const fn row(replica: u8) -> Timer {
    Timer::Row(ReplicaId(replica))
}

/// What two replicas decided and discarded is news to the third, which leads a conflicting command
/// meanwhile.
fn snapshot() -> Setup<EPaxos> {
    let prefix = |director: &mut Director<'_, EPaxos>| {
        for proposal in [0, 1] {
            director.propose(proposal);
            director.deliver(|_, to, _| to == 1);
            director.deliver(|_, to, _| to == 0);
            director.lose(|_, to, _| to == 2);
            director.deliver(|_, to, _| to == 1);
        }
        for replica in [0, 1] {
            director.fire(replica, Timer::Progress);
        }
        director.deliver(|_, to, message| to != 2 && matches!(message, Message::Progress { .. }));
        director.lose(|_, _, _| true);
    };
    let reach = [Mark::Installed, Mark::Slow];
    let mut setup = Setup::plain(
        "snapshot",
        "a replica that missed what the others discarded leads a conflicting command",
        3,
        3,
        ORDERED.with_timers(RETRANSMIT, 1).with_timers(PROGRESS, 1).with_timers(ROW, 1),
        reach.into_iter().collect(),
    );
    setup.propose_all_at(0);
    setup.proposals[2].replica = ReplicaId(2);
    setup.config.kept_slots_max = 0;
    setup.prefix = Some(prefix);
    setup.at_most(4_000_000)
}

/// Sutra's trace in short: a tuple with a dependency is accepted at ballot 0, by its owner alone.
fn short_form() -> Setup<EPaxos> {
    let prefix = |director: &mut Director<'_, EPaxos>| {
        director.propose(1);
        director.deliver(|_, to, _| to == 1);
        director.lose(|_, _, _| true);
        director.propose(0);
        director.deliver(|_, to, message| to == 1 && matches!(message, Message::PreAccept { .. }));
        director
            .deliver(|_, to, message| to == 0 && matches!(message, Message::PreAcceptOk { .. }));
        director.lose(|_, _, _| true);
    };
    let mut setup = Setup::plain(
        "short-form",
        "Sutra's: a tuple accepted by its owner alone, recovered and recovered again",
        3,
        2,
        Bounds::NONE.with_timers(ROW, 2).with_timers(INSTANCE, 1),
        Marks::only(Mark::Recovered).with(Mark::NoOp),
    );
    setup.proposals[1].replica = ReplicaId(2);
    setup.prefix = Some(prefix);
    setup.at_most(4_000_000)
}

/// Nothing but size: five replicas.
fn five() -> Setup<EPaxos> {
    Setup::plain(
        "five",
        "N = 5: two commands, ordered links",
        5,
        2,
        ORDERED,
        Marks::only(Mark::Fast).with(Mark::Slow),
    )
    .at_most(4_000_000)
}

/// The owner and one more of the fast quorum crash right after a fast commit that a client saw and
/// nobody else.
fn fast_commit_alone(name: &'static str, quorum: FastQuorum) -> Setup<EPaxos> {
    let prefix = |director: &mut Director<'_, EPaxos>| {
        director.propose(0);
        director.deliver(|_, to, message| to < 3 && matches!(message, Message::PreAccept { .. }));
        director.deliver(|_, _, message| matches!(message, Message::PreAcceptOk { .. }));
        if director.is_undecided(0) {
            director
                .deliver(|_, to, message| to == 3 && matches!(message, Message::PreAccept { .. }));
            director.deliver(|_, _, message| matches!(message, Message::PreAcceptOk { .. }));
        }
        director.crash(0);
        director.crash(1);
        director.lose(|_, _, _| true);
    };
    let mut setup = Setup::plain(
        name,
        "N = 5: a fast commit that only a client saw is recovered beside a conflicting command",
        5,
        2,
        Bounds::NONE.with_timers(ROW, 2).with_timers(INSTANCE, 1),
        Marks::only(Mark::Recovered).with(VALIDATED),
    );
    setup.proposals[1].replica = ReplicaId(3);
    setup.config.options.put(quorum);
    setup.prefix = Some(prefix);
    setup.at_most(4_000_000)
}

/// Two slow owners whose instances do not know each other. Each is recovered with a quorum that has
/// the other's owner, and not its own: so neither can be ruled out, and each waits for the other.
fn two_waiting() -> Setup<EPaxos> {
    let prefix = |director: &mut Director<'_, EPaxos>| {
        director.propose(0);
        director.deliver(|from, to, _| (from, to) == (0, 2));
        director.propose(1);
        director.deliver(|from, to, _| (from, to) == (1, 3));
        director.lose(|_, _, _| true);
        director.fire(2, row(0));
        director.deliver(|_, to, _| matches!(to, 1 | 4));
        director.lose(|_, to, _| matches!(to, 0 | 3));
        director.deliver(|_, to, message| to == 2 && matches!(message, Message::RecoverOk { .. }));
        director.fire(3, row(1));
        director.deliver(|_, to, message| {
            matches!(to, 0 | 4) && matches!(message, Message::Recover { .. })
        });
        director.lose(|from, to, _| from == 3 && matches!(to, 1 | 2));
        director.deliver(|_, to, message| to == 3 && matches!(message, Message::RecoverOk { .. }));
        director.deliver(|_, _, message| matches!(message, Message::Validate { .. }));
        director.deliver(|_, _, message| matches!(message, Message::ValidateOk { .. }));
    };
    let mut setup = Setup::plain(
        "two-waiting",
        "N = 5: two recoveries that wait for each other",
        5,
        2,
        Bounds::NONE.with_timers(INSTANCE, 1),
        Marks::only(Mark::Recovered).with(Mark::NoOp).with(OUTVOTED),
    );
    setup.prefix = Some(prefix);
    setup.at_most(4_000_000)
}

/// What begins [`conflicting_fast`] and [`duplicate_validate`].
fn one_pre_accepted_one_fast(director: &mut Director<'_, EPaxos>) {
    director.propose(0);
    director.deliver(|from, to, _| (from, to) == (0, 3));
    director.lose(|_, _, _| true);
    director.propose(1);
    director.deliver(|_, to, message| {
        matches!(to, 2 | 4) && matches!(message, Message::PreAccept { .. })
    });
    director.deliver(|_, _, message| matches!(message, Message::PreAcceptOk { .. }));
}

/// An instance pre-accepted by one replica, which may be all that is left of a fast commit; and a
/// conflicting one that was committed fast elsewhere without knowing it.
fn conflicting_fast() -> Setup<EPaxos> {
    let mut setup = Setup::plain(
        "conflicting-fast",
        "N = 5: what looks like a fast commit beside a real one that does not know it",
        5,
        2,
        Bounds::NONE.with_timers(ROW, 1),
        [Mark::Recovered, Mark::NoOp, VALIDATED, REFUTED].into_iter().collect(),
    );
    setup.prefix = Some(one_pre_accepted_one_fast);
    setup.at_most(4_000_000)
}

/// The same, further on: a no-op was chosen, but who knows that it was is silent; and a Validate
/// that asked about the command is to be delivered again.
fn duplicate_validate() -> Setup<EPaxos> {
    let prefix = |director: &mut Director<'_, EPaxos>| {
        one_pre_accepted_one_fast(director);
        director.deliver(|_, to, message| {
            matches!(to, 2 | 4) && matches!(message, Message::Commit { .. })
        });
        director.lose(|_, _, _| true);
        // Replica 2 learns of the instance when replica 3 asks it to help, and recovers it itself.
        director.fire(3, row(0));
        director.deliver(|from, to, _| (from, to) == (3, 2));
        director.lose(|_, _, _| true);
        director.fire(2, row(0));
        director.deliver(|_, to, message| {
            matches!(to, 3 | 4) && matches!(message, Message::Recover { .. })
        });
        director.lose(|_, _, message| matches!(message, Message::Recover { .. }));
        director.deliver(|_, _, message| matches!(message, Message::RecoverOk { .. }));
        director.deliver_copies(|_, to, message| {
            to == 3 && matches!(message, Message::Validate { .. })
        });
        director.deliver(|_, to, message| to == 4 && matches!(message, Message::Validate { .. }));
        director.deliver(|_, _, message| matches!(message, Message::ValidateOk { .. }));
        director.deliver(|_, to, message| {
            matches!(to, 3 | 4) && matches!(message, Message::Accept { .. })
        });
        director.deliver(|_, _, message| matches!(message, Message::AcceptOk { .. }));
        director.lose(|_, _, message| !matches!(message, Message::Validate { .. }));
    };
    let mut setup = Setup::plain(
        "duplicate-validate",
        "N = 5: a Validate delivered twice, the second time after a no-op was accepted",
        5,
        2,
        Bounds::NONE.with_timers(INSTANCE, 1),
        [Mark::Recovered, Mark::NoOp].into_iter().collect(),
    );
    setup.prefix = Some(prefix);
    setup.at_most(4_000_000)
}
