//! Whether the fault plan leaves the time that a promise of `[returns]` is about.

use crate::{
    document::Document,
    error::LoadError,
    fault::{Action, Links},
    model::Workload,
    schedule::Strike,
};

/// What throughput is averaged over at least: `measure::RETURN_OVER_S`.
/// chosen: there.
const OVER_S: f64 = 1.0;

/// Refuses a promise that nothing could break or keep.
pub(super) fn together(document: &Document, workload: &Workload) -> Result<(), LoadError> {
    const WITHIN: &str = "returns.within_s";
    let Some(returns) = workload.returns else { return Ok(()) };
    if workload.load.search.is_some() {
        let remedy = "goes without rate_ops_per_s = \"max\": a search changes the throughput";
        return Err(document.error(WITHIN, remedy));
    }
    let strikes = workload.strikes();
    let Some(first) = strikes.first().filter(|_| strikes.iter().any(ends)) else {
        let remedy = "goes with faults that end: add resume, heal, restart, slow with factor 1 or links that are whole";
        return Err(document.error(WITHIN, remedy));
    };
    let at_s = |strike: &Strike<'_>| strike.at_ns as f64 / 1e9;
    if at_s(first) < OVER_S {
        let key = format!("faults[{}].at_s", first.entry);
        let remedy =
            format!("must be at least {OVER_S}: [returns] compares with the throughput before");
        return Err(document.origin.error(&key, None, remedy));
    }
    let needed_s = returns.within_s + OVER_S;
    for (place, strike) in strikes.iter().enumerate().filter(|(_, strike)| ends(strike)) {
        let next = strikes[place..].iter().find(|next| !ends(next));
        let next_s = next.map_or(workload.load.duration_s, at_s);
        let left_s = next_s - at_s(strike);
        // Times are fractions of a second, added up.
        if left_s + 1e-6 < needed_s {
            let until = if next.is_some() { "the next one" } else { "load.duration_s" };
            let remedy = format!(
                "the fault that ends at {} s has {} s until {until}: it needs within_s and {OVER_S} s to measure, {needed_s} s",
                at_s(strike),
                (left_s * 1e3).round() / 1e3,
            );
            return Err(document.error(WITHIN, remedy));
        }
    }
    Ok(())
}

/// Is it the end of a fault?
fn ends(strike: &Strike<'_>) -> bool {
    match strike.action {
        Action::Restart(_) | Action::Resume(_) | Action::Heal => true,
        Action::Slow(slow) => slow.factor == 1.0,
        Action::Links(links) => are_whole(links),
        Action::Kill(_) | Action::Pause(_) | Action::Partition(_) => false,
    }
}

fn are_whole(links: &Links) -> bool {
    let Links { loss_rate, duplicate_rate, delay_ms, jitter_ms, reorder_rate, .. } = links;
    let given = [loss_rate, duplicate_rate, delay_ms, jitter_ms, reorder_rate];
    let given = given.into_iter().chain([&links.bandwidth_mbit_per_s]);
    given.flatten().all(|figure| *figure == 0.0)
}
