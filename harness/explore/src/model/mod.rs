//! The state space: states, what may happen in one, and what that leads to.
//!
//! A state is a handful of numbers. Each replica (its core, what it persisted, its timers, its machine) is held once in a
//! table, as is every message, and what a step of a replica comes to is worked out once, however many states of the whole
//! contain that replica. That is exact: values in a table are told apart by equality. Only the checker itself, which tells
//! states apart by a hash of 64 bits, may take two for one.
//!
//! # What is left out without losing anything
//!
//! * A delivery that changes nothing is not taken. What can happen without the message can happen with it under way.
//! * So, where links do not keep order, losing a message adds nothing either, as far as safety goes: a message may be under
//!   way for ever. Some configurations lose messages all the same.
//! * Where links keep order (`overtakings: Some`), what comes to be lost, repeated or overtaken is bounded; a crash breaks
//!   the links of its replica, and what was under way there arrives at any time or never.
//! * What a dead replica is sent stays under way; delivered, it would be lost. If nobody comes back
//!   any more, it is lost at once.
//! * Once nobody can crash any more, records decide nothing and are forgotten; and an answer that counts towards a
//!   decision which its receiver knows is dropped.
//! * With duplicates without bound (`duplicates: None`) a message, once sent, is there for ever, and a second one adds
//!   nothing.

mod properties;
mod scene;

use std::sync::atomic::AtomicBool;

use protocols::{
    Batch, Input, ReplicaId,
    explored::{Director, Mark, Marks, Setup, Subject},
};
use smallvec::SmallVec;
use stateright::Property;

pub(crate) use self::properties::applies;
use self::scene::Scene;
use crate::{
    breach::Breach,
    entries::{Entered, Envelope, Node, Outcome, Page, Step},
    flight::{Flight, Lane, Number, Packet},
    host::{Driver, ExploredReplica, Stepped, Stimulus},
    ledger::{Ledger, Observation},
    mark::Reached,
    state::{Action, Event, Left, State},
    table::{Memo, Table},
};

/// Under which kind a crash is remembered.
const CRASH: u64 = 5;

/// A configuration's state space.
#[derive(Debug)]
pub struct Model<R: Subject> {
    pub(crate) setup: Setup<R>,
    batches: Vec<Batch>,
    init: State,
    hosts: Table<Node<R>>,
    envelopes: Table<Envelope<R>>,
    timers: Table<R::Timer>,
    steps: Table<Step>,
    observations: Table<Vec<Observation>>,
    ledgers: Table<Page>,
    entries: Table<Entered>,
    breaches: Table<Breach>,
    pub(crate) reached: Reached,
    /// Has the checker been told of a broken rule? The first that it is told is the one with the shortest way there; of
    /// every further one it would write down the way too, in place of the first.
    pub(crate) told: AtomicBool,
}

impl<R: Subject> Model<R> {
    /// The state space of `setup`.
    pub fn new(setup: Setup<R>) -> Self {
        let batches = setup.batches();
        let left = Left::new(&setup.bounds);
        let mut model = Self {
            setup,
            batches,
            init: State {
                hosts: SmallVec::new(),
                flight: Flight::default(),
                ledger: 0,
                proposed: 0,
                left,
                breach: None,
            },
            hosts: Table::default(),
            envelopes: Table::default(),
            timers: Table::default(),
            steps: Table::default(),
            observations: Table::default(),
            ledgers: Table::default(),
            entries: Table::default(),
            breaches: Table::default(),
            reached: Reached::default(),
            told: AtomicBool::new(false),
        };
        model.init = model.started();
        // What a prefix reached is not what the exploration reaches.
        model.reached = Reached::default();
        model
    }

    /// Every replica has been started, and the configuration's prefix carried out.
    fn started(&self) -> State {
        let page = Page { ledger: Ledger::default(), next: Memo::default() };
        let mut state = State { ledger: self.ledgers.intern(page), ..self.init.clone() };
        let replicas = ReplicaId::all(self.setup.config.replicas);
        // The bounds are for what comes after. Records are kept until then.
        state.left = Left::ENOUGH;
        state.hosts = replicas.clone().map(|id| self.node(ExploredReplica::new(id))).collect();
        for replica in replicas {
            state = self.next(&state, self.act(&state, Event::Restart(replica)));
        }
        if let Some(prefix) = self.setup.prefix {
            let mut scene = Scene::new(self, state);
            prefix(&mut Director::new(&mut scene));
            state = scene.into_state();
        }
        state.left = self.init.left;
        if state.left.crashes == 0 {
            self.forget_records(&mut state);
        }
        for replica in ReplicaId::all(state.hosts.len()) {
            if self.is_dead_for_good(&state, replica) {
                self.drop_sent_to(&mut state, replica);
            }
        }
        state
    }

