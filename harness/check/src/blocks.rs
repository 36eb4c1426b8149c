//! Operations grouped by the value that they wrote or saw, and values chained to the one that they were made from.
//!
//! A block is one write with the reads that saw it last. A compare-and-set, and an append that was seen, stand directly
//! after the block that they started from: together these are a chain.

use crate::{
    elements::Elements,
    history::{Kind, Operation, Outcome, shown},
    zones::{Mark, Zone},
};

/// Operations that exclude each other.
#[derive(Debug)]
pub(crate) struct Contradiction {
    /// Their positions; may repeat.
    pub(crate) involved: Vec<usize>,
    /// One sentence.
    pub(crate) reason: String,
}

/// Why the method ends early.
pub(crate) enum Stop {
    /// It does not apply.
    Undecided,
    /// The operations contradict each other.
    Contradiction(Contradiction),
}

/// The block of the absent value that everything begins with. The block of a write has the write's position + 1.
const BEGINNING: u32 = 0;
/// In place of a block or an operation: none.
const NONE: u32 = u32::MAX;
/// Chosen: how many links of a chain are shown as evidence, at most.
const LINKS_SHOWN_MAX: usize = 8;

#[derive(Clone)]
struct Block {
    /// Did the write happen for certain?
    exists: bool,
    /// The block that this one was made from, if that is known.
    before: u32,
    /// Who says so.
    linked_by: u32,
    /// Who says that the write happened, if it has no answer.
    seen_by: u32,
    /// The block that was made from this one, if one was.
    after: u32,
    /// The first end and the last beginning among the reads, and whose they are.
    first_end: (u64, u32),
    last_begin: (u64, u32),
}

const EMPTY: Block = Block {
    exists: false,
    before: NONE,
    linked_by: NONE,
    seen_by: NONE,
    after: NONE,
    first_end: (u64::MAX, NONE),
    last_begin: (0, NONE),
};

/// All blocks of a key.
pub(crate) struct Blocks<'a> {
    operations: &'a [&'a Operation],
    elements: Elements<'a>,
    deletes: bool,
    blocks: Vec<Block>,
    /// Unanswered compare-and-sets that somebody saw, whose own observation is still to be noted.
    work: Vec<u32>,
}

