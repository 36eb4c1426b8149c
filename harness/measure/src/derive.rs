//! From a record to its rows: the one place where a figure in a file is computed.

use crate::{
    network::{NetworkReport, NetworkRow},
    population::Bound,
    replica::ReplicaReport,
    rows::{ALL, EventRow, LatencyRow, ReplicaRow, SummaryRow, TimeseriesRow, VerdictRow},
    run::{OperationRecord, RunRecord, RunRows},
    series::At,
    timeline::{BUCKET_MS, Timeline},
};

impl RunRecord {
    /// Derives every row of every file.
    pub fn rows(&self) -> RunRows {
        RunRows {
            summary: self.summary_row(),
            latency: self.latency_rows(),
            replicas: self.replicas.iter().map(|report| self.replica_row(report)).collect(),
            timeseries: self.timeseries_rows(),
            events: self.event_rows(),
            gaps: self.gap_rows(),
            returns: self.return_rows(),
            kept: self.kept_row(),
            knee: self.knee_rows(),
            recoveries: self.recovery_rows(),
            networks: self.network_rows(),
            verdicts: self.verdict_rows(),
        }
    }

    pub(crate) fn summary_row(&self) -> SummaryRow {
        let id = &self.identity;
        let OperationRecord { latency, service } = self.merged();
        let (commit, execute) = (self.merged_commit(), self.merged_execute());
        let mut bounds = Bounds::default();
        SummaryRow {
            protocol: id.protocol.clone(),
            driver: id.driver.clone(),
            point: id.point.clone(),
            replicas: id.replicas,
            offered_ops_per_s: self.offered_ops_per_s.map(rounded),
            conflict_rate: id.conflict_rate,
            clients_per_site: id.clients_per_site(),
            clients: Some(id.clients),
            window: id.window,
            mode: id.mode.name().to_owned(),
            rate_ops_per_s: id.rate_ops_per_s,
            value_bytes: id.value_bytes,
            repetition: id.repetition,
            operations: self.operations(),
            errors: self.sites.iter().map(|site| site.errors).sum(),
            unknown: self.sites.iter().map(|site| site.unknown).sum(),
            throughput_ops_per_s: self.throughput_ops_per_s().map(rounded),
            server_cpu_s: self.server_cpu_s.map(rounded),
            client_cpu_s: self.client_cpu_s.map(rounded),
            ops_per_cpu_s: self.ops_per_cpu_s(),
            fast_path_ratio: self.fast_path_ratio(),
            latency_us_mean: bounds.of("latency_us_mean", latency.mean_us()),
            latency_us_p50: bounds.of("latency_us_p50", latency.percentile_us(50.0)),
            latency_us_p90: bounds.of("latency_us_p90", latency.percentile_us(90.0)),
            latency_us_p99: bounds.of("latency_us_p99", latency.percentile_us(99.0)),
            latency_us_p999: bounds.of("latency_us_p999", latency.percentile_us(99.9)),
            latency_us_max: bounds.of("latency_us_max", latency.max_us()),
            service_us_p50: bounds.of("service_us_p50", service.percentile_us(50.0)),
            service_us_p99: bounds.of("service_us_p99", service.percentile_us(99.0)),
            commit_us_p50: bounds.of("commit_us_p50", commit.percentile_us(50.0)),
            commit_us_p99: bounds.of("commit_us_p99", commit.percentile_us(99.0)),
            execute_us_p50: bounds.of("execute_us_p50", execute.percentile_us(50.0)),
            execute_us_p99: bounds.of("execute_us_p99", execute.percentile_us(99.0)),
            valid: self.verdict.valid,
            linearizable: self.verdict.linearizable,
            replicas_agree: self.verdict.replicas_agree,
            due: Some(latency.len()),
            censored: Some(latency.censored()),
            generator_lag_us_p99: (self.generator_lag.as_ref())
                .and_then(|lag| bounds.of("generator_lag_us_p99", lag.percentile_us(99.0))),
            at_least: bounds.text(),
            swept: id.swept.clone(),
            checked: self.verdict.checked,
        }
    }

    /// Operations per CPU-second of servers and clients together; `None` unless both are known.
    fn ops_per_cpu_s(&self) -> Option<f64> {
        let cpu_s = self.server_cpu_s? + self.client_cpu_s?;
        #[expect(clippy::cast_precision_loss, reason = "fewer than 2^53 operations")]
        (cpu_s > 0.0).then(|| rounded(self.operations() as f64 / cpu_s))
    }

