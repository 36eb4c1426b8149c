//! Sweeps multiplied out: order, names, seeds.

use std::{collections::BTreeSet, time::Duration};

use protocols::Protocol;
use workload::{Plan, Workload};

fn plan(text: &str) -> Plan {
    Plan::new(&Workload::parse("x.toml", &format!("name = \"x\"\n{text}"), &[]).expect(text))
}

fn lines(plan: &Plan) -> Vec<String> {
    let line = |run: &workload::Run| {
        format!("{} {} {}", run.repetition, run.point.canonical(), run.protocol)
    };
    plan.runs.iter().map(line).collect()
}

#[test]
fn repetition_then_point_then_protocol_rotated() {
    let plan = plan("repetitions = 2\ncommands.conflict_rate = [1, 0.02]");
    assert_eq!(
        lines(&plan),
        [
            "1 conflict_rate=1 paxos",
            "1 conflict_rate=1 multi-paxos",
            "1 conflict_rate=1 epaxos",
            "1 conflict_rate=0.02 paxos",
            "1 conflict_rate=0.02 multi-paxos",
            "1 conflict_rate=0.02 epaxos",
            "2 conflict_rate=1 multi-paxos",
            "2 conflict_rate=1 epaxos",
            "2 conflict_rate=1 paxos",
            "2 conflict_rate=0.02 multi-paxos",
            "2 conflict_rate=0.02 epaxos",
            "2 conflict_rate=0.02 paxos",
        ]
    );
}

#[test]
fn keys_vary_in_the_order_of_their_names_the_first_slowest() {
    let plan = plan(
        "repetitions = 1\nprotocols = [\"epaxos\"]\ncluster.replicas = [5, 3]\ncommands.conflict_rate = [0.5, 0]",
    );
    assert_eq!(
        lines(&plan),
        [
            "1 conflict_rate=0.5 replicas=5 epaxos",
            "1 conflict_rate=0.5 replicas=3 epaxos",
            "1 conflict_rate=0 replicas=5 epaxos",
            "1 conflict_rate=0 replicas=3 epaxos",
        ]
    );
    assert_eq!(
        plan.runs[2].point.swept(),
        [("conflict_rate", "0".to_owned()), ("replicas", "5".to_owned())]
    );
}

#[test]
fn every_sweepable_key_gets_its_value() {
    let text = "repetitions = 1\nprotocols = [\"epaxos\"]\ncluster.replicas = [3, 5]\n\
        epaxos.fast_quorum = [\"optimized\", \"simple\"]\n\
        load = { mode = \"open\", clients_per_site = [1, 2], window = [1], rate_ops_per_s = [10, 20] }\n\
        commands = { conflict_rate = [0, 1], write_ratio = [0.5, 1], value_bytes = [16, 17], \
        append_ratio = [0, 0.1], delete_ratio = [0, 0.05], cas_ratio = [0.1, 0.2] }";
    let plan = plan(text);
    assert_eq!(plan.runs.len(), 1024);
    let names: BTreeSet<String> = plan.runs.iter().map(|run| run.point.canonical()).collect();
    assert_eq!(names.len(), 1024, "each point has a name of its own");
    for run in &plan.runs {
        let point = &run.point;
        let expected = format!(
            "append_ratio={} cas_ratio={} clients_per_site={} conflict_rate={} delete_ratio={} fast_quorum={} \
             rate_ops_per_s={} replicas={} value_bytes={} window={} write_ratio={}",
            point.append_ratio,
            point.cas_ratio,
            point.clients.per_site().unwrap(),
            point.conflict_rate().unwrap(),
            point.delete_ratio,
            point.options.of::<protocols::epaxos::FastQuorum>().name(),
            point.rate_ops_per_s,
            point.replicas,
            point.value_bytes,
            point.window,
            point.write_ratio,
        );
        assert_eq!(point.canonical(), expected);
    }
}

#[test]
fn nothing_swept_is_one_point_called_default() {
    assert_eq!(lines(&plan("repetitions = 1\nprotocols = [\"paxos\"]")), ["1 default paxos"]);
}

#[test]
fn what_only_epaxos_has_multiplies_only_its_runs() {
    let plan = plan("repetitions = 1\nepaxos.fast_quorum = [\"simple\", \"optimized\"]");
    assert_eq!(
        lines(&plan),
        [
            "1 default paxos",
            "1 default multi-paxos",
            "1 fast_quorum=simple epaxos",
            "1 fast_quorum=optimized epaxos",
        ]
    );
    let seeds: BTreeSet<u64> = plan.runs.iter().map(|run| run.seed).collect();
    assert_eq!(seeds.len(), 1, "all four are offered the same load");
}

