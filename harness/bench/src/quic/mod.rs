//! One run on a real cluster: replica processes over QUIC on this host, clients in this process.
//!
//! [`processes`] are started and ended, [`cluster`] waits until they are one and has lines to them. [`faults`] strike: what
//! they make of the [`network`] an [`attendant`] of each replica tells it. [`generator`] is the load over its [`link`]s, in the order of
//! their [`grid`], [`rest`] compares the replicas afterwards, [`record`] makes the run's record and verdict of it all, [`watch`] ends it before its
//! time. [`tamper`] falsifies answers for tests, in builds with debug assertions alone.

mod attendant;
mod cluster;
mod faults;
mod generator;
mod grid;
pub(crate) mod link;
mod network;
mod processes;
mod record;
mod rest;
mod tamper;
mod watch;

use std::{
    fs,
    future::{Future, poll_fn},
    path::{Path, PathBuf},
    pin::Pin,
    task::Poll,
    time::{Duration, Instant, SystemTime},
};

use driver::storage::Durability;
use measure::{ReplicaReport, RunRecord};
use node::control::Control;
use protocols::{ReplicaId, ReplicaSet};
use workload::{
    Run, Strike, Workload,
    fault::{Action, Target},
};

use self::{
    cluster::{Cluster, Desk, Look},
    faults::Faults,
    generator::Load,
    processes::Spec,
    record::{Clocks, Seen},
    watch::Watch,
};
pub(crate) use self::{
    processes::{Death, last_words},
    watch::Stop,
};
use crate::{
    interrupt::Interrupt,
    load::{self, knee::Climb},
    progress::Progress,
};

/// Chosen: how long the living replicas may take to report when a run is cut short.
const LAST_REPORT_TIMEOUT: Duration = Duration::from_millis(500);

/// What all runs of a command share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting<'a> {
    pub(crate) workload: &'a Workload,
    /// Where the cluster's credentials are.
    pub(crate) credentials: &'a Path,
    /// The results directory.
    pub(crate) results: &'a Path,
    /// Where the replicas log.
    pub(crate) logs: &'a Path,
    /// Are histories kept that are no evidence of anything?
    pub(crate) keep_history: bool,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// None if it ended before anything was measured.
    pub(crate) record: Option<RunRecord>,
    /// Why it ended before its time, if it did.
    pub(crate) stop: Option<Stop>,
    /// Had the clients begun by then?
    pub(crate) under_load: bool,
    /// What shows that its history is not linearizable, for people.
    pub(crate) witness: Option<String>,
}

/// Carries out one run, with all steps of its search if its rate is searched for.
pub(crate) async fn run(
    setting: Setting<'_>,
    run: &Run,
    interrupt: &mut Interrupt,
    progress: &Progress,
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
    progress: &Progress,
) -> Ended {
    let unmeasured =
        |stop| Ended { record: None, stop: Some(stop), under_load: false, witness: None };
    let stem = load::stem(run);
    let data = match setting.data_of(run, &stem) {
        Ok(data) => data,
        Err(error) => return unmeasured(Stop::Failed(error)),
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
    };
    let cluster = tokio::select! {
        biased;
        signal = interrupt.raised() => return unmeasured(Stop::Interrupted(signal)),
        cluster = Cluster::start(&spec) => match cluster {
            Ok(cluster) => cluster,
            Err(error) => return unmeasured(Stop::Failed(error)),
        },
    };
    let Cluster { mut processes, mut lines, desk, sessions } = cluster;
    let duration = Duration::from_secs_f64(setting.workload.load.duration_s);
    let client_timeout = setting.workload.timeouts().client;
    let times = (duration, client_timeout);
    let load = match Load::new(run, sessions, times, setting.keep_history) {
        Ok(load) => load,
        Err(error) => return unmeasured(Stop::Failed(format!("cannot set a timer: {error}"))),
    };
    let mut watch = Watch { processes: &mut processes, interrupt, progress };
    let evidence = setting.results.join(format!("evidence-{stem}.json"));
    let phases = Phases { setting, run, desk: &desk, client_timeout, evidence: &evidence };
    let carried_out = phases.carry_out(load, &mut lines, &mut watch).await;
    processes.shut_down(lines).await;
    let (mut load, seen) = match carried_out {
        Ok(carried_out) => carried_out,
        Err(stop) => return Ended { under_load: true, ..unmeasured(stop) },
    };
    // Only now: it takes a while, and the connections with the replicas would be given up.
    progress.phase("checking the history");
    let judged = std::mem::take(&mut load.history).judge();
    if setting.keep_history || judged.is_evidence() {
        let window = load.window_file();
        // The verdict stands without it.
        if let Err(error) = judged.keep(&setting.results.join("history"), &stem, Some(&window)) {
            say!("the history is not kept: {error}");
        }
    }
    let stop = seen.stop.clone();
    let witness = judged.witness.as_ref().map(ToString::to_string);
    let record = record::record(run, load, &judged, seen);
    if let Some(data) = data {
        put_away(&data, record.verdict.is_violation() || matches!(stop, Some(Stop::Died(_))));
    }
    Ended { record: Some(record), stop, under_load: true, witness }
}

impl Setting<'_> {
    /// A fresh directory for what the replicas of a run keep; none if they keep nothing.
    fn data_of(&self, run: &Run, stem: &str) -> Result<Option<PathBuf>, String> {
        if run.point.durability == workload::Durability::Memory {
            return Ok(None);
        }
        let data = self.results.join("data").join(stem);
        fs::create_dir_all(&data).map_err(|error| format!("{}: {error}", data.display()))?;
        Ok(Some(data))
    }
}

