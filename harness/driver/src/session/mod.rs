//! A client's session: which requests are open, how often each was sent, where and until when.
//!
//! The load generators, `bench client` and the clients of the soak have this code in common. What
//! the soak attacks is therefore what real clients run. A user keeps with each request what it
//! needs of its own (the `T` of [`ClientSession`]), and it moves the bytes.
//!
//! A request is *open* from [`ClientSession::open`] to [`ClientSession::close`]. It is closed when
//! its answer comes, when it is refused, or when it is *given up*: nobody waits for it any more,
//! and it may take effect at any later time. A session promises:
//!
//! * A number is given to one request alone, and each kind, writes and reads, has the numbers from
//!   1 on without a gap. A retry has the number of its request. Replicas remember the writes that
//!   they have applied as intervals (`protocols::session`), which join only if the numbers are
//!   dense.
//! * A request is closed once. An answer to a request that is closed, was never sent, or has a
//!   number that was never given out, finds nothing.
//! * A request is sent [`Policy::sends_max`] times at most, for whatever reason it is sent again.
//! * A pinned request stays with its replica. Any other goes to the next replica each time.
//! * The floor that a request carries (`unanswered_from`) is the lowest write that was open when
//!   the request was opened, or the next one if none was. So it is never above an open write.
//! * A retry is what was sent first, byte for byte, with the same floor. Replicas tell by equality
//!   that a batch is one that they know: what is decided through another replica is proposed no
//!   more. The floor of a retry may be out of date, which does no harm: replicas keep the highest.
//!
//! # The floor, and writes that were given up
//!
//! A replica forgets the results of a client's writes below the floor. It never forgets that it has
//! applied them. So two things follow:
//!
//! * The floor must not pass an open write. If it did, a retry could find that its write is applied
//!   and that the result is gone ([`Outcome::Forgotten`](protocols::Outcome::Forgotten)).
//! * The floor must pass a write that was given up. Nobody asks for its result. A copy of it that
//!   arrives late is applied if none was before, and then never again, whatever the floor is. A
//!   floor that waited for it would hold all results after it, and replicas would refuse the client
//!   once they held [`OUTCOMES_MAX`] of them.
//!
//! A write that no replica has ever ordered leaves a gap in what replicas remember. They refuse a
//! client with more than `protocols::session::INTERVALS_MAX` gaps. A user that gave up so many
//! writes must begin another session, with another [`ClientId`].
//!
//! # What a user must do
//!
//! * It must give a session a [`ClientId`] that no other session of the cluster's life has.
//! * It must send the command that belongs to a number, the same each time.
//! * It must call [`ClientSession::overdue`], or [`ClientSession::due`], often enough.
//!
//! Nothing here reads a clock or touches a socket. Opening and sending take constant time, closing
//! does on average, and none of them allocates once the rings have grown to the largest span of
//! open numbers.

mod ring;
#[cfg(test)]
mod tests;

use protocols::{ClientId, Command, ReplicaId, Request, RequestNumber, session::OUTCOMES_MAX};

use self::ring::Ring;
use crate::Nanos;

/// How long a client waits for answers, and how often it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long one attempt may take, in nanoseconds; then the request is overdue. Without end at
    /// [`Nanos::MAX`].
    pub attempt_ns: Nanos,
    /// How long a request may be open, in nanoseconds; then it is given up. At [`Nanos::MAX`] the
    /// request is given up when its last attempt is over, and otherwise not before this time, even
    /// if it may not be sent again.
    pub total_ns: Nanos,
    /// How often a request is sent at most. Without end at [`u32::MAX`].
    pub sends_max: u32,
}

/// Reads and writes have numbers of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// It changes nothing.
    Read,
    /// It may change something, and takes effect once.
    Write,
}

/// Where a request goes first, and whether it stays there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// It goes to this replica first, and to another one each time that it is sent again.
    First(ReplicaId),
    /// It goes to this replica alone.
    Only(ReplicaId),
}

