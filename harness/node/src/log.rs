//! The replica's log: plain lines on standard error, which whoever started the process points at a file.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt::Display,
    rc::Rc,
    time::{Duration, Instant},
};

/// Chosen: one line a second per kind of event is enough to see it and too little to fill a disk.
const REPEAT_AFTER: Duration = Duration::from_secs(1);

/// Writes lines of `seconds-since-start who text`. Cloning shares.
#[derive(Clone, Debug)]
pub(crate) struct Log(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    who: String,
    start: Instant,
    kinds: RefCell<BTreeMap<&'static str, Kind>>,
}

#[derive(Debug)]
struct Kind {
    last: Instant,
    suppressed: u64,
}

impl Log {
    /// A log whose lines say that `who` wrote them.
    pub(crate) fn new(who: impl Display) -> Self {
        let kinds = RefCell::default();
        Self(Rc::new(Inner { who: who.to_string(), start: Instant::now(), kinds }))
    }

    /// Writes a line.
    pub(crate) fn line(&self, text: impl Display) {
        eprintln!("{:9.3} {} {text}", self.0.start.elapsed().as_secs_f64(), self.0.who);
    }

    /// Writes a line about something that may happen many times a second: at most one a second of each `kind`, which
    /// then says how many were left out.
    pub(crate) fn repeated(&self, kind: &'static str, text: impl Display) {
        let now = Instant::now();
        let suppressed = {
            let mut kinds = self.0.kinds.borrow_mut();
            match kinds.get_mut(kind) {
                Some(kind) if now - kind.last < REPEAT_AFTER => {
                    kind.suppressed += 1;
                    return;
                }
                Some(kind) => {
                    kind.last = now;
                    std::mem::take(&mut kind.suppressed)
                }
                None => {
                    kinds.insert(kind, Kind { last: now, suppressed: 0 });
                    0
                }
            }
        };
        if suppressed == 0 {
            self.line(text);
        } else {
            self.line(format_args!("{text} (and {suppressed} like it)"));
        }
    }
}
