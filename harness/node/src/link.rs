//! A session with one replica that is opened again once it is lost.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use protocols::ReplicaId;
use tokio::sync::watch;

use crate::{
    NodeError,
    address::Address,
    client::{Connector, Session},
};

/// Chosen: a session is opened again soon at first, and seldom enough to cost nothing if nobody is there.
const BACK_OFF_MIN: Duration = Duration::from_millis(20);
const BACK_OFF_MAX: Duration = Duration::from_secs(1);

/// Where a replica is, and what dials it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// What dials.
    pub connector: Connector,
    /// Which replica.
    pub replica: ReplicaId,
    /// Where it listens; a name is resolved whenever a session is opened.
    pub address: Address,
}

impl Endpoint {
    /// Opens a session.
    ///
    /// # Errors
    /// As [`Connector::connect`], and if the host's name is not known.
    pub async fn open(&self) -> Result<Session, NodeError> {
        self.connector.connect(self.replica, self.address.resolve().await?).await
    }
}

/// A session with one replica, or the attempts to have one.
#[derive(Debug)]
pub struct SessionLink {
    endpoint: Endpoint,
    /// None while it is lost.
    pub session: Option<Session>,
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

impl SessionLink {
    /// What dials.
    pub const fn connector(&self) -> &Connector {
        &self.endpoint.connector
    }

    /// A link that has a session.
    pub fn new(endpoint: Endpoint, session: Session) -> Self {
        Self {
            endpoint,
            session: Some(session),
            opening: None,
            back_off: BACK_OFF_MIN,
            closed: false,
        }
    }

    /// A link that has none yet, and is not dialed.
    pub fn closed(endpoint: Endpoint) -> Self {
        Self { endpoint, session: None, opening: None, back_off: BACK_OFF_MIN, closed: false }
    }

    /// Opens a session now, unless there is one or one is on its way.
    pub fn dial(&mut self) {
        if self.session.is_some() || self.opening.is_some() {
            return;
        }
        let endpoint = self.endpoint.clone();
        self.opening = Some(Opening(Box::pin(async move { endpoint.open().await })));
    }

    /// The session, if there was one, is lost; another one is on its way.
    pub fn lose(&mut self) -> bool {
        let had_one = self.session.take().is_some();
        if had_one && !self.closed {
            self.open();
        }
        had_one
    }

    /// The replica is gone.
    pub fn close(&mut self) {
        self.closed = true;
        self.opening = None;
        self.session = None;
    }

    /// The replica was started again; `is_up` tells when it can be asked.
    pub fn reopen(&mut self, mut is_up: watch::Receiver<bool>) {
        let endpoint = self.endpoint.clone();
        self.closed = false;
        self.back_off = BACK_OFF_MIN;
        self.opening = Some(Opening(Box::pin(async move {
            if is_up.wait_for(|up| *up).await.is_err() {
                // Nobody waits any more for it to be up: the run ends, or it was killed and this link is closed.
                std::future::pending::<()>().await;
            }
            endpoint.open().await
        })));
    }

    /// True once, when there is a session again.
    pub fn poll_opened(&mut self, cx: &mut Context<'_>) -> bool {
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
        let (endpoint, back_off) = (self.endpoint.clone(), self.back_off);
        self.back_off = (2 * back_off).min(BACK_OFF_MAX);
        self.opening = Some(Opening(Box::pin(async move {
            tokio::time::sleep(back_off).await;
            endpoint.open().await
        })));
    }
}
