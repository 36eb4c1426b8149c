//! The options that are a protocol's own. Its [`Facts`](crate::Facts) declare them, and
//! [`Config::options`](crate::Config::options) has their values.
//!
//! A workload file gives an option under the protocol's name, such as `[mine] depth = 4`. The
//! reader of files takes the keys, the ranges and the defaults from the facts. The core reads each
//! option as a type of its own, a [`Setting`].

use serde::{Deserialize, Serialize};

use crate::Protocol;

/// The most options that a protocol may have.
pub const OPTIONS_MAX: usize = 8;

/// The key of the option whose choices are a protocol's variants. Command lines give it with
/// `--variant`.
pub const VARIANT: &str = "variant";

/// The values of a protocol's own options, at the places at which its facts declare them. A choice
/// is the place of its name. The values belong to one protocol: a core that read another protocol's
/// would take one setting for another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Options {
    /// The protocol that they belong to; none while no value is given.
    protocol: Option<Protocol>,
    values: [Option<u32>; OPTIONS_MAX],
}

impl Options {
    /// The value at a place; none if it was not given, so that the option has its default.
    pub const fn get(&self, place: usize) -> Option<u32> {
        self.values[place]
    }

    /// Gives a value to an option of `protocol`.
    ///
    /// # Panics
    /// If the options belong to another protocol.
    pub fn set(&mut self, protocol: Protocol, place: usize, value: u32) {
        self.assert_of(protocol);
        self.protocol = Some(protocol);
        self.values[place] = Some(value);
    }

    /// The value of an option, as its protocol's core reads it.
    ///
    /// # Panics
    /// If the options belong to another protocol.
    pub fn of<S: Setting>(&self) -> S {
        self.assert_of(S::PROTOCOL);
        S::from_number(self.get(S::PLACE))
    }

    /// These, with another value of one option.
    ///
    /// # Panics
    /// If the options belong to another protocol.
    #[must_use]
    pub fn with(mut self, setting: impl Setting) -> Self {
        self.put(setting);
        self
    }

    /// Gives the value of an option, as its protocol's core reads it.
    ///
    /// # Panics
    /// If the options belong to another protocol.
    pub fn put<S: Setting>(&mut self, setting: S) {
        self.set(S::PROTOCOL, S::PLACE, setting.to_number());
    }

    fn assert_of(&self, protocol: Protocol) {
        if let Some(other) = self.protocol {
            assert!(other == protocol, "{protocol} is given the options of {other}");
        }
    }
}

/// The value of one option as a type of the core that has it.
pub trait Setting: Copy {
    /// The protocol that has this option.
    const PROTOCOL: Protocol;
    /// Its place among those that the protocol's facts declare.
    const PLACE: usize;

    /// The setting of this number; the default if there is none, or none of this number.
    fn from_number(number: Option<u32>) -> Self;

    /// The number that stands for it.
    fn to_number(self) -> u32;
}

/// The values that an option may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// A whole number, both bounds included.
    Number {
        /// The least.
        least: u32,
        /// The most.
        most: u32,
    },
    /// One of these.
    Choice(&'static [Choice]),
}

/// One of the values of an option that has names for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The name in files, on command lines and in results.
    pub name: &'static str,
    /// A few words that describe it.
    pub about: &'static str,
}

/// How a workload file gives an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InFiles {
    /// Not at all.
    Absent,
    /// As one value.
    One,
    /// As one value, or as a list that is swept.
    Swept,
}

/// A value that other options leave no choice about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// The value.
    pub value: u32,
    /// The message for a file that gives another one: the reason, and the remedy.
    pub remedy: &'static str,
}

/// The facts of one option.
#[derive(Clone, Copy, Debug)]
pub struct OptionFacts {
    /// The key in files. One that is swept must not have the name of another key that is swept.
    pub key: &'static str,
    /// A line about its effect, without a full stop.
    pub about: &'static str,
    /// The values that it may have.
    pub kind: OptionKind,
    /// The value that it has unless one is given.
    pub default: u32,
    /// How a workload file gives it.
    pub files: InFiles,
    /// Whether options that are declared before it, and are not swept, fix it.
    pub fixed: Option<fn(&Options) -> Option<Fixed>>,
    /// The values from which hostile schedules draw, as often each; empty if it keeps its default
    /// in them.
    pub hostile: &'static [u32],
}

impl OptionFacts {
    /// The name of one of its values; none if it is a number, or no value.
    pub fn name_of(&self, value: u32) -> Option<&'static str> {
        match self.kind {
            OptionKind::Number { .. } => None,
            OptionKind::Choice(choices) => choices.get(value as usize).map(|choice| choice.name),
        }
    }

    /// Is `value` one that it may have?
    pub fn allows(&self, value: u32) -> bool {
        match self.kind {
            OptionKind::Number { least, most } => (least..=most).contains(&value),
            OptionKind::Choice(choices) => (value as usize) < choices.len(),
        }
    }

    /// A value as it is written in results.
    pub fn text(&self, value: u32) -> String {
        self.name_of(value).map_or_else(|| value.to_string(), str::to_owned)
    }
}

