//! Files that load: the committed ones, the format's description, and what a workload says of itself.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use protocols::{ReplicaId, epaxos::FastQuorum};
use workload::{
    Clients, Override, Plan, Rate, SEARCH_STEPS_ABOUT, SimCosts, Timeouts, Workload,
    calibrated::{Calibrated, Loads},
};

/// A file beside the committed ones, so that it finds their topologies.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../workloads/x.toml");

fn parse(text: &str) -> Workload {
    Workload::parse(FILE, text, &[]).expect(text)
}

/// One of every key, as the format is described.
const EVERY_KEY: &str = r#"
name = "conflict-sweep"
protocols = ["paxos", "multi-paxos", "epaxos"]
repetitions = 3
seed = 42
[cluster]
driver = "quic"
replicas = 3
durability = "memory"
leader = 0
batch_commands = 1
batch_delay_us = 0
memory_mib = 256
[epaxos]
variant = "star"
fast_quorum = "optimized"
[load]
mode = "closed"
clients_per_site = 16
window = 1
rate_ops_per_s = 0
arrival = "poisson"
routing = "local"
warmup_s = 1
duration_s = 5
[commands]
keys = "conflict"
conflict_rate = [0.0, 0.02, 0.25, 1.0]
write_ratio = 1.0
value_bytes = 16
[timeouts]
retransmit_ms = 100
election_ms = 500
recovery_ms = 500
client_ms = 2000
[network]
topology = "ec2-2013"
[[faults]]
at_s = 5
kill = 0
"#;

const EVERY_FAULT: &str = r#"
name = "faults"
cluster.durability = "buffered"
network.topology = { source = "invented", sites = ["a", "b", "c"], jitter_ms = 0.5, round_trip_ms = { a-b = 10, c-b = 0.25 }, one_way_ms = { a-c = [1, 2] }, pair_jitter_ms = { c-a = 0 } }
faults = [
    { at_s = 0, every_s = 2.5, kill = "random" },
    { at_s = 1, every_s = 2.5, restart = "random" },
    { at_s = 1, restart = 2 },
    { at_s = 1, pause = "leader" },
    { at_s = 2, resume = "leader" },
    { at_s = 2, partition = [[0], [1, 2]] },
    { at_s = 2, heal = true },
    { at_s = 2, partition = { from = [0], to = [1] } },
    { at_s = 3, slow = { replica = 0, factor = 4 } },
    { at_s = 3, loss_rate = 0.1, delay_ms = 20, layer = "packet" },
    { at_s = 4, duplicate_rate = 0.001, layer = "message" },
]
"#;

#[test]
fn committed_files_load_bear_their_name_and_open_with_a_question() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workloads");
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let workload = Workload::load(&path, &[]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(Some(workload.name.as_str()), path.file_stem().unwrap().to_str());
        let question = workload.question.as_deref().unwrap_or_default();
        assert!(question.ends_with('?'), "{}: {question:?}", path.display());
        assert!(fs::read_to_string(&path).unwrap().starts_with("# Question: "));
        assert!(!Plan::new(&workload).runs.is_empty());
        assert_eq!(workload.unsupported(), None, "{}", path.display());
        found.insert(workload.name);
    }
    for name in
        ["quickstart", "conflict-sweep", "open-loop", "wan5", "wan5-isolated", "sosp13-latency"]
    {
        assert!(found.contains(name), "{found:?}");
    }
}

/// A picture over N changes N alone: the clients of these do not grow with it. Of the paper's set-up no
/// size is held beside another, and the calibration is of loads, whatever the size.
#[test]
fn committed_files_over_sizes_count_their_clients_in_all() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workloads");
    let mut per_site = BTreeSet::new();
    let mut in_all = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let workload = Workload::load(&path, &[]).unwrap();
        match workload.load.clients {
            _ if workload.cluster.replicas.values().len() == 1 => {}
            Clients::PerSite(_) => drop(per_site.insert(workload.name)),
            Clients::PerCluster(_) => in_all += 1,
        }
    }
    assert_eq!(per_site.into_iter().collect::<Vec<_>>(), ["calibrate", "sosp13-latency"]);
    assert!(in_all >= 15, "{in_all}");
}

#[test]
fn quickstart_takes_about_a_minute() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workloads/quickstart.toml");
    let plan = Plan::new(&Workload::load(&path, &[]).unwrap());
    assert!(plan.estimate() < Duration::from_secs(60), "{:?}", plan.estimate());
}

