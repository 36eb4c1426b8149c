//! Paxos' configurations.

use super::{BACK_OFF, PREEMPTED, RETRANSMIT};
use crate::{
    ReplicaId,
    explored::{Bounds, Director, Mark, Marks, Proposal, Setup, repeated},
    paxos::{Message, Paxos, Window},
};

pub(super) fn all() -> Vec<Setup<Paxos>> {
    let decided = Marks::only(Mark::Slow).with(Mark::Everywhere);
    // All that is reached before the bound where that comes long before everything is executed
    // everywhere.
    let preempted = Marks::only(Mark::Slow).with(Mark::Recovered).with(PREEMPTED);
    let duelled = preempted.with(Mark::Everywhere);
    let ordered = Bounds { overtakings: Some(0), ..Bounds::NONE };
    let overtaken = Bounds { overtakings: Some(1), ..Bounds::NONE };
    vec![
        Setup::plain("two", "two commands, links in any order", 3, 2, Bounds::NONE, duelled)
            .at_most(40_000_000),
        Setup::plain(
            "three",
            "three commands, ordered links, proposers that give way once",
            3,
            3,
            ordered.with_timers(BACK_OFF, 1),
            preempted,
        )
        .at_most(4_000_000),
        Setup::plain(
            "duel",
            "two proposers that preempt each other, a message overtaken",
            3,
            2,
            overtaken.with_timers(BACK_OFF, 2),
            duelled.with(Mark::Overtaken),
        )
        .at_most(25_000_000),
        Setup::plain(
            "duplicates",
            "one command, every message any number of times, holes filled",
            3,
            1,
            Bounds { duplicates: None, ..Bounds::NONE }.with_timers(RETRANSMIT, 3),
            decided,
        )
        .at_most(4_000_000),
        Setup::plain(
            "faults",
            "a message lost, one repeated, one overtaken, retransmission",
            3,
            1,
            Bounds { losses: 1, duplicates: Some(1), ..overtaken }.with_timers(RETRANSMIT, 1),
            decided.with(Mark::Lost).with(Mark::Duplicated).with(Mark::Overtaken),
        )
        .at_most(4_000_000),
        Setup::plain(
            "crash",
            "a crash, also midway in a step, and a restart",
            3,
            2,
            Bounds { crashes: 1, midway: true, restarts: 1, ..ordered }.with_timers(BACK_OFF, 1),
            preempted.with(Mark::Midway).with(Mark::Restarted),
        )
        .at_most(6_000_000),
        Setup::plain(
            "checkpoint",
            "a checkpoint, then a crash, also midway in it, and a restart from it alone",
            3,
            2,
            Bounds { crashes: 1, midway: true, restarts: 1, checkpoints: 1, ..ordered },
            preempted.with(Mark::Checkpointed).with(Mark::Midway).with(Mark::Restarted),
        )
        .at_most(4_000_000),
        repeated_in_a_window(ordered, decided.with(Mark::Repeated)),
        snapshot(),
    ]
}

/// A request is chosen twice only if one of the replicas asked has put it into a later slot than
/// the other, behind another one of a window of two.
fn repeated_in_a_window(bounds: Bounds, reach: Marks) -> Setup<Paxos> {
    let mut setup = repeated(bounds, reach);
    setup.keys.push("k");
    setup.proposals.push(Proposal { command: 1, replica: ReplicaId(0) });
    setup.config.options.put(Window(2));
    setup.at_most(8_000_000)
}

/// What two replicas decided and discarded is news to the third.
fn snapshot() -> Setup<Paxos> {
    let prefix = |director: &mut Director<'_, Paxos>| {
        for proposal in [0, 1] {
            director.propose(proposal);
            director.lose(|_, to, _| to == 2);
            director
                .deliver(|_, to, message| to == 1 && matches!(message, Message::Prepare { .. }));
            director
                .deliver(|_, to, message| to == 0 && matches!(message, Message::Promise { .. }));
            director.lose(|_, to, _| to == 2);
            director.deliver(|_, to, message| to == 1 && matches!(message, Message::Accept { .. }));
            director
                .deliver(|_, to, message| to == 0 && matches!(message, Message::Accepted { .. }));
            director.lose(|_, to, _| to == 2);
            director.deliver(|_, to, message| to == 1 && matches!(message, Message::Commit { .. }));
        }
    };
    let bounds = Bounds { overtakings: Some(1), duplicates: Some(1), ..Bounds::NONE };
    let reach = Marks::only(Mark::Installed).with(Mark::Everywhere);
    let mut setup = Setup::plain(
        "snapshot",
        "a replica that missed what the others discarded",
        3,
        2,
        bounds.with_timers(RETRANSMIT, 3),
        reach,
    );
    setup.propose_all_at(0);
    setup.config.kept_slots_max = 0;
    setup.prefix = Some(prefix);
    setup.at_most(4_000_000)
}
