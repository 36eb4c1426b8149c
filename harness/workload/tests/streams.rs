//! What clients draw: pinned, disjoint where it must be, and of the right shape.

use std::collections::{BTreeMap, BTreeSet};

use protocols::{Command, ReplicaId};
use workload::{Arrivals, ClientStream, KEY_BYTES, Kind, Op, Point, Workload, fill_value};

const SEED: u64 = 42;
/// The first kinds that one client of a mix is to draw, for ever.
const PINNED_KINDS: [Kind; 8] = [
    Kind::Read,
    Kind::Put,
    Kind::Put,
    Kind::Read,
    Kind::CompareAndSet,
    Kind::Read,
    Kind::Put,
    Kind::Append,
];

fn point(text: &str) -> Point {
    let workload = Workload::parse("x.toml", &format!("name = \"x\"\n{text}"), &[]).expect(text);
    workload.points(protocols::paxos::PROTOCOL)[0].clone()
}

fn keys(point: &Point, site: usize, client: usize, count: usize) -> Vec<String> {
    let mut stream = ClientStream::new(point, SEED, site, client);
    (0..count)
        .map(|_| String::from_utf8(stream.next_op().key.to_vec()).expect("keys are text"))
        .collect()
}

/// Within five standard deviations of what `count` independent draws of probability `p` give.
fn assert_share(hits: usize, count: usize, p: f64) {
    let (n, hits) = (count as f64, hits as f64);
    let deviation = (n * p * (1.0 - p)).sqrt();
    assert!((hits - n * p).abs() < 5.0 * deviation, "{hits} of {n}, expected {}", n * p);
}

/// The same seed means the same stream for ever: results name seeds. The uniform draws, the arrivals and the run seeds were
/// computed by a second implementation, from the definitions of splitmix64 and ChaCha8.
#[test]
fn streams_are_pinned() {
    let uniform = point("commands = { keys = \"uniform\", key_count = 1000, write_ratio = 0.5 }");
    let mut stream = ClientStream::new(&uniform, SEED, 1, 2);
    let drawn: Vec<_> = (0..4)
        .map(|_| {
            let op = stream.next_op();
            (String::from_utf8(op.key.to_vec()).unwrap(), op.kind)
        })
        .collect();
    let expected = [
        ("k00000055", Kind::Put),
        ("k00000245", Kind::Read),
        ("k00000247", Kind::Read),
        ("k00000978", Kind::Read),
    ];
    assert_eq!(drawn, expected.map(|(key, kind)| (key.to_owned(), kind)));
    let zipf = point("commands = { keys = \"zipf\", key_count = 1000 }");
    assert_eq!(keys(&zipf, 0, 0, 4), ["k00000168", "k00000001", "k00000000", "k00000507"]);
}

#[test]
fn a_stream_depends_on_seed_site_and_client_and_on_nothing_else() {
    let point = point("commands = { keys = \"uniform\", key_count = 1000000 }");
    let of = |seed, site, client| {
        let mut stream = ClientStream::new(&point, seed, site, client);
        (0..20).map(|_| stream.next_op().key.to_vec()).collect::<Vec<_>>()
    };
    assert_eq!(of(1, 0, 0), of(1, 0, 0));
    let streams: BTreeSet<_> = [of(1, 0, 0), of(2, 0, 0), of(1, 1, 0), of(1, 0, 1)].into();
    assert_eq!(streams.len(), 4);
}

#[test]
fn without_conflicts_each_client_has_one_key_of_its_own() {
    let point = point("cluster.replicas = 5\nload.clients_per_site = 40");
    let mut seen = BTreeSet::new();
    for site in 0..5 {
        for client in 0..40 {
            let own: BTreeSet<String> = keys(&point, site, client, 10).into_iter().collect();
            assert_eq!(own.len(), 1);
            assert!(own.iter().all(|key| key.len() == KEY_BYTES));
            seen.extend(own);
        }
    }
    assert_eq!(seen.len(), 200);
}

