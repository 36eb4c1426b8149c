//! Carrying out one line of a script.

use std::collections::VecDeque;

use protocols::{
    Batch, ClientId, Command, Config, Input, ReplicaId, Request, RequestNumber,
    epaxos::{ConflictWindow, Execution, FastQuorum, UnknownVariant, Variant},
};

use super::{
    Mode, expect,
    net::{Cut, Envelope},
    pattern::{Pattern, parse_replica},
    stage::Stage,
    words::Words,
};

/// Who crashes amid what a directive makes it do, and when.
#[derive(Clone, Copy)]
struct Crash(Option<(ReplicaId, Cut)>);

impl Crash {
    fn of(self, replica: ReplicaId) -> Cut {
        self.0.filter(|(crashing, _)| *crashing == replica).map_or(Cut::Whole, |(_, cut)| cut)
    }
}

/// Carries `line` out. The first line makes the cluster.
pub fn carry_out<R: Words>(
    net: &mut Option<Stage<R>>,
    line: &str,
    mode: Mode,
) -> Result<(), String> {
    let words: Vec<_> = line.split_whitespace().collect();
    let Some(net) = net else {
        *net = Some(Stage::new(cluster(&words)?));
        return Ok(());
    };
    let (line, crash) = crash(line)?;
    let words: Vec<_> = line.split_whitespace().collect();
    match words[..] {
        ["deliver", ..] => deliver(net, rest(line), mode, crash),
        ["drop", ..] => take(net, rest(line), mode, |_, _| ()),
        ["hold", ..] => take(net, rest(line), mode, |net, envelope| net.world.held.push(envelope)),
        ["duplicate", ..] => take(net, rest(line), mode, |net, envelope| {
            net.world.held.push(envelope.clone());
            net.flight.push_back(envelope);
        }),
        ["release"] => {
            let held = std::mem::take(&mut net.world.held);
            let lives: Vec<_> = held.into_iter().filter(|held| net.lives(held.to)).collect();
            net.flight.extend(lives);
            Ok(())
        }
        ["crash", ref replicas @ ..] => each(replicas, |replica| {
            net.crash(replica);
        }),
        ["checkpoint", ref replicas @ ..] => each(replicas, |replica| net.checkpoint(replica)),
        ["restart", ref replicas @ ..] => each(replicas, |replica| {
            if !net.lives(replica) {
                net.start(replica);
            }
        }),
        ["settle"] => net.settle_quietly(),
        ["rest"] => net.rest(),
        ["expect", ref what @ ..] => expect::expect(net, what),
        [replica, "timer", ref timer @ ..] => {
            let timer = R::timer(timer).ok_or("there is no timer of that name")?;
            let replica = parse_replica(replica)?;
            if net.stop(replica, timer) {
                net.step_cut(replica, Input::Timer(timer), crash.of(replica));
                return Ok(());
            }
            if mode == Mode::Lenient {
                return Ok(());
            }
            Err(format!("it does not run; these do: {:?}", net.timers(replica)))
        }
        [replica, "proposes", label, "again"] => {
            let batch = net.world.names.batch(label).ok_or("it was not proposed before")?.clone();
            let replica = parse_replica(replica)?;
            net.propose(replica, batch, crash.of(replica));
            Ok(())
        }
        [replica, "proposes", label, ref command @ ..] => {
            let batch = batch(net, label.trim_end_matches(':'), command)?;
            let replica = parse_replica(replica)?;
            net.propose(replica, batch, crash.of(replica));
            Ok(())
        }
        _ => Err("no such directive: testdata/README.md lists them".to_owned()),
    }
}

/// What comes after the first word.
fn rest(line: &str) -> &str {
    line.split_once(' ').map_or("", |(_, rest)| rest)
}

/// Splits off `, and r1 crashes before it persists`.
fn crash(line: &str) -> Result<(&str, Crash), String> {
    let Some((line, crash)) = line.split_once(", and ") else { return Ok((line, Crash(None))) };
    let words: Vec<_> = crash.split_whitespace().collect();
    let [replica, "crashes", "before", "it", what] = words[..] else {
        return Err("write ', and r1 crashes before it persists' or '… sends'".to_owned());
    };
    let cut = match what {
        "persists" => Cut::After(0),
        "sends" => Cut::BeforeSend,
        _ => return Err(format!("'{what}' is neither 'persists' nor 'sends'")),
    };
    Ok((line, Crash(Some((parse_replica(replica)?, cut)))))
}

/// `cluster of 5, simple fast quorum, led by r1, keeping 2 slots`.
fn cluster(words: &[&str]) -> Result<Config, String> {
    let line = words.join(" ");
    let mut parts = line.split(", ");
    let size = parts.next().and_then(|first| first.strip_prefix("cluster of ")?.parse().ok());
    let mut config =
        Config::new(size.ok_or("a script begins with 'cluster of' and a number of replicas")?);
    for part in parts {
        let words: Vec<_> = part.split(' ').collect();
        match words[..] {
            ["simple", "fast", "quorum"] => config.options.put(FastQuorum::Simple),
            ["variant", variant] => {
                let variant: Variant =
                    variant.parse().map_err(|error: UnknownVariant| error.to_string())?;
                config.options.put(variant);
            }
            ["execution", execution] => {
                let of_name = |rule: &Execution| rule.name() == execution;
                let execution = Execution::ALL.into_iter().find(of_name);
                config.options.put(execution.ok_or("unknown execution: use closed or bounded")?);
            }
            ["window", commands] => {
                let commands = commands.parse().map_err(|_| "that is no number of commands")?;
                config.options.put(ConflictWindow::of(commands));
            }
            ["led", "by", leader] => config.first_leader = parse_replica(leader)?,
            ["keeping", slots, "slot" | "slots"] => {
                config.kept_slots_max = slots.parse().map_err(|_| "that is no number of slots")?;
            }
            _ => return Err(format!("'{part}' says nothing about a cluster")),
        }
    }
    Ok(config)
}

