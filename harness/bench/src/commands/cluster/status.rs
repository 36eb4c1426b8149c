//! `bench cluster status`: how every replica is, and whether they agree.

use std::{process::ExitCode, time::Duration};

use cluster::{Description, Directory, Lines, Process, Sight};
use driver::ReplicaStatus;
use protocols::{ReplicaId, kv::Digest};

use super::{block_on, mebibytes, prospects, typed, warn};
use crate::{
    exit::{self, Failure},
    output,
    progress::short,
};

/// Chosen: replicas that differ are asked again so often before that is said; under load they always differ a little.
const LOOKS: u32 = 3;
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(200);

pub(super) fn run(directory: &Directory) -> Result<ExitCode, Failure> {
    let description = directory.description()?;
    warn(description.is_insecure);
    let seen = block_on(look(directory, &description))?;
    let reference = seen.iter().filter_map(Seen::digest).max_by_key(|digest| digest.writes);
    let mut rows = vec![
        [
            "replica", "process", "state", "leader", "peers", "executed", "data", "memory", "held",
            "uptime",
        ]
        .map(str::to_owned),
    ];
    for replica in &seen {
        rows.push(replica.row(&description, reference));
    }
    let mut text = format!(
        "{} · {} replicas · durability {}{} · {}\n\n",
        description.protocol,
        description.replicas(),
        description.durability,
        if description.is_insecure { " · INSECURE" } else { "" },
        directory.root().display()
    );
    text.push_str(&output::aligned(&rows));
    for note in notes(directory, &description, &seen) {
        text.push('\n');
        text.push_str(&note);
        text.push('\n');
    }
    output::print(&text)?;
    let disagree = seen.iter().any(|replica| replica.differs(reference));
    let silent = seen.iter().any(|replica| replica.status.is_none());
    Ok(match (disagree, silent) {
        (true, _) => ExitCode::from(exit::VIOLATION),
        (_, true) => ExitCode::from(exit::FAILED),
        _ => ExitCode::SUCCESS,
    })
}

/// What was seen of one replica.
#[derive(Debug)]
struct Seen {
    id: ReplicaId,
    sight: Sight,
    /// None if it did not answer.
    status: Option<ReplicaStatus>,
    /// Did nothing change between two looks?
    at_rest: bool,
}

/// Asks every living replica; again, if they differ.
async fn look(directory: &Directory, description: &Description) -> Result<Vec<Seen>, Failure> {
    let lines = Lines::new(directory, description)?;
    let mut seen = look_once(&lines, description, &[]).await;
    for _ in 1..LOOKS {
        let mut digests = seen.iter().filter_map(Seen::digest);
        let first = digests.next();
        if digests.all(|digest| Some(digest) == first) {
            break;
        }
        tokio::time::sleep(LOOK_AGAIN_AFTER).await;
        seen = look_once(&lines, description, &seen).await;
    }
    Ok(seen)
}

async fn look_once(lines: &Lines, description: &Description, before: &[Seen]) -> Vec<Seen> {
    let statuses = lines.statuses(description.alive()).await;
    ReplicaId::all(description.replicas())
        .map(|id| {
            let answer = statuses.iter().find(|(other, _)| *other == id);
            let status = answer.and_then(|(_, answer)| answer.as_ref().ok()).cloned();
            let digest = status.as_ref().map(|status| status.digest);
            let before = before.iter().find(|seen| seen.id == id).and_then(Seen::digest);
            Seen {
                id,
                sight: description.look(id),
                at_rest: digest.is_some() && digest == before,
                status,
            }
        })
        .collect()
}

impl Seen {
    fn digest(&self) -> Option<Digest> {
        self.status.as_ref().map(|status| status.digest)
    }

    /// Does it hold as much as the `reference`, and something else?
    fn differs(&self, reference: Option<Digest>) -> bool {
        self.at_rest
            && self
                .digest()
                .zip(reference)
                .is_some_and(|(own, all)| own.writes == all.writes && own != all)
    }

    fn row(&self, description: &Description, reference: Option<Digest>) -> [String; 10] {
        let process = description.process(self.id).filter(|_| self.sight != Sight::Gone);
        let status = self.status.as_ref();
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        [
            self.id.0.to_string(),
            or_dash(process.map(|process| process.pid.to_string())),
            self.state().to_owned(),
            or_dash(
                status.and_then(|status| status.core.leader).map(|leader| leader.0.to_string()),
            ),
            or_dash(status.map(|status| {
                format!("{}/{}", status.peers_connected, description.replicas() - 1)
            })),
            or_dash(status.map(|status| status.executed.to_string())),
            or_dash(self.digest().zip(reference).map(|(own, all)| self.compared(own, all))),
            or_dash(status.and_then(|status| status.rss_bytes).map(mebibytes)),
            or_dash(status.map(|status| {
                let budget = mebibytes(status.memory.budget_bytes);
                format!("{} of {budget}", mebibytes(status.held_bytes()))
            })),
            or_dash(process.and_then(Process::uptime).map(short)),
        ]
    }

    fn state(&self) -> &'static str {
        match (self.sight, &self.status) {
            (Sight::Gone, _) => "dead",
            (Sight::Paused, _) => "paused",
            (Sight::Running, Some(_)) => "up",
            (Sight::Running, None) => "no answer",
        }
    }

    fn compared(&self, own: Digest, all: Digest) -> String {
        if own == all {
            "equal".to_owned()
        } else if own.writes < all.writes {
            format!("{} writes behind", all.writes - own.writes)
        } else if self.at_rest {
            "DIFFERS".to_owned()
        } else {
            "changing".to_owned()
        }
    }
}

/// What there is to say beside the table.
fn notes(directory: &Directory, description: &Description, seen: &[Seen]) -> Vec<String> {
    let mut notes = Vec::new();
    let dead: Vec<String> = seen
        .iter()
        .filter(|replica| replica.sight == Sight::Gone)
        .map(|replica| replica.id.0.to_string())
        .collect();
    if dead.len() == seen.len() {
        let why = match (description.stopped, description.is_of_this_boot()) {
            (true, _) => "The cluster was stopped",
            (false, true) => "All replicas have died",
            (false, false) => "The machine was started anew, and no replica is left",
        };
        notes.push(format!(
            "{why}: `{}` starts it again, `{}` removes it.",
            typed(directory, "cluster up"),
            typed(directory, "cluster down")
        ));
    } else if !dead.is_empty() {
        let restart = typed(directory, &format!("cluster restart {}", dead.join(" ")));
        notes.push(format!("{}; `{restart}` starts what is dead again.", prospects(description)));
    }
    if !description.cut.is_empty() {
        let pairs: Vec<String> =
            description.cut.iter().map(|(from, to)| format!("{}→{}", from.0, to.0)).collect();
        notes.push(format!(
            "Cut off: {}; `{}` ends it.",
            pairs.join(" "),
            typed(directory, "cluster heal")
        ));
    }
    notes
}