#[test]
fn the_conflict_rate_is_the_share_on_the_shared_key() {
    for rate in [0.02, 0.25, 1.0] {
        let point = point(&format!("commands.conflict_rate = {rate}"));
        let (a, b) = (keys(&point, 0, 0, 20_000), keys(&point, 2, 7, 20_000));
        let shared = a.iter().find(|key| b.contains(key)).unwrap();
        let hits = a.iter().filter(|key| *key == shared).count();
        if rate == 1.0 {
            assert_eq!(hits, 20_000);
        } else {
            assert_share(hits, 20_000, rate);
        }
    }
}

#[test]
fn the_write_ratio_is_the_share_of_puts() {
    for ratio in [0.0, 0.05, 0.5, 1.0] {
        let point = point(&format!("commands.write_ratio = {ratio}"));
        let mut stream = ClientStream::new(&point, SEED, 0, 0);
        let puts = (0..20_000).filter(|_| stream.next_op().kind == Kind::Put).count();
        if ratio == 0.0 || ratio == 1.0 {
            assert_eq!(puts, if ratio == 0.0 { 0 } else { 20_000 });
        } else {
            assert_share(puts, 20_000, ratio);
        }
    }
}

/// Every kind has its share, and the keys and the reads are those of the same file without a mix:
/// what was committed before there were other writes than puts is offered again.
#[test]
fn writes_of_other_kinds_have_their_shares_and_leave_keys_and_reads_as_they_were() {
    let keys = "commands = { keys = \"uniform\", key_count = 1000, write_ratio = 0.8";
    let mixed = format!("{keys}, append_ratio = 0.3, delete_ratio = 0.1, cas_ratio = 0.2 }}");
    let (puts, mixed) = (point(&format!("{keys} }}")), point(&mixed));
    assert!(mixed.is_mixed() && !puts.is_mixed());
    let mut counts = BTreeMap::new();
    let [mut plain, mut stream] = [&puts, &mixed].map(|of| ClientStream::new(of, SEED, 1, 2));
    for _ in 0..20_000 {
        let (plain, op) = (plain.next_op(), stream.next_op());
        assert_eq!((plain.key, plain.kind.is_read()), (op.key, op.kind.is_read()));
        *counts.entry(format!("{:?}", op.kind)).or_insert(0) += 1;
    }
    let shares =
        [("Append", 0.3), ("CompareAndSet", 0.2), ("Delete", 0.1), ("Put", 0.2), ("Read", 0.2)];
    for ((kind, count), (expected, share)) in counts.iter().zip(shares) {
        assert_eq!(kind, expected);
        assert_share(*count, 20_000, share);
    }
    let mut stream = ClientStream::new(&mixed, SEED, 0, 0);
    let kinds: Vec<Kind> = (0..8).map(|_| stream.next_op().kind).collect();
    assert_eq!(kinds, PINNED_KINDS);
}

#[test]
fn each_kind_is_its_command() {
    let (key, value) = (b"k".as_slice(), b"v".as_slice());
    let command = |kind, expected| Op { kind, key, to: ReplicaId(0) }.command(value, expected);
    assert_eq!(command(Kind::Read, None), Command::Get { key });
    assert_eq!(command(Kind::Put, None), Command::Put { key, value });
    assert_eq!(command(Kind::Append, None), Command::Append { key, value });
    assert_eq!(command(Kind::Delete, None), Command::Delete { key });
    let (swap, before) = (command(Kind::CompareAndSet, Some(b"b")), Some(b"b".as_slice()));
    assert_eq!(swap, Command::CompareAndSet { key, expected: before, value });
}

#[test]
fn uniform_keys_are_all_drawn_alike() {
    let point = point("commands = { keys = \"uniform\", key_count = 10 }");
    let mut counts = BTreeMap::new();
    for key in keys(&point, 0, 0, 50_000) {
        *counts.entry(key).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 10);
    assert_eq!(counts.first_key_value().unwrap().0, "k00000000");
    assert_eq!(counts.last_key_value().unwrap().0, "k00000009");
    for hits in counts.values() {
        assert_share(*hits, 50_000, 0.1);
    }
}

