//! What a protocol's handle takes from the registry: its order, its name in texts, its number in
//! formats that are not for people.

use std::{cmp::Ordering, fmt, str::FromStr};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, EnumAccess, VariantAccess, Visitor},
};

use super as registry;
use crate::{Protocol, either};

impl Protocol {
    /// Its place in the registry; none if it is not registered.
    pub fn place(self) -> Option<usize> {
        registry::all().iter().position(|known| *known == self)
    }

    /// Its rank in the order: a protocol that is not registered comes last.
    fn rank(self) -> (usize, &'static str) {
        (self.place().unwrap_or(usize::MAX), self.name())
    }
}

impl Ord for Protocol {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Protocol {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A name that no protocol bears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownProtocol(pub String);

impl fmt::Display for UnknownProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = registry::all().into_iter().map(Protocol::name).collect();
        write!(f, "{:?} is no protocol: use {}", self.0, either(&names))
    }
}

impl std::error::Error for UnknownProtocol {}

impl FromStr for Protocol {
    type Err = UnknownProtocol;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        registry::named(name).ok_or_else(|| UnknownProtocol(name.to_owned()))
    }
}

/// The variant's number of a protocol of another crate, where a format writes numbers. Those below
/// belong to the protocols of this crate, by their places in the registry.
const NAMED: u32 = 127;

impl Serialize for Protocol {
    /// Writes the name. A format that is not for people has the place of a protocol of this crate,
    /// in one byte, so that logs stay readable; of another crate's protocol it has the number 127
    /// and the name.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.serialize_str(self.name());
        }
        match registry::built_in_place(*self) {
            Some(place) => serializer.serialize_unit_variant("Protocol", place, self.name()),
            None => serializer.serialize_newtype_variant("Protocol", NAMED, "named", self.name()),
        }
    }
}

impl<'de> Deserialize<'de> for Protocol {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let name = String::deserialize(deserializer)?;
            return name.parse().map_err(de::Error::custom);
        }
        deserializer.deserialize_enum("Protocol", &[], Numbered)
    }
}

/// Reads a protocol in a format that writes numbers.
struct Numbered;

impl<'de> Visitor<'de> for Numbered {
    type Value = Protocol;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a protocol")
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Protocol, A::Error> {
        let (number, variant) = access.variant::<u32>()?;
        if number == NAMED {
            let name: String = variant.newtype_variant()?;
            return name.parse().map_err(de::Error::custom);
        }
        variant.unit_variant()?;
        let unknown = || de::Error::custom(format_args!("there is no protocol {number}"));
        registry::built_in(number).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Facts;

    static MINE: Facts = Facts::plain("protocol-test");
    static NOT_REGISTERED: Facts = Facts::plain("never-registered");

    #[test]
    fn a_name_that_nobody_bears_is_told_with_those_that_are_borne() {
        let error = "raft".parse::<Protocol>().unwrap_err().to_string();
        assert!(error.starts_with("\"raft\" is no protocol: use paxos, multi-paxos"), "{error}");
    }

    /// The numbers are in the logs of clusters that are there.
    #[test]
    fn numbers_stand_for_the_protocols_of_this_crate_and_a_name_for_any_other() {
        let mine = registry::register(&MINE).unwrap();
        let built_in = ["paxos", "multi-paxos", "epaxos"];
        for (number, name) in (0u8..).zip(built_in) {
            let protocol: Protocol = name.parse().unwrap();
            assert_eq!(postcard::to_stdvec(&protocol).unwrap(), [number]);
            assert_eq!(postcard::from_bytes::<Protocol>(&[number]).unwrap(), protocol);
        }
        let bytes = postcard::to_stdvec(&mine).unwrap();
        assert_eq!(bytes[..2], [127, 13]);
        assert_eq!(postcard::from_bytes::<Protocol>(&bytes).unwrap(), mine);
        assert!(postcard::from_bytes::<Protocol>(&[3]).is_err());
        let unknown = postcard::to_stdvec(&Protocol::new(&NOT_REGISTERED)).unwrap();
        assert!(postcard::from_bytes::<Protocol>(&unknown).is_err());
    }
}
