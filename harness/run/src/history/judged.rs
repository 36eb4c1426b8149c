//! The verdict on a recorded history, and its evidence in files.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
    time::{Duration, Instant},
};

use check::{
    Budget, History, Operation, Verdict, Witness,
    formats::json::{self, Recorded},
    register::{self, Access},
};
use measure::{Checked, Finding, Linearizable, RunFacts, Severity};
use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    Recorder, WindowFile,
    entry::{Entry, Value},
    recorder::Writes,
};

/// Chosen: many times what the longest record takes; it ends what could otherwise hang.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a search for an order may do for one key with other commands than gets and puts; time ends
/// it with [`PATIENCE`]. Chosen: what a load generator beside it may still have.
const BUDGET: Budget = Budget { steps_max: u64::MAX, memory_bytes_max: 1 << 29 };
/// Chosen: a file of about 130 MB, with whole keys alone.
const LINES_MAX: usize = 1 << 20;

/// What is known of a run's history.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) linearizable: Linearizable,
    pub(crate) checked: Checked,
    /// Why it is not linearizable, or why nobody knows; empty if it is.
    pub(crate) reason: String,
    pub(crate) witness: Option<Witness>,
    /// How many writes there were.
    pub(crate) writes: Writes,
    /// Acknowledged writes that closing reads at some replica did not show, nor anything written after them.
    pub(crate) lost: u64,
    /// By key.
    recorder: Recorder,
}

impl Recorder {
    /// Judges what was recorded. Every operation must have ended, or been given up.
    pub(crate) fn judge(self) -> Judged {
        self.judge_within(PATIENCE)
    }

    pub(super) fn judge_within(mut self, patience: Duration) -> Judged {
        self.finish();
        let start = Instant::now();
        self.entries.sort_unstable_by_key(Entry::key);
        let mut checked = Checked {
            operations_begun: self.begun,
            keys_touched: self.keys.len() as u64,
            ..Checked::default()
        };
        let mut witness = None;
        let mut undecided = None;
        let mut entries = std::mem::take(&mut self.entries);
        let mut in_time = true;
        let ranks = self.ranks();
        for of_key in entries.chunk_by_mut(|one, other| one.key() == other.key()) {
            in_time = start.elapsed() < patience;
            if !in_time || witness.is_some() {
                break;
            }
            checked.operations += of_key.len() as u64;
            checked.reads += of_key.iter().filter(|entry| entry.is_read()).count() as u64;
            checked.keys += 1;
            if self.is_mixed {
                match self.verdict(of_key, &ranks, &mut || start.elapsed() < patience) {
                    Verdict::Linearizable { .. } => {}
                    Verdict::NotLinearizable(found) => witness = Some(*found),
                    Verdict::Unknown { key, reason } => {
                        let key = key.escape_ascii();
                        let reason =
                            format!("key {key}: the search for an order ran out of {reason}");
                        undecided.get_or_insert(reason);
                    }
                }
            } else {
                witness = self.witness(of_key);
            }
        }
        let by_key = entries.chunk_by(|one, other| one.key() == other.key());
        let lost = by_key.map(|of_key| self.lost_writes(of_key)).sum();
        self.entries = entries;
        let writes = self.writes;
        let (linearizable, reason) = match &witness {
            Some(witness) => (Linearizable::False, said(witness)),
            None if !in_time => {
                let reason = format!("{} s were not enough for all keys", patience.as_secs());
                (Linearizable::Unknown, reason)
            }
            None if undecided.is_some() => (Linearizable::Unknown, undecided.unwrap_or_default()),
            None if checked.operations == 0 => {
                (Linearizable::Unknown, "no operation was recorded".to_owned())
            }
            None => (Linearizable::True, String::new()),
        };
        Judged { linearizable, checked, reason, witness, writes, lost, recorder: self }
    }

