//! The window of a contended key: what waits, what it is proposed with, and how long chains get.

use protocols::{
    Batch, ClientId, Command, Config, Input, Replica, Request, RequestNumber,
    epaxos::{ConflictWindow, Execution, Message, Variant},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    net::{Envelope, Net, and, is, link, to},
    support::r,
};

fn windowed(replicas: usize, window: u32) -> Net {
    let mut config = Config::new(replicas);
    config.options.put(ConflictWindow::of(window));
    Net::with(config)
}

fn request(client: u64, key: &str, write: bool) -> Batch {
    let key = key.as_bytes();
    let (number, command) = if write {
        (RequestNumber::write(1), Command::Append { key, value: b"v" })
    } else {
        (RequestNumber::read(1), Command::Get { key })
    };
    let request = Request { client: ClientId(client), number, unanswered_from: 1, command };
    Batch::single(&request).expect("small")
}

/// Asks `replica` for a command of this client; says whether it is proposed.
fn ask(net: &mut Net, replica: u8, client: u64, key: &str, write: bool) -> bool {
    let before = net.flight.len();
    net.step(r(replica), Input::Propose(request(client, key, write)));
    net.flight.len() > before
}

fn undecided(net: &Net, replica: u8) -> u64 {
    net.core(replica).status().undecided
}

/// How many requests each PreAccept to r1 has that is under way.
fn proposed_at_once(net: &Net) -> Vec<usize> {
    let of = |envelope: &Envelope| match &envelope.message {
        Message::PreAccept { batch, .. } if envelope.to == r(1) => Some(batch.requests().len()),
        _ => None,
    };
    net.flight.iter().filter_map(of).collect()
}

#[test]
fn what_the_window_has_no_room_for_is_proposed_as_one_when_it_has() {
    let mut net = windowed(3, 2);
    assert!(ask(&mut net, 0, 1, "k", true) && ask(&mut net, 0, 2, "k", true));
    for client in 3..=5 {
        assert!(!ask(&mut net, 0, client, "k", true), "two are under way");
    }
    assert!(ask(&mut net, 0, 6, "other", true), "another key");
    assert!(ask(&mut net, 1, 7, "k", true), "another row");
    assert_eq!(undecided(&net, 0), 6);
    net.lose(and(is("PreAccept"), |envelope| envelope.from == r(1)));
    net.deliver(and(is("PreAccept"), link(0, 2)));
    net.lose(is("PreAccept"));
    net.deliver(and(is("PreAcceptOk"), link(2, 0)));
    assert_eq!(proposed_at_once(&net), [3], "one instance of all three");
    assert_eq!(undecided(&net, 0), 1);
    net.come_to_rest();
    net.assert_equal_states();
    assert_eq!(net.core(0).status().undecided, 0);
    let requests = net.executed_by(2).iter().map(|(_, batch)| batch.requests().len());
    assert_eq!(requests.sum::<usize>(), 7);
}

/// Reads do not conflict with each other. Once a write waits, reads that come later wait behind it,
/// or it might wait for ever.
#[test]
fn reads_are_held_by_writes_alone_and_do_not_pass_what_waits() {
    let mut net = windowed(3, 1);
    for client in 1..=3 {
        assert!(ask(&mut net, 0, client, "k", false), "nothing writes");
    }
    assert!(!ask(&mut net, 0, 4, "k", true), "reads are under way");
    assert!(!ask(&mut net, 0, 5, "k", false), "a write waits");
    net.deliver(and(is("PreAccept"), to(&[1])));
    net.deliver(and(is("PreAcceptOk"), to(&[0])));
    net.lose(|_| true);
    assert_eq!(net.executed_by(0).len(), 3);
    assert_eq!(undecided(&net, 0), 1, "the write with the read behind it");
    assert!(!ask(&mut net, 0, 6, "k", false), "a write is under way");
    net.come_to_rest();
    net.assert_equal_states();
    assert_eq!(net.executed_by(0).len(), 5);
}

/// An own command that becomes a no-op makes room as well, and is proposed again itself.
#[test]
fn a_command_that_became_a_no_op_makes_room() {
    for variant in [Variant::Star, Variant::Sosp13] {
        let mut config = Config::new(3);
        config.options.put(ConflictWindow::of(1));
        config.options.put(variant);
        let mut net = Net::with(config);
        assert!(ask(&mut net, 0, 1, "k", true) && !ask(&mut net, 0, 2, "k", true));
        // Nobody hears of it, and the others recover what they hear of by name.
        net.lose(|_| true);
        assert!(ask(&mut net, 0, 3, "other", true));
        net.come_to_rest();
        net.assert_equal_states();
        let clients: Vec<u64> = net
            .executed_by(1)
            .iter()
            .flat_map(|(_, batch)| batch.requests().map(|request| request.client.0))
            .collect();
        assert!((1..=3).all(|client| clients.contains(&client)), "{variant}: {clients:?}");
    }
}

/// What waits is lost with its replica, which owes nobody anything, and goes on with an empty
/// window.
#[test]
fn a_crash_loses_what_waits() {
    let mut net = windowed(3, 1);
    assert!(ask(&mut net, 0, 1, "k", true) && !ask(&mut net, 0, 2, "k", true));
    net.crash(r(0));
    net.start(r(0));
    net.come_to_rest();
    assert_eq!(undecided(&net, 0), 0);
    assert!(ask(&mut net, 0, 2, "k", true));
    net.come_to_rest();
    net.assert_equal_states();
}

/// The longest component of a key that every replica writes all the time, with messages in any
/// order.
fn longest(replicas: u8, window: u32, execution: Execution, seed: u64) -> u64 {
    let mut config = Config::new(replicas.into());
    config.options.put(ConflictWindow::of(window));
    config.options.put(execution);
    config.options.put([Variant::Star, Variant::Sosp13][usize::from(seed % 2 == 1)]);
    let mut net = Net::with(config);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for client in 1..=150 {
        let replica = rng.random_range(0..replicas);
        ask(&mut net, replica, client, "k", true);
        for _ in 0..rng.random_range(0..10) {
            if !net.flight.is_empty() {
                let at = rng.random_range(0..net.flight.len());
                let envelope = net.flight.swap_remove_back(at).expect("one of them");
                net.hand_over(envelope);
            }
        }
    }
    net.come_to_rest();
    net.assert_equal_states();
    let applied: usize = net.executed_by(0).iter().map(|(_, batch)| batch.requests().len()).sum();
    assert_eq!(applied, 150);
    (0..replicas)
        .map(|replica| net.core(replica).status().longest_component)
        .max()
        .expect("replicas")
}

/// N·W is the most; without a window there is no bound.
#[test]
fn components_have_at_most_as_many_members_as_rows_have_windows() {
    for execution in Execution::ALL {
        let mut unbounded = 0;
        for seed in 0..12 {
            for (replicas, window) in [(3, 1), (3, 2), (5, 1), (5, 4)] {
                let longest = longest(replicas, window, execution, seed);
                let bound = u64::from(replicas) * u64::from(window);
                assert!(longest <= bound, "{execution:?} {replicas} {window} {seed}: {longest}");
            }
            unbounded = unbounded.max(longest(3, 0, execution, seed));
        }
        if execution == Execution::Closed {
            assert!(unbounded > 24, "{unbounded}");
        }
    }
}
