//! Where this process is to die and what it loses then, as the environment says.
//!
//! Only a build with debug assertions looks. The variable `BENCH_FAILPOINT` asks for a place, as
//! `<name>:<n>`: the process dies there, as by `kill -9`, when it comes there for the n-th time.
//! Nothing is flushed, nobody is told; one line on standard error says that it happened. With
//! `BENCH_FORGETS_UNSYNCED`, whatever its value, the process loses what it has not synced however
//! it dies.

use std::{
    env,
    ffi::OsString,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use driver::failpoint::{self, Failpoint, Hook, Plan};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

const VARIABLE: &str = "BENCH_FAILPOINT";
const FORGETS_VARIABLE: &str = "BENCH_FORGETS_UNSYNCED";

static PLAN: LazyLock<Option<Plan>> = LazyLock::new(|| asked_for().ok().flatten());
static HITS: AtomicU64 = AtomicU64::new(0);

/// What the environment asks for; nothing in a build without debug assertions.
///
/// # Errors
/// If that is no failpoint; with the variable's name.
pub fn asked_for() -> Result<Option<Plan>, String> {
    if !cfg!(debug_assertions) {
        return Ok(None);
    }
    let text = env::var_os(VARIABLE).map(OsString::into_string).transpose();
    let text = text.map_err(|text| format!("{VARIABLE}: {} is no text", text.display()))?;
    let plan = text.map(|text| text.parse()).transpose();
    plan.map_err(|error: String| format!("{VARIABLE}: {error}"))
}

/// Is this process to lose with its death what it has not synced? Never in a build without debug
/// assertions.
pub(crate) fn forgets_unsynced() -> bool {
    cfg!(debug_assertions) && env::var_os(FORGETS_VARIABLE).is_some()
}

/// From now on this process dies where the environment says.
pub(crate) fn install() {
    failpoint::install(Hook { is_due, die });
}

fn is_due(at: Failpoint) -> bool {
    PLAN.is_some_and(|plan| plan.at == at && HITS.fetch_add(1, Ordering::Relaxed) + 1 == plan.hit)
}

fn die(at: Failpoint) -> ! {
    eprintln!("failpoint {at}: this process dies here");
    let _ = kill(Pid::this(), Signal::SIGKILL);
    // Where the kernel does not do it.
    std::process::abort();
}
