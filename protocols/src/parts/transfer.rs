//! Handing a snapshot from one replica to another in pieces: the bookkeeping of both ends, without messages or effects.
//!
//! The receiver pulls: it names the snapshot and the offset from which it wants the next piece, or
//! pieces, so that a lost piece costs a repeated request and nothing else, and the sender keeps no
//! state per receiver.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    id::{ReplicaId, ReplicaSet, Slot},
    replica::Snapshot,
};

/// For how many retransmission periods an offered snapshot is kept without being asked for. chosen: longer than any
/// asker is silent: it asks again every period.
pub const SUPPLY_PERIODS: u32 = 8;

/// How far ahead of what has come without a gap pieces are kept, and how many bytes of them.
/// chosen: what is asked for at once is half of it at most (`pacing`).
const AHEAD_MAX: u64 = 2 << 20;

/// chosen: what a piece ahead counts for beside its bytes, above what the map takes for it.
const PIECE_AHEAD_BYTES: u64 = 128;

/// The core's part of a snapshot, for protocols that order by slot.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct CoreSnapshot {
    executed: Slot,
}

/// The state after executing everything through `executed`.
pub(crate) fn snapshot(executed: Slot, machine: Arc<[u8]>) -> Snapshot {
    let core = postcard::to_stdvec(&CoreSnapshot { executed }).expect("a vector takes every byte");
    Snapshot { machine, core: core.into() }
}

/// The slot through which everything is executed in what [`snapshot`] made.
pub(crate) fn executed_in(snapshot: &Snapshot) -> Slot {
    let core: CoreSnapshot = postcard::from_bytes(&snapshot.core)
        .expect("the snapshot is one that this core asked to have installed");
    core.executed
}

/// Part of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Piece {
    /// Which snapshot: the state after executing everything through this slot.
    pub through: Slot,
    /// A hash of the whole: the same state may be written down in two ways, say before and after a restart, and pieces of
    /// two such snapshots make none.
    pub digest: u64,
    /// The length of the whole, in bytes.
    pub total: u64,
    /// Where in the whole this piece begins, in bytes.
    pub offset: u64,
    /// The piece itself.
    pub bytes: Arc<[u8]>,
}

impl Piece {
    /// All of the snapshot `through` in one piece.
    pub fn whole(through: Slot, bytes: Arc<[u8]>) -> Self {
        let (digest, total) = (xxh3_64(&bytes), bytes.len() as u64);
        Self { through, digest, total, offset: 0, bytes }
    }
}

/// What to do about a request for a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Send this.
    Piece(Piece),
    /// Ask the driver for the machine's state; the asker is answered when it comes.
    Capture,
    /// Nothing: the state has been asked for and is on its way.
    Wait,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Offer {
    through: Slot,
    digest: u64,
    machine: Arc<[u8]>,
}

/// The sender's end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Supply {
    offered: Option<Offer>,
    capturing: Option<Slot>,
    waiting: ReplicaSet,
    /// How large a first piece suits all of those, in bytes.
    first_max: usize,
    asked: bool,
}

impl Supply {
    /// `from` wants the piece at `offset` of the snapshot named `through`; of any snapshot, if there is none of that
    /// name, and of `bytes_max` bytes at most. `collected` is the slot below which the log cannot
    /// continue a snapshot, `executed` what a state captured now has executed.
    pub fn request(
        &mut self,
        from: ReplicaId,
        (through, offset): (Slot, u64),
        collected: Slot,
        executed: Slot,
        bytes_max: usize,
    ) -> Answer {
        self.asked = true;
        match &self.offered {
            Some(offer) if offer.through == through => return offer.answer(offset, bytes_max),
            Some(offer) if offer.through >= collected => return offer.answer(0, bytes_max),
            _ => {}
        }
        let first_max = if self.waiting.is_empty() { usize::MAX } else { self.first_max };
        self.first_max = first_max.min(bytes_max);
        self.waiting.insert(from);
        if self.capturing.is_some() {
            return Answer::Wait;
        }
        self.capturing = Some(executed);
        Answer::Capture
    }

