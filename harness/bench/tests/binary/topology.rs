//! `bench topology`: what a matrix of sites promises, as text, as JSON, and what is refused.

use std::path::Path;

use serde_json::Value;

use crate::place::{Ended, Place, TINY};

fn of_repository(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.join(path).to_str().unwrap().to_owned()
}

const FIVE: &str = "\
ec2-2013: promised by round trips alone; nothing was run
Source: Moraru, Andersen, Kaminsky: There Is More Consensus in Egalitarian Parliaments, SOSP'13,
section 7; three pairs inferred
Commit latency in ms where service takes no time and nothing fails, for clients at each
replica's site, as many at each.

5 replicas; a majority is 3, EPaxos' fast quorum 3 (optimized) or 4 (simple)

         EPaxos fast  slow at most    fast  slow at most        Paxos  Multi-Paxos
  site     optimized     optimized  simple        simple  uncontended    leader OR
  VA            85.0         170.0    90.0         175.0        170.0        164.0
  CA            85.0         170.0   118.0         203.0        170.0        103.0
  EU           150.0         300.0   156.0         306.0        300.0        232.0
  OR            82.0         164.0   127.0         209.0        164.0         82.0
  JP           127.0         254.0   165.0         292.0        254.0        209.0
  mean         105.8         211.6   131.2         237.0        211.6        158.0
  worst        150.0         300.0   165.0         306.0        300.0        232.0

Multi-Paxos, by leader (m: best by mean; w: best by its worst site; l: the workload's)

                    l            mw
  site      VA     CA     EU     OR     JP
  VA      85.0  170.0  240.0  164.0  292.0
  CA     170.0   85.0  306.0  103.0  245.0
  EU     175.0  241.0  150.0  232.0  405.0
  OR     167.0  106.0  300.0   82.0  254.0
  JP     250.0  203.0  428.0  209.0  127.0
  mean   169.4  161.0  284.8  158.0  264.6
  worst  250.0  241.0  428.0  232.0  405.0

Without conflicts EPaxos takes 105.8 ms on average where Multi-Paxos under its best leader, OR,
takes 158.0: 52.2 ms (33 %) less; it is faster at VA, CA, EU, JP, slower nowhere. Where every
command takes the slow path it takes 211.6 ms at most: 53.6 ms (34 %) more.
";

#[test]
fn a_workloads_matrix_with_its_leader() {
    let place = Place::new(TINY);
    let Ended { code, stdout, stderr } =
        place.bench(&["topology", &of_repository("workloads/wan5.toml")]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert_eq!(stdout, FIVE);
    assert_eq!(place.names(), ["w.toml"], "nothing is written");
}

/// The table of "What latency to expect" in the notes on the protocols: fast, slow, Multi-Paxos under California.
#[test]
fn the_figures_for_programs_are_the_same() {
    let place = Place::new(TINY);
    let file = of_repository("workloads/topologies/ec2-2013.toml");
    let Ended { code, stdout, .. } = place.bench(&["topology", &file, "--format", "json"]);
    assert_eq!(code, Some(0));
    let document: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(document["basis"], "promised by round trips alone; nothing was run");
    assert_eq!(document["clusters"].as_array().unwrap().len(), 2, "3 and 5");
    let five = &document["clusters"][1];
    assert_eq!(five["sites"], serde_json::json!(["VA", "CA", "EU", "OR", "JP"]));
    let by_site = |promise: &Value| promise["by_site"].to_string();
    assert_eq!(by_site(&five["epaxos_fast_optimized_ms"]), "[85.0,85.0,150.0,82.0,127.0]");
    assert_eq!(by_site(&five["epaxos_slow_optimized_ms_max"]), "[170.0,170.0,300.0,164.0,254.0]");
    assert_eq!(by_site(&five["epaxos_fast_simple_ms"]), "[90.0,118.0,156.0,127.0,165.0]");
    let under_ca = &five["multi_paxos_ms_by_leader"]["CA"];
    assert_eq!(by_site(under_ca), "[170.0,85.0,241.0,106.0,203.0]");
    assert_eq!(under_ca["worst_site"], "EU");
    assert_eq!(five["best_leader_by_mean"], "OR");
}

#[test]
fn the_sizes_shown_are_those_asked_for_or_the_usual_ones() {
    let place = Place::new(TINY);
    let sizes = |name: &str, more: &[&str]| {
        let file = of_repository(&format!("workloads/topologies/{name}.toml"));
        let arguments = [&["topology", &file], more].concat();
        let Ended { code, stdout, stderr } = place.bench(&arguments);
        assert_eq!(code, Some(0), "{stderr}");
        let heads = stdout.lines().filter_map(|line| line.split_once(" replicas; a majority"));
        heads.map(|(replicas, _)| replicas.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(sizes("ec2-2020", &[]), ["3", "5", "11"]);
    assert_eq!(sizes("gcp-fantoch", &[]), ["3", "5"], "twenty is no odd number");
    assert_eq!(sizes("gcp-fantoch", &["-n", "19", "-n", "7"]), ["19", "7"]);
}

#[test]
fn what_is_no_matrix_is_refused() {
    let place = Place::new(TINY);
    let file = of_repository("workloads/topologies/ec2-2013.toml");
    let cases: [(&[&str], &str); 5] = [
        (&["topology", "moon"], "workloads/topologies/moon.toml: cannot be read (No such"),
        (&["topology", "w.toml"], "w.toml: network.topology: missing: name one, such as"),
        (&["topology", &file, "-n", "7"], "a cluster of 7: there are only 5 sites: use a smaller"),
        (&["topology", &file, "-n", "4"], "invalid value '4' for '--replicas <N>': must be odd"),
        (&["topology"], "required arguments were not provided: <MATRIX>"),
    ];
    for (arguments, expected) in cases {
        let Ended { code, stdout, stderr } = place.bench(arguments);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
    }
}
