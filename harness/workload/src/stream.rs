//! What one client asks for: an endless, seeded stream of operations that allocates nothing.

use protocols::{Command, ReplicaId};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Zipf};

use crate::{
    model::{Keys, Routing},
    plan::Point,
    seed::{self, Chance, Purpose},
};

/// Every key has this many bytes, so that no key choice is cheaper to send than another.
pub const KEY_BYTES: usize = 9;

/// The one key that conflicting commands share.
const SHARED_KEY: [u8; KEY_BYTES] = *b"shared-00";

/// Client and request number stand at the head of every value.
const VALUE_HEAD_BYTES: usize = 16;

/// What an append adds: a value of nothing but its head, so that a value grows as little as it can.
pub const APPEND_BYTES: usize = VALUE_HEAD_BYTES;

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A get.
    Read,
    /// A put.
    Put,
    /// An append of [`APPEND_BYTES`].
    Append,
    /// A delete.
    Delete,
    /// A compare-and-set.
    CompareAndSet,
}

impl Kind {
    /// Does it change nothing?
    pub const fn is_read(self) -> bool {
        matches!(self, Self::Read)
    }
}

/// What to ask next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Op<'a> {
    /// What is done.
    pub kind: Kind,
    /// On which key.
    pub key: &'a [u8],
    /// Of which replica; with routing to the leader that is the first leader, until the driver learns of another.
    pub to: ReplicaId,
}

impl<'a> Op<'a> {
    /// The command. `value` is written by a put, an append or a compare-and-set, which writes it
    /// over `expected`; other kinds look at neither.
    pub const fn command(&self, value: &'a [u8], expected: Option<&'a [u8]>) -> Command<'a> {
        let key = self.key;
        match self.kind {
            Kind::Read => Command::Get { key },
            Kind::Put => Command::Put { key, value },
            Kind::Append => Command::Append { key, value },
            Kind::Delete => Command::Delete { key },
            Kind::CompareAndSet => Command::CompareAndSet { key, expected, value },
        }
    }
}

/// How the next key is found.
#[derive(Clone, Debug)]
enum KeyChoice {
    Conflict { shared: Chance, own: [u8; KEY_BYTES] },
    Uniform { key_count: u64 },
    Zipf(Zipf<f64>),
}

/// Which kind of write is next: what is drawn, in 0 to 1, is below the first share, the first two,
/// all three, or above.
///
/// It has a generator of its own, so that a client asks for the same keys, and reads when it reads,
/// whatever its writes are.
#[derive(Clone, Debug)]
struct Writes {
    append: f64,
    delete: f64,
    cas: f64,
    rng: ChaCha8Rng,
}

impl Writes {
    fn draw(&mut self) -> Kind {
        let drawn = seed::unit(&mut self.rng);
        match drawn {
            drawn if drawn <= self.append => Kind::Append,
            drawn if drawn <= self.append + self.delete => Kind::Delete,
            drawn if drawn <= self.append + self.delete + self.cas => Kind::CompareAndSet,
            _ => Kind::Put,
        }
    }
}

/// The operations of one client at one site, for ever.
///
/// Keys. `conflict`: with the conflict rate the one shared key, else the client's own, which no other client touches.
/// `uniform`: `k00000000` up to the key count, each as likely. `zipf`: the same keys, `k00000000` the likeliest; ranks are
/// not scattered over the keys, as nothing here depends on which keys are neighbours. No key has a value before a
/// put of the run itself.
#[derive(Clone, Debug)]
pub struct ClientStream {
    choice: KeyChoice,
    write: Chance,
    /// Only if not every write is a put.
    writes: Option<Writes>,
    rng: ChaCha8Rng,
    key: [u8; KEY_BYTES],
    to: ReplicaId,
    /// Only with random routing: how many replicas, and what draws one.
    routing: Option<(u64, ChaCha8Rng)>,
}

