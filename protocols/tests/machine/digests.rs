//! When digests are equal: exactly when conflicting commands came in one order, and when the values
//! are the same.

use std::collections::BTreeMap;

use protocols::{
    Batch, ClientId, Command, Outcome, Request, RequestNumber,
    kv::{Digest, Kv},
};
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

/// The value that every key has before a pair of commands.
const BASE: &[u8] = b"base";

/// A kind of command, on any key.
type Kind = fn(&'static [u8]) -> Command<'static>;

/// Every kind of command; a compare-and-set by what it comes to on [`BASE`].
const KINDS: [(&str, Kind); 6] = [
    ("get", |key| Command::Get { key }),
    ("met", |key| Command::CompareAndSet { key, expected: Some(BASE), value: b"swapped" }),
    ("missed", |key| Command::CompareAndSet { key, expected: Some(b"no"), value: b"never" }),
    ("put", |key| Command::Put { key, value: b"put" }),
    ("append", |key| Command::Append { key, value: b"+" }),
    ("delete", |key| Command::Delete { key }),
];

/// Commands that leave [`BASE`] as it is, whatever order they come in: the order digest alone can
/// tell orders apart.
const IDLE: [(&str, Kind); 5] = [
    ("get", |key| Command::Get { key }),
    ("put", |key| Command::Put { key, value: BASE }),
    ("append", |key| Command::Append { key, value: b"" }),
    ("met", |key| Command::CompareAndSet { key, expected: Some(BASE), value: BASE }),
    ("missed", |key| Command::CompareAndSet { key, expected: None, value: b"never" }),
];

fn request(client: u64, index: u64, command: Command<'_>) -> Request<'_> {
    let number =
        if command.is_read() { RequestNumber::read(index) } else { RequestNumber::write(index) };
    Request { client: ClientId(client), number, unanswered_from: 1, command }
}

/// Each command is of a client of its own.
fn requests<'k>(commands: &[Command<'k>]) -> Vec<Request<'k>> {
    (1..).zip(commands).map(|(client, command)| request(client, 1, *command)).collect()
}

/// A state in which the keys `a` and `b` have [`BASE`].
fn base() -> Kv {
    let mut kv = Kv::default();
    for (index, key) in [(1, b"a"), (2, b"b")] {
        kv.apply(&request(100, index, Command::Put { key, value: BASE }));
    }
    kv
}

fn after<'r>(mut kv: Kv, requests: impl IntoIterator<Item = &'r Request<'r>>) -> Kv {
    for request in requests {
        kv.apply(request);
    }
    kv
}

/// What a conflict is, said a second time: one key, and not two reads. The protocols' own rule says
/// the same.
fn conflict(a: &Request<'_>, b: &Request<'_>) -> bool {
    let conflict = a.command.key() == b.command.key()
        && !(matches!(a.command, Command::Get { .. }) && matches!(b.command, Command::Get { .. }));
    let footprint = |request| Batch::single(request).unwrap().footprint();
    assert_eq!(footprint(a).conflicts(&footprint(b)), conflict, "{a:?} {b:?}");
    conflict
}

/// The values by key as `commands` leave them, and what each command comes to: a second version
/// without sessions.
#[derive(Default)]
struct Naive(BTreeMap<Vec<u8>, Vec<u8>>);

impl Naive {
    fn apply(&mut self, command: &Command<'_>) -> Outcome {
        let key = command.key().to_vec();
        let present = self.0.get(&key).cloned();
        match *command {
            Command::Get { .. } => return Outcome::Value(present),
            Command::Put { value, .. } => drop(self.0.insert(key, value.to_vec())),
            Command::Delete { .. } => drop(self.0.remove(&key)),
            Command::Append { value, .. } => {
                let longer = [&present.unwrap_or_default()[..], value].concat();
                self.0.insert(key, longer);
            }
            Command::CompareAndSet { expected, value, .. } => {
                let met = present == expected.map(<[u8]>::to_vec);
                if met {
                    self.0.insert(key, value.to_vec());
                }
                return Outcome::Swapped(met);
            }
        }
        Outcome::Done
    }
}