#[test]
fn absent_keys_take_the_documented_defaults() {
    let expected = r#"name = "x"
protocols = ["paxos", "multi-paxos", "epaxos"]
repetitions = 3
seed = 42

[cluster]
driver = "quic"
replicas = 3
durability = "memory"
leader = 0
batch_commands = 1
batch_delay_us = 0
memory_mib = 256

[epaxos]
variant = "star"
fast_quorum = "optimized"
execution = "closed"
conflict_window = 0

[load]
mode = "closed"
clients_per_site = 16
window = 1
rate_ops_per_s = 0.0
arrival = "poisson"
routing = "local"
warmup_s = 1.0
duration_s = 5.0

[commands]
keys = "conflict"
conflict_rate = 0.0
write_ratio = 1.0
value_bytes = 16

[timeouts]
"#;
    assert_eq!(toml::to_string(&parse("name = \"x\"")).unwrap(), expected);
    let zipf = parse("name = \"x\"\n[commands]\nkeys = \"zipf\"\nkey_count = 10");
    let written = toml::to_string(&zipf).unwrap();
    assert!(written.contains("keys = \"zipf\"\nkey_count = 10\ntheta = 0.99\n"), "{written}");
}

/// What a manifest records can be run again.
#[test]
fn a_workload_serialises_to_a_file_that_loads_as_the_same() {
    for text in [
        "name = \"x\"",
        EVERY_KEY,
        EVERY_FAULT,
        "name = \"x\"\ncluster.driver = \"sim\"",
        "name = \"x\"\ncluster.driver = \"sim\"\nsim = { cpu_us_per_message = 0.5, cpu_ns_per_byte = 0, nic_mbit_per_s = 10 }",
        "name = \"x\"\n[commands]\nkeys = \"uniform\"\nkey_count = 7",
        "name = \"x\"\nreturns.within_s = 2\nfaults = [{ at_s = 1, pause = 0 }, { at_s = 1.5, resume = 0 }]",
        "name = \"x\"\ncommands = { append_ratio = [0, 0.5], delete_ratio = 0.1, cas_ratio = 0.25 }",
        "name = \"x\"\nload.clients = 7",
        "name = \"x\"\nload = { mode = \"open\", rate_ops_per_s = \"max\", p99_ms_max = 20 }",
        "name = \"x\"\nload = { mode = \"open\", rate_ops_per_s = [\"max\"], p99_ms_max = 0.5, rate_start_ops_per_s = 3 }",
        "name = \"x\"\nload.clients = [7, 8]",
        "name = \"x\"\n[epaxos]\nfast_quorum = [\"simple\", \"optimized\"]\n[cluster]\nreplicas = [3]",
    ] {
        let workload = parse(text);
        let written = toml::to_string(&workload).unwrap();
        assert_eq!(parse(&written), workload, "{written}");
        let recorded: toml::Value = toml::Value::try_from(&workload).unwrap();
        let again = Workload::recorded(FILE, recorded).unwrap();
        assert_eq!(toml::to_string(&again).unwrap(), written);
    }
    let error = Workload::recorded("manifest.json", toml::Value::Integer(3)).unwrap_err();
    assert!(error.to_string().starts_with("manifest.json: is no workload: "), "{error}");
}

#[test]
fn the_question_is_the_first_paragraph_of_the_opening_comment() {
    let question = |text: &str| parse(&format!("{text}\nname = \"x\"")).question;
    assert_eq!(
        question("# Question: how fast,\n# and why?\n#\n# Reading it: slowly."),
        Some("how fast, and why?".to_owned())
    );
    assert_eq!(question("#\n#   How fast?"), Some("How fast?".to_owned()));
    assert_eq!(question("seed = 3\n# Question: too late?"), None);
    assert_eq!(question(""), None);
}

