//! The words in which a protocol counts the messages of a replica per command.
//!
//! Each protocol has its counts in its own folder. They hold where nothing is lost and nothing is
//! joined into batches, and where announcements travel with other messages, as they do under load.

use crate::options::Options;

/// The work of one replica per command of the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ReplicaLoad {
    /// Messages from and to its peers.
    pub messages: f64,
    /// Requests and replies.
    pub client_messages: f64,
    /// Messages of its peers, and requests, that have a command's value in them.
    pub values_in: f64,
    /// Messages to its peers that have, one count per receiver.
    pub values_out: f64,
    /// Rows by which the command is put in order of execution: N, or 0 where slots are the order.
    pub ordering_steps: f64,
}

impl ReplicaLoad {
    /// A replica that leads the share `asked` of the commands and follows the `others`, where a
    /// command's leader exchanges so many messages, and sends so many values, with each other
    /// replica.
    pub fn leaderless(others: f64, asked: f64, exchanged: f64, values: f64) -> Self {
        Self {
            messages: exchanged * (asked * others + (1.0 - asked)),
            values_in: values * (1.0 - asked),
            values_out: values * asked * others,
            ..Self::default()
        }
    }
}

/// What does a replica exchange with its peers per command?
#[derive(Clone, Copy, Debug)]
pub struct LoadQuestion<'a> {
    /// N.
    pub replicas: usize,
    /// Is it the leader, where there is a stable one?
    pub is_leader: bool,
    /// The share of the commands that clients ask of it.
    pub asked: f64,
    /// The share of commands that take the slow path.
    pub slow: f64,
    /// Are the replicas at sites, so that some are nearer than others?
    pub has_sites: bool,
    /// The protocol's own options.
    pub options: &'a Options,
}
