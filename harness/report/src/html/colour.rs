//! The plots' colours on a light and on a dark page: those of the palette, moved towards black or white as far as they must
//! be to be seen.

use std::fmt::Write;

use plotters::style::RGBColor;

use crate::plot::look::colours;

/// The page's backgrounds, as the style sheet has them.
const LIGHT: RGBColor = RGBColor(255, 255, 255);
const DARK: RGBColor = RGBColor(22, 24, 29);

/// What the guidelines ask of parts of a picture (WCAG 2.2, 1.4.11), and a little more.
const CONTRAST_MIN: f64 = 3.1;

/// The custom properties `--s0`, `--s1`, … for a light page or for a dark one.
pub(super) fn properties(dark: bool) -> String {
    let mut text = String::new();
    for (place, colour) in colours().enumerate() {
        let RGBColor(r, g, b) = seen(colour, if dark { DARK } else { LIGHT });
        let _ = write!(text, "--s{place}:#{r:02x}{g:02x}{b:02x};");
    }
    text
}

/// The colour, moved away from the background until it stands out.
fn seen(colour: RGBColor, background: RGBColor) -> RGBColor {
    const STEPS: u32 = 20;
    let away =
        if luminance(background) > 0.5 { RGBColor(0, 0, 0) } else { RGBColor(255, 255, 255) };
    let moved = (0..=STEPS).map(|step| mixed(colour, away, f64::from(step) / f64::from(STEPS)));
    moved.into_iter().find(|moved| contrast(*moved, background) >= CONTRAST_MIN).unwrap_or(away)
}

fn mixed(a: RGBColor, b: RGBColor, share: f64) -> RGBColor {
    let part = |a: u8, b: u8| {
        let mixed = f64::from(a) * (1.0 - share) + f64::from(b) * share;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
        let mixed = mixed.round() as u8;
        mixed
    };
    RGBColor(part(a.0, b.0), part(a.1, b.1), part(a.2, b.2))
}

/// The contrast ratio of WCAG 2.2, 1 to 21.
fn contrast(a: RGBColor, b: RGBColor) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// The relative luminance of WCAG 2.2, 0 to 1.
fn luminance(RGBColor(r, g, b): RGBColor) -> f64 {
    let linear = |part: u8| {
        let part = f64::from(part) / 255.0;
        if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_is_that_of_the_guidelines() {
        assert!((contrast(RGBColor(0, 0, 0), LIGHT) - 21.0).abs() < 1e-9);
        assert!((contrast(RGBColor(119, 119, 119), LIGHT) - 4.48).abs() < 0.01);
    }

    #[test]
    fn every_colour_is_seen_on_either_page_and_stays_itself_where_it_can() {
        for colour in colours() {
            for background in [LIGHT, DARK] {
                assert!(contrast(seen(colour, background), background) >= CONTRAST_MIN);
            }
        }
        let blue = RGBColor(0, 114, 178);
        assert_eq!(seen(blue, LIGHT), blue);
        assert_ne!(seen(RGBColor(0, 0, 0), DARK), RGBColor(0, 0, 0));
    }

    #[test]
    fn the_style_sheet_has_the_backgrounds_that_the_colours_are_made_for() {
        let style = include_str!("page.css");
        assert!(style.contains("--page: #ffffff;") && style.contains("--page: #16181d;"));
        assert_eq!((DARK.0, DARK.1, DARK.2), (0x16, 0x18, 0x1d));
        for place in 0..colours().count() {
            assert!(style.contains(&format!(".s{place} {{ --c: var(--s{place}); }}")), "{place}");
        }
    }
}
