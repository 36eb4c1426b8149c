//! The `[[faults]]` entries, one by one. Whether they fit the rest of the workload is checked afterwards.

use protocols::ReplicaId;
use toml::{Table, Value};

use crate::{
    document::Document,
    error::LoadError,
    fault::{Action, Fault, Layer, Links, Partition, Slow, Target},
    kind::{choice, count, mismatch, number, positive},
    known::{FAULT_KEYS, refuse_unknown_in},
};

/// chosen: a day, as for durations.
const SECONDS_MAX: f64 = 86_400.0;
/// The keys of which an entry holds exactly one, link faults aside.
const ACTION_KEYS: &[&str] = &["kill", "restart", "pause", "resume", "partition", "heal", "slow"];
/// The keys of a link fault, of which an entry holds one or more, and `layer`.
const LINK_KEYS: &[&str] = &[
    "loss_rate",
    "duplicate_rate",
    "delay_ms",
    "jitter_ms",
    "reorder_rate",
    "bandwidth_mbit_per_s",
];
/// What goes with them only.
const LINK_ONLY_KEYS: &[&str] = &["layer", "from", "to"];
/// Those that only packets know.
const PACKET_KEYS: &[&str] = &["reorder_rate", "bandwidth_mbit_per_s"];

pub(super) fn plan(document: &Document) -> Result<Vec<Fault>, LoadError> {
    let list = match document.value("faults") {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(document.error("faults", "must be an array: write [[faults]]")),
    };
    list.iter().enumerate().map(|(index, item)| entry(document, index, item)).collect()
}

fn entry(document: &Document, index: usize, item: &Value) -> Result<Fault, LoadError> {
    let path = format!("faults[{index}]");
    let Value::Table(table) = item else {
        let remedy = mismatch("a table", item);
        return Err(document.origin.error(&path, Some(item), remedy));
    };
    refuse_unknown_in(&document.origin, &path, table, FAULT_KEYS)?;
    let entry = Entry { document, path, table };
    let at_s = entry.one("at_s", number(0.0..=SECONDS_MAX))?.ok_or_else(|| {
        entry.error("at_s", "missing: say when, in seconds from the start of measuring")
    })?;
    Ok(Fault {
        at_s,
        every_s: entry.one("every_s", positive(SECONDS_MAX))?,
        action: entry.action()?,
    })
}

/// One entry and where it stands.
struct Entry<'a> {
    document: &'a Document,
    path: String,
    table: &'a Table,
}

impl Entry<'_> {
    fn error(&self, key: &str, remedy: impl Into<String>) -> LoadError {
        let dotted = format!("{}.{key}", self.path);
        self.document.origin.error(&dotted, self.table.get(key), remedy)
    }

    fn one<T>(
        &self,
        key: &str,
        parse: impl Fn(&Value) -> Result<T, String>,
    ) -> Result<Option<T>, LoadError> {
        self.table
            .get(key)
            .map(|value| parse(value).map_err(|remedy| self.error(key, remedy)))
            .transpose()
    }

    fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    fn action(&self) -> Result<Action, LoadError> {
        let actions: Vec<&str> = ACTION_KEYS.iter().copied().filter(|key| self.has(key)).collect();
        let worse_links = LINK_KEYS.iter().find(|key| self.has(key));
        let link_only = LINK_ONLY_KEYS.iter().copied().find(|key| self.has(key));
        match (actions.as_slice(), worse_links) {
            ([], Some(_)) => self.links(),
            ([], None) => Err(self.error(
                link_only.unwrap_or("kill"),
                format!(
                    "nothing is done here: add {} or {}",
                    ACTION_KEYS.join(", "),
                    LINK_KEYS.join(", ")
                ),
            )),
            ([action], None) => match link_only {
                Some(key) => Err(self.error(
                    key,
                    format!(
                        "goes with {} only, not with {action}: remove it",
                        LINK_KEYS.join(", ")
                    ),
                )),
                None => self.single(action),
            },
            ([_, second, ..], _) => {
                Err(self.error(second, "one action per entry: move it to a [[faults]] of its own"))
            }
            ([_], Some(link)) => {
                Err(self.error(link, "one action per entry: move it to a [[faults]] of its own"))
            }
        }
    }

    fn single(&self, action: &str) -> Result<Action, LoadError> {
        let value = &self.table[action];
        let parsed = match action {
            "kill" => target(value).map(Action::Kill),
            "restart" => target(value).map(Action::Restart),
            "pause" => target(value).map(Action::Pause),
            "resume" => target(value).map(Action::Resume),
            "heal" if value.as_bool() == Some(true) => Ok(Action::Heal),
            "heal" => Err("must be true".to_owned()),
            "partition" => partition(value).map(Action::Partition),
            _ => return self.slow().map(Action::Slow),
        };
        parsed.map_err(|remedy| self.error(action, remedy))
    }

    fn slow(&self) -> Result<Slow, LoadError> {
        const FORM: &str = "must be written as { replica = 0, factor = 4 }";
        let Some(Value::Table(table)) = self.table.get("slow") else {
            return Err(self.error("slow", FORM));
        };
        let path = format!("{}.slow", self.path);
        refuse_unknown_in(&self.document.origin, &path, table, &["replica", "factor"])?;
        let (Some(replica), Some(factor)) = (table.get("replica"), table.get("factor")) else {
            return Err(self.error("slow", FORM));
        };
        let at_least_1 = |value: &Value| match positive(1e6)(value)? {
            factor if factor < 1.0 => Err("must be at least 1".to_owned()),
            factor => Ok(factor),
        };
        let error = |key: &str, value: &Value, remedy: String| {
            self.document.origin.error(&format!("{path}.{key}"), Some(value), remedy)
        };
        Ok(Slow {
            replica: replica_id(replica).map_err(|remedy| error("replica", replica, remedy))?,
            factor: at_least_1(factor).map_err(|remedy| error("factor", factor, remedy))?,
        })
    }

    fn links(&self) -> Result<Action, LoadError> {
        let layers = choice(&[("packet", Layer::Packet), ("message", Layer::Message)]);
        let layer = self.one("layer", layers)?.ok_or_else(|| {
            self.error("layer", "missing: add layer = \"packet\" or layer = \"message\"")
        })?;
        if let (Layer::Message, Some(key)) = (layer, PACKET_KEYS.iter().find(|key| self.has(key))) {
            return Err(self.error(key, "is of packets only: use layer = \"packet\""));
        }
        Ok(Action::Links(Links {
            loss_rate: self.one("loss_rate", number(0.0..=1.0))?,
            duplicate_rate: self.one("duplicate_rate", number(0.0..=1.0))?,
            delay_ms: self.one("delay_ms", number(0.0..=SECONDS_MAX * 1e3))?,
            jitter_ms: self.one("jitter_ms", number(0.0..=SECONDS_MAX * 1e3))?,
            reorder_rate: self.one("reorder_rate", number(0.0..=1.0))?,
            bandwidth_mbit_per_s: self.one("bandwidth_mbit_per_s", bandwidth)?,
            from: self.one("from", listed)?,
            to: self.one("to", listed)?,
            layer,
        }))
    }
}

