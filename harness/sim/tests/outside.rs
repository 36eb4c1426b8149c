//! A protocol that no crate of this project knows: registered by its facts, it is named, set up and
//! swept by a workload file, and simulated, as those that are built in.

mod mistaken;

use mistaken::turns::{self, Turns};
use protocols::{Facts, Protocol, epaxos, registry};
use sim::{Hostility, hostile, run};
use workload::{Plan, Prediction, Workload};

/// What a protocol with a stable leader would state of itself.
static LED: Facts = Facts {
    title: "Led",
    has_stable_leader: true,
    options: turns::FACTS.options,
    ..Facts::plain("led")
};

const HOSTILITY: Hostility = Hostility { replicas: None, faults: 20, crashes: true };
const FILE: &str = "name = \"x\"\nrepetitions = 1\nprotocols = [\"turns\", \"led\", \"epaxos\"]\n\
    cluster = { driver = \"sim\", leader = [0, 1] }\nturns.patience = [1, 50]\nled.patience = 7\n";

fn registered() -> Protocol {
    registry::register(&LED).unwrap_or_else(|error| panic!("{error}"));
    registry::register(&turns::FACTS).unwrap_or_else(|error| panic!("{error}"))
}

fn parse(text: &str) -> Result<Workload, String> {
    registered();
    Workload::parse("x.toml", text, &[]).map_err(|error| error.to_string())
}

#[test]
fn a_workload_file_names_sets_up_and_sweeps_it() {
    let workload = parse(FILE).unwrap();
    assert_eq!(workload.protocols, [registered(), Protocol::new(&LED), epaxos::PROTOCOL]);
    let plan = Plan::new(&workload);
    let runs: Vec<_> =
        plan.runs.iter().map(|run| format!("{} {}", run.protocol, run.point.canonical())).collect();
    // Options are each protocol's own, and the leader is swept for those that have a stable one.
    assert_eq!(
        runs,
        ["turns patience=1", "led leader=0", "epaxos default", "turns patience=50", "led leader=1",]
    );
    let seeds: Vec<u64> = plan.runs.iter().map(|run| run.seed).collect();
    assert!(seeds.iter().all(|seed| *seed == seeds[0]), "all are offered the same");
    for run in &plan.runs {
        let given = workload.config(&run.point).options.get(0);
        match run.protocol.name {
            "turns" => {
                assert_eq!(run.point.canonical(), format!("patience={}", given.unwrap()));
            }
            "led" => assert_eq!(given, Some(7)),
            _ => assert_eq!(run.protocol, epaxos::PROTOCOL),
        }
    }
}

#[test]
fn what_a_file_says_wrongly_of_it_is_refused_as_of_any() {
    let refused = |more: &str| parse(&format!("name = \"x\"\n{more}")).unwrap_err();
    assert_eq!(refused("turns.patience = 0"), "x.toml: turns.patience = 0: must be at least 1");
    assert_eq!(
        refused("turns.patience = [1, 1001]"),
        "x.toml: turns.patience = 1001: must be at most 1000"
    );
    assert_eq!(
        refused("turns.patience = \"all\""),
        "x.toml: turns.patience = \"all\": must be a whole number, not a string"
    );
    assert_eq!(
        refused("turns.patienz = 1"),
        "x.toml: turns.patienz = 1: unknown key: did you mean turns.patience?"
    );
    assert_eq!(
        refused("turns.colour = 1"),
        "x.toml: turns.colour = 1: unknown key: [turns] takes patience"
    );
    let unknown = refused("protocols = [\"turnz\"]");
    assert!(unknown.contains("unknown protocol: use \"paxos\", \"multi-paxos\", \"epaxos\", "));
    assert!(["\"turns\"", "\"led\""].into_iter().all(|name| unknown.contains(name)), "{unknown}");
}

#[test]
fn it_runs_under_hostile_schedules_with_the_options_of_the_file() {
    let workload = parse(FILE).unwrap();
    let options = |patience: &str| {
        let points = workload.points(registered());
        let of = points.into_iter().find(|point| point.canonical() == patience).unwrap();
        workload.config(&of).options
    };
    let traces = |patience: &str| -> Vec<u64> {
        let hashes = (0..10).map(|seed| {
            let mut scenario = hostile(seed, &HOSTILITY);
            scenario.config.options = options(patience);
            let outcome = run::<Turns>(&scenario);
            outcome.unwrap_or_else(|violation| panic!("{violation}")).trace_hash
        });
        hashes.collect()
    };
    assert_eq!(traces("patience=1"), traces("patience=1"), "one seed, one run");
    assert_ne!(traces("patience=1"), traces("patience=50"), "the option does not reach the core");
}

/// What it does not state is not known, and that is said.
#[test]
fn what_it_does_not_state_is_not_known() {
    let text = "name = \"x\"\ncluster.driver = \"sim\"\n\
        [sim]\ncpu_us_per_message = 0\ncpu_ns_per_byte = 0\nnic_mbit_per_s = 0\n\
        [network]\njitter_ms = 0\n[network.topology]\nsource = \"x\"\nsites = [\"a\", \"b\", \"c\"]\n\
        round_trip_ms = { a-b = 1, a-c = 1, b-c = 1 }";
    let workload = parse(text).unwrap();
    let point = &workload.points(registered())[0];
    assert_eq!(
        workload.prediction(registered(), point, 0),
        Prediction::Nothing("the protocol states no formula")
    );
    assert_eq!(workload.load_model(registered(), point, 0.0), Err("the protocol states no model"));
}
