//! What a replica that orders by slot does about slots that it lacks: whom it asks, for what, and when it turns elsewhere.
//! Bookkeeping only: the protocols have messages of their own for it.

use std::sync::Arc;

use crate::{
    command::Batch,
    id::{ReplicaId, Slot},
    log::SlotLog,
    pacing::Pacing,
    transfer::{Assembled, Assembly, Piece},
};

/// After how many periods without progress another replica is asked, the first time; each further time takes twice as
/// many, so that an answer which takes longer than that to come is waited for in the end. chosen: a lost message or two
/// are no reason to begin a snapshot anew.
const PATIENCE_PERIODS: u32 = 3;
/// chosen: so often at most; beyond, whoever is asked is waited for longer than a run lasts.
const DOUBLINGS_MAX: u32 = 20;

/// The missing slots and the request for them, at most one at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CatchUp {
    wanted: Slot,
    fetch: Option<Fetch>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Fetch {
    source: ReplicaId,
    /// When it is asked again, and for how much.
    pacing: Pacing,
    /// Periods that began without progress since.
    silent_periods: u32,
    /// How many sources were given up before this one.
    sources_left: u32,
    /// The snapshot, where the slots are discarded.
    assembly: Option<Assembly>,
    /// Up to which of its bytes it was asked for.
    asked_to: u64,
}

impl Fetch {
    fn from(source: ReplicaId, sources_left: u32) -> Self {
        Self {
            source,
            pacing: Pacing::default(),
            silent_periods: 0,
            sources_left,
            assembly: None,
            asked_to: 0,
        }
    }
}

/// What to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// The decided slots that are missing next.
    Slots,
    /// A piece of a snapshot.
    Snapshot {
        /// Which, 0 for any.
        through: Slot,
        /// Where the piece begins, in bytes.
        offset: u64,
    },
}

/// What a piece of a snapshot did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pieced {
    /// Nothing: it is a repetition, nobody waits for it any more, or others that were asked for
    /// follow.
    Ignored,
    /// The next one is to be asked for.
    More,
    /// This is the whole: the state after executing everything through the slot.
    Whole(Slot, Arc<[u8]>),
}

/// What is due when a retransmission period has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing is missing.
    Nothing,
    /// The request may still be answered.
    Wait,
    /// Ask again, for less.
    Ask,
}

impl CatchUp {
    /// Everything through this slot is known to be decided somewhere.
    pub fn wanted(&self) -> Slot {
        self.wanted
    }

    /// Everything through `wanted` is decided and `source` knows. True if it is to be asked now: one request at a time.
    pub fn seek(&mut self, wanted: Slot, source: ReplicaId) -> bool {
        self.wanted = self.wanted.max(wanted);
        if self.fetch.is_some() {
            return false;
        }
        self.fetch = Some(Fetch::from(source, 0));
        true
    }

    /// Whom to ask now, for what, and for how many bytes of it at most. One slot, or one byte, is
    /// always asked for.
    pub fn request(&mut self) -> Option<(ReplicaId, Request, u32)> {
        let fetch = self.fetch.as_mut()?;
        let bytes_max = fetch.pacing.bytes();
        fetch.pacing.sent();
        let request = fetch.assembly.as_ref().map_or(Request::Slots, |assembly| {
            let (through, offset) = assembly.wanted();
            // One that has no name yet is asked for by one piece.
            fetch.asked_to = if through == 0 { 0 } else { offset + u64::from(bytes_max) };
            Request::Snapshot { through, offset }
        });
        Some((fetch.source, request, bytes_max))
    }

    /// What has come of a snapshot, in bytes.
    pub fn bytes(&self) -> u64 {
        let assembly = self.fetch.as_ref().and_then(|fetch| fetch.assembly.as_ref());
        assembly.map_or(0, Assembly::bytes)
    }

    /// Is a snapshot asked for?
    pub fn takes_snapshot(&self) -> bool {
        self.fetch.as_ref().is_some_and(|fetch| fetch.assembly.is_some())
    }