/// The three likeliest keys, and all beyond the hundredth together, against k^-theta / sum of i^-theta.
#[test]
fn zipf_follows_the_formula_at_head_and_tail() {
    for theta in [0.5, 0.99, 1.0, 2.0] {
        let point =
            point(&format!("commands = {{ keys = \"zipf\", key_count = 1000, theta = {theta} }}"));
        let drawn = keys(&point, 0, 0, 50_000);
        let weight = |rank: i32| f64::from(rank).powf(-theta);
        let total: f64 = (1..=1000).map(weight).sum();
        for rank in 1..=3 {
            let key = format!("k{:08}", rank - 1);
            let hits = drawn.iter().filter(|drawn| **drawn == key).count();
            assert_share(hits, 50_000, weight(rank) / total);
        }
        let tail: f64 = (101..=1000).map(weight).sum();
        let hits = drawn.iter().filter(|drawn| drawn.as_str() >= "k00000100").count();
        assert_share(hits, 50_000, tail / total);
        assert!(drawn.iter().all(|drawn| drawn.as_str() <= "k00000999"));
    }
}

#[test]
fn routing_names_the_replica_and_leaves_the_keys_as_they_are() {
    let with = |routing: &str| {
        point(&format!(
            "cluster.leader = 2\nload.routing = \"{routing}\"\ncommands.conflict_rate = 0.5"
        ))
    };
    let asked = |routing: &str| {
        let mut stream = ClientStream::new(&with(routing), SEED, 1, 0);
        (0..3_000).map(|_| stream.next_op().to).collect::<Vec<_>>()
    };
    assert!(asked("local").iter().all(|to| *to == ReplicaId(1)));
    assert!(asked("leader").iter().all(|to| *to == ReplicaId(2)));
    let random = asked("random");
    for replica in ReplicaId::all(3) {
        assert_share(random.iter().filter(|to| **to == replica).count(), 3_000, 1.0 / 3.0);
    }
    assert_eq!(keys(&with("local"), 1, 0, 100), keys(&with("random"), 1, 0, 100));
}

#[test]
fn values_carry_their_writer_and_keep_to_their_size() {
    let mut value = vec![9; 100];
    fill_value(&mut value, 0x0102, 7, 20);
    assert_eq!(value, *b"\x02\x01\0\0\0\0\0\0\x07\0\0\0\0\0\0\0....");
    fill_value(&mut value, 1, 2, 16);
    assert_eq!(value.len(), 16);
}

#[test]
fn an_operation_becomes_a_command() {
    let point = point("commands.write_ratio = 0.5");
    let mut stream = ClientStream::new(&point, SEED, 0, 3);
    let (mut gets, mut puts) = (0, 0);
    for _ in 0..100 {
        match stream.next_op().command(b"v", None) {
            Command::Get { key: b"c00000003" } => gets += 1,
            Command::Put { key: b"c00000003", value: b"v" } => puts += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(gets > 0 && puts > 0);
}

fn open(arrival: &str) -> Point {
    point(&format!(
        "load = {{ mode = \"open\", rate_ops_per_s = 3000, clients_per_site = 4, arrival = \"{arrival}\" }}"
    ))
}

#[test]
fn poisson_gaps_have_the_mean_and_the_spread_of_the_rate() {
    let mut arrivals = Arrivals::new(&open("poisson"), SEED, 0).unwrap();
    let count = 100_000;
    let times: Vec<f64> = (0..count).map(|_| arrivals.next_send().at_ns as f64).collect();
    let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| *gap >= 0.0));
    // A third of 3000 per second at each of three sites: a gap of a millisecond, and as much deviation.
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
    assert!((mean / 1e6 - 1.0).abs() < 5.0 / f64::from(count).sqrt(), "{mean}");
    assert!((variance.sqrt() / 1e6 - 1.0).abs() < 0.02, "{variance}");
    let long = gaps.iter().filter(|gap| **gap > 2e6).count();
    assert_share(long, gaps.len(), (-2.0f64).exp());
}

