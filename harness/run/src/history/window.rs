//! What a kept history is counted by: the times between which requests were due, and the sites of the clients.
//!
//! With it and the history's lines every latency that the program prints can be worked out again, by anybody:
//! `scripts/recount` does.

use std::{fs, io, path::Path};

use serde::Serialize;

/// The file beside a history. Times are in nanoseconds of the history's clock.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct WindowFile {
    /// Requests that were due from here on count.
    pub(crate) begin_ns: u64,
    /// Those that were due before this do; answers before this are the throughput.
    pub(crate) end_ns: u64,
    /// What was not answered by then counts as long as it was waited for until then.
    pub(crate) closed_ns: u64,
    /// The clients, by site.
    pub(crate) sites: Vec<SiteProcesses>,
    /// Does the history lack anything that was asked for?
    pub(crate) thinned: bool,
}

/// The clients of one site.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SiteProcesses {
    pub(crate) site: String,
    /// Their numbers in the history.
    pub(crate) processes: Vec<u64>,
    /// When requests were due that were never sent.
    pub(crate) never_sent_due_ns: Vec<u64>,
}

impl WindowFile {
    /// Writes it beside the history `stem`, which lacks something or not.
    pub(super) fn write(&self, directory: &Path, stem: &str, thinned: bool) -> io::Result<()> {
        let whole = Self { thinned, ..self.clone() };
        let text = serde_json::to_string_pretty(&whole).expect("numbers and names are plain data");
        fs::write(directory.join(format!("{stem}-window.json")), text + "\n")
    }
}
