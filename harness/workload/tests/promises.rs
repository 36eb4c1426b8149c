//! What a matrix promises each protocol: against the paper's sites, a second way of choosing a leader, and files.

use std::path::PathBuf;

use protocols::{
    ReplicaId,
    formula::When::{SlowPath, Undisturbed},
};
use workload::{Promise, Promises, Promising, SiteFile, Topology};

const MS: u64 = 1_000_000;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../workloads")
}

fn topology(name: &str) -> Topology {
    Topology::load(&folder().join(format!("topologies/{name}.toml"))).expect(name).topology
}

fn promises(name: &str, replicas: usize) -> Promises {
    Promises::new(&topology(name).sites(replicas).expect(name))
}

/// What is promised under this key.
fn of<'p>(promises: &'p Promises, key: &str) -> &'p Promise {
    let promising = promises.all.iter().find(|promising| promising.facts.key == key);
    &promising.expect("a promise has this key").by_leader[0]
}

fn led(promises: &Promises) -> &Promising {
    promises.of(protocols::multi_paxos::PROTOCOL, Undisturbed).expect("it promises")
}

fn in_ms(promise: &Promise) -> Vec<u64> {
    promise.by_site_ns().iter().map(|ns| ns / MS).collect()
}

#[test]
fn the_papers_five_sites() {
    let five = promises("ec2-2013", 5);
    assert_eq!(five.sites, ["VA", "CA", "EU", "OR", "JP"]);
    assert_eq!(in_ms(of(&five, "epaxos_fast_optimized_ms")), [85, 85, 150, 82, 127]);
    assert_eq!(in_ms(of(&five, "epaxos_slow_optimized_ms_max")), [170, 170, 300, 164, 254]);
    assert_eq!(in_ms(of(&five, "epaxos_fast_simple_ms")), [90, 118, 156, 127, 165]);
    assert_eq!(in_ms(of(&five, "epaxos_slow_simple_ms_max")), [175, 203, 306, 209, 292]);
    assert_eq!(in_ms(of(&five, "paxos_uncontended_ms")), [170, 170, 300, 164, 254]);
    let epaxos = protocols::epaxos::PROTOCOL;
    for (when, key) in
        [(Undisturbed, "epaxos_fast_optimized_ms"), (SlowPath, "epaxos_slow_optimized_ms_max")]
    {
        assert_eq!(five.of(epaxos, when).unwrap().facts.key, key, "the first of its kind");
    }
    let order: Vec<&str> = five.all.iter().map(|promising| promising.protocol.name()).collect();
    assert_eq!(order, ["epaxos", "epaxos", "epaxos", "epaxos", "paxos", "multi-paxos"]);
    assert_eq!(
        in_ms(&led(&five).by_leader[1]),
        [170, 85, 241, 106, 203],
        "under the paper's leader"
    );
    assert_eq!(of(&five, "epaxos_fast_optimized_ms").mean_ns(), 105_800_000.0);
    assert_eq!(of(&five, "epaxos_fast_optimized_ms").worst(), (2, 150 * MS));
    assert_eq!((led(&five).best_leader_by_mean(), led(&five).best_leader_by_worst()), (3, 3));
    assert_eq!(led(&five).by_leader[3].mean_ns(), 158_000_000.0);
    assert_eq!(led(&five).by_leader[1].mean_ns(), 161_000_000.0);
}

#[test]
fn the_best_leader_is_the_one_that_trying_all_finds() {
    for (name, replicas) in [
        ("ec2-2013", 3),
        ("ec2-2020", 11),
        ("ec2-bailis", 7),
        ("gcp-fantoch", 19),
        ("ibm-2024", 9),
        ("skewed", 7),
        ("two-groups", 7),
    ] {
        let sites = topology(name).sites(replicas).unwrap();
        let promises = Promises::new(&sites);
        // Per leader: the sum and the largest of what its sites wait, from the one-way delays.
        let under = |leader: usize| {
            let back = |a: usize, b: usize| sites.one_way_ns[a][b] + sites.one_way_ns[b][a];
            let mut answers: Vec<u64> = (0..replicas).map(|other| back(leader, other)).collect();
            answers.sort_unstable();
            let waits = (0..replicas).map(|site| back(site, leader) + answers[replicas / 2]);
            (waits.clone().sum::<u64>(), waits.max().unwrap())
        };
        let (mean, worst) =
            (led(&promises).best_leader_by_mean(), led(&promises).best_leader_by_worst());
        for other in 0..replicas {
            assert!(under(mean).0 <= under(other).0, "{name}: {mean} against {other} by mean");
            assert!(under(worst).1 <= under(other).1, "{name}: {worst} against {other} by worst");
        }
    }
}

#[test]
fn the_best_mean_and_the_best_worst_site_may_be_two_leaders() {
    // Three sites are one place; of the two that are far from it and from each other, c is near the one.
    let text = "source = \"invented\"\nsites = [\"a\", \"b\", \"c\", \"far\", \"off\"]\n[round_trip_ms]\na-b = 2\na-c = 2\n\
                b-c = 2\na-far = 100\nb-far = 100\nc-far = 50\na-off = 100\nb-off = 100\nc-off = 140\nfar-off = 200";
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("t.toml");
    std::fs::write(&path, text).unwrap();
    let sites = Topology::load(&path).unwrap().topology.sites(5).unwrap();
    let promises = Promises::new(&sites);
    assert_eq!(in_ms(&led(&promises).by_leader[0]), [2, 4, 4, 102, 102]);
    assert_eq!(in_ms(&led(&promises).by_leader[2]), [4, 4, 2, 52, 142]);
    assert_eq!(
        (led(&promises).best_leader_by_mean(), led(&promises).best_leader_by_worst()),
        (2, 0)
    );
    assert_eq!(led(&promises).by_leader[2].mean_ns(), 40_800_000.0);
    assert_eq!(led(&promises).by_leader[0].worst(), (3, 102 * MS), "the first of two");
}

#[test]
fn a_matrix_is_found_in_its_own_file_and_in_a_workloads() {
    let path = |file: &str| folder().join(file).display().to_string();
    let own = SiteFile::load(&path("topologies/ec2-2013.toml")).unwrap();
    assert_eq!(own.topology.name.as_deref(), Some("ec2-2013"));
    assert!(own.leaders.is_empty(), "{:?}", own.leaders);
    assert!(own.replicas.is_empty());
    let workload = SiteFile::load(&path("wan5.toml")).unwrap();
    assert_eq!((workload.topology, workload.replicas), (own.topology, vec![5]));
    assert_eq!(workload.leaders, [ReplicaId(1)]);
}

#[test]
fn what_is_no_matrix_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let refused = |text: &str| {
        let file = place.path().join("x.toml");
        std::fs::write(&file, text).unwrap();
        let error = SiteFile::load(&file.display().to_string()).unwrap_err().to_string();
        error.replace(&format!("{}/", place.path().display()), "")
    };
    assert_eq!(
        refused("name = \"x\""),
        "x.toml: network.topology: missing: name one, such as \"ec2-2013\", to have sites to compute with"
    );
    assert_eq!(
        refused("sites = [\"a\"]"),
        "x.toml: source: missing: say where the numbers come from, if only source = \"invented\""
    );
    assert!(refused("sites = ").starts_with("x.toml: line 1 is not TOML: "));
    let error = SiteFile::load("moon").unwrap_err().to_string();
    assert!(
        error.starts_with("workloads/topologies/moon.toml: cannot be read (No such"),
        "{error}"
    );
    assert!(error.ends_with("`bench list` names the topologies, a file of your own ends in .toml"));
}