#[test]
fn constant_gaps_never_drift_and_interleave_over_sites() {
    let mut sites: Vec<Arrivals> =
        (0..3).map(|site| Arrivals::new(&open("constant"), SEED, site).unwrap()).collect();
    let first: Vec<u64> = sites.iter_mut().map(|site| site.next_send().at_ns).collect();
    assert_eq!(first, [0, 333_333, 666_666]);
    let last = (0..1_000_000).map(|_| sites[0].next_send().at_ns).last();
    assert_eq!(last, Some(1_000_000_000_000));
}

#[test]
fn clients_of_a_site_take_turns() {
    let mut arrivals = Arrivals::new(&open("poisson"), SEED, 0).unwrap();
    let clients: Vec<usize> = (0..6).map(|_| arrivals.next_send().client).collect();
    assert_eq!(clients, [0, 1, 2, 3, 0, 1]);
}

#[test]
fn arrivals_are_pinned() {
    let mut arrivals = Arrivals::new(&open("poisson"), SEED, 2).unwrap();
    let times: Vec<u64> = (0..3).map(|_| arrivals.next_send().at_ns).collect();
    assert_eq!(times, [1_176_095, 1_510_122, 8_051_352]);
}

/// The first `count` sends of the whole cluster, in the order of time: when, from which site, of
/// which client there.
fn of_cluster(load: &str, count: usize) -> Vec<(u64, usize, usize)> {
    let point = point(&format!("load = {{ mode = \"open\", rate_ops_per_s = 1000, {load} }}"));
    let mut sends = Vec::new();
    for site in 0..3 {
        let Some(mut arrivals) = Arrivals::new(&point, SEED, site) else {
            assert_eq!(point.clients.at(site), 0);
            continue;
        };
        assert!(point.clients.at(site) > 0);
        sends.extend((0..count).map(|_| {
            let send = arrivals.next_send();
            (send.at_ns, site, send.client)
        }));
    }
    sends.sort_unstable();
    sends.truncate(count);
    sends
}

#[test]
fn constant_sends_are_equally_spaced_however_clients_are_spread() {
    for (clients, turns) in [
        (1, vec![(0, 0)]),
        (2, vec![(0, 0), (1, 0)]),
        (4, vec![(0, 0), (1, 0), (2, 0), (0, 1)]),
        (5, vec![(0, 0), (1, 0), (2, 0), (0, 1), (1, 1)]),
        (6, vec![(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)]),
    ] {
        let sends = of_cluster(&format!("arrival = \"constant\", clients = {clients}"), 30);
        for (number, (at_ns, site, client)) in sends.into_iter().enumerate() {
            assert_eq!(at_ns, number as u64 * 1_000_000, "{clients} clients");
            assert_eq!((site, client), turns[number % turns.len()], "{clients} clients");
        }
    }
}

#[test]
fn poisson_sends_keep_to_the_rate_of_the_cluster_and_to_the_share_of_each_site() {
    for clients in [1, 2, 4, 5, 48] {
        let count = 20_000;
        let sends = of_cluster(&format!("clients = {clients}"), count);
        let last_s = sends[count - 1].0 as f64 / 1e9;
        let rate = count as f64 / last_s;
        assert!((rate / 1000.0 - 1.0).abs() < 5.0 / (count as f64).sqrt(), "{clients}: {rate}");
        let spread = point(&format!("load.clients = {clients}")).clients;
        for site in 0..3 {
            let hits = sends.iter().filter(|(_, at, _)| *at == site).count();
            match spread.share(site) {
                0.0 => assert_eq!(hits, 0),
                1.0 => assert_eq!(hits, count),
                share => assert_share(hits, count, share),
            }
        }
    }
}
