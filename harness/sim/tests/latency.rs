//! Without service times, loss or jitter, latencies are what the protocols' message patterns say, to the nanosecond.

mod sites;

use protocols::{
    Replica, ReplicaId, ReplicaSet,
    config::FastQuorum,
    epaxos::EPaxos,
    multi_paxos::MultiPaxos,
    paxos::Paxos,
    quorum::{EpaxosQuorums, majority},
};
use sim::{Load, Outcome, Scenario, run};
use sites::Sites;

/// Long enough for a first leader to take its place.
const START_NS: u64 = 20_000_000_000;
const SUBMISSIONS: usize = 20;

fn scenario(sites: &Sites, load: Load) -> Scenario {
    Scenario::new(sites.network(), Load { start_ns: START_NS, ..load }, 1)
}

fn outcome<R: Replica>(scenario: &Scenario) -> Outcome {
    run::<R>(scenario).unwrap_or_else(|violation| panic!("{violation}"))
}

/// One client at each of `clients`, each on its own key, sees `expected` every time: at commit, execution and answer.
#[track_caller]
fn check_private<R: Replica>(
    scenario: &Scenario,
    sites: &Sites,
    clients: impl Iterator<Item = usize>,
    expected: impl Fn(usize) -> u64,
) {
    let outcome = outcome::<R>(scenario);
    for site in clients {
        let seen = &outcome.sites[site];
        for (what, latencies) in [
            ("commit", &seen.commit_ns),
            ("execution", &seen.execute_ns),
            ("client", &seen.client_ns),
        ] {
            let place = format!("{what} at site {site} of {}", sites.name);
            assert_eq!(*latencies, [expected(site); SUBMISSIONS], "{place}");
        }
    }
}

#[test]
fn paxos_takes_two_rounds_to_a_majority() {
    for sites in Sites::all() {
        for site in 0..sites.count() {
            let alone = ReplicaSet::only(ReplicaId::from_index(site));
            let scenario = scenario(&sites, Load::private(alone, SUBMISSIONS as u64));
            let expected = |site| 2 * sites.q(site, majority(sites.count()));
            check_private::<Paxos>(&scenario, &sites, std::iter::once(site), expected);
        }
    }
}

#[test]
fn multi_paxos_takes_the_way_to_the_leader_and_a_round_from_there() {
    for sites in Sites::all() {
        let n = sites.count();
        for leader in 0..n {
            let mut scenario =
                scenario(&sites, Load::private(ReplicaSet::all(n), SUBMISSIONS as u64));
            scenario.config.first_leader = ReplicaId::from_index(leader);
            let expected =
                |site: usize| sites.round_trip_ns(site, leader) + sites.q(leader, majority(n));
            check_private::<MultiPaxos>(&scenario, &sites, 0..n, expected);
        }
    }
}

#[test]
fn epaxos_takes_one_round_to_a_fast_quorum_without_conflicts() {
    for sites in Sites::all() {
        let n = sites.count();
        for kind in [FastQuorum::Optimized, FastQuorum::Simple] {
            let mut scenario =
                scenario(&sites, Load::private(ReplicaSet::all(n), SUBMISSIONS as u64));
            scenario.config.fast_quorum = kind;
            let fast = EpaxosQuorums::new(n, kind).fast();
            check_private::<EPaxos>(&scenario, &sites, 0..n, |site| sites.q(site, fast));
        }
    }
}

/// How many replies `site` waits for, its own included, before it begins a second round because of those that have
/// heard of the command of `other` first; none if its fast quorum has not. It waits for a fast quorum unless so many
/// replies differ among a majority that no fast quorum is left.
fn replies_before_second_round(sites: &Sites, site: usize, other: usize) -> Option<usize> {
    let n = sites.count();
    let fast = EpaxosQuorums::new(n, FastQuorum::Optimized).fast();
    let nearest = sites.nearest(site);
    let hears_other_first =
        |at: &&usize| sites.one_way_ns(other, **at) < sites.one_way_ns(site, **at);
    let differ = |replies: usize| nearest[..replies].iter().filter(hears_other_first).count();
    let hopeless = (majority(n)..fast).find(|replies| differ(*replies) > n - fast);
    hopeless.or((differ(fast) > 0).then_some(fast))
}

/// Two sites write one key at the same time. A site's own fast quorum is its nearest replicas; it is lost if one of
/// them has heard of the other command first, and then a second round to a majority follows.
#[test]
fn epaxos_takes_a_second_round_after_a_conflict() {
    let mut begun_early = 0;
    for sites in Sites::all() {
        let n = sites.count();
        let fast = EpaxosQuorums::new(n, FastQuorum::Optimized).fast();
        let mut slow_paths = 0;
        for (a, b) in (0..n).flat_map(|a| (0..a).map(move |b| (a, b))) {
            let both = [a, b].map(ReplicaId::from_index).into_iter().collect();
            let load = Load { shared: 1.0, ..Load::private(both, 1) };
            let outcome = outcome::<EPaxos>(&scenario(&sites, load));
            for (site, other) in [(a, b), (b, a)] {
                let replies = replies_before_second_round(&sites, site, other);
                let slow = replies.is_some();
                let expected = replies.map_or_else(
                    || sites.q(site, fast),
                    |replies| sites.q(site, replies) + sites.q(site, majority(n)),
                );
                let place = format!("site {site} against {other}, {}", sites.name);
                assert_eq!(outcome.sites[site].commit_ns, [expected], "{place}");
                begun_early += usize::from(replies.is_some_and(|replies| replies < fast));
                let counters = &outcome.replicas[site];
                assert_eq!((counters.fast, counters.slow), (u64::from(!slow), u64::from(slow)));
                slow_paths += u64::from(slow);
            }
        }
        assert!(slow_paths > 0, "no slow path at {}", sites.name);
    }
    assert!(begun_early > 0, "no site of seven saw at once that its fast path was lost");
}
