//! Connections of operators: questions and orders, answered one by one.

use std::time::Duration;

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};
use protocols::Replica;

use super::{Ended, Node, Shared, close_code, network, read_hello, read_more};
use crate::{
    frame::{FrameBuffer, append_value_frame},
    limits::CONTROL_BYTES_MAX,
    transport::Link,
    wire::{ClientHello, ControlReply, ControlRequest, ReplicaLinks},
};

/// Chosen: how long a replica that stops waits for its last answer to arrive.
const FAREWELL_TIMEOUT: Duration = Duration::from_millis(500);

/// Serves one operator until its connection ends.
pub(super) async fn serve<R: Replica>(shared: &Shared<R>, mut link: Link) -> Ended {
    match answer_all(shared, &mut link).await {
        Ok(()) => {
            shared.log.line("stopping, as an operator asked");
            if link.send.finish().is_ok() {
                let _ = tokio::time::timeout(FAREWELL_TIMEOUT, link.send.stopped()).await;
            }
            shared.stop.notify_one();
            Ended::lost("the replica stops")
        }
        Err(ended) => ended,
    }
}

/// Answers until the operator asks for the end.
async fn answer_all<R: Replica>(shared: &Shared<R>, link: &mut Link) -> Result<(), Ended> {
    let mut buffer = FrameBuffer::default();
    let ClientHello { to } = read_hello(&mut link.receive, &mut buffer, shared.patience).await?;
    if to != shared.id {
        let reason = format_args!("it means to talk to {to}");
        return Err(Ended::fault(close_code::REFUSED, reason));
    }
    loop {
        let frame = buffer
            .next_frame_within(CONTROL_BYTES_MAX)
            .map_err(|error| Ended::fault(close_code::BAD_FRAME, error))?;
        let Some(frame) = frame else {
            read_more(&mut link.receive, &mut buffer).await?;
            continue;
        };
        let request = postcard::from_bytes(frame)
            .map_err(|_| Ended::fault(close_code::BAD_FRAME, "the frame is no control request"))?;
        let is_last = request == ControlRequest::Shutdown;
        let mut bytes = Vec::new();
        if append_value_frame(&mut bytes, &answer(shared, request)).is_err() {
            append_value_frame(&mut bytes, &ControlReply::TooLong).expect("a word is short");
        }
        link.send.write_all(&bytes).await.map_err(Ended::lost)?;
        if is_last {
            return Ok(());
        }
    }
}

fn report<R: Replica>(shared: &Shared<R>, node: &Node<R>) -> ControlReply {
    let mut report = node.driver.report(shared.clock.now());
    report.cpu_ns = cpu_ns().map(|now| now.saturating_sub(node.cpu_ns_before));
    report.rss_bytes = measure::rss_bytes();
    report.rss_bytes_max = measure::rss_bytes_max();
    report.counters.queued_bytes_max = node.outputs.queued_max();
    report.network = network::report(shared, node);
    ControlReply::Report(Box::new(report))
}

fn answer<R: Replica>(shared: &Shared<R>, request: ControlRequest) -> ControlReply {
    let node = &mut *shared.node.borrow_mut();
    match request {
        ControlRequest::BeginMeasuring => {
            node.driver.begin_measuring(shared.clock.now());
            node.cpu_ns_before = cpu_ns().unwrap_or(0);
            network::begin_measuring(shared, node);
            ControlReply::Done
        }
        ControlRequest::EndMeasuring => {
            node.driver.end_measuring(shared.clock.now());
            report(shared, node)
        }
        ControlRequest::Report => report(shared, node),
        ControlRequest::Status => {
            let mut status = node.driver.status();
            status.is_insecure = shared.is_insecure;
            status.incarnation = shared.incarnation;
            status.peers_connected = node.outputs.peers_connected() as u64;
            status.rss_bytes = measure::rss_bytes();
            let (to_peers, to_clients) = node.outputs.queued_bytes();
            status.memory.budget_bytes = node.outputs.budget().all as u64;
            status.memory.to_peers_bytes = to_peers as u64;
            status.memory.to_clients_bytes = to_clients as u64;
            ControlReply::Status(Box::new(status))
        }
        ControlRequest::KeyDigests { bucket, buckets } => {
            ControlReply::KeyDigests(node.driver.key_digests(bucket, buckets))
        }
        ControlRequest::Network(change) => match network::change(shared, node, &change) {
            Ok(()) => ControlReply::Done,
            Err(reason) => ControlReply::Refused(reason),
        },
        ControlRequest::Links => {
            let peers = node.outputs.peer_links();
            ControlReply::Links(ReplicaLinks { protocol: R::PROTOCOL, peers })
        }
        ControlRequest::Shutdown => ControlReply::Done,
    }
}

/// CPU time of this process, user and system, in nanoseconds.
fn cpu_ns() -> Option<u64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let ns = usage.user_time().num_nanoseconds() + usage.system_time().num_nanoseconds();
    u64::try_from(ns).ok()
}
