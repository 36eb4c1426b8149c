//! The clients of one run: what each has outstanding, and which numbers it has used.
//!
//! Those that make the load come first, site by site. A site that has none has a reader behind
//! them, who asks for nothing but the closing reads there.
//!
//! What a client has open, and what it does when an answer is late, is its session
//! ([`driver::session`]): the same that every other client has.
//!
//! **Invariants.** Nothing here reads a clock or touches a socket, and issuing or answering
//! allocates nothing once the sessions have grown.

use driver::session::{ClientSession, Due, Open, Policy, RequestKind, Target};
use protocols::{ClientId, Command, ReplicaId, Request, RequestNumber};
use workload::{APPEND_BYTES, ClientStream, KEY_BYTES, Kind, Op, Placement, Point, fill_value};

use super::SENDS_MAX;
use crate::history::{Invoked, Recorder};

/// A request that was sent. Times are in nanoseconds since the start of the load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    /// What the history knows it by, with the times at which it was due and sent.
    pub(crate) invoked: Invoked,
    /// A closing read: it is asked of one replica, and is no part of what is measured.
    pub(crate) closing: bool,
    kind: Kind,
    key: [u8; KEY_BYTES],
}

impl Pending {
    /// When it should have been sent; in closed and pipelined loops when it was.
    pub(crate) const fn due_ns(&self) -> u64 {
        self.invoked.due_ns
    }

    /// When it was sent first.
    pub(crate) const fn sent_ns(&self) -> u64 {
        self.invoked.at_ns
    }

    /// Which key it reads or writes.
    #[cfg(debug_assertions)]
    pub(crate) const fn key(&self) -> &[u8] {
        &self.key
    }
}

#[derive(Debug)]
struct Client {
    site: usize,
    stream: ClientStream,
    session: ClientSession<Pending>,
}

/// A request of one client: what is needed to find it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handle {
    /// The client's place in the list.
    pub(crate) client: usize,
    /// The request's number.
    pub(crate) number: RequestNumber,
}

/// A request that left the list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closed {
    /// The site of its client.
    pub(crate) site: usize,
    /// What was known about it.
    pub(crate) pending: Pending,
    /// Is it certain that it has no effect if it was refused?
    pub(crate) is_without_effect_if_refused: bool,
}

/// What becomes of a request whose time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// It is asked again, of the next replica.
    Again(Handle),
    /// It was asked often enough.
    GiveUp(Handle),
}

/// Every client of a run.
#[derive(Debug)]
pub(crate) struct Clients {
    list: Vec<Client>,
    placement: Placement,
    value_bytes: usize,
    value: Vec<u8>,
    /// What a compare-and-set expects.
    expected: Vec<u8>,
    outstanding: usize,
}

impl Clients {
    /// The clients of all sites of `point`; each asks another replica after `timeout_ns`.
    pub(crate) fn new(point: &Point, run_seed: u64, timeout_ns: u64) -> Self {
        let placement = point.clients;
        let policy = Policy { attempt_ns: timeout_ns, total_ns: u64::MAX, sends_max: SENDS_MAX };
        let sites = (0..point.replicas)
            .flat_map(|site| (0..placement.at(site)).map(move |client| (site, client)));
        let readers = (placement.sites_with_clients()..point.replicas).map(|site| (site, 0));
        let list = sites
            .chain(readers)
            .enumerate()
            .map(|(place, (site, client))| Client {
                site,
                stream: ClientStream::new(point, run_seed, site, client),
                session: ClientSession::new(client_id(place), point.replicas, policy),
            })
            .collect();
        let (value, expected) = (Vec::new(), Vec::new());
        let value_bytes = point.value_bytes;
        Self { list, placement, value_bytes, value, expected, outstanding: 0 }
    }

    /// How many clients make the load: the first ones.
    pub(crate) const fn len(&self) -> usize {
        self.placement.clients()
    }

    /// The place of client `client` of site `site`, which has that many.
    pub(crate) const fn place(&self, site: usize, client: usize) -> usize {
        self.placement.first(site) + client
    }

    /// The place of the one at `site` who asks for the closing reads there.
    pub(crate) const fn reader(&self, site: usize) -> usize {
        match self.placement.at(site) {
            0 => self.len() + site - self.placement.sites_with_clients(),
            _ => self.place(site, 0),
        }
    }

