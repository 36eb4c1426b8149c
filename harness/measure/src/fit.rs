//! What each of a few kinds of work costs, from samples that mix them: least squares without negative costs.

/// How often each kind of work was done, and what all of it cost together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mixture<const N: usize> {
    /// By kind.
    pub counts: [f64; N],
    /// Above 0.
    pub cost: f64,
}

/// What one of each kind costs, and how well that explains the samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit<const N: usize> {
    /// By kind; none is negative.
    pub costs: [f64; N],
    /// The root of the mean squared error of a sample's cost, as a share of it.
    pub error_rms: f64,
    /// The largest error of a sample's cost, as a share of it.
    pub error_max: f64,
}

/// The costs with the least squared relative error: a sample of much work counts no more than one of little.
///
/// None if the samples do not tell the kinds apart, or there are fewer than kinds. A kind whose cost would be negative is
/// left out, in the combination that explains the samples best; with so few kinds every combination is tried.
pub fn fit<const N: usize>(samples: &[Mixture<N>]) -> Option<Fit<N>> {
    let all: u32 = (1 << N) - 1;
    // Samples that do not determine all kinds determine no part of them either.
    solve(samples, all)?;
    (1..=all)
        .filter_map(|kinds| solve(samples, kinds))
        .filter(|costs| costs.iter().all(|cost| *cost >= 0.0))
        .map(|costs| explained(samples, costs))
        .min_by(|one, other| one.error_rms.total_cmp(&other.error_rms))
}

fn explained<const N: usize>(samples: &[Mixture<N>], costs: [f64; N]) -> Fit<N> {
    let errors = samples.iter().map(|sample| {
        let predicted: f64 =
            sample.counts.iter().zip(&costs).map(|(count, cost)| count * cost).sum();
        (predicted / sample.cost - 1.0).abs()
    });
    let squares: f64 = errors.clone().map(|error| error * error).sum();
    Fit {
        costs,
        error_rms: (squares / samples.len() as f64).sqrt(),
        error_max: errors.fold(0.0, f64::max),
    }
}

/// The costs of `kinds`, a bit each, the others taken to cost nothing; none if the samples do not determine them.
fn solve<const N: usize>(samples: &[Mixture<N>], kinds: u32) -> Option<[f64; N]> {
    let included: Vec<usize> = (0..N).filter(|kind| kinds & (1 << kind) != 0).collect();
    // Counts of messages and of bytes differ by orders of magnitude: each kind is measured in its own mean.
    let mean = |kind: usize| {
        let relative = samples.iter().map(|sample| sample.counts[kind] / sample.cost);
        relative.sum::<f64>() / samples.len() as f64
    };
    let means: Vec<f64> = included.iter().map(|kind| mean(*kind)).collect();
    let size = included.len();
    let mut equations = vec![vec![0.0; size + 1]; size];
    for sample in samples {
        let scaled = included.iter().zip(&means);
        let row: Vec<f64> =
            scaled.map(|(kind, mean)| sample.counts[*kind] / sample.cost / mean).collect();
        for (equation, one) in equations.iter_mut().zip(&row) {
            for (cell, other) in equation.iter_mut().zip(row.iter().chain([&1.0])) {
                *cell += one * other / samples.len() as f64;
            }
        }
    }
    let solved = eliminated(equations)?;
    let mut costs = [0.0; N];
    for ((kind, mean), cost) in included.iter().zip(&means).zip(solved) {
        costs[*kind] = cost / mean;
    }
    Some(costs)
}

/// Chosen: relative to counts in their own mean; below it rounding decides.
const PIVOT_MIN: f64 = 1e-9;

/// Solves the equations, each with its right-hand side last, by elimination; none if they determine nothing.
fn eliminated(mut equations: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let size = equations.len();
    for column in 0..size {
        let size_of = |row: &usize| equations[*row][column].abs();
        let pivot = (column..size).max_by(|one, other| size_of(one).total_cmp(&size_of(other)))?;
        // Not a number where a kind never occurs.
        if equations[pivot][column].abs().partial_cmp(&PIVOT_MIN)
            != Some(std::cmp::Ordering::Greater)
        {
            return None;
        }
        equations.swap(column, pivot);
        let pivot = equations[column].clone();
        for (row, equation) in equations.iter_mut().enumerate() {
            let factor = equation[column] / pivot[column];
            if row != column {
                equation.iter_mut().zip(&pivot).for_each(|(cell, of)| *cell -= factor * of);
            }
        }
    }
    Some(
        equations
            .iter()
            .enumerate()
            .map(|(row, equation)| equation[size] / equation[row])
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixtures(costs: [f64; 3]) -> Vec<Mixture<3>> {
        let counts = [
            [100.0, 1_000.0, 60_000.0],
            [900.0, 1_000.0, 900_000.0],
            [10.0, 5_000.0, 7_000.0],
            [500.0, 600.0, 80_000_000.0],
            [70.0, 80.0, 500.0],
        ];
        let total =
            |counts: [f64; 3]| counts.iter().zip(costs).map(|(count, cost)| count * cost).sum();
        counts.map(|counts| Mixture { counts, cost: total(counts) }).to_vec()
    }

    #[test]
    fn exact_samples_give_their_costs_back() {
        let costs = [12_000.0, 450.0, 0.9];
        let fit = fit(&mixtures(costs)).unwrap();
        for (found, cost) in fit.costs.iter().zip(costs) {
            assert!((found / cost - 1.0).abs() < 1e-6, "{found} for {cost}");
        }
        assert!(fit.error_max < 1e-6 && fit.error_rms <= fit.error_max);
    }

    #[test]
    fn no_cost_is_negative_and_the_others_make_the_best_of_it() {
        let mut samples = mixtures([12_000.0, 450.0, 0.0]);
        // The more bytes, the less it seems to cost.
        samples[3].cost *= 0.9;
        samples[1].cost *= 0.99;
        let fit = fit(&samples).unwrap();
        assert!(fit.costs.iter().all(|cost| *cost >= 0.0), "{fit:?}");
        assert_eq!(fit.costs[2], 0.0);
        assert!(fit.error_max > 0.01 && fit.error_rms < fit.error_max, "{fit:?}");
        // No neighbour explains more.
        for kind in 0..2 {
            for factor in [0.99, 1.01] {
                let mut costs = fit.costs;
                costs[kind] *= factor;
                assert!(explained(&samples, costs).error_rms > fit.error_rms);
            }
        }
    }

    #[test]
    fn what_samples_do_not_tell_apart_is_not_guessed() {
        let twice = |counts: [f64; 2]| Mixture { counts, cost: 3.0 * counts[0] };
        assert_eq!(fit(&[twice([1.0, 2.0]), twice([10.0, 20.0]), twice([7.0, 14.0])]), None);
        assert_eq!(fit(&[twice([1.0, 2.0])]), None, "one sample, two kinds");
        assert_eq!(fit(&[twice([1.0, 0.0]), twice([2.0, 0.0])]), None, "a kind that never occurs");
        assert_eq!(fit::<2>(&[]), None);
    }
}
