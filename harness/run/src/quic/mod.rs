//! One run on a real cluster: replica processes over QUIC on this host or on several, clients in
//! this process.
//!
//! * `fleet` starts and ends the replicas, on this host, or over a line to the agent of each host
//!   (`remote`).
//! * `cluster` waits until they are connected, and opens operator lines to them.
//! * `faults` carries out the fault plan; `network_updates` tells each replica how the emulated
//!   `network` changes.
//! * `generator` offers the load over sessions, in the order of their `grid`.
//! * `hosts` works out what share of the hosts' CPUs was busy, or others', or throttled.
//! * `compare` compares the replicas afterwards, and `record` makes the run's record and
//!   verdict of it all.
//! * `watch` ends a run before its time.
//! * `tamper` falsifies answers for tests, in builds with debug assertions alone.

mod cluster;
mod compare;
mod faults;
mod fleet;
mod generator;
mod grid;
mod hosts;
mod network;
mod network_updates;
mod record;
mod remote;
mod tamper;
mod watch;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use driver::storage::Durability;
use futures_util::future::join_all;
use measure::ReplicaReport;
use node::{control::Control, interrupt::Interrupt};
use protocols::{ReplicaId, ReplicaSet};
use workload::{
    Run, Strike, Workload,
    fault::{Action, Target},
};

use self::{
    cluster::{Cluster, Controls, Look},
    faults::Faults,
    fleet::Spec,
    generator::Generator,
    record::{Clocks, Seen},
    watch::Watch,
};

pub use self::fleet::Hosts;
use crate::{
    Ended, Error, Progress, Stop,
    clients::{self, knee::Climb},
    naming,
};

/// Chosen: how long the living replicas may take to report when a run is cut short.
const LAST_REPORT_TIMEOUT: Duration = Duration::from_millis(500);

/// What all runs of a command share.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// The workload file.
    pub workload: &'a Workload,
    /// Where the cluster's credentials are.
    pub credentials: &'a Path,
    /// The results directory.
    pub results: &'a Path,
    /// Where the replicas log.
    pub logs: &'a Path,
    /// Are histories kept that are no evidence of anything?
    pub keep_history: bool,
    /// The hosts of the replicas; none if all are on this one.
    pub hosts: Option<Hosts<'a>>,
}

/// Carries out one run, with all steps of its search if its rate is searched for.
pub async fn run(
    setting: Setting<'_>,
    run: &Run,
    interrupt: &mut Interrupt,
    progress: &dyn Progress,
) -> Ended {
    let Some(search) = setting.workload.load.search else {
        return once(setting, run, interrupt, progress).await;
    };
    let mut climb = Climb::new(run, search);
    loop {
        let step = climb.next();
        progress.step(step.step.unwrap_or_default(), step.point.open_rate().unwrap_or_default());
        if let Some(ended) = climb.take(once(setting, &step, interrupt, progress).await) {
            return ended;
        }
    }
}

