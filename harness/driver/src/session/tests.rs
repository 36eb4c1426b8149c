use std::collections::{BTreeMap, BTreeSet};

use protocols::{Batch, Outcome, kv::Kv};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

const CLIENT: ClientId = ClientId(7);
const PUT: Command<'_> = Command::Put { key: b"k", value: b"v" };
const GET: Command<'_> = Command::Get { key: b"k" };
const ANY: Target = Target::First(ReplicaId(0));

/// An attempt takes 10, and a request is sent twice at most.
const TWICE: Policy = Policy { attempt_ns: 10, total_ns: Nanos::MAX, sends_max: 2 };
/// As above, but a request has 100 in all, and is sent three times at most.
const BOUNDED: Policy = Policy { attempt_ns: 10, total_ns: 100, sends_max: 3 };

fn session(policy: Policy) -> ClientSession<()> {
    ClientSession::new(CLIENT, 3, policy)
}

/// Opens a write and sends it: its index, and the floor that it carried.
fn write(session: &mut ClientSession<()>, now: Nanos) -> (u64, u64) {
    let number = session.open(RequestKind::Write, ANY, now, ());
    let request = session.send(number, PUT).unwrap();
    assert_eq!((request.client, request.number), (CLIENT, number));
    (number.index(), request.unanswered_from)
}

fn close_write(session: &mut ClientSession<()>, index: u64) -> bool {
    session.close(RequestNumber::write(index)).is_some()
}

#[test]
fn the_floor_is_the_lowest_open_write() {
    let mut session = session(TWICE);
    assert_eq!(session.unanswered_from(), 1);
    assert_eq!([write(&mut session, 0), write(&mut session, 0)], [(1, 1), (2, 1)]);
    assert!(close_write(&mut session, 2));
    assert_eq!(write(&mut session, 0), (3, 1), "the first write is open");
    assert!(close_write(&mut session, 1));
    assert_eq!(session.unanswered_from(), 3, "the second was closed before");
    assert!(close_write(&mut session, 3));
    assert_eq!(write(&mut session, 0), (4, 4), "a write is not below its own floor");
}

#[test]
fn reads_have_numbers_of_their_own_and_leave_the_floor_alone() {
    let mut session = session(TWICE);
    write(&mut session, 0);
    for index in 1..=3 {
        let number = session.open(RequestKind::Read, ANY, 0, ());
        assert_eq!(number, RequestNumber::read(index));
        assert_eq!(session.send(number, GET).unwrap().unanswered_from, 1);
    }
    assert!(session.close(RequestNumber::read(1)).is_some());
    assert!(session.get(RequestNumber::write(1)).is_some(), "the read had the same index");
    assert_eq!((session.unanswered_from(), session.len()), (1, 3));
}

#[test]
fn an_answer_is_taken_once() {
    let mut session = session(TWICE);
    write(&mut session, 0);
    write(&mut session, 0);
    assert!(close_write(&mut session, 2));
    assert!(!close_write(&mut session, 2), "a second answer, while an earlier write is open");
    assert!(close_write(&mut session, 1));
    assert!(!close_write(&mut session, 1), "a second answer, with nothing open");
    assert!(![0, 3, u64::MAX >> 1].into_iter().any(|index| close_write(&mut session, index)));
    assert!(session.is_empty());
    assert_eq!(session.send(RequestNumber::write(1), PUT), None, "it is over");
    assert_eq!(write(&mut session, 0), (3, 3), "no number is given out again");
}

#[test]
fn a_retry_keeps_its_number_and_asks_the_next_replica() {
    let mut session = session(TWICE);
    let number = session.open(RequestKind::Write, Target::First(ReplicaId(2)), 5, ());
    let first = session.send(number, PUT).unwrap();
    assert_eq!(session.due(number, 14), None);
    assert_eq!(session.due(number, 15), Some(Due::Again));
    assert_eq!(session.move_on(number, 15, |next| next), Some(ReplicaId(0)));
    assert_eq!(session.send(number, PUT), Some(first), "one request, sent twice");
    assert_eq!(session.due(number, 24), None);
    assert_eq!(session.due(number, 25), Some(Due::GiveUp), "it was sent twice");
    assert_eq!(session.move_on(number, 25, |next| next), None);
    assert_eq!(session.due(number, 25), Some(Due::GiveUp), "it does not wait for ever");
    assert_eq!(session.close(number).map(|closed| (closed.begun, closed.sends)), Some((5, 2)));
    assert_eq!(session.due(number, 25), None);
}

