//! The clients of one run: what each has outstanding, and which numbers it has used.
//!
//! Those that make the load come first, site by site. A site that has none has a reader behind
//! them, who asks for nothing but the closing reads there.
//!
//! **Invariants.** Writes and reads of a client are numbered apart, each densely from 1; a retry keeps its number. Nothing
//! here reads a clock or touches a socket, and issuing or answering allocates nothing once the rings have grown.

use std::collections::VecDeque;

use protocols::{ClientId, Command, ReplicaId, Request, RequestNumber};
use workload::{ClientStream, KEY_BYTES, Kind, Op, Placement, Point, fill_value};

use crate::history::{Invoked, Recorder};

/// A request that was sent. Times are in nanoseconds since the start of the load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    /// What the history knows it by, with the times at which it was due and sent.
    pub(crate) invoked: Invoked,
    /// A closing read: it is asked of one replica, and is no part of what is measured.
    pub(crate) closing: bool,
    /// When its client asks another replica.
    deadline_ns: u64,
    key: [u8; KEY_BYTES],
    /// Who was asked last.
    to: ReplicaId,
    /// How often it was sent.
    sends: u8,
    answered: bool,
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

    /// Was it sent more than once?
    pub(crate) const fn was_sent_again(&self) -> bool {
        self.sends > 1
    }
}

/// A client's outstanding requests of one kind, by number. The front one is never answered.
#[derive(Debug)]
struct Ring {
    first: u64,
    pending: VecDeque<Pending>,
}

impl Ring {
    const fn new() -> Self {
        Self { first: 1, pending: VecDeque::new() }
    }

    /// Adds a request; returns its number among its kind.
    fn push(&mut self, pending: Pending) -> u64 {
        self.pending.push_back(pending);
        self.first + self.pending.len() as u64 - 1
    }

    fn open(&mut self, index: u64) -> Option<&mut Pending> {
        let offset = usize::try_from(index.checked_sub(self.first)?).ok()?;
        self.pending.get_mut(offset).filter(|pending| !pending.answered)
    }

    /// Takes a request out; none if it was taken before.
    fn take(&mut self, index: u64) -> Option<Pending> {
        let pending = self.open(index)?;
        pending.answered = true;
        let taken = *pending;
        while self.pending.front().is_some_and(|pending| pending.answered) {
            self.pending.pop_front();
            self.first += 1;
        }
        Some(taken)
    }
}

#[derive(Debug)]
struct Client {
    site: usize,
    stream: ClientStream,
    writes: Ring,
    reads: Ring,
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
    replicas: usize,
    value_bytes: usize,
    timeout_ns: u64,
    value: Vec<u8>,
    outstanding: usize,
}

impl Clients {
    /// The clients of all sites of `point`; each asks another replica after `timeout_ns`.
    pub(crate) fn new(point: &Point, run_seed: u64, timeout_ns: u64) -> Self {
        let placement = point.clients;
        let sites = (0..point.replicas)
            .flat_map(|site| (0..placement.at(site)).map(move |client| (site, client)));
        let readers = (placement.sites_with_clients()..point.replicas).map(|site| (site, 0));
        let list = sites
            .chain(readers)
            .map(|(site, client)| Client {
                site,
                stream: ClientStream::new(point, run_seed, site, client),
                writes: Ring::new(),
                reads: Ring::new(),
            })
            .collect();
        Self {
            list,
            placement,
            replicas: point.replicas,
            value_bytes: point.value_bytes,
            timeout_ns,
            value: Vec::new(),
            outstanding: 0,
        }
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
        let pending = Pending {
            invoked: history.begin(&key, due_ns, now_ns),
            closing: false,
            deadline_ns: now_ns.saturating_add(self.timeout_ns),
            key,
            to,
            sends: 1,
            answered: false,
        };
        let number = match kind {
            Kind::Write => RequestNumber::write(client.writes.push(pending)),
            Kind::Read => RequestNumber::read(client.reads.push(pending)),
        };
        self.outstanding += 1;
        self.hand_over(Handle { client: place, number }, &key, to, send);
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
        let client = &mut self.list[place];
        let mut requests = Vec::with_capacity(keys.len());
        for name in keys {
            let pending = Pending {
                invoked: history.begin(name, None, now_ns),
                closing: true,
                deadline_ns: now_ns.saturating_add(self.timeout_ns),
                key: (**name).try_into().expect("every key has KEY_BYTES"),
                to,
                sends: 1,
                answered: false,
            };
            let number = RequestNumber::read(client.reads.push(pending));
            let unanswered_from = client.writes.first;
            let command = Command::Get { key: name };
            requests.push(Request { client: client_id(place), number, unanswered_from, command });
        }
        self.outstanding += requests.len();
        send(&requests);
    }

