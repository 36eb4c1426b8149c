//! Multi-Paxos' configurations. Replica 0 leads first.

use super::{ELECTION, HEARTBEAT, LEADER_CHANGED, RETRANSMIT};
use crate::{
    ReplicaId,
    explored::{Bounds, Director, Mark, Marks, Setup, repeated},
    multi_paxos::{Message, MultiPaxos, Timer},
};

pub(super) fn all() -> Vec<Setup<MultiPaxos>> {
    let decided = Marks::only(Mark::Slow).with(Mark::Everywhere);
    let changed = decided.with(LEADER_CHANGED);
    let ordered = Bounds { overtakings: Some(0), ..Bounds::NONE };
    let overtaken = Bounds { overtakings: Some(1), ..Bounds::NONE };
    let mut late = Setup::plain(
        "late-flush",
        "flushes at any time after an input, as when several are ready",
        3,
        2,
        ordered,
        decided,
    );
    late.flush_late = true;
    let mut all = vec![
        Setup::plain("two", "two commands, links in any order", 3, 2, Bounds::NONE, decided)
            .at_most(6_000_000),
        Setup::plain("three", "three commands, a message overtaken", 3, 3, overtaken, decided)
            .at_most(4_000_000),
        late.at_most(4_000_000),
        Setup::plain(
            "election",
            "another replica takes the leadership",
            3,
            2,
            ordered.with_timers(ELECTION, 1).with_timers(HEARTBEAT, 1),
            changed.with(Mark::Recovered),
        )
        .at_most(6_000_000),
        Setup::plain(
            "two-elections",
            "two leaders after the first, or two candidates at once",
            3,
            1,
            ordered.with_timers(ELECTION, 2),
            changed.with(Mark::Recovered),
        )
        .at_most(6_000_000),
        gap(overtaken.with_timers(ELECTION, 1)),
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
            "a crash, also midway in a step, a restart and an election",
            3,
            1,
            Bounds { crashes: 1, midway: true, restarts: 1, ..ordered }.with_timers(ELECTION, 1),
            changed.with(Mark::Midway).with(Mark::Restarted),
        )
        .at_most(6_000_000),
        Setup::plain(
            "checkpoint",
            "a checkpoint, then a crash, also midway in it, a restart from it alone and an election",
            3,
            1,
            Bounds { crashes: 1, midway: true, restarts: 1, checkpoints: 1, ..ordered }
                .with_timers(ELECTION, 1),
            changed.with(Mark::Checkpointed).with(Mark::Midway).with(Mark::Restarted),
        )
        .at_most(4_000_000),
        // What is forwarded is ordered again only if its sender is known to have executed it.
        repeated(overtaken.with_timers(HEARTBEAT, 1), decided.with(Mark::Repeated)),
        snapshot(),
    ];
    // The first replica to ask finds consent, unless a leader is heard meanwhile.
    for setup in all.iter_mut().filter(|setup| setup.bounds.timers[ELECTION] > 0) {
        setup.prefix = setup.prefix.or(Some(followers_miss_the_leader));
    }
    all
}

fn followers_miss_the_leader(director: &mut Director<'_, MultiPaxos>) {
    director.fire(1, Timer::Election);
    director.fire(2, Timer::Election);
}

/// PMS §3: slots 135 and 140 are constrained, those between become no-ops. Here three slots of
/// which the first may miss.
fn gap(bounds: Bounds) -> Setup<MultiPaxos> {
    let prefix = |director: &mut Director<'_, MultiPaxos>| {
        director.deliver(|_, _, message| matches!(message, Message::Prepare { .. }));
        director
            .deliver(|from, _, message| from == 1 && matches!(message, Message::Promise { .. }));
        director.deliver(|_, _, message| matches!(message, Message::Heartbeat { .. }));
        director.lose(|_, _, _| true);
        for proposal in 0..3 {
            director.propose(proposal);
        }
        director.lose(|_, to, message| to == 2 && matches!(message, Message::Accept { .. }));
        followers_miss_the_leader(director);
    };
    let reach = [Mark::NoOp, LEADER_CHANGED, Mark::Recovered, Mark::Everywhere];
    let mut setup = Setup::plain(
        "gap",
        "a new leader finds slots proposed with gaps between them",
        3,
        3,
        bounds,
        reach.into_iter().collect(),
    );
    setup.propose_all_at(0);
    setup.prefix = Some(prefix);
    setup.at_most(4_000_000)
}

/// What two replicas decided and discarded is news to the third, which may come to lead.
fn snapshot() -> Setup<MultiPaxos> {
    let prefix = |director: &mut Director<'_, MultiPaxos>| {
        director.deliver(|_, to, message| to == 1 && matches!(message, Message::Prepare { .. }));
        director.deliver(|_, _, message| matches!(message, Message::Promise { .. }));
        for proposal in [0, 1] {
            director.propose(proposal);
            director.deliver(|_, to, message| to == 1 && matches!(message, Message::Accept { .. }));
            director.deliver(|_, _, message| matches!(message, Message::Accepted { .. }));
            director.deliver(|_, to, message| to == 1 && matches!(message, Message::Commit { .. }));
        }
        director.lose(|_, _, _| true);
        // It was heard since that timer was set.
        director.fire(1, Timer::Election);
        followers_miss_the_leader(director);
    };
    let reach = [Mark::Installed, LEADER_CHANGED];
    let bounds = Bounds { overtakings: Some(1), duplicates: Some(1), ..Bounds::NONE };
    let mut setup = Setup::plain(
        "snapshot",
        "a replica that missed what the others discarded comes to lead",
        3,
        3,
        bounds.with_timers(ELECTION, 1).with_timers(HEARTBEAT, 1),
        reach.into_iter().collect(),
    );
    setup.propose_all_at(0);
    setup.proposals[2].replica = ReplicaId(2);
    setup.config.kept_slots_max = 0;
    setup.prefix = Some(prefix);
    setup.at_most(4_000_000)
}
