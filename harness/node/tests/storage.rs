//! A data directory on its own: what comes back of what was written, what is cut, and what is
//! refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use driver::storage::{Journal, Owner, Past, StorageError, Writer};
use node::disk::{DataDirectory, new_incarnation};
use protocols::{Config, ReplicaId, Snapshot};
use tempfile::TempDir;

/// Small enough that a few writes fill a segment.
const SEGMENT_BYTES: u64 = 150;
/// What a write takes beside its records, and a record beside its text.
const WRITE_BYTES: usize = 24 + 1;
const RECORD_BYTES: usize = 4 + 1;

fn owner() -> Owner {
    Owner {
        cluster: "cluster-1".to_owned(),
        replica: ReplicaId(1),
        protocol: protocols::epaxos::PROTOCOL,
        config: Config::new(3),
    }
}

fn open(directory: &Path) -> Result<Past<DataDirectory>, String> {
    let disk = DataDirectory::open(directory).map_err(|error| error.to_string())?;
    Past::read(disk, owner(), new_incarnation()).map_err(|error| error.to_string())
}

/// The records are strings, so that they differ in length.
fn records(past: &Past<DataDirectory>) -> Vec<String> {
    let mut records = past.records();
    let all = records.by_ref().collect();
    records.finish().unwrap();
    all
}

fn numbered(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("record {number} {}", "x".repeat(number % 7))).collect()
}

/// Writes `groups`, each in one write, behind what is in `directory`.
fn write(directory: &Path, groups: &[&[String]]) {
    let past = open(directory).unwrap();
    let mut journal = Journal::new(&past, None);
    let mut writer = Writer::new(past, false, Some(SEGMENT_BYTES)).unwrap();
    for group in groups {
        group.iter().for_each(|record| journal.record(record));
        writer.write(&journal.take().unwrap()).unwrap();
    }
}

fn snapshot() -> Snapshot {
    Snapshot { machine: b"the machine's state".as_slice().into(), core: [1, 2, 3].into() }
}

