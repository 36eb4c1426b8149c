//! `bench client`: talks to a cluster in the background.
//!
//! [`Caller`] sends commands and sees to it that each is answered, or that it is known what may
//! have become of it; [`single`] is put, get and put-get, [`batch`] many puts at a time, [`probe`]
//! how the replicas are and how they reach each other.

mod batch;
mod probe;
mod single;

use std::{fs::File, io::Read, process::ExitCode};

use cluster::{
    Description, Directory,
    caller::{Caller, Policy},
};
use protocols::{ClientId, ReplicaId};

use crate::{
    cli::client::{ClientArguments, ClientCommand, Server},
    commands::cluster::{block_on, named, typed, warn},
    exit::Failure,
};

pub(crate) fn run(arguments: &ClientArguments) -> Result<ExitCode, Failure> {
    let setting = Setting::new(arguments)?;
    match &arguments.command {
        ClientCommand::Probe => block_on(probe::run(&setting)),
        ClientCommand::Put(put) => block_on(single::put(&setting, put)),
        ClientCommand::Get(get) => block_on(single::get(&setting, get)),
        ClientCommand::PutGet(put) => block_on(single::put_get(&setting, put)),
        ClientCommand::BatchPut(batch) => block_on(batch::run(&setting, batch)),
    }
}

/// What every subcommand is told.
#[derive(Debug)]
struct Setting {
    directory: Directory,
    description: Description,
    policy: Policy,
    /// Who is asked: first, or each of them.
    servers: Vec<ReplicaId>,
    /// Is every replica asked, and each by itself?
    all: bool,
    /// Was it said who is to be asked?
    chosen: bool,
}

impl Setting {
    fn new(arguments: &ClientArguments) -> Result<Self, Failure> {
        let directory = Directory::new(&arguments.data);
        let description = directory.description()?;
        warn(description.is_insecure);
        let (running, alive) = (description.running(), description.alive());
        if alive.is_empty() {
            let root = directory.root().display();
            let up = typed(&directory, "cluster up");
            return Err(Failure::failed(format!(
                "{root}: no replica of this cluster is alive: `{up}` starts it, or says why not"
            )));
        }
        let (servers, all) = match arguments.server {
            Some(Server::All) => (ReplicaId::all(description.replicas()).collect(), true),
            Some(Server::One(number)) => {
                (named(&description, "--server", &[number])?.iter().collect(), false)
            }
            None => (running.iter().chain(alive.iter()).take(1).collect(), false),
        };
        let policy = Policy { timeout: arguments.timeout, retries_max: arguments.max_retry };
        let chosen = arguments.server.is_some();
        Ok(Self { directory, description, policy, servers, all, chosen })
    }

    /// A client with a name of its own. Needs a runtime.
    fn caller(&self) -> Result<Caller, Failure> {
        let id = client_id()?;
        Ok(Caller::new(&self.directory, &self.description, id, self.policy)?)
    }
}

/// A name for this client, drawn by the system: two clients of the same name would take each other's answers.
fn client_id() -> Result<ClientId, Failure> {
    let mut bytes = [0; 8];
    let drawn = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    drawn.map_err(|error| Failure::failed(format!("/dev/urandom: cannot be read: {error}")))?;
    Ok(ClientId(u64::from_le_bytes(bytes)))
}