    /// `from` has discarded its log through `through`, beyond what is `executed` here. True if it is to be asked for a
    /// snapshot now.
    pub fn discarded(&mut self, from: ReplicaId, through: Slot, executed: Slot) -> bool {
        // The answer to an old request: by now all of that is executed here.
        if through <= executed {
            return false;
        }
        self.wanted = self.wanted.max(through);
        // A snapshot is on its way already.
        if self.takes_snapshot() {
            return false;
        }
        let sources_left = self.fetch.as_ref().map_or(0, |fetch| fetch.sources_left);
        let assembly = Some(Assembly::default());
        self.fetch = Some(Fetch { assembly, ..Fetch::from(from, sources_left) });
        true
    }

    /// Decided slots came from `from`, and moved the executed slot from `before` to `executed`. True if more is to be
    /// asked for now.
    pub fn progressed(&mut self, from: ReplicaId, before: Slot, executed: Slot) -> bool {
        let Some(fetch) = &mut self.fetch else { return false };
        if executed >= self.wanted {
            self.fetch = None;
            return false;
        }
        // A repetition, or slots that came by another way: the request is still under way.
        if executed == before || fetch.source != from {
            return false;
        }
        fetch.silent_periods = 0;
        fetch.pacing.progressed();
        fetch.assembly = None;
        true
    }

    /// A piece of a snapshot came from `from`.
    pub fn piece(&mut self, from: ReplicaId, piece: &Piece) -> Pieced {
        let Some(fetch) = self.fetch.as_mut().filter(|fetch| fetch.source == from) else {
            return Pieced::Ignored;
        };
        let Some(assembly) = &mut fetch.assembly else { return Pieced::Ignored };
        let (name, _) = assembly.wanted();
        match assembly.add(piece) {
            Assembled::Ignored => Pieced::Ignored,
            Assembled::More => {
                fetch.silent_periods = 0;
                let (through, offset) = assembly.wanted();
                if through == name && offset < fetch.asked_to {
                    return Pieced::Ignored;
                }
                fetch.pacing.progressed();
                Pieced::More
            }
            Assembled::Whole(through, machine) => {
                self.fetch = None;
                Pieced::Whole(through, machine)
            }
        }
    }

    /// A retransmission period has passed. What is asked for again is less each time, and is waited
    /// for longer. After some periods without progress the request goes to another replica than
    /// `own`, in turn.
    pub fn period(&mut self, executed: Slot, own: ReplicaId, replicas: usize) -> Due {
        let Some(fetch) = &mut self.fetch else { return Due::Nothing };
        if executed >= self.wanted {
            self.fetch = None;
            return Due::Nothing;
        }
        fetch.silent_periods += 1;
        if fetch.silent_periods > PATIENCE_PERIODS << fetch.sources_left.min(DOUBLINGS_MAX) {
            let source = next_other(fetch.source, own, replicas);
            *fetch = Fetch::from(source, fetch.sources_left + 1);
            return Due::Ask;
        }
        if fetch.pacing.passed(1) { Due::Ask } else { Due::Wait }
    }
}

/// The decided batches of `log` from `first` through `last`, as long as they follow each other and fit into one message
/// (the first one always does); `decided` says what is decided in an entry.
pub(crate) fn decided_run<T: Default>(
    log: &SlotLog<T>,
    (first, last): (Slot, Slot),
    bytes_max: usize,
    decided: impl Fn(&T) -> Option<&Batch>,
) -> Vec<Batch> {
    let (mut batches, mut bytes) = (Vec::new(), 0);
    for slot in first..=last.min(log.last()) {
        let Some(batch) = log.get(slot).and_then(&decided) else { break };
        bytes += batch.as_bytes().len();
        if bytes > bytes_max && !batches.is_empty() {
            break;
        }
        batches.push(batch.clone());
    }
    batches
}