    /// The site of the client at `place`.
    pub(crate) fn site(&self, place: usize) -> usize {
        self.list[place].site
    }

    /// The sessions of the clients at `site`, as numbers.
    pub(crate) fn sessions_at(&self, site: usize) -> Vec<u64> {
        let at_site = (0..self.list.len()).filter(|place| self.site(*place) == site);
        at_site.map(|place| client_id(place).0).collect()
    }

    /// How many requests are outstanding.
    pub(crate) const fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Draws the next request of the client at `place`, takes note of it in `history`, and hands it to `send` together
    /// with the replica to ask. It was due at `due_ns`, in an open loop, or is now. Gives when it was due and when it was
    /// sent, as the history has it.
    pub(crate) fn issue(
        &mut self,
        place: usize,
        (due_ns, now_ns): (Option<u64>, u64),
        history: &mut Recorder,
        send: impl FnOnce(ReplicaId, &Request<'_>),
    ) -> (u64, u64) {
        let client = &mut self.list[place];
        let Op { kind, key, to } = client.stream.next_op();
        let key: [u8; KEY_BYTES] = key.try_into().expect("every key has KEY_BYTES");
        let invoked = history.begin_as(kind, &key, due_ns, now_ns);
        let pending = Pending { invoked, closing: false, kind, key };
        let as_asked = if kind.is_read() { RequestKind::Read } else { RequestKind::Write };
        let number = client.session.open(as_asked, Target::First(to), now_ns, pending);
        self.outstanding += 1;
        self.hand_over(Handle { client: place, number }, pending, to, history, send);
        (pending.due_ns(), pending.sent_ns())
    }

    /// Reads `keys` at the replica `to`, for the client at `place`, and hands all of it to `send` as one batch.
    pub(crate) fn read_back(
        &mut self,
        place: usize,
        (to, keys): (ReplicaId, &[Box<[u8]>]),
        now_ns: u64,
        history: &mut Recorder,
        send: impl FnOnce(&[Request<'_>]),
    ) {
        let session = &mut self.list[place].session;
        let mut requests = Vec::with_capacity(keys.len());
        for name in keys {
            let pending = Pending {
                invoked: history.begin(name, None, now_ns),
                closing: true,
                kind: Kind::Read,
                key: (**name).try_into().expect("every key has KEY_BYTES"),
            };
            let number = session.open(RequestKind::Read, Target::Only(to), now_ns, pending);
            requests.extend(session.send(number, Command::Get { key: name }));
        }
        self.outstanding += requests.len();
        send(&requests);
    }

    /// Sends a request once more, to the next replica; a closing read to the same. One that was
    /// sent often enough waits for its end.
    pub(crate) fn again(
        &mut self,
        handle: Handle,
        now_ns: u64,
        history: &Recorder,
        send: impl FnOnce(ReplicaId, &Request<'_>),
    ) {
        let Handle { client: place, number } = handle;
        let session = &mut self.list[place].session;
        let Some(to) = session.move_on(number, now_ns, |next| next) else { return };
        let Some(pending) = session.get(number).map(|open| open.kept) else { return };
        self.hand_over(handle, pending, to, history, send);
    }

    /// Takes a request out: it was answered, or is given up. None if it was taken out before, which happens when a
    /// request was asked twice and both replicas answered.
    pub(crate) fn close(&mut self, handle: Handle) -> Option<Closed> {
        let Client { site, session, .. } = self.list.get_mut(handle.client)?;
        let closed = session.close(handle.number)?;
        self.outstanding -= 1;
        let is_without_effect_if_refused = closed.is_without_effect(true);
        Some(Closed { site: *site, pending: closed.kept, is_without_effect_if_refused })
    }

    /// Every request whose time is over; of those that were sent [`SENDS_MAX`] times no more is
    /// hoped for.
    pub(crate) fn overdue(&self, now_ns: u64) -> Vec<Overdue> {
        let mut found = Vec::new();
        for (place, client) in self.list.iter().enumerate() {
            found.extend(client.session.overdue(now_ns).map(|(number, due)| {
                let handle = Handle { client: place, number };
                match due {
                    Due::Again => Overdue::Again(handle),
                    Due::GiveUp => Overdue::GiveUp(handle),
                }
            }));
        }
        found
    }

    /// Everything that is outstanding: of which site, whether it is a read, and what is known about it.
    pub(crate) fn outstanding_requests(&self) -> impl Iterator<Item = (usize, bool, &Pending)> {
        self.open_requests()
            .map(|(handle, open)| (self.site(handle.client), handle.number.is_read(), &open.kept))
    }

    /// Everything that is outstanding.
    pub(crate) fn open(&self) -> Vec<Handle> {
        self.open_requests().map(|(handle, _)| handle).collect()
    }

    /// Everything that was asked of `replica` last, but for closing reads, which are of that replica alone.
    pub(crate) fn asked_of(&self, replica: ReplicaId) -> Vec<Handle> {
        self.open_requests()
            .filter(|(_, open)| open.to == replica && !open.pinned)
            .map(|(handle, _)| handle)
            .collect()
    }

    fn open_requests(&self) -> impl Iterator<Item = (Handle, &Open<Pending>)> {
        self.list.iter().enumerate().flat_map(|(place, client)| {
            let of = move |(number, open)| (Handle { client: place, number }, open);
            client.session.iter().map(of)
        })
    }

    fn hand_over(
        &mut self,
        handle: Handle,
        pending: Pending,
        to: ReplicaId,
        history: &Recorder,
        send: impl FnOnce(ReplicaId, &Request<'_>),
    ) {
        let Handle { client: place, number } = handle;
        let Pending { invoked, kind, key, .. } = pending;
        let bytes = if kind == Kind::Append { APPEND_BYTES } else { self.value_bytes };
        if !matches!(kind, Kind::Read | Kind::Delete) {
            fill_value(&mut self.value, client_id(place).0, number.as_u64(), bytes);
        }
        let is_there = history.expected(&invoked, &mut self.expected);
        let expected = is_there.then_some(&*self.expected);
        let command = Op { kind, key: &key, to }.command(&self.value, expected);
        if let Some(request) = self.list[place].session.send(number, command) {
            send(to, &request);
        }
    }
}

/// The session of the client at `place`. Every run has a cluster of its own, so that the numbers begin anew.
pub(crate) const fn client_id(place: usize) -> ClientId {
    ClientId(place as u64 + 1)
}

/// The place of the client with this session; of a session that no client has, a place that is not in the list.
pub(crate) fn place_of(client: ClientId) -> usize {
    usize::try_from(client.0.wrapping_sub(1)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use workload::{Plan, Workload};

    use super::*;

    fn clients(text: &str) -> Clients {
        let workload = Workload::parse("x.toml", &format!("name = \"x\"\n{text}"), &[]).unwrap();
        let run = &Plan::new(&workload).runs[0];
        Clients::new(&run.point, run.seed, 1_000)
    }

    /// Issues for the client at `place`: the number, the floor and the replica asked.
    fn issue(clients: &mut Clients, place: usize, now_ns: u64) -> (RequestNumber, u64, ReplicaId) {
        let mut sent = None;
        let mut history = Recorder::new(16, false);
        clients.issue(place, (None, now_ns), &mut history, |to, request| {
            assert_eq!(request.client, client_id(place));
            sent = Some((request.number, request.unanswered_from, to));
        });
        sent.unwrap()
    }

    fn write(client: usize, index: u64) -> Handle {
        Handle { client, number: RequestNumber::write(index) }
    }

    #[test]
    fn the_floor_is_the_lowest_unanswered_write() {
        let mut clients = clients("");
        for index in 1..=3 {
            let expected = (RequestNumber::write(index), 1, ReplicaId(0));
            assert_eq!(issue(&mut clients, 0, 0), expected);
        }
        assert!(clients.close(write(0, 2)).is_some());
        assert_eq!(issue(&mut clients, 0, 0).1, 1, "1 is still out");
        assert!(clients.close(write(0, 1)).is_some());
        assert_eq!(issue(&mut clients, 0, 0).1, 3, "1 and 2 are answered");
        assert!(clients.close(write(0, 2)).is_none(), "a second answer");
        assert!(clients.close(write(0, 99)).is_none(), "an answer to nothing");
        assert!(clients.close(write(9_999, 1)).is_none(), "an answer to nobody");
        assert_eq!(clients.outstanding(), 3);
    }

    #[test]
    fn reads_are_numbered_apart_and_carry_the_floor_of_the_writes() {
        let mut clients = clients("[commands]\nwrite_ratio = 0.5");
        let (mut writes, mut reads) = (0, 0);
        for _ in 0..100 {
            let (number, floor, _) = issue(&mut clients, 5, 0);
            assert_eq!(floor, 1);
            let count = if number.is_read() { &mut reads } else { &mut writes };
            *count += 1;
            assert_eq!(number.index(), *count);
        }
        assert!(reads > 20 && writes > 20);
        let open = clients.open();
        assert_eq!(open.len(), 100);
        assert!(open.into_iter().all(|handle| clients.close(handle).is_some()));
        assert_eq!(clients.outstanding(), 0);
    }

    #[test]
    fn closing_reads_are_one_batch_and_are_asked_again_of_the_same_replica() {
        let mut clients = clients("");
        let keys = [(*b"shared-00").into(), (*b"c00000001").into()];
        let (mut history, to) = (Recorder::new(16, false), ReplicaId(1));
        clients.read_back(3, (to, &keys), 5, &mut history, |requests| {
            let numbers: Vec<_> = requests.iter().map(|request| request.number).collect();
            assert_eq!(numbers, [RequestNumber::read(1), RequestNumber::read(2)]);
            assert_eq!(requests[1].command, Command::Get { key: b"c00000001" });
        });
        let handle = Handle { client: 3, number: RequestNumber::read(2) };
        clients.again(handle, 1_005, &history, |to, request| {
            assert_eq!((to, request.number), (ReplicaId(1), RequestNumber::read(2)));
            assert_eq!(request.command, Command::Get { key: b"c00000001" });
        });
        assert!(clients.close(handle).is_some_and(|closed| closed.pending.closing));
        assert_eq!(clients.outstanding(), 1);
    }

    /// Two clients at three sites: the third site has nobody but a reader, who makes no load.
    #[test]
    fn a_site_without_clients_has_a_reader() {
        let mut clients = clients("load.clients = 2");
        assert_eq!((clients.len(), clients.list.len()), (2, 3));
        let readers: Vec<usize> = (0..3).map(|site| clients.reader(site)).collect();
        assert_eq!(readers, [0, 1, 2]);
        assert!(readers.iter().all(|place| clients.site(*place) == *place));
        let (keys, mut history) = ([(*b"shared-00").into()], Recorder::new(16, false));
        let mut asked = Vec::new();
        clients.read_back(2, (ReplicaId(2), &keys), 5, &mut history, |requests| {
            asked.extend(requests.iter().map(|request| (request.client, request.number)));
        });
        assert_eq!(asked, [(client_id(2), RequestNumber::read(1))]);
        let closed = clients.close(Handle { client: 2, number: RequestNumber::read(1) }).unwrap();
        assert_eq!((closed.site, closed.pending.closing), (2, true));
    }

    #[test]
    fn readers_of_sites_with_clients_are_the_first_of_these() {
        let clients = clients("load.clients = 7");
        assert_eq!((clients.len(), clients.list.len()), (7, 7));
        assert_eq!([0, 1, 2].map(|site| clients.reader(site)), [0, 3, 5]);
        let sites: Vec<usize> = (0..7).map(|place| clients.site(place)).collect();
        assert_eq!(sites, [0, 0, 0, 1, 1, 2, 2]);
    }

    #[test]
    fn a_retry_keeps_its_number_and_asks_the_next_replica() {
        let mut clients = clients("");
        let (last, history) = (clients.place(2, 0), Recorder::new(16, false));
        issue(&mut clients, last, 0);
        for sends in 1..SENDS_MAX {
            let now_ns = 1_000 * u64::from(sends);
            assert_eq!(clients.overdue(now_ns - 1), []);
            assert_eq!(clients.overdue(now_ns), [Overdue::Again(write(last, 1))]);
            let next = ReplicaId::from_index((2 + sends as usize) % 3);
            clients.again(write(last, 1), now_ns, &history, |to, request| {
                assert_eq!((to, request.number), (next, RequestNumber::write(1)));
            });
        }
        let end_ns = 1_000 * u64::from(SENDS_MAX);
        assert_eq!(clients.overdue(end_ns - 1), []);
        assert_eq!(clients.overdue(end_ns), [Overdue::GiveUp(write(last, 1))]);
        clients.again(write(last, 1), end_ns, &history, |_, _| panic!("it was sent often enough"));
        let closed = clients.close(write(last, 1)).unwrap();
        assert_eq!(closed.site, 2);
        assert!(closed.pending.sent_ns() < 1_000, "latency counts from the first send");
    }
}
