//! A cluster of replica processes that is up, and the operator's lines to it.

use std::{net::SocketAddr, time::Duration};

use futures_util::future::join_all;
use measure::ReplicaReport;
use node::{
    NodeError,
    client::{Connector, Session},
    control::{Control, Operator},
    emulator::NetworkPlan,
    identity::{Identity, Role},
    link::Endpoint,
};
use protocols::{Protocol, ReplicaId, ReplicaSet};

use super::fleet::{Fleet, Spec};
use crate::{Error, Stop};

/// Chosen: many times what a loaded machine needs to start a handful of processes.
const UP_TIMEOUT: Duration = Duration::from_secs(15);
/// Chosen: between far sites, as many round trips more; connecting and electing take a handful.
const UP_ROUND_TRIPS: u32 = 20;
const UP_POLL: Duration = Duration::from_millis(5);
/// Between looking for a port and binding it another process may take it.
const PORT_ATTEMPTS: u32 = 3;
/// Chosen: who has not said by then how things stand is not counted.
const LOOK_TIMEOUT: Duration = Duration::from_millis(300);
/// Chosen: as much as a replica on a full host may need, while the load goes on.
const REPORT_TIMEOUT: Duration = Duration::from_secs(2);

/// A cluster that is up: every replica is connected with every other, and a leader is known where there is one.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) fleet: Fleet,
    /// A line to each replica, by number.
    pub(super) lines: Vec<Control>,
    /// Opens a line again.
    pub(super) controls: Controls,
    /// A session with each replica, by number, and where to open it again; in an emulated network from each site.
    pub(super) sessions: Vec<(Endpoint, Session)>,
}

/// Opens operator connections to the replicas of a run.
#[derive(Clone, Debug)]
pub(super) struct Controls {
    operator: Operator,
    addresses: Vec<SocketAddr>,
}

impl Controls {
    /// A new line to `replica`.
    ///
    /// # Errors
    /// If it does not answer.
    pub(super) async fn open(&self, replica: ReplicaId) -> Result<Control, NodeError> {
        self.operator.connect(replica, self.addresses[replica.index()]).await
    }

    /// Makes `lines` those to `replicas`, by number. Lost ones are opened again: a replica that stood still for a while has
    /// given them up.
    ///
    /// # Errors
    /// If a replica does not answer.
    pub(super) async fn mend(
        &self,
        lines: &mut Vec<Control>,
        replicas: ReplicaSet,
    ) -> Result<(), Error> {
        let mut had = std::mem::take(lines);
        let mended = replicas.iter().map(|replica| {
            let line = had.iter().position(|line| line.replica() == replica);
            let line = line.map(|at| had.swap_remove(at));
            async move {
                if let Some(mut line) = line
                    && line.status().await.is_ok()
                {
                    return Ok(line);
                }
                self.open(replica).await
            }
        });
        *lines = collected(join_all(mended).await)?;
        Ok(())
    }

    /// What `replicas` say of themselves now. Who does not say so soon is left out, and has no line any more.
    pub(super) async fn look(&self, lines: &mut Vec<Control>, replicas: ReplicaSet) -> Look {
        let ask = async |line: &mut Control| {
            let status = line.status().await?;
            Ok((status.core.leader, line.report().await?))
        };
        let said = self.ask(lines, replicas, LOOK_TIMEOUT, ask).await;
        let (leaders, reports): (Vec<_>, Vec<_>) = said.into_iter().unzip();
        Look { leader: most_named(leaders.into_iter()), reports }
    }

    /// Ends the measured time at `replicas`; gives what they counted in it. Who does not say so is left out, as above.
    pub(super) async fn end_measuring(
        &self,
        lines: &mut Vec<Control>,
        replicas: ReplicaSet,
    ) -> Vec<ReplicaReport> {
        self.ask(lines, replicas, REPORT_TIMEOUT, Control::end_measuring).await
    }

    /// What `replicas` report now. Who does not do so is left out, as above.
    pub(super) async fn report(
        &self,
        lines: &mut Vec<Control>,
        replicas: ReplicaSet,
    ) -> Vec<ReplicaReport> {
        self.ask(lines, replicas, REPORT_TIMEOUT, Control::report).await
    }

    /// Asks `replicas` over their lines; one of a life before is opened again. Who does not answer in time is left out, and
    /// has no line any more.
    async fn ask<T>(
        &self,
        lines: &mut Vec<Control>,
        replicas: ReplicaSet,
        patience: Duration,
        ask: impl AsyncFn(&mut Control) -> Result<T, NodeError>,
    ) -> Vec<T> {
        let mut had = std::mem::take(lines);
        let asked = replicas.iter().map(|replica| {
            let line = had.iter().position(|line| line.replica() == replica);
            let line = line.map(|at| had.swap_remove(at));
            let ask = &ask;
            let answer = async move {
                if let Some(mut line) = line
                    && let Ok(said) = ask(&mut line).await
                {
                    return Some((line, said));
                }
                let mut line = self.open(replica).await.ok()?;
                let said = ask(&mut line).await.ok()?;
                Some((line, said))
            };
            async { tokio::time::timeout(patience, answer).await.ok()? }
        });
        let answered = join_all(asked).await.into_iter().flatten();
        let (kept, said): (Vec<_>, Vec<_>) = answered.unzip();
        *lines = kept;
        said
    }

    /// How many replicas there are.
    pub(super) fn replicas(&self) -> usize {
        self.addresses.len()
    }
}

