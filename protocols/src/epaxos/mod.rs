//! EPaxos: no leader, every replica leads what its clients ask for. The corrected protocol, and as a variant of it the
//! published one (`published`).
//!
//! Sources: Moraru, Andersen, Kaminsky, "There Is More Consensus in Egalitarian Parliaments", SOSP 2013 (S13); Sutra, "On
//! the correctness of Egalitarian Paxos", 2019 (arXiv 1906.10917) (SUT); Ryabinin, Gotsman, Sutra, "Making Democracy Work:
//! Fixing and Simplifying Egalitarian Paxos", OPODIS 2025 (arXiv 2511.02743) (STAR), whose algorithm this is.
//!
//! # Messages
//!
//! | message | sender → receiver | meaning |
//! |---|---|---|
//! | `PreAccept` | row's replica → all | this command, with every conflicting instance that I know |
//! | `PreAcceptOk` | all → row's replica | stored, with these conflicting instances more |
//! | `Accept` | leader of the ballot → all | this command (or a no-op) with exactly these dependencies |
//! | `AcceptOk` | all → leader of the ballot | stored |
//! | `Commit` | whoever knows → all | decided |
//! | `Ask` | who lacks the command → who said `Commit` | send me all of it |
//! | `Progress` | all → all | the decisions that I know, and what I have executed; may ask for an answer |
//! | `Recover`, `RecoverOk` | a replica ↔ all | promise me a ballot; promised, and this is what I hold |
//! | `Validate`, `ValidateOk` | the same ↔ its quorum | does anything stand against this fast path?; this does |
//! | `Waiting` | the same → all | my recovery waits for others to be decided |
//! | `Refused` | all → leader of a ballot | I have promised a higher one |
//! | `Collected` | who has executed it → who asks | I hold nothing of it any more: take a snapshot |
//! | `Fetch`, `Piece` | who lacks collected instances ↔ who answered | a snapshot, piece by piece |
//! | `PreAcceptAgain`, `PreAcceptAgainOk` | leader of the ballot ↔ all | phase 1 without a fast path; stored (published variant) |
//!
//! # Invariants
//!
//! 1. Two replicas that commit an instance commit the same command with the same dependencies.
//! 2. Of two committed conflicting commands at least one has the other among its dependencies.
//! 3. What is committed never changes.
//! 4. `ballot ≥ accepted_ballot`; only Accept raises the latter.
//! 5. Stored PreAccept dependencies contain the proposed ones and never change, but with a ballot in the published variant.
//! 6. No instance has itself or a later slot of its own row among its dependencies.
//! 7. A command is executed once, after everything it depends on or together with it, and answered
//!    after that. By the bounded rule it may come before one of those that depends on it as well
//!    (`graph`).
//!
//! # Collecting
//!
//! An instance leaves the log once every replica has executed it, or a majority has executed
//! [`kept_slots_max`](crate::Config::kept_slots_max) more of its row (`progress`). So with one replica silent for long the
//! others hold at most that many executed instances a row, besides what is open; what stays for ever is a mark per key, row
//! and kind of access in the conflict index, and the machine's own state with its sessions. Whoever asks about a collected
//! instance is told *collected*, never "none", and takes a snapshot (`snapshot`).
//!
//! # Departures from the paper
//!
//! * Dependencies are one slot per row, read as "every conflicting instance up to here": a superset, which costs order and
//!   never safety. `graph` says how execution reads them.
//! * Two options keep chains on a hot key short. `epaxos.execution = "bounded"` drops one edge of
//!   each two commands that depend on each other, by a rule of its own: the one that was published
//!   for this lets replicas diverge (`docs/bounded-execution.md`). `epaxos.conflict_window` bounds
//!   how many commands a row has under way on a key (`window`).
//! * A PreAcceptOk says only what it adds, a Commit leaves out what the receiver was proposed (`Ask` covers the receiver
//!   that was not). The original sends all of it each time.
//! * Commit is taken at any ballot. A replica that knows a decision answers any request about the instance with it.
//! * One retransmission timer in all instead of one per peer; one timer per row watches its oldest
//!   uncommitted slot. What is sent again goes out in rounds that each peer acknowledges
//!   (`rounds`), and all that a silent replica has left open is recovered in a window that slides
//!   (`takeover`).
//! * What another replica names far above all that is known here is taken for nonsense: an instance more than
//!   `SLOTS_AHEAD` above its row's decided slots, which memory would have to hold, or a ballot more
//!   than `BALLOTS_AHEAD_MAX` above the one held. Who really is so far behind hears it again once
//!   it has caught up.
//! * Of the published variant: its optimized recovery (TryPreAccept) is ambiguous and can deadlock as published; it is not
//!   offered, nor is the smaller fast quorum that needs it. It has two ballots, as (SUT) shows to be needed, and nobody
//!   commits on the fast path once phase 1 has gone beyond the fast quorum (`published` says why).
//! * A replica that has let the wait for a fast quorum run out is not waited for again before it
//!   answers in time (`fast_quorum`). As published, each command of a leader waits for a dead
//!   member of its fast quorum anew.

mod conflicts;
mod explored;
mod facts;
mod fast_quorum;
mod forest;
pub mod formula;
pub mod graph;
mod instance;
mod load_model;
mod message;
mod options;
mod ordering;
mod progress;
mod published;
mod quorums;
mod rebuilt;
mod recovery;
mod replica;
mod rounds;
mod snapshot;
mod takeover;
mod window;

pub use conflicts::ConflictIndex;
pub use facts::{FACTS, PROTOCOL};
pub use message::{Message, Pace, Phase, Record, Report, Timer};
pub use options::{
    ConflictWindow, Execution, FastQuorum, UnknownVariant, Variant, fast_quorum_of, quorums_of,
};
pub use quorums::{EpaxosQuorums, fixed_fast_quorum};
pub use replica::EPaxos;
