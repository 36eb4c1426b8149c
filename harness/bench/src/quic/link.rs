//! The way to one replica: a session, and what is done to have one again once it is lost.

use std::{
    fmt,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use node::{
    NodeError,
    client::{Connector, Session},
};
use protocols::ReplicaId;
use tokio::sync::watch;

/// Chosen: a session is opened again soon at first, and seldom enough to cost nothing if nobody is there.
const BACK_OFF_MIN: Duration = Duration::from_millis(20);
const BACK_OFF_MAX: Duration = Duration::from_secs(1);

/// Where a replica is, and who dials it.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub(crate) connector: Connector,
    pub(crate) replica: ReplicaId,
    pub(crate) address: SocketAddr,
}

/// A way to one replica.
#[derive(Debug)]
pub(crate) struct Link {
    door: Door,
    /// None while it is lost.
    pub(crate) session: Option<Session>,
    opening: Option<Opening>,
    back_off: Duration,
    /// The replica was killed: nobody is there.
    closed: bool,
}

/// A session on its way.
struct Opening(Pin<Box<dyn Future<Output = Result<Session, NodeError>>>>);

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opening")
    }
}

impl Link {
    /// Who dials.
    pub(super) const fn connector(&self) -> &Connector {
        &self.door.connector
    }

    /// A link that has a session.
    pub(crate) fn new(door: Door, session: Session) -> Self {
        Self { door, session: Some(session), opening: None, back_off: BACK_OFF_MIN, closed: false }
    }

    /// A link that has none yet, and is not dialed.
    pub(crate) fn closed(door: Door) -> Self {
        Self { door, session: None, opening: None, back_off: BACK_OFF_MIN, closed: false }
    }

    /// Opens a session now, unless there is one or one is on its way.
    pub(crate) fn dial(&mut self) {
        if self.session.is_some() || self.opening.is_some() {
            return;
        }
        let door = self.door.clone();
        self.opening = Some(Opening(Box::pin(async move {
            door.connector.connect(door.replica, door.address).await
        })));
    }

    /// The session, if there was one, is lost; another one is on its way.
    pub(crate) fn lose(&mut self) -> bool {
        let had_one = self.session.take().is_some();
        if had_one && !self.closed {
            self.open();
        }
        had_one
    }

    /// The replica is gone.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.opening = None;
        self.session = None;
    }

    /// The replica was started again; `is_up` tells when it can be asked.
    pub(super) fn reopen(&mut self, mut is_up: watch::Receiver<bool>) {
        let door = self.door.clone();
        self.closed = false;
        self.back_off = BACK_OFF_MIN;
        self.opening = Some(Opening(Box::pin(async move {
            if is_up.wait_for(|up| *up).await.is_err() {
                // Nobody waits any more for it to be up: the run ends, or it was killed and this link is closed.
                std::future::pending::<()>().await;
            }
            door.connector.connect(door.replica, door.address).await
        })));
    }

    /// True once, when there is a session again.
    pub(crate) fn poll_opened(&mut self, cx: &mut Context<'_>) -> bool {
        while let Some(Opening(opening)) = &mut self.opening {
            match opening.as_mut().poll(cx) {
                Poll::Pending => return false,
                Poll::Ready(Ok(session)) => {
                    self.session = Some(session);
                    self.opening = None;
                    self.back_off = BACK_OFF_MIN;
                    return true;
                }
                Poll::Ready(Err(_)) => self.open(),
            }
        }
        false
    }

    fn open(&mut self) {
        let (door, back_off) = (self.door.clone(), self.back_off);
        self.back_off = (2 * back_off).min(BACK_OFF_MAX);
        self.opening = Some(Opening(Box::pin(async move {
            tokio::time::sleep(back_off).await;
            door.connector.connect(door.replica, door.address).await
        })));
    }
}