/// Applies `first` and `second`, the same requests in two orders, and holds the digests against the
/// naive rule: the order digests are equal if and only if no conflicting pair changed its order,
/// the state digests if and only if the values are equal.
fn compare(start: &Kv, values: &[&[u8]], first: &[&Request<'_>], second: &[&Request<'_>]) {
    let turned = first.iter().enumerate().any(|(position, a)| {
        let before = &second[..second.iter().position(|other| other == a).unwrap()];
        first[position + 1..].iter().any(|b| conflict(a, b) && before.contains(b))
    });
    let naive = |order: &[&Request<'_>]| {
        let mut naive = Naive::default();
        for key in values {
            naive.0.insert(key.to_vec(), BASE.to_vec());
        }
        order.iter().for_each(|request| drop(naive.apply(&request.command)));
        naive.0
    };
    let applied = |order: &[&Request<'_>]| after(start.clone(), order.iter().copied()).digest();
    let (one, other) = (applied(first), applied(second));
    let what = || format!("{first:#?} against {second:#?}");
    assert_eq!(one.order != other.order, turned, "order of {}", what());
    assert_eq!(one.state == other.state, naive(first) == naive(second), "state of {}", what());
    assert_eq!((one.sessions, one.writes), (other.sessions, other.writes), "{}", what());
}

#[test]
fn each_kind_comes_to_what_it_is_named_for() {
    for (name, kind) in KINDS {
        let outcome = base().apply(&request(1, 1, kind(b"a")));
        let expected = match name {
            "get" => Outcome::Value(Some(BASE.to_vec())),
            "met" => Outcome::Swapped(true),
            "missed" => Outcome::Swapped(false),
            _ => Outcome::Done,
        };
        assert_eq!(outcome, expected, "{name}");
    }
    for (name, kind) in IDLE {
        let digest = after(base(), &[request(1, 1, kind(b"a"))]).digest();
        assert_eq!(digest.state, base().digest().state, "{name}");
    }
}

/// The pair is adjacent, or has commands on a third key in between. Its keys have a value, or were
/// never written.
#[test]
fn a_pair_in_either_order_differs_exactly_if_it_conflicts() {
    let between = [
        request(50, 1, Command::Put { key: b"c", value: b"1" }),
        request(51, 1, Command::Get { key: b"c" }),
        request(52, 1, Command::Delete { key: b"c" }),
    ];
    for (_, one) in KINDS.into_iter().chain(IDLE) {
        for (_, other) in KINDS.into_iter().chain(IDLE) {
            for key in [&b"a"[..], b"b"] {
                let pair = requests(&[one(b"a"), other(key)]);
                let [a, b] = &pair[..] else { unreachable!("a pair") };
                for (start, values) in [(base(), &[&b"a"[..], b"b"][..]), (Kv::default(), &[])] {
                    compare(&start, values, &[a, b], &[b, a]);
                    let [x, y, z] = &between;
                    compare(&start, values, &[a, x, y, z, b], &[b, x, y, z, a]);
                    compare(&start, values, &[x, a, y, b, z], &[x, b, y, a, z]);
                }
            }
        }
    }
}

#[test]
fn three_commands_of_every_kind_in_any_order_differ_exactly_if_a_conflict_is_turned() {
    let kinds = || KINDS.into_iter().flat_map(|(_, kind)| [kind(b"a"), kind(b"b")]);
    const ORDERS: [[usize; 3]; 6] =
        [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let start = base();
    for one in KINDS.map(|(_, kind)| kind(b"a")) {
        for other in kinds() {
            for third in kinds() {
                let three = requests(&[one, other, third]);
                let first: Vec<_> = three.iter().collect();
                for order in ORDERS {
                    compare(&start, &[b"a", b"b"], &first, &order.map(|at| &three[at]));
                }
            }
        }
    }
}

/// A command drawn from few keys and values, so that all outcomes happen.
fn drawn(random: &mut ChaCha8Rng) -> Command<'static> {
    const KEYS: [&[u8]; 4] = [b"", b"k", b"key", b"another key"];
    const VALUES: [&[u8]; 3] = [b"", b"v", b"a longer value than the others"];
    let key = KEYS[random.random_range(0..KEYS.len())];
    let value = VALUES[random.random_range(0..VALUES.len())];
    let expected = [None, Some(VALUES[random.random_range(0..VALUES.len())])];
    match random.random_range(0..6) {
        0 | 1 => Command::Get { key },
        2 => Command::Put { key, value },
        3 => Command::Append { key, value },
        4 => Command::Delete { key },
        _ => Command::CompareAndSet { key, expected: expected[random.random_range(0..2)], value },
    }
}

/// A few clients with many requests, each with a floor that its answers so far allow.
fn history(random: &mut ChaCha8Rng, length: usize) -> Vec<Request<'static>> {
    const CLIENTS: usize = 5;
    let (mut reads, mut writes) = ([0; CLIENTS], [0; CLIENTS]);
    let requests = (0..length).map(|_| {
        let (client, command) = (random.random_range(0..CLIENTS), drawn(random));
        let count = if command.is_read() { &mut reads } else { &mut writes };
        count[client] += 1;
        let index = count[client];
        let unanswered_from = random.random_range(1..=writes[client].max(1));
        Request { unanswered_from, ..request(client as u64, index, command) }
    });
    requests.collect()
}

