//! The net itself: what it does with the effects of a core that asks for them on command.

#[path = "support/net.rs"]
mod net;

use net::{Cut, Envelope, Life, Lives, Net, Node, World};
use protocols::{
    Batch, ClientId, Command, Config, Effect, Effects, Input, InstanceId, Outcome, Protocol,
    Replica, ReplicaId, ReplicaSet, Request, RequestNumber, Snapshot, Status, kv::Kv, paxos,
};

const R0: ReplicaId = ReplicaId(0);
const R1: ReplicaId = ReplicaId(1);

/// Asks for what the message that it gets stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Toy {
    id: ReplicaId,
    /// What it was recovered from: the snapshot's core part, then the records.
    recovered: Vec<u8>,
}

/// Two records, and a send and a timer behind each.
const ACT: u8 = 0;
/// A record, a checkpoint, and a record behind it.
const CHECKPOINT: u8 = 1;
const CAPTURE: u8 = 2;
/// The timer is cancelled.
const CANCEL: u8 = 3;
const TIMER: u8 = 0;

impl Replica for Toy {
    type Message = u8;
    type Timer = u8;
    type Record = u8;

    const PROTOCOL: Protocol = paxos::PROTOCOL;

    fn recover(
        id: ReplicaId,
        _: &Config,
        snapshot: Option<&Snapshot>,
        records: impl IntoIterator<Item = u8>,
    ) -> Self {
        let core = snapshot.map_or(&[][..], |snapshot| &snapshot.core);
        Self { id, recovered: core.iter().copied().chain(records).collect() }
    }

    fn step(&mut self, input: Input<Self>, effects: &mut Effects<Self>) {
        let second = std::time::Duration::from_secs(1);
        match input {
            Input::Message { message: ACT, .. } => {
                for record in [10, 20] {
                    effects.persist(record);
                    effects.send(ReplicaSet::others(self.id, 3), record);
                    effects.set_timer(TIMER, second..=second);
                }
            }
            Input::Message { message: CHECKPOINT, .. } => {
                effects.persist(30);
                let machine = Kv::default().snapshot().into();
                effects.push(Effect::Checkpoint(Snapshot { machine, core: [99].into() }));
                effects.persist(40);
            }
            Input::Message { message: CAPTURE, .. } => effects.push(Effect::Capture),
            Input::Message { message: CANCEL, .. } => effects.cancel_timer(TIMER),
            Input::Captured(_) => effects.persist(50),
            Input::Timer(_) => effects.persist(60),
            Input::Propose(batch) => {
                effects.push(Effect::Execute { instance: InstanceId::single_row(1), batch });
            }
            _ => {}
        }
    }

    fn admissible(_: &u8, _: usize) -> bool {
        true
    }

    fn status(&self) -> Status {
        Status::default()
    }
}

/// Notes what it is told.
#[derive(Default)]
struct Notes {
    lives: Lives,
    told: Vec<String>,
}

impl World<Toy> for Notes {
    fn begins(&mut self, node: &Node<Toy>) {
        self.lives.begin(node.id);
    }

    fn ends(&mut self, node: &Node<Toy>, amid: bool) {
        self.told.push(format!("{} ends {}", node.id, if amid { "amid" } else { "between" }));
    }

    fn persists(&mut self, _: &Node<Toy>, record: &u8) {
        self.told.push(format!("persists {record}"));
    }

    fn sends(&mut self, _: &Node<Toy>, to: ReplicaSet, message: &u8) {
        self.told.push(format!("sends {message} to {}", to.len()));
    }

    fn answers(&mut self, node: &Node<Toy>, _: &Request<'_>, outcome: Outcome) {
        self.told.push(format!("{} answers {outcome:?}", node.id));
    }

    fn executed(&mut self, node: &Node<Toy>, at: InstanceId, batch: Batch) {
        self.lives.of_mut(node.id).executed.push((at, batch));
    }
}

fn cluster() -> Net<Toy, Notes> {
    Net::of(Config::new(3), Notes::default())
}

const fn message(message: u8) -> Input<Toy> {
    Input::Message { from: R1, message }
}

#[test]
fn effects_are_carried_out_in_order_and_told() {
    let mut net = cluster();
    net.step(R0, message(ACT));
    assert_eq!(net.world.told, ["persists 10", "sends 10 to 2", "persists 20", "sends 20 to 2"]);
    assert_eq!(net.node(0).records, [10, 20]);
    let way: Vec<_> = net.flight.iter().map(|e| (e.from.0, e.to.0, e.message)).collect();
    assert_eq!(way, [(0, 1, 10), (0, 2, 10), (0, 1, 20), (0, 2, 20)]);
    assert_eq!(net.timers(0), [TIMER]);
    net.step(R0, message(CANCEL));
    assert_eq!(net.timers(0), []);
}