/// An open request.
#[derive(Debug)]
pub struct Open<T> {
    /// What the session's user keeps with it.
    pub kept: T,
    /// When it was opened.
    pub begun: Nanos,
    /// When its attempt is over.
    pub deadline: Nanos,
    /// The floor that it carries.
    unanswered_from: u64,
    /// How often it was sent.
    pub sends: u32,
    /// The replica that is asked.
    pub to: ReplicaId,
    /// Is no other replica asked?
    pub pinned: bool,
}

impl<T> Open<T> {
    /// When it is given up at the latest.
    const fn ends(&self, policy: &Policy) -> Nanos {
        self.begun.saturating_add(policy.total_ns)
    }

    /// Is it certain that it never takes effect, if a replica has `refused` it, or if it is given
    /// up? It is if it never left, or if it left once and that replica has refused it. Of several
    /// replicas another one may have taken it on.
    pub const fn is_without_effect(&self, refused: bool) -> bool {
        match self.sends {
            0 => true,
            1 => refused,
            _ => false,
        }
    }
}

/// What becomes of a request whose attempt, or whose whole time, is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Another attempt follows ([`ClientSession::move_on`]), if it may be sent again.
    Again,
    /// Nothing more is hoped for: it must be closed.
    GiveUp,
}

/// The requests of one client.
#[derive(Debug)]
pub struct ClientSession<T> {
    client: ClientId,
    replicas: usize,
    policy: Policy,
    writes: Ring<T>,
    reads: Ring<T>,
    open: usize,
}

impl<T> ClientSession<T> {
    /// A session of `client`, which has asked for nothing yet, with a cluster of `replicas`.
    pub const fn new(client: ClientId, replicas: usize, policy: Policy) -> Self {
        Self { client, replicas, policy, writes: Ring::new(), reads: Ring::new(), open: 0 }
    }

    /// The client.
    pub const fn client(&self) -> ClientId {
        self.client
    }

    /// How many requests are open.
    pub const fn len(&self) -> usize {
        self.open
    }

    /// Is no request open?
    pub const fn is_empty(&self) -> bool {
        self.open == 0
    }

    /// The floor of a request that is opened now: the lowest open write, or the next one if none is
    /// open.
    pub const fn unanswered_from(&self) -> u64 {
        self.writes.first()
    }

    /// May another write be opened? Replicas keep so many results of a client, and its lowest open
    /// write holds all that come after it. They refuse what goes beyond.
    pub fn has_room(&self) -> bool {
        self.writes.span() < OUTCOMES_MAX
    }

    /// Opens a request, which has not been sent yet; returns its number.
    pub fn open(
        &mut self,
        kind: RequestKind,
        target: Target,
        now: Nanos,
        kept: T,
    ) -> RequestNumber {
        let (to, pinned) = match target {
            Target::First(to) => (to, false),
            Target::Only(to) => (to, true),
        };
        let deadline = now.saturating_add(self.policy.attempt_ns.min(self.policy.total_ns));
        let unanswered_from = self.unanswered_from();
        let open = Open { kept, begun: now, deadline, unanswered_from, sends: 0, to, pinned };
        self.open += 1;
        match kind {
            RequestKind::Read => RequestNumber::read(self.reads.push(open)),
            RequestKind::Write => RequestNumber::write(self.writes.push(open)),
        }
    }

