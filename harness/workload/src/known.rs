//! The keys that a workload file may hold, and what to say about any other.

use toml::{Table, Value};

use crate::{
    document::{Document, Origin},
    error::LoadError,
};

/// Every key outside `[[faults]]`, dotted, in the order of the format's description.
pub(crate) const KEYS: &[&str] = &[
    "name",
    "protocols",
    "repetitions",
    "seed",
    "cluster.driver",
    "cluster.replicas",
    "cluster.durability",
    "cluster.leader",
    "cluster.batch_commands",
    "cluster.batch_delay_us",
    "epaxos.variant",
    "epaxos.fast_quorum",
    "load.mode",
    "load.clients",
    "load.clients_per_site",
    "load.window",
    "load.rate_ops_per_s",
    "load.p99_ms_max",
    "load.rate_start_ops_per_s",
    "load.arrival",
    "load.routing",
    "load.warmup_s",
    "load.duration_s",
    "commands.keys",
    "commands.conflict_rate",
    "commands.key_count",
    "commands.theta",
    "commands.write_ratio",
    "commands.value_bytes",
    "timeouts.retransmit_ms",
    "timeouts.election_ms",
    "timeouts.recovery_ms",
    "timeouts.client_ms",
    "network.topology",
    "network.jitter_ms",
    "sim.calibration",
    "sim.cpu_us_per_wakeup",
    "sim.cpu_us_per_message",
    "sim.cpu_ns_per_byte",
    "sim.cpu_us_per_command",
    "sim.cpu_us_per_ordering_step",
    "sim.nic_mbit_per_s",
    "sim.calibrated",
    "faults",
];

/// Every key of a `[[faults]]` entry.
pub(crate) const FAULT_KEYS: &[&str] = &[
    "at_s",
    "every_s",
    "kill",
    "restart",
    "pause",
    "resume",
    "partition",
    "heal",
    "slow",
    "loss_rate",
    "duplicate_rate",
    "delay_ms",
    "jitter_ms",
    "reorder_rate",
    "bandwidth_mbit_per_s",
    "from",
    "to",
    "layer",
];

/// Refuses the first key of `document` that is not known, and a section that is no table.
pub(crate) fn refuse_unknown(document: &Document) -> Result<(), LoadError> {
    for (key, value) in &document.table {
        if KEYS.contains(&key.as_str()) {
            continue;
        }
        if !is_section(key) {
            return Err(unknown(&document.origin, key, value));
        }
        let Value::Table(section) = value else {
            return Err(document.error(key, format!("must be a table: write [{key}]")));
        };
        for (inner, value) in section {
            let dotted = format!("{key}.{inner}");
            if !KEYS.contains(&dotted.as_str()) {
                return Err(unknown(&document.origin, &dotted, value));
            }
        }
    }
    Ok(())
}

/// Refuses the first key of an inner table, say one fault, that is not among `allowed`. `path` is the table's dotted key,
/// empty for the table of a whole file.
pub(crate) fn refuse_unknown_in(
    origin: &Origin,
    path: &str,
    table: &Table,
    allowed: &[&'static str],
) -> Result<(), LoadError> {
    let Some((key, value)) = table.iter().find(|(key, _)| !allowed.contains(&key.as_str())) else {
        return Ok(());
    };
    let dotted = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
    let remedy = nearest(key, allowed.iter().copied()).map_or_else(
        || format!("unknown key: use {}", allowed.join(", ")),
        |known| format!("unknown key: did you mean {known}?"),
    );
    Err(origin.error(&dotted, Some(value), remedy))
}

/// The error for a dotted key that is not known.
pub(crate) fn unknown(origin: &Origin, key: &str, value: &Value) -> LoadError {
    // A whole section is named, not shown.
    let shown = (!value.is_table()).then_some(value);
    origin.error(key, shown, format!("unknown key: {}", advice(key, value.is_table())))
}

fn advice(key: &str, is_table: bool) -> String {
    let candidates: Vec<&'static str> = if is_table { sections().collect() } else { KEYS.to_vec() };
    if let Some(known) = nearest(key, candidates.into_iter()) {
        return format!("did you mean {known}?");
    }
    match key.split_once('.') {
        Some((section, _)) if is_section(section) => {
            let inside =
                |known: &&'static str| known.split_once('.').map(|(s, _)| s) == Some(section);
            let last = |known: &&'static str| known.split_once('.').map_or(*known, |(_, k)| k);
            let keys: Vec<_> = KEYS.iter().filter(|k| inside(k)).map(last).collect();
            format!("[{section}] takes {}", keys.join(", "))
        }
        _ => {
            let tops: Vec<_> = KEYS.iter().copied().filter(|k| !k.contains('.')).collect();
            let sections: Vec<_> = sections().map(|section| format!("[{section}]")).collect();
            format!("a workload takes {} and {}", tops.join(", "), sections.join(", "))
        }
    }
}

fn sections() -> impl Iterator<Item = &'static str> {
    let mut last = "";
    KEYS.iter().filter_map(|key| key.split_once('.').map(|(section, _)| section)).filter(
        move |section| {
            let new = *section != last;
            last = section;
            new
        },
    )
}

