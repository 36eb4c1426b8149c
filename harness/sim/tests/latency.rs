//! Without service times, loss or jitter, latencies are what the protocols' message patterns say, to the nanosecond.

mod sites;

use protocols::{
    Replica, ReplicaId, ReplicaSet,
    epaxos::EPaxos,
    epaxos::{EpaxosQuorums, FastQuorum, Variant, fixed_fast_quorum},
    multi_paxos::MultiPaxos,
    paxos::Paxos,
    quorum::majority,
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
            scenario.config.options.put(kind);
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

fn as_published(sites: &Sites, load: Load) -> Scenario {
    let mut scenario = scenario(sites, load);
    scenario.config.options.put(Variant::Sosp13);
    scenario
}

/// 2F, with the site itself.
fn fixed_quorum(sites: &Sites) -> usize {
    EpaxosQuorums::new(sites.count(), FastQuorum::Simple).fast()
}

#[test]
fn epaxos_as_published_takes_one_round_to_its_fixed_quorum_without_conflicts() {
    for sites in Sites::all() {
        let n = sites.count();
        let scenario = as_published(&sites, Load::private(ReplicaSet::all(n), SUBMISSIONS as u64));
        let fast = fixed_quorum(&sites);
        check_private::<EPaxos>(&scenario, &sites, 0..n, |site| sites.q(site, fast));
    }
}

/// Three replicas, all of whose commands conflict: the one reply is identical to itself.
#[test]
fn three_replicas_as_published_take_one_round_whatever_conflicts() {
    for sites in Sites::all().into_iter().filter(|sites| sites.count() == 3) {
        let load = Load { shared: 1.0, ..Load::private(ReplicaSet::all(3), SUBMISSIONS as u64) };
        let outcome = outcome::<EPaxos>(&as_published(&sites, load));
        for (site, seen) in outcome.sites.iter().enumerate() {
            let expected = [sites.q(site, 2); SUBMISSIONS];
            assert_eq!(seen.commit_ns, expected, "site {site} of {}", sites.name);
        }
        assert!(outcome.replicas.iter().all(|counters| counters.slow == 0), "{}", sites.name);
    }
}

/// Two sites write one key at the same time. What a site's fixed quorum answers is identical if all of it has heard of the
/// other command first, or none of it; else a second round to a majority follows, once all have answered.
#[test]
fn epaxos_as_published_takes_a_second_round_after_replies_that_differ() {
    let (mut fast_paths, mut slow_paths, mut beside_a_conflict) = (0, 0, 0);
    for sites in Sites::all() {
        let (n, fast) = (sites.count(), fixed_quorum(&sites));
        let fixed = |site: usize| {
            let distance = |other: ReplicaId| sites.round_trip_ns(site, other.index());
            fixed_fast_quorum(ReplicaId::from_index(site), n, distance)
        };
        // When `at` hears of the command of `from`: who is not asked hears of it when the first round is over.
        let heard_ns = |from: usize, at: usize| {
            let asked = from == at || fixed(from).contains(ReplicaId::from_index(at));
            sites.one_way_ns(from, at) + if asked { 0 } else { sites.q(from, fast) }
        };
        for (a, b) in (0..n).flat_map(|a| (0..a).map(move |b| (a, b))) {
            let both = [a, b].map(ReplicaId::from_index).into_iter().collect();
            let load = Load { shared: 1.0, ..Load::private(both, 1) };
            let outcome = outcome::<EPaxos>(&as_published(&sites, load));
            for (site, other) in [(a, b), (b, a)] {
                let members: Vec<_> = fixed(site).iter().map(ReplicaId::index).collect();
                let heard = |at: &usize| (heard_ns(other, *at), heard_ns(site, *at));
                let first = members.iter().filter(|at| heard(at).0 < heard(at).1).count();
                // Whichever is taken in first there; or heard of with a sequence number that has grown meanwhile.
                let unclear = members.iter().any(|at| {
                    let (of_other, own) = heard(at);
                    let late = of_other > sites.one_way_ns(other, *at);
                    of_other == own || (late && of_other < own)
                });
                if unclear {
                    continue;
                }
                let slow = first > 0 && first < members.len();
                let second = if slow { sites.q(site, majority(n)) } else { 0 };
                let place = format!("site {site} against {other}, {}", sites.name);
                assert_eq!(
                    outcome.sites[site].commit_ns,
                    [sites.q(site, fast) + second],
                    "{place}"
                );
                let counters = &outcome.replicas[site];
                assert_eq!((counters.fast, counters.slow), (u64::from(!slow), u64::from(slow)));
                fast_paths += usize::from(!slow);
                slow_paths += usize::from(slow);
                beside_a_conflict += usize::from(first > 0 && !slow);
            }
        }
    }
    assert!(fast_paths > 0 && slow_paths > 0, "{fast_paths} fast, {slow_paths} slow");
    assert!(beside_a_conflict > 0, "no quorum had heard of the other command as a whole");
}
