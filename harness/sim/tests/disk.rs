//! The durable log over a disk that forgets: what was acknowledged is there after any crash, and
//! nothing flipped is believed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use driver::{
    disk::Disk,
    storage::{Journal, Owner, Past, StorageError, Strange, Writer},
};
use protocols::{Config, ReplicaId, Snapshot};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sim::disk::{DiskCounts, SimDisk};

const REPLICAS: usize = 5;
/// Small enough that a schedule fills several segments.
const SEGMENT_BYTES: u64 = 1_200;

fn owner() -> Owner {
    Owner {
        cluster: "cluster-1".to_owned(),
        replica: ReplicaId(1),
        protocol: protocols::paxos::PROTOCOL,
        config: Config::new(REPLICAS),
    }
}

/// What a replica has on its disk.
#[derive(Clone, Default, PartialEq)]
struct State {
    snapshot: Option<Snapshot>,
    records: Vec<Vec<u8>>,
    peers: Vec<Option<u64>>,
}

impl State {
    fn of(past: &Past<SimDisk>) -> Self {
        let mut records = past.records();
        let all = records.by_ref().collect();
        records.finish().unwrap();
        Self { snapshot: past.snapshot.clone(), records: all, peers: past.peers.known().to_vec() }
    }

    /// What a message can say of it.
    fn lengths(&self) -> String {
        let records: Vec<usize> = self.records.iter().map(Vec::len).collect();
        let snapshot = self.snapshot.as_ref().map(|snapshot| snapshot.machine.len());
        format!("snapshot {snapshot:?}, records {records:?}, peers {:?}", self.peers)
    }
}

/// What one call makes durable.
#[derive(Clone, Debug)]
enum Step {
    Write(Vec<Vec<u8>>),
    Replace(Snapshot, Vec<Vec<u8>>),
    Meet(ReplicaId),
}

impl Step {
    fn draw(random: &mut impl Rng) -> Self {
        let records = |random: &mut _, least| {
            let count = i32::max(least, [0, 1, 1, 2, 5][RngExt::random_range(random, 0..5)]);
            (0..count).map(|_| value(random)).collect()
        };
        match random.random_range(0..12) {
            0 => Self::Meet(ReplicaId(random.random_range(0..5))),
            1 | 2 => {
                let snapshot =
                    Snapshot { machine: value(random).into(), core: value(random).into() };
                Self::Replace(snapshot, records(random, 0))
            }
            _ => Self::Write(records(random, 1)),
        }
    }

    /// The states that may be left if this was begun in `before` and has not ended; the last of
    /// them is the one it leads to.
    fn outcomes(&self, before: &State) -> Vec<State> {
        let mut state = before.clone();
        match self {
            Self::Write(records) => {
                let mut states = Vec::new();
                for record in records {
                    state.records.push(record.clone());
                    states.push(state.clone());
                }
                states
            }
            Self::Replace(snapshot, records) => {
                vec![State {
                    snapshot: Some(snapshot.clone()),
                    records: records.clone(),
                    peers: before.peers.clone(),
                }]
            }
            Self::Meet(peer) => {
                state.peers[peer.index()].get_or_insert(7 + u64::from(peer.0));
                vec![state]
            }
        }
    }
}

/// Values that make it hard to tell what was written: zeros, a single bit, and any bytes, in a
/// sector and over several.
fn value(random: &mut impl Rng) -> Vec<u8> {
    let bytes = match random.random_range(0..6) {
        0 => 0,
        1 | 2 => random.random_range(0..40),
        3 => random.random_range(440..520),
        4 => random.random_range(0..1_600),
        _ => 1,
    };
    let mut value = vec![0; bytes];
    match random.random_range(0..4) {
        0 => {}
        1 if bytes > 0 => value[random.random_range(0..bytes)] = 1 << random.random_range(0..8),
        2 => value.fill(0xff),
        _ => random.fill_bytes(&mut value),
    }
    value
}

/// How often what happened.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    ended_early: u32,
    /// What was begun and not acknowledged: there, or not.
    survived: u32,
    lost: u32,
    cut: usize,
    /// Lives with such a fault.
    failed_syncs: u32,
    full: u32,
    refused: u32,
}

/// A replica's disk over several lives.
struct Lives {
    disk: SimDisk,
    random: ChaCha8Rng,
    is_synced: bool,
    /// What a life relied on, with its incarnation; none before the first one began.
    known: Option<(u64, State)>,
    /// What may be there instead, as something was under way.
    others: Vec<State>,
    /// At which step of the next life a sync fails.
    sync_fails_at: Option<usize>,
    drawn: u64,
    seen: Seen,
}

impl Lives {
    fn new(seed: u64) -> Self {
        Self {
            disk: SimDisk::default(),
            random: ChaCha8Rng::seed_from_u64(seed),
            is_synced: true,
            known: None,
            others: Vec::new(),
            sync_fails_at: None,
            drawn: 0,
            seen: Seen::default(),
        }
    }

