//! `bench cluster partition` and `heal`.

use std::{collections::BTreeSet, process::ExitCode};

use cluster::{Description, Directory, Lines};
use node::emulator::NetworkChange;
use protocols::{ReplicaId, ReplicaSet};

use super::{block_on, list, lock, named, typed};
use crate::{cli::cluster::PartitionArguments, exit::Failure, output};

/// Senders, and receivers that they no longer reach.
type Cut = Vec<(ReplicaId, ReplicaId)>;

pub(super) fn partition(
    directory: &Directory,
    arguments: &PartitionArguments,
) -> Result<ExitCode, Failure> {
    let _lock = lock(directory, "partition")?;
    let mut description = directory.description()?;
    let (cut, what) = asked_for(&description, arguments)?;
    check_alive(directory, &description)?;
    // First written down: a replica that starts again meanwhile is told by whoever starts it.
    let all: BTreeSet<_> = description.cut.iter().copied().chain(cut).collect();
    description.cut = all.into_iter().collect();
    directory.describe(&description)?;
    block_on(async {
        let lines = Lines::new(directory, &description)?;
        announce_cuts(&lines, description.running(), &description).await
    })?;
    output::print(&format!("{what}: `{}` ends it\n", typed(directory, "cluster heal")))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn heal(directory: &Directory) -> Result<ExitCode, Failure> {
    let _lock = lock(directory, "heal")?;
    let mut description = directory.description()?;
    check_alive(directory, &description)?;
    let was_whole = description.cut.is_empty();
    description.cut.clear();
    block_on(async {
        let lines = Lines::new(directory, &description)?;
        announce(&lines, description.running(), &NetworkChange::Heal).await
    })?;
    // Last: what was not ended everywhere is still shown, and ended by another try.
    directory.describe(&description)?;
    let text = if was_whole { "no replica was cut off\n" } else { "every partition has ended\n" };
    output::print(text)?;
    Ok(ExitCode::SUCCESS)
}

/// Tells `replicas` who is cut off from whom.
pub(super) async fn announce_cuts(
    lines: &Lines,
    replicas: ReplicaSet,
    description: &Description,
) -> Result<(), Failure> {
    if description.cut.is_empty() {
        return Ok(());
    }
    let change = NetworkChange::Partition { blocked: description.cut.clone() };
    announce(lines, replicas, &change).await
}

async fn announce(
    lines: &Lines,
    replicas: ReplicaSet,
    change: &NetworkChange,
) -> Result<(), Failure> {
    match lines.network(replicas, change).await.into_iter().next() {
        None => Ok(()),
        Some((id, error)) => Err(Failure::failed(format!(
            "replica {} was not told ({error}): try again once it answers",
            id.0
        ))),
    }
}

/// Paused replicas cannot be told, and go on as they were once they wake.
fn check_alive(directory: &Directory, description: &Description) -> Result<(), Failure> {
    let paused = description.alive().difference(description.running());
    if !paused.is_empty() {
        let verb = if paused.len() == 1 { "is" } else { "are" };
        return Err(Failure::usage(format!(
            "{} {verb} paused and cannot be told: let it go on (kill -CONT) or kill it first",
            list(paused)
        )));
    }
    if description.running().is_empty() {
        let up = typed(directory, "cluster up");
        return Err(Failure::usage(format!("no replica is alive: `{up}` starts the cluster")));
    }
    Ok(())
}

/// Who is to be cut off from whom, and that in words.
fn asked_for(
    description: &Description,
    arguments: &PartitionArguments,
) -> Result<(Cut, String), Failure> {
    if arguments.groups.is_empty() {
        let from = named(description, "--from", &arguments.from)?;
        let to = named(description, "--to", &arguments.to)?;
        let both = from.intersection(to);
        if !both.is_empty() {
            return Err(Failure::usage(format!("--from, --to: {} cannot be both", list(both))));
        }
        let what = format!("what {} send{} does not reach {}", list(from), plural(from), list(to));
        return Ok((pairs(from, to), what));
    }
    let groups = groups(description, &arguments.groups)?;
    let mut cut = Vec::new();
    for from in &groups {
        for to in groups.iter().filter(|to| *to != from) {
            cut.extend(pairs(*from, *to));
        }
    }
    let groups: Vec<String> = groups.iter().map(|group| list(*group)).collect();
    Ok((cut, format!("{} no longer hear each other", groups.join(" | "))))
}

fn plural(set: ReplicaSet) -> &'static str {
    if set.len() == 1 { "s" } else { "" }
}

