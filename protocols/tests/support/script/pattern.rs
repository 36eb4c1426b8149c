//! Which messages a directive means: `[kind] [instance] [senders -> receivers]`, `*` and what is left out for any.

use std::str::FromStr;

use protocols::{InstanceId, ReplicaId};

use super::words::Told;

/// What a directive says of messages.
#[derive(Clone, Debug, Default)]
pub struct Pattern {
    kind: Option<String>,
    instance: Option<InstanceId>,
    pub from: Option<Vec<ReplicaId>>,
    pub to: Option<Vec<ReplicaId>>,
}

impl Pattern {
    pub fn matches(&self, from: ReplicaId, to: ReplicaId, told: &Told) -> bool {
        let side = |wanted: &Option<Vec<ReplicaId>>, it: ReplicaId| {
            wanted.as_ref().is_none_or(|wanted| wanted.contains(&it))
        };
        side(&self.from, from)
            && side(&self.to, to)
            && self.kind.as_ref().is_none_or(|kind| *kind == told.kind)
            && self.instance.is_none_or(|instance| told.instance == Some(instance))
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut pattern = Self::default();
        let (what, way) = match text.split_once("->") {
            None => (text, None),
            Some((before, to)) => {
                // The senders are the last words before the arrow that name replicas.
                let words: Vec<_> = before.split_whitespace().collect();
                let senders = words.iter().rev().take_while(|word| is_side(word)).count();
                if senders == 0 {
                    return Err("nobody is named before the arrow".to_owned());
                }
                let (what, from) = words.split_at(words.len() - senders);
                pattern.from = side(&from.join(" "))?;
                pattern.to = side(to)?;
                (before, Some(what.join(" ")))
            }
        };
        for word in way.as_deref().unwrap_or(what).split_whitespace() {
            if word == "*" {
            } else if word.starts_with(|first: char| first.is_ascii_digit()) {
                pattern.instance = Some(parse_instance(word)?);
            } else if pattern.kind.is_none() {
                pattern.kind = Some(word.to_owned());
            } else {
                return Err(format!("'{word}' is neither an instance nor a replica"));
            }
        }
        Ok(pattern)
    }
}

fn is_side(word: &str) -> bool {
    word == "*" || parse_replica(word).is_ok()
}

fn side(text: &str) -> Result<Option<Vec<ReplicaId>>, String> {
    if text.trim() == "*" {
        return Ok(None);
    }
    let replicas: Result<Vec<_>, _> = text.split_whitespace().map(parse_replica).collect();
    let replicas = replicas?;
    if replicas.is_empty() {
        Err("nobody is named after the arrow".to_owned())
    } else {
        Ok(Some(replicas))
    }
}

/// `r2`.
pub fn parse_replica(word: &str) -> Result<ReplicaId, String> {
    let number = word.strip_prefix('r').and_then(|number| number.parse().ok()).map(ReplicaId);
    number.ok_or_else(|| format!("'{word}' is no replica: write r0, r1, …"))
}

/// `0.1` of several rows, or `135` of a single one.
pub fn parse_instance(word: &str) -> Result<InstanceId, String> {
    let parsed = match word.split_once('.') {
        None => word.parse().ok().map(InstanceId::single_row),
        Some((row, slot)) => row
            .parse()
            .ok()
            .zip(slot.parse().ok())
            .map(|(row, slot)| InstanceId::new(ReplicaId(row), slot)),
    };
    parsed.ok_or_else(|| format!("'{word}' is no instance: write row.slot, or a slot alone"))
}