/// `put k`, `append k`, `get k`, `delete k`, each perhaps with `as the client of a`. The value is the label.
fn batch<R: Words>(net: &mut Stage<R>, label: &str, command: &[&str]) -> Result<Batch, String> {
    let (command, client) = match command {
        [command @ .., "as", "the", "client", "of", other] => {
            let client = net.world.names.clients.get(*other);
            (command, *client.ok_or_else(|| format!("'{other}' was not proposed before"))?)
        }
        command => (command, net.world.names.requests.len() as u64 + 1),
    };
    let value = label.as_bytes();
    let command = match *command {
        ["put", key] => Command::Put { key: key.as_bytes(), value },
        ["append", key] => Command::Append { key: key.as_bytes(), value },
        ["get", key] => Command::Get { key: key.as_bytes() },
        ["delete", key] => Command::Delete { key: key.as_bytes() },
        _ => return Err("write put, append, get or delete, and a key".to_owned()),
    };
    let made = net.world.names.requests.entry(client).or_default();
    let number = if command.is_read() {
        made.1 += 1;
        RequestNumber::read(made.1)
    } else {
        made.0 += 1;
        RequestNumber::write(made.0)
    };
    let request = Request { client: ClientId(client), number, unanswered_from: 1, command };
    let batch = Batch::single(&request).map_err(|error| error.to_string())?;
    net.world.names.clients.insert(label.to_owned(), client);
    net.world.names.add(label, &batch);
    Ok(batch)
}

fn each(replicas: &[&str], mut act: impl FnMut(ReplicaId)) -> Result<(), String> {
    if replicas.is_empty() {
        return Err("nobody is named".to_owned());
    }
    for replica in replicas {
        act(parse_replica(replica)?);
    }
    Ok(())
}

/// Takes the oldest message of each kind, instance and link that the pattern means out of the flight.
fn matching<R: Words>(
    net: &mut Stage<R>,
    pattern: &str,
    mode: Mode,
) -> Result<Vec<Envelope<R::Message>>, String> {
    let pattern: Pattern = pattern.parse()?;
    let (mut taken, mut left, mut seen) = (Vec::new(), VecDeque::new(), Vec::new());
    for envelope in std::mem::take(&mut net.flight) {
        let told = R::tell(&envelope.message, &net.world.names);
        let which = (envelope.from, envelope.to, told.kind, told.instance);
        if pattern.matches(envelope.from, envelope.to, &told) && !seen.contains(&which) {
            seen.push(which);
            taken.push(envelope);
        } else {
            left.push_back(envelope);
        }
    }
    net.flight = left;
    let named = pattern.to.iter().flatten();
    let mut missing = named.filter(|to| !taken.iter().any(|envelope| envelope.to == **to));
    let missing = missing.next().map(|to| format!(" to {to}"));
    if mode == Mode::Strict && (taken.is_empty() || missing.is_some()) {
        let missing = missing.unwrap_or_default();
        let flight: Vec<_> = left_lines(net);
        return Err(format!("no such message{missing} is under way; these are: {flight:#?}"));
    }
    Ok(taken)
}

fn left_lines<R: Words>(net: &Stage<R>) -> Vec<String> {
    let line = |envelope: &Envelope<R::Message>| {
        let told = R::tell(&envelope.message, &net.world.names);
        format!("{} -> {}: {}", envelope.from, envelope.to, told.line())
    };
    net.flight.iter().map(line).collect()
}

fn deliver<R: Words>(
    net: &mut Stage<R>,
    pattern: &str,
    mode: Mode,
    crash: Crash,
) -> Result<(), String> {
    for envelope in matching(net, pattern, mode)? {
        let Envelope { from, to, message } = envelope;
        net.step_cut(to, Input::Message { from, message }, crash.of(to));
    }
    Ok(())
}

/// Takes every message that the pattern means out of the flight, duplicates too.
fn take<R: Words>(
    net: &mut Stage<R>,
    pattern: &str,
    mode: Mode,
    act: impl Fn(&mut Stage<R>, Envelope<R::Message>),
) -> Result<(), String> {
    let everything = pattern == "everything";
    let mut taken =
        matching(net, if everything { "*" } else { pattern }, mode_of(everything, mode))?;
    loop {
        let more = matching(net, if everything { "*" } else { pattern }, Mode::Lenient)?;
        if more.is_empty() {
            break;
        }
        taken.extend(more);
    }
    for envelope in taken {
        act(net, envelope);
    }
    Ok(())
}

/// There need be nothing for everything to be dropped.
const fn mode_of(everything: bool, mode: Mode) -> Mode {
    if everything { Mode::Lenient } else { mode }
}
