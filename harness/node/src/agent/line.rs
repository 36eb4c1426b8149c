//! A driver's line to an agent: orders and their answers, one at a time.

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use protocols::ReplicaId;
use quinn::VarInt;
use tokio::time::timeout;

use super::{
    conversation::Conversation,
    lab::LabHost,
    wire::{AgentHello, Answer, Build, DriverHello, Facts, Files, HostSample, Life, Order, Which},
};
use crate::{
    NodeError,
    identity::{Identity, Role},
    limits::HELLO_TIMEOUT,
    transport::Dialer,
};

/// Dials agents as a driver.
#[derive(Clone, Debug)]
pub struct Driver {
    dialer: Dialer,
    lab: String,
    hello: DriverHello,
}

impl Driver {
    /// A driver with the keys in `keys`, which are those of the lab's driver. Needs a runtime.
    ///
    /// # Errors
    /// If the keys cannot be used.
    pub fn new(keys: &Path, build: Build) -> Result<Self, NodeError> {
        let identity = Identity::load(keys, Role::Driver)?;
        let host = measure::Host::probe().hostname.unwrap_or_default();
        let name = format!("the driver with process id {} on host {host}", std::process::id());
        Ok(Self {
            dialer: Dialer::new(&identity)?,
            lab: identity.cluster,
            hello: DriverHello { build, name },
        })
    }

    /// Opens a line to the agent of `host`, whose name is resolved now.
    ///
    /// # Errors
    /// If it cannot be reached, is no agent of this lab, or does not obey.
    pub async fn connect(&self, host: &LabHost) -> Result<AgentLine, NodeError> {
        let failed = |reason: String| NodeError::Host { host: host.name.clone(), reason };
        let at = host.address.resolve().await.map_err(|error| failed(error.to_string()))?;
        let name = Role::Agent.name(&self.lab);
        let transport = self.dialer.towards(at)?;
        let dialed = transport.dial_named(&name, at, || &self.hello).await;
        let link = dialed
            .map_err(|reason| failed(format!("no agent of this lab answers at {at}: {reason}")))?;
        let mut conversation = Conversation::new(link);
        let greeted = timeout(HELLO_TIMEOUT, conversation.hear::<AgentHello>()).await;
        let AgentHello { build, refusal } = match greeted {
            Ok(Ok(hello)) => hello,
            Ok(Err(reason)) => return Err(failed(format!("the agent at {at} says no: {reason}"))),
            Err(_) => return Err(failed(format!("the agent at {at} does not greet"))),
        };
        if let Some(reason) = refusal {
            return Err(failed(reason));
        }
        if build != self.hello.build {
            let own = &self.hello.build;
            return Err(failed(format!("the agent is {build}, this program {own}")));
        }
        Ok(AgentLine { host: host.name.clone(), at, conversation })
    }

    /// Opens a line to each of `hosts`.
    ///
    /// # Errors
    /// All those that cannot be reached, by name.
    pub async fn connect_all(&self, hosts: &[&LabHost]) -> Result<Vec<AgentLine>, NodeError> {
        let dialed = join_all(hosts.iter().map(|host| self.connect(host))).await;
        let (mut lines, mut errors) = (Vec::new(), Vec::new());
        for line in dialed {
            match line {
                Ok(line) => lines.push(line),
                Err(error) => errors.push(error),
            }
        }
        match errors.len() {
            0 => Ok(lines),
            1 => Err(errors.remove(0)),
            _ => Err(NodeError::Hosts(errors)),
        }
    }

    /// Waits until what closed lines had to say has left.
    pub async fn wait_idle(&self) {
        self.dialer.wait_idle().await;
    }
}

/// A line to one agent. Every method fails if the line is lost, or the agent could not do what it
/// was asked for.
#[derive(Debug)]
pub struct AgentLine {
    /// The host's name, for people.
    pub host: String,
    /// Where its agent is.
    pub at: SocketAddr,
    conversation: Conversation,
}

impl AgentLine {
    /// Gives `order` and waits for what becomes of it.
    ///
    /// # Errors
    /// If the line is lost, or the agent could not do it.
    pub async fn ask(&mut self, order: &Order) -> Result<Answer, NodeError> {
        let asked = async {
            self.conversation.say(order).await?;
            self.conversation.hear().await
        };
        let answer = asked.await;
        let lost = |reason| format!("the line to its agent is lost: {reason}");
        match answer {
            Ok(Answer::Failed(reason)) => Err(self.failed(reason)),
            Ok(answer) => Ok(answer),
            Err(reason) => Err(self.failed(lost(reason))),
        }
    }

