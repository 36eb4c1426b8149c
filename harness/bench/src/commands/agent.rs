//! `bench agent`: a host's end of a laboratory of several hosts.

use std::{process::ExitCode, time::Duration};

use node::{
    agent::{self, AgentOptions},
    identity::{Identity, Role},
    interrupt::Interrupt,
};
use tokio::time::sleep;

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
        agent::serve(&options, interrupt).await.map_err(Failure::failed)?;
        Ok(ExitCode::SUCCESS)
    })
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
