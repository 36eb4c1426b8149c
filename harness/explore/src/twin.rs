//! What is worked out once and remembered must be what the cores do each time: walks through the state space beside real
//! cores that are never exchanged for equal ones. A counter that a core holds for an observation, and that decides
//! something after all, would show here.

use protocols::{
    ReplicaId, epaxos::EPaxos, explored::Subject, multi_paxos::MultiPaxos, paxos::Paxos,
};
use stateright::Model as _;

use crate::{host::ExploredReplica, model::Model, state::Event};

const WALKS: u64 = 150;
const STEPS_MAX: usize = 60;

/// Walks through a configuration without crashes, each time another way.
fn walk<R: Subject>(name: &str) {
    let setup = R::setups().into_iter().find(|setup| setup.name == name);
    let model = Model::new(setup.expect("a configuration of the protocol"));
    let mut longest = 0;
    for walk in 1..=WALKS {
        let mut state = model.initial().clone();
        let mut hosts: Vec<ExploredReplica<R>> = ReplicaId::all(model.setup.config.replicas)
            .map(|replica| model.host(&state, replica).clone())
            .collect();
        let mut draw = walk;
        for step in 0..STEPS_MAX {
            let mut actions = Vec::new();
            model.actions(&state, &mut actions);
            if actions.is_empty() {
                break;
            }
            // Knuth's linear congruential generator; its high bits are the better ones.
            draw = draw
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let choice = usize::try_from(draw >> 33).unwrap() % actions.len();
            let action = actions[choice];
            let next = model.next(&state, action);
            if !matches!(action.event, Event::Lose(_)) {
                let replica = model.whom(action.event);
                let own = &mut hosts[replica.index()];
                let stepped =
                    own.step(&model.stimulus(&state, action.event), &model.driver(&state));
                *own = stepped.host;
                assert_eq!(own, model.host(&next, replica), "{name}, walk {walk}: {action:?}");
                let sent = stepped.sent.iter().map(|(to, message)| (replica, *to, message));
                assert!(sent.eq(model.sent(action)), "{name}, walk {walk}: {action:?}");
            }
            state = next;
            longest = longest.max(step);
        }
    }
    assert!(longest > 12, "{name}: the walks are too short to show anything: {longest}");
}

#[test]
fn paxos_does_each_time_what_is_remembered() {
    walk::<Paxos>("duel");
    walk::<Paxos>("faults");
}

#[test]
fn multi_paxos_does_each_time_what_is_remembered() {
    walk::<MultiPaxos>("election");
    walk::<MultiPaxos>("snapshot");
}

#[test]
fn epaxos_does_each_time_what_is_remembered() {
    walk::<EPaxos>("recoveries");
    walk::<EPaxos>("snapshot");
    walk::<EPaxos>("two-waiting");
}
