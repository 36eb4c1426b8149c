//! The history of one run: recorded as it is made, judged when it is over.
//!
//! [`recorder`] takes note of what the clients ask and are told, in a form that costs a load generator next to nothing;
//! [`entry`] is one operation of it, [`judged`] the verdict with its evidence, [`window`] what a kept history is counted by. Both drivers record here, and `check` judges.
//!
//! **What a verdict rests on.** Every write has a value of its own, so that a read says which write it saw. Warm-up and
//! closing reads are part of the history: a read may see a value of the warm-up, and after the load every checked key is
//! read at every living replica, so that a lost, stale or reordered last write shows although nobody read it before. A
//! request that was sent again is one operation, from its first send to its first answer; one that was given up, or was
//! still open at the end, may have happened at any time.
//!
//! **A history that is kept** (`--keep-history`) has every request: when it was due, when it was sent, and how it ended. Those
//! that were never answered, or refused, are in no verdict, and in the file all the same.
//!
//! **Runs with appends, deletes and compare-and-sets** are recorded alike ([`states`]): an append,
//! too, is known by its writer, and a value is the chain of the writes that made it. A simulated
//! run's order of effects is the proof that its history is linearizable; of a real run's an order
//! is searched for, key by key. Such a run takes a few dozen bytes more for each append and
//! compare-and-set, for as long as it lasts. A compare-and-set expects what the clients of the run
//! last saw or wrote of the key, with their appends on the end of it, so that it finds it unless
//! somebody was faster; on keys that are not told apart it expects an absent key.
//!
//! **A history too long** is thinned to the keys with the most overlapping operations, each with all that was
//! done to it: linearizability is local, so what is said of these keys is true. If one key alone is too much, its oldest
//! operations go. That is sound, too: leaving out a write together with the reads that saw it takes nothing away from what
//! explains the others. It would not be with appends and compare-and-sets: a run with those drops
//! such a key as a whole.

#[cfg(test)]
mod all_kinds;
mod entry;
mod judged;
mod recorder;
mod states;
#[cfg(test)]
mod tests;
mod window;

pub(crate) use self::{
    judged::Judged,
    recorder::{Invoked, Recorder, Writes},
    window::{SiteProcesses, WindowFile},
};
