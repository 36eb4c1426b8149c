//! Snapshots as files: `header · length of the machine's part u64 · length of the core's part u64 ·
//! both · checksum u64`. The checksum covers everything before it.

use protocols::Snapshot;
use xxhash_rust::xxh3::Xxh3Default;

use super::{
    StorageError,
    directory::{Directory, snapshot_name},
    header::Kind,
    sheet::{self, damaged, read_file},
};
use crate::disk::Disk;

/// Writes `snapshot`, behind which record `next` comes, as a whole or not at all.
pub(super) fn write<D: Disk>(
    directory: &mut Directory<D>,
    snapshot: &Snapshot,
    next: u64,
    synced: bool,
) -> Result<(), StorageError> {
    let mut head = directory.header(next).encode(Kind::Snapshot);
    for part in [&snapshot.machine, &snapshot.core] {
        head.extend_from_slice(&(part.len() as u64).to_le_bytes());
    }
    let pieces = [&head, &snapshot.machine[..], &snapshot.core[..]];
    let mut hash = Xxh3Default::new();
    pieces.iter().for_each(|piece| hash.update(piece));
    let checksum = hash.digest().to_le_bytes();
    let [head, machine, core] = pieces;
    sheet::put_in_place(
        directory.disk(),
        &snapshot_name(next),
        &[head, machine, core, &checksum],
        synced,
    )
}

/// Reads the snapshot behind which record `next` comes.
pub(super) fn read<D: Disk>(
    directory: &mut Directory<D>,
    next: u64,
) -> Result<Snapshot, StorageError> {
    let (header, name, disk) = (directory.header(next), snapshot_name(next), directory.disk());
    let bytes = read_file(disk, &name)?;
    let start = header.expect(Kind::Snapshot, disk, &name, &bytes)?;
    decode(&bytes, start).ok_or_else(|| {
        damaged(disk, &name, format!("is not as it was written: damage behind offset {start}"))
    })
}

fn decode(bytes: &[u8], start: usize) -> Option<Snapshot> {
    let (covered, checksum) = bytes.split_last_chunk::<8>()?;
    let mut hash = Xxh3Default::new();
    hash.update(covered);
    if hash.digest().to_le_bytes() != *checksum {
        return None;
    }
    // The header ends with a sum over itself: it is no snapshot on its own.
    let (machine_length, rest) = covered.get(start..)?.split_first_chunk::<8>()?;
    let (core_length, rest) = rest.split_first_chunk::<8>()?;
    let machine_length = usize::try_from(u64::from_le_bytes(*machine_length)).ok()?;
    let (machine, core) = rest.split_at_checked(machine_length)?;
    let whole = u64::from_le_bytes(*core_length) == core.len() as u64;
    whole.then(|| Snapshot { machine: machine.into(), core: core.into() })
}
