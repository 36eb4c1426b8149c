use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;

/// What is left after a crash of what `write` did, over many draws.
fn left<T: Ord>(write: impl Fn(&mut SimDisk), look: impl Fn(&SimDisk) -> T) -> BTreeSet<T> {
    let left = (0..300).map(|seed| {
        let mut disk = SimDisk::default();
        write(&mut disk);
        disk.crash(&mut ChaCha8Rng::seed_from_u64(seed));
        look(&disk)
    });
    left.collect()
}

fn make(disk: &mut SimDisk, name: &str, bytes: &[u8]) {
    disk.create(name, &[bytes]).unwrap();
    disk.sync(name).unwrap();
    disk.sync_names().unwrap();
}

#[test]
fn what_was_synced_survives_and_of_the_rest_any_sectors_and_any_length() {
    let write = |disk: &mut SimDisk| {
        make(disk, "a", &[1; 700]);
        disk.append("a", &[2; 1_000]).unwrap();
    };
    let left = left(write, |disk| disk.read("a").unwrap());
    let mut kinds = BTreeSet::new();
    for content in &left {
        assert!((700..=1_700).contains(&content.len()));
        assert!(content[..700].iter().all(|byte| *byte == 1));
        let parts = [700..1_024, 1_024..1_536, 1_536..1_700].map(|part| {
            let part = content.get(part.start..part.end.min(content.len())).unwrap_or_default();
            let byte = part.first().copied();
            assert!(part.iter().all(|other| Some(*other) == byte && [0, 2].contains(other)));
            byte
        });
        kinds.insert((parts, [700, 1_700].contains(&content.len())));
    }
    // Of three sectors any subset, whole, and every number of sectors with the last one cut.
    let whole = kinds.iter().filter(|(parts, is_end)| *is_end && parts[2].is_some()).count();
    assert_eq!(whole, 8, "{kinds:?}");
    assert!(kinds.contains(&([None; 3], true)) && kinds.len() == 8 + 1 + 2 + 4 + 8, "{kinds:?}");
}

#[test]
fn a_sector_written_twice_is_left_in_any_of_its_versions_and_what_was_cut_off_may_be_back() {
    let twice = |disk: &mut SimDisk| {
        make(disk, "a", b"1");
        disk.append("a", b"2").unwrap();
        disk.append("a", b"3").unwrap();
    };
    let both = left(twice, |disk| disk.read("a").unwrap());
    let expected: [&[u8]; 6] = [b"1", b"1\0", b"1\0\0", b"12", b"12\0", b"123"];
    assert_eq!(both.iter().map(Vec::as_slice).collect::<Vec<_>>(), expected);
    let cut = |disk: &mut SimDisk| {
        make(disk, "a", b"123");
        disk.truncate("a", 1).unwrap();
    };
    let cut = left(cut, |disk| disk.read("a").unwrap());
    let expected: [&[u8]; 5] = [b"1", b"1\0", b"1\0\0", b"12", b"123"];
    assert_eq!(cut.iter().map(Vec::as_slice).collect::<Vec<_>>(), expected);
}

#[test]
fn of_the_changes_of_names_any_first_ones_survive() {
    let write = |disk: &mut SimDisk| {
        make(disk, "a", b"old");
        make(disk, "b", b"other");
        make(disk, "a.new", b"new");
        disk.rename("a.new", "a").unwrap();
        disk.remove("b").unwrap();
    };
    let look = |disk: &SimDisk| (disk.names().unwrap().join(" "), disk.read("a").unwrap());
    let all = left(write, look);
    let expected = [("a", "new"), ("a a.new b", "old"), ("a b", "new")];
    let expected = expected.map(|(names, a)| (names.to_owned(), a.as_bytes().to_vec()));
    assert_eq!(all.into_iter().collect::<Vec<_>>(), expected);
    let synced = |disk: &mut SimDisk| {
        write(disk);
        disk.sync_names().unwrap();
    };
    assert_eq!(left(synced, look).len(), 1);
}

#[test]
fn a_killed_process_leaves_everything_and_a_later_crash_may_take_it() {
    let write = |disk: &mut SimDisk| {
        make(disk, "a", b"1");
        disk.append("a", b"2").unwrap();
        disk.create("b", &[b"new"]).unwrap();
        disk.kill();
        assert_eq!(disk.read("a").unwrap(), b"12");
        assert_eq!(disk.read("b").unwrap(), b"new");
    };
    let look = |disk: &SimDisk| (disk.read("a").unwrap(), disk.read("b").ok());
    assert!(left(write, look).contains(&(b"1".to_vec(), None)));
}

#[test]
fn a_sync_fails_once_and_makes_nothing_durable() {
    let write = |disk: &mut SimDisk| {
        make(disk, "a", b"1");
        disk.append("a", b"2").unwrap();
        disk.fail_next_sync();
        assert!(disk.sync("a").is_err());
        disk.create("b", &[]).unwrap();
        disk.fail_next_sync();
        assert!(disk.sync_names().is_err());
    };
    let look = |disk: &SimDisk| (disk.read("a").unwrap(), disk.names().unwrap().len());
    assert!(left(write, look).contains(&(b"1".to_vec(), 1)));
    let again = |disk: &mut SimDisk| {
        write(disk);
        disk.sync("a").unwrap();
        disk.sync_names().unwrap();
    };
    assert_eq!(left(again, look), BTreeSet::from([(b"12".to_vec(), 2)]));
}

