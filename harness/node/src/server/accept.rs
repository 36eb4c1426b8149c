//! Incoming connections: who it is decides what the connection is for.

use std::future::IntoFuture;

use protocols::Replica;
use quinn::Incoming;
use tokio::time::timeout;

use super::{Ended, Shared, admission::Counted, clients, close_code, operators, peers};
use crate::{identity::Role, tls, transport::Link};

/// Serves one incoming connection, which has this place unless it is another replica's, until it ends.
pub(super) async fn serve<R: Replica>(
    shared: Shared<R>,
    incoming: Incoming,
    mut place: Option<Counted>,
) {
    let address = incoming.remote_address();
    let connection = match timeout(shared.patience, incoming.into_future()).await {
        Ok(Ok(connection)) => connection,
        Err(_) => {
            let text = format_args!("{address} was refused: its handshake takes too long");
            return shared.log.repeated("handshake too long", text);
        }
        Ok(Err(error)) => {
            let text = format_args!("{address} was refused: {error}");
            return shared.log.repeated("handshake failed", text);
        }
    };
    if let Some(place) = &mut place {
        place.proven();
    }
    let Some(role) = tls::role_of(&connection, &shared.cluster, Role::all(shared.peers.len()))
    else {
        let text = format_args!("{address} was refused: its certificate names no role here");
        shared.log.repeated("no role", text);
        return connection.close(close_code::REFUSED, b"the certificate names no role here");
    };
    let opened = timeout(shared.patience, connection.accept_bi()).await;
    let ended = match opened {
        Ok(Ok((send, receive))) => {
            let link = Link { connection: connection.clone(), send, receive };
            match role {
                Role::Replica(peer) => peers::accept(&shared, peer, link).await,
                Role::Client => clients::serve(&shared, link).await,
                Role::Operator => operators::serve(&shared, link).await,
                Role::Driver | Role::Agent => {
                    Ended::fault(close_code::REFUSED, "that role is a lab's, no cluster's")
                }
            }
        }
        Ok(Err(error)) => Ended::lost(error),
        Err(_) => Ended::fault(close_code::REFUSED, "no stream was opened"),
    };
    if let Role::Replica(peer) = role {
        peers::heed(&shared, peer, &connection);
    }
    match ended.code {
        Some(code) => {
            let text = format_args!("{role} at {address} was disconnected: {}", ended.reason);
            shared.log.repeated("connection closed for a fault", text);
            connection.close(code, ended.reason.as_bytes());
        }
        None => {
            let text = format_args!("{role} at {address} is gone: {}", ended.reason);
            shared.log.repeated("connection ended", text);
            connection.close(close_code::STOPPING, b"");
        }
    }
}