/// The first of `options` that cannot be used, with the reason; none if all can.
pub fn unusable(options: &'static [OptionFacts]) -> Option<(&'static str, &'static str)> {
    if let Some(beyond) = options.get(OPTIONS_MAX) {
        return Some((beyond.key, "a protocol has 8 options at most"));
    }
    let proper = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let reason = |(place, option): (usize, &OptionFacts)| {
        if option.key.is_empty() || !option.key.chars().all(proper) {
            Some("a key has lower-case letters, digits and underscores")
        } else if options[..place].iter().any(|other| other.key == option.key) {
            Some("another option has this key")
        } else if !option.allows(option.default) {
            Some("its default is none of its values")
        } else if !option.hostile.iter().all(|value| option.allows(*value)) {
            Some("a hostile value is none of its values")
        } else {
            None
        }
    };
    let mut faulty = options.iter().enumerate();
    faulty.find_map(|(place, option)| Some((option.key, reason((place, option))?)))
}

impl Protocol {
    /// The place of the option with this key, and what is stated of it.
    pub fn option(self, key: &str) -> Option<(usize, &'static OptionFacts)> {
        self.facts().options.iter().enumerate().find(|(_, option)| option.key == key)
    }

    /// Its variants, empty if there is one of it alone.
    pub fn variants(self) -> &'static [Choice] {
        match self.option(VARIANT).map(|(_, option)| option.kind) {
            Some(OptionKind::Choice(choices)) => choices,
            _ => &[],
        }
    }

    /// The variant that its `options` name; none if there is one of it alone.
    pub fn variant_of(self, options: &Options) -> Option<&'static str> {
        let (place, option) = self.option(VARIANT)?;
        option.name_of(options.get(place).unwrap_or(option.default))
    }

    /// The variant that runs if nobody names one; none if there is one of it alone.
    pub fn usual_variant(self) -> Option<&'static str> {
        self.variant_of(&Options::default())
    }

    /// Makes `options` name the variant `name`.
    ///
    /// # Panics
    /// If there is no such variant, or the options belong to another protocol.
    pub fn choose_variant(self, options: &mut Options, name: &str) {
        let number = self.variants().iter().zip(0..).find(|(choice, _)| choice.name == name);
        let (place, _) = self.option(VARIANT).expect("a protocol with variants");
        let (_, number) = number.unwrap_or_else(|| panic!("{self} has no variant {name}"));
        options.set(self, place, number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry;

    #[test]
    fn the_options_of_this_crate_can_be_used() {
        for protocol in registry::all() {
            assert_eq!(unusable(protocol.options), None, "{protocol}");
        }
    }

    const GOOD: OptionFacts = OptionFacts {
        key: "width",
        about: "how wide",
        kind: OptionKind::Number { least: 1, most: 9 },
        default: 3,
        files: InFiles::One,
        fixed: None,
        hostile: &[1, 9],
    };

    #[test]
    fn options_that_cannot_be_used_are_named_with_the_reason() {
        static OPTIONS: [OptionFacts; 9] = [GOOD; 9];
        static TWICE: [OptionFacts; 2] = [GOOD; 2];
        static LOUD: [OptionFacts; 1] = [OptionFacts { key: "Width", ..GOOD }];
        static BEYOND: [OptionFacts; 1] = [OptionFacts { default: 10, ..GOOD }];
        static WILD: [OptionFacts; 1] = [OptionFacts { hostile: &[0], ..GOOD }];
        let cases: [(&'static [OptionFacts], &str); 5] = [
            (&OPTIONS, "8 options at most"),
            (&TWICE, "another option"),
            (&LOUD, "lower-case"),
            (&BEYOND, "its default"),
            (&WILD, "a hostile value"),
        ];
        for (options, expected) in cases {
            let (_, reason) = unusable(options).expect(expected);
            assert!(reason.contains(expected), "{reason}");
        }
        assert_eq!(OPTIONS_MAX, 8, "the message says so");
    }

    #[test]
    fn a_variant_is_the_option_of_that_name() {
        let epaxos = registry::named("epaxos").expect("it is built in");
        let mut options = Options::default();
        assert_eq!(epaxos.variant_of(&options), Some("star"));
        epaxos.choose_variant(&mut options, "sosp13");
        assert_eq!(epaxos.variant_of(&options), Some("sosp13"));
        assert_eq!(epaxos.usual_variant(), Some("star"));
        let paxos = registry::named("paxos").expect("it is built in");
        assert_eq!((paxos.variants(), paxos.variant_of(&options)), ([].as_slice(), None));
    }

    #[test]
    #[should_panic(expected = "paxos is given the options of epaxos")]
    fn options_of_another_protocol_are_refused() {
        let _ =
            Options::default().with(crate::epaxos::Variant::Sosp13).of::<crate::paxos::Window>();
    }
}
