//! Latency formulas against the paper's sites, a dumb second version, and the workloads that they hold for.

use std::path::PathBuf;

use protocols::{
    ReplicaId,
    epaxos::{
        FastQuorum,
        formula::{fast_ns, slow_ns},
    },
    formula::RoundTrips,
    multi_paxos::formula::led_ns,
    paxos::formula::alone_ns,
};
use workload::{Prediction, Sites, Topology, Workload};

const MS: u64 = 1_000_000;

fn topology(name: &str) -> Topology {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../workloads/topologies");
    Topology::load(&folder.join(format!("{name}.toml"))).expect(name).topology
}

/// Site by site: EPaxos fast, slow, with the simple fast quorum, and Multi-Paxos under CA, in milliseconds.
#[test]
fn the_papers_sites() {
    let round_trips =
        |replicas| -> RoundTrips { topology("ec2-2013").sites(replicas).unwrap().round_trips() };
    let names = topology("ec2-2013").sites(5).unwrap().names;
    let five = round_trips(5);
    let expected = [
        ("VA", 85, 170, 90, 170),
        ("CA", 85, 170, 118, 85),
        ("EU", 150, 300, 156, 241),
        ("OR", 82, 164, 127, 106),
        ("JP", 127, 254, 165, 203),
    ];
    let ca = ReplicaId(1);
    for (site, (name, fast, slow, simple, multi_paxos)) in expected.into_iter().enumerate() {
        assert_eq!(names[site], name);
        assert_eq!(fast_ns(&five, site, FastQuorum::Optimized), fast * MS, "{name}");
        assert_eq!(slow_ns(&five, site, FastQuorum::Optimized), slow * MS, "{name}");
        assert_eq!(fast_ns(&five, site, FastQuorum::Simple), simple * MS, "{name}");
        assert_eq!(led_ns(&five, site, ca), multi_paxos * MS, "{name}");
        // At N = 5 the fast quorum is a majority.
        assert_eq!(alone_ns(&five, site), slow * MS, "{name}");
    }
    let three = round_trips(3);
    let multi_paxos: Vec<u64> = (0..3).map(|site| led_ns(&three, site, ca) / MS).collect();
    assert_eq!(multi_paxos, [170, 85, 241]);
}

/// The smallest over all sets of `k` replicas with `site` among them of the slowest answer in the set.
fn q_by_sets(sites: &Sites, site: usize, k: usize) -> u64 {
    let n = sites.count();
    (0..1_u32 << n)
        .filter(|set| set.count_ones() as usize == k && set & (1 << site) != 0)
        .map(|set| {
            let members = (0..n).filter(|other| set & (1 << other) != 0);
            let answers = members.map(|b| sites.one_way_ns[site][b] + sites.one_way_ns[b][site]);
            answers.max().expect("the site itself is a member")
        })
        .min()
        .expect("there is such a set")
}

#[test]
fn q_is_the_fastest_quorums_slowest_answer_also_where_directions_differ() {
    for name in ["ec2-2013", "two-groups", "chain", "skewed"] {
        let topology = topology(name);
        let sites = topology.sites(topology.sites.len()).unwrap();
        for site in 0..sites.count() {
            for k in 1..=sites.count() {
                assert_eq!(
                    sites.round_trips().q_ns(site, k),
                    q_by_sets(&sites, site, k),
                    "{name} {site} {k}"
                );
            }
        }
    }
    let skewed = topology("skewed").sites(3).unwrap();
    assert_ne!(skewed.one_way_ns[0][1], skewed.one_way_ns[1][0]);
    assert_eq!(skewed.round_trips().q_ns(0, 2), skewed.one_way_ns[0][1] + skewed.one_way_ns[1][0]);
}

const FREE: &str = "driver = \"sim\"\nreplicas = 5\nleader = 1\n\
    [sim]\ncpu_us_per_message = 0\ncpu_ns_per_byte = 0\nnic_mbit_per_s = 0\n\
    [network]\ntopology = \"ec2-2013\"\njitter_ms = 0\n";

/// What is predicted for Virginia: of Paxos, Multi-Paxos and EPaxos.
fn predicted(text: &str) -> [Prediction; 3] {
    predicted_at(text, 0)
}

fn predicted_at(text: &str, site: usize) -> [Prediction; 3] {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../workloads/x.toml");
    let text = format!("name = \"x\"\n[cluster]\n{text}");
    let workload = Workload::parse(file, &text, &[]).unwrap_or_else(|error| panic!("{error}"));
    let built_in =
        [protocols::paxos::PROTOCOL, protocols::multi_paxos::PROTOCOL, protocols::epaxos::PROTOCOL];
    built_in.map(|protocol| {
        let point = &workload.points(protocol)[0];
        workload.prediction(protocol, point, site)
    })
}

