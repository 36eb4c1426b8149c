//! Topologies: the table itself, and the file that a name or a path stands for. [`crate::topology`] describes the format.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use toml::{Table, Value};

use super::{not_toml, question};
use crate::{
    document::{Document, Origin},
    error::LoadError,
    kind::{mismatch, name, number},
    known::refuse_unknown_in,
    topology::{Lack, Topology},
};

/// Where the named ones are, beside the workload files.
pub(super) const FOLDER: &str = "topologies";
/// Where the workload files are, for workloads that are elsewhere.
pub(super) const WORKLOADS: &str = "workloads";
/// chosen: a minute; the longest round trip on the ground is a third of a second.
const MS_MAX: f64 = 60_000.0;
pub(super) const KEYS: &[&str] =
    &["source", "sites", "jitter_ms", "round_trip_ms", "one_way_ms", "pair_jitter_ms"];
/// A table in a workload file has no file name to go by.
const INLINE_KEYS: &[&str] =
    &["name", "source", "sites", "jitter_ms", "round_trip_ms", "one_way_ms", "pair_jitter_ms"];
const KEY: &str = "network.topology";
const JITTER_KEY: &str = "network.jitter_ms";

/// A topology's file.
#[derive(Clone, Debug, PartialEq)]
pub struct TopologyFile {
    /// The first paragraph of the comment that it opens with; none if it opens with no comment.
    pub description: Option<String>,
    /// What it holds.
    pub topology: Topology,
}

impl Topology {
    /// Reads and validates a topology's file.
    ///
    /// # Errors
    /// The first thing that is wrong, as one line.
    pub fn load(path: &Path) -> Result<TopologyFile, LoadError> {
        let file = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|error| {
            let remedy = format!("cannot be read ({error}): `bench list` names the topologies");
            LoadError::of_file(&file, remedy)
        })?;
        read(path, &text, |_| 0.0).map(|(read, _)| read)
    }
}

/// The jitter of a topology that says none, in milliseconds.
type Jitter = fn(&Topology) -> f64;

/// What `network.topology` of a workload file stands for, with the jitter that `network.jitter_ms`
/// says; `jitter` where neither says any. A cluster of any of `replicas` must find its place.
pub(super) fn of_workload(
    document: &Document,
    replicas: &[usize],
    jitter: Jitter,
) -> Result<Topology, LoadError> {
    let given_jitter_ms = document.one(JITTER_KEY, milliseconds)?;
    let Some(value) = document.value(KEY) else {
        return Err(document.error(KEY, "missing: name one, or remove [network]"));
    };
    let (mut topology, place) = match value {
        Value::Table(table) if table.is_empty() => {
            return Err(document.error(KEY, "must not be empty"));
        }
        Value::Table(table) => {
            let place = Place { origin: document.origin.clone(), path: KEY.to_owned() };
            (place.topology(table, INLINE_KEYS, None, jitter)?, place)
        }
        Value::String(text) => {
            let path = find(document, text)?;
            let text = fs::read_to_string(&path).map_err(|error| {
                let remedy = format!("{} cannot be read ({error})", path.display());
                document.error(KEY, remedy)
            })?;
            let (file, place) = read(&path, &text, jitter)?;
            (file.topology, place)
        }
        other => {
            return Err(document.error(KEY, mismatch("a topology's name or a table", other)));
        }
    };
    replicas.iter().try_for_each(|replicas| place.holds(&topology, *replicas))?;
    if let Some(jitter_ms) = given_jitter_ms {
        topology.jitter_ms = jitter_ms;
        topology.pair_jitter_ms.clear();
    }
    Ok(topology)
}

