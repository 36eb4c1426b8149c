//! What `soak`, `replay` and `explore` are asked to try: a protocol, and which of its variants.

use protocols::{Config, Protocol, either, registry};

use crate::exit::Failure;

/// A protocol, and which of its variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) protocol: Protocol,
    /// None of a protocol that there is one of.
    pub(crate) variant: Option<&'static str>,
}

impl Subject {
    /// The variant that runs if nobody names one.
    pub(crate) fn usual(protocol: Protocol) -> Self {
        Self { protocol, variant: protocol.usual_variant() }
    }

    /// What a command line names.
    pub(crate) fn new(protocol: Protocol, variant: Option<&str>) -> Result<Self, Failure> {
        let Some(variant) = variant else { return Ok(Self::usual(protocol)) };
        let of_it = protocol.variants().iter().find(|choice| choice.name == variant);
        if let Some(choice) = of_it {
            return Ok(Self { protocol, variant: Some(choice.name) });
        }
        let has_it = |other: &Protocol| other.variants().iter().any(|of| of.name == variant);
        let others: Vec<&str> =
            registry::all().into_iter().filter(has_it).map(Protocol::name).collect();
        let variants = if protocol.variants().is_empty() { "variants" } else { "such variant" };
        Err(Failure::usage(format!(
            "--variant {variant}: {protocol} has no {variants}: leave it out, or use --protocol {}",
            either(&others)
        )))
    }

    /// Every variant of every protocol, in the order of the registry.
    pub(crate) fn all() -> Vec<Self> {
        let of_one = |protocol: Protocol| {
            let others = protocol.variants().iter().map(|choice| Some(choice.name));
            let usual = Self::usual(protocol);
            let others = others.filter(move |variant| *variant != usual.variant);
            [usual].into_iter().chain(others.map(move |variant| Self { protocol, variant }))
        };
        registry::all().into_iter().flat_map(of_one).collect()
    }

    /// Makes `config` one of this variant.
    pub(crate) fn configure(self, config: &mut Config) {
        if let Some(variant) = self.unusual() {
            self.protocol.choose_variant(&mut config.options, variant);
        }
    }

    /// Is `config` one of this variant?
    pub(crate) fn is_of(self, config: &Config) -> bool {
        self.protocol.variant_of(&config.options) == self.variant
    }

    /// The variant, if a reader does not take it for granted.
    fn unusual(self) -> Option<&'static str> {
        self.variant.filter(|_| self.variant != self.protocol.usual_variant())
    }

    /// The options that name it.
    pub(crate) fn options(self) -> String {
        match self.unusual() {
            None => format!("--protocol {}", self.protocol),
            Some(variant) => format!("--protocol {} --variant {variant}", self.protocol),
        }
    }

    /// The name in summaries.
    pub(crate) fn name(self) -> String {
        match self.unusual() {
            None => self.protocol.name().to_owned(),
            Some(variant) => format!("{}, variant {variant}", self.protocol),
        }
    }
}
