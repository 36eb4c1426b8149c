//! `load.clients`: as many clients however large the cluster is, and sites that have none.

use std::fs;

use crate::place::{Place, cell, names, rows};

/// Five clients in all.
const SIMULATED: &str = "\
    # Question: who asks?\n\
    name = \"clients\"\n\
    protocols = [\"multi-paxos\", \"epaxos\"]\n\
    repetitions = 1\n\
    [cluster]\n\
    driver = \"sim\"\n\
    replicas = [3, 5, 51]\n\
    [load]\n\
    clients = 5\n\
    warmup_s = 0.1\n\
    duration_s = 0.4\n\
    [commands]\n\
    conflict_rate = 0.1\n\
    write_ratio = 0.5\n";

/// The operations of each site by `latency.csv`, of the protocol and point of `row`.
fn operations_by_site(place: &Place, row: &[(String, String)]) -> Vec<u64> {
    rows(&place.results().join("latency.csv"))
        .iter()
        .filter(|of| {
            ["protocol", "point"].iter().all(|key| cell(of, key) == cell(row, key))
                && cell(of, "site") != "all"
                && cell(of, "operation") == "all"
        })
        .map(|of| cell(of, "count").parse().unwrap())
        .collect()
}

fn number(row: &[(String, String)], column: &str) -> f64 {
    cell(row, column).parse().unwrap_or_else(|_| panic!("{column}: {row:?}"))
}