/// The effects of the step are: persist, send, timer, persist, send, timer.
#[test]
fn a_crash_amid_effects_leaves_the_first_ones_done() {
    for (cut, records, sent, dies) in [
        (Cut::After(0), &[][..], 0, true),
        (Cut::After(1), &[10], 0, true),
        (Cut::After(2), &[10], 2, true),
        (Cut::After(6), &[10, 20], 4, true),
        (Cut::After(7), &[10, 20], 4, false),
        (Cut::BeforeSend, &[10, 20], 0, true),
        (Cut::Whole, &[10, 20], 4, false),
    ] {
        let mut net = cluster();
        net.step_cut(R0, message(ACT), cut);
        assert_eq!(net.node(0).records, records, "{cut:?}");
        assert_eq!(net.flight.len(), sent, "{cut:?}");
        assert_eq!(net.lives(0), !dies, "{cut:?}");
        assert_eq!(net.timers(0).len(), usize::from(!dies), "{cut:?}");
        assert_eq!(net.world.told.contains(&"r0 ends amid".to_owned()), dies, "{cut:?}");
        if dies {
            net.start(0);
            assert_eq!(net.core(0).recovered, records, "{cut:?}");
            assert_eq!(net.node(0).life, 2);
        }
    }
}

/// Records from before a checkpoint are dropped once all behind it are durable, and not when the
/// replica dies before.
#[test]
fn a_checkpoint_replaces_the_records_before_it_unless_the_step_is_cut() {
    for (cut, recovered) in [
        (Cut::After(4), &[99, 40][..]),
        (Cut::After(2), &[99, 10, 20, 30]),
        (Cut::After(3), &[99, 10, 20, 30, 40]),
        (Cut::BeforeSend, &[10, 20, 30, 40]),
    ] {
        let mut net = cluster();
        net.step(R0, message(ACT));
        net.step_cut(R0, message(CHECKPOINT), cut);
        if net.lives(0) {
            net.crash(0);
        }
        net.start(0);
        assert_eq!(net.core(0).recovered, recovered, "{cut:?}");
    }
}

#[test]
fn a_crash_loses_what_is_on_its_way_there_and_nothing_that_is_on_its_way_from_there() {
    let mut net = cluster();
    net.step(R0, message(ACT));
    net.hand_over(Envelope { from: R0, to: R1, message: ACT });
    assert!(net.flight.iter().any(|envelope| envelope.to == R0));
    net.crash(0);
    assert!(net.flight.iter().all(|envelope| envelope.to != R0));
    assert!(net.flight.iter().any(|envelope| envelope.from == R0));
    net.crash(1);
    assert!(net.flight.iter().all(|envelope| envelope.to != R1));
    net.step(R0, message(ACT));
    assert_eq!(net.node(0).records, [10, 20], "the dead take no input");
}

#[test]
fn a_state_that_was_asked_for_comes_right_after_the_step() {
    let mut net = cluster();
    net.step(R0, message(CAPTURE));
    assert_eq!(net.node(0).records, [50]);
}

#[test]
fn a_timer_runs_out_once() {
    let mut net = cluster();
    net.step(R0, message(ACT));
    net.fire(0, TIMER);
    assert_eq!(net.node(0).records, [10, 20, 60]);
    assert!(!net.stop(0, TIMER));
}

#[test]
fn an_execution_is_applied_and_answered_and_gone_with_the_life() {
    let mut net = cluster();
    let request = Request {
        client: ClientId(1),
        number: RequestNumber::write(1),
        unanswered_from: 1,
        command: Command::Put { key: b"k", value: b"v" },
    };
    let batch = Batch::single(&request).unwrap();
    net.step(R1, Input::Propose(batch.clone()));
    assert_eq!(net.node(1).kv.value(b"k"), Some(&b"v"[..]));
    assert_eq!(net.world.told, [format!("r1 answers {:?}", Outcome::Done)]);
    let executed = |net: &Net<Toy, Notes>| -> Vec<(InstanceId, Batch)> {
        let Life { executed, .. } = net.world.lives.of(1);
        executed.clone()
    };
    assert_eq!(executed(&net), [(InstanceId::single_row(1), batch)]);
    net.crash(1);
    net.start(1);
    assert_eq!(executed(&net), []);
    assert_eq!(net.node(1).kv.value(b"k"), None, "no record brought it back");
}

#[test]
fn settling_delivers_the_oldest_first_and_gives_up_in_the_end() {
    let mut net = cluster();
    net.step(R0, message(ACT));
    net.lose(|envelope| envelope.to == R1);
    net.flight.extend([Envelope { from: R1, to: R0, message: CAPTURE }]);
    assert!(!net.settle(2));
    assert_eq!(net.node(0).records, [10, 20]);
    assert!(net.settle(1));
    assert_eq!(net.node(0).records, [10, 20, 50]);
}