impl ClientStream {
    /// The stream of client `client` at site `site` of `point.replicas`, counted from 0 at each
    /// site. The same arguments give the same stream.
    pub fn new(point: &Point, run_seed: u64, site: usize, client: usize) -> Self {
        let choice = match point.keys {
            Keys::Conflict { conflict_rate } => KeyChoice::Conflict {
                shared: Chance::new(conflict_rate),
                own: own_key(site, client),
            },
            Keys::Uniform { key_count } => KeyChoice::Uniform { key_count },
            Keys::Zipf { key_count, theta } => KeyChoice::Zipf(
                Zipf::new(key_count as f64, theta)
                    .expect("the loader admits only counts from 1 and exponents above 0"),
            ),
        };
        let routing = (point.routing == Routing::Random).then(|| {
            let rng = seed::generator(run_seed, Purpose::Routing, site, client);
            (point.replicas as u64, rng)
        });
        let writes = point.is_mixed().then(|| Writes {
            append: point.append_ratio / point.write_ratio,
            delete: point.delete_ratio / point.write_ratio,
            cas: point.cas_ratio / point.write_ratio,
            rng: seed::generator(run_seed, Purpose::Kinds, site, client),
        });
        Self {
            choice,
            writes,
            write: Chance::new(point.write_ratio),
            rng: seed::generator(run_seed, Purpose::Commands, site, client),
            key: numbered_key(0),
            to: match point.routing {
                Routing::Local | Routing::Random => ReplicaId::from_index(site),
                Routing::Leader => point.leader,
            },
            routing,
        }
    }

    /// The next operation.
    pub fn next_op(&mut self) -> Op<'_> {
        self.key = match &self.choice {
            KeyChoice::Conflict { shared, own } => {
                if shared.draw(&mut self.rng) {
                    SHARED_KEY
                } else {
                    *own
                }
            }
            KeyChoice::Uniform { key_count } => {
                numbered_key(seed::below(&mut self.rng, *key_count))
            }
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a whole number from 1 to the key count"
            )]
            KeyChoice::Zipf(ranks) => numbered_key(ranks.sample(&mut self.rng) as u64 - 1),
        };
        let kind = match &mut self.writes {
            _ if !self.write.draw(&mut self.rng) => Kind::Read,
            None => Kind::Put,
            Some(writes) => writes.draw(),
        };
        if let Some((replicas, rng)) = &mut self.routing {
            #[expect(clippy::cast_possible_truncation, reason = "below the number of replicas")]
            let replica = seed::below(rng, *replicas) as usize;
            self.to = ReplicaId::from_index(replica);
        }
        Op { kind, key: &self.key, to: self.to }
    }
}

/// Makes `value` what a client writes: `bytes` long, of which the first 16 are `client` and
/// `number`, both little-endian, so that no two writes of a run write the same value; the rest is
/// filler.
///
/// # Panics
/// If `bytes` is below 16: such values could not be unique, and no workload asks for them.
pub fn fill_value(value: &mut Vec<u8>, client: u64, number: u64, bytes: usize) {
    assert!(bytes >= VALUE_HEAD_BYTES, "a value of {bytes} bytes has no room for its writer");
    value.clear();
    value.extend_from_slice(&client.to_le_bytes());
    value.extend_from_slice(&number.to_le_bytes());
    value.resize(bytes, b'.');
}

/// The client and the number that [`fill_value`] made `value` of; none if it did not make it, `bytes` long.
pub fn value_writer(value: &[u8], bytes: usize) -> Option<(u64, u64)> {
    const FILLER: [u8; 64] = [b'.'; 64];
    let (head, filler) = value.split_at_checked(VALUE_HEAD_BYTES)?;
    // In pieces, which compare many bytes at once: a load generator does this for every read.
    let sound = filler.chunks(FILLER.len()).all(|piece| piece == &FILLER[..piece.len()]);
    let (client, number) = head.split_at(8);
    let word = |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).ok();
    (sound && value.len() == bytes).then_some(word(client)?).zip(word(number))
}

/// `k00000042`
fn numbered_key(number: u64) -> [u8; KEY_BYTES] {
    let mut key = *b"k00000000";
    write_digits(&mut key[1..], number);
    key
}

/// `c01000042`: site 1, client 42.
fn own_key(site: usize, client: usize) -> [u8; KEY_BYTES] {
    let mut key = *b"c00000000";
    write_digits(&mut key[1..3], site as u64);
    write_digits(&mut key[3..], client as u64);
    key
}

fn write_digits(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789"[(number % 10) as usize];
        number /= 10;
    }
    assert!(number == 0, "a number has more digits than its key has room for");
}