/// What replicas say of themselves at some moment.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// Whom most take for the leader.
    pub(super) leader: Option<ReplicaId>,
    pub(super) reports: Vec<ReplicaReport>,
}

/// Whom most replicas take for the leader, by what they said.
fn most_named(leaders: impl Iterator<Item = Option<ReplicaId>>) -> Option<ReplicaId> {
    let mut named: Vec<ReplicaId> = leaders.flatten().collect();
    named.sort_unstable();
    let groups = named.chunk_by(|one, other| one == other);
    groups.max_by_key(|group| group.len()).map(|group| group[0])
}

/// What leads to the replicas of a cluster.
type Connected = (Vec<Control>, Controls, Vec<(Endpoint, Session)>);

impl Cluster {
    /// Starts the replicas and waits until they are up.
    ///
    /// # Errors
    /// If a replica cannot be started or ends, or they are not up in time.
    pub(super) async fn start(spec: &Spec<'_>) -> Result<Self, Stop> {
        let mut attempt = 1;
        loop {
            let mut fleet = Fleet::start(spec).await?;
            match wait_until_up(spec, &mut fleet).await {
                Ok((lines, controls, sessions)) => {
                    return Ok(Self { fleet, lines, controls, sessions });
                }
                Err(Stop::Died(death)) if death.is_port_taken() && attempt < PORT_ATTEMPTS => {
                    attempt += 1;
                }
                Err(stop) => {
                    // Their logs say why; where they are elsewhere, they come here.
                    fleet.shut_down(Vec::new(), false).await;
                    return Err(stop);
                }
            }
        }
    }
}

async fn wait_until_up(spec: &Spec<'_>, fleet: &mut Fleet) -> Result<Connected, Stop> {
    let places = fleet.places();
    let died = async {
        loop {
            if let Some(stop) = fleet.trouble() {
                return stop;
            }
            tokio::time::sleep(UP_POLL).await;
        }
    };
    let round_trip_max = spec.network.as_ref().map(NetworkPlan::round_trip_max);
    let patience = UP_TIMEOUT + UP_ROUND_TRIPS * round_trip_max.unwrap_or_default();
    let up = tokio::time::timeout(patience, connect(spec, &places));
    tokio::select! {
        biased;
        stop = died => Err(stop),
        up = up => match up {
            Ok(up) => Ok(up?),
            Err(_) => Err(Error::NotUp { waited: patience, logs: spec.logs.to_owned() }.into()),
        },
    }
}

/// Connects with every replica and waits until they are connected with each other.
async fn connect(spec: &Spec<'_>, places: &[(ReplicaId, SocketAddr)]) -> Result<Connected, Error> {
    let identity = |role| Identity::load(spec.credentials, role);
    let operator = Operator::new(&identity(Role::Operator)?)?;
    let mut lines = join_all(places.iter().map(async |(id, address)| {
        loop {
            // Nobody answers before the process is up; whoever limits the wait is further out.
            match operator.connect(*id, *address).await {
                Ok(line) => return line,
                Err(_) => tokio::time::sleep(UP_POLL).await,
            }
        }
    }))
    .await;
    while !are_connected(spec.protocol, &mut lines).await? {
        tokio::time::sleep(UP_POLL).await;
    }
    let addresses: Vec<SocketAddr> = places.iter().map(|(_, address)| *address).collect();
    let connectors = connectors(spec, &identity(Role::Client)?, &addresses)?;
    let endpoints: Vec<Endpoint> = connectors
        .iter()
        .flat_map(|connector| {
            places.iter().map(|(replica, address)| Endpoint {
                connector: connector.clone(),
                replica: *replica,
                address: (*address).into(),
            })
        })
        .collect();
    let sessions = join_all(endpoints.iter().map(Endpoint::open)).await;
    let sessions = endpoints.into_iter().zip(collected(sessions)?).collect();
    Ok((lines, Controls { operator, addresses }, sessions))
}

/// Who dials for the clients: one for all, or one at each site of an emulated network.
fn connectors(
    spec: &Spec<'_>,
    client: &Identity,
    addresses: &[SocketAddr],
) -> Result<Vec<Connector>, Error> {
    let connectors: Result<Vec<Connector>, _> = match &spec.network {
        None => Connector::new(client).map(|connector| vec![connector]),
        Some(plan) => ReplicaId::all(addresses.len())
            .map(|site| Connector::at_site(client, plan, site, addresses))
            .collect(),
    };
    Ok(connectors?)
}

async fn are_connected(protocol: Protocol, lines: &mut [Control]) -> Result<bool, Error> {
    let peers = lines.len() as u64 - 1;
    let statuses = collected(join_all(lines.iter_mut().map(Control::status)).await)?;
    Ok(statuses.iter().all(|status| {
        let led = !protocol.has_stable_leader || status.core.leader.is_some();
        led && status.peers_connected == peers
    }))
}

/// All results, or the first error.
pub(super) fn collected<T>(results: Vec<Result<T, NodeError>>) -> Result<Vec<T>, Error> {
    results.into_iter().map(|result| result.map_err(Error::from)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leader_is_whom_most_name() {
        let named = |leaders: &[u8]| {
            let name = |&leader: &u8| (leader < 9).then_some(ReplicaId(leader));
            most_named(leaders.iter().map(name))
        };
        assert_eq!(named(&[9, 9, 9]), None);
        assert_eq!(named(&[2, 9, 9]), Some(ReplicaId(2)));
        assert_eq!(named(&[0, 1, 1]), Some(ReplicaId(1)));
    }
}