    /// Share of the instances committed by their owner that took the fast path.
    fn fast_path_ratio(&self) -> Option<f64> {
        let sum = |count: fn(&ReplicaReport) -> u64| self.replicas.iter().map(count).sum::<u64>();
        let fast = sum(|report| report.counters.commits_fast);
        let all = fast + sum(|report| report.counters.commits_slow);
        #[expect(clippy::cast_precision_loss, reason = "a ratio of counts")]
        (self.has_fast_path && all > 0).then(|| (fast as f64 / all as f64 * 1e6).round() / 1e6)
    }

    fn latency_rows(&self) -> Vec<LatencyRow> {
        let mut rows = Vec::new();
        let mut everywhere = [(); 3].map(|()| OperationRecord::default());
        for site in &self.sites {
            let of_site = [&site.reads, &site.writes, &site.all()];
            everywhere.iter_mut().zip(of_site).for_each(|(sum, of_site)| sum.merge(of_site));
            rows.extend(self.latency_rows_of(&site.site, of_site));
        }
        rows.extend(self.latency_rows_of(ALL, everywhere.each_ref()));
        rows
    }

    /// Rows of reads, writes, and all.
    fn latency_rows_of(&self, site: &str, records: [&OperationRecord; 3]) -> [LatencyRow; 3] {
        let [reads, writes, all] = records;
        [("read", reads), ("write", writes), (ALL, all)]
            .map(|(operation, record)| self.latency_row(site, operation, record))
    }

    fn latency_row(&self, site: &str, operation: &str, record: &OperationRecord) -> LatencyRow {
        let id = &self.identity;
        let OperationRecord { latency, service } = record;
        let mut bounds = Bounds::default();
        LatencyRow {
            protocol: id.protocol.clone(),
            driver: id.driver.clone(),
            point: id.point.clone(),
            repetition: id.repetition,
            site: site.to_owned(),
            operation: operation.to_owned(),
            count: latency.len(),
            latency_us_mean: bounds.of("latency_us_mean", latency.mean_us()),
            latency_us_p50: bounds.of("latency_us_p50", latency.percentile_us(50.0)),
            latency_us_p90: bounds.of("latency_us_p90", latency.percentile_us(90.0)),
            latency_us_p99: bounds.of("latency_us_p99", latency.percentile_us(99.0)),
            latency_us_p999: bounds.of("latency_us_p999", latency.percentile_us(99.9)),
            latency_us_max: bounds.of("latency_us_max", latency.max_us()),
            service_us_p50: bounds.of("service_us_p50", service.percentile_us(50.0)),
            service_us_p99: bounds.of("service_us_p99", service.percentile_us(99.0)),
            censored: Some(latency.censored()),
            at_least: bounds.text(),
        }
    }

    fn replica_row(&self, report: &ReplicaReport) -> ReplicaRow {
        let id = &self.identity;
        let counters = &report.counters;
        let with_log = |count: u64| (counters.writes > 0).then_some(count);
        let with_fast_path = |count: u64| self.has_fast_path.then_some(count);
        #[expect(clippy::cast_precision_loss, reason = "CPU time of a run in nanoseconds")]
        let cpu_s = report.cpu_ns.map(|cpu_ns| rounded(cpu_ns as f64 / 1e9));
        let (commit, execute) = (&report.commit, &report.execute);
        let mut bounds = Bounds::default();
        ReplicaRow {
            protocol: id.protocol.clone(),
            driver: id.driver.clone(),
            point: id.point.clone(),
            repetition: id.repetition,
            replicas: id.replicas,
            replica: report.replica,
            role: report.role,
            messages_in: counters.messages_in,
            messages_out: counters.messages_out,
            bytes_in: counters.bytes_in,
            bytes_out: counters.bytes_out,
            client_requests: counters.client_requests,
            client_replies: counters.client_replies,
            cpu_s,
            commands_led: counters.commands_led,
            commands_executed: counters.commands_executed,
            queue_depth_max: counters.queue_depth_max,
            queue_depth_mean: counters.queue_depth_mean().map(rounded),
            rss_bytes: report.rss_bytes,
            commits_fast: with_fast_path(counters.commits_fast),
            commits_slow: with_fast_path(counters.commits_slow),
            commits_recovered: with_fast_path(counters.commits_recovered),
            component_commands_max: with_fast_path(counters.component_commands_max),
            commit_us_p50: bounds.of("commit_us_p50", commit.percentile_us(50.0)),
            commit_us_p99: bounds.of("commit_us_p99", commit.percentile_us(99.0)),
            execute_us_p50: bounds.of("execute_us_p50", execute.percentile_us(50.0)),
            execute_us_p99: bounds.of("execute_us_p99", execute.percentile_us(99.0)),
            records_written: with_log(counters.records_written),
            record_bytes_written: with_log(counters.record_bytes_written),
            records_per_write: counters.records_per_write().map(rounded),
            wakeups: Some(counters.queue_depth_samples),
            ordering_steps: Some(counters.ordering_steps),
            rss_bytes_max: report.rss_bytes_max,
            held_bytes_max: Some(counters.held_bytes_max),
            queued_bytes_max: Some(counters.queued_bytes_max),
            at_least: bounds.text(),
        }
    }