/// A replica that waits to propose the one drops it when the other is decided, since they are
/// equal.
#[test]
fn a_retry_is_what_was_sent_first_byte_for_byte() {
    let mut session = session(TWICE);
    write(&mut session, 0);
    let number = session.open(RequestKind::Write, ANY, 0, ());
    let first = Batch::single(&session.send(number, PUT).unwrap()).unwrap();
    assert!(close_write(&mut session, 1));
    assert_eq!(session.unanswered_from(), 2, "another floor than the first copy carries");
    assert_eq!(session.move_on(number, 10, |next| next), Some(ReplicaId(1)));
    assert_eq!(Batch::single(&session.send(number, PUT).unwrap()).unwrap(), first);
}

#[test]
fn a_pinned_request_stays_with_its_replica() {
    let mut session = session(Policy { sends_max: u32::MAX, ..TWICE });
    let number = session.open(RequestKind::Read, Target::Only(ReplicaId(1)), 0, ());
    for attempt in 1..10 {
        session.send(number, GET);
        assert_eq!(session.due(number, 10 * attempt), Some(Due::Again));
        let next = session.move_on(number, 10 * attempt, |_| panic!("it has no choice"));
        assert_eq!(next, Some(ReplicaId(1)));
    }
}

#[test]
fn the_user_may_take_another_replica_than_the_next() {
    let mut session = session(TWICE);
    let (index, _) = write(&mut session, 0);
    let number = RequestNumber::write(index);
    let skipped = session.move_on(number, 10, |next| {
        assert_eq!(next, ReplicaId(1));
        ReplicaId(2)
    });
    assert_eq!(skipped, Some(ReplicaId(2)));
    assert_eq!(session.get(number).unwrap().to, ReplicaId(2));
}

/// One attempt may end early, since its connection broke. The bound on the sends holds all the
/// same.
#[test]
fn a_request_with_a_bounded_time_waits_for_its_end_after_the_last_send() {
    let mut session = session(BOUNDED);
    let number = session.open(RequestKind::Write, ANY, 0, ());
    for now in [0, 1, 2] {
        assert!(session.send(number, PUT).is_some());
        let again = session.move_on(number, now, |next| next);
        assert_eq!(again.is_some(), now < 2, "three sends");
    }
    assert_eq!(session.send(number, PUT), None, "whatever the reason");
    assert_eq!(session.due(number, 99), None, "an answer may still come");
    assert_eq!(session.due(number, 100), Some(Due::GiveUp));
}

#[test]
fn a_request_that_never_left_is_given_up_when_its_time_is_over() {
    let mut session = session(BOUNDED);
    let number = session.open(RequestKind::Write, ANY, 0, ());
    for now in (10..100).step_by(10) {
        assert_eq!(session.due(number, now), Some(Due::Again), "at {now}");
        assert!(session.move_on(number, now, |next| next).is_some());
    }
    assert_eq!(session.due(number, 100), Some(Due::GiveUp));
    assert!(session.close(number).unwrap().is_without_effect(false));
}

#[test]
fn an_attempt_that_is_postponed_ends_with_the_whole_time_at_the_latest() {
    let mut session = session(BOUNDED);
    let number = session.open(RequestKind::Read, ANY, 0, ());
    session.send(number, GET);
    session.postpone(number, 50);
    assert_eq!([session.due(number, 49), session.due(number, 50)], [None, Some(Due::Again)]);
    session.postpone(number, 1_000);
    assert_eq!([session.due(number, 99), session.due(number, 100)], [None, Some(Due::GiveUp)]);
}