    /// Sends a request once more, of the next replica; a closing read of the same.
    pub(crate) fn again(
        &mut self,
        handle: Handle,
        now_ns: u64,
        send: impl FnOnce(ReplicaId, &Request<'_>),
    ) {
        let (replicas, timeout_ns) = (self.replicas, self.timeout_ns);
        let Some(pending) = self.ring(handle).open(handle.number.index()) else { return };
        if !pending.closing {
            pending.to = ReplicaId::from_index((pending.to.index() + 1) % replicas);
        }
        pending.sends = pending.sends.saturating_add(1);
        pending.deadline_ns = now_ns.saturating_add(timeout_ns);
        let (key, to) = (pending.key, pending.to);
        self.hand_over(handle, &key, to, send);
    }

    /// Takes a request out: it was answered, or is given up. None if it was taken out before, which happens when a
    /// request was asked twice and both replicas answered.
    pub(crate) fn close(&mut self, handle: Handle) -> Option<Closed> {
        if handle.client >= self.list.len() {
            return None;
        }
        let pending = self.ring(handle).take(handle.number.index())?;
        self.outstanding -= 1;
        Some(Closed { site: self.list[handle.client].site, pending })
    }

    /// Every request whose time is over; of those that were sent `sends_max` times no more is hoped for.
    pub(crate) fn overdue(&self, now_ns: u64, sends_max: u8) -> Vec<Overdue> {
        self.open_requests()
            .filter(|(_, pending)| pending.deadline_ns <= now_ns)
            .map(|(handle, pending)| match pending.sends {
                sends if sends >= sends_max => Overdue::GiveUp(handle),
                _ => Overdue::Again(handle),
            })
            .collect()
    }

    /// Everything that is outstanding: of which site, whether it is a read, and what is known about it.
    pub(crate) fn outstanding_requests(&self) -> impl Iterator<Item = (usize, bool, &Pending)> {
        let of = |(handle, pending): (Handle, _)| {
            (self.site(handle.client), handle.number.is_read(), pending)
        };
        self.open_requests().map(of)
    }

    /// Everything that is outstanding.
    pub(crate) fn open(&self) -> Vec<Handle> {
        self.open_requests().map(|(handle, _)| handle).collect()
    }

    /// Everything that was asked of `replica` last, but for closing reads, which are of that replica alone.
    pub(crate) fn asked_of(&self, replica: ReplicaId) -> Vec<Handle> {
        let asked = |pending: &Pending| pending.to == replica && !pending.closing;
        self.open_requests()
            .filter(|(_, pending)| asked(pending))
            .map(|(handle, _)| handle)
            .collect()
    }

    fn open_requests(&self) -> impl Iterator<Item = (Handle, &Pending)> {
        self.list.iter().enumerate().flat_map(|(place, client)| {
            let of = move |ring: &'_ Ring, number: fn(u64) -> RequestNumber| {
                let first = ring.first;
                move |offset: usize| Handle { client: place, number: number(first + offset as u64) }
            };
            let writes = of(&client.writes, RequestNumber::write);
            let reads = of(&client.reads, RequestNumber::read);
            let writes = client.writes.pending.iter().enumerate().map(move |(i, p)| (writes(i), p));
            let reads = client.reads.pending.iter().enumerate().map(move |(i, p)| (reads(i), p));
            writes.chain(reads).filter(|(_, pending)| !pending.answered)
        })
    }

    fn ring(&mut self, handle: Handle) -> &mut Ring {
        let client = &mut self.list[handle.client];
        if handle.number.is_read() { &mut client.reads } else { &mut client.writes }
    }

    fn hand_over(
        &mut self,
        handle: Handle,
        key: &[u8; KEY_BYTES],
        to: ReplicaId,
        send: impl FnOnce(ReplicaId, &Request<'_>),
    ) {
        let Handle { client: place, number } = handle;
        let client = client_id(place);
        let kind = if number.is_read() { Kind::Read } else { Kind::Write };
        if kind == Kind::Write {
            fill_value(&mut self.value, client.0, number.as_u64(), self.value_bytes);
        }
        let command = Op { kind, key, to }.command(&self.value);
        let unanswered_from = self.list[place].writes.first;
        send(to, &Request { client, number, unanswered_from, command });
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
        clients.again(handle, 1_005, |to, request| {
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
        let last = clients.place(2, 0);
        issue(&mut clients, last, 0);
        assert_eq!(clients.overdue(999, 2), []);
        assert_eq!(clients.overdue(1_000, 2), [Overdue::Again(write(last, 1))]);
        clients.again(write(last, 1), 1_000, |to, request| {
            assert_eq!((to, request.number), (ReplicaId(0), RequestNumber::write(1)));
        });
        assert_eq!(clients.overdue(1_999, 2), []);
        assert_eq!(clients.overdue(2_000, 2), [Overdue::GiveUp(write(last, 1))]);
        let closed = clients.close(write(last, 1)).unwrap();
        assert_eq!(closed.site, 2);
        assert!(closed.pending.sent_ns() < 1_000, "latency counts from the first send");
    }
}
