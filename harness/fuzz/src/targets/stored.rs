//! What is read from a disk.

use driver::storage::record::{self, Payloads, Rest, place, unstamped};
use protocols::{Replica, kv::Kv, multi_paxos::MultiPaxos};

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
    file(0, bytes)
}

pub(super) fn snapshot_file(bytes: &[u8]) -> bool {
    file(1, bytes)
}

pub(super) fn manifest(bytes: &[u8]) -> bool {
    file(2, bytes)
}

pub(super) fn peers(bytes: &[u8]) -> bool {
    file(3, bytes)
}

thread_local! {
    static DATA: Data = Data::of_corpus();
}

/// A data directory in which one file, one of [`samples::data_names`], holds these bytes; accepted
/// if a replica would start from it. All that is applied is what was recorded, or nothing is.
fn file(which: usize, bytes: &[u8]) -> bool {
    DATA.with(|data| {
        let disk = data.with(samples::data_names()[which], bytes);
        let Some(past) = samples::read(disk) else { return false };
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
    })
}