#[test]
fn without_a_limit_nothing_is_overdue() {
    let for_ever = Policy { attempt_ns: Nanos::MAX, total_ns: Nanos::MAX, sends_max: u32::MAX };
    let mut session = session(for_ever);
    write(&mut session, 5);
    assert_eq!(session.overdue(Nanos::MAX - 1).count(), 0);
}

#[test]
fn what_is_refused_or_given_up_may_have_taken_effect_unless_it_left_once_at_most() {
    for (sends, refused, without_effect) in
        [(0, false, true), (1, true, true), (1, false, false), (2, true, false), (2, false, false)]
    {
        let mut session = session(TWICE);
        let number = session.open(RequestKind::Write, ANY, 0, ());
        for _ in 0..sends {
            session.send(number, PUT);
        }
        let closed = session.close(number).unwrap();
        assert_eq!(closed.is_without_effect(refused), without_effect, "{sends} {refused}");
    }
}

/// A write is given up while a copy of it is under way.
#[test]
fn a_late_copy_of_a_write_that_was_given_up_is_applied_once() {
    for first_copy_comes_late in [false, true] {
        let (mut session, mut kv) = (session(TWICE), Kv::default());
        let number = session.open(RequestKind::Write, ANY, 0, ());
        let command = Command::Append { key: b"k", value: b"1" };
        let copy = session.send(number, command).unwrap();
        if !first_copy_comes_late {
            assert_eq!(kv.apply(&copy), Outcome::Done);
        }
        assert!(session.close(number).is_some());
        let next = session.open(RequestKind::Write, ANY, 20, ());
        let command = Command::Append { key: b"k", value: b"2" };
        let request = session.send(next, command).unwrap();
        assert_eq!(request.unanswered_from, 2, "the floor passes what was given up");
        assert_eq!(kv.apply(&request), Outcome::Done);
        let outcomes = [(); 3].map(|()| kv.apply(&copy));
        let expected: &[u8] = if first_copy_comes_late { b"21" } else { b"12" };
        assert_eq!(kv.value(b"k"), Some(expected), "each once, and nothing more");
        assert!(outcomes[1..].iter().all(|outcome| *outcome == Outcome::Forgotten));
        assert!(session.close(number).is_none(), "nobody waits for these answers");
    }
}

/// The first write is answered at a replica, and its answer is lost. Others come to their end.
#[test]
fn the_result_of_an_open_write_is_there_when_it_is_asked_for_again() {
    let (mut session, mut kv) = (session(TWICE), Kv::default());
    let lost = session.open(RequestKind::Write, ANY, 0, ());
    kv.apply(&session.send(lost, PUT).unwrap());
    for _ in 0..100 {
        let number = session.open(RequestKind::Write, ANY, 0, ());
        assert_eq!(kv.apply(&session.send(number, PUT).unwrap()), Outcome::Done);
        assert!(session.close(number).is_some());
    }
    assert_eq!(kv.answered(&session.send(lost, PUT).unwrap()), Some(Outcome::Done));
}

/// A client that gives up its first write, and one that waits for it: replicas go on with the one,
/// and refuse the other as soon as its session says that it has no room.
#[test]
fn a_write_that_was_given_up_holds_no_results_and_an_open_one_holds_all() {
    for gives_up in [true, false] {
        let (mut session, mut kv) = (session(TWICE), Kv::default());
        let stuck = session.open(RequestKind::Write, ANY, 0, ());
        kv.apply(&session.send(stuck, PUT).unwrap());
        if gives_up {
            assert!(session.close(stuck).is_some());
        }
        for _ in 0..OUTCOMES_MAX + 10 {
            let has_room = session.has_room();
            let number = session.open(RequestKind::Write, ANY, 0, ());
            let request = session.send(number, PUT).unwrap();
            let admitted = kv.sessions().admits(CLIENT, request.unanswered_from);
            assert_eq!(admitted, has_room, "{number:?}");
            assert!(admitted || !gives_up, "{number:?}");
            kv.apply(&request);
            assert!(session.close(number).is_some());
        }
        assert_eq!(session.has_room(), gives_up);
    }
}

