//! One run on a simulated cluster, with the clients, the phases and the verdicts of a real one.
//!
//! `generator` is the clients, `faults` what the workload's plan does to the cluster, `record`
//! makes the run's record and verdict of it all, `beyond` says what of it nobody measured,
//! `formulas` holds its latencies against what they should be. Invariant observers watch
//! throughout; what breaks a rule ends the run, which is then made once more with its last events
//! written down as evidence. Nothing here depends on the host: the same workload gives the same
//! files, byte for byte.

mod beyond;
mod faults;
pub mod formulas;
mod generator;
mod record;
#[cfg(test)]
mod tests;

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use measure::{Finding, Severity};
use protocols::{Replica, ReplicaId, ReplicaSet};
use sim::{Broken, Cluster, Costs, FaultPlan, Network, Simulation, Source, Storage, Violation};
use workload::{Run, Sites, Workload, fault::Action};

use self::{
    faults::Faults,
    generator::{Generator, nanoseconds},
    record::Seen,
};
use crate::{
    Ended, Stop,
    clients::{
        self,
        knee::{Climb, Made},
    },
    naming,
};

/// The delay between two replicas where no topology is given, as on the bare loopback of the real driver.
/// Chosen: about what a message between two idle processes takes there, over QUIC. No jitter is
/// added. All ways are equally long, so that no site's rounds are caught between those of others:
/// with a twentieth of the delay as jitter, median executions at 100 % conflicts grow by 1 to 4 %
/// at every site (N = 3 and 5, 1 to 16 clients per site, 4 seeds).
const LOOPBACK_ONE_WAY_NS: u64 = 50_000;
/// Chosen: so many round trips until a first leader has taken its place and is known, before the clients begin.
const ROUND_TRIPS_TO_BEGIN: u32 = 4;
/// Chosen: how long a cluster may take to come to rest, in simulated time, which costs little. Paxos' proposers, competing
/// from five continents, decide less than one command in a second.
const REST_TIMEOUT: Duration = Duration::from_secs(3_600);
/// Chosen: how much simulated time passes between two looks at whether the program is to end.
const SLICE_NS: u64 = 1_000_000_000;
/// Chosen: what fits on a few screens.
const EVIDENCE_LINES: usize = 500;

/// What restarted replicas come back with: their disk takes no time, and outlives their process.
const KEPT: Storage = Storage { synced: false, group_ns: 0..=0, log_bytes_kept: None };

/// What all runs of a command share.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// The workload file.
    pub workload: &'a Workload,
    /// The results directory.
    pub results: &'a Path,
    /// Are histories kept that are no evidence of anything?
    pub keep_history: bool,
    /// Is the program to end?
    pub halt: &'a AtomicBool,
    /// The command that makes the run again, for evidence.
    pub command: &'a str,
}

/// What one simulated run came to.
#[derive(Debug)]
pub struct Simulated {
    /// How it ended.
    pub ended: Ended,
    /// By site: the latency of every commit in the measured window of what came in there, in nanoseconds.
    pub commits_ns: Vec<Vec<u64>>,
    /// The rule that was broken, and where the evidence is.
    pub violation: Option<String>,
}

impl Made for Simulated {
    fn ended(&mut self) -> &mut Ended {
        &mut self.ended
    }
}

/// Carries out one run with the cores `R`, with all steps of its search if its rate is searched
/// for.
pub fn run<R: Replica>(setting: Setting<'_>, run: &Run) -> Simulated {
    let Some(search) = setting.workload.load.search else { return once::<R>(setting, run) };
    let mut climb = Climb::new(run, search);
    loop {
        if let Some(simulated) = climb.take(once::<R>(setting, &climb.next())) {
            return simulated;
        }
    }
}

