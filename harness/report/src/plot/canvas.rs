//! The few shapes that figures are made of, on any backend of the drawing library.
//!
//! The fonts are embedded, so that a host without fonts draws the same picture. An SVG names the generic family, which
//! every viewer has.

use std::sync::Once;

use plotters::{
    coord::Shift,
    prelude::*,
    style::{
        FontStyle, register_font,
        text_anchor::{HPos, Pos, VPos},
    },
};

use super::look::{Look, Marker};

/// A place in pixels.
pub(crate) type Place = (f64, f64);

/// What the drawing library says, as text: its own error is generic over the backend.
pub(crate) type Drawn = Result<(), String>;

const FAMILY: &str = "sans-serif";

/// How a text is set.
#[derive(Clone, Copy)]
pub(crate) struct Text {
    pub(crate) size: f64,
    pub(crate) colour: RGBColor,
    pub(crate) bold: bool,
    pub(crate) horizontal: HPos,
    pub(crate) vertical: VPos,
    pub(crate) upright: bool,
}

/// How far a backend sets vertically centred text too high, as a share of the text's size: SVG centres on the letters,
/// the bitmap backend on the line, whose upper part is mostly empty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Lift(f64);

/// A drawing area with shapes in fractional pixels.
pub(crate) struct Canvas<'a, DB: DrawingBackend> {
    area: &'a DrawingArea<DB, Shift>,
    lift: Lift,
}

impl Lift {
    pub(crate) const SVG: Self = Self(0.0);
    pub(crate) const BITMAP: Self = Self(0.18);
}

/// Makes the embedded fonts known to the drawing library.
pub(crate) fn register_fonts() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let normal = include_bytes!("../../assets/DejaVuSans-subset.ttf");
        let bold = include_bytes!("../../assets/DejaVuSans-Bold-subset.ttf");
        let known = register_font(FAMILY, FontStyle::Normal, normal).is_ok()
            && register_font(FAMILY, FontStyle::Bold, bold).is_ok();
        assert!(known, "the embedded fonts are fonts");
    });
}

impl Text {
    pub(crate) fn new(size: f64, colour: RGBColor) -> Self {
        let (horizontal, vertical) = (HPos::Left, VPos::Center);
        Self { size, colour, bold: false, horizontal, vertical, upright: false }
    }

    fn style(&self) -> TextStyle<'static> {
        let weight = if self.bold { FontStyle::Bold } else { FontStyle::Normal };
        let mut font = FontDesc::new(FontFamily::SansSerif, self.size, weight);
        if self.upright {
            font = font.transform(FontTransform::Rotate270);
        }
        font.color(&self.colour).pos(Pos::new(self.horizontal, self.vertical))
    }
}

impl<'a, DB: DrawingBackend> Canvas<'a, DB> {
    pub(crate) fn new(area: &'a DrawingArea<DB, Shift>, lift: Lift) -> Self {
        Self { area, lift }
    }

    pub(crate) fn fill(&self, colour: RGBColor) -> Drawn {
        self.area.fill(&colour).map_err(|error| error.to_string())
    }

    pub(crate) fn finish(&self) -> Drawn {
        self.area.present().map_err(|error| error.to_string())
    }

    /// How wide `text` is, in pixels.
    pub(crate) fn width(&self, text: &str, set: Text) -> f64 {
        let style = Text { upright: false, ..set }.style();
        // The estimate fails only for a font that is not there, and ours is.
        self.area.estimate_text_size(text, &style).map_or(0.0, |(width, _)| f64::from(width))
    }

    pub(crate) fn text(&self, text: &str, at: Place, set: Text) -> Drawn {
        let lift = if matches!(set.vertical, VPos::Center) { self.lift.0 * set.size } else { 0.0 };
        let at = if set.upright { (at.0 + lift, at.1) } else { (at.0, at.1 + lift) };
        self.area.draw_text(text, &set.style(), pixel(at)).map_err(|error| error.to_string())
    }

    /// A line through `places`.
    pub(crate) fn line(&self, places: &[Place], colour: impl Color, width: u32) -> Drawn {
        let places: Vec<(i32, i32)> = places.iter().copied().map(pixel).collect();
        self.draw(&PathElement::new(places, colour.stroke_width(width)))
    }

    /// A line through `places` with dashes.
    pub(crate) fn dashed(
        &self,
        places: &[Place],
        dashes: &[f64],
        colour: RGBColor,
        width: u32,
    ) -> Drawn {
        if dashes.is_empty() {
            return self.line(places, colour, width);
        }
        dash(places, dashes).iter().try_for_each(|stroke| self.line(stroke, colour, width))
    }

    /// A filled polygon.
    pub(crate) fn area(&self, places: &[Place], colour: impl Color) -> Drawn {
        let places: Vec<(i32, i32)> = places.iter().copied().map(pixel).collect();
        self.draw(&Polygon::new(places, colour.filled()))
    }

