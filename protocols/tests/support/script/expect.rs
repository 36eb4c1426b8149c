//! What a script says must hold.

use protocols::ReplicaId;

use super::{
    net::Envelope,
    pattern::{Pattern, parse_instance, parse_replica},
    stage::Stage,
    words::Words,
};

/// `expect r1 r2: 0.1 = a after {1.1}, fast`, and what else can be expected.
pub fn expect<R: Words>(net: &Stage<R>, what: &[&str]) -> Result<(), String> {
    let text = what.join(" ");
    if let Some(pattern) = text.strip_prefix("no ") {
        return none_under_way(net, pattern);
    }
    let (who, what) = text.split_once(": ").ok_or("write who, a colon, and what")?;
    let who = replicas(net, who)?;
    let words: Vec<_> = what.split_whitespace().collect();
    for replica in who {
        let (expected, found) = match words[..] {
            [at, "undecided"] => {
                let found = net.world.decision(replica, parse_instance(at)?);
                ("undecided".to_owned(), found.unwrap_or_else(|| "undecided".to_owned()))
            }
            ["executed", "nothing"] => (String::new(), net.world.executed_by(replica).join(" ")),
            ["executed", ref labels @ ..] => {
                (labels.join(" "), net.world.executed_by(replica).join(" "))
            }
            ["answered", label] => {
                let answered = net.world.answered.contains_key(&(replica, label.to_owned()));
                ("answered".to_owned(), (if answered { "answered" } else { "not" }).to_owned())
            }
            ["answered", label, "with", ref value @ ..] => {
                let found = net.world.answered.get(&(replica, label.to_owned())).cloned();
                (value.join(" "), found.unwrap_or_default())
            }
            ["not", "answered", label] => {
                let answered = net.world.answered.contains_key(&(replica, label.to_owned()));
                ("not".to_owned(), (if answered { "answered" } else { "not" }).to_owned())
            }
            ["value", key, "is", ref value @ ..] => (value.join(" "), net.value(replica, key)),
            ["holds", count] => (count.to_owned(), net.held_by(replica).to_string()),
            [at, "=", ref decision @ ..] => {
                let found = net.world.decision(replica, parse_instance(at)?);
                let (expected, found) =
                    (decision.join(" "), found.unwrap_or_else(|| "undecided".to_owned()));
                // What is left out of the expectation may be anything.
                let found = found.strip_prefix(&expected).map_or(found.as_str(), |_| &expected);
                (expected.clone(), found.to_owned())
            }
            _ => return Err(format!("'{what}' cannot be expected: testdata/README.md tells what")),
        };
        if expected != found {
            return Err(format!("{replica}: expected '{expected}', found '{found}'"));
        }
    }
    Ok(())
}

fn replicas<R: Words>(net: &Stage<R>, who: &str) -> Result<Vec<ReplicaId>, String> {
    if who == "all" {
        return Ok(net.live().map(|(node, _)| node.id).collect());
    }
    who.split_whitespace().map(parse_replica).collect()
}

fn none_under_way<R: Words>(net: &Stage<R>, pattern: &str) -> Result<(), String> {
    let pattern: Pattern = pattern.parse()?;
    let meant = |envelope: &&Envelope<R::Message>| {
        let told = R::tell(&envelope.message, &net.world.names);
        pattern.matches(envelope.from, envelope.to, &told)
    };
    match net.flight.iter().find(meant) {
        None => Ok(()),
        Some(envelope) => {
            let told = R::tell(&envelope.message, &net.world.names);
            Err(format!("{} -> {}: {}", envelope.from, envelope.to, told.line()))
        }
    }
}