    fn timeseries_rows(&self) -> Vec<TimeseriesRow> {
        let mut all = Timeline::new(std::time::Duration::ZERO);
        self.sites.iter().for_each(|site| all.merge(&site.timeline));
        let mut replicas_all = vec![At::default(); all.buckets().len()];
        let mut rows = Vec::new();
        for (replica, site) in (0..).zip(&self.sites) {
            let mut at = vec![At::default(); site.timeline.buckets().len()];
            for series in self.series_of(replica) {
                series.add_to(&mut at);
                series.add_to(&mut replicas_all);
            }
            rows.extend(self.timeseries_rows_of(&site.site, &site.timeline, &at));
        }
        rows.extend(self.timeseries_rows_of(ALL, &all, &replicas_all));
        rows
    }

    fn timeseries_rows_of(
        &self,
        site: &str,
        timeline: &Timeline,
        at: &[At<'_>],
    ) -> Vec<TimeseriesRow> {
        let id = &self.identity;
        (0u64..)
            .zip(timeline.buckets().iter().zip(at))
            .map(|(index, (bucket, at))| {
                let figures = bucket.figures();
                let (commit, execute) = (at.commit(), at.execute());
                let mut bounds = Bounds::default();
                let place = usize::try_from(index).expect("as many rows as buckets");
                TimeseriesRow {
                    protocol: id.protocol.clone(),
                    driver: id.driver.clone(),
                    point: id.point.clone(),
                    repetition: id.repetition,
                    t_ms: index * BUCKET_MS,
                    site: site.to_owned(),
                    operations: figures.operations,
                    errors: figures.errors,
                    latency_us_p50: bounds.of("latency_us_p50", figures.latency_us_p50),
                    latency_us_p99: bounds.of("latency_us_p99", figures.latency_us_p99),
                    commits: Some(commit.len()),
                    executions: Some(execute.len()),
                    commit_us_p50: commit.percentile_us(50.0).map(rounded),
                    commit_us_p99: commit.percentile_us(99.0).map(rounded),
                    execute_us_p50: execute.percentile_us(50.0).map(rounded),
                    execute_us_p99: execute.percentile_us(99.0).map(rounded),
                    latency_us_max: bounds.of("latency_us_max", figures.latency_us_max),
                    commit_us_max: commit.max_us().map(rounded),
                    execute_us_max: execute.max_us().map(rounded),
                    width_ms: Some(rounded(timeline.width_ms(place))),
                    at_least: bounds.text(),
                }
            })
            .collect()
    }

    fn event_rows(&self) -> Vec<EventRow> {
        let id = &self.identity;
        self.events
            .iter()
            .map(|event| EventRow {
                protocol: id.protocol.clone(),
                driver: id.driver.clone(),
                point: id.point.clone(),
                repetition: id.repetition,
                t_s: rounded(event.t_s),
                event: event.event.clone(),
                detail: event.detail.clone(),
            })
            .collect()
    }

    fn network_rows(&self) -> Vec<NetworkRow> {
        let of = |(process, report): &(String, NetworkReport)| {
            NetworkRow::of(&self.identity, process, report)
        };
        self.networks.iter().flat_map(of).collect()
    }

    fn verdict_rows(&self) -> Vec<VerdictRow> {
        let id = &self.identity;
        self.verdict
            .reasons
            .iter()
            .map(|finding| VerdictRow {
                protocol: id.protocol.clone(),
                driver: id.driver.clone(),
                point: id.point.clone(),
                repetition: id.repetition,
                severity: finding.severity,
                text: finding.text.clone(),
                advice: finding.advice.clone(),
            })
            .collect()
    }
}

/// The columns of a row that are lower bounds.
#[derive(Debug, Default)]
struct Bounds(Vec<&'static str>);

impl Bounds {
    /// The figure for `column`, which is noted if it is a lower bound.
    fn of(&mut self, column: &'static str, figure: Option<Bound>) -> Option<f64> {
        let Bound { us, at_least } = figure?;
        if at_least {
            self.0.push(column);
        }
        Some(rounded(us))
    }

    fn text(self) -> String {
        self.0.join(" ")
    }
}

/// Three decimals: more would pretend to a precision that no clock here has.
fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