    /// What answers a request for `wanted` bytes of the snapshot named `through`, in pieces of
    /// `piece_max` bytes each: `first`, with which [`Supply::request`] answered, and those that follow
    /// it, as far as the asker keeps them. Where there is another snapshot instead, `first` alone: the
    /// asker is told its name first.
    pub fn run(&self, first: Piece, through: Slot, piece_max: usize, wanted: u32) -> Vec<Piece> {
        let wanted = if first.through == through { wanted } else { 0 };
        let mut left = usize::try_from(u64::from(wanted).min(AHEAD_MAX)).unwrap_or(usize::MAX);
        let (mut offset, mut last) = (first.offset, first.bytes.len());
        let next = || {
            offset += last as u64;
            left = left.saturating_sub(last);
            let offer = self.offered.as_ref().filter(|offer| left > 0 && offset < offer.size())?;
            let piece = offer.cut(offset, piece_max.min(left));
            last = piece.bytes.len();
            Some(piece)
        };
        let following: Vec<Piece> = std::iter::from_fn(next).collect();
        std::iter::once(first).chain(following).collect()
    }

    /// The state asked for has come. Returns who waits for it, and the first piece.
    pub fn captured(&mut self, machine: Arc<[u8]>) -> (ReplicaSet, Piece) {
        let through = self.capturing.take().expect("a state comes only when asked for");
        let offer = Offer { through, digest: xxh3_64(&machine), machine };
        let first = offer.cut(0, self.first_max);
        self.offered = Some(offer);
        self.asked = true;
        (std::mem::take(&mut self.waiting), first)
    }

    /// What the snapshot on offer takes in memory, in bytes.
    pub fn bytes(&self) -> u64 {
        self.offered.as_ref().map_or(0, Offer::size)
    }

    /// Frees the snapshot if nobody asked for a piece since the last call. Is there still one?
    pub fn keep_if_asked(&mut self) -> bool {
        if !std::mem::take(&mut self.asked) {
            self.offered = None;
        }
        self.offered.is_some()
    }
}

impl Offer {
    fn size(&self) -> u64 {
        self.machine.len() as u64
    }

    fn answer(&self, offset: u64, bytes_max: usize) -> Answer {
        Answer::Piece(self.cut(offset, bytes_max))
    }

    fn cut(&self, offset: u64, bytes_max: usize) -> Piece {
        let Self { through, digest, machine } = self;
        // An offset beyond the end, which only a confused asker sends, gets an empty piece.
        let start = usize::try_from(offset).map_or(machine.len(), |at| at.min(machine.len()));
        let end = machine.len().min(start + bytes_max.max(1));
        Piece {
            through: *through,
            digest: *digest,
            total: self.size(),
            offset: start as u64,
            bytes: Arc::from(&machine[start..end]),
        }
    }
}

/// The receiver's end: what has come of one snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Assembly {
    through: Slot,
    digest: u64,
    bytes: Vec<u8>,
    /// Pieces that came before those that precede them, by their offsets.
    ahead: BTreeMap<u64, Arc<[u8]>>,
}

/// What a piece did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assembled {
    /// Nothing yet: it is a repetition, or not the next one.
    Ignored,
    /// There is more to ask for, or to come.
    More,
    /// This is the whole: the state after executing everything through the slot.
    Whole(Slot, Arc<[u8]>),
}