/// Carries out one run at one rate.
fn once<R: Replica>(setting: Setting<'_>, run: &Run) -> Simulated {
    let phases = Phases { setting, run, sites: sites(setting.workload, run.point.replicas) };
    let mut simulation = phases.simulation::<R>(0);
    let mut seen = Seen::default();
    let ran = phases.run_phases(&mut simulation, &mut seen);
    let stem = naming::stem(run);
    let (mut broken, mut warnings) = (None, Vec::new());
    match ran {
        Ok(()) => {}
        Err(Halt::Asked) => {
            let stop = Some(Stop::Interrupted("a signal"));
            let ended = Ended { record: None, stop, under_load: true, witness: None, warnings };
            return Simulated { ended, commits_ns: Vec::new(), violation: None };
        }
        Err(Halt::Violation(violation)) => {
            seen.findings.push(record::finding(&violation));
            seen.agree = record::disagree(violation.breach.broken).then_some(false);
            broken = Some(phases.write_evidence::<R>(&violation, &stem));
            let now_ns = simulation.now_ns();
            simulation.tell_source(|load, _| load.give_up_all(now_ns));
        }
    }
    let mut load = simulation.into_source();
    let judged = std::mem::take(&mut load.history).judge();
    if setting.keep_history || judged.is_evidence() {
        let window = load.window_file();
        // The verdict stands without it.
        if let Err(error) = judged.keep(&setting.results.join("history"), &stem, Some(&window)) {
            warnings.push(format!("the history is not kept: {error}"));
        }
    }
    let mut commits_ns = std::mem::take(&mut load.commits_ns);
    for (of_site, report) in commits_ns.iter_mut().zip(&seen.replicas) {
        of_site.extend((0..report.commit.censored()).map(|_| formulas::NEVER_NS));
    }
    let witness = judged.witness.as_ref().map(ToString::to_string);
    let record = record::record(run, load, &judged, seen, setting.workload);
    Simulated {
        ended: Ended { record: Some(record), stop: None, under_load: true, witness, warnings },
        commits_ns,
        violation: broken,
    }
}

/// The sites of a cluster; on the bare loopback they have numbers for names.
fn sites(workload: &Workload, replicas: usize) -> Sites {
    workload.sites(replicas).unwrap_or_else(|| Sites {
        names: (0..replicas).map(|site| site.to_string()).collect(),
        one_way_ns: Network::uniform(replicas, LOOPBACK_ONE_WAY_NS).one_way_ns,
        jitter_ns: vec![vec![0; replicas]; replicas],
    })
}

/// Why a run does not go on.
enum Halt {
    Asked,
    Violation(Box<Violation>),
}

impl From<Box<Violation>> for Halt {
    fn from(violation: Box<Violation>) -> Self {
        Self::Violation(violation)
    }
}

/// The phases of a run.
struct Phases<'a> {
    setting: Setting<'a>,
    run: &'a Run,
    sites: Sites,
}

