//! Terminal tables, JSON, plots, HTML and Markdown, drawn from the files of a results directory alone.
//!
//! [`terminal()`], [`json()`] and [`draw_all`] each take the directory and read `manifest.json` and the CSV files in it;
//! nothing is passed to them that a later reader would not have. [`html()`] and [`markdown()`] take several directories,
//! [`published()`] a file of a paper's figures beside, [`compare()`] a second directory.
//!
//! **Invariants.** Every table, every JSON document and every plot carries the verdict of the runs
//! behind its figures; there is no way to get one without. Repetitions that are not valid are left
//! out of a figure where there are valid ones, and marked where there are not. A latency that is a
//! lower bound is shown as one (`≥`), and nothing is concluded from it but what the bound decides.
//! This crate imports no protocol and no workload: to it a protocol is a name, so that a new one is
//! drawn without a change here. How a name is written and drawn it is told ([`know`]).

mod bottleneck;
mod cell;
mod compare;
mod document;
mod error;
mod figure;
mod formula;
mod gaps;
mod html;
mod json;
mod kept;
mod known;
mod markdown;
mod numbers;
mod plot;
mod published;
mod results;
mod returns;
mod summary;
mod table;
mod terminal;
mod verdict;
mod windows;

pub use compare::{Compared, Outcome, compare, differing_keys};
pub use document::PAGE_FILE as HTML_FILE;
pub use error::ReportError;
pub use html::html;
pub use json::json;
pub use known::{Known, display_name, know};
pub use markdown::markdown;
pub use plot::{Drawn, draw_all};
pub use published::{Markup, published};
pub use terminal::{Style, terminal};