fn replica_id(value: &Value) -> Result<ReplicaId, String> {
    count(0..=50)(value).map(ReplicaId::from_index)
}

fn target(value: &Value) -> Result<Target, String> {
    match value {
        Value::String(text) if text == "random" => Ok(Target::Random),
        Value::String(text) if text == "leader" => Ok(Target::Leader),
        Value::Integer(_) => replica_id(value).map(Target::Replica),
        _ => Err("must be a replica's number, \"random\" or \"leader\"".to_owned()),
    }
}

fn partition(value: &Value) -> Result<Partition, String> {
    const FORM: &str = "must be written as [[0], [1, 2]], as [[0]] for 0 and all others, or as { from = [0], to = [1] }";
    match value {
        Value::Array(list) if !list.is_empty() => {
            let groups = list.iter().map(group).collect::<Result<Vec<_>, _>>()?;
            distinct(groups.iter().flatten())?;
            Ok(Partition::Groups(groups))
        }
        Value::Table(table) => match (table.get("from"), table.get("to")) {
            (Some(from), Some(to)) if table.len() == 2 => {
                let (from, to) = (group(from)?, group(to)?);
                distinct(from.iter().chain(&to))?;
                Ok(Partition::OneWay { from, to })
            }
            _ => Err(FORM.to_owned()),
        },
        _ => Err(FORM.to_owned()),
    }
}

/// A slower link than this is as good as cut, and is asked for as a partition.
fn bandwidth(value: &Value) -> Result<f64, String> {
    match number(0.0..=1e6)(value)? {
        mbit_per_s if mbit_per_s > 0.0 && mbit_per_s < 0.01 => {
            Err("must be 0, for no limit, or at least 0.01".to_owned())
        }
        mbit_per_s => Ok(mbit_per_s),
    }
}

/// Replicas, none twice.
fn listed(value: &Value) -> Result<Vec<ReplicaId>, String> {
    const FORM: &str = "must be an array of replicas' numbers, such as [0, 1]";
    let replicas = match value {
        Value::Array(list) if !list.is_empty() => {
            list.iter().map(replica_id).collect::<Result<Vec<_>, _>>()?
        }
        _ => return Err(FORM.to_owned()),
    };
    distinct(replicas.iter())?;
    Ok(replicas)
}

fn group(value: &Value) -> Result<Vec<ReplicaId>, String> {
    match value {
        Value::Array(list) if !list.is_empty() => list.iter().map(replica_id).collect(),
        _ => Err("every group must be an array of at least one replica's number".to_owned()),
    }
}

fn distinct<'a>(replicas: impl Iterator<Item = &'a ReplicaId>) -> Result<(), String> {
    let mut seen = Vec::new();
    for replica in replicas {
        if seen.contains(replica) {
            return Err(format!("replica {} is named twice: name it once", replica.0));
        }
        seen.push(*replica);
    }
    Ok(())
}
