//! What a kept history is counted by: the times between which requests were due, and the sites of the clients.
//!
//! With it and the history's lines every latency that the program prints can be worked out again, by anybody:
//! `scripts/recount` does.

use std::{fs, io, path::Path};

use serde::Serialize;

use crate::load::{clients::Clients, tally::Tally};

/// The file beside a history. Times are in nanoseconds of the history's clock.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct WindowFile {
    /// Requests that were due from here on count.
    begin_ns: u64,
    /// Those that were due before this do; answers before this are the throughput.
    end_ns: u64,
    /// What was not answered by then counts as long as it was waited for until then.
    closed_ns: u64,
    sites: Vec<SiteProcesses>,
    /// Does the history lack anything that was asked for?
    thinned: bool,
}

/// The clients of one site.
#[derive(Clone, Debug, Serialize)]
struct SiteProcesses {
    site: String,
    /// Their numbers in the history.
    processes: Vec<u64>,
    /// When requests were due that were never sent.
    never_sent_due_ns: Vec<u64>,
}

impl WindowFile {
    /// That of a run whose load is over.
    pub(crate) fn new(tally: &Tally, clients: &Clients) -> Self {
        let window = tally.window();
        let sites = tally.sites.iter().enumerate().map(|(site, record)| SiteProcesses {
            site: record.site.clone(),
            processes: clients.sessions_at(site),
            never_sent_due_ns: (tally.never_sent.iter())
                .filter(|(of, _)| *of == site)
                .map(|(_, due_ns)| *due_ns)
                .collect(),
        });
        Self {
            begin_ns: window.begin_ns,
            end_ns: window.end_ns,
            closed_ns: window.closed_ns,
            sites: sites.collect(),
            thinned: false,
        }
    }

    /// Writes it beside the history `stem`, which lacks something or not.
    pub(super) fn write(&self, directory: &Path, stem: &str, thinned: bool) -> io::Result<()> {
        let whole = Self { thinned, ..self.clone() };
        let text = serde_json::to_string_pretty(&whole).expect("numbers and names are plain data");
        fs::write(directory.join(format!("{stem}-window.json")), text + "\n")
    }
}
