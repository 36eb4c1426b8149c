//! `bench topology`: what the formulas promise on a matrix of sites, before anything is run.

use std::{fmt::Write, process::ExitCode};

use protocols::{
    config::FastQuorum,
    quorum::{EpaxosQuorums, majority},
};
use serde_json::{Map, Value, json};
use workload::{Promise, Promises, SiteFile};

use crate::{
    cli::{Format, TopologyArguments},
    exit::Failure,
    output::{self, folded},
};

/// What the figures are, in text and JSON alike.
const BASIS: &str = "promised by round trips alone; nothing was run";
/// Chosen: as many columns as fit beside the names on a screen.
const LEADERS_SHOWN: usize = 10;
/// Chosen: the sizes that papers print.
const REPLICAS_USUAL: [usize; 2] = [3, 5];

pub(crate) fn run(arguments: &TopologyArguments) -> Result<ExitCode, Failure> {
    let file = SiteFile::load(&arguments.matrix).map_err(Failure::usage)?;
    let mut clusters = Vec::new();
    for replicas in sizes(arguments, &file) {
        let sites = file.topology.sites(replicas).map_err(|lack| {
            let remedy = "use a smaller -n, or add the sites to its file";
            let matrix = &arguments.matrix;
            Failure::usage(format!("{matrix}: a cluster of {replicas}: {lack}: {remedy}"))
        })?;
        clusters.push((Promises::new(&sites), sites.is_steady()));
    }
    match arguments.format {
        Format::Text => output::print(&text(&file, &clusters))?,
        Format::Json => output::print(&format!("{:#}\n", document(&file, &clusters)))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The sizes asked for; absent, a workload's own, or the usual ones and all sites if that is an odd number.
fn sizes(arguments: &TopologyArguments, file: &SiteFile) -> Vec<usize> {
    let given = if arguments.replicas.is_empty() { &file.replicas } else { &arguments.replicas };
    if !given.is_empty() {
        return given.clone();
    }
    let all = file.topology.sites.len();
    let mut sizes: Vec<usize> =
        REPLICAS_USUAL.into_iter().filter(|replicas| *replicas < all || *replicas == 3).collect();
    if all % 2 == 1 && all > 3 {
        sizes.push(all);
    }
    sizes
}

fn text(file: &SiteFile, clusters: &[(Promises, bool)]) -> String {
    let topology = &file.topology;
    let name = topology.name.as_deref().unwrap_or("a table without a name");
    let mut text = format!("{name}: {BASIS}\n");
    let assumed = "Commit latency in ms where service takes no time and nothing fails, for clients at each replica's \
                   site, as many at each.";
    for line in folded(&format!("Source: {}", topology.source)).into_iter().chain(folded(assumed)) {
        let _ = writeln!(text, "{line}");
    }
    for (promises, is_steady) in clusters {
        text.push_str(&cluster_text(promises, file));
        if !is_steady {
            text.push_str("Jitter is left out: it adds to every way.\n");
        }
    }
    text
}

fn cluster_text(promises: &Promises, file: &SiteFile) -> String {
    let replicas = promises.sites.len();
    let quorum = |kind| EpaxosQuorums::new(replicas, kind).fast();
    let best = &promises.multi_paxos[promises.best_leader_by_mean()];
    let best_name = &promises.sites[promises.best_leader_by_mean()];
    let mut text = format!(
        "\n{replicas} replicas; a majority is {}, EPaxos' fast quorum {} (optimized) or {} (simple)\n\n",
        majority(replicas),
        quorum(FastQuorum::Optimized),
        quorum(FastQuorum::Simple),
    );
    text.push_str(&columns(
        promises,
        &[
            (["EPaxos fast", "optimized"].map(str::to_owned), &promises.epaxos_fast),
            (["slow at most", "optimized"].map(str::to_owned), &promises.epaxos_slow),
            (["fast", "simple"].map(str::to_owned), &promises.epaxos_simple_fast),
            (["slow at most", "simple"].map(str::to_owned), &promises.epaxos_simple_slow),
            (["Paxos", "uncontended"].map(str::to_owned), &promises.paxos),
            (["Multi-Paxos".to_owned(), format!("leader {best_name}")], best),
        ],
    ));
    text.push_str("\nMulti-Paxos, by leader (m: best by mean; w: best by its worst site");
    text.push_str(if !file.leaders.is_empty() { "; l: the workload's)\n" } else { ")\n" });
    let leaders: Vec<usize> = (0..replicas).collect();
    for shown in leaders.chunks(LEADERS_SHOWN) {
        let heading =
            |leader: &usize| [marks(promises, file, *leader), promises.sites[*leader].clone()];
        let under: Vec<([String; 2], &Promise)> =
            shown.iter().map(|leader| (heading(leader), &promises.multi_paxos[*leader])).collect();
        text.push('\n');
        text.push_str(&columns(promises, &under));
    }
    let _ = writeln!(text, "\n{}", conclusion(promises));
    text
}

/// What a leader's column is marked with.
fn marks(promises: &Promises, file: &SiteFile, leader: usize) -> String {
    let marks = [
        ('m', leader == promises.best_leader_by_mean()),
        ('w', leader == promises.best_leader_by_worst()),
        ('l', file.leaders.iter().any(|own| own.index() == leader)),
    ];
    marks.into_iter().filter_map(|(mark, holds)| holds.then_some(mark)).collect()
}

/// A row per site, then the mean and the worst; a column per promise under two lines of heading.
fn columns(promises: &Promises, columns: &[([String; 2], &Promise)]) -> String {
    let mut labels = vec![String::new(), "site".to_owned()];
    labels.extend(promises.sites.iter().cloned());
    labels.extend(["mean".to_owned(), "worst".to_owned()]);
    let mut rows: Vec<Vec<String>> = labels.into_iter().map(|label| vec![label]).collect();
    for (heading, promise) in columns {
        let by_site = promise.by_site_ns().iter().map(|ns| ms(*ns as f64));
        let ends = [ms(promise.mean_ns()), ms(promise.worst().1 as f64)];
        let cells = heading.iter().cloned().chain(by_site).chain(ends);
        rows.iter_mut().zip(cells).for_each(|(row, cell)| row.push(cell));
    }
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..=columns.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = format!("  {:<width$}", row[0], width = widths[0]);
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            let _ = write!(line, "  {cell:>width$}");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// Where EPaxos is faster than Multi-Paxos under its best leader, and by how much.
fn conclusion(promises: &Promises) -> String {
    let leader = promises.best_leader_by_mean();
    let best = &promises.multi_paxos[leader];
    let fast = &promises.epaxos_fast;
    let where_it_is = |holds: fn(u64, u64) -> bool| {
        let pairs = fast.by_site_ns().iter().zip(best.by_site_ns()).zip(&promises.sites);
        let names: Vec<&str> = pairs
            .filter(|((epaxos, multi_paxos), _)| holds(**epaxos, **multi_paxos))
            .map(|(_, name)| name.as_str())
            .collect();
        if names.is_empty() { "nowhere".to_owned() } else { format!("at {}", names.join(", ")) }
    };
    let sentences = format!(
        "Without conflicts EPaxos takes {} ms on average where Multi-Paxos under its best leader, {}, takes {}: {}; it is \
         faster {}, slower {}. Where every command takes the slow path it takes {} ms at most: {}.",
        ms(fast.mean_ns()),
        promises.sites[leader],
        ms(best.mean_ns()),
        difference(fast.mean_ns(), best.mean_ns()),
        where_it_is(|epaxos, multi_paxos| epaxos < multi_paxos),
        where_it_is(|epaxos, multi_paxos| epaxos > multi_paxos),
        ms(promises.epaxos_slow.mean_ns()),
        difference(promises.epaxos_slow.mean_ns(), best.mean_ns()),
    );
    folded(&sentences).join("\n")
}

/// How much `one` is more or less than `other`, in ms and per cent of the latter.
fn difference(one_ns: f64, other_ns: f64) -> String {
    let less_ns = other_ns - one_ns;
    let word = if less_ns >= 0.0 { "less" } else { "more" };
    format!("{} ms ({:.0} %) {word}", ms(less_ns.abs()), less_ns.abs() / other_ns * 100.0)
}

/// One decimal: no matrix is better than that.
fn ms(ns: f64) -> String {
    format!("{:.1}", ns / 1e6)
}

fn document(file: &SiteFile, clusters: &[(Promises, bool)]) -> Value {
    let clusters: Vec<Value> = clusters
        .iter()
        .map(|(promises, is_steady)| {
            let replicas = promises.sites.len();
            let name = |leader: usize| &promises.sites[leader];
            let by_leader: Map<String, Value> = (promises.sites.iter().cloned())
                .zip(promises.multi_paxos.iter().map(|promise| value(promises, promise)))
                .collect();
            json!({
                "replicas": replicas,
                "sites": promises.sites,
                "jitter_left_out": !is_steady,
                "majority": majority(replicas),
                "fast_quorum_optimized": EpaxosQuorums::new(replicas, FastQuorum::Optimized).fast(),
                "fast_quorum_simple": EpaxosQuorums::new(replicas, FastQuorum::Simple).fast(),
                "epaxos_fast_optimized_ms": value(promises, &promises.epaxos_fast),
                "epaxos_slow_optimized_ms_max": value(promises, &promises.epaxos_slow),
                "epaxos_fast_simple_ms": value(promises, &promises.epaxos_simple_fast),
                "epaxos_slow_simple_ms_max": value(promises, &promises.epaxos_simple_slow),
                "paxos_uncontended_ms": value(promises, &promises.paxos),
                "multi_paxos_ms_by_leader": by_leader,
                "best_leader_by_mean": name(promises.best_leader_by_mean()),
                "best_leader_by_worst_site": name(promises.best_leader_by_worst()),
                "conclusion": conclusion(promises).replace('\n', " "),
            })
        })
        .collect();
    json!({
        "topology": file.topology.name,
        "source": file.topology.source,
        "basis": BASIS,
        "workload_leaders": file.leaders.iter().map(|leader| leader.index()).collect::<Vec<_>>(),
        "clusters": clusters,
    })
}

fn value(promises: &Promises, promise: &Promise) -> Value {
    let in_ms = |ns: f64| (ns / 1e3).round() / 1e3;
    let (worst, worst_ns) = promise.worst();
    json!({
        "by_site": promise.by_site_ns().iter().map(|ns| in_ms(*ns as f64)).collect::<Vec<f64>>(),
        "mean": in_ms(promise.mean_ns()),
        "worst": in_ms(worst_ns as f64),
        "worst_site": promises.sites[worst],
    })
}
