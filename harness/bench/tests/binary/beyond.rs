//! A simulated throughput is marked where nobody measured what the work costs.

use std::fs;

use crate::place::{Place, cell, rows};

const LOAD: &str = "\
    name = \"simulated\"\n\
    protocols = [\"epaxos\"]\n\
    repetitions = 1\n\
    [cluster]\n\
    driver = \"sim\"\n\
    [load]\n\
    clients_per_site = 4\n\
    warmup_s = 0.1\n\
    duration_s = 0.2\n";

/// What is said of the throughput of a run with these settings; the run stays valid.
fn said(settings: &[&str]) -> Option<String> {
    let place = Place::new(LOAD);
    let set = settings.iter().flat_map(|setting| ["--set", setting]);
    let arguments: Vec<&str> = ["run", "w.toml"].into_iter().chain(set).collect();
    let ended = place.bench(&arguments);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        rows(&place.results().join("summary.csv")).iter().all(|row| cell(row, "valid") == "true")
    );
    let verdicts = fs::read_to_string(place.results().join("verdicts.csv")).unwrap();
    let (_, text) =
        verdicts.split_once("not to be quoted: its throughput, which follows from costs: ")?;
    assert!(ended.stdout.contains(" †"), "{}", ended.stdout);
    Some(text.split_once('"')?.0.to_owned())
}

#[test]
fn a_throughput_beyond_what_was_calibrated_is_marked() {
    assert_eq!(said(&[]), None, "three replicas, a dozen requests of 16 B");
    let larger = said(&["cluster.replicas=25"]).expect("25 replicas");
    assert!(larger.starts_with("25 replicas, calibrated were 3 to "), "{larger}");
    let value = said(&["commands.value_bytes=65536"]).expect("values of 64 KiB");
    assert!(value.starts_with("65536 B in a value, calibrated were 16 to "), "{value}");
    let many =
        said(&["load.clients_per_site=20000", "load.duration_s=0.05"]).expect("so many clients");
    assert!(many.contains(" requests under way, calibrated were "), "{many}");
    let joined = ["cluster.batch_commands=1000", "load.clients_per_site=700"];
    let joined = said(&joined).expect("a thousand commands joined into one");
    assert!(joined.contains(" operations per CPU-second of the busiest replica, "), "{joined}");
    let open = ["load.mode=open", "load.rate_ops_per_s=1000"];
    let open = said(&open).expect("a third of a request under way");
    assert!(open.contains(" requests under way, calibrated were 3 to "), "{open}");
}

#[test]
fn costs_by_hand_are_marked_and_none_at_all_are_not() {
    let by_hand = said(&["sim.cpu_us_per_message=3"]).expect("costs by hand");
    assert!(by_hand.starts_with("costs of its CPU were given by hand"), "{by_hand}");
    assert_eq!(said(&["sim.nic_mbit_per_s=1000"]), None, "the card is none of the CPU's");
    let free = ["sim.cpu_us_per_message=0", "sim.cpu_ns_per_byte=0"];
    assert_eq!(said(&free), None, "latencies are the network's, and there is no CPU");
    let loads = "sim.calibrated={ multi-paxos = { replicas = [3, 3], value_bytes = [16, 16], \
        requests_under_way = [3, 48], bytes_under_way_max = 768, operations_per_cpu_s_max = 1e6 } }";
    let other = said(&[loads]).expect("EPaxos is not among them");
    assert!(other.starts_with("no run of epaxos was calibrated"), "{other}");
}
