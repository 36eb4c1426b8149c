//! What is read from a disk.

use std::{cell::RefCell, fs, path::PathBuf};

use driver::storage::record::{self, Payloads, Rest, place, unstamped};
use protocols::{Replica, kv::Kv, multi_paxos::MultiPaxos};
use tempfile::TempDir;

use super::wire::value;
use crate::samples::{self, Data};

/// The machine's state.
pub(super) fn machine(bytes: &[u8]) -> bool {
    let Ok(kv) = Kv::restore(bytes) else { return false };
    let again = Kv::restore(&kv.snapshot()).expect("a snapshot of it can be restored");
    assert_eq!(again.digest(), kv.digest(), "another state once written down again");
    assert_eq!(again.key_digests(0, 1), kv.key_digests(0, 1));
    true
}

/// A record of a core, without what the log puts around it.
pub(super) fn record<R: Replica>(bytes: &[u8]) -> bool {
    value::<R::Record>(bytes).is_some()
}

/// Records with what the log puts around them; accepted if at least one is whole.
pub(super) fn log_records(bytes: &[u8]) -> bool {
    let stream = unstamped(bytes);
    let extent = record::extent(bytes, &stream, 0, samples::INCARNATION, 0);
    assert!(extent.end <= stream.len() && place(extent.end) <= bytes.len());
    assert_eq!(extent.rest == Rest::Empty, place(extent.end) == bytes.len());
    let (mut at, mut next) = (0, 0);
    while at < extent.end {
        let write = record::read(&stream[at..], samples::INCARNATION, next)
            .expect("whole, by what was said of the extent");
        at += write.bytes;
        next += write.records;
    }
    assert_eq!((at, next), (extent.end, extent.next));
    assert_eq!(Payloads::new(&stream[..at]).count() as u64, next);
    // What is kept is kept, whatever comes behind it, and is all that there is once the rest is cut.
    let kept = &bytes[..place(extent.end)];
    let kept = record::extent(kept, &unstamped(kept), 0, samples::INCARNATION, 0);
    assert_eq!((kept.end, kept.next, kept.rest), (extent.end, extent.next, Rest::Empty));
    extent.next > 0
}

/// The only segment of a directory's log.
pub(super) fn log_segment(bytes: &[u8]) -> bool {
    file(|data| &data.log, bytes)
}

pub(super) fn snapshot_file(bytes: &[u8]) -> bool {
    file(|data| &data.snapshot, bytes)
}

pub(super) fn manifest(bytes: &[u8]) -> bool {
    file(|data| &data.manifest, bytes)
}

pub(super) fn peers(bytes: &[u8]) -> bool {
    file(|data| &data.peers, bytes)
}

thread_local! {
    static DATA: RefCell<Option<(TempDir, Data)>> = const { RefCell::new(None) };
}

/// A data directory in which one file holds these bytes; accepted if a replica would start from it. Whatever is applied is
/// what was recorded, or nothing is.
fn file(which: fn(&Data) -> &PathBuf, bytes: &[u8]) -> bool {
    DATA.with_borrow_mut(|made| {
        let (directory, data) = made.get_or_insert_with(|| {
            let directory = tempfile::tempdir().expect("the host has a directory for such files");
            let data = samples::data_directory(directory.path());
            (directory, data)
        });
        let path = which(data);
        let before = fs::read(path).expect("the file was there");
        fs::write(path, bytes).expect("it can be written");
        let accepted = starts(data);
        if !path.exists() || fs::read(path).is_ok_and(|now| now != before) {
            // A start may have removed others, too: begin with a new directory.
            for entry in fs::read_dir(directory.path()).expect("it is there").flatten() {
                let _ = fs::remove_file(entry.path());
            }
            *data = samples::data_directory(directory.path());
        }
        accepted
    })
}

fn starts(data: &Data) -> bool {
    let Some(past) = samples::read(&data.directory) else { return false };
    if let Some(snapshot) = &past.snapshot {
        assert_eq!(snapshot, &data.kept, "a snapshot that was never taken");
    }
    let mut records = past.records::<<MultiPaxos as Replica>::Record>();
    let found: Vec<_> = records.by_ref().collect();
    if records.finish().is_err() {
        return false;
    }
    assert!(data.records.starts_with(&found), "records that were never written");
    true
}