impl Assembly {
    /// What has come, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes.len() as u64 + self.bytes_ahead()
    }

    fn bytes_ahead(&self) -> u64 {
        self.ahead.values().map(|bytes| bytes.len() as u64 + PIECE_AHEAD_BYTES).sum()
    }

    /// What to ask for next: the snapshot's name (0 for any) and an offset in bytes.
    pub fn wanted(&self) -> (Slot, u64) {
        (self.through, self.bytes.len() as u64)
    }

    /// Takes `piece` if it is the next one, or the first of another snapshot, and keeps it if it
    /// comes soon after that.
    pub fn add(&mut self, piece: &Piece) -> Assembled {
        if (piece.through, piece.digest) != (self.through, self.digest) {
            if piece.offset != 0 || piece.through < self.through {
                return Assembled::Ignored;
            }
            (self.through, self.digest) = (piece.through, piece.digest);
            self.bytes.clear();
            self.ahead.clear();
        }
        let next = self.bytes.len() as u64;
        let is_soon = piece.offset > next && piece.offset < next + AHEAD_MAX;
        if is_soon && self.bytes_ahead() + piece.bytes.len() as u64 <= AHEAD_MAX {
            self.ahead.insert(piece.offset, piece.bytes.clone());
        }
        if piece.offset != next || piece.through == 0 {
            return Assembled::Ignored;
        }
        self.bytes.extend_from_slice(&piece.bytes);
        while let Some(entry) = self.ahead.first_entry()
            && *entry.key() <= self.bytes.len() as u64
        {
            let (offset, bytes) = entry.remove_entry();
            if offset == self.bytes.len() as u64 {
                self.bytes.extend_from_slice(&bytes);
            }
        }
        if (self.bytes.len() as u64) < piece.total {
            return Assembled::More;
        }
        let bytes = std::mem::take(&mut self.bytes);
        if xxh3_64(&bytes) != self.digest {
            return Assembled::Ignored;
        }
        Assembled::Whole(self.through, Arc::from(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_arrives_whole_through_repeated_and_reordered_pieces() {
        let machine: Arc<[u8]> = (0..100u8).collect();
        let (mut supply, mut assembly) = (Supply::default(), Assembly::default());
        let asker = ReplicaId(2);
        assert_eq!(supply.request(asker, (0, 0), 5, 9, 7), Answer::Capture);
        assert_eq!(supply.request(ReplicaId(1), (0, 0), 5, 10, 7), Answer::Wait);
        let (waiting, first) = supply.captured(machine.clone());
        assert_eq!(waiting, ReplicaSet::only(asker).union(ReplicaSet::only(ReplicaId(1))));
        assert_eq!(assembly.add(&first), Assembled::More);
        assert_eq!(assembly.add(&first), Assembled::Ignored, "a repetition");
        loop {
            let Answer::Piece(piece) = supply.request(asker, assembly.wanted(), 5, 11, 7) else {
                panic!("the snapshot is offered");
            };
            let elsewhere = Piece { offset: piece.offset + AHEAD_MAX, ..piece.clone() };
            assert_eq!(assembly.add(&elsewhere), Assembled::Ignored, "not the next one");
            match assembly.add(&piece) {
                Assembled::More => {}
                Assembled::Whole(through, bytes) => {
                    assert_eq!((through, bytes), (9, machine));
                    break;
                }
                Assembled::Ignored => panic!("{piece:?} is the next one"),
            }
        }
    }

    #[test]
    fn a_snapshot_that_the_log_cannot_continue_is_taken_anew() {
        let mut supply = Supply::default();
        assert_eq!(supply.request(ReplicaId(1), (0, 0), 5, 9, 7), Answer::Capture);
        supply.captured(Arc::from([1, 2, 3].as_slice()));
        assert!(matches!(supply.request(ReplicaId(1), (0, 0), 9, 20, 7), Answer::Piece(_)));
        assert_eq!(supply.request(ReplicaId(1), (0, 0), 10, 20, 7), Answer::Capture);
    }

    /// A source that was restarted may offer a snapshot of the same name with its entries in another order.
    #[test]
    fn pieces_of_two_snapshots_of_one_name_are_not_mixed() {
        let offered = |bytes: &[u8]| {
            let mut supply = Supply::default();
            assert_eq!(supply.request(ReplicaId(1), (0, 0), 5, 9, 2), Answer::Capture);
            let (_, first) = supply.captured(Arc::from(bytes));
            (supply, first)
        };
        let (_, first) = offered(&[1, 2, 3]);
        let (mut restarted, first_again) = offered(&[3, 2, 1]);
        let mut assembly = Assembly::default();
        assert_eq!(assembly.add(&first), Assembled::More);
        let mut next = |wanted| match restarted.request(ReplicaId(1), wanted, 5, 9, 2) {
            Answer::Piece(piece) => piece,
            other => panic!("{other:?}"),
        };
        let second = next(assembly.wanted());
        assert_eq!((second.through, second.offset), (9, 2), "the same name, and where it went on");
        assert_eq!(assembly.add(&second), Assembled::Ignored);
        assert_eq!(assembly.add(&first_again), Assembled::More, "it begins again");
        let whole = Assembled::Whole(9, Arc::from([3, 2, 1].as_slice()));
        assert_eq!(assembly.add(&next((9, 2))), whole);
    }

    #[test]
    fn the_first_piece_suits_all_that_wait_for_it() {
        let mut supply = Supply::default();
        for bytes_max in [7, 2, 5] {
            supply.request(ReplicaId(1), (0, 0), 5, 9, bytes_max);
        }
        let (_, first) = supply.captured(Arc::from([1, 2, 3].as_slice()));
        assert_eq!(first.bytes.len(), 2);
        supply.request(ReplicaId(1), (0, 0), 10, 20, 7);
        assert_eq!(supply.captured(Arc::from([1, 2, 3].as_slice())).1.bytes.len(), 3);
    }

    #[test]
    fn no_more_is_sent_at_once_than_is_kept_whatever_is_asked_for() {
        let machine: Arc<[u8]> = vec![1; 6 << 20].into();
        let mut supply = Supply::default();
        supply.request(ReplicaId(1), (0, 0), 5, 9, 1 << 16);
        let (_, first) = supply.captured(machine);
        let run = supply.run(first, 9, 1 << 16, u32::MAX);
        assert_eq!(run.iter().map(|piece| piece.bytes.len() as u64).sum::<u64>(), AHEAD_MAX);
    }

    #[test]
    fn pieces_that_follow_are_put_together_in_any_order() {
        let machine: Arc<[u8]> = (0..100u8).collect();
        let mut supply = Supply::default();
        supply.request(ReplicaId(1), (0, 0), 5, 9, 7);
        let (_, first) = supply.captured(machine.clone());
        let run = |through, wanted| supply.run(first.clone(), through, 7, wanted);
        assert_eq!(run(9, 7), std::slice::from_ref(&first));
        assert_eq!(run(8, 30), std::slice::from_ref(&first), "of that name there is none");
        let sizes: Vec<_> =
            run(9, 30).iter().map(|piece| (piece.offset, piece.bytes.len())).collect();
        assert_eq!(sizes, [(0, 7), (7, 7), (14, 7), (21, 7), (28, 2)]);
        let all = run(9, 1_000).split_off(1);
        let mut assembly = Assembly::default();
        assert_eq!(assembly.add(&first), Assembled::More);
        for piece in all[1..].iter().rev() {
            assert_eq!(assembly.add(piece), Assembled::Ignored, "kept");
        }
        assert_eq!((assembly.bytes(), assembly.wanted()), (93 + 13 * PIECE_AHEAD_BYTES, (9, 7)));
        assert_eq!(assembly.add(&all[0]), Assembled::Whole(9, machine));
    }

    /// What a peer sends without having been asked takes no memory without bounds.
    #[test]
    fn few_bytes_are_kept_ahead() {
        let mut assembly = Assembly::default();
        let bytes: Arc<[u8]> = vec![7; 64 << 10].into();
        let total = 1 << 40;
        let piece = |offset| Piece { through: 9, digest: 1, total, offset, bytes: bytes.clone() };
        assembly.add(&piece(0));
        for offset in 1..1_000 {
            assembly.add(&piece((64 << 10) + offset));
            assembly.add(&piece(offset << 32));
            let tiny = Piece { bytes: Arc::from([7].as_slice()), ..piece((128 << 10) + offset) };
            assembly.add(&tiny);
        }
        assert!(assembly.bytes() <= AHEAD_MAX + (65 << 10), "{}", assembly.bytes());
        assert!(assembly.ahead.len() <= 1_031, "{}", assembly.ahead.len());
    }

    #[test]
    fn a_snapshot_nobody_asks_for_is_freed() {
        let mut supply = Supply::default();
        supply.request(ReplicaId(1), (0, 0), 5, 9, 7);
        supply.captured(Arc::from([1].as_slice()));
        assert!(supply.keep_if_asked());
        assert!(!supply.keep_if_asked());
    }
}