impl<'a> Blocks<'a> {
    /// Groups the operations.
    pub(crate) fn new(operations: &'a [&'a Operation]) -> Result<Self, Stop> {
        let elements = Elements::new(operations).ok_or(Stop::Undecided)?;
        let deletes = operations.iter().any(|operation| operation.kind == Kind::Delete);
        let mut blocks = vec![EMPTY; operations.len() + 1];
        blocks[0].exists = true;
        let mut this = Self { operations, elements, deletes, blocks, work: Vec::new() };
        this.fill()?;
        Ok(this)
    }

    fn fill(&mut self) -> Result<(), Stop> {
        let mut parts = Vec::new();
        for (at, operation) in (0u32..).zip(self.operations) {
            match (&operation.kind, &operation.answer) {
                (Kind::Get, Some((_, Outcome::Value(value)))) => {
                    let block = self.observe(at, value.as_deref(), &mut parts)?;
                    self.add_read(block, at);
                }
                (Kind::CompareAndSet { .. }, Some((_, Outcome::Swapped(true)))) => {
                    self.blocks[at as usize + 1].exists = true;
                    self.swap(at, &mut parts)?;
                }
                (Kind::Put(_) | Kind::Append(_) | Kind::Delete, Some(_)) => {
                    self.blocks[at as usize + 1].exists = true;
                }
                // Failed, or without an answer: counts only if somebody saw it.
                _ => {}
            }
        }
        while let Some(at) = self.work.pop() {
            self.swap(at, &mut parts)?;
        }
        Ok(())
    }

    fn add_read(&mut self, block: u32, at: u32) {
        let operation = self.operations[at as usize];
        let block = &mut self.blocks[block as usize];
        block.first_end = block.first_end.min((end(operation), at));
        block.last_begin = block.last_begin.max((begin(operation), at));
    }

    /// Notes that the compare-and-set took effect.
    fn swap(&mut self, at: u32, parts: &mut Vec<u32>) -> Result<(), Stop> {
        let operation = self.operations[at as usize];
        let Kind::CompareAndSet { expected, .. } = &operation.kind else {
            unreachable!("asked only for compare-and-sets")
        };
        let before = self.observe(at, expected.as_deref(), parts)?;
        self.link(at + 1, before, at)
    }

    /// Notes that `by` saw `value`; its block.
    fn observe(
        &mut self,
        by: u32,
        value: Option<&[u8]>,
        parts: &mut Vec<u32>,
    ) -> Result<u32, Stop> {
        let Some(value) = value else {
            return if self.deletes { Err(Stop::Undecided) } else { Ok(BEGINNING) };
        };
        if !self.elements.split(value, parts) {
            let what = shown(Some(value));
            let reason = format!("{} saw {what}, which nobody wrote", self.brief(by));
            return Err(self.contradiction([by], reason));
        }
        if parts.len() > 1 {
            self.refuse_repeated(by, parts)?;
        }
        let mut before = BEGINNING;
        for (position, &part) in parts.iter().enumerate() {
            let operation = self.operations[part as usize];
            let block = &mut self.blocks[part as usize + 1];
            if !block.exists {
                block.exists = true;
                block.seen_by = by;
                if matches!(operation.kind, Kind::CompareAndSet { .. }) {
                    self.work.push(part);
                }
            }
            if matches!(operation.kind, Kind::Append(_)) {
                if position == 0 && self.deletes {
                    return Err(Stop::Undecided);
                }
                self.link(part + 1, before, by)?;
            } else if position > 0 {
                let (by_, part_) = (self.brief(by), self.brief(part));
                let reason = format!("{by_} saw something before what {part_} set as the whole");
                return Err(self.contradiction([by, part], reason));
            }
            before = part + 1;
        }
        Ok(before)
    }

    fn refuse_repeated(&self, by: u32, parts: &[u32]) -> Result<(), Stop> {
        let mut sorted = parts.to_vec();
        sorted.sort_unstable();
        let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) else { return Ok(()) };
        let (by_, part) = (self.brief(by), self.brief(twice[0]));
        let what = shown(self.operations[twice[0] as usize].kind.written());
        let reason = format!("{by_} saw {what} twice, but only {part} wrote it, and once");
        Err(self.contradiction([by, twice[0]], reason))
    }

    /// Notes that `block` was made from `before`, which `by` shows.
    fn link(&mut self, block: u32, before: u32, by: u32) -> Result<(), Stop> {
        let known = self.blocks[block as usize].before;
        if known == before {
            return Ok(());
        }
        let rival = self.blocks[before as usize].after;
        if known == NONE && rival == NONE {
            self.blocks[block as usize].before = before;
            self.blocks[block as usize].linked_by = by;
            self.blocks[before as usize].after = block;
            return Ok(());
        }
        let (involved, reason) = if known == NONE {
            let name = self.name(before);
            let (one, other) = (self.brief(rival - 1), self.brief(block - 1));
            let reason = format!("{one} and {other} both came directly after {name}");
            ([by, block - 1, rival - 1, before.wrapping_sub(1)], reason)
        } else {
            let what = self.brief(block - 1);
            let (one, other) = (self.name(known), self.name(before));
            let reason = format!("{what} came directly after {one}, but also after {other}");
            ([by, block - 1, known.wrapping_sub(1), before.wrapping_sub(1)], reason)
        };
        Err(self.contradiction(involved.into_iter().filter(|&at| at != NONE), reason))
    }

    /// The chains in time. Fails if one contradicts itself.
    pub(crate) fn zones(&self) -> Result<Vec<Zone>, Stop> {
        let mut zones = Vec::new();
        let mut placed = vec![false; self.blocks.len()];
        for (at, block) in (0u32..).zip(&self.blocks) {
            if block.exists && block.before == NONE {
                zones.push(self.zone(at, &mut placed)?);
            }
        }
        let circle = (0u32..).zip(&self.blocks).find(|(at, block)| {
            // Not reached from any beginning of a chain.
            block.exists && !placed[*at as usize]
        });
        circle.map_or(Ok(zones), |(at, _)| Err(self.circle(at)))
    }

    fn zone(&self, root: u32, placed: &mut [bool]) -> Result<Zone, Stop> {
        let mark = |(time, at): (u64, u32), block| Mark {
            time,
            operation: (at != NONE).then_some(at),
            block,
        };
        let nothing = Zone {
            first_end: Mark { time: u64::MAX, operation: None, block: root },
            last_begin: Mark { time: 0, operation: None, block: root },
        };
        let mut zone = nothing;
        let mut at = root;
        while at != NONE {
            placed[at as usize] = true;
            let block = &self.blocks[at as usize];
            let write = at.wrapping_sub(1);
            let (write_end, write_begin) = match at {
                BEGINNING => (0, 0),
                _ => (end(self.operations[write as usize]), begin(self.operations[write as usize])),
            };
            let steps =
                [((write_end, write), (write_begin, write)), (block.first_end, block.last_begin)];
            for (first_end, last_begin) in steps {
                let (first_end, last_begin) = (mark(first_end, at), mark(last_begin, at));
                if first_end.time < zone.last_begin.time {
                    return Err(self.reversed(&first_end, &zone.last_begin));
                }
                if first_end.time < zone.first_end.time {
                    zone.first_end = first_end;
                }
                if last_begin.time > zone.last_begin.time {
                    zone.last_begin = last_begin;
                }
            }
            at = block.after;
        }
        Ok(zone)
    }

    /// `early` has to come after `late`, but ended before it began.
    fn reversed(&self, early: &Mark, late: &Mark) -> Stop {
        let (first, second) = (self.at(early), self.at(late));
        let (from, to) = (self.name(late.block), self.name(early.block));
        let reason = if early.block == late.block {
            format!("{first} saw {to} and ended before {second}, which wrote it, began")
        } else {
            format!("{first} ended before {second} began, but {to} was made from {from}")
        };
        self.contradiction(self.evidence(early, late), reason)
    }

    fn circle(&self, at: u32) -> Stop {
        let mut involved = vec![at - 1];
        let mut block = self.blocks[at as usize].before;
        while block != at {
            involved.push(block - 1);
            block = self.blocks[block as usize].before;
        }
        self.contradiction(involved, "each of these started from what another one wrote".to_owned())
    }

    /// Two chains each of which has to come before the other.
    pub(crate) fn crossed(&self, a: &Zone, b: &Zone) -> Stop {
        let first = self.before_because(&a.first_end, &b.last_begin);
        let second = self.before_because(&b.first_end, &a.last_begin);
        let mut involved = self.evidence(&a.first_end, &a.last_begin);
        involved.extend(self.evidence(&b.first_end, &b.last_begin));
        self.contradiction(involved, format!("{first}; but {second}"))
    }

    fn before_because(&self, early: &Mark, late: &Mark) -> String {
        let (one, other) = (self.name(early.block), self.name(late.block));
        match early.operation {
            None => format!("{one} came before {other}, as the key was absent at first"),
            Some(at) => {
                let (early, late) = (self.brief(at), self.at(late));
                format!("{one} came before {other}, as {early} ended before {late} began")
            }
        }
    }

    /// The operations of two marks of one chain, and the writes that connect them.
    fn evidence(&self, one: &Mark, other: &Mark) -> Vec<u32> {
        let mut involved: Vec<u32> =
            [one, other].iter().filter_map(|mark| mark.operation).collect();
        let path = self.path(one.block, other.block).or_else(|| self.path(other.block, one.block));
        let path = path.unwrap_or_else(|| vec![one.block, other.block]);
        involved.extend(path.iter().filter(|&&block| block != BEGINNING).map(|block| block - 1));
        involved
    }

    /// The blocks from `to` back to `from`, if they are few.
    fn path(&self, from: u32, to: u32) -> Option<Vec<u32>> {
        let mut path = vec![to];
        while *path.last()? != from {
            let before = self.blocks[*path.last()? as usize].before;
            if before == NONE || path.len() > LINKS_SHOWN_MAX {
                return None;
            }
            path.push(before);
        }
        Some(path)
    }

    /// A contradiction among operations, and those that show how these are connected.
    fn contradiction(&self, involved: impl IntoIterator<Item = u32>, reason: String) -> Stop {
        let mut involved: Vec<u32> = involved.into_iter().collect();
        let mut next = 0;
        while let Some(&at) = involved.get(next) {
            let block = &self.blocks[at as usize + 1];
            for by in [block.linked_by, block.seen_by] {
                if by != NONE && !involved.contains(&by) {
                    involved.push(by);
                }
            }
            next += 1;
        }
        let involved = involved.into_iter().map(|at| at as usize).collect();
        Stop::Contradiction(Contradiction { involved, reason })
    }

    fn at(&self, mark: &Mark) -> String {
        mark.operation.map_or_else(|| "the beginning".to_owned(), |at| self.brief(at))
    }

    fn brief(&self, at: u32) -> String {
        self.operations[at as usize].brief()
    }

    fn name(&self, block: u32) -> String {
        if block == BEGINNING {
            return "the absent value".to_owned();
        }
        let kind = &self.operations[block as usize - 1].kind;
        match kind {
            Kind::Delete => "the delete".to_owned(),
            Kind::Append(value) => format!("the append of {}", shown(Some(value))),
            _ => shown(kind.written()),
        }
    }
}

/// 0 is left to the beginning of the world.
fn begin(operation: &Operation) -> u64 {
    operation.invoke.saturating_add(1)
}

fn end(operation: &Operation) -> u64 {
    operation.returned().saturating_add(1)
}