#[test]
fn outcomes_and_values_are_those_of_a_naive_state() {
    for seed in 0..50 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (mut kv, mut naive) = (Kv::default(), Naive::default());
        for request in history(&mut random, 300) {
            let expected = naive.apply(&request.command);
            assert_eq!(kv.apply(&request), expected, "seed {seed}: {request:?}");
            if !request.command.is_read() {
                // Applied once: a retry is answered from the session, or told that its result is
                // gone.
                let (digest, kept) =
                    (kv.digest(), request.number.index() >= request.unanswered_from);
                let again = kv.apply(&request);
                assert!(again == expected || (again == Outcome::Forgotten && !kept), "{again:?}");
                assert_eq!(kv.digest(), digest, "seed {seed}: {request:?}");
            }
            let value = naive.0.get(request.command.key()).map(Vec::as_slice);
            assert_eq!(kv.value(request.command.key()), value, "seed {seed}: {request:?}");
        }
    }
}

/// Long histories: whichever way commands that commute change places, the whole state stays the
/// same, its sessions too, and one conflicting pair that changes places is noticed, however much
/// comes after it.
#[test]
fn a_history_and_another_of_the_same_order_of_conflicts_come_to_one_state() {
    for seed in 0..100 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let first = history(&mut random, 120);
        let mut second = first.clone();
        for _ in 0..4_000 {
            let at = random.random_range(1..second.len());
            if !conflict(&second[at - 1], &second[at]) {
                second.swap(at - 1, at);
            }
        }
        assert_ne!(first, second);
        let (one, other) = (after(Kv::default(), &first), after(Kv::default(), &second));
        assert_eq!(one, other, "seed {seed}");
        assert_eq!(one.key_digests(0, 1), other.key_digests(0, 1), "seed {seed}");

        let pairs: Vec<_> =
            (1..second.len()).filter(|at| conflict(&second[at - 1], &second[*at])).collect();
        let at = pairs[random.random_range(0..pairs.len())];
        second.swap(at - 1, at);
        let turned = after(Kv::default(), &second).digest();
        assert_ne!(
            turned.order,
            one.digest().order,
            "seed {seed}: the pair at {at} changed places"
        );
        assert_eq!(turned.sessions, one.digest().sessions, "seed {seed}");
    }
}

/// A request that is left out, or has another author, is in the digest of the writes applied,
/// whatever the values are.
#[test]
fn a_write_more_or_less_or_of_another_client_is_noticed() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let whole = history(&mut random, 60);
    let digest = after(Kv::default(), &whole).digest();
    for at in 0..whole.len() {
        let mut other = whole.clone();
        let left_out = other.remove(at);
        let without = after(Kv::default(), &other).digest();
        assert_ne!(without.order, digest.order, "{left_out:?}");
        let is_read = left_out.command.is_read();
        assert_eq!(without.sessions == digest.sessions, is_read, "{left_out:?}");
        assert_eq!(digest.writes - without.writes, u64::from(!is_read), "{left_out:?}");
        other.insert(at, Request { client: ClientId(77), ..left_out });
        let renamed = after(Kv::default(), &other).digest();
        assert_ne!(renamed.order, digest.order, "{left_out:?}");
        assert_eq!(renamed.sessions == digest.sessions, is_read, "{left_out:?}");
    }
}

