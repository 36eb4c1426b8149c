//! An agent: a host's end of a laboratory of several hosts. It starts, kills, pauses and samples
//! replicas as a driver orders.
//!
//! * [`serve`] is the agent, and `clusters` what it has on its host.
//! * [`mod@line`] is a driver's line to one agent, and [`lab`] which agents there are.
//! * [`wire`] is what both say.
//!
//! **Invariants.** An agent obeys a certificate of its lab's authority that names a driver, and
//! nobody else. It obeys one driver at a time. Replicas of a run end when their driver's line is
//! closed, and a while after it is lost; standing ones end by an order, or with their agent.

mod clusters;
mod conversation;
pub mod lab;
pub mod line;
pub mod wire;

use std::{
    cell::RefCell,
    future::IntoFuture,
    net::SocketAddr,
    ops::RangeInclusive,
    path::PathBuf,
    pin::pin,
    rc::Rc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use measure::{Host, HostCpu, boot_id};
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};
use quinn::{ConnectionError, Incoming, VarInt};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use self::{
    clusters::Clusters,
    conversation::Conversation,
    wire::{AgentHello, Answer, Build, DriverHello, Facts, Files, HostSample, Order},
};
use crate::{
    NodeError,
    hosted::Hosted,
    identity::{Identity, Role},
    limits::{HELLO_TIMEOUT, UNPROVEN_MAX},
    log::Log,
    tls,
    transport::{self, Link, Transport},
};

/// Chosen: a driver whose line is lost for so long is not coming back. The idle time of the
/// transport comes before it.
const GRACE: Duration = Duration::from_secs(10);
/// Chosen: the end of a killed process is a matter of milliseconds, unless it was waiting for a
/// disk.
const REAP_TIMEOUT: Duration = Duration::from_secs(5);
const REAP_POLL: Duration = Duration::from_millis(2);
/// Chosen: an agent that is asked to end does so within a second; standing replicas have this much
/// of it.
const FAREWELL: Duration = Duration::from_millis(500);
/// Chosen: so long the words to those connected may take to leave.
const LEAVE: Duration = Duration::from_millis(100);
/// Chosen: so long the end of a driver's last line may take to arrive after the beginning of its
/// next.
const TURN: Duration = Duration::from_millis(500);
const REFUSED: VarInt = VarInt::from_u32(2);
/// The close codes of both sides that mean: it ends as it should.
const ENDED: VarInt = VarInt::from_u32(0);

/// What an agent is told.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// The UDP address to listen on. Its replicas listen on the same one, at other ports.
    pub listen: SocketAddr,
    /// The directory of the agents' keys: `agent` of what [`crate::identity::create_lab`] made.
    pub keys: PathBuf,
    /// The directory that is this agent's alone, made if need be.
    pub data: PathBuf,
    /// The ports that its replicas may have; none: any that is free.
    pub ports: Option<RangeInclusive<u16>>,
    /// Which program this is.
    pub build: Build,
}

/// What every task of an agent holds.
struct Agent {
    clusters: RefCell<Clusters>,
    /// Who is obeyed, and whether its line is lost.
    driver: RefCell<Option<Obeyed>>,
    lab: String,
    build: Build,
    log: Log,
}

#[derive(Clone, Debug)]
struct Obeyed {
    name: String,
    is_lost: bool,
}

/// Is an agent until `end`, which says what asked for that, on a runtime of one thread. Logs to
/// standard error.
///
/// # Errors
/// If the keys cannot be used, the address cannot be bound, or the directory cannot be used.
pub async fn serve(
    options: &AgentOptions,
    end: impl Future<Output = &'static str>,
) -> Result<(), NodeError> {
    let identity = Identity::load(&options.keys, Role::Agent)?;
    let transport = Transport::listening(&identity, options.listen)?;
    let log = Log::new("agent");
    let clusters = Clusters::open(options)?;
    log.line(format_args!("{} of {} on {}", options.build, identity.cluster, options.listen));
    for name in clusters.standing() {
        log.line(format_args!("replicas of the standing cluster {name} are started again"));
    }
    let agent = Rc::new(Agent {
        clusters: RefCell::new(clusters),
        driver: RefCell::new(None),
        lab: identity.cluster,
        build: options.build.clone(),
        log,
    });
    let mut tasks = JoinSet::new();
    let mut end = pin!(end);
    let asked = loop {
        tokio::select! {
            asked = &mut end => break asked,
            incoming = transport.endpoint.accept() => match incoming {
                Some(incoming) if tasks.len() < UNPROVEN_MAX => {
                    tasks.spawn_local(accept(agent.clone(), incoming));
                }
                Some(incoming) => incoming.refuse(),
                None => return Err(NodeError::EndpointFailed),
            },
            Some(ended) = tasks.join_next() => if let Err(error) = ended
                && let Ok(panic) = error.try_into_panic()
            {
                std::panic::resume_unwind(panic);
            },
        }
    };
    agent.log.line(format_args!("stopping, as {asked} asked"));
    tasks.abort_all();
    agent.end_all().await;
    transport.endpoint.close(ENDED, b"the agent stops");
    // Whoever does not hear it notices soon by itself.
    let _ = timeout(LEAVE, transport.endpoint.wait_idle()).await;
    Ok(())
}

