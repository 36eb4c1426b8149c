//! Links with the other replicas. Of two replicas the lower one dials, again and again for as long as it lives.
//!
//! A link is one connection with one stream, and both sides greet on it first. What was under way on a link that breaks
//! is lost; the protocol sends again what it still needs.

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use driver::{NotAMessage, storage::Strange};
use protocols::{Replica, ReplicaId};
use quinn::{Connection, ConnectionError};
use tokio::time::{Instant, timeout};

use super::{Ended, Shared, close_code, read_hello, read_more};
use crate::{
    NodeError,
    frame::{FrameBuffer, append_value_frame, whole_value},
    limits::UNFLUSHED_BYTES_MAX,
    outbox::Outbox,
    transport::Link,
    wire::PeerHello,
};

/// Chosen: attempts come soon at first, and rarely enough to cost nothing in the end.
const BACK_OFF_MIN: Duration = Duration::from_millis(20);
const BACK_OFF_MAX: Duration = Duration::from_secs(1);
/// A link that lived this long was no failed attempt.
const SETTLED_AFTER: Duration = Duration::from_secs(1);
/// A peer that has not answered for this long is said to be waited for.
const ANNOUNCE_AFTER: Duration = Duration::from_millis(300);

/// Keeps a link with `peer`, which has the higher number.
pub(super) async fn keep_dialing<R: Replica>(shared: Shared<R>, peer: ReplicaId) {
    let mut back_off = BACK_OFF_MIN;
    let mut announced = false;
    loop {
        let start = Instant::now();
        let mut announce = |reason: &str| {
            if !std::mem::replace(&mut announced, true) {
                let address = shared.peers.named(peer);
                shared.log.line(format_args!("waiting for {peer} at {address}: {reason}"));
            }
        };
        let mut connecting = pin!(connect(&shared, peer));
        let connected = match timeout(ANNOUNCE_AFTER, &mut connecting).await {
            Ok(connected) => connected,
            Err(_) => {
                announce("no answer yet");
                connecting.await
            }
        };
        match connected {
            Ok((link, buffer)) => {
                let connection = link.connection.clone();
                let ended = exchange(&shared, peer, link, buffer).await;
                heed(&shared, peer, &connection);
                let code = ended.code.unwrap_or(close_code::STOPPING);
                connection.close(code, ended.reason.as_bytes());
                announced = false;
                shared.log.line(format_args!("{peer} is lost: {}", ended.reason));
            }
            Err(error) => announce(&error.to_string()),
        }
        if start.elapsed() > SETTLED_AFTER {
            back_off = BACK_OFF_MIN;
        }
        tokio::time::sleep(back_off).await;
        back_off = (2 * back_off).min(BACK_OFF_MAX);
    }
}

/// Serves a link that `peer` dialed.
pub(super) async fn accept<R: Replica>(
    shared: &Shared<R>,
    peer: ReplicaId,
    mut link: Link,
) -> Ended {
    let mut buffer = FrameBuffer::default();
    let greeted = async {
        let hello: PeerHello = read_hello(&mut link.receive, &mut buffer, shared.patience).await?;
        check(shared, peer, &hello)?;
        if peer >= shared.id {
            return Err(refused(format_args!("{peer} dials {}: the lower dials", shared.id)));
        }
        let mut frame = Vec::new();
        append_value_frame(&mut frame, &shared.hello()).expect("a greeting is short");
        link.send.write_all(&frame).await.map_err(Ended::lost)
    };
    match greeted.await {
        Ok(()) => {
            let address = link.connection.remote_address();
            shared.peers.met(peer, address, shared.transport.emulator.as_ref());
            exchange(shared, peer, link, buffer).await
        }
        Err(ended) => ended,
    }
}

/// Dials `peer` and greets.
async fn connect<R: Replica>(
    shared: &Shared<R>,
    peer: ReplicaId,
) -> Result<(Link, FrameBuffer), NodeError> {
    let address = shared.peers.of(peer, shared.transport.emulator.as_ref()).await?;
    let mut link = shared.transport.dial_then(peer, address, || shared.hello()).await?;
    let mut buffer = FrameBuffer::default();
    let greeted = match read_hello(&mut link.receive, &mut buffer, shared.patience).await {
        Ok(hello) => check(shared, peer, &hello),
        Err(ended) => Err(ended),
    };
    if let Err(ended) = greeted {
        heed(shared, peer, &link.connection);
        let code = ended.code.unwrap_or(close_code::STOPPING);
        link.connection.close(code, ended.reason.as_bytes());
        return Err(NodeError::Refused(ended.reason));
    }
    Ok((link, buffer))
}

