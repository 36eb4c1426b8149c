//! Paxos without a leader: any replica proposes, and every command runs both phases. (PMS §2, PMMC §2)
//!
//! | message | from | to | meaning |
//! |---|---|---|---|
//! | Prepare | proposer | all | phase 1a for one slot |
//! | Promise | acceptor | proposer | phase 1b: the batch accepted there at the highest ballot, if any |
//! | Accept | proposer | all | phase 2a |
//! | Accepted | acceptor | proposer | phase 2b |
//! | Refuse | acceptor | proposer | a higher ballot is promised for that slot |
//! | Commit | proposer | all | what was accepted at this ballot is chosen |
//! | Report | any | any | how far the sender has executed, and how far it believes the receiver has |
//! | Fetch, Decided | any | any | asks for decided slots; the answer, and the answer to anything about a decided slot |
//! | Discarded | any | any | what was asked about is decided and gone here, up to this slot |
//! | FetchSnapshot, Piece | any | any | asks for a piece of a snapshot; the answer |
//!
//! Invariants:
//! 1. For no slot does a replica answer a ballot below the one it promised; the promise is durable before it is sent, the
//!    proposer's own before its Prepare.
//! 2. A batch is durable at an acceptor before its Accepted leaves.
//! 3. A proposer's batch in phase 2 is that of the highest ballot among a majority's promises, or else its own.
//! 4. No slot skips phase 1, whoever won the slot before: there is no stable leader.
//! 5. A batch is proposed for one slot at a time, and for another only after that one is decided as something else.
//! 6. Batches are executed in slot order, each slot once per life.
//! 7. A slot is discarded only after it was executed here, and a discarded slot is never reported as empty.
//! 8. A vote counts once per sender, at the ballot and in the phase that it answers.
//!
//! Departures from the papers:
//! * A proposer that lost several slots in a row begins the next at a higher round, so that replicas at the same distance
//!   take turns instead of the highest numbered one winning every tie. It runs both phases like everyone.
//! * Back-off at one slot doubles with every preemption, without end: any delay is outlasted. It ends early when the slot is
//!   decided: the proposer goes on to the next slot at once.
//! * Commit names the ballot and not the batch; an acceptor that did not accept at that ballot or above asks for it.
//! * What is not answered is sent again in rounds, to each replica as fast as that one takes it in,
//!   in bytes (`again`). Who catches up says how much it asks for.
//! * A batch that is decided through another replica, which its client asked too, is proposed no more.
//! * A slot more than `AHEAD_MAX` above the executed ones, and a ballot more than `BALLOTS_AHEAD_MAX` above the promised one,
//!   is taken for nonsense or for something to catch up with first: such a message is as good as lost.
//! * Executed slots are kept until all replicas report them executed, `Config::kept_slots_max` of them at most. Beyond, a
//!   replica that lacks them installs a snapshot, and keeps what it promised and accepted above it.
//! * A slot that is known above the executed ones and stays undecided, whether promised batches or none are found there,
//!   is finished by any replica with a no-op of its own. So a batch that a crashed proposer left behind is decided or
//!   superseded, and the log comes to rest.

mod acceptor;
mod again;
mod catch_up;
mod explored;
mod facts;
pub mod formula;
mod learner;
mod load_model;
mod message;
mod options;
mod proposer;
mod rebuilt;
mod replica;

pub use facts::{FACTS, PROTOCOL};
pub use message::{Message, Record, Timer};
pub use options::Window;
pub use replica::Paxos;
