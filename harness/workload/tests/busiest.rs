//! The analytic count of messages against sums that must come out, and against the papers' statements.

use protocols::{Protocol, ReplicaId};
use workload::busiest::{Circumstances, Share, busiest, shares};

fn total(shares: &[Share], of: fn(&Share) -> f64) -> f64 {
    shares.iter().map(of).sum()
}

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-9
}

#[test]
fn what_is_sent_is_received_and_every_request_is_asked_once() {
    let uneven = |replicas: usize| Circumstances {
        asked: (1..=replicas)
            .map(|weight| weight as f64 * 2.0 / (replicas * (replicas + 1)) as f64)
            .collect(),
        leader: ReplicaId(1),
        slow: 0.3,
        announced: 0.2,
    };
    for replicas in [3, 5, 7, 9, 51] {
        for circumstances in [Circumstances::even(replicas), uneven(replicas)] {
            for protocol in Protocol::ALL {
                let shares = shares(protocol, &circumstances);
                let sent = total(&shares, |share| share.messages_out);
                assert!(
                    near(sent, total(&shares, |share| share.messages_in)),
                    "{protocol} {replicas}"
                );
                let held = total(&shares, |share| share.commands_out);
                assert!(
                    near(held, total(&shares, |share| share.commands_in)),
                    "{protocol} {replicas}"
                );
                assert!(near(total(&shares, |share| share.requests), 1.0));
                assert!(shares.iter().all(|share| share.commands_out <= share.messages_out));
            }
        }
    }
}

#[test]
fn three_and_five_replicas_by_hand() {
    let peer = |protocol, replicas| {
        let shares = shares(protocol, &Circumstances::even(replicas));
        shares.iter().map(Share::peer_messages).collect::<Vec<f64>>()
    };
    let close = |found: Vec<f64>, expected: &[f64]| {
        let all = found.iter().zip(expected).all(|(one, other)| near(*one, *other));
        assert!(all && found.len() == expected.len(), "{found:?} is not {expected:?}");
    };
    // Two Accepts, two Accepteds, two Commits and two thirds of a Forward; half of each and a third of one.
    close(peer(Protocol::MultiPaxos, 3), &[20.0 / 3.0, 10.0 / 3.0, 10.0 / 3.0]);
    // A third of six, two thirds of three.
    close(peer(Protocol::EPaxos, 3), &[4.0; 3]);
    close(peer(Protocol::Paxos, 3), &[20.0 / 3.0; 3]);
    close(peer(Protocol::MultiPaxos, 5), &[12.8, 3.2, 3.2, 3.2, 3.2]);
    close(peer(Protocol::EPaxos, 5), &[4.8; 5]);
    close(peer(Protocol::Paxos, 5), &[8.0; 5]);
    let slow = Circumstances { slow: 1.0, ..Circumstances::even(5) };
    assert!(near(busiest(Protocol::EPaxos, &slow).1.peer_messages(), 8.0));
}

#[test]
fn a_leader_is_busier_than_any_replica_without_one_and_the_more_so_the_larger_the_cluster() {
    let mut before = 0.0;
    for replicas in [3, 5, 7, 9, 21, 51] {
        // Under load, which is the better for the leader: nothing is announced apart.
        let circumstances =
            Circumstances { leader: ReplicaId(2), announced: 0.0, ..Circumstances::even(replicas) };
        let (leader, with) = busiest(Protocol::MultiPaxos, &circumstances);
        assert_eq!(leader, ReplicaId(2));
        let (first, without) = busiest(Protocol::EPaxos, &circumstances);
        assert_eq!(first, ReplicaId(0), "all are equal, and the first is named");
        let ratio = with.messages() / without.messages();
        assert!(ratio > before, "{ratio} at {replicas}");
        before = ratio;
    }
    // 2(N−1) + (N−1)/N against 6(N−1)/N peer messages: (2N+1)/6.
    assert!(before > 15.0, "{before} at 51");
}

#[test]
fn clients_at_the_leader_spare_the_forwards_and_load_it_with_requests() {
    let at_leader = Circumstances { asked: vec![1.0, 0.0, 0.0], ..Circumstances::even(3) };
    let shares = shares(Protocol::MultiPaxos, &at_leader);
    assert!(near(shares[0].peer_messages(), 6.0) && near(shares[0].messages(), 8.0));
    assert!(near(shares[1].peer_messages(), 3.0) && near(shares[1].messages(), 3.0));
    // The one command leader of EPaxos sends what a leader does that announces every decision.
    let epaxos = workload::busiest::shares(Protocol::EPaxos, &at_leader);
    assert!(near(epaxos[0].peer_messages(), 6.0));
}