#[test]
fn a_growing_cluster_has_as_many_clients_as_before() {
    let place = Place::new(SIMULATED);
    let ended = place.bench(&["run", "w.toml"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let summary = rows(&place.results().join("summary.csv"));
    assert_eq!(summary.len(), 3 * 2);
    for row in &summary {
        let replicas: usize = cell(row, "replicas").parse().unwrap();
        assert_eq!(cell(row, "clients"), "5");
        // Not as many at each site of 3 and of 51.
        let per_site = if replicas == 5 { "1" } else { "" };
        assert_eq!(cell(row, "clients_per_site"), per_site, "{row:?}");
        assert_eq!((cell(row, "replicas_agree"), cell(row, "linearizable")), ("true", "true"));
        let by_site = operations_by_site(&place, row);
        assert_eq!(by_site.len(), replicas);
        assert!(by_site.iter().take(5).all(|count| *count > 100), "{by_site:?}");
        assert!(by_site.iter().skip(5).all(|count| *count == 0), "{by_site:?}");
        // The closing reads were made at every replica, whoever lives there.
        let reads = number(row, "checked_reads");
        assert!(reads >= number(row, "replicas") * number(row, "checked_keys"), "{row:?}");
    }
    let heading = ended.stdout.lines().nth(1).unwrap();
    assert!(heading.contains(" · 5 clients · "), "{heading}");
    assert!(!ended.stdout.contains("clients per site"), "{}", ended.stdout);
    let plots = names(&place.results().join("plots"));
    assert!(plots.contains(&"throughput-vs-replicas.svg".to_owned()), "one panel: {plots:?}");
    assert!(plots.iter().all(|plot| !plot.contains("clients")), "{plots:?}");
    // What the model says of a replica that nobody asks.
    let model = rows(&place.results().join("load-model.csv"));
    let unasked = model.iter().find(|row| {
        (cell(row, "protocol"), cell(row, "replicas"), cell(row, "replica"))
            == ("epaxos", "51", "50")
    });
    assert_eq!(number(unasked.unwrap(), "client_messages_per_op"), 0.0);
}

#[test]
fn an_open_loop_offers_its_whole_rate_from_the_sites_that_have_clients() {
    let place = Place::new(SIMULATED);
    let set = [
        "load.clients=[2, 4, 7]",
        "cluster.replicas=5",
        "load.mode=open",
        "load.arrival=constant",
        "load.rate_ops_per_s=5000",
        "load.duration_s=0.5",
    ];
    let set = set.iter().flat_map(|set| ["--set", *set]);
    let ended = place.bench(&["run", "w.toml"].into_iter().chain(set).collect::<Vec<_>>());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let summary = rows(&place.results().join("summary.csv"));
    assert_eq!(summary.len(), 3 * 2);
    for row in &summary {
        let offered = number(row, "offered_ops_per_s");
        assert!((offered / 5000.0 - 1.0).abs() < 1e-3, "{row:?}");
        let clients: usize = cell(row, "clients").parse().unwrap();
        assert_eq!(cell(row, "point"), format!("clients={clients}"));
        let by_site = operations_by_site(&place, row);
        for (site, count) in by_site.iter().enumerate() {
            let here = clients / 5 + usize::from(site < clients % 5);
            let expected = 2500.0 * here as f64 / clients as f64;
            assert!((*count as f64 - expected).abs() <= 5.0, "{site}: {by_site:?}");
        }
    }
    assert!(ended.stdout.contains("\n2 clients\n"), "{}", ended.stdout);
    let plots = names(&place.results().join("plots"));
    assert!(plots.contains(&"latency-throughput-by-clients.svg".to_owned()), "{plots:?}");
}

/// A killed replica, and a site without clients whose silence says nothing.
#[test]
fn a_site_without_clients_is_in_no_gap_and_in_no_formula() {
    let text =
        SIMULATED.replace("replicas = [3, 5, 51]", "replicas = 3\ndurability = \"buffered\"");
    let text =
        text.replace("clients = 5", "clients = 2").replace("duration_s = 0.4", "duration_s = 3");
    let faults = "[[faults]]\nat_s = 0.5\nkill = 2\n[[faults]]\nat_s = 1\nrestart = 2\n";
    let place = Place::new(&format!("{text}{faults}"));
    let ended = place.bench(&["run", "w.toml"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let gaps = fs::read_to_string(place.results().join("gaps.csv")).unwrap();
    assert!(gaps.contains(",reply,1,") && !gaps.contains(",reply,2,"), "{gaps}");
    let costs = "[sim]\ncpu_us_per_message = 0\ncpu_ns_per_byte = 0\n";
    let sites = "[network.topology]\nsource = \"invented\"\nsites = [\"A\", \"B\", \"C\"]\n\
        jitter_ms = 0\n\
        round_trip_ms = { A-B = 4, A-C = 10, B-C = 12 }\n";
    let between = Place::new(&format!("{text}{costs}{sites}"));
    let ended = between.bench(&["run", "w.toml"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let formulas = rows(&between.results().join("formulas.csv"));
    assert_eq!(formulas.len(), 2 * 3);
    for row in formulas {
        let (note, commits) = (cell(&row, "note"), number(&row, "commits"));
        match cell(&row, "site") {
            "C" => assert_eq!((note, commits), ("there are no clients", 0.0), "{row:?}"),
            _ => assert!(note != "there are no clients" && commits > 100.0, "{row:?}"),
        }
    }
}

/// Real processes, on the loopback and between emulated sites, where each site has links of its
/// own.
#[test]
fn real_replicas_at_sites_without_clients_are_read_back_too() {
    let real = "name = \"real\"\nprotocols = [\"multi-paxos\", \"epaxos\"]\nrepetitions = 1\n\
        load = { clients = 2, warmup_s = 0.1, duration_s = 0.4 }\ncommands.conflict_rate = 0.5\n";
    let sites = "[network.topology]\nsource = \"invented\"\nsites = [\"A\", \"B\", \"C\"]\n\
        round_trip_ms = { A-B = 1, A-C = 2, B-C = 2 }\n";
    for text in [real.to_owned(), format!("{real}{sites}")] {
        let place = Place::new(&text);
        let ended = place.bench(&["run", "w.toml"]);
        // A busy host does not emulate a network well, and says so.
        assert!(matches!(ended.code, Some(0 | 3)), "{ended:?}");
        for row in rows(&place.results().join("summary.csv")) {
            assert_eq!((cell(&row, "clients"), cell(&row, "clients_per_site")), ("2", ""));
            assert_eq!(
                (cell(&row, "replicas_agree"), cell(&row, "linearizable")),
                ("true", "true")
            );
            let by_site = operations_by_site(&place, &row);
            assert!(by_site[0] > 0 && by_site[1] > 0 && by_site[2] == 0, "{by_site:?}");
            assert!(number(&row, "checked_reads") >= 3.0 * number(&row, "checked_keys"), "{row:?}");
        }
    }
}

#[test]
fn both_numbers_of_clients_are_refused() {
    let place = Place::new(SIMULATED);
    let ended = place.bench(&["run", "w.toml", "--set", "load.clients_per_site=3"]);
    let expected =
        "w.toml: load.clients = 5: goes without load.clients_per_site: remove one of them\n";
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert_eq!(ended.stderr, format!("bench: {expected}"));
}
