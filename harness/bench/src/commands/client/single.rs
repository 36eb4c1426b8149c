//! `bench client put`, `get` and `put-get`.

use std::process::ExitCode;

use cluster::{
    Sight,
    caller::{Caller, End, Ended, Order, Value},
};
use protocols::{Outcome, ReplicaId};

use super::Setting;
use crate::{
    cli::client::{GetArguments, PutArguments},
    commands::cluster::typed,
    exit::{FAILED, Failure},
    output,
};

pub(super) async fn put(setting: &Setting, arguments: &PutArguments) -> Result<ExitCode, Failure> {
    let mut caller = setting.caller()?;
    for to in &setting.servers {
        let ended = put_one(setting, &mut caller, arguments, *to).await?;
        let by = ended.by.unwrap_or(*to);
        let again = match ended.retries {
            0 => String::new(),
            1 => ", sent again once".to_owned(),
            retries => format!(", sent again {retries} times"),
        };
        let ms = 1e3 * ended.took.as_secs_f64();
        output::print(&format!("ok (replica {}, {ms:.1} ms{again})\n", by.0))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn get(setting: &Setting, arguments: &GetArguments) -> Result<ExitCode, Failure> {
    let mut caller = setting.caller()?;
    let mut complete = true;
    for key in &arguments.keys {
        for to in &setting.servers {
            let name = (arguments.keys.len() > 1).then_some(key.as_str());
            complete &= match get_one(setting, &mut caller, key, *to).await {
                Ok(value) => show(setting, *to, (key, name), value)?,
                // The others are asked all the same.
                Err(failure) if setting.all => {
                    say!("{failure}");
                    false
                }
                Err(failure) => return Err(failure),
            };
        }
    }
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

pub(super) async fn put_get(
    setting: &Setting,
    arguments: &PutArguments,
) -> Result<ExitCode, Failure> {
    let mut caller = setting.caller()?;
    let first = setting.servers.first().copied().unwrap_or_default();
    put_one(setting, &mut caller, arguments, first).await?;
    let mut other = false;
    for to in &setting.servers {
        let value = get_one(setting, &mut caller, &arguments.key, *to).await?;
        other |= value.as_deref() != Some(arguments.value.as_bytes());
        show(setting, *to, (&arguments.key, None), value)?;
    }
    if other {
        let key = &arguments.key;
        return Err(Failure::failed(format!(
            "put-get {key:?}: what was read is not what was put: somebody else wrote in between"
        )));
    }
    Ok(ExitCode::SUCCESS)
}

async fn put_one(
    setting: &Setting,
    caller: &mut Caller,
    arguments: &PutArguments,
    to: ReplicaId,
) -> Result<Ended, Failure> {
    let PutArguments { key, value } = arguments;
    let value = Some(Value::Given(value.clone().into_bytes()));
    let order = Order { key: key.clone().into_bytes(), value, to, pinned: setting.all };
    let what = format!("put {key:?}");
    check_alive(setting, &what, to)?;
    let ended = one(caller, order).await;
    match &ended.end {
        End::Answered(Outcome::Done | Outcome::Forgotten) => Ok(ended),
        End::Answered(other) => {
            Err(Failure::failed(format!("{what}: unexpected answer {other:?}")))
        }
        End::Refused(refusal) => {
            Err(Failure::failed(format!("{what}: refused ({refusal:?}): it did not happen")))
        }
        End::NotSent => Err(not_sent(setting, &what, to, "it did not happen")),
        End::Unknown => Err(Failure::failed(format!(
            "{what}: no answer within {} s: it may have happened",
            setting.policy.timeout.as_secs_f64()
        ))),
    }
}

async fn get_one(
    setting: &Setting,
    caller: &mut Caller,
    key: &str,
    to: ReplicaId,
) -> Result<Option<Vec<u8>>, Failure> {
    let order = Order { key: key.as_bytes().to_vec(), value: None, to, pinned: setting.all };
    let what = format!("get {key:?}");
    check_alive(setting, &what, to)?;
    let ended = one(caller, order).await;
    match ended.end {
        End::Answered(Outcome::Value(value)) => Ok(value),
        End::Answered(other) => {
            Err(Failure::failed(format!("{what}: unexpected answer {other:?}")))
        }
        End::Refused(refusal) => Err(Failure::failed(format!("{what}: refused ({refusal:?})"))),
        End::NotSent => Err(not_sent(setting, &what, to, "nothing was asked")),
        End::Unknown => Err(Failure::failed(format!(
            "{what}: no answer within {} s: `{} cluster status` shows whether a majority is alive",
            setting.policy.timeout.as_secs_f64(),
            crate::program::name()
        ))),
    }
}

fn not_sent(setting: &Setting, what: &str, to: ReplicaId, then: &str) -> Failure {
    let timeout_s = setting.policy.timeout.as_secs_f64();
    let whom = if setting.all { format!("replica {}", to.0) } else { "no replica".to_owned() };
    let could = if setting.all { "could not" } else { "could" };
    Failure::failed(format!("{what}: {whom} {could} be reached within {timeout_s} s: {then}"))
}

/// A replica that is asked alone must be alive.
fn check_alive(setting: &Setting, what: &str, to: ReplicaId) -> Result<(), Failure> {
    if setting.all && setting.description.look(to) == Sight::Gone {
        let restart = typed(&setting.directory, &format!("cluster restart {}", to.0));
        return Err(Failure::failed(format!(
            "{what}: replica {} is dead: `{restart}` starts it again",
            to.0
        )));
    }
    Ok(())
}

async fn one(caller: &mut Caller, order: Order) -> Ended {
    let number = caller.begin(order);
    loop {
        if let Some(ended) = caller.next().await.into_iter().find(|ended| ended.number == number) {
            return ended;
        }
    }
}

/// Prints a value: alone, or with the replica and the key if there are several. False if there is none.
fn show(
    setting: &Setting,
    to: ReplicaId,
    (key, name): (&str, Option<&str>),
    value: Option<Vec<u8>>,
) -> Result<bool, Failure> {
    let mut line = Vec::new();
    if setting.all {
        line.extend_from_slice(format!("replica {}: ", to.0).as_bytes());
        if let Some(name) = name {
            line.extend_from_slice(format!("{name}: ").as_bytes());
        }
    }
    let Some(value) = value else {
        let whose = if setting.all { format!(" at replica {}", to.0) } else { String::new() };
        say!("get {key:?}: there is no such key{whose}");
        return Ok(false);
    };
    line.extend_from_slice(&value);
    line.push(b'\n');
    output::print_bytes(&line)?;
    Ok(true)
}