#[test]
fn overrides_win_over_the_file_and_later_ones_over_earlier_ones() {
    let set: Vec<Override> = [
        "load.mode=open",
        "load.rate_ops_per_s=[1000, 2000]",
        "seed=7",
        "protocols=[\"epaxos\"]",
        "timeouts.client_ms=250.5",
        "cluster.driver=sim",
        "faults=[{ at_s = 1, loss_rate = 0.1, layer = \"packet\" }]",
    ]
    .into_iter()
    .map(|text| Override::parse(text).unwrap())
    .chain([Override::by_flag("--seed", "seed", 8)])
    .collect();
    let workload = Workload::parse(FILE, "name = \"x\"\nseed = 1", &set).unwrap();
    assert_eq!(
        (workload.seed, workload.protocols.as_slice()),
        (8, [protocols::epaxos::PROTOCOL].as_slice())
    );
    assert_eq!(
        workload.load.rate_ops_per_s.values(),
        [Rate::OpsPerS(1000.0), Rate::OpsPerS(2000.0)]
    );
    assert_eq!(workload.timeouts.client_ms, Some(250.5));
    let error = workload.unsupported().unwrap().to_string();
    assert!(error.starts_with("--set: faults[0].layer = \"packet\": "), "{error}");
}

#[test]
fn timeouts_follow_the_largest_round_trip_unless_given() {
    let ms = Duration::from_millis;
    let all = |workload: &Workload| {
        let Timeouts { replica, client } = workload.timeouts();
        (replica.retransmit, replica.election, replica.recovery, client)
    };
    let bare = parse("name = \"x\"\ntimeouts.election_ms = 70");
    assert_eq!(bare.round_trip_max(), Duration::ZERO);
    assert_eq!(all(&bare), (ms(100), ms(70), ms(500), ms(2000)));
    // The largest cluster decides, with its slowest pair, its jitter and the largest delay of the plan, both ways.
    let wide = parse(
        "name = \"x\"\ntimeouts.election_ms = 70\ncluster.replicas = [5, 3]\nnetwork.topology = \"ec2-2013\"\n\
         faults = [{ at_s = 1, delay_ms = 11, layer = \"packet\" }, { at_s = 2, delay_ms = 10, layer = \"message\" }]",
    );
    assert_eq!(wide.round_trip_max(), ms(278 + 2 * 11));
    assert_eq!(all(&wide), (ms(600), ms(70), ms(1500), ms(3000)));
    let mut recorded = wide.clone();
    recorded.timeouts = wide.timeouts().into();
    recorded.network = None;
    assert_eq!(recorded.timeouts(), wide.timeouts(), "what is recorded holds on any network");
}

#[test]
fn without_the_key_the_memory_is_that_of_the_cores_default() {
    let workload = parse("name = \"x\"");
    let config = workload.config(&workload.points(protocols::paxos::PROTOCOL)[0]);
    assert_eq!(config.kept_bytes_max, protocols::Config::new(3).kept_bytes_max);
}

#[test]
fn a_points_config_is_what_the_file_says() {
    let workload = parse(
        "name = \"x\"\ncluster = { replicas = 5, leader = 4, batch_commands = 100, batch_delay_us = 2500, memory_mib = 64 }\nepaxos.fast_quorum = \"simple\"\n\
         network.topology = \"ec2-2013\"",
    );
    let point = &workload.points(protocols::epaxos::PROTOCOL)[0];
    let config = workload.config(point);
    assert_eq!((config.replicas, config.first_leader), (5, ReplicaId(4)));
    assert_eq!(config.options.of::<FastQuorum>(), FastQuorum::Simple);
    assert_eq!(config.kept_bytes_max, 32 << 20, "half of the memory");
    let batching = config.batching;
    assert_eq!((batching.commands_max, batching.delay), (100, Duration::from_micros(2500)));
    assert_eq!(config.timeouts, workload.timeouts().replica);
    assert_eq!(config.timeouts.recovery, Duration::from_millis(5 * 278));
}

/// California's nearest are Oregon (21 ms), Virginia (85) and Japan (118); Ireland is 156 ms away.
#[test]
fn the_published_variant_proposes_to_the_nearest() {
    let config_of = |text: &str, replica| {
        let workload = parse(&format!("name = \"x\"\ncluster.replicas = 5\n{text}"));
        let point = &workload.points(protocols::epaxos::PROTOCOL)[0];
        assert_eq!(workload.config(point).nearest, None);
        workload.config_of(protocols::epaxos::PROTOCOL, point, ReplicaId(replica))
    };
    let set = |replicas: [u8; 3]| Some(replicas.into_iter().map(ReplicaId).collect());
    let published = "epaxos.variant = \"sosp13\"\n";
    let far = "network.topology = \"ec2-2013\"";
    let config = config_of(&format!("{published}{far}"), 1);
    assert_eq!(config.options.of::<FastQuorum>(), FastQuorum::Simple);
    assert_eq!(config.nearest, set([0, 3, 4]));
    assert_eq!(config_of(published, 1).nearest, set([2, 3, 4]), "all are equally far");
    assert_eq!(config_of(far, 1).nearest, None);
}