/// The replica after `source`, other than `own`.
fn next_other(source: ReplicaId, own: ReplicaId, replicas: usize) -> ReplicaId {
    let after = |replica: ReplicaId| ReplicaId::from_index((replica.index() + 1) % replicas);
    let next = after(source);
    if next == own { after(next) } else { next }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: ReplicaId = ReplicaId(0);

    #[test]
    fn a_silent_source_is_asked_again_and_then_left() {
        let mut catch_up = CatchUp::default();
        assert!(catch_up.seek(9, ReplicaId(2)));
        assert!(!catch_up.seek(12, ReplicaId(1)), "one request at a time");
        assert_eq!(catch_up.request(), Some((ReplicaId(2), Request::Slots, 64 << 10)));
        let due = [(); 2].map(|()| catch_up.period(3, OWN, 3));
        assert_eq!(due, [Due::Wait, Due::Ask]);
        assert_eq!(catch_up.request(), Some((ReplicaId(2), Request::Slots, 32 << 10)), "less");
        let due = [(); 2].map(|()| catch_up.period(3, OWN, 3));
        assert_eq!(due, [Due::Wait, Due::Ask]);
        let asked = Some((ReplicaId(1), Request::Slots, 64 << 10));
        assert_eq!(catch_up.request(), asked, "not this replica");
        assert_eq!(catch_up.period(12, OWN, 3), Due::Nothing);
    }

    /// Round trips of forty periods: the answer has to be waited for, or none ever counts.
    #[test]
    fn patience_outlasts_any_answer() {
        let mut catch_up = CatchUp::default();
        catch_up.seek(9, ReplicaId(1));
        let mut turns = Vec::new();
        let mut source = ReplicaId(1);
        for period in 0..400 {
            if catch_up.period(3, OWN, 3) != Due::Ask {
                continue;
            }
            let (asked, ..) = catch_up.request().unwrap();
            if asked != source {
                turns.push(period);
                source = asked;
            }
        }
        assert_eq!(turns, [3, 10, 23, 48, 97, 194, 387]);
    }

    #[test]
    fn only_progress_from_the_source_calls_for_more() {
        let mut catch_up = CatchUp::default();
        catch_up.seek(9, ReplicaId(2));
        assert!(!catch_up.progressed(ReplicaId(2), 3, 3), "a repetition");
        assert!(!catch_up.progressed(ReplicaId(1), 3, 4));
        assert!(catch_up.progressed(ReplicaId(2), 4, 5));
        assert!(!catch_up.progressed(ReplicaId(2), 5, 9), "all is there");
        assert_eq!(catch_up.request(), None);
    }

    #[test]
    fn the_more_answers_come_in_time_the_more_is_asked_for() {
        let mut catch_up = CatchUp::default();
        catch_up.seek(9, ReplicaId(2));
        let asked = [1, 2, 3].map(|executed| {
            let (.., bytes_max) = catch_up.request().expect("slots are missing");
            assert!(catch_up.progressed(ReplicaId(2), executed - 1, executed));
            bytes_max >> 10
        });
        assert_eq!(asked, [64, 128, 256]);
    }

    #[test]
    fn a_discarded_slot_calls_for_a_snapshot_once() {
        let mut catch_up = CatchUp::default();
        catch_up.seek(9, ReplicaId(1));
        assert!(!catch_up.discarded(ReplicaId(2), 3, 3), "nothing of it is missing");
        assert!(catch_up.discarded(ReplicaId(2), 7, 3));
        let any = Request::Snapshot { through: 0, offset: 0 };
        assert_eq!(catch_up.request(), Some((ReplicaId(2), any, 64 << 10)));
        assert!(!catch_up.discarded(ReplicaId(1), 8, 3), "one is on its way");
        let piece = Piece::whole(8, Arc::from([5].as_slice()));
        assert_eq!(catch_up.piece(ReplicaId(1), &piece), Pieced::Ignored, "nobody asked it");
        assert_eq!(catch_up.piece(ReplicaId(2), &piece), Pieced::Whole(8, piece.bytes.clone()));
        assert_eq!(catch_up.piece(ReplicaId(2), &piece), Pieced::Ignored);
    }
}
