//! `bench agent`: a host's end of a laboratory of several hosts.

use std::{process::ExitCode, time::Duration};

use node::{
    agent::{self, AgentOptions},
    identity::{Identity, Role},
    interrupt::Interrupt,
};
use tokio::{sync::oneshot, time::sleep};

use crate::{
    cli::hosts::AgentArguments,
    commands::cluster::block_on,
    exit::{self, Failure},
    lab,
};

/// Chosen: often enough for nobody to wait, seldom enough to cost nothing.
const KEYS_POLL: Duration = Duration::from_millis(100);

pub(crate) fn run(arguments: &AgentArguments) -> Result<ExitCode, Failure> {
    block_on(async {
        let mut interrupt = exit::signals()?;
        if arguments.await_keys && !keys_come(arguments, &mut interrupt).await {
            return Ok(ExitCode::SUCCESS);
        }
        Identity::load(&arguments.keys, Role::Agent).map_err(Failure::usage)?;
        let options = AgentOptions {
            listen: arguments.listen,
            keys: arguments.keys.clone(),
            data: arguments.data.clone(),
            ports: arguments.ports.clone(),
            build: lab::build(),
        };
        let stdin = arguments.until_stdin_ends.then(stdin_ends);
        let end = async move {
            tokio::select! {
                signal = interrupt.raised() => signal,
                () = ended(stdin) => "the end of standard input",
            }
        };
        agent::serve(&options, end).await.map_err(Failure::failed)?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Tells when standard input has ended.
fn stdin_ends() -> oneshot::Receiver<()> {
    let (tell, ends) = oneshot::channel();
    // It ends with the process, whatever it waits for.
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _ = tell.send(());
    });
    ends
}

async fn ended(stdin: Option<oneshot::Receiver<()>>) {
    match stdin {
        Some(ends) => drop(ends.await),
        None => std::future::pending().await,
    }
}

/// Waits for the keys; false if a signal comes first.
async fn keys_come(arguments: &AgentArguments, interrupt: &mut Interrupt) -> bool {
    let are_there = || Identity::load(&arguments.keys, Role::Agent).is_ok();
    if !are_there() {
        say!("waits for keys in {}", arguments.keys.display());
    }
    while !are_there() {
        tokio::select! {
            _ = interrupt.raised() => return false,
            () = sleep(KEYS_POLL) => {}
        }
    }
    true
}
