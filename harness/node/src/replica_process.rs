//! A replica as a process: its main function.

use std::hash::{BuildHasher, Hasher, RandomState};

use driver::storage::Durability;
use nix::{
    sys::{prctl::set_pdeathsig, signal::Signal},
    unistd::getppid,
};
use protocols::Replica;
use tokio::runtime::{Builder, LocalOptions};

pub use crate::options::Options;

use crate::{NodeError, failpoint, interrupt::Interrupt, server};

/// Is a replica of core `R` until an operator stops it, or SIGTERM or SIGINT do: the whole life of
/// its process, on this thread. Logs to standard error.
///
/// A panic anywhere ends the process with exit code 101, its message in the log.
///
/// # Errors
/// If the options do not fit together, the parent is gone already, or the replica cannot be set up.
pub fn run<R: Replica>(options: &Options) -> Result<(), NodeError> {
    failpoint::install();
    die_with(options.parent)?;
    let last_words = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        last_words(panic);
        std::process::exit(101);
    }));
    let runtime =
        Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())
            .map_err(|error| NodeError::System { doing: "start the runtime".to_owned(), error })?;
    let served = runtime.block_on(async {
        // Without a handler the first process of a container takes no notice of these signals.
        let interrupt = Interrupt::new()
            .map_err(|error| NodeError::System { doing: "watch signals".to_owned(), error })?;
        serve_until::<R>(options, Some(interrupt)).await
    });
    // A name that is just asked for is nobody's concern any more.
    runtime.shutdown_background();
    served
}

/// Runs a replica of core `R` until an operator stops it. Must be called on a `LocalRuntime`; tests run several at once.
///
/// # Errors
/// If the options do not fit together or the replica cannot be set up.
pub async fn serve<R: Replica>(options: &Options) -> Result<(), NodeError> {
    serve_until::<R>(options, None).await
}

async fn serve_until<R: Replica>(
    options: &Options,
    interrupt: Option<Interrupt>,
) -> Result<(), NodeError> {
    check(options)?;
    let seed = RandomState::new().build_hasher().finish();
    server::serve::<R>(options, seed, interrupt).await
}

fn check(options: &Options) -> Result<(), NodeError> {
    let replicas = options.config.replicas;
    if options.peers.len() != replicas {
        let addresses = options.peers.len();
        return Err(NodeError::Options(format!("{addresses} addresses for {replicas} replicas")));
    }
    if options.id.index() >= replicas {
        return Err(NodeError::Options(format!("{} is none of {replicas} replicas", options.id)));
    }
    if options.durability != Durability::Memory && options.data.is_none() {
        let durability = options.durability;
        return Err(NodeError::Options(format!("durability {durability} needs a data directory")));
    }
    options.network.as_ref().map_or(Ok(()), |network| network.check(replicas))
}

/// Lets the kernel kill this process when `parent` ends, so that nothing is left running whatever ends the parent.
fn die_with(parent: Option<i32>) -> Result<(), NodeError> {
    let Some(parent) = parent else { return Ok(()) };
    set_pdeathsig(Signal::SIGKILL).map_err(|errno| NodeError::System {
        doing: format!("tie this process to {parent}"),
        error: errno.into(),
    })?;
    // It may have ended before the tie was made.
    if getppid().as_raw() != parent {
        return Err(NodeError::ParentGone(parent));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use protocols::multi_paxos::MultiPaxos;

    use std::net::SocketAddr;

    use protocols::{Config, ReplicaId};

    use super::*;
    use crate::emulator::NetworkPlan;

    fn refused(change: impl FnOnce(&mut Options)) -> String {
        let directory = tempfile::tempdir().expect("the host has a directory for temporary files");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut options = Options {
            id: ReplicaId(0),
            config: Config::new(3),
            listen: any,
            peers: vec![any.into(); 3],
            credentials: Some(directory.path().to_owned()),
            durability: Durability::Memory,
            data: None,
            log_bytes_kept: None,
            parent: None,
            network: None,
        };
        change(&mut options);
        run::<MultiPaxos>(&options).unwrap_err().to_string()
    }

    #[test]
    fn options_that_do_not_fit_are_refused_in_words() {
        assert_eq!(refused(|options| options.peers.truncate(2)), "2 addresses for 3 replicas");
        assert_eq!(refused(|options| options.id = ReplicaId(3)), "r3 is none of 3 replicas");
        let nowhere = refused(|options| options.durability = Durability::Fsync);
        assert_eq!(nowhere, "durability fsync needs a data directory");
        let small = refused(|options| options.network = Some(NetworkPlan::flat(2, 1)));
        assert!(small.contains("no matrix of 3 by 3"), "{small}");
        let missing = refused(|_| {});
        assert!(missing.contains("cannot read the cluster's name"), "{missing}");
        let taken = std::net::UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        let directory = tempfile::tempdir().unwrap();
        crate::identity::create(directory.path(), 3).unwrap();
        let busy = refused(|options| {
            options.listen = taken.local_addr().unwrap();
            options.credentials = Some(directory.path().to_owned());
        });
        assert!(busy.contains("cannot bind UDP 127.0.0.1:"), "{busy}");
    }
}