#[test]
fn a_full_disk_takes_what_there_is_room_for() {
    let mut disk = SimDisk::default();
    disk.full_after(Some(5));
    disk.create("a", &[b"12", b"3"]).unwrap();
    let full = disk.append("a", b"456").unwrap_err();
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    assert_eq!(disk.read("a").unwrap(), b"12345");
    disk.crash(&mut ChaCha8Rng::seed_from_u64(1));
    assert!(disk.create("b", &[b"1"]).is_err(), "it is full after a crash, too");
    disk.full_after(None);
    disk.create("b", &[b"1"]).unwrap();
}

#[test]
fn a_machine_that_stops_does_half_of_a_write_and_nothing_more() {
    for operations in 0..6 {
        let mut disk = SimDisk::default();
        disk.stop_after(operations);
        let done = [
            disk.create("a", &[b"1234"]).is_ok(),
            disk.sync("a").is_ok(),
            disk.append("a", b"5678").is_ok(),
            disk.rename("a", "b").is_ok(),
            disk.sync_names().is_ok(),
        ];
        // The last operation is done; a write only by half, which is an error.
        let expected = match operations {
            0 | 1 => 0,
            3 => 2,
            other => other,
        };
        assert_eq!(done.iter().filter(|done| **done).count() as u64, expected, "{operations}");
        assert_eq!(disk.operations(), operations.min(5));
        assert_eq!(disk.names().is_ok(), operations > 5, "it cannot be read either");
        disk.kill();
        let (name, content): (&str, Option<&[u8]>) = match operations {
            0 => ("a", None),
            1 => ("a", Some(b"12")),
            2 => ("a", Some(b"1234")),
            3 => ("a", Some(b"123456")),
            _ => ("b", Some(b"12345678")),
        };
        assert_eq!(disk.read(name).ok().as_deref(), content, "{operations}");
    }
}

#[test]
fn a_flipped_bit_is_one_bit_of_a_durable_file_and_is_seen() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut disk = SimDisk::default();
    assert_eq!(disk.flip_bit(&mut random), None);
    let contents: [(&str, &[u8]); 3] = [("a", &[0; 9]), ("b", &[0xff; 600]), ("c", &[])];
    contents.iter().for_each(|(name, bytes)| make(&mut disk, name, bytes));
    disk.create("never-synced", &[b"1"]).unwrap();
    let mut hit = BTreeSet::new();
    for flips in 1..50 {
        let before = contents.map(|(name, _)| disk.read(name).unwrap());
        let FlippedBit { file, byte } = disk.flip_bit(&mut random).unwrap();
        for ((name, _), before) in contents.iter().zip(&before) {
            let after = disk.read(name).unwrap();
            let bits = before.iter().zip(&after).map(|(old, new)| (old ^ new).count_ones());
            let is_it = *name == file;
            assert_eq!(bits.sum::<u32>(), u32::from(is_it));
            assert!(!is_it || before[byte] != after[byte]);
        }
        assert_eq!(disk.counts().bits_flipped, flips);
        hit.insert(file);
    }
    assert_eq!(hit, BTreeSet::from(["a".to_owned(), "b".to_owned()]));
}

#[test]
fn what_happens_is_counted() {
    let mut disk = SimDisk::default();
    make(&mut disk, "a", &[1; 600]);
    make(&mut disk, "b", b"1");
    disk.append("a", &[1; 5_000]).unwrap();
    disk.rename("b", "c").unwrap();
    let before = disk.counts();
    let expected = DiskCounts { writes: 3, bytes: 5_601, syncs: 4, ..DiskCounts::default() };
    assert_eq!(before, expected);
    let mut sums = DiskCounts::default();
    for seed in 0..50 {
        let mut disk = SimDisk::default();
        make(&mut disk, "a", &[1; 600]);
        disk.append("a", &[1; 5_000]).unwrap();
        disk.rename("a", "b").unwrap();
        disk.crash(&mut ChaCha8Rng::seed_from_u64(seed));
        let after = disk.counts();
        let is_back = disk.names().unwrap() == ["a"];
        assert_eq!(after.renames_undone, u64::from(is_back));
        let content = disk.read(if is_back { "a" } else { "b" }).unwrap();
        assert_eq!(after.torn_tails, u64::from(content.len() < 5_600));
        sums.sectors_lost += after.sectors_lost;
        sums.renames_undone += after.renames_undone;
        sums.torn_tails += after.torn_tails;
    }
    assert!((100..400).contains(&sums.sectors_lost), "of 500: {sums:?}");
    assert!((10..40).contains(&sums.renames_undone), "of 50: {sums:?}");
    assert!((20..45).contains(&sums.torn_tails), "of 50: {sums:?}");
}