    /// Reads what is there, and checks that it is what may be there.
    fn begin(&mut self) -> Result<Past<SimDisk>, StorageError> {
        self.drawn += 1;
        let past = Past::read(self.disk.clone(), owner(), self.drawn)?;
        let found = State::of(&past);
        match &self.known {
            Some((incarnation, known)) => {
                assert_eq!(past.directory.incarnation(), *incarnation, "another replica");
                assert!(
                    found == *known || self.others.contains(&found),
                    "found {}, not {} and none of {:?}",
                    found.lengths(),
                    known.lengths(),
                    self.others.iter().map(State::lengths).collect::<Vec<_>>()
                );
                if !self.others.is_empty() && found == *known {
                    self.seen.lost += 1;
                } else if found != *known {
                    self.seen.survived += 1;
                }
            }
            None => assert_eq!((found.snapshot, found.records.len()), (None, 0), "from nowhere"),
        }
        self.seen.cut += past.remarks.iter().filter(|remark| remark.starts_with("cut ")).count();
        Ok(past)
    }

    /// A life that carries `steps` out, until it ends with an error.
    fn live(&mut self, steps: &[Step]) -> Result<(), StorageError> {
        let sync_fails_at = self.sync_fails_at.take();
        let mut past = self.begin()?;
        let (incarnation, found) = (past.directory.incarnation(), State::of(&past));
        let mut journal = Journal::new(&past, None);
        let mut peers = std::mem::replace(&mut past.peers, driver::storage::Peers::in_memory(0));
        let mut writer = Writer::new(past, self.is_synced, Some(SEGMENT_BYTES))?;
        // From here on the replica acts on what it found.
        self.others.clear();
        let (_, known) = self.known.insert((incarnation, found));
        for (at, step) in steps.iter().enumerate() {
            if sync_fails_at == Some(at) {
                self.disk.fail_next_sync();
            }
            self.others = step.outcomes(known);
            match step {
                Step::Write(records) => {
                    records.iter().for_each(|record| journal.record(record));
                    writer.write(&journal.take().unwrap())?;
                }
                Step::Replace(snapshot, records) => {
                    journal.replace(snapshot.clone());
                    records.iter().for_each(|record| journal.record(record));
                    writer.write(&journal.take().unwrap())?;
                }
                Step::Meet(peer) => match peers.meet(*peer, 7 + u64::from(peer.0)) {
                    Ok(()) => {}
                    Err(Strange::NotKept(error)) => return Err(error),
                    Err(Strange::Other { known }) => panic!("{peer} is known as {known}"),
                },
            }
            *known = self.others.pop().unwrap();
            self.others.clear();
        }
        Ok(())
    }

    /// The same, with the faults that were asked for: no error but theirs may end it.
    fn live_and_die(&mut self, steps: &[Step], is_faulty: bool) {
        if let Err(error) = self.live(steps) {
            assert!(is_faulty && is_the_disks(&error), "refused: {error}");
            self.seen.ended_early += 1;
        }
        match self.random.random_range(0..4) {
            1.. if self.is_synced => self.disk.crash(&mut self.random),
            _ => self.disk.kill(),
        }
        self.disk.full_after(None);
    }

    /// Nothing is under way: wherever a bit flips, the start is refused, by the file's name.
    fn refuses_any_flipped_bit(&mut self) {
        self.live(&[]).unwrap();
        self.disk.crash(&mut self.random);
        let flipped = self.disk.flip_bit(&mut self.random).unwrap();
        let Err(error) = self.begin() else { panic!("{flipped:?} was believed") };
        assert!(error.is_damage(), "{error}");
        assert!(
            error.to_string().starts_with(&self.disk.path(&flipped.file)),
            "{flipped:?}: {error}"
        );
        self.seen.refused += 1;
    }
}

fn is_the_disks(error: &StorageError) -> bool {
    match error {
        StorageError::Disk { .. } => true,
        StorageError::NotKept(error) => is_the_disks(error),
        _ => false,
    }
}

fn steps(random: &mut impl Rng, count: usize) -> Vec<Step> {
    (0..count).map(|_| Step::draw(random)).collect()
}

fn total(all: impl IntoIterator<Item = (Seen, DiskCounts)>) -> (Seen, DiskCounts) {
    let (mut seen, mut counts) = (Seen::default(), DiskCounts::default());
    for (one, of_disk) in all {
        seen.ended_early += one.ended_early;
        seen.survived += one.survived;
        seen.lost += one.lost;
        seen.cut += one.cut;
        seen.failed_syncs += one.failed_syncs;
        seen.full += one.full;
        seen.refused += one.refused;
        counts.sectors_lost += of_disk.sectors_lost;
        counts.torn_tails += of_disk.torn_tails;
        counts.renames_undone += of_disk.renames_undone;
    }
    (seen, counts)
}

