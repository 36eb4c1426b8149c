//! A path through the state space as something to read.

use protocols::{Effect, ReplicaId, explored::Subject};
use stateright::Path;

use crate::{
    breach::Breach,
    model::Model,
    state::{Action, Event, State},
};

/// How a rule is broken.
#[derive(Clone, Debug)]
pub struct Counterexample {
    /// The rule, and what is wrong.
    pub breach: Breach,
    /// What happens, in order: a line per event, followed by indented lines for what it leads to.
    pub lines: Vec<String>,
    /// How many events.
    pub events: usize,
}

/// What leads to a broken rule, event by event.
pub(crate) fn of<R: Subject>(model: &Model<R>, path: Path<State, Action>) -> Counterexample {
    let steps = path.into_vec();
    let (last, _) = steps.last().expect("a path has a state");
    let breach = model.breach(last).expect("the path leads to a broken rule").clone();
    let mut lines = Vec::new();
    if model.setup.prefix.is_some() {
        lines.push(format!("First, as {:?} says: {}", model.setup.name, model.setup.about));
        lines.extend(ReplicaId::all(model.setup.config.replicas).map(|replica| {
            let host = model.host(model.initial(), replica);
            let state = if host.core.is_some() { "is up" } else { "is down" };
            format!("  {replica} {state}")
        }));
        lines.extend(model.flight(model.initial()).map(|packet| {
            let envelope = model.envelope(packet.number);
            format!("  under way {} → {}: {:?}", envelope.from, envelope.to, envelope.message)
        }));
    }
    let mut events = 0;
    for (state, action) in &steps {
        if let Some(action) = action {
            events += 1;
            describe(model, state, *action, &mut lines);
        }
    }
    lines.push(format!("Broken: {}: {}", breach.rule, breach.detail));
    Counterexample { breach, lines, events }
}

/// Appends what `action` is and what the replica does about it.
fn describe<R: Subject>(model: &Model<R>, state: &State, action: Action, lines: &mut Vec<String>) {
    let replica = model.whom(action.event);
    let what = match action.event {
        Event::Propose(proposal) => format!("{replica} is asked for {:?}", model.batch(proposal)),
        Event::Deliver(packet) | Event::Overtake(packet) | Event::DeliverCopy(packet) => {
            let envelope = model.envelope(packet.number);
            let again = match action.event {
                Event::Overtake(_) => ", before what was sent before it",
                Event::DeliverCopy(_) => ", and will arrive again",
                _ => "",
            };
            format!("{} → {replica}: {:?}{again}", envelope.from, envelope.message)
        }
        Event::Lose(packet) => {
            let envelope = model.envelope(packet.number);
            lines.push(format!("{} → {replica}: {:?} is lost", envelope.from, envelope.message));
            return;
        }
        Event::Fire(_, timer) => format!("{replica}: {:?} runs out", model.timer(timer)),
        Event::Capture(_) => format!("{replica} is given the state that it asked for"),
        Event::Flush(_) => format!("{replica} is flushed"),
        Event::Checkpoint(_) => format!("{replica} takes a checkpoint"),
        Event::Crash(_) => format!("{replica} crashes"),
        Event::Restart(_) => format!("{replica} starts again"),
    };
    lines.push(what);
    let stimulus = model.stimulus(state, action.event);
    match model.host(state, replica).effects(&stimulus, &model.driver(state)) {
        Ok((_, effects)) => {
            let told = effects.iter().map(|effect| format!("    {}", effect_told::<R>(effect)));
            lines.extend(told);
        }
        Err(breach) => lines.push(format!("    fails: {}", breach.detail)),
    }
    if action.is_cut_short() {
        lines.push(format!("    and {replica} crashes, after some of this"));
    }
}

fn effect_told<R: Subject>(effect: &Effect<R>) -> String {
    match effect {
        Effect::Persist(record) => format!("persists {record:?}"),
        Effect::Send { to, message } => format!("sends to {to:?}: {message:?}"),
        Effect::SetTimer { timer, .. } => format!("sets {timer:?}"),
        Effect::CancelTimer(timer) => format!("stops {timer:?}"),
        Effect::Committed { instance, batch, dependencies, path } => {
            format!("knows {instance} = {batch:?} after {dependencies:?}, {path:?}")
        }
        Effect::Execute { instance, batch } => format!("executes {instance} = {batch:?}"),
        Effect::Capture => "asks for the machine's state".to_owned(),
        Effect::Install(_) => "installs a snapshot".to_owned(),
        Effect::Checkpoint(_) => "has a checkpoint".to_owned(),
    }
}