#[test]
fn predictions_say_what_they_hold_for() {
    use Prediction::{Between, Exactly, Nothing};
    let contended = Nothing("proposers compete");
    assert_eq!(predicted(FREE), [contended, Exactly(170 * MS), Exactly(85 * MS)]);
    let conflicts = format!("{FREE}[commands]\nconflict_rate = 0.5");
    assert_eq!(predicted(&conflicts), [contended, Exactly(170 * MS), Between(85 * MS, 170 * MS)]);
    let uniform = format!("{FREE}[commands]\nkeys = \"uniform\"\nkey_count = 1000");
    assert_eq!(predicted(&uniform)[2], Between(85 * MS, 170 * MS));

    let open = |arrival: &str, rate: f64| {
        let load =
            format!("[load]\nmode = \"open\"\narrival = \"{arrival}\"\nrate_ops_per_s = {rate}");
        predicted(&format!("{conflicts}\n{load}"))
    };
    // Ireland's takes 300 ms, and Japan hears of it 139 ms later.
    let isolated = [Exactly(170 * MS), Exactly(170 * MS), Exactly(85 * MS)];
    assert_eq!(open("constant", 2.0), isolated);
    assert_eq!(open("constant", 2.3)[0], contended, "a send every 435 ms is too often");
    assert_eq!(open("constant", 2.3)[2], Between(85 * MS, 170 * MS));
    assert_eq!(open("poisson", 2.0)[0], contended);
}

/// The published variant waits for 2F; a slow path takes exactly a second round; three replicas never take one.
#[test]
fn the_published_variant_has_predictions_of_its_own() {
    use Prediction::{Between, Exactly};
    let published = |text: &str| {
        let text = text.replace("[sim]", "[epaxos]\nvariant = \"sosp13\"\n[sim]");
        predicted(&text)[2]
    };
    let conflicts = format!("{FREE}[commands]\nconflict_rate = 0.5");
    assert_eq!(published(FREE), Exactly(90 * MS));
    assert_eq!(published(&conflicts), Between(90 * MS, (90 + 85) * MS));
    let three = conflicts.replace("replicas = 5", "replicas = 3");
    for rate in ["0.5", "1.0"] {
        assert_eq!(published(&three.replace("0.5", rate)), Exactly(85 * MS));
    }
    assert_eq!(predicted(&three)[2], Between(85 * MS, 170 * MS), "of the corrected one");
}

/// A command that waits for an earlier one of its row commits later than any formula says.
#[test]
fn the_window_of_a_key_leaves_conflicts_without_a_prediction() {
    for variant in ["star", "sosp13"] {
        let epaxos = format!("[epaxos]\nvariant = \"{variant}\"\nconflict_window = 1\n[sim]");
        let windowed = |text: &str| predicted(&text.replace("[sim]", &epaxos))[2];
        let conflicts = format!("{FREE}[commands]\nconflict_rate = 0.5");
        assert!(matches!(windowed(FREE), Prediction::Exactly(_)), "{variant}");
        for text in [conflicts.replace("replicas = 5", "replicas = 3"), conflicts] {
            let why = "commands wait for the window of their key";
            assert_eq!(windowed(&text), Prediction::Nothing(why), "{variant}");
        }
    }
}

#[test]
fn a_disturbance_leaves_nothing_to_predict() {
    let all = |text: &str, why: &'static str| {
        assert_eq!(predicted(text), [Prediction::Nothing(why); 3], "{text}");
    };
    let with = |change: &str| format!("{FREE}{change}");
    all(&FREE.replace("message = 0", "message = 1"), "service times are not zero");
    all("driver = \"sim\"", "there is no topology");
    all(&with("[[faults]]\nat_s = 1\nheal = true"), "there are faults");
    all(&with("[load]\nrouting = \"leader\""), "clients ask other sites");
    let last = predicted_at(&with("[load]\nclients = 4"), 4);
    assert_eq!(last, [Prediction::Nothing("there are no clients"); 3]);
    let topology = "{ source = \"x\", sites = [\"a\", \"b\", \"c\"], jitter_ms = 1, \
                    round_trip_ms = { a-b = 1, a-c = 1, b-c = 1 } }";
    let jittery = FREE.replace("jitter_ms = 0\n", "");
    all(&jittery, "there is jitter");
    let its_own = jittery.replace("\"ec2-2013\"", topology).replace("replicas = 5", "replicas = 3");
    all(&its_own, "there is jitter");
}