async fn once(
    setting: Setting<'_>,
    run: &Run,
    interrupt: &mut Interrupt,
    progress: &dyn Progress,
) -> Ended {
    let unmeasured = |stop| Ended::unmeasured(stop, false);
    let stem = naming::stem(run);
    let data = match setting.data_of(run, &stem) {
        Ok(data) => data,
        Err(error) => return unmeasured(error.into()),
    };
    let spec = Spec {
        protocol: run.protocol,
        configs: ReplicaId::all(run.point.replicas)
            .map(|replica| setting.workload.config_of(run.protocol, &run.point, replica))
            .collect(),
        credentials: setting.credentials,
        logs: setting.logs,
        stem: stem.clone(),
        durability: durability(run.point.durability),
        data: data.as_deref(),
        network: network::plan(setting.workload, run),
        lab: setting.hosts,
    };
    let cluster = tokio::select! {
        biased;
        signal = interrupt.raised() => return unmeasured(Stop::Interrupted(signal)),
        cluster = Cluster::start(&spec) => match cluster {
            Ok(cluster) => cluster,
            Err(stop) => return unmeasured(stop),
        },
    };
    let Cluster { mut fleet, mut lines, controls, sessions } = cluster;
    let duration = Duration::from_secs_f64(setting.workload.load.duration_s);
    let client_timeout = setting.workload.timeouts().client;
    let times = (duration, client_timeout);
    let load = match Generator::new(run, sessions, times, setting.keep_history) {
        Ok(load) => load,
        Err(error) => return unmeasured(Error::Timer(error).into()),
    };
    let mut watch = Watch { fleet: &mut fleet, interrupt, progress };
    let evidence = setting.results.join(format!("evidence-{stem}.json"));
    let phases = Phases { setting, run, controls: &controls, client_timeout, evidence: &evidence };
    let ran = phases.run_phases(load, &mut lines, &mut watch).await;
    let is_evidence = !matches!(&ran, Ok((_, seen)) if seen.is_in_order());
    let remarks = fleet.shut_down(lines, is_evidence).await;
    let (mut load, mut seen) = match ran {
        Ok(ran) => ran,
        Err(stop) => return Ended::unmeasured(stop, true),
    };
    seen.warnings.extend(remarks);
    // Only now: it takes a while, and the connections with the replicas would be given up.
    progress.phase("checking the history");
    let judged = std::mem::take(&mut load.history).judge();
    if setting.keep_history || judged.is_evidence() {
        let window = load.window_file();
        // The verdict stands without it.
        if let Err(error) = judged.keep(&setting.results.join("history"), &stem, Some(&window)) {
            seen.warnings.push(format!("the history is not kept: {error}"));
        }
    }
    let (stop, mut warnings) = (seen.stop.clone(), std::mem::take(&mut seen.warnings));
    let witness = judged.witness.as_ref().map(ToString::to_string);
    let record = record::record(run, load, &judged, seen, clients::promise(setting.workload));
    if let Some(data) = data {
        let is_evidence = record.verdict.is_violation() || matches!(stop, Some(Stop::Died(_)));
        warnings.extend(put_away(&data, is_evidence));
    }
    Ended { record: Some(record), stop, under_load: true, witness, warnings }
}

impl Setting<'_> {
    /// A fresh directory for what the replicas of a run keep; none if they keep nothing.
    fn data_of(&self, run: &Run, stem: &str) -> Result<Option<PathBuf>, Error> {
        // Replicas on other hosts keep there what they keep.
        if run.point.durability == workload::Durability::Memory || self.hosts.is_some() {
            return Ok(None);
        }
        let data = self.results.join("data").join(stem);
        match fs::create_dir_all(&data) {
            Ok(()) => Ok(Some(data)),
            Err(error) => Err(Error::File { path: data, error }),
        }
    }
}

/// Removes what the replicas kept, unless it is evidence; gives what a user must know of it.
fn put_away(data: &Path, is_evidence: bool) -> Option<String> {
    if is_evidence {
        return Some(format!("what the replicas had on disk is kept in {}", data.display()));
    }
    if let Err(error) = fs::remove_dir_all(data) {
        return Some(format!("{} is not removed: {error}", data.display()));
    }
    if let Some(all) = data.parent() {
        // It fails while there is evidence of another run in it.
        let _ = fs::remove_dir(all);
    }
    None
}

const fn durability(durability: workload::Durability) -> Durability {
    match durability {
        workload::Durability::Memory => Durability::Memory,
        workload::Durability::Buffered => Durability::Buffered,
        workload::Durability::Fsync => Durability::Fsync,
    }
}

/// The phases of a run on a cluster that is up.
struct Phases<'a> {
    setting: Setting<'a>,
    run: &'a Run,
    controls: &'a Controls,
    client_timeout: Duration,
    evidence: &'a Path,
}

