//! What people and other programs write.

use check::formats::{self, Format, json};
use workload::{Plan, Topology, Workload};

/// A workload file, with all that is worked out from it before anything runs.
pub(super) fn workload(bytes: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(bytes) else { return false };
    let workload = match Workload::parse("fuzz.toml", text, &[]) {
        Ok(workload) => workload,
        Err(error) => {
            let error = error.to_string();
            assert!(!error.trim().is_empty() && !error.contains('\n'), "no clear line: {error:?}");
            return false;
        }
    };
    let plan = Plan::new(&workload);
    assert!(!plan.runs.is_empty(), "a plan of nothing");
    for run in plan.runs.iter().take(100) {
        let _ = (run.point.canonical(), workload.config(&run.point));
    }
    let (strikes, timeouts) = (workload.strikes(), workload.timeouts());
    assert!(strikes.windows(2).all(|pair| pair[0].at_ns <= pair[1].at_ns));
    assert!(timeouts.client > workload.round_trip_max());
    true
}

/// A topology's file.
pub(super) fn topology(bytes: &[u8]) -> bool {
    let file = tempfile::NamedTempFile::new().expect("the host has a directory for such files");
    std::fs::write(file.path(), bytes).expect("it can be written");
    match Topology::load(file.path()) {
        Ok(_) => true,
        Err(error) => {
            let error = error.to_string();
            assert!(!error.trim().is_empty() && !error.contains('\n'), "no clear line: {error:?}");
            false
        }
    }
}

/// The own format comes back as it was.
pub(super) fn json(bytes: &[u8]) -> bool {
    let Some(history) = history(bytes, Format::Json) else { return false };
    let lines: Vec<String> = history.operations().iter().map(json::line).collect();
    let again = json::parse(&lines.join("\n")).expect("what was written can be read");
    assert_eq!(again.operations(), history.operations(), "another history once written again");
    true
}

pub(super) fn jepsen(bytes: &[u8]) -> bool {
    history(bytes, Format::Jepsen).is_some()
}

pub(super) fn porcupine(bytes: &[u8]) -> bool {
    history(bytes, Format::Porcupine).is_some()
}

fn history(bytes: &[u8], format: Format) -> Option<check::History> {
    let text = str::from_utf8(bytes).ok()?;
    // With and without being told what it is: neither may panic.
    let _ = formats::parse(text, None);
    formats::parse(text, Some(format)).ok()
}
