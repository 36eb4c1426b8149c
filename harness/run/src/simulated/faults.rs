//! What a workload's fault plan comes to in a simulation.

use measure::Event;
use protocols::{Replica, ReplicaId, ReplicaSet};
use sim::{Fault, Simulation, Violation};
use workload::{
    Strike, Victims,
    fault::{self, Action, Links, Partition, Target},
};

use super::generator::Generator;

/// Thousandths of the usual CPU time.
const NORMAL_PACE: u64 = 1_000;

/// The faults of one run as they happen.
#[derive(Debug)]
pub(super) struct Faults {
    victims: Victims,
    /// Who was killed and has not restarted.
    pub(super) down: ReplicaSet,
    pub(super) events: Vec<Event>,
}

impl Faults {
    /// Nothing has happened yet in the run with this seed.
    pub(super) fn new(run_seed: u64) -> Self {
        Self { victims: Victims::new(run_seed), down: ReplicaSet::EMPTY, events: Vec::new() }
    }

    /// `strike` happens now.
    ///
    /// # Errors
    /// If it makes a rule break.
    pub(super) fn strike<R: Replica>(
        &mut self,
        strike: &Strike<'_>,
        simulation: &mut Simulation<R, Generator>,
        replicas: usize,
    ) -> Result<(), Box<Violation>> {
        let struck = strike
            .action
            .target()
            .and_then(|target| self.victim(strike.action, target, simulation, replicas));
        #[expect(clippy::cast_precision_loss, reason = "times of a run in nanoseconds")]
        self.events.push(Event {
            t_s: strike.at_ns as f64 / 1e9,
            event: strike.action.name().to_owned(),
            detail: strike.action.detail(struck),
        });
        for fault in faults(strike.action, struck, replicas) {
            simulation.strike_now(&fault)?;
        }
        match (strike.action, struck) {
            (Action::Kill(_), Some(killed)) => {
                self.down.insert(killed);
                simulation.tell_source(|load, agenda| load.lose(killed, agenda));
            }
            (Action::Restart(_), Some(restarted)) => {
                self.down.remove(restarted);
                simulation.tell_source(|load, _| load.regain(restarted));
            }
            _ => {}
        }
        Ok(())
    }

    /// Ends whatever can be ended, so that the replicas can come to rest: who was killed stays down.
    ///
    /// # Errors
    /// If it makes a rule break.
    pub(super) fn end<R: Replica>(
        &mut self,
        simulation: &mut Simulation<R, Generator>,
        replicas: usize,
        at_s: f64,
    ) -> Result<(), Box<Violation>> {
        if self.events.is_empty() {
            return Ok(());
        }
        let network = [Fault::Loss(0.0), Fault::Duplicate(0.0), Fault::Delay(0..=0), Fault::Heal];
        let each = ReplicaId::all(replicas)
            .flat_map(|replica| [Fault::Resume(replica), Fault::Slow(replica, NORMAL_PACE)]);
        for fault in network.into_iter().chain(each) {
            simulation.strike_now(&fault)?;
        }
        let detail = if self.down.is_empty() {
            "so that the replicas can be compared".to_owned()
        } else {
            let down: Vec<String> = self.down.iter().map(|replica| replica.to_string()).collect();
            format!("so that the replicas can be compared; down stays {}", down.join(" "))
        };
        self.events.push(Event { t_s: at_s, event: "faults-end".to_owned(), detail });
        Ok(())
    }

    fn victim<R: Replica>(
        &mut self,
        action: &Action,
        target: Target,
        simulation: &Simulation<R, Generator>,
        replicas: usize,
    ) -> Option<ReplicaId> {
        let fits = |replica: &ReplicaId| match action {
            Action::Restart(_) => self.down.contains(*replica),
            Action::Resume(_) => simulation.is_paused(*replica),
            _ => !self.down.contains(*replica) && !simulation.is_paused(*replica),
        };
        let candidates: ReplicaSet = ReplicaId::all(replicas).filter(fits).collect();
        self.victims.resolve(target, candidates, leader(simulation, replicas))
    }
}

/// Whom most replicas take for the leader.
fn leader<R: Replica>(simulation: &Simulation<R, Generator>, replicas: usize) -> Option<ReplicaId> {
    let mut votes = vec![0; replicas];
    for replica in ReplicaId::all(replicas) {
        if let Some(leader) = simulation.status(replica).and_then(|status| status.leader) {
            votes[leader.index()] += 1;
        }
    }
    let most = votes.iter().copied().max().filter(|most| *most > 0)?;
    votes.iter().position(|of| *of == most).map(ReplicaId::from_index)
}

/// An action as the simulation's faults; none if there is nobody to strike.
fn faults(action: &Action, struck: Option<ReplicaId>, replicas: usize) -> Vec<Fault> {
    let set = |replicas: &Vec<ReplicaId>| replicas.iter().copied().collect::<ReplicaSet>();
    let at_struck = |fault: fn(ReplicaId) -> Fault| struck.map(fault).into_iter().collect();
    match action {
        Action::Kill(_) => at_struck(Fault::Crash),
        Action::Restart(_) => at_struck(Fault::Restart),
        Action::Pause(_) => at_struck(Fault::Pause),
        Action::Resume(_) => at_struck(Fault::Resume),
        Action::Partition(Partition::Groups(groups)) => {
            vec![Fault::Partition(fault::groups(groups, replicas))]
        }
        Action::Partition(Partition::OneWay { from, to }) => {
            vec![Fault::OneWay(set(from), set(to))]
        }
        Action::Heal => vec![Fault::Heal],
        Action::Slow(slow) => vec![Fault::Slow(slow.replica, whole(slow.factor * 1e3))],
        Action::Links(links) => of_links(links),
    }
}

/// What is not named stays as it was.
fn of_links(links: &Links) -> Vec<Fault> {
    let delay = links.delay_ms.map(|delay_ms| {
        let delay_ns = whole(delay_ms * 1e6);
        Fault::Delay(delay_ns..=delay_ns)
    });
    let loss = links.loss_rate.map(Fault::Loss);
    let duplicate = links.duplicate_rate.map(Fault::Duplicate);
    [loss, duplicate, delay].into_iter().flatten().collect()
}

fn whole(number: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "ranges are checked at load")]
    #[expect(clippy::cast_sign_loss, reason = "ranges are checked at load")]
    let whole = number.round() as u64;
    whole
}
