//! Results that were never measured: written by `measure` as a driver would, from formulas instead of a cluster, and
//! the same every time.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::{
    ops::Range,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use measure::{
    Checked, Event, Host, Identity, Limits, Linearizable, LoadMode, Manifest, Promise,
    ReplicaReport, ResultsDir, Role, RunFacts, RunRecord, Series, SeriesRecorder, Silences,
    SiteRecord, Timed, Versions, judge,
};

/// A deterministic stream of numbers in 0..1 (an LCG: quality is beside the point).
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn unit(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        #[expect(clippy::cast_precision_loss, reason = "53 bits")]
        let unit = (self.0 >> 11) as f64 / (1u64 << 53) as f64;
        unit
    }
}

/// A seed of its own for each pair (SplitMix64's last steps), so that the first numbers are not near each other.
fn mixed(seed: u64, again: u64) -> u64 {
    let mut mixed = seed.wrapping_add(again.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// What to pretend.
#[derive(Clone)]
pub(crate) struct Pretence {
    pub(crate) name: &'static str,
    pub(crate) protocols: Vec<&'static str>,
    pub(crate) repetitions: u32,
    pub(crate) seconds: f64,
    /// Fewer operations for a faster test; rates in the files follow.
    pub(crate) scale: f64,
    pub(crate) replicas: Vec<u32>,
    pub(crate) conflicts: Vec<f64>,
    pub(crate) rates: Vec<f64>,
    pub(crate) complete: bool,
    /// Changes facts before they are judged.
    pub(crate) spoil: fn(&Identity, &mut RunFacts),
    pub(crate) events: Vec<Event>,
    pub(crate) promise: Option<Promise>,
    /// Seconds in which nothing is answered, committed or executed.
    pub(crate) silent: Range<f64>,
    /// How long a request was waited for that was due so many seconds after the start of measuring, if it was never
    /// answered; it has a number.
    pub(crate) unanswered: fn(&Identity, f64, u64) -> Option<Duration>,
    /// How many times as long everything takes.
    pub(crate) slowness: f64,
    /// Another number, the same measured again: other noise.
    pub(crate) again: u64,
    pub(crate) driver: &'static str,
    /// As the manifest has it.
    pub(crate) workload: serde_json::Value,
}

/// Tells what `bench` would.
fn know_protocols() {
    let known = |name, title, look, usual_variant| report::Known {
        name,
        title,
        look: Some(look),
        usual_variant,
    };
    report::know(vec![
        known("paxos", "Paxos", 2, None),
        known("multi-paxos", "Multi-Paxos", 1, None),
        known("epaxos", "EPaxos", 0, Some("star")),
    ]);
}

impl Default for Pretence {
    fn default() -> Self {
        Self {
            name: "synthetic",
            protocols: vec!["paxos", "multi-paxos", "epaxos"],
            repetitions: 3,
            seconds: 2.0,
            scale: 0.05,
            replicas: vec![3],
            conflicts: vec![0.0, 1.0],
            rates: vec![],
            complete: true,
            spoil: |_, _| {},
            events: vec![],
            promise: None,
            silent: 0.0..0.0,
            unanswered: |_, _, _| None,
            slowness: 1.0,
            again: 0,
            driver: "quic",
            workload: serde_json::Value::Null,
        }
    }
}

impl Pretence {
    /// Writes the results below `root` and returns their directory.
    pub(crate) fn write(&self, root: &Path) -> PathBuf {
        know_protocols();
        let swept: Vec<String> =
            ["replicas", "conflict_rate", "rate_ops_per_s"].map(String::from).into();
        let mut manifest = self.manifest();
        let mut results = ResultsDir::create(root, &manifest, &swept).expect("a results directory");
        let rates: Vec<Option<f64>> = if self.rates.is_empty() {
            vec![None]
        } else {
            self.rates.iter().copied().map(Some).collect()
        };
        for replicas in &self.replicas {
            for conflict in &self.conflicts {
                for rate in &rates {
                    for repetition in 1..=self.repetitions {
                        for protocol in &self.protocols {
                            let identity =
                                self.identity(protocol, *replicas, *conflict, *rate, repetition);
                            results.append(&self.run(identity)).expect("rows are written");
                        }
                    }
                }
            }
        }
        manifest.complete = self.complete;
        results.write_manifest(&manifest).expect("the manifest is written");
        results.path().to_owned()
    }

    fn manifest(&self) -> Manifest {
        let points = self.replicas.len() * self.conflicts.len() * self.rates.len().max(1);
        let runs = points * self.protocols.len();
        Manifest {
            started_utc: "2026-01-31T12:00:00Z".to_owned(),
            duration_s: self.seconds,
            runs_planned: u64::try_from(runs).expect("few") * u64::from(self.repetitions),
            command_line: vec!["bench".to_owned()],
            versions: Versions::default(),
            host: Host { cpu: Some("Some CPU 3000".to_owned()), cores: Some(2), ..Host::default() },
            load_average_before: None,
            ..Manifest::starting(self.name, 42, self.workload.clone())
        }
    }

    fn identity(
        &self,
        protocol: &str,
        replicas: u32,
        conflict: f64,
        rate: Option<f64>,
        repetition: u32,
    ) -> Identity {
        let mut point = format!("replicas={replicas},conflict_rate={conflict}");
        if let Some(rate) = rate {
            point.push_str(&format!(",rate_ops_per_s={rate}"));
        }
        Identity {
            protocol: protocol.to_owned(),
            driver: self.driver.to_owned(),
            point,
            repetition,
            replicas,
            mode: if rate.is_some() { LoadMode::Open } else { LoadMode::Closed },
            conflict_rate: Some(conflict),
            clients: 16 * replicas,
            window: 1,
            rate_ops_per_s: rate,
            value_bytes: 16,
            swept: vec![],
        }
    }

    fn run(&self, identity: Identity) -> RunRecord {
        let seed = identity
            .point
            .bytes()
            .chain(identity.protocol.bytes())
            .fold(u64::from(identity.repetition), |sum, byte| {
                sum.wrapping_mul(31).wrapping_add(u64::from(byte))
            });
        let mut noise = Noise::new(if self.again == 0 { seed } else { mixed(seed, self.again) });
        let behaviour = Behaviour::of(&identity, &mut noise).slowed(self.slowness);
        let elapsed = Duration::from_secs_f64(self.seconds);
        let mut sites: Vec<SiteRecord> = (0..identity.replicas)
            .map(|site| SiteRecord::new(&site.to_string(), elapsed))
            .collect();
        let operations = whole(behaviour.throughput * self.seconds * self.scale);
        let mut answers: Vec<(u64, u64, u64)> = (0..operations)
            .map(|operation| {
                let at_ns = whole(noise.unit() * self.seconds * 1e9);
                (at_ns, operation, whole(behaviour.latency_ns(&mut noise)))
            })
            .collect();
        #[expect(clippy::cast_precision_loss, reason = "times of a test")]
        answers.retain(|(at_ns, ..)| !self.silent.contains(&(*at_ns as f64 / 1e9)));
        answers.sort_unstable();
        let mut replies = Silences::default();
        let mut waited: Vec<Vec<u64>> = sites.iter().map(|_| Vec::new()).collect();
        answers.retain(|(at_ns, operation, latency_ns)| {
            let (at_ns, operation) = (*at_ns, *operation);
            let site = usize::try_from(operation).expect("small") % sites.len();
            let is_read = operation % 10 == 0;
            #[expect(clippy::cast_precision_loss, reason = "times of a test")]
            let at_s = at_ns as f64 / 1e9;
            if let Some(wait) = (self.unanswered)(&identity, at_s, operation) {
                let wait_ns = u64::try_from(wait.as_nanos()).expect("short");
                let times = Timed { due_ns: at_ns, sent_ns: at_ns, ended_ns: at_ns + wait_ns };
                sites[site].record_unknown(is_read, times);
                waited[site].push(wait_ns);
                return false;
            }
            sites[site].answer(at_ns);
            let ended_ns = at_ns + latency_ns;
            let sent_ns = ended_ns - latency_ns * 9 / 10;
            sites[site].record(is_read, Timed { due_ns: at_ns, sent_ns, ended_ns });
            replies.mark(at_ns);
            true
        });
        let replicas = (0..identity.replicas)
            .zip(&waited)
            .map(|(replica, waited)| {
                let mut report = behaviour.report(&identity, replica, operations, &mut noise);
                report.series = series(&answers, elapsed);
                for wait_ns in waited {
                    report.commit.censor_ns(*wait_ns);
                    report.execute.censor_ns(*wait_ns);
                }
                report
            })
            .collect();
        let mut facts = RunFacts {
            mode: identity.mode,
            offered_ops_per_s: identity.rate_ops_per_s.map(|rate| rate * self.scale),
            achieved_ops_per_s: behaviour.throughput * self.scale,
            due: operations,
            unanswered: waited.iter().map(|of_site| of_site.len() as u64).sum(),
            foreign_cpu_share: Some(0.01),
            host_busy_share: Some(0.6),
            linearizable: Linearizable::True,
            checked: Some(Checked {
                operations,
                reads: operations / 10,
                keys: 49,
                operations_begun: operations,
                keys_touched: 49,
            }),
            replicas_agree: Some(true),
            ..RunFacts::default()
        };
        (self.spoil)(&identity, &mut facts);
        RunRecord {
            started: SystemTime::UNIX_EPOCH,
            elapsed,
            offered_ops_per_s: facts.offered_ops_per_s,
            generator_lag: None,
            has_fast_path: identity.protocol == "epaxos",
            sites,
            replies,
            replicas,
            ended: Vec::new(),
            server_cpu_s: Some(1.4 * self.seconds / behaviour.economy),
            client_cpu_s: Some(0.4 * self.seconds),
            events: self.events.clone(),
            promise: self.promise,
            recoveries: vec![],
            kept: None,
            networks: Vec::new(),
            steps: Vec::new(),
            verdict: judge(&facts, &Limits::default()),
            identity,
        }
    }
}

/// What a replica did over time that committed and executed whatever was answered, a moment before.
fn series(answers: &[(u64, u64, u64)], elapsed: Duration) -> Series {
    let mut recorder = SeriesRecorder::default();
    for (at_ns, _, latency_ns) in answers {
        recorder.commit_seen(*at_ns);
        recorder.committed(*at_ns, latency_ns / 2);
        recorder.execution_seen(*at_ns);
        recorder.executed(*at_ns, latency_ns / 2, at_ns.saturating_sub(1_000));
    }
    recorder.series(whole(elapsed.as_secs_f64() * 1e9))
}

/// How a protocol behaves at a point.
struct Behaviour {
    throughput: f64,
    p50_ns: f64,
    economy: f64,
    fast: f64,
}

impl Behaviour {
    fn of(identity: &Identity, noise: &mut Noise) -> Self {
        let conflict = identity.conflict_rate.unwrap_or(0.0);
        let crowd = 3.0 / f64::from(identity.replicas);
        let (capacity, p50_us, economy, fast) = match identity.protocol.as_str() {
            "paxos" => {
                (9_000.0 * crowd * (1.0 - 0.6 * conflict), 900.0 + 2_500.0 * conflict, 0.8, 0.0)
            }
            "multi-paxos" => (31_000.0 * crowd, 420.0, 1.2, 0.0),
            _ => (
                38_000.0 * crowd.sqrt() * (1.0 - 0.45 * conflict),
                360.0 + 500.0 * conflict,
                1.0,
                1.0 - conflict,
            ),
        };
        let wobble = 0.97 + 0.06 * noise.unit();
        let (throughput, p50_us) = match identity.rate_ops_per_s {
            None => (capacity * wobble, p50_us * (2.0 - wobble)),
            Some(rate) => {
                let load = (rate / capacity).min(0.99);
                (rate.min(capacity) * 0.999, p50_us * wobble / (1.0 - load))
            }
        };
        Self { throughput, p50_ns: p50_us * 1e3, economy, fast }
    }

    fn slowed(self, times: f64) -> Self {
        Self { throughput: self.throughput / times, p50_ns: self.p50_ns * times, ..self }
    }

    /// Log-normal-like, with a tail.
    fn latency_ns(&self, noise: &mut Noise) -> f64 {
        let sum: f64 = (0..6).map(|_| noise.unit()).sum::<f64>() - 3.0;
        let tail = 1.0 / (1.0 - noise.unit()).max(1e-6);
        self.p50_ns * (0.25 * sum).exp() * tail.powf(0.18)
    }

    fn report(
        &self,
        identity: &Identity,
        replica: u32,
        operations: u64,
        noise: &mut Noise,
    ) -> ReplicaReport {
        let others = f64::from(identity.replicas - 1);
        let leader = identity.protocol == "multi-paxos" && replica == 0;
        let per_operation = match identity.protocol.as_str() {
            "multi-paxos" if leader => 2.0 * others,
            "multi-paxos" => 2.0 + 1.0 / others,
            "paxos" => 4.4 * others / f64::from(identity.replicas) + 4.0,
            _ => (2.0 * others + others) / f64::from(identity.replicas) + 2.0 - self.fast,
        };
        #[expect(clippy::cast_precision_loss, reason = "a test's operations")]
        let operations_f = operations as f64;
        let messages = operations_f * per_operation * (0.98 + 0.04 * noise.unit());
        let mut report = ReplicaReport {
            replica,
            role: match (identity.protocol.as_str(), leader) {
                (_, true) => Role::Leader,
                ("multi-paxos", false) => Role::Follower,
                _ => Role::Peer,
            },
            cpu_ns: Some(whole(messages * 9_000.0 + operations_f * 4_000.0)),
            rss_bytes: Some(30_000_000),
            ..ReplicaReport::default()
        };
        let counters = &mut report.counters;
        counters.messages_in = whole(messages / 2.0);
        counters.messages_out = whole(messages / 2.0);
        counters.bytes_in = counters.messages_in * 90;
        counters.bytes_out = counters.messages_out * 90;
        counters.commands_executed = operations;
        counters.commits_fast = whole(1_000.0 * self.fast);
        counters.commits_slow = 1_000 - counters.commits_fast;
        for _ in 0..500 {
            let latency_ns = self.latency_ns(noise) * 0.8;
            report.commit.record_ns(whole(latency_ns));
            report.execute.record_ns(whole(latency_ns * 1.1));
        }
        report
    }
}

/// A float as a count.
pub(crate) fn whole(value: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a test's counts")]
    let whole = value.max(0.0).round() as u64;
    whole
}
