//! Load, a short fault, and whether throughput is back: what is measured, told, drawn, and how the
//! program ends.

use std::fs;

use crate::place::{Ended, Place, cell, names, rows};

/// A few clients in a loop, with replicas whose work takes time; the faults come behind.
const LOOP: &str = "\
    # Question: is it back?\n\
    name = \"back\"\n\
    protocols = [\"multi-paxos\", \"epaxos\"]\n\
    repetitions = 1\n\
    [cluster]\n\
    driver = \"sim\"\n\
    durability = \"buffered\"\n\
    [load]\n\
    clients_per_site = 4\n\
    warmup_s = 0.2\n\
    [sim]\n\
    cpu_us_per_message = 200\n\
    [returns]\n\
    within_s = 2\n";

fn run(faults: &str, more: &[&str]) -> (Place, Ended) {
    let place = Place::new(&format!("{LOOP}{faults}"));
    let ended = place.bench(&[&["run", "w.toml"], more].concat());
    (place, ended)
}

#[test]
fn after_every_kind_of_fault_each_site_is_back_and_it_is_all_written_down() {
    let faults = "\
        [[faults]]\nat_s = 1\npause = 1\n[[faults]]\nat_s = 1.5\nresume = 1\n\
        [[faults]]\nat_s = 4.5\npartition = [[1]]\n[[faults]]\nat_s = 5\nheal = true\n\
        [[faults]]\nat_s = 8\nslow = { replica = 1, factor = 4 }\n\
        [[faults]]\nat_s = 8.5\nslow = { replica = 1, factor = 1 }\n\
        [[faults]]\nat_s = 11.5\nkill = 1\n[[faults]]\nat_s = 12\nrestart = 1\n";
    let sizes = ["--set", "cluster.replicas=[3,5]", "--set", "load.duration_s=15"];
    let (place, ended) = run(faults, &sizes);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("back in time after every fault"), "{ended:?}");
    assert!(ended.stdout.contains("EPaxos, 5 replicas: kill r1: back "), "{ended:?}");
    let results = place.results();
    let returns = rows(&results.join("returns.csv"));
    // Of four faults all sites together and each of them, for two protocols.
    assert_eq!(returns.len(), 4 * 2 * (4 + 6));
    for row in &returns {
        let number = |column| cell(row, column).parse::<f64>().unwrap();
        assert_eq!(cell(row, "kept"), "true", "{row:?}");
        assert!(number("returned_s") <= 2.0 && number("share_at_bound") >= 0.9, "{row:?}");
        assert!(number("lowest_ops_per_s") <= number("before_ops_per_s"), "{row:?}");
    }
    let struck = returns.iter().find(|row| cell(row, "site") == "1").unwrap();
    assert_eq!((cell(struck, "fault"), cell(struck, "to_s")), ("pause r1", "1.5"));
    let plots = names(&results.join("plots"));
    for plot in ["returns-epaxos.svg", "returns-multi-paxos.png"] {
        assert!(plots.iter().any(|name| name == plot), "{plots:?}");
    }
}

/// The pause ends, and the replica stays slow: its site is not back. The figures stand, and the
/// promise is missed.
#[test]
fn a_site_that_is_not_back_is_named_and_the_program_ends_with_it() {
    let faults = "\
        [[faults]]\nat_s = 1\npause = 1\n\
        [[faults]]\nat_s = 1.2\nslow = { replica = 1, factor = 20 }\n\
        [[faults]]\nat_s = 1.5\nresume = 1\n";
    let (place, ended) = run(faults, &["--set", "load.duration_s=5"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let said = ended.stdout.replace("\n    ", " ");
    assert!(said.contains("2 of 2 runs valid"), "the figures stand: {said}");
    assert!(said.contains("EPaxos: pause r1: site 1 NOT BACK at 90 % within 2 s: "), "{said}");
    assert!(said.contains("missed: site 1 is back at "), "{said}");
    let results = place.results();
    let verdicts = fs::read_to_string(results.join("verdicts.csv")).unwrap();
    assert!(verdicts.contains(",missed,\"site 1 is back at "), "{verdicts}");
    let returns = rows(&results.join("returns.csv"));
    assert!(returns.iter().all(|row| cell(row, "fault") == "pause r1"), "the other does not end");
    let missed: Vec<&str> = (returns.iter())
        .filter(|row| cell(row, "kept") == "false" && cell(row, "site") != "all")
        .map(|row| cell(row, "site"))
        .collect();
    assert_eq!(missed, ["1", "1"], "of each protocol");
    let (_place, json) = run(faults, &["--set", "load.duration_s=5", "--format", "json"]);
    assert_eq!(json.code, Some(3), "{json:?}");
    assert!(json.stdout.contains("\"severity\": \"missed\""), "{json:?}");
}

/// Real replicas: whether they are in time is the machine's affair, too.
#[test]
fn real_replicas_are_measured_alike() {
    let faults = "\
        [[faults]]\nat_s = 1\nkill = \"leader\"\n[[faults]]\nat_s = 1.3\nrestart = \"random\"\n";
    let open = ["--set", "load.mode=open", "--set", "load.rate_ops_per_s=300"];
    let short = ["--driver", "quic", "--set", "load.duration_s=5"];
    let (place, ended) = run(faults, &[&open[..], &short].concat());
    assert!(matches!(ended.code, Some(0 | 3)), "{ended:?}");
    assert!(ended.stdout.contains("Throughput back after each fault"), "{ended:?}");
    let returns = rows(&place.results().join("returns.csv"));
    assert_eq!(returns.len(), 2 * 4, "all sites together and each of them");
    for row in &returns {
        assert!(cell(row, "fault").starts_with("kill r"), "{row:?}");
        let [before, from_s, to_s] = ["before_ops_per_s", "from_s", "to_s"]
            .map(|column| cell(row, column).parse::<f64>().unwrap());
        assert!(before > 0.0 && from_s >= 1.0 && to_s > from_s, "{row:?}");
    }
}
