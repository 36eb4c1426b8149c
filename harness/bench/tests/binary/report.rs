//! `bench report`: which file it writes, and what it refuses.

use std::{fs, path::Path};

use crate::place::{Place, TINY};

fn reference() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../results/reference");
    root.join("2026-11-23-amd-epyc-2-cores/pipelined").to_str().unwrap().to_owned()
}

#[test]
fn a_page_is_written_where_it_is_asked_for_and_its_path_is_printed() {
    let place = Place::new(TINY);
    let ended = place.bench(&["report", &reference(), "--out", "page.html"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert_eq!(ended.stdout, "page.html\n");
    let page = fs::read_to_string(place.path().join("page.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("<h1>pipelined</h1>"));
}

#[test]
fn without_a_name_it_is_in_the_first_directory_and_markdown_is_printed() {
    let place = Place::new(TINY);
    let copy = place.path().join("copy");
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(reference()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, copy.join(path.file_name().unwrap())).unwrap();
        }
    }
    let ended = place.bench(&["report", "copy", &reference()]);
    assert_eq!(ended.stdout, "copy/report.html\n");
    let page = fs::read_to_string(copy.join("report.html")).unwrap();
    assert!(page.contains("<h1>2 results</h1>"));
    let ended = place.bench(&["report", "copy", "--format", "markdown"]);
    assert!(ended.stdout.starts_with("## pipelined · "), "{}", ended.stdout);
    let ended = place.bench(&["report", "copy", "--format", "markdown", "--out", "page.md"]);
    assert_eq!(ended.stdout, "page.md\n");
    assert!(fs::read_to_string(place.path().join("page.md")).unwrap().starts_with("## pipelined"));
}

#[test]
fn what_cannot_be_used_is_one_line() {
    let place = Place::new(TINY);
    fs::create_dir(place.path().join("empty")).unwrap();
    let refused = |arguments: &[&str], expected: &str| {
        let ended = place.bench(arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    };
    refused(&["report"], "required arguments were not provided: <RESULTS>...");
    refused(&["report", "nowhere"], "nowhere: is no directory: name a results directory");
    refused(&["report", "empty"], "empty/summary.csv: ");
    refused(&["report", &reference(), "--out", "no/page.html"], "no/page.html: cannot be written");
}
