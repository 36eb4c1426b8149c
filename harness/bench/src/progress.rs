//! The progress bar on standard error: which run, what it does, how long it all takes.

use std::{
    cell::{Cell, RefCell},
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use run::Progress as _;

/// Chosen: often enough to look alive, too seldom to take CPU from what is measured.
const DRAWS_PER_S: u8 = 4;

/// A bar over all runs; nothing at all where standard error is no terminal.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    runs: usize,
    /// The run that is under way, for people.
    what: RefCell<String>,
    /// What one run takes: planned, then as seen.
    run: Cell<Duration>,
    done: Cell<usize>,
    run_started: Cell<Instant>,
    started: Instant,
}

impl Progress {
    /// A bar over `runs` runs that take about `run` each.
    pub(crate) fn new(runs: usize, run: Duration, quiet: bool) -> Self {
        let target = if quiet || !io::stderr().is_terminal() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr_with_hz(DRAWS_PER_S)
        };
        let bar = ProgressBar::with_draw_target(Some(1_000), target);
        let style = ProgressStyle::with_template("{wide_bar} {prefix}  {msg}")
            .expect("the template is a constant");
        bar.set_style(style.progress_chars("━╸─"));
        let now = Instant::now();
        Self {
            bar,
            runs,
            what: RefCell::default(),
            run: Cell::new(run),
            done: Cell::new(0),
            run_started: Cell::new(now),
            started: now,
        }
    }

    /// The next run begins.
    pub(crate) fn begin(&self, what: &str) {
        self.run_started.set(Instant::now());
        let what = format!("{}/{} {what}", self.done.get() + 1, self.runs);
        self.what.replace(what.clone());
        self.bar.set_prefix(what);
        self.phase("starting");
    }

    /// The run has ended.
    pub(crate) fn end(&self) {
        self.done.set(self.done.get() + 1);
        let done = u32::try_from(self.done.get()).unwrap_or(u32::MAX);
        self.run.set(self.started.elapsed() / done);
        self.phase("done");
    }

    /// Prints a line or more on standard error, above the bar.
    pub(crate) fn say(&self, text: &str) {
        self.bar.suspend(|| eprintln!("{text}"));
    }

    /// Takes the bar away, so that other lines can be printed.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn left(&self) -> Duration {
        let rest = u32::try_from(self.runs - self.done.get()).unwrap_or(u32::MAX);
        let of_this = self.run_started.get().elapsed().min(self.run.get());
        (self.run.get() * rest).saturating_sub(of_this)
    }

    fn permille(&self) -> u64 {
        let (passed, left) = (self.started.elapsed().as_secs_f64(), self.left().as_secs_f64());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0..=1000")]
        let permille = (1e3 * passed / (passed + left).max(1e-9)) as u64;
        permille
    }
}

impl run::Progress for Progress {
    fn step(&self, number: u32, rate_ops_per_s: f64) {
        let run = self.what.borrow();
        let step = format!("{run}, step {number}: {rate_ops_per_s} ops/s");
        self.bar.set_prefix(step);
        self.phase("starting");
    }

    fn phase(&self, phase: &'static str) {
        self.bar.set_message(format!("{phase}, {} left", short(self.left())));
        self.bar.set_position(self.permille());
    }
}

/// A duration for people: 42 s, 3 min 5 s, 2 h 10 min.
pub(crate) fn short(duration: Duration) -> String {
    let s = duration.as_secs_f64().ceil();
    let (minutes, hours) = ((s / 60.0).floor(), (s / 3600.0).floor());
    if s < 60.0 {
        format!("{s} s")
    } else if hours < 1.0 {
        format!("{minutes} min {} s", s - 60.0 * minutes)
    } else {
        format!("{hours} h {} min", minutes - 60.0 * hours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        let texts = [0.2, 59.0, 60.0, 185.0, 7800.0].map(|s| short(Duration::from_secs_f64(s)));
        assert_eq!(texts, ["1 s", "59 s", "1 min 0 s", "3 min 5 s", "2 h 10 min"]);
    }
}
