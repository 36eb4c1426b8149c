//! The runs of a plan on simulated clusters: as many at once as there are cores, since none disturbs another, and taken
//! down in the plan's order.

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use run::{
    Progress as _, Stop,
    simulated::{Setting, Simulated},
};
use tokio::{
    runtime::Builder,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};
use workload::Plan;

use super::{Tried, run_name};
use crate::{
    commands::seeds,
    exit::{self, Failure},
    progress::Progress,
    registry,
};

/// What is done with each run, in the plan's order.
pub(super) trait Taker {
    /// Takes down what became of the run with this number.
    ///
    /// # Errors
    /// If it cannot be written.
    fn take(
        &mut self,
        index: usize,
        simulated: Simulated,
        tried: &mut Tried,
    ) -> Result<(), Failure>;
}

/// Makes the runs of `plan`, until all are done or a signal asks for the end.
pub(super) fn run_all(
    plan: &Plan,
    setting: Setting<'_>,
    halt: &AtomicBool,
    progress: &Progress,
    taker: &mut impl Taker,
) -> Result<Tried, Failure> {
    seeds::silence_simulated_panics();
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start the runtime: {error}")))?;
    let next = AtomicUsize::new(0);
    let (done_in, done) = unbounded_channel();
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    thread::scope(|scope| {
        for _ in 0..cores.min(plan.runs.len()) {
            let (next, done_in) = (&next, done_in.clone());
            scope.spawn(move || work(plan, setting, next, &done_in));
        }
        drop(done_in);
        let collected = runtime.block_on(collect(plan, done, halt, progress, taker));
        // Whatever ended the collecting, no thread goes on for long.
        halt.store(true, Ordering::Relaxed);
        collected
    })
}

/// One thread: takes the next run until there is none.
fn work(
    plan: &Plan,
    setting: Setting<'_>,
    next: &AtomicUsize,
    done: &UnboundedSender<(usize, Simulated)>,
) {
    while !setting.halt.load(Ordering::Relaxed) {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let Some(run) = plan.runs.get(index) else { return };
        let simulated = seeds::simulating(|| (registry::of(run.protocol).simulate)(setting, run));
        if done.send((index, simulated)).is_err() {
            return;
        }
    }
}

/// Takes down what the threads bring, each run when all before it are there; watches for signals meanwhile.
async fn collect(
    plan: &Plan,
    mut done: UnboundedReceiver<(usize, Simulated)>,
    halt: &AtomicBool,
    progress: &Progress,
    taker: &mut impl Taker,
) -> Result<Tried, Failure> {
    let mut interrupt = exit::signals()?;
    let mut tried = Tried::default();
    let mut waiting = BTreeMap::new();
    let mut next = 0;
    let mut is_whole = true;
    if let Some(run) = plan.runs.first() {
        progress.begin(&run_name(run));
    }
    loop {
        tokio::select! {
            signal = interrupt.raised(), if tried.stop.is_none() => {
                tried.stop = Some((String::new(), Stop::Interrupted(signal)));
                halt.store(true, Ordering::Relaxed);
            }
            run = done.recv() => {
                let Some((index, simulated)) = run else { return Ok(tried) };
                waiting.insert(index, simulated);
                while let Some(simulated) = waiting.remove(&next) {
                    // A run that was halted has nothing to take down, and what another thread made of a later one is left
                    // out, too: what is there is the plan's beginning, so that it can be resumed.
                    is_whole &= simulated.ended.record.is_some();
                    if is_whole {
                        taker.take(next, simulated, &mut tried)?;
                    }
                    next += 1;
                    progress.end();
                    if let Some(run) = plan.runs.get(next) {
                        progress.begin(&run_name(run));
                        progress.phase("simulating");
                    }
                }
            }
        }
    }
}
