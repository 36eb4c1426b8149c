//! A protocol that no crate of this project knows: registered by its facts, it is named, set up and
//! swept by a workload file, and simulated, as those that are built in.

mod toy;

use protocols::{Protocol, epaxos, registry};
use sim::{Hostility, hostile, run};
use toy::{Fetch, Toy};
use workload::{Plan, Prediction, Workload};

type Outside = Toy<{ toy::NONE }>;

const HOSTILITY: Hostility = Hostility { replicas: None, faults: 20, crashes: true };
const FILE: &str = "name = \"x\"\nrepetitions = 1\nprotocols = [\"toy\", \"epaxos\"]\n\
    cluster = { driver = \"sim\", leader = [0, 1] }\ntoy.fetch = [1, 50]\n";

fn registered() -> Protocol {
    registry::register(&toy::FACTS).unwrap_or_else(|error| panic!("{error}"))
}

fn parse(text: &str) -> Result<Workload, String> {
    registered();
    Workload::parse("x.toml", text, &[]).map_err(|error| error.to_string())
}

#[test]
fn a_workload_file_names_sets_up_and_sweeps_it() {
    let workload = parse(FILE).unwrap();
    assert_eq!(workload.protocols, [registered(), epaxos::PROTOCOL]);
    let plan = Plan::new(&workload);
    let runs: Vec<_> =
        plan.runs.iter().map(|run| format!("{} {}", run.protocol, run.point.canonical())).collect();
    // It has a stable leader, which EPaxos has not, and its option is its own.
    assert_eq!(
        runs,
        [
            "toy fetch=1 leader=0",
            "epaxos default",
            "toy fetch=1 leader=1",
            "toy fetch=50 leader=0",
            "toy fetch=50 leader=1",
        ]
    );
    let seeds: Vec<u64> = plan.runs.iter().map(|run| run.seed).collect();
    assert!(seeds.iter().all(|seed| *seed == seeds[0]), "all are offered the same");
    for run in plan.runs.iter().filter(|run| run.protocol == registered()) {
        let Fetch(fetch) = workload.config(&run.point).options.of();
        assert!(run.point.canonical().starts_with(&format!("fetch={fetch} ")), "{run:?}");
    }
}

#[test]
fn what_a_file_says_wrongly_of_it_is_refused_as_of_any() {
    let refused = |more: &str| parse(&format!("name = \"x\"\n{more}")).unwrap_err();
    assert_eq!(refused("toy.fetch = 0"), "x.toml: toy.fetch = 0: must be at least 1");
    assert_eq!(refused("toy.fetch = [1, 51]"), "x.toml: toy.fetch = 51: must be at most 50");
    assert_eq!(
        refused("toy.fetch = \"all\""),
        "x.toml: toy.fetch = \"all\": must be a whole number, not a string"
    );
    assert_eq!(
        refused("toy.fetsh = 1"),
        "x.toml: toy.fetsh = 1: unknown key: did you mean toy.fetch?"
    );
    assert_eq!(refused("toy.colour = 1"), "x.toml: toy.colour = 1: unknown key: [toy] takes fetch");
    assert!(
        refused("protocols = [\"toi\"]")
            .ends_with("unknown protocol: use \"paxos\", \"multi-paxos\", \"epaxos\" or \"toy\"")
    );
}

#[test]
fn it_runs_under_hostile_schedules_with_the_options_of_the_file() {
    let workload = parse(FILE).unwrap();
    let options = |fetch: &str| {
        let points = workload.points(registered());
        let of = points.into_iter().find(|point| point.canonical().starts_with(fetch)).unwrap();
        workload.config(&of).options
    };
    let traces = |fetch: &str| -> Vec<u64> {
        let hashes = (0..10).map(|seed| {
            let mut scenario = hostile(seed, &HOSTILITY);
            scenario.config.options = options(fetch);
            let outcome = run::<Outside>(&scenario);
            outcome.unwrap_or_else(|violation| panic!("{violation}")).trace_hash
        });
        hashes.collect()
    };
    assert_eq!(traces("fetch=1 "), traces("fetch=1 "), "one seed, one run");
    assert_ne!(traces("fetch=1 "), traces("fetch=50 "), "the option does not reach the core");
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
