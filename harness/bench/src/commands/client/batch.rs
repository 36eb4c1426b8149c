//! `bench client batch-put`: many puts, many at a time.

use std::{
    fmt::Write,
    process::ExitCode,
    time::{Duration, Instant},
};

use cluster::caller::{Caller, End, Ended, Order, Value};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use measure::Histogram;
use protocols::{Outcome, ReplicaId};

use super::Setting;
use crate::{
    cli::client::BatchArguments,
    exit::{self, FAILED, Failure},
    output,
};

pub(super) async fn run(
    setting: &Setting,
    arguments: &BatchArguments,
) -> Result<ExitCode, Failure> {
    let mut interrupt = exit::signals()?;
    let mut caller = setting.caller()?;
    let seed = match arguments.seed {
        Some(seed) => seed,
        None => super::client_id()?.0,
    };
    let bar = bar(arguments);
    let mut outcomes = Outcomes::default();
    caller.connect().await;
    let started = Instant::now();
    let all = put_all(setting, arguments, seed, &mut caller, &mut outcomes, &bar);
    let interrupted = tokio::select! {
        biased;
        signal = interrupt.raised() => Some(signal),
        () = all => None,
    };
    let took = started.elapsed();
    bar.finish_and_clear();
    outcomes.unknown += caller.outstanding() as u64;
    output::print(&summary(arguments, &outcomes, seed, took))?;
    if let Some(signal) = interrupted {
        return Err(Failure::failed(format!("interrupted ({signal})")));
    }
    Ok(if outcomes.done == arguments.puts { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

async fn put_all(
    setting: &Setting,
    arguments: &BatchArguments,
    seed: u64,
    caller: &mut Caller,
    outcomes: &mut Outcomes,
    bar: &ProgressBar,
) {
    let mut draw = Draw(seed);
    let mut begun = 0;
    let mut heard = Instant::now();
    while begun < arguments.puts || caller.outstanding() > 0 {
        if heard.elapsed() >= setting.policy.timeout {
            // Nobody has answered for as long as one command may take: the others would fare no better.
            outcomes.not_sent += arguments.puts - begun;
            begun = arguments.puts;
        }
        while begun < arguments.puts
            && caller.outstanding() < arguments.pipeline
            && caller.has_room()
        {
            caller.begin(order(setting, arguments, begun, &mut draw));
            begun += 1;
        }
        for ended in caller.next().await {
            if let End::Answered(_) = ended.end {
                heard = Instant::now();
            }
            outcomes.count(&ended);
        }
        bar.set_position(outcomes.ended());
        if outcomes.unknown + outcomes.refused > 0 {
            bar.set_message(format!("{} failed", outcomes.unknown + outcomes.refused));
        }
    }
}

/// Put number `index`.
fn order(setting: &Setting, arguments: &BatchArguments, index: u64, draw: &mut Draw) -> Order {
    let key =
        if arguments.random_key { draw.below(arguments.keys) } else { index % arguments.keys };
    let replicas = setting.description.replicas() as u64;
    let to = if arguments.random_server {
        let place = usize::try_from(draw.below(replicas)).expect("a replica's number is small");
        ReplicaId::from_index(place)
    } else {
        let turn = index % setting.servers.len() as u64;
        setting.servers[usize::try_from(turn).expect("below the number of replicas")]
    };
    let value = Some(Value::Number(index, arguments.value_bytes));
    Order { key: format!("key-{key}").into_bytes(), value, to, pinned: false }
}

/// A stream of numbers that a seed decides (SplitMix64).
#[derive(Debug)]
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // The product's upper half is uniform below the bound, as nearly as anybody will see.
        let product = u128::from(z ^ (z >> 31)) * u128::from(bound);
        u64::try_from(product >> 64).expect("below the bound")
    }
}

/// What became of the puts.
#[derive(Debug, Default)]
struct Outcomes {
    latency: Histogram,
    done: u64,
    refused: u64,
    not_sent: u64,
    unknown: u64,
    /// Puts that were sent more than once, and how often they were sent again.
    retried: u64,
    retries: u64,
}

impl Outcomes {
    fn count(&mut self, ended: &Ended) {
        match &ended.end {
            End::Answered(Outcome::Done | Outcome::Forgotten) => {
                self.done += 1;
                let ns = u64::try_from(ended.took.as_nanos()).unwrap_or(u64::MAX);
                self.latency.record_ns(ns);
            }
            End::Answered(_) | End::Refused(_) => self.refused += 1,
            End::NotSent => self.not_sent += 1,
            End::Unknown => self.unknown += 1,
        }
        self.retried += u64::from(ended.retries > 0);
        self.retries += u64::from(ended.retries);
    }

    const fn ended(&self) -> u64 {
        self.done + self.refused + self.not_sent + self.unknown
    }
}

fn summary(arguments: &BatchArguments, outcomes: &Outcomes, seed: u64, took: Duration) -> String {
    let s = took.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "to be read by people")]
    let rate = outcomes.done as f64 / s.max(1e-9);
    let mut text = format!(
        "{} of {} puts done in {s:.2} s: {rate:.0} per second\n",
        outcomes.done, arguments.puts
    );
    let keys = match arguments.keys {
        1 => "key-0".to_owned(),
        keys => format!("key-0 … key-{}", keys - 1),
    };
    let _ = writeln!(text, "  keys     {keys}, values of {} bytes", arguments.value_bytes);
    let percentile = |name: &str, us: Option<f64>| us.map(|us| format!("{name} {:.2}", us / 1e3));
    let latency = [
        percentile("p50", outcomes.latency.percentile_us(50.0)),
        percentile("p90", outcomes.latency.percentile_us(90.0)),
        percentile("p99", outcomes.latency.percentile_us(99.0)),
        percentile("max", outcomes.latency.max_us()),
    ];
    let latency: Vec<String> = latency.into_iter().flatten().collect();
    if !latency.is_empty() {
        let _ = writeln!(text, "  latency  {}, in ms", latency.join(", "));
    }
    match (outcomes.retried, outcomes.retries) {
        (0, _) => text.push_str("  retried  none\n"),
        (puts, times) => {
            let _ = writeln!(text, "  retried  {puts} puts, {times} times in all");
        }
    }
    if outcomes.refused > 0 {
        let _ = writeln!(text, "  refused  {}, which did not happen", outcomes.refused);
    }
    if outcomes.not_sent > 0 {
        let _ = writeln!(text, "  not sent {}, which did not happen", outcomes.not_sent);
    }
    if outcomes.unknown > 0 {
        let _ = writeln!(text, "  unknown  {}, each of which may have happened", outcomes.unknown);
    }
    if arguments.random_key || arguments.random_server {
        let _ = writeln!(text, "  seed     {seed}");
    }
    text
}

fn bar(arguments: &BatchArguments) -> ProgressBar {
    use std::io::IsTerminal;
    let target = if arguments.quiet || !std::io::stderr().is_terminal() {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr_with_hz(10)
    };
    let bar = ProgressBar::with_draw_target(Some(arguments.puts), target);
    let rate = |state: &ProgressState, out: &mut dyn Write| {
        // A line of a progress bar that cannot be drawn is no loss.
        let _ = write!(out, "{:.0}/s", state.per_sec());
    };
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len}  {rate}  {eta} left  {msg}")
        .expect("the template is a constant")
        .with_key("rate", rate);
    bar.set_style(style.progress_chars("━╸─"));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_what_is_drawn_and_everything_is_drawn() {
        let draws = |seed| {
            let mut draw = Draw(seed);
            (0..1_000).map(|_| draw.below(7)).collect::<Vec<_>>()
        };
        assert_eq!(draws(1), draws(1));
        assert_ne!(draws(1), draws(2));
        for number in 0..7 {
            assert!(draws(1).iter().filter(|drawn| **drawn == number).count() > 100, "{number}");
        }
    }
}