    /// What is to be sent now for the open request `number`, whose `command` this is; counts as
    /// sent. None if the request is not open, or was sent often enough.
    pub fn send<'a>(&mut self, number: RequestNumber, command: Command<'a>) -> Option<Request<'a>> {
        debug_assert_eq!(command.is_read(), number.is_read(), "{number:?} has another command");
        let (client, sends_max) = (self.client, self.policy.sends_max);
        let open = self.ring_mut(number).get_mut(number.index())?;
        if open.sends >= sends_max {
            return None;
        }
        open.sends += 1;
        Some(Request { client, number, unanswered_from: open.unanswered_from, command })
    }

    /// Another attempt begins for the request `number`: returns the replica that is to be asked.
    /// That is the same one for a pinned request. For any other it is the next one, or what `route`
    /// takes in its place. None if the request is not open, or if it may not be sent again: then it
    /// waits for its end.
    pub fn move_on(
        &mut self,
        number: RequestNumber,
        now: Nanos,
        route: impl FnOnce(ReplicaId) -> ReplicaId,
    ) -> Option<ReplicaId> {
        let (policy, replicas) = (self.policy, self.replicas);
        let open = self.ring_mut(number).get_mut(number.index())?;
        let ends = open.ends(&policy);
        if open.sends >= policy.sends_max {
            if policy.total_ns < Nanos::MAX {
                open.deadline = ends;
            }
            return None;
        }
        open.deadline = now.saturating_add(policy.attempt_ns).min(ends);
        if !open.pinned {
            open.to = route(ReplicaId::from_index((open.to.index() + 1) % replicas));
        }
        Some(open.to)
    }

    /// Lets the present attempt of the request `number` last until `until`, or until the end of its
    /// whole time if that is earlier.
    pub fn postpone(&mut self, number: RequestNumber, until: Nanos) {
        let policy = self.policy;
        if let Some(open) = self.ring_mut(number).get_mut(number.index()) {
            open.deadline = until.min(open.ends(&policy));
        }
    }

    /// What is due at `now` for the request `number`; none if it is not open or not overdue.
    pub fn due(&self, number: RequestNumber, now: Nanos) -> Option<Due> {
        self.get(number).and_then(|open| self.due_of(open, now))
    }

    /// Every request that is overdue at `now`: writes first, each kind in the order of numbers.
    pub fn overdue(&self, now: Nanos) -> impl Iterator<Item = (RequestNumber, Due)> {
        self.iter().filter_map(move |(number, open)| Some((number, self.due_of(open, now)?)))
    }

    fn due_of(&self, open: &Open<T>, now: Nanos) -> Option<Due> {
        if now < open.deadline {
            return None;
        }
        let is_last = open.sends >= self.policy.sends_max && self.policy.total_ns == Nanos::MAX;
        Some(if is_last || open.ends(&self.policy) <= now { Due::GiveUp } else { Due::Again })
    }

    /// Closes the request `number`, because it is answered, refused or given up. None if it is not
    /// open, which happens when it was sent twice and both copies are answered.
    pub fn close(&mut self, number: RequestNumber) -> Option<Open<T>> {
        let closed = self.ring_mut(number).take(number.index())?;
        self.open -= 1;
        Some(closed)
    }

    /// The open request `number`.
    pub fn get(&self, number: RequestNumber) -> Option<&Open<T>> {
        let ring = if number.is_read() { &self.reads } else { &self.writes };
        ring.get(number.index())
    }

    /// What is kept with the open request `number`.
    pub fn kept_mut(&mut self, number: RequestNumber) -> Option<&mut T> {
        let open = self.ring_mut(number).get_mut(number.index())?;
        Some(&mut open.kept)
    }

    /// Every open request: writes first, each kind in the order of numbers.
    pub fn iter(&self) -> impl Iterator<Item = (RequestNumber, &Open<T>)> {
        let writes = self.writes.iter().map(|(index, open)| (RequestNumber::write(index), open));
        let reads = self.reads.iter().map(|(index, open)| (RequestNumber::read(index), open));
        writes.chain(reads)
    }

    fn ring_mut(&mut self, number: RequestNumber) -> &mut Ring<T> {
        if number.is_read() { &mut self.reads } else { &mut self.writes }
    }
}

/// The replica of the lowest `rank`; of several the first one from `to` on, in the order of numbers
/// and around, of `replicas`.
pub fn best_from<K: Ord>(
    to: ReplicaId,
    replicas: usize,
    rank: impl Fn(ReplicaId) -> K,
) -> ReplicaId {
    let around = (0..replicas).map(|step| ReplicaId::from_index((to.index() + step) % replicas));
    around.min_by_key(|replica| rank(*replica)).unwrap_or(to)
}
