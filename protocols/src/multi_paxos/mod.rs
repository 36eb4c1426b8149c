//! Multi-Paxos: one leader orders everything, phase 1 runs once per leadership. (PMS §3, PMMC §4)
//!
//! | message | from | to | meaning |
//! |---|---|---|---|
//! | Prepare | candidate | all | phase 1a for every slot from the first undecided one on; also asks for the next piece of a promise |
//! | Promise | acceptor | candidate | phase 1b: what was accepted from there on, and the slot through which the log is discarded |
//! | Accept | leader | all | phase 2a for one slot; carries the commit index and the collectable slot |
//! | Accepted | acceptor | leader | phase 2b; carries the acceptor's executed slot |
//! | Commit | leader | all | the commit index, when no Accept brings it |
//! | Heartbeat, Alive | leader, follower | all, leader | the leader lives, with the commit index and whom it hears in time; the answer carries the executed slot |
//! | Refuse | acceptor | candidate, leader | a higher ballot is promised |
//! | Forward | follower | leader | a client's batch |
//! | Relay | follower | follower | a client's batch, to be forwarded to the leader, which the sender does not reach |
//! | Fetch, Decided | any | any | asks for decided slots; the answer |
//! | Discarded | any | any | what was asked about is decided and gone here, up to this slot |
//! | PreVote, PreVoteGranted, Led | any | any | do you miss the leader?; yes; no, it and I hear each other |
//! | FetchSnapshot, Piece | any | any | asks for a piece of a snapshot; the answer |
//!
//! Invariants:
//! 1. A replica acts on no ballot below the one it promised, and its promise is durable before it is sent.
//! 2. A batch is durable at an acceptor before its Accepted leaves.
//! 3. A ballot is led by one replica in one life: a restarted replica follows until it wins a higher ballot.
//! 4. At one ballot the leader proposes one batch per slot, and if some batch was chosen there before, that one.
//! 5. A follower takes a slot at or below the commit index for decided only if it accepted it at the ballot of the leader
//!    that sent the index; else it asks.
//! 6. Batches are executed in slot order, each slot once per life.
//! 7. A slot is discarded only after it was executed here, and a discarded slot is never reported as empty.
//! 8. A vote counts once per sender, at the ballot it answers; a slot is decided when the count reaches the majority.
//!
//! Departures from the papers:
//! * A promise may come in pieces, each asked for by a further Prepare; it counts once it is whole. What the acceptor
//!   accepted cannot change in between, since it has promised.
//! * The Refuse of PMMC's preemption also answers a stale leader's heartbeat.
//! * An acceptor that knows a slot to be decided answers an Accept for it with the decision.
//! * The votes of slots already chosen are not waited for: a follower that missed one fetches it.
//! * A slot above what a replica keeps, and a ballot more than `BALLOTS_AHEAD_MAX` above the highest one known, is taken for
//!   nonsense or for something to catch up with first: such a message is as good as lost, and such a promise not counted.
//! * Executed slots are kept until the leader knows them to be executed by all, or a majority to
//!   have executed `Config::kept_slots_max` more. Beyond, a replica that lacks them installs a
//!   snapshot, and keeps its promise and what it accepted above it.
//! * A leader does not order a forwarded batch while a slot has it that the sender is to execute
//!   yet. A follower forwards again what the present leader has not proposed.
//! * Accepts and forwards are sent again in rounds, as fast as the receiver takes them in, in bytes
//!   (`again`, `outbox`). Who catches up says how much it asks for.
//! * A follower that the leader does not hear in time, or that does not hear it, forwards through a
//!   peer, and learns from there what is decided (`route`).
//! * Before a replica campaigns, it asks whether others miss the leader too, and goes on once a
//!   majority, itself among it, has said so (`pre_vote`). A leader steps down if no majority
//!   answers it for an election timeout, or one and a half times as long as its election took if
//!   that is more, or if it decides nothing for that time though something waits. It then campaigns
//!   later than all others. Only who leads first in the life of a cluster asks nobody.
//! * Elections are tried less often when they fail, up to 16 times the timeout; beyond that only if answers come after
//!   they were given up (`patience`), so that any delay is outlasted and a long partition leaves no long timers behind.
//! * A replica reports, and a leader trusts, executed slots that a crash may undo; such a replica catches up by snapshot.

mod acceptor;
mod again;
mod candidate;
mod catch_up;
mod explored;
mod facts;
pub mod formula;
mod in_hand;
mod leader;
mod learner;
mod load_model;
mod message;
mod outbox;
mod patience;
mod pre_vote;
mod rebuilt;
mod replica;
mod route;

pub use facts::{FACTS, PROTOCOL};
pub use message::{Message, Promise, PromisedEntry, Record, Timer};
pub use replica::MultiPaxos;