/// Removes what the replicas kept, unless it is evidence.
fn put_away(data: &Path, is_evidence: bool) {
    if is_evidence {
        say!("what the replicas had on disk is kept in {}", data.display());
    } else if let Err(error) = fs::remove_dir_all(data) {
        say!("{} is not removed: {error}", data.display());
    } else if let Some(all) = data.parent() {
        // It fails while there is evidence of another run in it.
        let _ = fs::remove_dir(all);
    }
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
    desk: &'a Desk,
    client_timeout: Duration,
    evidence: &'a Path,
}

impl Phases<'_> {
    /// The load with all that its clients saw, and all that was seen besides.
    ///
    /// # Errors
    /// Why nothing was measured.
    async fn carry_out(
        &self,
        mut load: Load,
        lines: &mut Vec<Control>,
        watch: &mut Watch<'_>,
    ) -> Result<(Load, Seen), Stop> {
        self.warm_up(&mut load, lines, watch).await?;
        let (started, before) = (SystemTime::now(), Clocks::now());
        load.begin_window();
        let mut faults = Faults::new(self.desk, self.run.seed);
        let mut stop = self.measure(&mut load, lines, watch, &mut faults).await.err();
        load.end_window();
        let after = Clocks::now();
        let mut seen = Seen {
            started,
            elapsed: load.measured(),
            before,
            after,
            replicas: Vec::new(),
            ended: faults.ended_reports(),
            killed: watch.processes.down(),
            killed_cpu_s: None,
            restarted: faults.restarted_ones(),
            faults: Vec::new(),
            recoveries: Vec::new(),
            agreement: None,
            durability: self.run.point.durability,
            stop: None,
        };
        if stop.is_none() {
            stop = self.wait(&mut load, lines, watch, &mut seen).await.err();
        }
        load.end_load();
        faults.end(watch.processes, &load);
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
        seen.killed_cpu_s = watch.processes.killed_cpu_s();
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
        load: &mut Load,
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
        watch.processes.used_before(reports.iter().map(|report| report.cpu_ns));
        Ok(())
    }

    /// The measured window, with the faults that strike in it.
    async fn measure(
        &self,
        load: &mut Load,
        lines: &mut Vec<Control>,
        watch: &mut Watch<'_>,
        faults: &mut Faults,
    ) -> Result<(), Stop> {
        let begin = Instant::now();
        for strike in self.setting.workload.strikes() {
            let at = begin + Duration::from_nanos(strike.at_ns);
            let look = self.look_at(at, &strike, load, lines, watch).await?;
            let struck = faults.strike(&strike, look, (watch.processes, load)).await;
            struck.map_err(Stop::Failed)?;
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
        load: &mut Load,
        lines: &mut Vec<Control>,
        watch: &mut Watch<'_>,
    ) -> Result<Look, Stop> {
        let asked = watch.processes.running();
        let depends = matches!(strike.action, Action::Kill(_))
            || strike.action.target() == Some(Target::Leader);
        let look = async {
            load.drive_until(at).await;
            if !depends {
                return Ok(Look::default());
            }
            Ok(load.drive_while(self.desk.look(lines, asked)).await)
        };
        watch.over("measuring", look).await
    }

    /// After the window: the replicas that can say what they did in it. The load and the faults go on until everything is
    /// answered or given up that was due in the window, or the bound is reached; then the replicas say how long that took
    /// them.
    async fn wait(
        &self,
        load: &mut Load,
        lines: &mut Vec<Control>,
        watch: &mut Watch<'_>,
        seen: &mut Seen,
    ) -> Result<(), Stop> {
        let deadline = Instant::now() + load::wait_max(self.setting.workload);
        let running = watch.processes.running();
        let reports = async {
            seen.replicas = load.drive_while(self.desk.end_measuring(lines, running)).await;
            load.settle_until(deadline).await;
            let late = load.drive_while(self.desk.report(lines, running)).await;
            late.into_iter().for_each(|late| seen.complete(late));
            Ok(())
        };
        watch.over("waiting for what was due", reports).await
    }

    /// After that: the replicas report that could not before, what is outstanding is answered, the last values are read back,
    /// the replicas are compared.
    async fn settle(
        &self,
        load: &mut Load,
        lines: &mut Vec<Control>,
        watch: &mut Watch<'_>,
        seen: &mut Seen,
    ) -> Result<(), Stop> {
        let living = ReplicaId::all(self.run.point.replicas)
            .filter(|replica| !seen.killed.contains(*replica))
            .collect::<ReplicaSet>();
        let reports = async {
            load.drive_while(self.desk.mend(lines, living)).await?;
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
            watch.over("comparing the replicas", rest::compare(lines, seen.restarted)).await?;
        if agreement.agree == Some(false) {
            let written = rest::write_evidence(&agreement, lines, self.evidence);
            // The verdict stands without it.
            if let Err(Stop::Failed(error)) = watch.over("writing evidence", written).await {
                say!("no evidence of the disagreement: {error}");
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

/// Waits for all of `futures` at once; their outputs in their order.
pub(crate) async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    let mut outputs: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    poll_fn(|cx| {
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            if output.is_none()
                && let Poll::Ready(done) = future.as_mut().poll(cx)
            {
                *output = Some(done);
            }
        }
        if outputs.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    outputs.into_iter().flatten().collect()
}
