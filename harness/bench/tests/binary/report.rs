//! `bench report` and `bench plot`: which files they write, what they do without a file that was
//! left out, and what they refuse.

use std::{fs, path::Path};

use crate::place::{Place, TINY, names};

/// A place in which a tiny simulation was run.
fn ran() -> Place {
    let place = Place::new(TINY);
    let ended = place.bench(&["run", "w.toml", "--driver", "sim", "--quiet"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    place
}

/// Copies the named files, of those that are there.
fn copy(from: &Path, to: &Path, names: &[&str]) {
    fs::create_dir(to).unwrap();
    for name in names.iter().filter(|name| from.join(name).is_file()) {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

#[test]
fn a_page_is_written_where_it_is_asked_for_and_its_path_is_printed() {
    let place = ran();
    let ended = place.bench(&["report", "results/latest", "--out", "page.html"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert_eq!(ended.stdout, "page.html\n");
    let page = fs::read_to_string(place.path().join("page.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("<h1>tiny</h1>"));
}

#[test]
fn without_a_name_it_is_in_the_first_directory_and_markdown_is_printed() {
    let place = ran();
    let names = names(&place.results());
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    copy(&place.results(), &place.path().join("copy"), &names);
    let ended = place.bench(&["report", "copy", "results/latest"]);
    assert_eq!(ended.stdout, "copy/report.html\n");
    let page = fs::read_to_string(place.path().join("copy/report.html")).unwrap();
    assert!(page.contains("<h1>2 results</h1>"));
    assert!(!place.results().join("report.html").exists());
    let ended = place.bench(&["report", "copy", "--format", "markdown"]);
    assert!(ended.stdout.starts_with("## tiny · "), "{}", ended.stdout);
    let ended = place.bench(&["report", "copy", "--format", "markdown", "--out", "page.md"]);
    assert_eq!(ended.stdout, "page.md\n");
    assert!(fs::read_to_string(place.path().join("page.md")).unwrap().starts_with("## tiny"));
}

#[test]
fn results_as_they_are_committed_are_compared_reported_and_drawn_as_far_as_they_go() {
    let place = ran();
    let kept = ["manifest.json", "summary.csv", "verdicts.csv", "replicas.csv", "load-model.csv"];
    copy(&place.results(), &place.path().join("pruned"), &kept);
    let left_out = "timeseries.csv, cdf.csv, events.csv, network.csv and recoveries.csv are not \
                    here: what is drawn and told from there is left out";

    let ended = place.bench(&["compare", "pruned", "results/latest", "--fail-on-regression"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
    let whole = place.bench(&["compare", "results/latest", "results/latest"]);
    let table = |text: &str| text.split_once("\n\n").unwrap().1.to_owned();
    assert_eq!(table(&ended.stdout), table(&whole.stdout), "as ever");

    let ended = place.bench(&["report", "pruned"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let page = fs::read_to_string(place.path().join("pruned/report.html")).unwrap();
    assert!(page.contains(left_out) && page.contains("data-stem=\"throughput"));
    assert!(!page.contains("data-stem=\"latency-cdf") && !page.contains("-over-time"));

    let ended = place.bench(&["plot", "pruned"]);
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.stderr, format!("bench: pruned: {left_out}\n"));
    assert!(ended.stdout.contains("pruned/plots/throughput.svg\n"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("latency-cdf"), "{}", ended.stdout);
    let whole = place.bench(&["plot", "results/latest"]);
    assert_eq!((whole.code, whole.stderr.as_str()), (Some(0), ""));
    assert!(whole.stdout.contains("plots/latency-cdf.svg\n"), "{}", whole.stdout);
}

#[test]
fn what_cannot_be_used_is_one_line() {
    let place = ran();
    fs::create_dir(place.path().join("empty")).unwrap();
    copy(&place.results(), &place.path().join("half"), &["summary.csv", "manifest.json"]);
    let refused = |arguments: &[&str], expected: &str| {
        let ended = place.bench(arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    };
    refused(&["report"], "required arguments were not provided: <RESULTS>...");
    refused(&["report", "nowhere"], "nowhere: is no directory: name a results directory");
    refused(&["report", "empty"], "empty/summary.csv: ");
    refused(&["report", "half"], "half/replicas.csv: ");
    refused(&["plot", "half"], "half/replicas.csv: ");
    let elsewhere = ["report", "results/latest", "--out", "no/page.html"];
    refused(&elsewhere, "no/page.html: cannot be written");
}
