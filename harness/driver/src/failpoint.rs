//! Places where a replica process dies at once, as by `kill -9`, so that tests see it come back
//! from there.
//!
//! Only a build with debug assertions has them. The owner of the process installs a [`Hook`], which
//! says where to die and does it; without one nothing happens. A [`Plan`] says where: the process
//! dies when it comes there for the n-th time.

use std::{fmt, str::FromStr, sync::OnceLock};

/// The table: variant, name, and what a crash there means.
macro_rules! failpoints {
    ($($variant:ident $name:literal $meaning:literal)*) => {
        /// A place to die at.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Failpoint {
            $(#[doc = $meaning] $variant,)*
        }

        impl Failpoint {
            /// All of them, in the order in which one drain can come to them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name by which it is asked for.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What a crash there means.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

failpoints! {
    Record "record" "A record is asked for and not even in memory: nothing of the drain happened."
    Execute "execute" "A command is decided and not applied: the next life executes it from its records, or learns it again."
    Executed "executed" "A command is applied and not answered: its client's retry finds it applied."
    Checkpoint "checkpoint" "The log is long and the state is about to be captured: nothing has changed yet."
    Checkpointed "checkpointed" "The core has said what it needs beyond its checkpoint; nothing of that is on disk."
    Install "install" "A snapshot of another replica came and is not taken over."
    Installed "installed" "The machine is another's, in memory only: on disk is all that was there before."
    LogWrite "log-write" "A drain's records are about to be written: they are lost, and nothing that relies on them has left."
    LogTorn "log-torn" "Half of a drain's records are written: the torn tail is cut."
    LogWritten "log-written" "They are written and not synced: they survive the process, and nobody relies on them."
    LogSynced "log-synced" "They are durable and nothing has left: the next life is bound by what nobody has heard."
    FileWritten "file-written" "A new file is written under its temporary name: nobody will read it."
    FileNamed "file-named" "It has its name; the directory is not synced, and no manifest may name it yet."
    SnapshotWrite "snapshot-write" "A snapshot is about to be written: the log before it still counts."
    SnapshotWritten "snapshot-written" "The snapshot is a file, and the log behind it is none."
    SegmentMade "segment-made" "The new segment is a file with its records, and the manifest names the old ones."
    ManifestSwitched "manifest-switched" "The manifest names the new files, and the old ones are still there."
    FileRemoved "file-removed" "One of the old files is gone, and others may be there."
    Send "send" "Everything is durable; messages and replies are about to leave."
    Sent "sent" "They are handed to the transport, which may have sent some of them."
}

impl fmt::Display for Failpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A failpoint, and at which time there to die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where.
    pub at: Failpoint,
    /// Counted from 1.
    pub hit: u64,
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plan = text.split_once(':').and_then(|(name, hit)| {
            let at = Failpoint::ALL.iter().copied().find(|at| at.name() == name)?;
            let hit = hit.parse().ok().filter(|hit| *hit > 0)?;
            Some(Self { at, hit })
        });
        plan.ok_or_else(|| {
            let names: Vec<_> = Failpoint::ALL.iter().map(|at| at.name()).collect();
            format!("{text:?} is no <name>:<n> with n from 1 on and a name of {}", names.join(", "))
        })
    }
}

/// What a process does about failpoints.
#[derive(Clone, Copy, Debug)]
pub struct Hook {
    /// The process has come to a failpoint: is it to die there?
    pub is_due: fn(Failpoint) -> bool,
    /// The process dies.
    pub die: fn(Failpoint) -> !,
}

static HOOK: OnceLock<Hook> = OnceLock::new();

/// Lets this process die as `hook` says; a second hook changes nothing. A build without debug
/// assertions never asks it.
pub fn install(hook: Hook) {
    HOOK.get_or_init(|| hook);
}

/// Comes by; dies if that was asked for.
#[inline]
pub(crate) fn pass(at: Failpoint) {
    if cfg!(debug_assertions) {
        reach(at, || ());
    }
}

/// Comes by with `bytes` to write; if that was asked for, writes half of them and dies.
#[inline]
pub(crate) fn tear(at: Failpoint, bytes: &[u8], write: impl FnOnce(&[u8])) {
    if cfg!(debug_assertions) {
        reach(at, || write(&bytes[..bytes.len() / 2]));
    }
}

fn reach(at: Failpoint, last: impl FnOnce()) {
    if let Some(hook) = HOOK.get()
        && (hook.is_due)(at)
    {
        last();
        (hook.die)(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_a_name_and_a_count() {
        let plan = Plan { at: Failpoint::LogTorn, hit: 3 };
        assert_eq!("log-torn:3".parse(), Ok(plan));
        for wrong in ["log-torn", "log-torn:0", "log-torn:x", "nowhere:1", ""] {
            let error = wrong.parse::<Plan>().unwrap_err();
            assert!(error.starts_with(&format!("{wrong:?} is no <name>:<n>")), "{error}");
            assert!(error.ends_with("send, sent"), "{error}");
        }
    }

    #[test]
    fn every_failpoint_has_a_name_of_its_own_and_a_meaning() {
        let mut names: Vec<_> = Failpoint::ALL.iter().map(|at| at.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Failpoint::ALL.len());
        assert!(Failpoint::ALL.iter().all(|at| at.meaning().ends_with('.')));
    }
}
