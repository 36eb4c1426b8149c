//! How a protocol looks: a colour of the Okabe–Ito palette, a marker and a dash pattern, so that lines can be told
//! apart without colour vision and on a grey printout.

use plotters::style::RGBColor;

use crate::known::{look_of, looks_taken};

/// The shape of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marker {
    Circle,
    Square,
    Triangle,
    Diamond,
    /// Nothing: a line alone.
    None,
}

/// Colour, marker and dashes of one protocol.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Look {
    pub(crate) colour: RGBColor,
    pub(crate) marker: Marker,
    /// Lengths of stroke and gap in pixels, in turn; empty for a solid line.
    pub(crate) dashes: &'static [f64],
}

impl Look {
    /// Its place among all looks, which is that of its colour among [`colours`].
    pub(crate) fn place(&self) -> usize {
        LOOKS.iter().position(|look| look.colour == self.colour).unwrap_or(0)
    }
}

/// The colours of all looks, as they are on white.
pub(crate) fn colours() -> impl Iterator<Item = RGBColor> {
    LOOKS.iter().map(|look| look.colour)
}

/// Okabe & Ito, "Color Universal Design" (2008), without its yellow, which is too pale for a line on white.
const LOOKS: [Look; 7] = [
    Look { colour: RGBColor(213, 94, 0), marker: Marker::Circle, dashes: &[] },
    Look { colour: RGBColor(0, 114, 178), marker: Marker::Square, dashes: &[34.0, 16.0] },
    Look { colour: RGBColor(0, 158, 115), marker: Marker::Triangle, dashes: &[8.0, 14.0] },
    Look {
        colour: RGBColor(204, 121, 167),
        marker: Marker::Diamond,
        dashes: &[34.0, 14.0, 8.0, 14.0],
    },
    Look { colour: RGBColor(230, 159, 0), marker: Marker::Circle, dashes: &[20.0, 10.0] },
    Look { colour: RGBColor(86, 180, 233), marker: Marker::Square, dashes: &[] },
    Look { colour: RGBColor(0, 0, 0), marker: Marker::Diamond, dashes: &[8.0, 8.0] },
];

/// The look of what belongs to no protocol.
pub(crate) const INK: Look = Look { colour: RGBColor(0, 0, 0), marker: Marker::None, dashes: &[] };

/// Of what the legend says of all protocols or sites alike.
pub(crate) const OF_NOBODY: Look =
    Look { colour: RGBColor(95, 95, 95), marker: Marker::Circle, dashes: &[] };

/// The look of `protocol` among `protocols`: its own if it has one, else the next that is no
/// protocol's own.
pub(crate) fn look(protocols: &[String], protocol: &str) -> Look {
    let index = look_of(protocol).unwrap_or_else(|| {
        let others = protocols.iter().filter(|name| look_of(name).is_none());
        looks_taken() + others.take_while(|name| *name != protocol).count()
    });
    LOOKS[index % LOOKS.len()]
}

/// The look of the site at this place, where the lines are sites.
pub(crate) fn look_of_site(place: usize) -> Look {
    LOOKS[place % LOOKS.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::known::{Known, display_name, know};

    #[test]
    fn a_protocol_looks_the_same_whatever_runs_beside_it() {
        let told = |name, title, look| Known { name, title, look, usual_variant: None };
        know(vec![
            told("epaxos", "EPaxos", Some(0)),
            told("multi-paxos", "Multi-Paxos", Some(1)),
            told("paxos", "Paxos", Some(2)),
            told("yours", "Yours", None),
        ]);
        let all = ["paxos", "mine", "epaxos", "yours"].map(str::to_owned);
        let one = ["epaxos".to_owned()];
        assert_eq!(look(&all, "epaxos"), look(&one, "epaxos"));
        let looks: Vec<Look> = all.iter().map(|name| look(&all, name)).collect();
        for (index, look) in looks.iter().enumerate() {
            assert!(!looks[index + 1..].contains(look));
        }
        assert_eq!(
            [display_name("epaxos"), display_name("yours"), display_name("mine")],
            ["EPaxos", "Yours", "mine"]
        );
    }
}
