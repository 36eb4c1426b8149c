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

/// Costs, and the loads on which somebody measured them.
const CALIBRATION: &str = "\
    [sim]\n\
    cpu_us_per_wakeup = 20\n\
    cpu_us_per_message = 0.1\n\
    cpu_ns_per_byte = 1\n\
    cpu_us_per_command = 0.3\n\
    cpu_us_per_ordering_step = 0.2\n\
    [sim.calibrated.epaxos]\n\
    replicas = [3, 9]\n\
    value_bytes = [16, 16384]\n\
    requests_under_way = [3, 2304]\n\
    bytes_under_way_max = 6000000\n\
    operations_per_cpu_s_max = 700000\n";

/// What is said of the throughput of a run with these settings; the run stays valid.
fn said(settings: &[&str]) -> Option<String> {
    let place = Place::new(LOAD);
    fs::write(place.path().join("costs.toml"), CALIBRATION).unwrap();
    let set = settings.iter().flat_map(|setting| ["--set", setting]);
    let arguments: Vec<&str> = ["run", "w.toml"].into_iter().chain(set).collect();
    let ended = place.bench(&arguments);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let summary = rows(&place.results().join("summary.csv"));
    assert!(summary.iter().all(|row| cell(row, "valid") == "true"), "{summary:?}");
    let verdicts = fs::read_to_string(place.results().join("verdicts.csv")).unwrap();
    let said = "not to be quoted: its throughput, which follows from costs: ";
    let Some((_, text)) = verdicts.split_once(said) else {
        assert!(!ended.stdout.contains('†'), "{}", ended.stdout);
        return None;
    };
    assert!(ended.stdout.contains(" †"), "{}", ended.stdout);
    Some(text.split_once('"').expect("a quoted cell").0.to_owned())
}

#[test]
fn a_throughput_beyond_what_was_calibrated_is_marked() {
    let with_costs =
        |settings: &[&str]| said(&[&["sim.calibration=costs.toml"], settings].concat());
    assert_eq!(with_costs(&[]), None, "three replicas, a dozen requests of 16 B");
    let larger = with_costs(&["cluster.replicas=25"]).expect("25 replicas");
    assert_eq!(larger, "25 replicas, calibrated were 3 to 9");
    let value = with_costs(&["commands.value_bytes=65536"]).expect("values of 64 KiB");
    assert_eq!(value, "65536 B in a value, calibrated were 16 to 16384");
    let many = ["load.clients_per_site=2000", "load.duration_s=0.05"];
    let many = with_costs(&many).expect("so many clients");
    assert!(many.ends_with(" requests under way, calibrated were 3 to 2304"), "{many}");
    let joined = ["cluster.batch_commands=1000", "load.clients_per_site=700"];
    let joined = with_costs(&joined).expect("up to a thousand commands joined into one");
    assert!(joined.contains(" operations per CPU-second of the busiest replica, "), "{joined}");
    let open = ["load.mode=open", "load.rate_ops_per_s=1500"];
    let open = with_costs(&open).expect("less than one request under way");
    assert!(open.ends_with(" requests under way, calibrated were 3 to 2304"), "{open}");
}

#[test]
fn costs_by_hand_are_marked_and_none_at_all_are_not() {
    let by_hand = said(&["sim.cpu_us_per_message=3"]).expect("costs by hand");
    assert!(by_hand.starts_with("costs of its CPU were given by hand"), "{by_hand}");
    let card = ["sim.calibration=costs.toml", "sim.nic_mbit_per_s=1000"];
    assert_eq!(said(&card), None, "the card is none of the CPU's");
    let changed = ["sim.calibration=costs.toml", "sim.cpu_us_per_command=2"];
    let changed = said(&changed).expect("one cost is not as it was measured");
    assert!(changed.starts_with("costs of its CPU were given by hand"), "{changed}");
    let free = ["sim.cpu_us_per_message=0", "sim.cpu_ns_per_byte=0"];
    assert_eq!(said(&free), None, "latencies are the network's, and there is no CPU");
    let loads = "sim.calibrated={ multi-paxos = { replicas = [3, 3], value_bytes = [16, 16], \
        requests_under_way = [3, 48], bytes_under_way_max = 768, operations_per_cpu_s_max = 1e6 } }";
    let other = said(&[loads]).expect("EPaxos is not among them");
    assert!(other.starts_with("no run of epaxos was calibrated"), "{other}");
}
