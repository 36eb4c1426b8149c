//! `bench keys`: who may order the agents of a laboratory about.

use std::process::ExitCode;

use node::identity;

use crate::{
    cli::hosts::{KeysArguments, KeysCommand, NewKeysArguments},
    exit::Failure,
    output,
};

pub(crate) fn run(arguments: &KeysArguments) -> Result<ExitCode, Failure> {
    let KeysCommand::New(NewKeysArguments { directory, if_missing }) = &arguments.command;
    let root = directory.display();
    let is_there =
        ["driver", "agent"].iter().any(|role| directory.join(role).join("authority.pem").exists());
    if is_there && *if_missing {
        output::print(&format!("{root}: keys are there already\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    if is_there {
        let remedy = "name another directory, or remove them if no agent has them";
        return Err(Failure::usage(format!("{root}: there are keys already: {remedy}")));
    }
    let lab = identity::create_lab(directory).map_err(Failure::failed)?;
    output::print(&format!(
        "Keys of {lab} are in {root}:\n  {root}/agent   for every host: `agent --keys`\n  {root}/driver  for whoever may \
         order the agents about: `keys` in the file that --on takes\n"
    ))?;
    Ok(ExitCode::SUCCESS)
}