async fn accept(agent: Rc<Agent>, incoming: Incoming) {
    let address = incoming.remote_address();
    let refuse = |reason: &dyn std::fmt::Display| {
        agent.log.repeated("refused", format_args!("{address} was refused: {reason}"));
    };
    let connection = match timeout(HELLO_TIMEOUT, incoming.into_future()).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return refuse(&error),
        Err(_) => return refuse(&"its handshake takes too long"),
    };
    let role = tls::role_of(&connection, &agent.lab, Role::OF_A_LAB.into_iter());
    if role != Some(Role::Driver) {
        let is = role.map_or_else(|| "one of no role here".to_owned(), |role| role.to_string());
        let reason = format!("an agent obeys a driver's certificate alone, and this is {is}");
        refuse(&reason);
        return connection.close(REFUSED, reason.as_bytes());
    }
    let opened = timeout(HELLO_TIMEOUT, connection.accept_bi()).await;
    let Ok(Ok((send, receive))) = opened else { return refuse(&"it opened no stream") };
    let link = Link { connection: connection.clone(), send, receive };
    let mut conversation = Conversation::new(link);
    let greeted = timeout(HELLO_TIMEOUT, conversation.hear::<DriverHello>()).await;
    let Ok(Ok(hello)) = greeted else {
        refuse(&"it sent no greeting");
        return connection.close(REFUSED, b"no greeting came");
    };
    let refusal = agent.refusal_of(&hello).await;
    let build = agent.build.clone();
    if let Some(reason) = &refusal {
        refuse(reason);
    } else {
        *agent.driver.borrow_mut() = Some(Obeyed { name: hello.name.clone(), is_lost: false });
        agent.log.line(format_args!("obeys {} at {address}", hello.name));
    }
    let is_refused = refusal.is_some();
    let said = conversation.say(&AgentHello { build, refusal }).await;
    if is_refused {
        // The driver closes once it has heard why.
        let _ = timeout(HELLO_TIMEOUT, connection.closed()).await;
        return;
    }
    let lost = match said {
        Ok(()) => agent.obey(&mut conversation).await.err(),
        Err(reason) => Some(reason),
    };
    agent.released(&hello.name, &connection, lost).await;
    // Only now: the driver may come again at once.
    let _ = conversation.say(&Answer::Done).await;
    let _ = timeout(HELLO_TIMEOUT, connection.closed()).await;
}

impl Agent {
    /// Why this driver is not obeyed, if it is not. The line before of the same one may be about to
    /// end.
    async fn refusal_of(&self, hello: &DriverHello) -> Option<String> {
        let deadline = Instant::now() + TURN;
        let is_same = || {
            let driver = self.driver.borrow();
            driver.as_ref().is_some_and(|driver| driver.name == hello.name && !driver.is_lost)
        };
        while is_same() && Instant::now() < deadline {
            sleep(REAP_POLL).await;
        }
        self.refusal(hello)
    }

    /// Why this driver is not obeyed, if it is not.
    fn refusal(&self, hello: &DriverHello) -> Option<String> {
        if hello.build != self.build {
            let (own, other) = (&self.build, &hello.build);
            return Some(format!(
                "the agent is {own}, the driver {other}: install the same program on both"
            ));
        }
        let obeyed = self.driver.borrow().clone()?;
        let state = if obeyed.is_lost { ", whose line is lost," } else { "" };
        Some(format!("the agent obeys {}{state} and no second driver beside it", obeyed.name))
    }

    /// Does what the driver orders until it leaves.
    ///
    /// # Errors
    /// Why its line ended before.
    async fn obey(&self, conversation: &mut Conversation) -> Result<(), String> {
        loop {
            let order = conversation.hear().await?;
            if order == Order::Leave {
                return Ok(());
            }
            let answer = self.answer(order).await.unwrap_or_else(Answer::Failed);
            conversation.say(&answer).await?;
        }
    }

