//! Fewer points for a line that has more than a page should carry, with its shape kept.
//!
//! Largest triangle, three buckets: of each bucket the point that spans the largest triangle with the one kept before it
//! and the mean of the next bucket (Steinarsson, "Downsampling Time Series for Visual Representation", 2013).

use crate::plot::model::{Figure, Line, Mark};

/// Chosen: about 70 bytes a point, so that a page of several results stays below 3 MB with all else that is in it.
const POINTS_MAX: usize = 24_000;

/// Chosen: with fewer points a line loses its shape.
const POINTS_OF_LINE_MIN: usize = 24;

/// Thins the lines of all figures of a page where they have too many points together; returns how many there were and how
/// many are left, if any are gone.
pub(super) fn thin<'a>(figures: impl Iterator<Item = &'a mut Figure>) -> Option<(usize, usize)> {
    let panels = figures.flat_map(|figure| &mut figure.panels);
    let mut lines: Vec<&mut Line> = panels.flat_map(|panel| &mut panel.lines).collect();
    let count = |lines: &[&mut Line]| lines.iter().map(|line| line.points.len()).sum::<usize>();
    let before = count(&lines);
    if before <= POINTS_MAX {
        return None;
    }
    for line in &mut lines {
        let kept = (line.points.len() * POINTS_MAX / before).max(POINTS_OF_LINE_MIN);
        if kept < line.points.len() {
            let fewer = line.points.len().div_ceil(kept);
            line.points = largest_triangles(&line.points, kept);
            line.marker_every = line.marker_every.div_ceil(fewer).max(1);
        }
    }
    Some((before, count(&lines)))
}

/// `kept` of `points`, both ends among them; all if there are not more.
fn largest_triangles(points: &[Mark], kept: usize) -> Vec<Mark> {
    let (count, inner) = (points.len(), kept.saturating_sub(2));
    if count <= kept || inner == 0 {
        return points.to_vec();
    }
    // Bucket k of the points between the ends; the last end is a bucket of its own.
    let bounds = |k: usize| match k < inner {
        true => (1 + k * (count - 2) / inner)..(1 + (k + 1) * (count - 2) / inner),
        false => count - 1..count,
    };
    let mut chosen = vec![points[0]];
    for k in 0..inner {
        let from = chosen[chosen.len() - 1];
        let to = mean(&points[bounds(k + 1)]);
        let area = |mark: &Mark| {
            ((from.x - to.0) * (mark.y - from.y) - (from.x - mark.x) * (to.1 - from.y)).abs()
        };
        let bucket = points[bounds(k)].iter();
        chosen.extend(bucket.max_by(|a, b| area(a).total_cmp(&area(b))).copied());
    }
    chosen.push(points[count - 1]);
    chosen
}

fn mean(points: &[Mark]) -> (f64, f64) {
    #[expect(clippy::cast_precision_loss, reason = "points of a line")]
    let count = points.len() as f64;
    let sum = points.iter().fold((0.0, 0.0), |sum, mark| (sum.0 + mark.x, sum.1 + mark.y));
    (sum.0 / count, sum.1 / count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cell::RunCount, numbers::AtLeast};

    fn line(count: u32, y: impl Fn(f64) -> f64) -> Vec<Mark> {
        let run_count = RunCount { runs: 1, valid_runs: 1, violation: false };
        let mark = |x: u32| {
            let (x, y) = (f64::from(x), y(f64::from(x)));
            Mark {
                x,
                y,
                low: y,
                high: y,
                valid: true,
                run_count,
                values: 1,
                at_least: AtLeast::default(),
            }
        };
        (0..count).map(mark).collect()
    }

    #[test]
    fn a_peak_and_both_ends_outlast_thinning() {
        let points = line(1_000, |x| if x == 437.0 { 90.0 } else { (x / 100.0).sin() });
        let kept = largest_triangles(&points, 40);
        assert_eq!(kept.len(), 40);
        assert_eq!((kept[0], kept[39]), (points[0], points[999]));
        assert!(kept.contains(&points[437]));
        assert!(kept.windows(2).all(|pair| pair[0].x < pair[1].x));
    }

    #[test]
    fn few_points_all_stay() {
        let points = line(30, |x| x);
        assert_eq!(largest_triangles(&points, 30), points);
        assert_eq!(largest_triangles(&points, 100), points);
    }
}