fn is_section(key: &str) -> bool {
    sections().any(|section| section == key)
}

/// The candidate that `key` was probably meant to be: its last part spelt almost the same, preferably in the same
/// section.
fn nearest(key: &str, candidates: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let parts = |dotted: &str| -> (String, String) {
        let (section, last) = dotted.rsplit_once('.').unwrap_or(("", dotted));
        (section.to_owned(), last.to_owned())
    };
    let (section, last) = parts(key);
    let typing_errors_max = (last.chars().count() / 3).clamp(1, 3);
    candidates
        .filter_map(|candidate| {
            let (its_section, its_last) = parts(candidate);
            let typing_errors = edit_distance(&last, &its_last);
            let elsewhere = edit_distance(&section, &its_section);
            (typing_errors <= typing_errors_max).then_some((typing_errors, elsewhere, candidate))
        })
        .min()
        .map(|(_, _, candidate)| candidate)
}

/// Levenshtein's distance: insertions, deletions and replacements of a character.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Override, Workload};

    #[test]
    fn edit_distance_counts_single_changes() {
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("window", "window"), 0);
    }

    #[test]
    fn a_key_in_the_wrong_section_is_found() {
        assert_eq!(nearest("window", KEYS.iter().copied()), Some("load.window"));
        assert_eq!(nearest("commands.replica", KEYS.iter().copied()), Some("cluster.replicas"));
        assert_eq!(nearest("colour", KEYS.iter().copied()), None);
    }

    /// Every key refuses a date, naming itself: none is known and then not read.
    #[test]
    fn every_known_key_is_looked_at() {
        for key in KEYS {
            let given = Override::parse(&format!("{key}=2013-11-03")).unwrap();
            let error = Workload::parse("x.toml", "name = \"x\"", &[given]).expect_err(key);
            let expected = format!("--set: {key} = 2013-11-03: must be ");
            assert!(error.to_string().starts_with(&expected), "{error}");
        }
    }

    /// The same for a fault's keys, of which only the first wrong one is reported.
    #[test]
    fn every_known_key_of_a_fault_is_looked_at() {
        for key in FAULT_KEYS {
            let rest = match *key {
                "at_s" => "",
                "loss_rate"
                | "duplicate_rate"
                | "delay_ms"
                | "jitter_ms"
                | "reorder_rate"
                | "bandwidth_mbit_per_s" => "at_s = 1, layer = \"packet\",",
                "from" | "to" => "at_s = 1, loss_rate = 0, layer = \"packet\",",
                "layer" => "at_s = 1, loss_rate = 0,",
                _ => "at_s = 1,",
            };
            let text = format!("name = \"x\"\nfaults = [{{ {rest} {key} = 2013-11-03 }}]");
            let error = Workload::parse("x.toml", &text, &[]).expect_err(key).to_string();
            let expected = format!("x.toml: faults[0].{key} = 2013-11-03: must be ");
            assert!(error.starts_with(&expected), "{error}");
        }
    }
}
