//! The tables of a workload file with the options of one protocol, such as `[epaxos]`. The
//! protocols' facts declare the options.

use protocols::{
    Protocol,
    options::{InFiles, OptionFacts, OptionKind, Options},
    registry,
};
use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};
use toml::Value;

use crate::{
    document::Document,
    error::LoadError,
    kind::{choice, count},
    sweep::{SHARED_SWEEPS, Sweep},
};

/// One option of one protocol.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnOption {
    /// The protocol that has it.
    pub protocol: Protocol,
    /// Its place among those that the protocol declares.
    pub place: usize,
    /// A choice is the place of its name.
    pub values: Sweep<u32>,
}

impl OwnOption {
    /// Its facts.
    pub fn facts(&self) -> &'static OptionFacts {
        &self.protocol.facts().options[self.place]
    }
}

/// Every option that files give, of every protocol, in the order of the registry and of the facts.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnOptions(pub Vec<OwnOption>);

impl OwnOptions {
    /// Reads the options that a document gives, and takes defaults for the rest.
    ///
    /// # Errors
    /// If a value is not what the facts allow.
    pub(crate) fn read(document: &Document) -> Result<Self, LoadError> {
        let mut own = Vec::new();
        for protocol in registry::all() {
            // A swept option fixes no other.
            let mut decided = Options::default();
            for (place, option) in protocol.facts().options.iter().enumerate() {
                if option.files == InFiles::Absent {
                    continue;
                }
                let values = values(document, protocol, option, &decided)?;
                if let Sweep::One(value) = values {
                    decided.set(protocol, place, value);
                }
                own.push(OwnOption { protocol, place, values });
            }
        }
        Ok(Self(own))
    }

    /// Those of one protocol.
    pub fn of(&self, protocol: Protocol) -> impl Iterator<Item = &OwnOption> {
        self.0.iter().filter(move |own| own.protocol == protocol)
    }
}

fn values(
    document: &Document,
    protocol: Protocol,
    option: &'static OptionFacts,
    decided: &Options,
) -> Result<Sweep<u32>, LoadError> {
    let key = format!("{protocol}.{}", option.key);
    let parse = |value: &Value| match option.kind {
        OptionKind::Number { least, most } => count(least.into()..=most.into())(value),
        OptionKind::Choice(choices) => {
            let names: Vec<_> = choices.iter().map(|choice| choice.name).zip(0..).collect();
            choice(&names)(value)
        }
    };
    let given = match option.files {
        InFiles::Swept => document.sweep(&key, parse)?,
        InFiles::One | InFiles::Absent => document.one(&key, parse)?.map(Sweep::One),
    };
    let fixed = option.fixed.and_then(|fixed| fixed(decided));
    match (given, fixed) {
        (Some(given), Some(fixed)) if given.values() != [fixed.value] => {
            Err(document.error(&key, fixed.remedy))
        }
        (Some(Sweep::Many(_)), _) if SHARED_SWEEPS.contains(&option.key) => {
            let remedy = "must be one value: another key that is swept has this name, too";
            Err(document.error(&key, remedy))
        }
        (Some(given), _) => Ok(given),
        (None, fixed) => Ok(Sweep::One(fixed.map_or(option.default, |fixed| fixed.value))),
    }
}

impl Serialize for OwnOptions {
    /// As it stands in a file: a table for every protocol that has such options.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tables = serializer.serialize_map(None)?;
        for of_one in self.0.chunk_by(|one, other| one.protocol == other.protocol) {
            tables.serialize_entry(of_one[0].protocol.name(), &Table(of_one))?;
        }
        tables.end()
    }
}

/// The options of one protocol.
struct Table<'a>(&'a [OwnOption]);

impl Serialize for Table<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut table = serializer.serialize_map(Some(self.0.len()))?;
        for own in self.0 {
            table.serialize_entry(own.facts().key, &Values(own))?;
        }
        table.end()
    }
}

/// The value of an option, or its values.
struct Values<'a>(&'a OwnOption);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let one = |value: &u32| One(self.0.facts(), *value);
        match &self.0.values {
            Sweep::One(value) => one(value).serialize(serializer),
            Sweep::Many(values) => {
                let mut list = serializer.serialize_seq(Some(values.len()))?;
                values.iter().try_for_each(|value| list.serialize_element(&one(value)))?;
                list.end()
            }
        }
    }
}

/// One value: a name where there are names, else a number.
struct One(&'static OptionFacts, u32);

impl Serialize for One {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.name_of(self.1) {
            Some(name) => serializer.serialize_str(name),
            None => serializer.serialize_u32(self.1),
        }
    }
}