#[test]
fn the_best_replica_is_the_first_of_the_lowest_rank_around() {
    let best = |to, ranks: [u8; 4]| best_from(ReplicaId(to), 4, |at| ranks[at.index()]).0;
    assert_eq!([0, 1, 2, 3].map(|to| best(to, [1, 0, 1, 0])), [1, 1, 3, 3]);
    assert_eq!([0, 1, 2, 3].map(|to| best(to, [2; 4])), [0, 1, 2, 3], "all are alike");
    assert_eq!(best(3, [2, 2, 1, 3]), 2);
}

#[test]
fn a_window_that_moves_on_allocates_nothing() {
    let mut session = session(TWICE);
    for _ in 0..500 {
        write(&mut session, 0);
    }
    let capacity = session.writes.capacity();
    for index in 1..100_000 {
        assert!(close_write(&mut session, index));
        write(&mut session, 0);
    }
    assert_eq!(session.writes.capacity(), capacity);
}

/// What a session should be: a list of everything ever opened.
struct Naive {
    policy: Policy,
    replicas: usize,
    writes: u64,
    reads: u64,
    open: BTreeMap<RequestNumber, NaiveOpen>,
    closed: Vec<RequestNumber>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct NaiveOpen {
    tag: u64,
    begun: Nanos,
    deadline: Nanos,
    floor: u64,
    sends: u32,
    to: usize,
    pinned: bool,
}

impl Naive {
    fn floor(&self) -> u64 {
        let writes = self.open.keys().filter(|number| !number.is_read());
        writes.map(|number| number.index()).min().unwrap_or(self.writes + 1)
    }

    fn due(&self, open: &NaiveOpen, now: Nanos) -> Option<Due> {
        let bounded = self.policy.total_ns < Nanos::MAX;
        let over = bounded && now >= open.begun + self.policy.total_ns;
        let spent = !bounded && open.sends >= self.policy.sends_max;
        match now >= open.deadline {
            _ if over => Some(Due::GiveUp),
            true if spent => Some(Due::GiveUp),
            true => Some(Due::Again),
            false => None,
        }
    }
}

/// A session beside its naive version, under one stream of draws.
struct Pair {
    session: ClientSession<u64>,
    naive: Naive,
    now: Nanos,
    tag: u64,
    /// The most requests that are open at once.
    window: usize,
    gave_up: u64,
}

impl Pair {
    fn new(policy: Policy, replicas: usize, window: usize) -> Self {
        let open = BTreeMap::new();
        let naive = Naive { policy, replicas, writes: 0, reads: 0, open, closed: Vec::new() };
        let session = ClientSession::new(CLIENT, replicas, policy);
        Self { session, naive, now: 0, tag: 0, window, gave_up: 0 }
    }

    fn step(&mut self, rng: &mut impl Rng) {
        match rng.random_range(0..100) {
            0..45 => self.open(rng),
            45..85 => self.close(rng),
            85..90 => self.answer_what_is_not_open(rng),
            90..95 => self.try_again(rng),
            95..98 => self.postpone(rng),
            _ => self.now += rng.random_range(0..20),
        }
    }

    fn open(&mut self, rng: &mut impl Rng) {
        if self.naive.open.len() >= self.window {
            return;
        }
        self.tag += 1;
        let (is_read, to) = (rng.random_bool(0.3), rng.random_range(0..self.naive.replicas));
        let (pinned, floor) = (rng.random_bool(0.2), self.naive.floor());
        let naive = &mut self.naive;
        let expected = if is_read {
            naive.reads += 1;
            RequestNumber::read(naive.reads)
        } else {
            naive.writes += 1;
            RequestNumber::write(naive.writes)
        };
        let kind = if is_read { RequestKind::Read } else { RequestKind::Write };
        let replica = ReplicaId::from_index(to);
        let target = if pinned { Target::Only(replica) } else { Target::First(replica) };
        let number = self.session.open(kind, target, self.now, self.tag);
        assert_eq!(number, expected);
        let deadline = self.now + naive.policy.attempt_ns.min(naive.policy.total_ns);
        let (tag, begun) = (self.tag, self.now);
        let open = NaiveOpen { tag, begun, deadline, floor, sends: 0, to, pinned };
        assert!(naive.open.insert(number, open).is_none(), "{number:?} was given out before");
        if rng.random_bool(0.9) {
            self.send(number);
        }
    }

