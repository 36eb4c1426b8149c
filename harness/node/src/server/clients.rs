//! Connections of clients: batches in, replies out.

use std::{future::poll_fn, task::Poll};

use driver::ConnectionId;
use protocols::{Batch, Replica, command::BATCH_BYTES_MAX};

use super::{Ended, Shared, close_code, read_hello, read_more};
use crate::{
    frame::FrameBuffer,
    limits::{PENDING_MAX, PENDING_PER_CONNECTION_MAX},
    outbox::Outbox,
    transport::Link,
    wire::ClientHello,
};

/// Serves one client until its connection ends.
pub(super) async fn serve<R: Replica>(shared: &Shared<R>, link: Link) -> Ended {
    let Link { connection, send, mut receive } = link;
    let mut buffer = FrameBuffer::default();
    match read_hello(&mut receive, &mut buffer, shared.patience).await {
        Ok(ClientHello { to }) if to == shared.id => {}
        Ok(ClientHello { to }) => {
            let reason = format_args!("it means to talk to {to}");
            return Ended::fault(close_code::REFUSED, reason);
        }
        Err(ended) => return ended,
    }
    let client = shared.node.borrow_mut().outputs.add_client(connection, Outbox::new(send));
    let ended = loop {
        if let Err(ended) = step_all(shared, client, &mut buffer) {
            break ended;
        }
        admission(shared, client).await;
        if let Err(ended) = read_more(&mut receive, &mut buffer).await {
            break ended;
        }
    };
    let node = &mut *shared.node.borrow_mut();
    node.outputs.remove_client(client);
    node.driver.forget(client);
    ended
}

/// Waits until more of the client's requests may be read: until then QUIC's flow control stops it.
async fn admission<R: Replica>(shared: &Shared<R>, client: ConnectionId) {
    poll_fn(|cx| {
        let node = &mut *shared.node.borrow_mut();
        let admitted = node.driver.pending_of(client) < PENDING_PER_CONNECTION_MAX
            && node.driver.pending() < PENDING_MAX
            && node.driver.pending_bytes() < node.outputs.budget().pending
            && node.outputs.takes_replies(client);
        if admitted {
            return Poll::Ready(());
        }
        node.outputs.wake_after_flush(client, cx.waker());
        Poll::Pending
    })
    .await;
}

fn step_all<R: Replica>(
    shared: &Shared<R>,
    client: ConnectionId,
    buffer: &mut FrameBuffer,
) -> Result<(), Ended> {
    let node = &mut *shared.node.borrow_mut();
    let now = shared.clock.now();
    let bad = |error: &dyn std::fmt::Display| Ended::fault(close_code::BAD_FRAME, error);
    while let Some(frame) =
        buffer.next_frame_within(BATCH_BYTES_MAX).map_err(|error| bad(&error))?
    {
        let batch = Batch::from_bytes(frame).map_err(|error| bad(&error))?;
        node.driver.on_requests(client, batch, now).map_err(|error| bad(&error))?;
    }
    if node.driver.is_stepped() {
        node.wake_flush();
    }
    Ok(())
}