    async fn answer(&self, order: Order) -> Result<Answer, String> {
        let clusters = || self.clusters.borrow_mut();
        Ok(match order {
            Order::Leave => Answer::Done,
            Order::Ping => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Answer::Pong(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
            }
            Order::Facts => Answer::Facts(Box::new(self.facts()?)),
            Order::Sample => Answer::Sample(Box::new(sample())),
            Order::Port { standing } => Answer::Port(clusters().free_port(standing)?),
            Order::Start(start) => {
                self.log
                    .line(format_args!("starts replica {} of {}", start.replica.0, start.cluster));
                clusters().start(&start)?;
                Answer::Done
            }
            Order::Kill(which) => {
                clusters().kill(&which)?;
                Answer::Done
            }
            Order::Pause(which) => {
                clusters().pause(&which, true)?;
                Answer::Done
            }
            Order::Resume(which) => {
                clusters().pause(&which, false)?;
                Answer::Done
            }
            Order::Restart(which) => {
                let deadline = Instant::now() + REAP_TIMEOUT;
                // What has died unasked is as good as killed.
                clusters().kill(&which)?;
                while !clusters().restart(&which)? {
                    if Instant::now() >= deadline {
                        let waited = REAP_TIMEOUT.as_secs();
                        return Err(format!(
                            "{} is not gone {waited} s after its kill",
                            which.replica
                        ));
                    }
                    sleep(REAP_POLL).await;
                }
                Answer::Done
            }
            Order::Look(cluster) => Answer::Seen(clusters().look(&cluster)?),
            Order::Fetch { which, offset } => Answer::Piece(clusters().fetch(&which, offset)?),
            Order::End { cluster, patience, files } => {
                let hosted = clusters().take(&cluster);
                if let Some(mut hosted) = hosted {
                    hosted.ended_by(Instant::now() + patience).await;
                }
                self.log.line(format_args!("ended {cluster}"));
                clusters().put_away(&cluster, files)?;
                Answer::Done
            }
        })
    }

    fn facts(&self) -> Result<Facts, String> {
        let (receive, send) = transport::granted_buffers().map_err(|error| error.to_string())?;
        Ok(Facts {
            host: Host::probe(),
            boot_id: boot_id(),
            receive_buffer_bytes: receive as u64,
            send_buffer_bytes: send as u64,
            wanted_buffer_bytes: transport::SOCKET_BUFFER_BYTES as u64,
            standing: self.clusters.borrow().standing().map(str::to_owned).collect(),
        })
    }

    /// The driver has left, or its line is `lost`.
    async fn released(&self, name: &str, connection: &quinn::Connection, lost: Option<String>) {
        let is_closed = match connection.close_reason() {
            Some(ConnectionError::ApplicationClosed(close)) => close.error_code == ENDED,
            // Its process lives and knows nothing of the line any more: what it said last was lost.
            Some(ConnectionError::Reset) => true,
            _ => false,
        };
        let lost = lost.filter(|_| !is_closed);
        let Some(reason) = lost else {
            self.log.line(format_args!("{name} is done"));
            return self.release();
        };
        self.log.line(format_args!(
            "the line of {name} is lost ({reason}): its replicas end in {} s",
            GRACE.as_secs()
        ));
        if let Some(obeyed) = &mut *self.driver.borrow_mut() {
            obeyed.is_lost = true;
        }
        sleep(GRACE).await;
        self.release();
    }

    /// Ends what is left of the driver's runs; another driver may come.
    fn release(&self) {
        let of_runs = self.clusters.borrow().of_runs();
        for cluster in of_runs {
            self.log.line(format_args!("ends {cluster}, whose driver is gone"));
            // Killed and reaped as it is dropped.
            drop(self.clusters.borrow_mut().take(&cluster));
            if let Err(error) = self.clusters.borrow().put_away(&cluster, Files::Removed) {
                self.log.line(error);
            }
        }
        *self.driver.borrow_mut() = None;
    }

    /// Ends every replica: those of runs at once, standing ones in order.
    async fn end_all(&self) {
        let all = self.clusters.borrow_mut().take_all();
        let mut standing: Vec<Hosted> = Vec::new();
        for (_, is_standing, hosted) in all {
            // The others are killed here.
            standing.extend(is_standing.then_some(hosted));
        }
        standing.iter_mut().for_each(Hosted::terminate);
        let deadline = Instant::now() + FAREWELL;
        for hosted in &mut standing {
            hosted.ended_by(deadline).await;
        }
    }
}

/// This host's clocks now, with this process'.
pub fn sample() -> HostSample {
    let own_s = getrusage(UsageWho::RUSAGE_SELF).ok().map(|usage| {
        let ns = usage.user_time().num_nanoseconds() + usage.system_time().num_nanoseconds();
        #[expect(clippy::cast_precision_loss, reason = "CPU time of a process in nanoseconds")]
        let s = ns as f64 / 1e9;
        s
    });
    HostSample { boot_id: boot_id(), cpu: HostCpu::sample(), own_s }
}