    /// When each write took effect, as far as a simulator has seen it: its place among all.
    fn ranks(&self) -> FxHashMap<Value, usize> {
        self.states.effects.iter().enumerate().map(|(rank, value)| (*value, rank)).collect()
    }

    /// What is to be said of all operations of one key, of whatever kind. The order in which a
    /// simulator saw the writes take effect is a proof to be verified; if it explains nothing, or
    /// nobody saw it, an order is searched for.
    fn verdict(
        &self,
        of_key: &[Entry],
        ranks: &FxHashMap<Value, usize>,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Verdict {
        let mut writes: Vec<(usize, usize)> = (of_key.iter().enumerate())
            .filter(|(_, entry)| !entry.is_read())
            .filter_map(|(at, entry)| Some((*ranks.get(&entry.written_or_seen())?, at)))
            .collect();
        writes.sort_unstable();
        let writes: Vec<usize> = writes.into_iter().map(|(_, at)| at).collect();
        let history: History = of_key.iter().map(|entry| self.operation(entry)).collect();
        check::check_ordered(&history, &writes, &BUDGET, go_on)
    }

    /// What contradicts itself among all operations of one key, if they are gets and puts.
    fn witness(&self, of_key: &mut [Entry]) -> Option<Witness> {
        let shown = |entry: &Entry| self.operation(entry);
        let left_out = self.left_out(of_key);
        if left_out.is_empty() {
            return register::witness(of_key, shown);
        }
        let mut all = of_key.to_vec();
        all.extend(left_out);
        register::witness(&mut all, shown)
    }

    /// The writes that are no more in the record of a key that was too busy, but that were seen by reads that are.
    fn left_out(&self, of_key: &[Entry]) -> Vec<Entry> {
        let until = self.keys[of_key[0].key() as usize].left_out_until;
        if until == 0 {
            return Vec::new();
        }
        let writes = of_key.iter().filter(|entry| !entry.is_read());
        let mut known: FxHashSet<u64> = writes.map(Entry::value).collect();
        let seen = of_key.iter().filter(|entry| entry.saw_a_write());
        seen.filter(|entry| known.insert(entry.value()))
            .map(|entry| entry.left_out(until))
            .collect()
    }

    fn operation(&self, entry: &Entry) -> Operation {
        entry.operation(&self.keys[entry.key() as usize].name, &self.told())
    }

    /// How many acknowledged writes of one key the closing read lacks that lacks the most: they
    /// began after the end of the one that it saw last, or of the last delete if it saw nothing. Of
    /// a value without a known writer nobody can say what it lacks; the history's verdict does.
    fn lost_writes(&self, of_key: &[Entry]) -> u64 {
        let writes = || of_key.iter().filter(|entry| !entry.is_read() && !entry.is_failed_swap());
        let deletes = || writes().filter(|write| write.is_delete()).map(Entry::returned);
        let lacks = |read: &Entry| {
            let since = match read.written_or_seen() {
                Value::ABSENT => Some(deletes().max().unwrap_or(0)),
                value => {
                    let last = self.states.last(value);
                    writes().find(|write| write.written_or_seen() == last).map(Entry::returned)
                }
            };
            let is_lost = |write: &&Entry| {
                since.is_some_and(|since| write.invoke() > since)
                    && write.returned() < read.invoke()
            };
            writes().filter(is_lost).count() as u64
        };
        of_key.iter().filter(|entry| entry.is_closing()).map(lacks).max().unwrap_or(0)
    }
}

/// The witness in a sentence, with its key.
fn said(witness: &Witness) -> String {
    format!("key {}: {}", witness.key.escape_ascii(), witness.reason)
}

impl Judged {
    /// Enters what was found into the facts that the run is judged by.
    pub(crate) fn enter(&self, facts: &mut RunFacts) {
        facts.linearizable = self.linearizable;
        facts.checked = Some(self.checked);
        facts.history_reason.clone_from(&self.reason);
        if self.recorder.is_kept && self.is_thinned() {
            let kept = self.checked.operations;
            let text = format!(
                "the history was thinned: of {} operations {kept} are kept",
                self.checked.operations_begun
            );
            let advice = "make the run shorter, or lower the load, to keep all of it";
            facts.findings.push(Finding {
                severity: Severity::Warning,
                text,
                advice: advice.to_owned(),
            });
        }
    }