/// The same values are put under each other's keys, in one order of writes.
#[test]
fn values_that_change_keys_are_another_state() {
    let state = |a: &'static [u8], b: &'static [u8]| {
        let puts = [Command::Put { key: b"a", value: a }, Command::Put { key: b"b", value: b }];
        after(Kv::default(), &requests(&puts)).digest()
    };
    let (one, other) = (state(b"x", b"y"), state(b"y", b"x"));
    assert_ne!(one.state, other.state);
    assert_eq!((one.order, one.sessions), (other.order, other.sessions));
}

/// The order in which a replica meets keys and clients is not part of the state.
#[test]
fn keys_and_clients_commute_by_the_thousand() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let keys: Vec<String> = (0..3_000).map(|key| format!("key {key}")).collect();
    let put = |client: usize| {
        let (key, value) = (keys[client].as_bytes(), keys[client].as_bytes());
        request(client as u64, 1, Command::Put { key, value })
    };
    let mut order: Vec<_> = (0..keys.len()).collect();
    let first = after(Kv::default(), &order.iter().map(|at| put(*at)).collect::<Vec<_>>());
    order.shuffle(&mut random);
    let second = after(Kv::default(), &order.iter().map(|at| put(*at)).collect::<Vec<_>>());
    assert_eq!(first, second);
    let buckets = (0..16).map(|bucket| first.key_digests(bucket, 16));
    let (sum, count) = buckets
        .flatten()
        .fold((0u64, 0), |(sum, count), digest| (sum.wrapping_add(digest.value), count + 1));
    assert_eq!((sum, count), (first.digest().state, keys.len()), "every key is in one bucket");
}

/// The digests of fixed requests. Replicas of one cluster compare digests, and a snapshot carries
/// them on: a program with other ones cannot stand beside one with these. What a digest has of
/// clients and orders alone was computed a second time from its definition.
#[test]
fn digests_of_fixed_requests_are_known() {
    #[rustfmt::skip]
    let known = [
        ("get", 0x1eab_231c_4b9f_7158, 0x7c7f_0fed_9aa8_9505, 0x88ce_2e52_21f2_36f7),
        ("met", 0xce1e_0293_f62f_1368, 0xe24c_94b6_9087_68a0, 0x634a_3182_a194_2e0b),
        ("missed", 0xce1e_0293_f62f_1368, 0x9d3b_32aa_a643_3281, 0xabde_ca5b_6c32_8146),
        ("put", 0x53b3_7c3e_8850_9a82, 0x15cb_7586_1b5d_aebc, 0xdfc0_b2a2_3810_ef29),
        ("append", 0xccc4_d5d3_a7e7_7ac2, 0x425f_fb08_7a67_e3d9, 0x640f_8ffd_dec5_e185),
        ("delete", 0xb7df_937f_2d12_5cc3, 0x3431_b7cb_fff5_ccd4, 0xe23d_eadc_88d0_23fc),
    ];
    let digest = |kv: &Kv| {
        let Digest { state, order, sessions, writes } = kv.digest();
        (state, order, sessions, writes)
    };
    let mut kv = base();
    let of_base = (0x1eab_231c_4b9f_7158, 0x4f02_cc07_4912_963d, 0x88ce_2e52_21f2_36f7, 2);
    assert_eq!(digest(&kv), of_base);
    for (((name, kind), known), index) in KINDS.into_iter().zip(known).zip(1..) {
        kv.apply(&request(7, index, kind(b"a")));
        let (state, order, sessions, writes) = digest(&kv);
        assert_eq!((name, state, order, sessions), known);
        assert_eq!(writes, index + 1, "{name}: all but the read");
    }
    let [a, b] = &kv.key_digests(0, 1)[..] else { panic!("two keys") };
    assert_eq!((a.value, a.order, a.writes), (0, 0x9248_14f3_1ab8_138b, 6));
    let of_b = (0xb7df_937f_2d12_5cc3, 0x0525_6ce1_a2b1_b2e6, 1);
    assert_eq!((b.value, b.order, b.writes), of_b);
}