/// A directory with a snapshot and three segments behind it, in which ten records stand, the last
/// alone in its write.
fn filled() -> (TempDir, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let all = numbered(0..10);
    write(directory.path(), &[&numbered(90..95)]);
    {
        let past = open(directory.path()).unwrap();
        let mut journal = Journal::new(&past, None);
        let mut writer = Writer::new(past, false, Some(SEGMENT_BYTES)).unwrap();
        journal.replace(snapshot());
        all[..2].iter().for_each(|record| journal.record(record));
        writer.write(&journal.take().unwrap()).unwrap();
    }
    write(directory.path(), &[&all[2..4], &all[4..6], &all[6..8], &all[8..9], &all[9..]]);
    assert_eq!(logs(directory.path()).len(), 3, "{:?}", names(directory.path()));
    (directory, all)
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn logs(directory: &Path) -> Vec<PathBuf> {
    let names = names(directory).into_iter().filter(|name| name.starts_with("log-"));
    names.map(|name| directory.join(name)).collect()
}

/// The directory after something was done to a copy of it.
fn copy(directory: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in names(directory) {
        fs::copy(directory.join(&name), copy.path().join(&name)).unwrap();
    }
    copy
}

#[test]
fn what_was_written_comes_back_in_order_behind_the_snapshot() {
    let (directory, all) = filled();
    let past = open(directory.path()).unwrap();
    assert_eq!(past.snapshot, Some(snapshot()));
    assert_eq!(records(&past), all);
    assert_eq!(past.remarks, Vec::<String>::new());
    let incarnation = past.directory.incarnation();
    drop(past);
    write(directory.path(), &[&numbered(10..12)]);
    let past = open(directory.path()).unwrap();
    assert_eq!(records(&past), numbered(0..12));
    assert_eq!(past.directory.incarnation(), incarnation);
    let other = tempfile::tempdir().unwrap();
    assert_ne!(open(other.path()).unwrap().directory.incarnation(), incarnation);
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_and_the_log_goes_on() {
    let (directory, all) = filled();
    let last = logs(directory.path()).pop().unwrap();
    let whole = fs::read(&last).unwrap();
    let frame = WRITE_BYTES + RECORD_BYTES + all[9].len();
    for left in 1..frame {
        let copy = copy(directory.path());
        let torn = copy.path().join(last.file_name().unwrap());
        fs::write(&torn, &whole[..whole.len() - left]).unwrap();
        let past = open(copy.path()).unwrap();
        assert_eq!(records(&past), all[..9], "{left} bytes less");
        let said = format!("cut {} bytes at offset {}", frame - left, whole.len() - frame);
        assert!(past.remarks[0].contains(&said), "{:?}", past.remarks);
        drop(past);
        write(copy.path(), &[&all[9..]]);
        assert_eq!(records(&open(copy.path()).unwrap()), all);
    }
}

/// Every byte of every file has one of its bits flipped: heads, lengths, numbers, checksums,
/// payloads and stamps of the first, the middle and the last segment, the last write of all, the
/// snapshot, and the sheets.
#[test]
fn a_flipped_bit_is_refused_by_file_and_offset_in_the_last_write_too() {
    let (directory, _) = filled();
    let mut refused = 0;
    for name in names(directory.path()).into_iter().filter(|name| name != "lock") {
        let whole = fs::read(directory.path().join(&name)).unwrap();
        for at in 0..whole.len() {
            let copy = copy(directory.path());
            let path = copy.path().join(&name);
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            fs::write(&path, flipped).unwrap();
            let Err(error) = open(copy.path()) else {
                panic!("{name}, byte {at} was not noticed");
            };
            assert!(error.starts_with(&path.display().to_string()), "{name}: {error}");
            assert_eq!(error.lines().count(), 1, "{error}");
            let in_pieces = !["manifest", "peers"].contains(&name.as_str());
            assert!(!in_pieces || error.contains("offset "), "{name}, byte {at}: {error}");
            refused += 1;
        }
    }
    assert!(refused > 500, "{refused}");
}

#[test]
fn a_segment_that_is_not_the_last_may_not_be_short() {
    let (directory, _) = filled();
    for log in &logs(directory.path())[..2] {
        let whole = fs::read(log).unwrap();
        for left in [1, 15, 40] {
            let copy = copy(directory.path());
            let path = copy.path().join(log.file_name().unwrap());
            fs::write(&path, &whole[..whole.len() - left]).unwrap();
            let error = open(copy.path()).unwrap_err();
            assert!(error.contains(&path.display().to_string()), "{error}");
            assert!(error.contains("is not as it was written"), "{error}");
        }
    }
}

/// A snapshot that ended with its header made the replica panic.
#[test]
fn a_snapshot_of_any_other_length_is_refused() {
    let (directory, _) = filled();
    let name = names(directory.path()).into_iter().find(|name| name.starts_with("snapshot-"));
    let name = name.unwrap();
    let whole = fs::read(directory.path().join(&name)).unwrap();
    for length in (0..whole.len()).chain([whole.len() + 1]) {
        let copy = copy(directory.path());
        let mut other = whole.clone();
        other.resize(length, 0);
        fs::write(copy.path().join(&name), other).unwrap();
        let error = open(copy.path()).unwrap_err();
        assert!(error.contains(&name) && error.contains("damage"), "{length}: {error}");
    }
}

#[test]
fn a_missing_file_is_refused_by_name() {
    let (directory, _) = filled();
    let needed: Vec<String> =
        names(directory.path()).into_iter().filter(|name| name != "lock").collect();
    assert_eq!(needed.len(), 6, "{needed:?}");
    for name in needed {
        let copy = copy(directory.path());
        let path = copy.path().join(&name);
        fs::remove_file(&path).unwrap();
        let error = open(copy.path()).unwrap_err();
        let expected = format!("{}: is missing; nothing was applied", path.display());
        assert!(error.starts_with(&expected), "{error}");
        assert!(!path.exists(), "nothing is made in its place");
    }
}

#[test]
fn a_file_of_another_life_or_place_is_refused() {
    let (directory, _) = filled();
    let (other, _) = filled();
    for name in names(directory.path()).iter().filter(|name| name.contains('-')) {
        let copy = copy(directory.path());
        fs::copy(other.path().join(name), copy.path().join(name)).unwrap();
        let error = open(copy.path()).unwrap_err();
        assert!(error.contains(name) && error.contains("belongs to r1 of cluster-1"), "{error}");
    }
    let copy = copy(directory.path());
    let logs = logs(copy.path());
    fs::copy(&logs[0], &logs[1]).unwrap();
    let error = open(copy.path()).unwrap_err();
    assert!(error.contains(&logs[1].display().to_string()), "{error}");
}

#[test]
fn whose_it_is_and_in_which_format_must_fit() {
    let (directory, _) = filled();
    type Change = fn(&mut Owner);
    let changes: [(Change, &str); 6] = [
        (
            |owner| owner.cluster = "cluster-2".to_owned(),
            "cluster cluster-1, not of cluster cluster-2",
        ),
        (|owner| owner.replica = ReplicaId(2), "replica 1, not of replica 2"),
        (
            |owner| owner.protocol = protocols::paxos::PROTOCOL,
            "protocol epaxos, not of protocol paxos",
        ),
        (|owner| owner.config.replicas = 5, "replicas 3, not of replicas 5"),
        (
            |owner| owner.config.options.put(protocols::epaxos::FastQuorum::Simple),
            "fast-quorum optimized, not of fast-quorum simple",
        ),
        (
            |owner| owner.config.options.put(protocols::epaxos::Variant::Sosp13),
            "fast-quorum optimized, not of fast-quorum fixed-by-sosp13",
        ),
    ];
    for (change, expected) in changes {
        let mut other = owner();
        change(&mut other);
        let disk = DataDirectory::open(directory.path()).unwrap();
        let error = Past::read(disk, other, new_incarnation()).unwrap_err();
        assert!(matches!(error, StorageError::NotOwn { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let manifest = directory.path().join("manifest");
    let text = fs::read_to_string(&manifest).unwrap();
    for other in ["paxos-lab-data 1", "paxos-lab-data 3"] {
        fs::write(&manifest, text.replace("paxos-lab-data 2", other)).unwrap();
        let error = open(directory.path()).unwrap_err();
        assert!(
            error.contains(&format!("format {other:?}")) && error.contains("use the program"),
            "{error}"
        );
    }
}

#[test]
fn a_record_of_another_kind_is_refused_with_its_offset() {
    let (directory, _) = filled();
    let past = open(directory.path()).unwrap();
    let mut records = past.records::<(u64, u64, u64, u64)>();
    assert_eq!(records.by_ref().count(), 0);
    let error = records.finish().unwrap_err().to_string();
    assert!(
        error.contains("is no record of this program's") && error.contains("offset"),
        "{error}"
    );
}

#[test]
fn two_at_once_are_one_too_many() {
    let (directory, all) = filled();
    let past = open(directory.path()).unwrap();
    let error = open(directory.path()).unwrap_err();
    let expected = format!("process {} works in this directory", std::process::id());
    assert!(error.contains(&expected), "{error}");
    drop(past);
    assert_eq!(records(&open(directory.path()).unwrap()), all);
}

#[test]
fn a_first_use_that_was_cut_short_begins_again_and_anything_else_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["lock", "peers", "peers.new", "log-0000000000000001"] {
        fs::write(directory.path().join(name), "").unwrap();
    }
    drop(open(directory.path()).unwrap());
    write(directory.path(), &[&numbered(0..3)]);
    assert_eq!(records(&open(directory.path()).unwrap()), numbered(0..3));
    let strange = tempfile::tempdir().unwrap();
    fs::write(strange.path().join("thesis.txt"), "all my work").unwrap();
    let error = open(strange.path()).unwrap_err();
    assert!(error.contains("manifest: is missing"), "{error}");
    assert_eq!(names(strange.path()), ["lock", "thesis.txt"]);
}

/// The peers are written by another thread than the log. A snapshot that removed their unfinished
/// file ended the replica.
#[test]
fn a_snapshot_leaves_alone_what_else_is_being_written() {
    let directory = tempfile::tempdir().unwrap();
    let past = open(directory.path()).unwrap();
    let mut journal = Journal::new(&past, None);
    let mut writer = Writer::new(past, false, Some(SEGMENT_BYTES)).unwrap();
    for name in ["peers.new", "snapshot-00000000000000ff.new"] {
        fs::write(directory.path().join(name), b"not finished").unwrap();
    }
    journal.replace(snapshot());
    writer.write(&journal.take().unwrap()).unwrap();
    let left = names(directory.path());
    assert!(left.contains(&"peers.new".to_owned()), "{left:?}");
    assert!(!left.iter().any(|name| name.starts_with("snapshot-") && name.ends_with(".new")));
    drop(writer);
    // A life that begins writes nothing yet.
    let past = open(directory.path()).unwrap();
    assert_eq!(past.remarks.len(), 1, "{:?}", past.remarks);
    assert!(!names(directory.path()).contains(&"peers.new".to_owned()));
}

#[test]
fn a_full_disk_is_told_with_the_file_and_what_was_written_before_is_there() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &[&numbered(0..1)]);
    let log = logs(directory.path()).pop().unwrap();
    let before = open(directory.path()).unwrap();
    let mut journal = Journal::new(&before, None);
    let mut writer = Writer::new(before, false, None).unwrap();
    // The device that takes nothing.
    let kept = directory.path().join("kept");
    fs::rename(&log, &kept).unwrap();
    std::os::unix::fs::symlink("/dev/full", &log).unwrap();
    journal.record(&"2");
    let error = writer.write(&journal.take().unwrap()).unwrap_err();
    assert!(matches!(error, StorageError::NotKept(_)), "{error:?}");
    let error = error.to_string();
    assert!(error.starts_with("the replica ends, since it cannot keep its promises: "), "{error}");
    assert!(error.contains("log-0000000000000001: cannot write: No space left"), "{error}");
    drop(writer);
    fs::rename(&kept, &log).unwrap();
    assert_eq!(records(&open(directory.path()).unwrap()), numbered(0..1));
}

#[test]
fn after_a_death_at_any_step_of_a_switch_the_old_files_count_or_the_new_ones() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &[&numbered(0..1)]);
    let switched = copy(directory.path());
    {
        let past = open(switched.path()).unwrap();
        let mut journal = Journal::new(&past, None);
        let mut writer = Writer::new(past, true, None).unwrap();
        journal.replace(snapshot());
        journal.record(&numbered(1..2)[0]);
        writer.write(&journal.take().unwrap()).unwrap();
    }
    let bring = |from: &TempDir, to: &TempDir, name: &str| {
        fs::copy(from.path().join(name), to.path().join(name)).unwrap();
    };
    let (old, new) = ("log-0000000000000001", "log-0000000000000003");
    // All is written, and the manifest is not switched: the old files count.
    let unfinished = copy(directory.path());
    bring(&switched, &unfinished, new);
    bring(&switched, &unfinished, "snapshot-0000000000000003");
    fs::write(unfinished.path().join("manifest.new"), "half a mani").unwrap();
    let past = open(unfinished.path()).unwrap();
    assert_eq!(past.snapshot, None);
    assert_eq!(records(&past), numbered(0..1));
    assert_eq!(past.remarks.len(), 3, "{:?}", past.remarks);
    // It is switched, and the old files are not removed: the new ones count.
    bring(&directory, &switched, old);
    let past = open(switched.path()).unwrap();
    assert_eq!(past.snapshot, Some(snapshot()));
    assert_eq!(records(&past), numbered(1..2));
    assert_eq!(past.remarks.len(), 1, "{:?}", past.remarks);
}

/// A directory that a replica needs is made with all above it; the files of the one are not those
/// of a clone.
#[test]
fn a_directory_is_made_where_none_is_and_its_clones_write_different_files_of_it() {
    use driver::disk::Disk;

    let above = tempfile::tempdir().unwrap();
    let path = above.path().join("a/b/c");
    let mut disk = DataDirectory::open(&path).unwrap();
    let mut other = disk.clone();
    disk.create("one.new", &[b"1", b"2"]).unwrap();
    other.create("two", &[b"a"]).unwrap();
    disk.append("one.new", b"3").unwrap();
    disk.rename("one.new", "one").unwrap();
    disk.append("one", b"45").unwrap();
    disk.sync("one").unwrap();
    other.append("two", b"b").unwrap();
    disk.truncate("one", 4).unwrap();
    disk.append("one", b"6").unwrap();
    disk.sync("two").unwrap();
    disk.sync_names().unwrap();
    let mut all = disk.names().unwrap();
    all.sort_unstable();
    assert_eq!(all, ["one", "two"], "the lock is no file of a replica's");
    assert_eq!(disk.read("one").unwrap(), b"12346");
    assert_eq!(disk.read("two").unwrap(), b"ab");
    // What is made anew begins anew, whatever was open.
    disk.create("one", &[b"x"]).unwrap();
    disk.append("one", b"y").unwrap();
    assert_eq!(fs::read(path.join("one")).unwrap(), b"xy");
    disk.remove("one").unwrap();
    let gone = std::io::ErrorKind::NotFound;
    assert_eq!(disk.append("one", b"z").unwrap_err().kind(), gone);
    assert_eq!(disk.read("one").unwrap_err().kind(), gone);
}
