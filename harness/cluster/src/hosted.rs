//! Standing clusters whose replicas are on hosts with agents, one each.
//!
//! What is known of such a replica is what it answers: its process is its agent's business, which
//! starts it again when the agent itself is started.

use std::time::Duration;

use node::{
    agent::{
        lab::Lab,
        line::{AgentLine, Driver},
        wire::{Files, Order, Start, Which},
    },
    emulator::NetworkPlan,
    identity::{Bundle, Role},
    interrupt::Interrupt,
};
use protocols::{ReplicaId, ReplicaSet};
use tokio::time::{sleep, timeout};

use crate::{Description, Directory, Error, Lines, Lock};

/// Chosen: many times what loaded hosts need to start a replica each and connect.
const UP_TIMEOUT: Duration = Duration::from_secs(30);
const UP_POLL: Duration = Duration::from_millis(50);
/// Chosen: a replica answers before it stops, and then needs as long as its farewell.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// Starts every replica of `description` on the host of its own that its lab has for it. Where each
/// listens is written down before any is started.
///
/// # Errors
/// If a host cannot be reached, or a replica not be started there.
pub async fn start(
    directory: &Directory,
    description: &mut Description,
    driver: &Driver,
    _lock: &Lock,
) -> Result<(), Error> {
    let replicas = description.replicas();
    let mut lines = lines(driver, description, ReplicaSet::all(replicas)).await?;
    let cluster = name(directory, description)?;
    for ((id, line), place) in lines.iter_mut().zip(0..) {
        let port = line.port(true).await?;
        let host = host(description, *id)?.address.at_port(port);
        description.addresses[place] = host;
    }
    directory.describe(description)?;
    let credentials = directory.credentials();
    for (id, line) in &mut lines {
        let start = Start {
            cluster: cluster.clone(),
            standing: true,
            replica: *id,
            protocol: description.protocol,
            config: description.config,
            durability: description.durability,
            addresses: description.addresses.clone(),
            port: description.addresses[id.index()].port(),
            // Nothing is emulated to begin with, but partitions can be.
            network: Some(NetworkPlan::flat(replicas, 0)),
            identity: Some(Bundle::read(&credentials, *id)?),
        };
        line.order(&Order::Start(Box::new(start))).await?;
    }
    leave(lines).await
}

/// Waits until every replica is connected with all others, and knows a leader where there should be
/// one.
///
/// # Errors
/// If they are not in time, or a signal asks for the end.
pub async fn wait_until_up(
    lines: &Lines,
    description: &Description,
    interrupt: &mut Interrupt,
) -> Result<(), Error> {
    let all = ReplicaSet::all(description.replicas());
    let is_up = async || {
        let statuses = lines.statuses(all).await;
        statuses.iter().all(|(id, status)| {
            let peers = all.iter().filter(|peer| peer != id && !description.is_cut(*peer, *id));
            let led = description.protocol.has_stable_leader;
            status.as_ref().is_ok_and(|status| {
                status.peers_connected >= peers.count() as u64
                    && (status.core.leader.is_some() || !led)
            })
        })
    };
    let up = async {
        while !is_up().await {
            sleep(UP_POLL).await;
        }
    };
    let (waited, signal) = tokio::select! {
        signal = interrupt.raised() => (None, Some(signal)),
        up = timeout(UP_TIMEOUT, up) => match up {
            Ok(()) => return Ok(()),
            Err(_) => (Some(UP_TIMEOUT), None),
        },
    };
    Err(Error::NotUp { waited, signal, last_words: "they are on their hosts".to_owned() })
}

/// Kills `replicas` on their hosts.
///
/// # Errors
/// If a host cannot be reached.
pub async fn kill(
    directory: &Directory,
    description: &Description,
    driver: &Driver,
    replicas: ReplicaSet,
) -> Result<(), Error> {
    order(directory, description, driver, replicas, Order::Kill).await
}

/// Starts `replicas` on their hosts again; what is alive is killed first.
///
/// # Errors
/// If a host cannot be reached, or a replica not be started.
pub async fn restart(
    directory: &Directory,
    description: &Description,
    driver: &Driver,
    replicas: ReplicaSet,
) -> Result<(), Error> {
    order(directory, description, driver, replicas, Order::Restart).await
}

/// Ends every replica, and removes what it kept on its host.
///
/// # Errors
/// If a host cannot be reached: nothing is ended then.
pub async fn end(
    directory: &Directory,
    description: &Description,
    driver: &Driver,
    _lock: &Lock,
) -> Result<(), Error> {
    let all = ReplicaSet::all(description.replicas());
    let mut to_agents = lines(driver, description, all).await?;
    // Those that answer end in order.
    Lines::new(directory, description)?.shut_down(all).await;
    let cluster = name(directory, description)?;
    for (_, line) in &mut to_agents {
        line.end(&cluster, STOP_TIMEOUT, Files::Removed).await?;
    }
    leave(to_agents).await
}

async fn order(
    directory: &Directory,
    description: &Description,
    driver: &Driver,
    replicas: ReplicaSet,
    order: impl Fn(Which) -> Order,
) -> Result<(), Error> {
    let cluster = name(directory, description)?;
    let mut lines = lines(driver, description, replicas).await?;
    for (replica, line) in &mut lines {
        line.order(&order(Which { cluster: cluster.clone(), replica: *replica })).await?;
    }
    leave(lines).await
}

/// Lets the agents know that nothing more comes.
async fn leave(lines: Vec<(ReplicaId, AgentLine)>) -> Result<(), Error> {
    for (_, line) in lines {
        line.leave().await?;
    }
    Ok(())
}

/// Lines to the agents of `replicas`.
async fn lines(
    driver: &Driver,
    description: &Description,
    replicas: ReplicaSet,
) -> Result<Vec<(ReplicaId, AgentLine)>, Error> {
    let hosts: Result<Vec<_>, Error> = replicas.iter().map(|id| host(description, id)).collect();
    let lines = driver.connect_all(&hosts?).await?;
    Ok(replicas.iter().zip(lines).collect())
}

/// What agents call this cluster.
fn name(directory: &Directory, description: &Description) -> Result<String, Error> {
    Ok(directory.identity(description, Role::Operator)?.cluster)
}

fn host(description: &Description, id: ReplicaId) -> Result<&node::agent::lab::LabHost, Error> {
    let hosts = description.lab.as_ref().and_then(|lab: &Lab| lab.hosts_of(description.replicas()));
    hosts.map(|hosts| hosts[id.index()]).ok_or(Error::NoHost { replica: id })
}
