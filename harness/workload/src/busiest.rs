//! How many messages a command costs each replica: the analytic model of a leader bottleneck, for the messages that the
//! protocols here send.
//!
//! After Ailijiang, Charapko, Demirbas, "Dissecting the Performance of Strongly-Consistent Replication Protocols",
//! SIGMOD 2019: a cluster's throughput is bounded by its busiest replica. That paper counts for thrifty
//! quorums; here every request goes to all. With N replicas, per command,
//!
//! | protocol | the replica that leads it sends | and receives | every other sends | and receives |
//! |---|---|---|---|---|
//! | Multi-Paxos | N−1 Accept, q(N−1) Commit | N−1 Accepted | 1 Accepted | 1 Accept, q Commit |
//! | EPaxos | N−1 PreAccept, c(N−1) Accept, N−1 Commit | (1+c)(N−1) replies | 1+c replies | 2+c requests |
//! | Paxos, uncontended | N−1 each of Prepare, Accept, Commit | 2(N−1) replies | 2 replies | 3 requests |
//!
//! where c is the share of commands on the slow path, and q the share that a Commit of its own announces because no later
//! Accept brought the commit index: 1 if commands come one by one, near 0 under load. In Multi-Paxos a command that is asked
//! of a follower is a Forward more, from there to the leader. A client's request and its reply are a message each, where it
//! is asked.
//!
//! Left out is what time sends and not commands: heartbeats, reports of progress (one for 256 executions at least),
//! retransmissions, and the recovery from failures.

use protocols::{Protocol, ReplicaId};

/// What one replica does for each command of the whole cluster, on average.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Share {
    /// Messages to other replicas, one per receiver.
    pub messages_out: f64,
    /// Messages from other replicas.
    pub messages_in: f64,
    /// Those of the messages out that hold the command.
    pub commands_out: f64,
    /// Those of the messages in that hold the command.
    pub commands_in: f64,
    /// Clients' requests; as many replies leave.
    pub requests: f64,
}

impl Share {
    /// Messages of all kinds, in and out, clients' included.
    pub const fn messages(&self) -> f64 {
        self.peer_messages() + 2.0 * self.requests
    }

    /// Messages with other replicas, in and out.
    pub const fn peer_messages(&self) -> f64 {
        self.messages_out + self.messages_in
    }
}

/// What the number of messages depends on beside protocol and cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Circumstances {
    /// By replica: the share of commands that is asked of it; together 1.
    pub asked: Vec<f64>,
    /// Multi-Paxos' leader.
    pub leader: ReplicaId,
    /// EPaxos: the share of commands on the slow path.
    pub slow: f64,
    /// Multi-Paxos: the share of commands that a Commit of its own announces.
    pub announced: f64,
}

impl Circumstances {
    /// Each of `replicas` is asked the same, replica 0 leads, no command meets another and none waits for company: what a
    /// cluster does at the lowest load.
    pub fn even(replicas: usize) -> Self {
        Self {
            asked: vec![1.0 / replicas as f64; replicas],
            leader: ReplicaId(0),
            slow: 0.0,
            announced: 1.0,
        }
    }
}

/// What each replica does for a command, replica 0 first.
pub fn shares(protocol: Protocol, circumstances: &Circumstances) -> Vec<Share> {
    let asked = &circumstances.asked;
    let others = asked.len() as f64 - 1.0;
    let Circumstances { slow, announced, leader, .. } = circumstances;
    let share = |replica: usize| {
        let requests = asked[replica];
        // What it leads of all commands, and what it does for one that it leads and one that another leads.
        let (leads, leading, following) = match protocol {
            Protocol::MultiPaxos => (
                f64::from(u8::from(replica == leader.index())),
                Share {
                    messages_out: (1.0 + announced) * others,
                    messages_in: others,
                    commands_out: others,
                    ..Share::default()
                },
                Share {
                    messages_out: 1.0,
                    messages_in: 1.0 + announced,
                    commands_in: 1.0,
                    ..Share::default()
                },
            ),
            Protocol::EPaxos => (
                requests,
                Share {
                    messages_out: (2.0 + slow) * others,
                    messages_in: (1.0 + slow) * others,
                    commands_out: (1.0 + slow) * others,
                    ..Share::default()
                },
                Share {
                    messages_out: 1.0 + slow,
                    messages_in: 2.0 + slow,
                    commands_in: 1.0 + slow,
                    ..Share::default()
                },
            ),
            Protocol::Paxos => (
                requests,
                Share {
                    messages_out: 3.0 * others,
                    messages_in: 2.0 * others,
                    commands_out: others,
                    ..Share::default()
                },
                Share { messages_out: 2.0, messages_in: 3.0, commands_in: 1.0, ..Share::default() },
            ),
        };
        let mix = |of: fn(&Share) -> f64| leads * of(&leading) + (1.0 - leads) * of(&following);
        let mut share = Share {
            messages_out: mix(|share| share.messages_out),
            messages_in: mix(|share| share.messages_in),
            commands_out: mix(|share| share.commands_out),
            commands_in: mix(|share| share.commands_in),
            requests,
        };
        if protocol == Protocol::MultiPaxos {
            if replica == leader.index() {
                share.messages_in += 1.0 - requests;
                share.commands_in += 1.0 - requests;
            } else {
                share.messages_out += requests;
                share.commands_out += requests;
            }
        }
        share
    };
    (0..asked.len()).map(share).collect()
}

/// The replica with the most messages of all kinds, the first of several, and what it does for a command.
///
/// # Panics
/// If nobody is asked anything: `asked` is empty.
pub fn busiest(protocol: Protocol, circumstances: &Circumstances) -> (ReplicaId, Share) {
    let shares = shares(protocol, circumstances).into_iter().enumerate().rev();
    let (replica, share) = shares
        .max_by(|(_, one), (_, other)| one.messages().total_cmp(&other.messages()))
        .expect("a cluster has replicas");
    (ReplicaId::from_index(replica), share)
}