    /// Whether somebody will want to look at the history.
    pub(crate) fn is_evidence(&self) -> bool {
        self.linearizable != Linearizable::True
    }

    /// Does the record lack anything that was asked for?
    pub(crate) const fn is_thinned(&self) -> bool {
        self.recorder.is_thinned
    }

    /// Writes the history into `directory`, in the format of `bench check`, which judges it alike, and beside it what it is
    /// counted by. One that is to be kept is written whole. Otherwise whole keys are, the one with the violation first, as
    /// many as `LINES_MAX` operations have room for; if that key alone is more, what contradicts itself is there without the
    /// rest. Of a violation there is a text for people, too.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub(crate) fn keep(
        &self,
        directory: &Path,
        stem: &str,
        window: Option<&WindowFile>,
    ) -> io::Result<()> {
        fs::create_dir_all(directory)?;
        self.write_lines(&directory.join(format!("{stem}.jsonl")), LINES_MAX)?;
        if let Some(window) = window {
            let thinned = !self.recorder.is_kept || self.is_thinned();
            window.write(directory, stem, thinned)?;
        }
        match &self.witness {
            Some(witness) => {
                fs::write(directory.join(format!("{stem}-witness.txt")), format!("{witness}\n"))
            }
            None => Ok(()),
        }
    }

    /// Writes the lines of whole keys, at most `lines_max` of them unless the history is to be kept.
    pub(super) fn write_lines(&self, file: &Path, lines_max: usize) -> io::Result<()> {
        let recorder = &self.recorder;
        let mut keys: Vec<&[Entry]> =
            recorder.entries.chunk_by(|one, other| one.key() == other.key()).collect();
        let is_bad = |of_key: &&[Entry]| {
            let name = &recorder.keys[of_key[0].key() as usize].name;
            self.witness.as_ref().is_some_and(|witness| witness.key == **name)
        };
        keys.sort_by_key(|of_key| !is_bad(of_key));
        let mut out = BufWriter::new(File::create(file)?);
        let mut room = if recorder.is_kept { usize::MAX } else { lines_max };
        for of_key in keys {
            let left_out = recorder.left_out(of_key);
            let lines = of_key.len() + left_out.len();
            if lines <= room {
                room -= lines;
                for entry in of_key.iter().chain(&left_out) {
                    // Those without an answer follow below, with what else is known of them.
                    if entry.has_ended() || !recorder.is_kept {
                        writeln!(out, "{}", recorder.line(entry))?;
                    }
                }
            } else if let Some(witness) = self.witness.as_ref().filter(|_| is_bad(&of_key)) {
                for operation in &witness.operations {
                    writeln!(out, "{}", json::line(operation))?;
                }
                break;
            }
        }
        for lost in &recorder.lost {
            let recorded = Recorded {
                gave_up_ns: Some(lost.until_ns),
                refused: lost.is_refused,
                ..recorded(&lost.entry)
            };
            writeln!(out, "{}", json::recorded_line(&recorder.operation(&lost.entry), recorded))?;
        }
        out.flush()
    }
}

impl Recorder {
    fn line(&self, entry: &Entry) -> String {
        json::recorded_line(&self.operation(entry), recorded(entry))
    }
}

/// What the history's file says of an operation beside what is judged.
fn recorded(entry: &Entry) -> Recorded {
    Recorded {
        due_ns: Some(entry.due()),
        gave_up_ns: None,
        refused: false,
        closing: entry.is_closing(),
    }
}
