//! A cluster that goes on when its command has ended: the directory that describes it, and its processes.
//!
//! [`directory`] knows where everything lies and lets one command at a time change it, [`description`] is the file that
//! says what runs, [`process`] tells one of our processes from a stranger with the same number, [`start`] starts them, and
//! [`lines`] asks them how they are.
//!
//! **Invariants.** A process is signalled only if number, start time and boot are those written down when it was started.
//! The description is replaced in one step, after every start of a process, so that none runs which it does not name. Nothing
//! is removed from a directory but what these commands put there.

pub(crate) mod description;
pub(crate) mod directory;
pub(crate) mod lines;
pub(crate) mod process;
pub(crate) mod start;

pub(crate) use self::{
    description::Description,
    directory::{Directory, Lock},
    process::{Process, Sight},
};
