//! `bench topology`: what the formulas promise on a matrix of sites, before anything is run.

use std::{fmt::Write, process::ExitCode};

use protocols::{
    either,
    formula::When::{SlowPath, Undisturbed},
    quorum::majority,
    registry,
};
use serde_json::{Map, Value, json};
use workload::{Promise, Promises, Promising, SiteFile};

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
    let mut text = format!("\n{replicas} replicas; a majority is {}", majority(replicas));
    for protocol in registry::all() {
        let sizes = protocol.fast_quorums.iter();
        let sizes = sizes.map(|size| format!("{} ({})", (size.of)(replicas), size.name));
        let sizes: Vec<String> = sizes.collect();
        if !sizes.is_empty() {
            let sizes: Vec<&str> = sizes.iter().map(String::as_str).collect();
            let _ = write!(text, ", {} fast quorum {}", possessive(protocol.title), either(&sizes));
        }
    }
    text.push_str("\n\n");
    let headed: Vec<([String; 2], &Promise)> = promises
        .all
        .iter()
        .map(|promising| (heading(promises, promising), promising.best()))
        .collect();
    text.push_str(&columns(promises, &headed));
    for led in promises.all.iter().filter(|promising| promising.protocol.has_stable_leader) {
        let title = led.protocol.title;
        let _ = write!(text, "\n{title}, by leader (m: best by mean; w: best by its worst site");
        text.push_str(if !file.leaders.is_empty() { "; l: the workload's)\n" } else { ")\n" });
        let leaders: Vec<usize> = (0..replicas).collect();
        for shown in leaders.chunks(LEADERS_SHOWN) {
            let heading =
                |leader: &usize| [marks(led, file, *leader), promises.sites[*leader].clone()];
            let under: Vec<([String; 2], &Promise)> =
                shown.iter().map(|leader| (heading(leader), &led.by_leader[*leader])).collect();
            text.push('\n');
            text.push_str(&columns(promises, &under));
        }
    }
    if let Some(conclusion) = conclusion(promises) {
        let _ = writeln!(text, "\n{conclusion}");
    }
    text
}

/// The two lines above a protocol's column.
fn heading(promises: &Promises, promising: &Promising) -> [String; 2] {
    let [first, second] = promising.facts.heading.map(str::to_owned);
    if !promising.protocol.has_stable_leader {
        return [first, second];
    }
    let leader = &promises.sites[promising.best_leader_by_mean()];
    [first, format!("{second} {leader}")]
}

/// "Mencius'", "Multi-Paxos'", "Raft's".
fn possessive(title: &str) -> String {
    if title.ends_with('s') { format!("{title}'") } else { format!("{title}'s") }
}

/// What a leader's column is marked with.
fn marks(led: &Promising, file: &SiteFile, leader: usize) -> String {
    let marks = [
        ('m', leader == led.best_leader_by_mean()),
        ('w', leader == led.best_leader_by_worst()),
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

/// The first promise of a protocol with a stable leader.
fn led(promises: &Promises) -> Option<&Promising> {
    promises.all.iter().find(|promising| promising.protocol.has_stable_leader)
}

/// Where the first protocol with a fast path is faster than the first one with a leader, the best,
/// and by how much; none if either promises nothing.
fn conclusion(promises: &Promises) -> Option<String> {
    let led = led(promises)?;
    let quick = promises.all.iter().map(|promising| promising.protocol);
    let quick = quick.into_iter().find(|protocol| protocol.has_fast_path)?;
    let fast = promises.of(quick, Undisturbed)?.best();
    let slow = promises.of(quick, SlowPath)?.best();
    let leader = led.best_leader_by_mean();
    let best = led.best();
    let where_it_is = |holds: fn(u64, u64) -> bool| {
        let pairs = fast.by_site_ns().iter().zip(best.by_site_ns()).zip(&promises.sites);
        let names: Vec<&str> = pairs
            .filter(|((quick, led), _)| holds(**quick, **led))
            .map(|(_, name)| name.as_str())
            .collect();
        if names.is_empty() { "nowhere".to_owned() } else { format!("at {}", names.join(", ")) }
    };
    let sentences = format!(
        "Without conflicts {} takes {} ms on average where {} under its best leader, {}, takes {}: {}; it is \
         faster {}, slower {}. Where every command takes the slow path it takes {} ms at most: {}.",
        quick.title,
        ms(fast.mean_ns()),
        led.protocol.title,
        promises.sites[leader],
        ms(best.mean_ns()),
        difference(fast.mean_ns(), best.mean_ns()),
        where_it_is(|quick, led| quick < led),
        where_it_is(|quick, led| quick > led),
        ms(slow.mean_ns()),
        difference(slow.mean_ns(), best.mean_ns()),
    );
    Some(folded(&sentences).join("\n"))
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
        .map(|(promises, is_steady)| cluster_document(promises, *is_steady))
        .collect();
    json!({
        "topology": file.topology.name,
        "source": file.topology.source,
        "basis": BASIS,
        "workload_leaders": file.leaders.iter().map(|leader| leader.index()).collect::<Vec<_>>(),
        "clusters": clusters,
    })
}

fn cluster_document(promises: &Promises, is_steady: bool) -> Value {
    let replicas = promises.sites.len();
    let mut document = Map::new();
    let mut put = |key: &str, value: Value| {
        document.insert(key.to_owned(), value);
    };
    put("replicas", json!(replicas));
    put("sites", json!(promises.sites));
    put("jitter_left_out", json!(!is_steady));
    put("majority", json!(majority(replicas)));
    for size in registry::all().into_iter().flat_map(|protocol| protocol.facts().fast_quorums) {
        put(&format!("fast_quorum_{}", size.name), json!((size.of)(replicas)));
    }
    for promising in &promises.all {
        let value = if promising.protocol.has_stable_leader {
            let values = promising.by_leader.iter().map(|promise| value(promises, promise));
            Value::Object(promises.sites.iter().cloned().zip(values).collect())
        } else {
            value(promises, promising.best())
        };
        put(promising.facts.key, value);
    }
    if let Some(led) = led(promises) {
        put("best_leader_by_mean", json!(promises.sites[led.best_leader_by_mean()]));
        put("best_leader_by_worst_site", json!(promises.sites[led.best_leader_by_worst()]));
    }
    if let Some(conclusion) = conclusion(promises) {
        put("conclusion", json!(conclusion.replace('\n', " ")));
    }
    Value::Object(document)
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