impl Phases<'_> {
    fn simulation<R: Replica>(&self, trace_lines_max: usize) -> Simulation<R, Generator> {
        let workload = self.setting.workload;
        let costs = costs(workload);
        let restarts =
            workload.faults.iter().any(|fault| matches!(fault.action, Action::Restart(_)));
        let cluster = Cluster {
            config: workload.config(&self.run.point),
            network: Network {
                one_way_ns: self.sites.one_way_ns.clone(),
                jitter_ns: self.sites.jitter_ns.clone(),
                // What real processes exchange is a stream between each two of them.
                in_order: true,
                loss: 0.0,
                duplicate: 0.0,
            },
            costs,
            seed: self.run.seed,
            storage: restarts.then_some(KEPT),
            counts_bytes: true,
            trace_lines_max,
        };
        let duration = Duration::from_secs_f64(workload.load.duration_s);
        let timeout = workload.timeouts().client;
        let is_kept = self.setting.keep_history;
        let load = Generator::new(self.run, &self.sites.names, (duration, timeout), is_kept);
        Simulation::new(&cluster, &FaultPlan::none(), load)
    }

    /// Everything from the start of the cluster to the comparison of its replicas.
    fn run_phases<R: Replica>(
        &self,
        simulation: &mut Simulation<R, Generator>,
        seen: &mut Seen,
    ) -> Result<(), Halt> {
        let workload = self.setting.workload;
        let replicas = self.run.point.replicas;
        let duration = Duration::from_secs_f64(workload.load.duration_s);
        let warm_up = Duration::from_secs_f64(workload.load.warmup_s);
        let begin = self.sites.round_trip_max() * ROUND_TRIPS_TO_BEGIN + Duration::from_millis(1);
        self.pass(simulation, nanoseconds(begin))?;
        simulation.tell_source(Generator::begin);
        let window_ns = nanoseconds(begin + warm_up);
        self.pass(simulation, window_ns)?;
        simulation.tell_source(|load, agenda| load.begin_window(agenda.now_ns));
        simulation.begin_measuring();
        let mut faults = Faults::new(self.run.seed);
        let end_ns = window_ns + nanoseconds(duration);
        let measured = self.measure(simulation, &mut faults, window_ns, end_ns);
        simulation.tell_source(|load, agenda| load.end_window(agenda.now_ns));
        simulation.end_measuring();
        seen.elapsed = simulation.source().measured();
        seen.replicas = record::reports(simulation, replicas);
        let waited = measured.and_then(|()| self.wait(simulation, end_ns));
        record::complete(simulation, &mut seen.replicas);
        let settled = waited.and_then(|()| self.settle(simulation, &mut faults, seen));
        seen.events = faults.events;
        settled
    }

    /// The measured window, with the faults that strike in it.
    fn measure<R: Replica>(
        &self,
        simulation: &mut Simulation<R, Generator>,
        faults: &mut Faults,
        window_ns: u64,
        end_ns: u64,
    ) -> Result<(), Halt> {
        for strike in &self.setting.workload.strikes() {
            self.pass(simulation, window_ns + strike.at_ns)?;
            faults.strike(strike, simulation, self.run.point.replicas)?;
        }
        self.pass(simulation, end_ns)
    }

    /// After the window: the load and the faults go on until everything is answered or given up that was due in it, or the
    /// bound is reached. Then the sending ends.
    fn wait<R: Replica>(
        &self,
        simulation: &mut Simulation<R, Generator>,
        end_ns: u64,
    ) -> Result<(), Halt> {
        let bound_ns = end_ns + nanoseconds(clients::wait_max(self.setting.workload));
        let mut waited = Ok(());
        while waited.is_ok() && !simulation.source().is_done() && simulation.now_ns() < bound_ns {
            let slice_ns = bound_ns.min(simulation.now_ns() + SLICE_NS);
            waited = simulation.run_until_done(slice_ns).map_err(Halt::from);
            waited = waited.and_then(|()| self.halted());
        }
        simulation.tell_source(|load, agenda| load.end_load(agenda.now_ns));
        waited
    }

    /// After that: the faults end, what is outstanding is answered, the last values are read back, the replicas are compared.
    fn settle<R: Replica>(
        &self,
        simulation: &mut Simulation<R, Generator>,
        faults: &mut Faults,
        seen: &mut Seen,
    ) -> Result<(), Halt> {
        let replicas = self.run.point.replicas;
        faults.end(simulation, replicas, self.setting.workload.load.duration_s)?;
        let timeout_ns = nanoseconds(self.setting.workload.timeouts().client);
        self.drain(simulation, timeout_ns)?;
        let living: ReplicaSet =
            ReplicaId::all(replicas).filter(|replica| !faults.down.contains(*replica)).collect();
        self.wait_until_quiescent(simulation)?;
        // One after the other: time costs nothing, and Paxos' proposers would be in each other's way.
        for replica in living.iter() {
            simulation.tell_source(|load, agenda| load.read_back(replica, agenda));
            self.drain(simulation, 2 * timeout_ns)?;
        }
        seen.agree = self.compare(simulation, living, &mut seen.findings)?;
        if !faults.down.is_empty() {
            let down: Vec<String> = faults.down.iter().map(|replica| replica.to_string()).collect();
            seen.findings.push(Finding {
                severity: Severity::Warning,
                text: format!("stayed down, and was not compared: {}", down.join(" ")),
                advice: "restart it in the fault plan to compare all".to_owned(),
            });
        }
        Ok(())
    }

    /// Waits for what is outstanding, at most so long; what is left then is given up.
    fn drain<R: Replica>(
        &self,
        simulation: &mut Simulation<R, Generator>,
        timeout_ns: u64,
    ) -> Result<(), Halt> {
        simulation.run_until_done(simulation.now_ns() + timeout_ns)?;
        let now_ns = simulation.now_ns();
        simulation.tell_source(|load, _| load.give_up_all(now_ns));
        self.halted()
    }

    /// Lets the living replicas come to rest, in equal states; false if they do not.
    fn wait_until_quiescent<R: Replica>(
        &self,
        simulation: &mut Simulation<R, Generator>,
    ) -> Result<bool, Halt> {
        let deadline_ns = simulation.now_ns() + nanoseconds(REST_TIMEOUT);
        let look_every_ns = nanoseconds(self.setting.workload.timeouts().replica.retransmit);
        while !simulation.are_quiescent() {
            let now_ns = simulation.now_ns();
            if now_ns >= deadline_ns {
                return Ok(false);
            }
            self.pass(simulation, deadline_ns.min(now_ns + look_every_ns))?;
        }
        Ok(true)
    }

    /// Compares the states of the living replicas and their orders of execution.
    fn compare<R: Replica>(
        &self,
        simulation: &mut Simulation<R, Generator>,
        living: ReplicaSet,
        findings: &mut Vec<Finding>,
    ) -> Result<Option<bool>, Halt> {
        if self.wait_until_quiescent(simulation)? {
            return Ok(Some(true));
        }
        let busy = |replica: &ReplicaId| {
            simulation
                .status(*replica)
                .is_some_and(|status| status.unexecuted + status.undecided > 0)
        };
        let busy: Vec<String> = living.iter().filter(busy).map(|id| id.to_string()).collect();
        if busy.is_empty() {
            let digests: Vec<String> = living
                .iter()
                .map(|replica| format!("{replica}: {:?}", simulation.digest(replica)))
                .collect();
            return Err(simulation.broken(Broken::Equality, digests.join("; ")).into());
        }
        findings.push(Finding {
            severity: Severity::Invalid,
            text: format!(
                "the replicas did not come to rest within {} simulated seconds and were not compared: {} still have \
                 work",
                REST_TIMEOUT.as_secs(),
                busy.join(" ")
            ),
            advice: "lower the load".to_owned(),
        });
        Ok(None)
    }

    /// Lets time pass until `at_ns`.
    fn pass<R: Replica>(
        &self,
        simulation: &mut Simulation<R, Generator>,
        at_ns: u64,
    ) -> Result<(), Halt> {
        while simulation.now_ns() < at_ns {
            self.halted()?;
            let slice_ns = at_ns.min(simulation.now_ns() + SLICE_NS);
            simulation.run_until(slice_ns)?;
        }
        Ok(())
    }

    fn halted(&self) -> Result<(), Halt> {
        if self.setting.halt.load(Ordering::Relaxed) { Err(Halt::Asked) } else { Ok(()) }
    }

    /// Makes the run once more for its last events, and writes them down; says what was broken and where to look.
    fn write_evidence<R: Replica>(&self, violation: &Violation, stem: &str) -> String {
        let mut again = self.simulation::<R>(EVIDENCE_LINES);
        let traced = match self.run_phases(&mut again, &mut Seen::default()) {
            Err(Halt::Violation(traced)) => traced,
            // Only if the program is to end meanwhile.
            _ => Box::new(violation.clone()),
        };
        let file = self.setting.results.join(format!("evidence-{stem}.txt"));
        let again = format!("again: {}", self.setting.command);
        let place = match fs::write(&file, format!("{traced}\n{again}\n")) {
            Ok(()) => format!("its last events are in {}", file.display()),
            Err(error) => format!("its last events could not be written: {error}"),
        };
        format!(
            "{:?} broken: {}; {place}; {again}",
            violation.breach.broken, violation.breach.detail
        )
    }
}

/// The workload's costs in whole units.
fn costs(workload: &Workload) -> Costs {
    let Some(sim) = workload.sim else { return Costs::NONE };
    #[expect(clippy::cast_possible_truncation, reason = "ranges are checked at load")]
    #[expect(clippy::cast_sign_loss, reason = "ranges are checked at load")]
    let whole = |number: f64| number.round() as u64;
    Costs {
        cpu_ns_per_wakeup: whole(sim.cpu_us_per_wakeup * 1e3),
        cpu_ns_per_message: whole(sim.cpu_us_per_message * 1e3),
        cpu_ps_per_byte: whole(sim.cpu_ns_per_byte * 1e3),
        cpu_ns_per_command: whole(sim.cpu_us_per_command * 1e3),
        cpu_ns_per_ordering_step: whole(sim.cpu_us_per_ordering_step * 1e3),
        nic_bits_per_s: whole(sim.nic_mbit_per_s * 1e6),
    }
}