/// The file that `text` names: a path if it ends in .toml, else a name. Paths start at the workload file.
fn find(document: &Document, text: &str) -> Result<PathBuf, LoadError> {
    let beside = Path::new(&document.origin.file).parent().unwrap_or(Path::new(""));
    if text.ends_with(".toml") {
        return Ok(beside.join(text));
    }
    let value = Value::String(text.to_owned());
    name(&value).map_err(|remedy| {
        document.error(KEY, format!("{remedy}; a file of your own ends in .toml"))
    })?;
    let file = format!("{text}.toml");
    let places = [beside.join(FOLDER).join(&file), Path::new(WORKLOADS).join(FOLDER).join(&file)];
    places.iter().find(|path| path.is_file()).cloned().ok_or_else(|| {
        let remedy = format!(
            "there is no {}: `bench list` names the topologies, a file of your own ends in .toml",
            places[0].display()
        );
        document.error(KEY, remedy)
    })
}

/// What the file holds; `jitter` if it says none.
pub(super) fn read(
    path: &Path,
    text: &str,
    jitter: Jitter,
) -> Result<(TopologyFile, Place), LoadError> {
    let file = path.display().to_string();
    let table: Table = text.parse().map_err(|error| not_toml(&file, text, &error))?;
    let place = Place { origin: Origin { file, flags: Vec::new() }, path: String::new() };
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let topology = place.topology(&table, KEYS, stem, jitter)?;
    Ok((TopologyFile { description: question(text), topology }, place))
}

/// Where a topology stands, for errors.
pub(super) struct Place {
    origin: Origin,
    /// The dotted key of its table; empty if it is the whole file.
    path: String,
}

impl Place {
    fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn error(&self, key: &str, value: Option<&Value>, remedy: impl Into<String>) -> LoadError {
        self.origin.error(&self.key(key), value, remedy)
    }