    pub(crate) const fn initial(&self) -> &State {
        &self.init
    }

    /// How many different replica states and messages were met.
    pub(crate) fn distinct(&self) -> (usize, usize) {
        (self.hosts.len(), self.envelopes.len())
    }

    pub(crate) fn host<'a>(&'a self, state: &State, replica: ReplicaId) -> &'a ExploredReplica<R> {
        &self.hosts.get(state.hosts[replica.index()]).host
    }

    pub(crate) fn envelope(&self, number: Number) -> &Envelope<R> {
        self.envelopes.get(number)
    }

    /// The messages under way.
    pub(crate) fn flight(&self, state: &State) -> impl Iterator<Item = Packet> {
        state.flight.iter()
    }

    /// What the replica sends in an action that is no crash: sender, receiver, message.
    #[cfg(test)]
    pub(crate) fn sent(
        &self,
        action: Action,
    ) -> impl Iterator<Item = (ReplicaId, ReplicaId, &R::Message)> {
        let sent = self.steps.get(action.step).whole.sent.iter();
        sent.map(|number| self.envelopes.get(*number))
            .map(|sent| (sent.from, sent.to, &sent.message))
    }

    pub(crate) fn timer(&self, number: Number) -> R::Timer {
        *self.timers.get(number)
    }

    pub(crate) fn timer_number(&self, timer: R::Timer) -> Number {
        self.timers.intern(timer)
    }

    pub(crate) fn batch(&self, proposal: u8) -> &Batch {
        &self.batches[self.setup.proposals[usize::from(proposal)].command]
    }

    pub(crate) fn breach(&self, state: &State) -> Option<&Breach> {
        state.breach.map(|number| self.breaches.get(number))
    }

    /// To whom something happens.
    pub(crate) fn whom(&self, event: Event) -> ReplicaId {
        match event {
            Event::Propose(proposal) => self.setup.proposals[usize::from(proposal)].replica,
            Event::Deliver(packet)
            | Event::Overtake(packet)
            | Event::DeliverCopy(packet)
            | Event::Lose(packet) => self.envelope(packet.number).to,
            Event::Fire(replica, _)
            | Event::Capture(replica)
            | Event::Flush(replica)
            | Event::Checkpoint(replica)
            | Event::Crash(replica)
            | Event::Restart(replica) => replica,
        }
    }

    /// What the replica makes of what happens to it.
    pub(crate) fn stimulus(&self, state: &State, event: Event) -> Stimulus<R> {
        Stimulus::Input(match event {
            Event::Propose(proposal) => Input::Propose(self.batch(proposal).clone()),
            Event::Deliver(packet) | Event::Overtake(packet) | Event::DeliverCopy(packet) => {
                let Envelope { from, message, .. } = self.envelope(packet.number);
                Input::Message { from: *from, message: message.clone() }
            }
            Event::Lose(_) => unreachable!("nobody notices that a message is lost"),
            Event::Fire(_, timer) => Input::Timer(self.timer(timer)),
            Event::Capture(replica) => {
                let captured = self.host(state, replica).captured.clone();
                Input::Captured(captured.expect("a state is given to who asked for it"))
            }
            Event::Flush(_) => Input::Flush,
            Event::Checkpoint(replica) => {
                Input::Checkpoint(self.host(state, replica).machine.encode())
            }
            Event::Crash(_) => return Stimulus::Crash,
            Event::Restart(_) => return Stimulus::Restart,
        })
    }

    /// How replicas are driven in `state`.
    pub(crate) fn driver(&self, state: &State) -> Driver {
        let Setup { config, flush_late, .. } = self.setup;
        Driver { config, flush_late, keep: state.left.crashes > 0 }
    }

    /// The action that lets `event`, which is possible in `state`, happen as a whole.
    pub(crate) fn act(&self, state: &State, event: Event) -> Action {
        let step = match event {
            Event::Lose(_) => 0,
            _ => self.step(state, event),
        };
        Action { event, step, cut: None }
    }

    /// The number of the step that `event` is, worked out if it is new.
    fn step(&self, state: &State, event: Event) -> Number {
        let replica = self.whom(event);
        let node = self.hosts.get(state.hosts[replica.index()]);
        let driver = self.driver(state);
        let (kind, which) = match event {
            Event::Propose(proposal) => (0, Number::from(proposal)),
            Event::Deliver(packet) | Event::Overtake(packet) | Event::DeliverCopy(packet) => {
                (1, packet.number)
            }
            Event::Lose(_) => unreachable!("nobody notices that a message is lost"),
            Event::Fire(_, timer) => (2, timer),
            Event::Capture(_) => (3, 0),
            Event::Flush(_) => (4, 0),
            Event::Crash(_) => (CRASH, 0),
            Event::Restart(_) => (6, 0),
            Event::Checkpoint(_) => (7, 0),
        };
        let key = u64::from(which) << 4 | kind << 1 | u64::from(driver.keep);
        node.steps.get_or_make(key, || {
            let stimulus = self.stimulus(state, event);
            let may_die = driver.keep && self.setup.bounds.midway;
            let cuts = if may_die && !matches!(event, Event::Crash(_)) {
                node.host.step_cut_short(&stimulus, &driver)
            } else {
                Vec::new()
            };
            let mut whole = node.host.step(&stimulus, &driver);
            match event {
                Event::Crash(_) => whole.marks = whole.marks.with(Mark::Crashed),
                Event::Restart(_) => whole.marks = whole.marks.with(Mark::Restarted),
                _ => {}
            }
            let cuts = cuts.into_iter().map(|cut| self.outcome(replica, cut)).collect();
            self.steps.intern(Step { whole: self.outcome(replica, whole), cuts })
        })
    }

    fn outcome(&self, from: ReplicaId, stepped: Stepped<R>) -> Outcome {
        let sent = stepped.sent.into_iter().map(|(to, message)| {
            let meaningless_after = R::meaningless_after(&message);
            self.envelopes.intern(Envelope { from, to, message, meaningless_after })
        });
        let observed = stepped.observed;
        Outcome {
            sent: sent.collect(),
            host: self.node(stepped.host),
            observed: (!observed.is_empty()).then(|| self.observations.intern(observed)),
            marks: stepped.marks,
            breach: stepped.breach.map(|breach| self.breaches.intern(breach)),
        }
    }

    fn node(&self, host: ExploredReplica<R>) -> Number {
        let has_applied = |batch: &&Batch| {
            batch.requests().all(|request| host.machine.kv.answered(&request).is_some())
        };
        let applied = self.batches.iter().enumerate();
        let applied =
            applied.filter(|(_, batch)| has_applied(batch)).map(|(command, _)| 1 << command);
        let applied = applied.sum();
        self.hosts.intern(Node { applied, host, steps: Memo::default() })
    }

    /// Everything that may happen in `state`.
    fn events(&self, state: &State, actions: &mut Vec<Action>) {
        if state.breach.is_some() {
            return;
        }
        self.proposals(state, actions);
        self.deliveries(state, actions);
        let left = &state.left;
        for replica in ReplicaId::all(state.hosts.len()) {
            let host = self.host(state, replica);
            if host.core.is_none() {
                if left.restarts > 0 {
                    self.offer(state, Event::Restart(replica), actions);
                }
                continue;
            }
            for timer in &host.timers {
                if left.timers[R::timer_kind(timer)] > 0 {
                    let timer = self.timers.intern(*timer);
                    self.offer(state, Event::Fire(replica, timer), actions);
                }
            }
            if host.captured.is_some() {
                self.offer(state, Event::Capture(replica), actions);
            }
            if host.unflushed {
                self.offer(state, Event::Flush(replica), actions);
            }
            if left.crashes > 0 {
                self.offer(state, Event::Crash(replica), actions);
            }
            if left.crashes > 0 && left.checkpoints > 0 {
                self.offer(state, Event::Checkpoint(replica), actions);
            }
        }
    }

    fn proposals(&self, state: &State, actions: &mut Vec<Action>) {
        for (index, proposal) in (0u8..).zip(&self.setup.proposals) {
            let node = self.hosts.get(state.hosts[proposal.replica.index()]);
            let applied = node.applied & 1 << proposal.command != 0;
            let made = state.proposed & 1 << index != 0;
            // A driver answers what is applied without asking the core.
            if !made && !applied && node.host.core.is_some() {
                self.offer(state, Event::Propose(index), actions);
            }
        }
    }

    fn deliveries(&self, state: &State, actions: &mut Vec<Action>) {
        let (left, bounds) = (&state.left, &self.setup.bounds);
        let again = left.duplicates > 0 && !bounds.duplicates_unbounded();
        for (packet, behind) in state.flight.next() {
            let receiver = self.envelope(packet.number).to;
            if self.host(state, receiver).core.is_some() {
                let step = self.step(state, Event::Deliver(packet));
                let vain = self.changes_nothing(state, receiver, &self.steps.get(step).whole);
                // On a link, what changes nothing makes way for what stands behind it.
                if !vain || behind && packet.lane != Lane::Free {
                    self.offer_step(state, Event::Deliver(packet), step, actions);
                }
                if !vain && again {
                    actions.push(Action { event: Event::DeliverCopy(packet), step, cut: None });
                }
            }
            if left.losses > 0 {
                actions.push(Action { event: Event::Lose(packet), step: 0, cut: None });
            }
        }
        if left.overtakings > 0 {
            self.overtakings(state, actions);
        }
    }

    fn overtakings(&self, state: &State, actions: &mut Vec<Action>) {
        for packet in state.flight.behind() {
            let receiver = self.envelope(packet.number).to;
            if self.host(state, receiver).core.is_some() {
                let step = self.step(state, Event::Overtake(packet));
                if !self.changes_nothing(state, receiver, &self.steps.get(step).whole) {
                    self.offer_step(state, Event::Overtake(packet), step, actions);
                }
            }
        }
    }

    fn changes_nothing(&self, state: &State, receiver: ReplicaId, outcome: &Outcome) -> bool {
        outcome.host == state.hosts[receiver.index()]
            && outcome.observed.is_none()
            && outcome.breach.is_none()
            && (outcome.sent.is_empty()
                || self.setup.bounds.duplicates_unbounded()
                    && outcome.sent.iter().all(|number| state.flight.has_free(*number)))
    }

    fn offer(&self, state: &State, event: Event, actions: &mut Vec<Action>) {
        let step = self.step(state, event);
        self.offer_step(state, event, step, actions);
    }

    fn offer_step(&self, state: &State, event: Event, step: Number, actions: &mut Vec<Action>) {
        actions.push(Action { event, step, cut: None });
        if state.left.crashes > 0 {
            let cuts = self.steps.get(step).cuts.len();
            let cuts = u8::try_from(cuts).expect("a step has a few dozen effects");
            actions.extend((0..cuts).map(|cut| Action { event, step, cut: Some(cut) }));
        }
    }

    /// What `action` makes of `state`.
    pub(crate) fn next(&self, state: &State, action: Action) -> State {
        let mut next = state.clone();
        match action.event {
            Event::Propose(proposal) => next.proposed |= 1 << proposal,
            // It is there for ever.
            Event::Deliver(_) if self.setup.bounds.duplicates_unbounded() => {}
            Event::Deliver(packet) => next.flight.remove(packet),
            Event::Overtake(packet) => {
                next.left.overtakings -= 1;
                self.reached.note(Marks::only(Mark::Overtaken));
                next.flight.remove(packet);
            }
            Event::DeliverCopy(packet) => {
                next.left.duplicates -= 1;
                self.reached.note(Marks::only(Mark::Duplicated));
                // The copy comes whenever it comes.
                next.flight.remove(packet);
                next.flight.insert(Packet { lane: Lane::Free, ..packet });
            }
            Event::Lose(packet) => {
                next.left.losses -= 1;
                self.reached.note(Marks::only(Mark::Lost));
                next.flight.remove(packet);
                return next;
            }
            Event::Fire(_, timer) => next.left.timers[R::timer_kind(self.timers.get(timer))] -= 1,
            Event::Restart(_) => next.left.restarts -= 1,
            Event::Checkpoint(_) => next.left.checkpoints -= 1,
            Event::Capture(_) | Event::Flush(_) | Event::Crash(_) => {}
        }
        let replica = self.whom(action.event);
        let step = self.steps.get(action.step);
        let outcome = match action.cut {
            None => &step.whole,
            Some(cut) => &step.cuts[usize::from(cut)],
        };
        let before = std::mem::replace(&mut next.hosts[replica.index()], outcome.host);
        next.breach = outcome.breach;
        self.reached.note(outcome.marks);
        if let Some(observed) = outcome.observed {
            self.enter(&mut next, observed);
        }
        for number in &outcome.sent {
            self.send(&mut next, *number);
        }
        if action.cut.is_some() || matches!(action.event, Event::Crash(_)) {
            next.left.crashes -= 1;
            next.flight.break_links(replica.0);
            if next.left.crashes == 0 {
                self.forget_records(&mut next);
            }
            if self.is_dead_for_good(&next, replica) {
                self.drop_sent_to(&mut next, replica);
            }
        } else if next.left.crashes == 0 && outcome.observed.is_some() {
            self.drop_meaningless(&mut next, replica);
        }
        if self.hosts.get(before).applied != self.hosts.get(outcome.host).applied {
            self.note_everywhere(&next);
        }
        next
    }

    /// It is down, and nobody comes back any more.
    fn is_dead_for_good(&self, state: &State, replica: ReplicaId) -> bool {
        state.left.restarts == 0 && self.host(state, replica).core.is_none()
    }

    fn drop_sent_to(&self, state: &mut State, replica: ReplicaId) {
        state.flight.retain(|number| self.envelopes.get(number).to != replica);
    }

    fn send(&self, state: &mut State, number: Number) {
        let envelope = self.envelopes.get(number);
        if self.is_dead_for_good(state, envelope.to) {
            return;
        }
        let receiver = &self.hosts.get(state.hosts[envelope.to.index()]).host;
        if state.left.crashes == 0 && envelope.is_meaningless_to(receiver) {
            return;
        }
        let bounds = &self.setup.bounds;
        if bounds.duplicates_unbounded() && state.flight.has_free(number) {
            return;
        }
        let lane = if bounds.keeps_order() {
            Lane::Link(u16::from_be_bytes([envelope.from.0, envelope.to.0]))
        } else {
            Lane::Free
        };
        state.flight.insert(Packet { lane, number });
    }

    fn drop_meaningless(&self, state: &mut State, replica: ReplicaId) {
        let receiver = &self.hosts.get(state.hosts[replica.index()]).host;
        state.flight.retain(|number| {
            let envelope = self.envelopes.get(number);
            envelope.to != replica || !envelope.is_meaningless_to(receiver)
        });
    }

    /// Nobody can crash any more.
    fn forget_records(&self, state: &mut State) {
        for replica in ReplicaId::all(state.hosts.len()) {
            let node = self.hosts.get(state.hosts[replica.index()]);
            if node.host.core.is_some() {
                // Under the key of a crash without records, which there is not.
                let forgotten = node.steps.get_or_make(CRASH << 1, || {
                    let driver = self.driver(state);
                    self.node(node.host.step(&Stimulus::Forget, &driver).host)
                });
                state.hosts[replica.index()] = forgotten;
                self.drop_meaningless(state, replica);
            }
        }
    }

    /// Takes what was observed into the ledger.
    fn enter(&self, state: &mut State, observed: Number) {
        let page = self.ledgers.get(state.ledger);
        let entry = page.next.get_or_make(u64::from(observed), || {
            let mut ledger = page.ledger.clone();
            let observations = self.observations.get(observed);
            let entered = observations.iter().try_for_each(|seen| ledger.observe(seen));
            let entered =
                entered.map(|()| self.ledgers.intern(Page { ledger, next: Memo::default() }));
            self.entries.intern(entered)
        });
        match self.entries.get(entry) {
            Ok(ledger) => state.ledger = *ledger,
            Err(breach) => {
                state.breach.get_or_insert_with(|| self.breaches.intern(breach.clone()));
            }
        }
    }

    fn note_everywhere(&self, state: &State) {
        if self.reached.has(Mark::Everywhere) {
            return;
        }
        let all = (1 << self.batches.len()) - 1;
        if state.hosts.iter().all(|host| self.hosts.get(*host).applied == all) {
            self.reached.note(Marks::only(Mark::Everywhere));
        }
    }
}

impl<R: Subject> stateright::Model for Model<R> {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.init.clone()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.events(state, actions);
    }

    fn next_state(&self, last_state: &State, action: Action) -> Option<State> {
        Some(self.next(last_state, action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(self)
    }
}