#[test]
fn protocols_share_a_seed_points_and_repetitions_do_not() {
    let plan = plan("repetitions = 3\ncluster.replicas = [3, 5]");
    let seed = |protocol: Protocol, replicas: usize, repetition: u32| {
        plan.runs
            .iter()
            .find(|run| {
                (run.protocol, run.point.replicas, run.repetition)
                    == (protocol, replicas, repetition)
            })
            .map(|run| run.seed)
            .unwrap()
    };
    let mut distinct = BTreeSet::new();
    for replicas in [3, 5] {
        for repetition in 1..=3 {
            let shared = seed(protocols::paxos::PROTOCOL, replicas, repetition);
            assert_eq!(shared, seed(protocols::multi_paxos::PROTOCOL, replicas, repetition));
            assert_eq!(shared, seed(protocols::epaxos::PROTOCOL, replicas, repetition));
            distinct.insert(shared);
        }
    }
    assert_eq!(distinct.len(), 6);
}

/// Results are compared by seed across versions, so these may never change.
#[test]
fn run_seeds_are_pinned() {
    let seeds: Vec<u64> =
        plan("repetitions = 1\nprotocols = [\"epaxos\"]\ncluster.replicas = [3, 5]")
            .runs
            .iter()
            .map(|run| run.seed)
            .collect();
    assert_eq!(seeds, [18_266_478_405_269_151_188, 9_999_257_073_101_893_527]);
}

#[test]
fn the_estimate_adds_up() {
    let plan = plan("repetitions = 2\nload = { warmup_s = 0.5, duration_s = 2 }");
    assert_eq!(plan.run_estimate(), Duration::from_secs(4));
    assert_eq!(plan.estimate(), Duration::from_secs(24));
    let simulated = self::plan("cluster.driver = \"sim\"\nrepetitions = 2\nload.duration_s = 3600");
    assert_eq!(simulated.estimate(), Duration::from_secs(6), "simulated time is not spent");
}

#[test]
fn the_leader_is_swept_for_whom_it_makes_a_difference() {
    let keys =
        "repetitions = 1\nprotocols = [\"multi-paxos\", \"epaxos\"]\ncluster.leader = [2, 0]";
    let local = plan(keys);
    assert_eq!(
        lines(&local),
        ["1 leader=2 multi-paxos", "1 default epaxos", "1 leader=0 multi-paxos"]
    );
    assert_eq!(local.runs[0].point.leader, protocols::ReplicaId(2));
    let seeds: BTreeSet<u64> = local.runs.iter().map(|run| run.seed).collect();
    assert_eq!(seeds.len(), 1, "who leads does not change what is offered");
    let asked = plan(&format!("{keys}\nload.routing = \"leader\""));
    assert_eq!(
        asked.runs.len(),
        4,
        "whom EPaxos' clients ask is then swept, too: {:?}",
        lines(&asked)
    );
}

/// One thing changes as the cluster grows: as many clients as before, elsewhere.
#[test]
fn clients_of_the_whole_cluster_do_not_grow_with_it() {
    let plan = plan(
        "repetitions = 1\nprotocols = [\"epaxos\"]\ncluster.replicas = [3, 51]\nload.clients = [16, 48]",
    );
    assert_eq!(
        lines(&plan),
        [
            "1 clients=16 replicas=3 epaxos",
            "1 clients=16 replicas=51 epaxos",
            "1 clients=48 replicas=3 epaxos",
            "1 clients=48 replicas=51 epaxos",
        ]
    );
    let spread = |run: usize| {
        let clients = plan.runs[run].point.clients;
        ([0, 1, 2, 50].map(|site| clients.at(site)), clients.clients(), clients.per_site())
    };
    assert_eq!(spread(0), ([6, 5, 5, 5], 16, None));
    assert_eq!(spread(1), ([1, 1, 1, 0], 16, None));
    assert_eq!(spread(2), ([16; 4], 48, Some(16)));
    // Seeds are of what is swept: one number for all is one load.
    let once = self::plan("repetitions = 1\nprotocols = [\"epaxos\"]\nload.clients = 7");
    assert_eq!(lines(&once), ["1 default epaxos"]);
}

/// A searched rate has one name, whatever is found, and its steps are the same run at other rates.
#[test]
fn steps_of_a_search_keep_its_name_and_its_seed() {
    let with = |rate: &str| {
        plan(&format!(
            "repetitions = 1\nprotocols = [\"epaxos\"]\ncluster.replicas = [3, 5]\n\
             load = {{ mode = \"open\", p99_ms_max = 20, rate_ops_per_s = {rate} }}"
        ))
    };
    let (swept, given) = (with("[\"max\"]"), with("\"max\""));
    assert_eq!(
        lines(&swept),
        ["1 rate_ops_per_s=max replicas=3 epaxos", "1 rate_ops_per_s=max replicas=5 epaxos"]
    );
    assert_eq!(lines(&given), ["1 replicas=3 epaxos", "1 replicas=5 epaxos"]);
    for run in given.runs.iter().chain(&swept.runs) {
        assert_eq!((run.point.open_rate(), run.step), (None, None));
        let step = run.at(3, 4_000.0);
        assert_eq!((step.point.open_rate(), step.step), (Some(4_000.0), Some(3)));
        assert_eq!(step.point.canonical(), run.point.canonical());
        assert_eq!((step.seed, step.repetition), (run.seed, run.repetition));
    }
}