    /// A rectangle between two corners: filled, with an outline.
    pub(crate) fn rectangle(
        &self,
        a: Place,
        b: Place,
        fill: impl Color,
        outline: RGBColor,
    ) -> Drawn {
        self.draw(&Rectangle::new([pixel(a), pixel(b)], fill.filled()))?;
        let corners = [a, (b.0, a.1), b, (a.0, b.1), a, (b.0, a.1)];
        self.line(&corners, outline, 3)
    }

    /// A marker; hollow ones are white inside.
    pub(crate) fn marker(&self, at: Place, look: &Look, hollow: bool) -> Drawn {
        const RIM: f64 = 3.0;
        const WALL: f64 = 6.0;
        if look.marker == Marker::None {
            return Ok(());
        }
        // Filled shapes only: the bitmap backend does not join thick strokes at sharp corners.
        let shape = |inset: f64| marker_shape(look.marker, at, inset);
        // A white rim keeps markers apart where they overlap.
        self.area(&shape(-RIM), WHITE)?;
        self.area(&shape(0.0), look.colour)?;
        if hollow { self.area(&shape(WALL), WHITE) } else { Ok(()) }
    }

    /// A caret whose lower ends are at the height of `at`: what is below it is a lower bound.
    pub(crate) fn caret(&self, at: Place, colour: RGBColor) -> Drawn {
        const RIM: f64 = 3.0;
        self.area(&caret_shape(at, RIM), WHITE)?;
        self.area(&caret_shape(at, 0.0), colour)
    }

    fn draw<E>(&self, element: &E) -> Drawn
    where
        for<'b> &'b E: plotters::element::PointCollection<'b, (i32, i32)>,
        E: plotters::element::Drawable<DB>,
    {
        self.area.draw(element).map_err(|error| error.to_string())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a place on a canvas of a few thousand pixels")]
fn pixel((x, y): Place) -> (i32, i32) {
    (x.round() as i32, y.round() as i32)
}

fn regular((x, y): Place, radius: f64, corners: u32, turn_degrees: f64) -> Vec<Place> {
    (0..corners)
        .map(|corner| {
            let degrees = turn_degrees + 360.0 * f64::from(corner) / f64::from(corners);
            let (sin, cos) = degrees.to_radians().sin_cos();
            (x + radius * cos, y - radius * sin)
        })
        .collect()
}

/// The corners of a marker whose outline is moved inwards by `inset` pixels.
fn marker_shape(marker: Marker, at: Place, inset: f64) -> Vec<Place> {
    const RADIUS: f64 = 15.0;
    // Moving the sides of a polygon with n corners by d moves its corners by d / cos(π / n).
    match marker {
        Marker::Circle => regular(at, RADIUS - inset, 48, 0.0),
        Marker::Square => regular(at, RADIUS * 1.2 - inset * 2f64.sqrt(), 4, 45.0),
        Marker::Triangle => regular(at, RADIUS * 1.35 - inset * 2.0, 3, 90.0),
        Marker::Diamond => regular(at, RADIUS * 1.3 - inset * 2f64.sqrt(), 4, 0.0),
        Marker::None => Vec::new(),
    }
}

/// The corners of a caret that is thickened by `rim` pixels on each side.
fn caret_shape((x, y): Place, rim: f64) -> Vec<Place> {
    const HALF: f64 = 19.0;
    const RISE: f64 = 17.0;
    const WALL: f64 = 9.0;
    let (half, wall) = (HALF + rim, WALL + 2.0 * rim);
    let low = y + rim;
    vec![
        (x - half, low),
        (x, low - RISE),
        (x + half, low),
        (x + half, low - wall),
        (x, low - RISE - wall),
        (x - half, low - wall),
    ]
}

/// Cuts a line into strokes of the lengths in `dashes` (stroke, gap, stroke, gap, …).
fn dash(places: &[Place], dashes: &[f64]) -> Vec<Vec<Place>> {
    let mut strokes: Vec<Vec<Place>> = Vec::new();
    let mut stroke: Vec<Place> = places.first().copied().into_iter().collect();
    let (mut index, mut left) = (0, dashes[0]);
    for pair in places.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        let mut done = 0.0;
        while length - done > left {
            done += left;
            let share = done / length;
            stroke.push((from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share));
            if index % 2 == 0 {
                strokes.push(std::mem::take(&mut stroke));
            }
            index = (index + 1) % dashes.len();
            left = dashes[index];
        }
        left -= length - done;
        if index % 2 == 0 {
            stroke.push(to);
        }
    }
    if stroke.len() > 1 {
        strokes.push(stroke);
    }
    strokes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_turn_corners() {
        let corner = [(0.0, 0.0), (15.0, 0.0), (15.0, 20.0)];
        let strokes = dash(&corner, &[10.0, 2.0]);
        let expected: Vec<Vec<Place>> = vec![
            vec![(0.0, 0.0), (10.0, 0.0)],
            vec![(12.0, 0.0), (15.0, 0.0), (15.0, 7.0)],
            vec![(15.0, 9.0), (15.0, 19.0)],
        ];
        assert_eq!(strokes, expected);
    }
}
