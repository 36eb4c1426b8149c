//! A host of a run that an agent keeps, with the one replica on it.
//!
//! A task of its own has the line: it gives the orders and asks every now and then how the replica
//! is, so that whoever wants to know it need not wait.

use std::{
    cell::RefCell,
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::ExitStatus,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use node::{
    NodeError,
    agent::{
        line::AgentLine,
        wire::{Answer, Files, HostSample, Life, Order, Start, Which},
    },
    child::Death,
};
use protocols::ReplicaId;
use tokio::{
    sync::{mpsc, oneshot},
    task::{JoinHandle, spawn_local},
    time::sleep,
};

use crate::{Error, Stop};

/// Chosen: as often as local processes are looked at, so that a death is noticed as soon.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const EXIT_POLL: Duration = Duration::from_millis(10);

/// The host and its replica.
#[derive(Debug)]
pub(super) struct Remote {
    name: String,
    which: Which,
    orders: mpsc::UnboundedSender<Asked>,
    seen: Rc<RefCell<Seen>>,
    keeper: JoinHandle<AgentLine>,
}

/// An order, and who waits for what becomes of it.
type Asked = (Order, oneshot::Sender<Result<Answer, NodeError>>);

/// What the agent said last.
#[derive(Debug, Default)]
struct Seen {
    life: Option<Life>,
    /// Why the host is of no more use.
    lost: Option<Arc<Error>>,
}

impl Remote {
    /// Starts a replica on the host that `line` leads to.
    ///
    /// # Errors
    /// If the agent cannot start it.
    pub(super) async fn start(mut line: AgentLine, start: Start) -> Result<Self, Error> {
        let which = Which { cluster: start.cluster.clone(), replica: start.replica };
        line.order(&Order::Start(Box::new(start))).await?;
        let (orders, asked) = mpsc::unbounded_channel();
        let seen = Rc::default();
        let name = line.host.clone();
        let keeper = spawn_local(keep(line, which.clone(), asked, Rc::clone(&seen)));
        Ok(Self { name, which, orders, seen, keeper })
    }

    /// The host's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The replica on it.
    pub(super) const fn replica(&self) -> ReplicaId {
        self.which.replica
    }

    /// Kills the replica. Nobody waits for the agent to say that it was done; if it cannot be, the
    /// host is lost.
    pub(super) fn kill(&self) {
        self.give(Order::Kill(self.which.clone()));
    }

    /// Lets it stand still, in the same way.
    pub(super) fn pause(&self) {
        self.give(Order::Pause(self.which.clone()));
    }

    /// Lets it go on, in the same way.
    pub(super) fn resume(&self) {
        self.give(Order::Resume(self.which.clone()));
    }

    /// Starts it again.
    ///
    /// # Errors
    /// If that cannot be done.
    pub(super) async fn restart(&self) -> Result<(), Error> {
        self.ask(Order::Restart(self.which.clone())).await.map(drop)
    }

    /// How the host's clocks stand.
    ///
    /// # Errors
    /// If it does not say.
    pub(super) async fn sample(&self) -> Result<HostSample, Error> {
        match self.ask(Order::Sample).await? {
            Answer::Sample(sample) => Ok(*sample),
            other => Err(self.failed(format!("no sample of its clocks came: {other:?}"))),
        }
    }

    /// Is the replica, which was killed, known to be gone, and how much CPU time did the lives take
    /// that were ended?
    pub(super) fn ended(&self) -> (bool, Option<u64>) {
        let seen = self.seen.borrow();
        seen.life.as_ref().map_or((false, None), |life| (life.is_gone, life.ended_cpu_ns))
    }

    /// Why the run cannot go on, as far as this host is concerned; `log` tells where a replica's
    /// log will be.
    pub(super) fn trouble(&self, log: impl Fn(ReplicaId) -> PathBuf) -> Option<Stop> {
        let seen = self.seen.borrow();
        let death = seen.life.as_ref().and_then(|life| {
            let (status, last_words) = life.death.clone()?;
            let status = ExitStatus::from_raw(status);
            Some(Death { replica: life.replica, status, last_words, log: log(life.replica) })
        });
        let lost = || seen.lost.clone().map(Stop::Failed);
        death.map(Stop::Died).or_else(lost)
    }

    /// Waits until `deadline` for the replica to end by itself and ends it then, fetches its log,
    /// and lets the agent remove or keep what it has of the run.
    ///
    /// # Errors
    /// If the line is lost on the way, or the log cannot be written.
    pub(super) async fn end(
        self,
        deadline: Instant,
        files: Files,
        log: &Path,
    ) -> Result<(), Error> {
        let Self { which, orders, keeper, .. } = self;
        drop(orders);
        let mut line = keeper.await.expect("the task of a line does not panic");
        loop {
            let lives = line.look(&which.cluster).await?;
            let has_ended = |life: &Life| life.is_gone || life.death.is_some();
            if lives.iter().all(has_ended) || Instant::now() >= deadline {
                break;
            }
            sleep(EXIT_POLL).await;
        }
        let text = line.log(&which.cluster, which.replica).await?;
        fs::write(log, text).map_err(|error| Error::File { path: log.to_owned(), error })?;
        line.end(&which.cluster, Duration::ZERO, files).await?;
        Ok(line.leave().await?)
    }

    fn give(&self, order: Order) {
        let (answer, _) = oneshot::channel();
        // Without the task the host is lost, which shows.
        let _ = self.orders.send((order, answer));
    }

    async fn ask(&self, order: Order) -> Result<Answer, Error> {
        let (answer, answered) = oneshot::channel();
        let _ = self.orders.send((order, answer));
        match answered.await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(self.failed("the line to its agent is lost".to_owned())),
        }
    }

    fn failed(&self, reason: String) -> Error {
        NodeError::Host { host: self.name.clone(), reason }.into()
    }
}

/// Gives orders as they come, and looks at the replica in between, until nobody has any more to
/// give.
async fn keep(
    mut line: AgentLine,
    which: Which,
    mut orders: mpsc::UnboundedReceiver<Asked>,
    seen: Rc<RefCell<Seen>>,
) -> AgentLine {
    loop {
        let asked = tokio::select! {
            biased;
            asked = orders.recv() => match asked {
                Some(asked) => Some(asked),
                None => return line,
            },
            () = sleep(LOOK_EVERY), if seen.borrow().lost.is_none() => None,
        };
        let lose = |error: NodeError| {
            seen.borrow_mut().lost.get_or_insert_with(|| Arc::new(error.into()));
        };
        match asked {
            Some((order, waiting)) => {
                let answer = line.ask(&order).await;
                match waiting.send(answer) {
                    Ok(()) => {}
                    // Nobody waits for it: then nobody else sees that it failed.
                    Err(Ok(_)) => {}
                    Err(Err(error)) => lose(error),
                }
                // What the order did is known as soon as it was done.
                if let Ok(lives) = line.look(&which.cluster).await {
                    seen.borrow_mut().life =
                        lives.into_iter().find(|life| life.replica == which.replica);
                }
            }
            None => match line.look(&which.cluster).await {
                Ok(lives) => {
                    seen.borrow_mut().life =
                        lives.into_iter().find(|life| life.replica == which.replica);
                }
                Err(error) => lose(error),
            },
        }
    }
}