/// One schedule after the other is cut at every operation that it does on the disk, from the first
/// use of the directory on.
#[test]
fn what_was_acknowledged_is_there_after_a_crash_at_any_operation() {
    let mut all = Vec::new();
    for seed in 0..150 {
        let steps = steps(&mut ChaCha8Rng::seed_from_u64(seed), 8);
        let mut whole = Lives::new(seed);
        whole.live(&steps).unwrap();
        for operations in 0..=whole.disk.operations() {
            let mut lives = Lives::new(seed << 32 | operations);
            lives.disk.stop_after(operations);
            lives.live_and_die(&steps, true);
            let more = self::steps(&mut lives.random, 2);
            lives.live_and_die(&more, false);
            lives.refuses_any_flipped_bit();
            all.push((lives.seen, lives.disk.counts()));
        }
    }
    let runs = all.len();
    let (seen, counts) = total(all);
    assert!(runs > 5_000 && u32::try_from(runs) == Ok(seen.refused), "{runs} {seen:?}");
    assert!(seen.survived > 500 && seen.lost > 500 && seen.cut > 300, "{seen:?}");
    assert!(counts.sectors_lost > 500 && counts.torn_tails > 500, "{counts:?}");
    assert!(counts.renames_undone > 500, "{counts:?}");
}

/// Without syncs it is there after the process was killed, at any operation.
#[test]
fn what_was_written_and_not_synced_is_there_after_the_process_was_killed() {
    let mut all = Vec::new();
    for seed in 0..100 {
        let steps = steps(&mut ChaCha8Rng::seed_from_u64(seed), 8);
        let lives = || Lives { is_synced: false, ..Lives::new(seed) };
        let mut whole = lives();
        whole.live(&steps).unwrap();
        for operations in 0..=whole.disk.operations() {
            let mut lives = lives();
            lives.disk.stop_after(operations);
            lives.live_and_die(&steps, true);
            lives.live_and_die(&steps, false);
            lives.live(&[]).unwrap();
            all.push((lives.seen, lives.disk.counts()));
        }
    }
    let (seen, counts) = total(all);
    assert!(seen.survived > 100 && seen.lost > 500 && seen.cut > 100, "{seen:?}");
    assert_eq!((counts.sectors_lost, counts.renames_undone), (0, 0));
}

/// Several lives, each ended by any fault: no power, a sync that fails, a full disk. Of the next
/// one's start some are cut, too.
#[test]
fn what_was_acknowledged_is_there_over_many_lives_with_any_faults() {
    let mut all = Vec::new();
    for seed in 0..3_000 {
        let mut lives = Lives::new(seed);
        for _ in 0..6 {
            let count = lives.random.random_range(0..6);
            let steps = steps(&mut lives.random, count);
            let operations = lives.random.random_range(0..40);
            match lives.random.random_range(0..8) {
                0 => {
                    lives.disk.full_after(Some(operations * 60));
                    lives.seen.full += 1;
                }
                // The sync that fails is the first of the start, or a step's.
                1 => {
                    match lives.random.random_range(0..=count) {
                        0 => lives.disk.fail_next_sync(),
                        step => lives.sync_fails_at = Some(step - 1),
                    }
                    lives.seen.failed_syncs += 1;
                }
                _ => lives.disk.stop_after(operations),
            }
            lives.live_and_die(&steps, true);
        }
        lives.refuses_any_flipped_bit();
        all.push((lives.seen, lives.disk.counts()));
    }
    let (seen, _) = total(all);
    assert!(seen.ended_early > 5_000 && seen.refused == 3_000, "{seen:?}");
    assert!(seen.full > 1_000 && seen.failed_syncs > 1_000, "{seen:?}");
    assert!(seen.survived > 500 && seen.lost > 500 && seen.cut > 300, "{seen:?}");
}

/// A bit flips and the machine has lost its power amid a write: the start is refused, or all that
/// was acknowledged is there.
#[test]
fn a_flipped_bit_beside_a_torn_write_costs_nothing_that_was_acknowledged() {
    let (mut refused, mut accepted) = (0, 0);
    for seed in 0..6_000 {
        let mut lives = Lives::new(seed);
        let count = lives.random.random_range(0..6);
        let before = steps(&mut lives.random, count);
        lives.live(&before).unwrap();
        // The start does syncs of its own; then a write begins that is not the last of its steps.
        let operations = lives.random.random_range(5..12);
        lives.disk.stop_after(operations);
        let torn = steps(&mut lives.random, 4);
        if let Err(error) = lives.live(&torn) {
            assert!(is_the_disks(&error), "{error}");
        }
        lives.disk.crash(&mut lives.random);
        lives.disk.flip_bit(&mut lives.random).unwrap();
        match lives.begin() {
            Ok(_) => accepted += 1,
            Err(error) => {
                assert!(error.is_damage(), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 3_000 && accepted > 100, "{refused} {accepted}");
}
