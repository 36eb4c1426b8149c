//! The keys that a workload file may hold, and what to say about any other.

use std::borrow::Cow;

use protocols::{options::InFiles, registry};
use toml::{Table, Value};

use crate::{
    document::{Document, Origin},
    error::LoadError,
};

/// Every key outside `[[faults]]` that is no protocol's own, dotted, in the order of the format's
/// description.
const SHARED: &[&str] = &[
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
    "cluster.memory_mib",
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
    "commands.append_ratio",
    "commands.delete_ratio",
    "commands.cas_ratio",
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
    "returns.within_s",
    "returns.share",
    "faults",
];

/// The protocols' own options come behind this section.
const BEFORE_OWN: &str = "cluster.";

/// Every key outside `[[faults]]`, dotted, in the order of the format's description.
pub(crate) fn keys() -> Vec<Cow<'static, str>> {
    let shared = |keys: &'static [&'static str]| keys.iter().map(|key| Cow::Borrowed(*key));
    let own = registry::all().into_iter().flat_map(|protocol| {
        let options = protocol.facts().options.iter();
        let given = options.filter(|option| option.files != InFiles::Absent);
        given.map(move |option| Cow::Owned(format!("{protocol}.{}", option.key)))
    });
    let split = SHARED.iter().rposition(|key| key.starts_with(BEFORE_OWN)).map_or(0, |at| at + 1);
    let (before, after) = SHARED.split_at(split);
    shared(before).chain(own).chain(shared(after)).collect()
}

/// Is it a key outside `[[faults]]`?
pub(crate) fn is_known(key: &str) -> bool {
    keys().iter().any(|known| known == key)
}

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
        if is_known(key) {
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
            if !is_known(&dotted) {
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
    let (keys, sections) = (keys(), sections());
    let candidates = if is_table {
        nearest(key, sections.iter().map(String::as_str))
    } else {
        nearest(key, keys.iter().map(AsRef::as_ref))
    };
    if let Some(known) = candidates {
        return format!("did you mean {known}?");
    }
    match key.split_once('.') {
        Some((section, _)) if is_section(section) => {
            let inside = keys.iter().filter_map(|known| known.split_once('.'));
            let inside = inside.filter(|(of, _)| *of == section).map(|(_, last)| last);
            format!("[{section}] takes {}", inside.collect::<Vec<_>>().join(", "))
        }
        _ => {
            let tops = keys.iter().map(AsRef::as_ref).filter(|key: &&str| !key.contains('.'));
            let tops: Vec<&str> = tops.collect();
            let sections: Vec<_> = sections.iter().map(|of| format!("[{of}]")).collect();
            format!("a workload takes {} and {}", tops.join(", "), sections.join(", "))
        }
    }
}

fn sections() -> Vec<String> {
    let keys = keys();
    let of_keys = keys.iter().filter_map(|key| key.split_once('.').map(|(section, _)| section));
    let mut sections: Vec<String> = of_keys.map(str::to_owned).collect();
    sections.dedup();
    sections
}

fn is_section(key: &str) -> bool {
    sections().iter().any(|section| section == key)
}

/// The candidate that `key` was probably meant to be: its last part spelt almost the same, preferably in the same
/// section.
fn nearest<'a>(key: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
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
        let keys = keys();
        let nearest = |key: &str| nearest(key, keys.iter().map(AsRef::as_ref));
        assert_eq!(nearest("window"), Some("load.window"));
        assert_eq!(nearest("commands.replica"), Some("cluster.replicas"));
        assert_eq!(nearest("colour"), None);
    }

    /// Every key refuses a date, naming itself: none is known and then not read.
    #[test]
    fn every_known_key_is_looked_at() {
        for key in keys() {
            let given = Override::parse(&format!("{key}=2013-11-03")).unwrap();
            let error = Workload::parse("x.toml", "name = \"x\"", &[given]).expect_err(&key);
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