#[test]
fn a_simulation_has_costs_and_a_real_cluster_has_none_to_give() {
    assert_eq!(parse("name = \"x\"").sim, None);
    let sim = |costs: &str| parse(&format!("name = \"x\"\ncluster.driver = \"sim\"\n{costs}"));
    assert_eq!(sim("").sim, Some(SimCosts::default()));
    let given = sim("sim.cpu_us_per_message = 0").sim.unwrap();
    let of_bytes =
        SimCosts { cpu_ns_per_byte: SimCosts::default().cpu_ns_per_byte, ..SimCosts::NONE };
    assert_eq!(given, of_bytes, "who names the cost of a message means that to be all");
    let woken = sim("sim.cpu_us_per_wakeup = 3").sim.unwrap();
    let guessed = SimCosts { calibrated: Calibrated::NONE, ..SimCosts::default() };
    assert_eq!(woken, SimCosts { cpu_us_per_wakeup: 3.0, ..guessed });
    let ordered = sim("sim = { cpu_us_per_command = 2, cpu_us_per_ordering_step = 1 }").sim;
    let costs = SimCosts { cpu_us_per_command: 2.0, cpu_us_per_ordering_step: 1.0, ..guessed };
    assert_eq!(ordered, Some(costs));
    let slow_card = sim("sim.nic_mbit_per_s = 100").sim.unwrap();
    assert_eq!(slow_card, SimCosts { nic_mbit_per_s: 100.0, ..SimCosts::default() });
    let free = sim("sim = { cpu_us_per_message = 0, cpu_ns_per_byte = 0, nic_mbit_per_s = 0 }");
    assert!(
        free.costs_nothing() && !sim("").costs_nothing() && !parse("name = \"x\"").costs_nothing()
    );
}

