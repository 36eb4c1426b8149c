//! `bench client probe`: how far away every replica is, who leads, and how each reaches the others.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use cluster::{Lines, Sight};
use driver::ReplicaStatus;
use futures_util::future::join_all;
use node::wire::ReplicaLinks;
use protocols::ReplicaId;

use super::Setting;
use crate::{
    exit::{FAILED, Failure},
    output,
};

/// What one replica answered.
#[derive(Debug)]
struct Answer {
    round_trip: Duration,
    status: ReplicaStatus,
    links: ReplicaLinks,
}

pub(super) async fn run(setting: &Setting) -> Result<ExitCode, Failure> {
    let lines = Lines::new(&setting.directory, &setting.description)?;
    let asked: Vec<ReplicaId> = if setting.chosen {
        setting.servers.clone()
    } else {
        ReplicaId::all(setting.description.replicas()).collect()
    };
    let timeout = setting.policy.timeout;
    let answers =
        join_all(asked.into_iter().map(async |id| (id, ask(&lines, id, timeout).await))).await;
    output::print(&told(setting, &answers))?;
    let silent = answers.iter().any(|(_, answer)| answer.is_err());
    Ok(if silent { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}

async fn ask(lines: &Lines, id: ReplicaId, timeout: Duration) -> Result<Answer, cluster::Error> {
    let answer = async {
        let mut line = lines.line(id).await?;
        let status = line.status().await?;
        // The second question finds the line warm.
        let begun = Instant::now();
        let links = line.links().await?;
        Ok(Answer { round_trip: begun.elapsed(), status, links })
    };
    match tokio::time::timeout(timeout, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(cluster::Error::NoAnswer { waited: timeout }),
    }
}

fn told(setting: &Setting, answers: &[(ReplicaId, Result<Answer, cluster::Error>)]) -> String {
    let mut rows = vec![
        ["replica", "round trip", "protocol", "leader", "links to the others"].map(str::to_owned),
    ];
    for (id, answer) in answers {
        rows.push(match answer {
            Ok(answer) => row(*id, answer),
            Err(error) => silent(setting, *id, error),
        });
    }
    output::aligned(&rows)
}

fn row(id: ReplicaId, answer: &Answer) -> [String; 5] {
    let leader = answer.status.core.leader;
    let links = answer.links.peers.iter().map(|link| {
        let state = link.round_trip.map_or_else(|| "down".to_owned(), milliseconds);
        format!("{}: {state}", link.peer.0)
    });
    [
        id.0.to_string(),
        milliseconds(answer.round_trip),
        answer.links.protocol.to_string(),
        leader.map_or_else(|| "–".to_owned(), |leader| leader.0.to_string()),
        links.collect::<Vec<_>>().join("  "),
    ]
}

fn silent(setting: &Setting, id: ReplicaId, error: &cluster::Error) -> [String; 5] {
    let why = match setting.description.look(id) {
        Sight::Gone => "dead".to_owned(),
        Sight::Paused => "paused".to_owned(),
        Sight::Running => error.to_string(),
    };
    let dash = || "–".to_owned();
    [id.0.to_string(), dash(), dash(), dash(), why]
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.2} ms", 1e3 * duration.as_secs_f64())
}
