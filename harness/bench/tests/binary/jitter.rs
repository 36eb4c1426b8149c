//! Phase lock: without jitter the rounds of simulated sites meet in one interleaving for as long as
//! a run lasts, and the median execution, all commands conflicting, is that of this one. The jitter
//! that simulated sites have by default frees them.

use crate::place::{Place, cell, rows};

/// Five sites where service takes no time and every command conflicts with every other.
fn five(topology: &str) -> Place {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../workloads/topologies");
    Place::new(&format!(
        "name = \"five\"\nprotocols = [\"epaxos\"]\nrepetitions = 1\n\
         [cluster]\ndriver = \"sim\"\nreplicas = 5\n\
         [sim]\ncpu_us_per_message = 0\ncpu_ns_per_byte = 0\nnic_mbit_per_s = 0\n\
         [network]\ntopology = \"{folder}/{topology}.toml\"\n\
         [load]\nclients_per_site = 1\nwarmup_s = 5\nduration_s = 60\n\
         [commands]\nconflict_rate = 1.0\n"
    ))
}

/// The median execution at each site, in milliseconds.
fn medians(place: &Place, more: &[&str]) -> Vec<f64> {
    let ended = place.bench(&[&["run", "w.toml", "--quiet"], more].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let replicas = rows(&place.results().join("replicas.csv"));
    assert_eq!(replicas.len(), 5);
    let ms = |row: &Vec<_>| cell(row, "execute_us_p50").parse::<f64>().unwrap() / 1e3;
    replicas.iter().map(ms).collect()
}

/// How much the largest is above the smallest, as a share of it.
fn spread(medians: &[f64]) -> f64 {
    let least = medians.iter().copied().fold(f64::INFINITY, f64::min);
    let most = medians.iter().copied().fold(0.0, f64::max);
    most / least - 1.0
}

#[test]
fn sites_that_are_locked_without_jitter_are_free_with_that_of_simulated_sites() {
    let place = five("gcp-fantoch");
    let locked = medians(&place, &["--set", "network.jitter_ms=0"]);
    assert!(spread(&locked) > 0.2, "{locked:?}");
    // With 0.1 to 2 ms it is 252 to 257 ms at every site, at every seed of eight.
    for seed in ["1", "2", "3"] {
        let free = medians(&place, &["--seed", seed]);
        assert!(free.iter().all(|ms| (250.0..258.0).contains(ms)), "{free:?}");
    }
}

#[test]
fn medians_of_simulated_sites_hardly_depend_on_the_seed() {
    let place = five("ec2-2013");
    // With 1 ms it is 312 to 318 ms, of real replicas 312 to 316 ms.
    for seed in ["1", "2", "3", "4"] {
        let free = medians(&place, &["--seed", seed]);
        let truth = 314.0;
        assert!(free.iter().all(|ms| (ms / truth - 1.0).abs() < 0.04), "{free:?}");
    }
}