    fn send(&mut self, number: RequestNumber) {
        let sends_max = self.naive.policy.sends_max;
        let open = self.naive.open.get_mut(&number).filter(|open| open.sends < sends_max);
        let command = if number.is_read() { GET } else { PUT };
        let sent = self.session.send(number, command);
        assert_eq!(sent.is_some(), open.is_some(), "{number:?}");
        let (Some(open), Some(sent)) = (open, sent) else { return };
        open.sends += 1;
        let unanswered_from = open.floor;
        let expected = Request { client: CLIENT, number, unanswered_from, command };
        assert_eq!(sent, expected);
    }

    /// Of those that are open; the oldest ones are seldom drawn, so that gaps grow behind them.
    fn draw_open(&self, rng: &mut impl Rng) -> Option<RequestNumber> {
        let count = self.naive.open.len();
        if count == 0 {
            return None;
        }
        let skipped = if rng.random_bool(0.98) { count / 10 } else { 0 };
        self.naive.open.keys().nth(rng.random_range(skipped..count)).copied()
    }

    fn close(&mut self, rng: &mut impl Rng) {
        let Some(number) = self.draw_open(rng) else { return };
        self.close_one(number);
    }

    fn close_one(&mut self, number: RequestNumber) {
        let expected = self.naive.open.remove(&number).unwrap();
        let closed = self.session.close(number).map(|open| naive_of(&open));
        assert_eq!(closed, Some(expected), "{number:?}");
        self.naive.closed.push(number);
    }

    fn answer_what_is_not_open(&mut self, rng: &mut impl Rng) {
        let beyond = RequestNumber::write(self.naive.writes + rng.random_range(1..1_000));
        assert!(self.session.close(beyond).is_none(), "{beyond:?} was never opened");
        if self.naive.closed.is_empty() {
            return;
        }
        let number = self.naive.closed[rng.random_range(0..self.naive.closed.len())];
        assert!(self.session.close(number).is_none(), "{number:?} was closed before");
        self.send(number);
    }

    fn try_again(&mut self, rng: &mut impl Rng) {
        let Some(number) = self.draw_open(rng) else { return };
        self.move_on(number, rng);
    }

    fn move_on(&mut self, number: RequestNumber, rng: &mut impl Rng) {
        let Naive { policy, replicas, ref mut open, .. } = self.naive;
        let open = open.get_mut(&number).unwrap();
        let detour = rng.random_bool(0.2).then(|| rng.random_range(0..replicas));
        let expected = if open.sends < policy.sends_max {
            let attempt = self.now.saturating_add(policy.attempt_ns);
            open.deadline = attempt.min(open.begun.saturating_add(policy.total_ns));
            if !open.pinned {
                open.to = detour.unwrap_or((open.to + 1) % replicas);
            }
            Some(ReplicaId::from_index(open.to))
        } else {
            if policy.total_ns < Nanos::MAX {
                open.deadline = open.begun + policy.total_ns;
            }
            None
        };
        let route = |next| detour.map_or(next, ReplicaId::from_index);
        assert_eq!(self.session.move_on(number, self.now, route), expected, "{number:?}");
        if expected.is_some() && rng.random_bool(0.8) {
            self.send(number);
        }
    }

    fn postpone(&mut self, rng: &mut impl Rng) {
        let Some(number) = self.draw_open(rng) else { return };
        let until = self.now + rng.random_range(0..30);
        let open = self.naive.open.get_mut(&number).unwrap();
        open.deadline = until.min(open.begun.saturating_add(self.naive.policy.total_ns));
        self.session.postpone(number, until);
    }