    fn topology(
        &self,
        table: &Table,
        keys: &[&'static str],
        stem: Option<String>,
        jitter: Jitter,
    ) -> Result<Topology, LoadError> {
        refuse_unknown_in(&self.origin, &self.path, table, keys)?;
        let own_name = self.one(table, "name", name)?;
        let source = self.one(table, "source", sourced)?.ok_or_else(|| {
            let remedy = "missing: say where the numbers come from, if only source = \"invented\"";
            self.error("source", None, remedy)
        })?;
        let sites = self.one(table, "sites", site_names)?.ok_or_else(|| {
            self.error(
                "sites",
                None,
                "missing: name them, such as sites = [\"VA\", \"CA\", \"EU\"]",
            )
        })?;
        let given_jitter_ms = self.one(table, "jitter_ms", milliseconds)?;
        let mut topology = Topology {
            name: own_name.or(stem),
            source,
            jitter_ms: 0.0,
            round_trip_ms: self.pairs(table, "round_trip_ms", &sites, milliseconds)?,
            one_way_ms: self.pairs(table, "one_way_ms", &sites, both_ways)?,
            pair_jitter_ms: self.pairs(table, "pair_jitter_ms", &sites, milliseconds)?,
            sites,
        };
        self.refuse_twice(table, &topology)?;
        topology.jitter_ms = given_jitter_ms.unwrap_or_else(|| jitter(&topology));
        Ok(topology)
    }

    fn one<T>(
        &self,
        table: &Table,
        key: &str,
        parse: impl Fn(&Value) -> Result<T, String>,
    ) -> Result<Option<T>, LoadError> {
        let Some(value) = table.get(key) else { return Ok(None) };
        parse(value).map(Some).map_err(|remedy| self.error(key, Some(value), remedy))
    }

    /// The table under `key`: pairs of sites, each with a value.
    fn pairs<T>(
        &self,
        table: &Table,
        key: &str,
        sites: &[String],
        parse: impl Fn(&Value) -> Result<T, String>,
    ) -> Result<BTreeMap<String, T>, LoadError> {
        let pairs = match table.get(key) {
            None => return Ok(BTreeMap::new()),
            Some(Value::Table(pairs)) => pairs,
            Some(other) => {
                let remedy = mismatch("a table with pairs of sites, such as { VA-CA = 85 }", other);
                return Err(self.error(key, Some(other), remedy));
            }
        };
        let mut parsed = BTreeMap::new();
        for (pair, value) in pairs {
            let at = format!("{key}.{pair}");
            let error = |remedy: String| self.error(&at, Some(value), remedy);
            known_pair(pair, sites).map_err(error)?;
            if let Some(other) = reversed(pair).filter(|other| parsed.contains_key(other)) {
                return Err(error(format!("stands there as {other} too: give each pair once")));
            }
            parsed.insert(pair.clone(), parse(value).map_err(error)?);
        }
        Ok(parsed)
    }

    /// A pair has a round trip or two one-way delays, not both.
    fn refuse_twice(&self, table: &Table, topology: &Topology) -> Result<(), LoadError> {
        for pair in topology.one_way_ms.keys() {
            let spellings = [Some(pair.clone()), reversed(pair)];
            let twice = |spelling: &String| topology.round_trip_ms.contains_key(spelling);
            if let Some(other) = spellings.into_iter().flatten().find(twice) {
                let value = table.get("one_way_ms").and_then(|pairs| pairs.get(pair));
                let remedy = format!("stands in round_trip_ms as {other} too: give each pair once");
                return Err(self.error(&format!("one_way_ms.{pair}"), value, remedy));
            }
        }
        Ok(())
    }

    /// Refuses a topology that a cluster of `replicas` does not fit into.
    fn holds(&self, topology: &Topology, replicas: usize) -> Result<(), LoadError> {
        let needed = format!("cluster.replicas = {replicas} takes the first {replicas} sites");
        match topology.sites(replicas) {
            Ok(_) => Ok(()),
            Err(Lack::Sites(have)) => {
                let list = topology.sites.iter().cloned().map(Value::String).collect();
                let remedy = format!("there are only {have}: {needed}");
                Err(self.error("sites", Some(&Value::Array(list)), remedy))
            }
            Err(Lack::Pair(pair)) => {
                let remedy = format!("missing: add {pair} = <ms>, since {needed}");
                Err(self.error(&format!("round_trip_ms.{pair}"), None, remedy))
            }
        }
    }
}

fn milliseconds(value: &Value) -> Result<f64, String> {
    number(0.0..=MS_MAX)(value)
}

fn both_ways(value: &Value) -> Result<[f64; 2], String> {
    match value.as_array().map(Vec::as_slice) {
        Some([there, back]) => Ok([milliseconds(there)?, milliseconds(back)?]),
        _ => Err("must be two numbers: from the first to the second and back, such as [40, 45]"
            .to_owned()),
    }
}

fn sourced(value: &Value) -> Result<String, String> {
    let text = value.as_str().ok_or_else(|| mismatch("a string", value))?.trim();
    if text.is_empty() {
        return Err("must not be empty: say where the numbers come from".to_owned());
    }
    Ok(text.to_owned())
}

fn site_names(value: &Value) -> Result<Vec<String>, String> {
    let list = value.as_array().ok_or_else(|| mismatch("an array of names", value))?;
    let mut names: Vec<String> = Vec::with_capacity(list.len());
    for item in list {
        let name = item.as_str().ok_or_else(|| mismatch("an array of names", item))?;
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(fits) {
            let remedy =
                "a name is made of letters, digits and underscores, since hyphens join pairs";
            return Err(format!("{name:?}: {remedy}"));
        }
        if names.iter().any(|known| known == name) {
            return Err(format!("{name} is named twice: name it once"));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// `B-A` for `A-B`.
fn reversed(pair: &str) -> Option<String> {
    let (a, b) = pair.split_once('-')?;
    Some(format!("{b}-{a}"))
}

fn known_pair(pair: &str, sites: &[String]) -> Result<(), String> {
    let Some((a, b)) = pair.split_once('-') else {
        return Err("is no pair of sites: write it as A-B".to_owned());
    };
    if let Some(unknown) = [a, b].into_iter().find(|name| !sites.iter().any(|site| site == name)) {
        return Err(format!("there is no site {unknown}: sites are {}", sites.join(", ")));
    }
    if a == b {
        return Err("a site is no distance from itself: remove it".to_owned());
    }
    Ok(())
}