/// Does what the other side says of itself fit? If so, it is met.
fn check<R: Replica>(shared: &Shared<R>, peer: ReplicaId, hello: &PeerHello) -> Result<(), Ended> {
    if hello.from != peer {
        return Err(refused(format_args!("certified as {peer}, it claims to be {}", hello.from)));
    }
    let replicas = shared.peers.len();
    if hello.protocol != R::PROTOCOL || hello.replicas != replicas as u64 {
        return Err(refused(format_args!(
            "it runs {} with {} replicas, here it is {} with {replicas}",
            hello.protocol,
            hello.replicas,
            R::PROTOCOL
        )));
    }
    meet(shared, peer, hello)
}

/// Remembers who the other side is and whom it knows, before anything else that it says is heard.
fn meet<R: Replica>(shared: &Shared<R>, peer: ReplicaId, hello: &PeerHello) -> Result<(), Ended> {
    let mut met = shared.met.borrow_mut();
    match met.meet(peer, hello.incarnation) {
        Ok(()) => {}
        Err(Strange::Other { known }) => {
            return Err(Ended::fault(
                close_code::OTHER_INCARNATION,
                format_args!(
                    "{peer} was incarnation {known:016x} when it was met and has come back as {:016x}, without what it \
                     had promised: start it with the --data that it had, or begin a new cluster",
                    hello.incarnation
                ),
            ));
        }
        Err(Strange::NotKept(error)) => {
            let ended = Ended::lost(&error);
            shared.fail(error.into());
            return Err(ended);
        }
    }
    let strangers: Vec<_> = ReplicaId::all(shared.peers.len())
        .zip(&hello.known)
        .filter(|(other, _)| *other != shared.id && met.known()[other.index()].is_none())
        .filter_map(|(other, incarnation)| Some((other, (*incarnation)?)))
        .collect();
    for (other, incarnation) in strangers {
        if let Err(Strange::NotKept(error)) = met.meet(other, incarnation) {
            shared.fail(error.into());
        }
    }
    Ok(())
}

/// Ends this replica if `peer` has closed `connection` because it knows it as another.
pub(super) fn heed<R: Replica>(shared: &Shared<R>, peer: ReplicaId, connection: &Connection) {
    if let Some(ConnectionError::ApplicationClosed(close)) = connection.close_reason()
        && close.error_code == close_code::OTHER_INCARNATION
    {
        let reason = String::from_utf8_lossy(&close.reason);
        shared.fail(NodeError::Refused(format!("refused by {peer}: {reason}")));
    }
}

fn refused(reason: impl std::fmt::Display) -> Ended {
    Ended::fault(close_code::REFUSED, reason)
}

/// Steps the driver with what `peer` sends until the link ends.
async fn exchange<R: Replica>(
    shared: &Shared<R>,
    peer: ReplicaId,
    link: Link,
    mut buffer: FrameBuffer,
) -> Ended {
    let Link { connection, send, mut receive } = link;
    let number = shared.node.borrow_mut().outputs.add_peer(peer, connection, Outbox::new(send));
    shared.log.line(format_args!("{peer} is connected"));
    let ended = loop {
        if let Err(ended) = step_all(shared, peer, &mut buffer) {
            break ended;
        }
        carried_out(shared).await;
        if let Err(ended) = read_more(&mut receive, &mut buffer).await {
            break ended;
        }
    };
    shared.node.borrow_mut().outputs.remove_peer(peer, number);
    ended
}

/// Waits as long as too much was taken in that is not carried out: the disk is at work.
async fn carried_out<R: Replica>(shared: &Shared<R>) {
    poll_fn(|cx| {
        let node = &mut *shared.node.borrow_mut();
        if node.driver.unflushed_bytes() <= UNFLUSHED_BYTES_MAX {
            return Poll::Ready(());
        }
        node.outputs.wake_when_released(cx.waker());
        Poll::Pending
    })
    .await;
}

fn step_all<R: Replica>(
    shared: &Shared<R>,
    peer: ReplicaId,
    buffer: &mut FrameBuffer,
) -> Result<(), Ended> {
    let node = &mut *shared.node.borrow_mut();
    let bad = |error: &dyn std::fmt::Display| Ended::fault(close_code::BAD_FRAME, error);
    while let Some(frame) = buffer.next_frame().map_err(|error| bad(&error))? {
        let message = whole_value(frame).ok_or_else(|| bad(&NotAMessage))?;
        let bytes = frame.len() as u64;
        node.driver.on_message(peer, message, bytes).map_err(|error| bad(&error))?;
    }
    if node.driver.is_stepped() {
        node.wake_flush();
    }
    Ok(())
}