fn pairs(from: ReplicaSet, to: ReplicaSet) -> Cut {
    from.iter().flat_map(|from| to.iter().map(move |to| (from, to))).collect()
}

/// The groups that were named, and one of those that were not.
fn groups(description: &Description, arguments: &[String]) -> Result<Vec<ReplicaSet>, Failure> {
    let mut groups: Vec<ReplicaSet> = Vec::new();
    let mut seen = ReplicaSet::EMPTY;
    for text in arguments.iter().flat_map(|argument| argument.split('|')) {
        let numbers: Result<Vec<u8>, _> = text.split(',').map(|n| n.trim().parse()).collect();
        let numbers = numbers.map_err(|_| {
            Failure::usage(format!(
                "partition {text:?}: is no group: write replicas such as 0 or 1,2, and several groups as '0|1,2'"
            ))
        })?;
        let group = named(description, "partition", &numbers)?;
        let twice = group.intersection(seen);
        if !twice.is_empty() {
            let text = format!("partition: {} cannot be in two groups", list(twice));
            return Err(Failure::usage(text));
        }
        seen = seen.union(group);
        groups.push(group);
    }
    let rest = ReplicaSet::all(description.replicas()).difference(seen);
    if !rest.is_empty() {
        groups.push(rest);
    }
    if groups.len() < 2 {
        return Err(Failure::usage(
            "partition: names every replica in one group: name at least two groups, such as 0 and 1,2",
        ));
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use driver::storage::Durability;
    use protocols::Config;

    use super::*;

    fn description() -> Description {
        let address: node::address::Address = "127.0.0.1:7000".parse().unwrap();
        let addresses = vec![address; 5];
        Description::new(
            protocols::epaxos::PROTOCOL,
            Durability::Memory,
            false,
            Config::new(5),
            addresses,
        )
    }

    fn asked(groups: &[&str], from: &[u8], to: &[u8]) -> Result<(Vec<(u8, u8)>, String), String> {
        let arguments = PartitionArguments {
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            from: from.to_vec(),
            to: to.to_vec(),
        };
        let (cut, what) =
            asked_for(&description(), &arguments).map_err(|failure| failure.to_string())?;
        Ok((cut.into_iter().map(|(from, to)| (from.0, to.0)).collect(), what))
    }

    #[test]
    fn groups_hear_only_themselves() {
        let (cut, what) = asked(&["0,1"], &[], &[]).unwrap();
        assert_eq!(what, "replicas 0 and 1 | replicas 2, 3 and 4 no longer hear each other");
        assert_eq!(cut.len(), 12);
        assert!(cut.contains(&(0, 4)) && cut.contains(&(4, 0)) && !cut.contains(&(0, 1)));
        let in_one = asked(&["0|1,2"], &[], &[]).unwrap();
        assert_eq!(in_one, asked(&["0", "1,2"], &[], &[]).unwrap());
        assert!(in_one.0.contains(&(0, 1)) && in_one.0.contains(&(3, 2)));
        assert!(!in_one.0.contains(&(3, 4)) && !in_one.0.contains(&(2, 1)));
    }

    #[test]
    fn one_way_is_one_way() {
        let (cut, what) = asked(&[], &[0], &[1, 2]).unwrap();
        assert_eq!(cut, [(0, 1), (0, 2)]);
        assert_eq!(what, "what replica 0 sends does not reach replicas 1 and 2");
    }

    #[test]
    fn nonsense_is_refused_in_words() {
        let refused = |groups: &[&str], from: &[u8], to: &[u8], expected: &str| {
            let error = asked(groups, from, to).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        refused(&["0,x"], &[], &[], "\"0,x\": is no group");
        refused(&["5"], &[], &[], "partition 5: there is no such replica: they are 0 to 4");
        refused(&["0,1", "1"], &[], &[], "replica 1 cannot be in two groups");
        refused(&["0,1,2,3,4"], &[], &[], "names every replica in one group");
        refused(&[], &[0, 1], &[1], "replica 1 cannot be both");
    }
}