    /// Does what is due, as a user does.
    fn sweep(&mut self, rng: &mut impl Rng) {
        let overdue: Vec<_> = self.session.overdue(self.now).collect();
        let due = |(number, open): (&RequestNumber, &NaiveOpen)| {
            self.naive.due(open, self.now).map(|due| (*number, due))
        };
        let expected: BTreeSet<_> =
            self.naive.open.iter().filter_map(due).map(|(number, _)| number).collect();
        assert_eq!(overdue.iter().map(|(number, _)| *number).collect::<BTreeSet<_>>(), expected);
        for (number, due) in overdue {
            assert_eq!(Some(due), self.naive.due(&self.naive.open[&number], self.now));
            assert_eq!(Some(due), self.session.due(number, self.now));
            match due {
                Due::Again => self.move_on(number, rng),
                Due::GiveUp => {
                    self.gave_up += 1;
                    self.close_one(number);
                }
            }
        }
    }

    fn compare(&self) {
        let (session, naive) = (&self.session, &self.naive);
        assert_eq!(session.unanswered_from(), naive.floor());
        assert_eq!(session.len(), naive.open.len());
        assert_eq!(session.is_empty(), naive.open.is_empty());
        let span = naive.writes + 1 - naive.floor();
        assert_eq!(session.has_room(), span < OUTCOMES_MAX as u64);
    }

    fn compare_all(&self) {
        self.compare();
        let listed: Vec<_> =
            self.session.iter().map(|(number, open)| (number, naive_of(open))).collect();
        let is_read = |(number, _): &(RequestNumber, NaiveOpen)| number.is_read();
        assert!(listed.is_sorted_by_key(|entry| (is_read(entry), entry.0)));
        assert_eq!(listed.into_iter().collect::<BTreeMap<_, _>>(), self.naive.open);
        for (number, open) in &self.naive.open {
            assert_eq!(self.session.get(*number).map(naive_of), Some(*open));
        }
    }
}

fn naive_of(open: &Open<u64>) -> NaiveOpen {
    let Open { kept, begun, deadline, unanswered_from, sends, to, pinned } = *open;
    NaiveOpen { tag: kept, begun, deadline, floor: unanswered_from, sends, to: to.index(), pinned }
}

/// Windows from one request to thousands: gaps as wide, answers in any order and again, requests
/// given up in between, under every kind of policy.
#[test]
fn a_session_agrees_with_a_naive_one() {
    let policies = [
        TWICE,
        BOUNDED,
        Policy { attempt_ns: 1_000, total_ns: Nanos::MAX, sends_max: u32::MAX },
        Policy { attempt_ns: 40, total_ns: 20, sends_max: 1 },
        Policy { attempt_ns: 300, total_ns: Nanos::MAX, sends_max: 5 },
        Policy { attempt_ns: 2_000, total_ns: 8_000, sends_max: 4 },
    ];
    let (mut gave_up, mut widest) = (0, 0);
    for (seed, (policy, window)) in policies
        .into_iter()
        .flat_map(|policy| [1, 2, 3, 17, 300, 6_000].map(|window| (policy, window)))
        .enumerate()
    {
        let mut rng = ChaCha8Rng::seed_from_u64(seed as u64);
        let mut pair = Pair::new(policy, 1 + seed % 5, window);
        let steps = 2_000 + 10 * window;
        for step in 0..steps {
            pair.step(&mut rng);
            if step % (1 + window / 16) == 0 {
                pair.sweep(&mut rng);
                pair.compare();
            }
            widest = widest.max(pair.session.writes.span());
        }
        pair.compare_all();
        gave_up += pair.gave_up;
        for number in pair.naive.open.keys().copied().collect::<Vec<_>>() {
            pair.close_one(number);
        }
        pair.compare_all();
    }
    assert!(gave_up > 1_000, "{gave_up} were given up");
    assert!(widest > 3_000, "the widest span was {widest}");
}