    /// Gives an order that has no other answer than that it was done.
    ///
    /// # Errors
    /// As [`AgentLine::ask`].
    pub async fn order(&mut self, order: &Order) -> Result<(), NodeError> {
        match self.ask(order).await? {
            Answer::Done => Ok(()),
            other => Err(self.unexpected(&other)),
        }
    }

    /// How long the agent takes to answer, and by how much its clock of the time of day may be off,
    /// at most half of that, against ours: the round trip, and the difference in nanoseconds.
    ///
    /// # Errors
    /// As [`AgentLine::ask`].
    pub async fn ping(&mut self) -> Result<(Duration, i64), NodeError> {
        let begin = Instant::now();
        let sent = std::time::SystemTime::now();
        let stamp = match self.ask(&Order::Ping).await? {
            Answer::Pong(stamp) => stamp,
            other => return Err(self.unexpected(&other)),
        };
        let round_trip = begin.elapsed();
        let sent = sent.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let middle = u64::try_from((sent + round_trip / 2).as_nanos()).unwrap_or(u64::MAX);
        let difference = i128::from(stamp) - i128::from(middle);
        Ok((round_trip, i64::try_from(difference).unwrap_or(i64::MAX)))
    }

    /// What the host is.
    ///
    /// # Errors
    /// As [`AgentLine::ask`].
    pub async fn facts(&mut self) -> Result<Facts, NodeError> {
        match self.ask(&Order::Facts).await? {
            Answer::Facts(facts) => Ok(*facts),
            other => Err(self.unexpected(&other)),
        }
    }

    /// How the host's clocks stand.
    ///
    /// # Errors
    /// As [`AgentLine::ask`].
    pub async fn sample(&mut self) -> Result<HostSample, NodeError> {
        match self.ask(&Order::Sample).await? {
            Answer::Sample(sample) => Ok(*sample),
            other => Err(self.unexpected(&other)),
        }
    }

    /// A UDP port that is free there.
    ///
    /// # Errors
    /// As [`AgentLine::ask`].
    pub async fn port(&mut self, standing: bool) -> Result<u16, NodeError> {
        match self.ask(&Order::Port { standing }).await? {
            Answer::Port(port) => Ok(port),
            other => Err(self.unexpected(&other)),
        }
    }

    /// How the replicas of `cluster` are there.
    ///
    /// # Errors
    /// As [`AgentLine::ask`].
    pub async fn look(&mut self, cluster: &str) -> Result<Vec<Life>, NodeError> {
        match self.ask(&Order::Look(cluster.to_owned())).await? {
            Answer::Seen(lives) => Ok(lives),
            other => Err(self.unexpected(&other)),
        }
    }

    /// The whole log of a replica.
    ///
    /// # Errors
    /// As [`AgentLine::ask`].
    pub async fn log(&mut self, cluster: &str, replica: ReplicaId) -> Result<Vec<u8>, NodeError> {
        let which = Which { cluster: cluster.to_owned(), replica };
        let mut log = Vec::new();
        loop {
            let order = Order::Fetch { which: which.clone(), offset: log.len() as u64 };
            match self.ask(&order).await? {
                Answer::Piece(piece) if piece.is_empty() => return Ok(log),
                Answer::Piece(piece) => log.extend(piece),
                other => return Err(self.unexpected(&other)),
            }
        }
    }

    /// Ends the replicas of `cluster` there, of which nothing is left that `files` does not keep.
    ///
    /// # Errors
    /// As [`AgentLine::ask`].
    pub async fn end(
        &mut self,
        cluster: &str,
        patience: Duration,
        files: Files,
    ) -> Result<(), NodeError> {
        self.order(&Order::End { cluster: cluster.to_owned(), patience, files }).await
    }

    /// Lets the agent know that nothing more comes: when this ends well, another driver may.
    ///
    /// # Errors
    /// As [`AgentLine::ask`].
    pub async fn leave(mut self) -> Result<(), NodeError> {
        self.order(&Order::Leave).await
    }

    fn failed(&self, reason: String) -> NodeError {
        NodeError::Host { host: self.host.clone(), reason }
    }

    fn unexpected(&self, answer: &Answer) -> NodeError {
        self.failed(format!("its agent gave an answer to another question: {answer:?}"))
    }
}

impl Drop for AgentLine {
    fn drop(&mut self) {
        self.conversation.link.connection.close(VarInt::from_u32(0), b"the driver is done");
    }
}