impl Phases<'_> {
    /// The load with all that its clients saw, and all that was seen besides.
    ///
    /// # Errors
    /// Why nothing was measured.
    async fn run_phases(
        &self,
        mut load: Generator,
        lines: &mut Vec<Control>,
        watch: &mut Watch<'_>,
    ) -> Result<(Generator, Seen), Stop> {
        self.warm_up(&mut load, lines, watch).await?;
        let before = load.drive_while(Clocks::now(watch.fleet)).await?;
        let started = SystemTime::now();
        load.begin_window();
        let mut faults = Faults::new(self.controls, self.run.seed);
        let mut stop = self.measure(&mut load, lines, watch, &mut faults).await.err();
        load.end_window();
        let after = match load.drive_while(Clocks::now(watch.fleet)).await {
            Ok(clocks) => clocks,
            Err(error) => {
                stop.get_or_insert_with(|| error.into());
                Clocks::default()
            }
        };
        let mut seen = Seen {
            started,
            elapsed: load.measured(),
            before,
            after,
            replicas: Vec::new(),
            ended: faults.ended_reports(),
            killed: watch.fleet.down(),
            killed_cpu_s: Vec::new(),
            hosts: watch.fleet.host_names(),
            restarted: faults.restarted_ones(),
            faults: Vec::new(),
            recoveries: Vec::new(),
            agreement: None,
            durability: self.run.point.durability,
            stop: None,
            warnings: Vec::new(),
        };
        if stop.is_none() {
            stop = self.wait(&mut load, lines, watch, &mut seen).await.err();
        }
        load.end_load();
        faults.end(watch.fleet, &load);
        if stop.is_none() {
            let ended = async { load.drive_while(faults.ended()).await };
            stop = watch.over("ending the faults", ended).await.err();
        }
        if stop.is_none() {
            stop = self.settle(&mut load, lines, watch, &mut seen).await.err();
        }
        if stop.is_some() {
            let known: Vec<u32> = seen.replicas.iter().map(|report| report.replica).collect();
            let late = last_reports(lines).await;
            let is_new = |report: &ReplicaReport| !known.contains(&report.replica);
            seen.replicas.extend(late.into_iter().filter(is_new));
        }
        seen.replicas.sort_by_key(|report| report.replica);
        seen.killed_cpu_s = watch.fleet.killed_cpu_s();
        if stop.is_some() {
            load.abandon();
        }
        let dated = |report| faults.dated(report);
        seen.replicas = std::mem::take(&mut seen.replicas).into_iter().map(dated).collect();
        (seen.faults, seen.recoveries) = faults.into_events(&load);
        seen.stop = stop;
        Ok((load, seen))
    }

    async fn warm_up(
        &self,
        load: &mut Generator,
        lines: &mut [Control],
        watch: &mut Watch<'_>,
    ) -> Result<(), Stop> {
        let warm_up = Duration::from_secs_f64(self.setting.workload.load.warmup_s);
        let may_kill = !self.setting.workload.faults.is_empty();
        let warm = async {
            load.begin();
            load.drive_until(Instant::now() + warm_up).await;
            // Whoever is killed cannot be asked any more what of its CPU time it had used before.
            let mut reports = Vec::new();
            if may_kill {
                let asked = join_all(lines.iter_mut().map(Control::report));
                reports = cluster::collected(load.drive_while(asked).await)?;
            }
            let began = join_all(lines.iter_mut().map(Control::begin_measuring));
            cluster::collected(load.drive_while(began).await)?;
            Ok(reports)
        };
        let reports = watch.over("warming up", warm).await?;
        watch.fleet.used_before(reports.iter().map(|report| report.cpu_ns));
        Ok(())
    }

    /// The measured window, with the faults that strike in it.
    async fn measure(
        &self,
        load: &mut Generator,
        lines: &mut Vec<Control>,
        watch: &mut Watch<'_>,
        faults: &mut Faults,
    ) -> Result<(), Stop> {
        let begin = Instant::now();
        for strike in self.setting.workload.strikes() {
            let at = begin + Duration::from_nanos(strike.at_ns);
            let look = self.look_at(at, &strike, load, lines, watch).await?;
            let struck = faults.strike(&strike, look, (watch.fleet, load)).await;
            struck?;
        }
        let duration = Duration::from_secs_f64(self.setting.workload.load.duration_s);
        let rest = async {
            load.drive_until(begin + duration).await;
            Ok(())
        };
        watch.over("measuring", rest).await
    }

    /// Lets the load go on until `strike` is due; then, if the strike depends on it, what the replicas say: whom they take for
    /// the leader, and what they did until then, since whoever is killed cannot be asked any more.
    async fn look_at(
        &self,
        at: Instant,
        strike: &Strike<'_>,
        load: &mut Generator,
        lines: &mut Vec<Control>,
        watch: &mut Watch<'_>,
    ) -> Result<Look, Stop> {
        let asked = watch.fleet.running();
        let depends = matches!(strike.action, Action::Kill(_))
            || strike.action.target() == Some(Target::Leader);
        let look = async {
            load.drive_until(at).await;
            if !depends {
                return Ok(Look::default());
            }
            Ok(load.drive_while(self.controls.look(lines, asked)).await)
        };
        watch.over("measuring", look).await
    }

    /// After the window: the replicas that can say what they did in it. The load and the faults go on until everything is
    /// answered or given up that was due in the window, or the bound is reached; then the replicas say how long that took
    /// them.
    async fn wait(
        &self,
        load: &mut Generator,
        lines: &mut Vec<Control>,
        watch: &mut Watch<'_>,
        seen: &mut Seen,
    ) -> Result<(), Stop> {
        let deadline = Instant::now() + clients::wait_max(self.setting.workload);
        let running = watch.fleet.running();
        let reports = async {
            seen.replicas = load.drive_while(self.controls.end_measuring(lines, running)).await;
            load.settle_until(deadline).await;
            let late = load.drive_while(self.controls.report(lines, running)).await;
            late.into_iter().for_each(|late| seen.complete(late));
            Ok(())
        };
        watch.over("waiting for what was due", reports).await
    }

    /// After that: the replicas report that could not before, what is outstanding is answered, the last values are read back,
    /// the replicas are compared.
    async fn settle(
        &self,
        load: &mut Generator,
        lines: &mut Vec<Control>,
        watch: &mut Watch<'_>,
        seen: &mut Seen,
    ) -> Result<(), Stop> {
        let living = ReplicaId::all(self.run.point.replicas)
            .filter(|replica| !seen.killed.contains(*replica))
            .collect::<ReplicaSet>();
        let reports = async {
            load.drive_while(self.controls.mend(lines, living)).await?;
            // A paused one, or one that was just coming back, is asked now.
            let known: ReplicaSet = seen.reported();
            let others = lines.iter_mut().filter(|line| !known.contains(line.replica()));
            let reports = join_all(others.map(Control::end_measuring));
            seen.replicas.extend(cluster::collected(load.drive_while(reports).await)?);
            load.drain(self.client_timeout).await;
            load.read_back(living, self.client_timeout * 2).await;
            Ok(())
        };
        watch.over("draining", reports).await?;
        let agreement =
            watch.over("comparing the replicas", compare::compare(lines, seen.restarted)).await?;
        if agreement.agree == Some(false) {
            let written = compare::write_evidence(&agreement, lines, self.evidence);
            // The verdict stands without it.
            if let Err(Stop::Failed(error)) = watch.over("writing evidence", written).await {
                seen.warnings.push(format!("no evidence of the disagreement: {error}"));
            }
        }
        seen.agreement = Some(agreement);
        Ok(())
    }
}

/// What those replicas report that still can.
async fn last_reports(lines: &mut [Control]) -> Vec<ReplicaReport> {
    let reports = lines.iter_mut().map(async |line: &mut Control| {
        tokio::time::timeout(LAST_REPORT_TIMEOUT, line.report()).await.ok()?.ok()
    });
    join_all(reports).await.into_iter().flatten().collect()
}