/// What `bench calibrate` writes, and what a workload says beside it.
#[test]
fn measured_costs_are_the_defaults_of_whoever_names_their_file() {
    let place = tempfile::tempdir().unwrap();
    let measured = "[sim]\ncpu_us_per_wakeup = 9\ncpu_us_per_message = 0.5\ncpu_ns_per_byte = 0\n\
        cpu_us_per_command = 0.25\ncpu_us_per_ordering_step = 0.125\n\n\
        [sim.calibrated.epaxos]\nreplicas = [3, 9]\nvalue_bytes = [16, 1024]\n\
        requests_under_way = [3, 768]\nbytes_under_way_max = 400_000\n\
        operations_per_cpu_s_max = 1.5e6\n\n[measured]\ncores = 2";
    fs::write(place.path().join("host.toml"), measured).unwrap();
    let load = |text: &str, overrides: &[Override]| {
        let file = place.path().join("w.toml").display().to_string();
        let text = format!("name = \"x\"\ncluster.driver = \"sim\"\n{text}");
        Workload::parse(&file, &text, overrides)
            .map_err(|error| error.to_string().replace(&format!("{}/", place.path().display()), ""))
    };
    let mut calibrated = Calibrated::NONE;
    let loads = Loads {
        replicas: [3, 9],
        value_bytes: [16, 1024],
        requests_under_way: [3, 768],
        bytes_under_way_max: 400_000,
        operations_per_cpu_s_max: 1.5e6,
    };
    calibrated.add(protocols::epaxos::PROTOCOL, &loads);
    let costs = SimCosts {
        cpu_us_per_wakeup: 9.0,
        cpu_us_per_message: 0.5,
        cpu_ns_per_byte: 0.0,
        cpu_us_per_command: 0.25,
        cpu_us_per_ordering_step: 0.125,
        calibrated,
        ..SimCosts::NONE
    };
    let by_file = load("sim.calibration = \"host.toml\"", &[]).unwrap();
    assert_eq!(by_file.sim, Some(costs));
    let with_own =
        load("sim = { calibration = \"host.toml\", cpu_us_per_message = 2 }", &[]).unwrap();
    let no_longer = SimCosts { calibrated: Calibrated::NONE, ..costs };
    assert_eq!(with_own.sim, Some(SimCosts { cpu_us_per_message: 2.0, ..no_longer }));
    // What is recorded of a run says itself what was calibrated, and is read again as it was.
    let recorded = toml::Value::try_from(&by_file).unwrap();
    assert_eq!(Workload::recorded("manifest", recorded).unwrap().sim, Some(costs));
    // From where the command is typed, not from where the workload file is.
    let flag = |path: &str| [Override::parse(&format!("sim.calibration={path}")).unwrap()];
    let path = place.path().join("host.toml").display().to_string();
    assert_eq!(load("", &flag(&path)).unwrap().sim, Some(costs));
    let error = load("", &flag("host.toml")).unwrap_err();
    assert!(
        error.starts_with("--set: sim.calibration = \"host.toml\": host.toml cannot be read"),
        "{error}"
    );

    let refused = |text: &str, expected: &str| {
        fs::write(place.path().join("bad.toml"), text).unwrap();
        let error = load("sim.calibration = \"bad.toml\"", &[]).unwrap_err();
        assert_eq!(error, expected);
    };
    refused("x = 1", "bad.toml: sim: missing: is this what `bench calibrate` wrote?");
    refused(
        "[sim]\ncpu_us_per_wakeup = 1\ncpu_ns_per_byte = 1",
        "bad.toml: sim.cpu_us_per_message: missing: measure it again",
    );
    // As they were before commands had a cost of their own.
    refused(
        "[sim]\ncpu_us_per_wakeup = 20\ncpu_us_per_message = 0.2\ncpu_ns_per_byte = 1",
        "bad.toml: sim.cpu_us_per_command: missing: measure it again",
    );
    let (costs_alone, _) = measured.split_once("\n\n[sim.calibrated").unwrap();
    refused(costs_alone, "bad.toml: sim.calibrated: missing: measure it again");
    refused(
        &measured.replace("[3, 9]", "[9, 3]"),
        "bad.toml: sim.calibrated.epaxos.replicas = [9, 3]: must be the least before the most",
    );
    refused(
        &measured.replace("[3, 9]", "3"),
        "bad.toml: sim.calibrated.epaxos.replicas = 3: must be the least and the most, such as [3, 9]",
    );
    fs::write(place.path().join("bad.toml"), measured.replace("ated.epaxos", "ated.raft")).unwrap();
    let error = load("sim.calibration = \"bad.toml\"", &[]).unwrap_err();
    assert!(error.starts_with("bad.toml: sim.calibrated.raft = {"), "{error}");
    assert!(error.ends_with("unknown key: use paxos, multi-paxos, epaxos"), "{error}");
    refused(
        &measured.replace("bytes_under_way_max = 400_000\n", ""),
        "bad.toml: sim.calibrated.epaxos.bytes_under_way_max: missing: measure it again",
    );
    refused(
        &measured.replace("= 9", "= -1"),
        "bad.toml: sim.cpu_us_per_wakeup = -1: must be within 0..=1000000",
    );
    refused(
        &measured.replace("per_wakeup", "per_wake"),
        "bad.toml: sim.cpu_us_per_wake = 9: unknown key: did you mean cpu_us_per_wakeup?",
    );
    let quic = load(
        "sim.calibration = \"host.toml\"\ncluster.replicas = 3",
        &[Override::parse("cluster.driver=quic").unwrap()],
    );
    assert_eq!(
        quic.map(|workload| workload.sim),
        Ok(None),
        "the file's costs are the simulator's alone"
    );
}

/// A rate that a flag gives takes the place of a search, with all that goes with it.
#[test]
fn a_search_has_a_start_and_gives_way_to_a_rate() {
    let text =
        "name = \"x\"\nload = { mode = \"open\", rate_ops_per_s = \"max\", p99_ms_max = 20 }";
    let search = parse(text).load.search.unwrap();
    assert_eq!((search.p99_ms_max, search.rate_start_ops_per_s), (20.0, 1_000.0));
    let given = [Override::parse("load.rate_ops_per_s=2000").unwrap()];
    let workload = Workload::parse(FILE, text, &given).unwrap();
    assert_eq!((workload.load.search, workload.unsupported()), (None, None));
    assert_eq!(workload.load.rate_ops_per_s.values(), [Rate::OpsPerS(2000.0)]);
    let searched = Plan::new(&parse(text)).estimate();
    assert_eq!(searched, Plan::new(&workload).estimate() * SEARCH_STEPS_ABOUT);
}
