//! `bench run --dry-run`: the plan as a table.

use std::fmt::Write;

use workload::{Plan, Workload};

use crate::{output::aligned, progress::short};

/// The plan: a line per point with its protocols and repetitions, then how long it takes.
pub(crate) fn table(workload: &Workload, plan: &Plan) -> String {
    let mut points: Vec<(String, Vec<&'static str>, usize)> = Vec::new();
    for run in &plan.runs {
        let point = run.point.canonical();
        let protocol = run.protocol.name();
        let index = points.iter().position(|(text, ..)| *text == point).unwrap_or_else(|| {
            points.push((point, Vec::new(), 0));
            points.len() - 1
        });
        let (_, protocols, runs) = &mut points[index];
        if !protocols.contains(&protocol) {
            protocols.push(protocol);
        }
        *runs += 1;
    }
    let mut text = format!("{}, seed {}", workload.name, workload.seed);
    if let Some(question) = &workload.question {
        let _ = write!(text, ": {question}");
    }
    text.push_str("\n\n");
    let headings = ["point", "protocols", "repetitions", "runs", "about"];
    let mut rows = vec![headings.map(str::to_owned)];
    for (point, protocols, runs) in points {
        let runs_count = u32::try_from(runs).unwrap_or(u32::MAX);
        rows.push([
            point,
            protocols.join(" "),
            workload.repetitions.to_string(),
            runs.to_string(),
            short(plan.run_estimate() * runs_count),
        ]);
    }
    text.push_str(&aligned(&rows));
    let _ = writeln!(
        text,
        "\n{} runs, each {} s of warm-up and {} s measured: about {} in all. Nothing was started.",
        plan.runs.len(),
        workload.load.warmup_s,
        workload.load.duration_s,
        short(plan.estimate())
    );
    text
}
