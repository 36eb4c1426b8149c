//! What a workload's fault plan does to real processes, as `crate::simulated` does it to simulated
//! ones.
//!
//! A killed replica is dead as planned: nobody waits for it, and its clients ask the next one at once, as clients on the same
//! host do whose connection is reset. Once it is started again they ask it again, and it is compared with the others. Nothing
//! here waits for a replica while the load goes on, but for the end of a process that is to be started again.

use std::time::{Duration, Instant};

use measure::{Event, Recovery, ReplicaReport};
use protocols::{ReplicaId, ReplicaSet};
use tokio::{sync::watch, time::sleep};
use workload::{
    Strike, Victims,
    fault::{Action, Target},
};

use super::{
    cluster::{Controls, Look},
    fleet::Fleet,
    generator::Generator,
    network::Network,
    network_updates::NetworkUpdater,
};
use crate::Error;

/// Chosen: longer than the replay of any log that a run can write.
const END_TIMEOUT: Duration = Duration::from_secs(20);
const END_POLL: Duration = Duration::from_millis(2);

/// The faults of one run as they happen.
#[derive(Debug)]
pub(super) struct Faults {
    controls: Controls,
    victims: Victims,
    events: Vec<Event>,
    /// What those reported last that were killed.
    ended: Vec<ReplicaReport>,
    network: watch::Sender<Network>,
    /// Of the life of each replica that is up or on its way; none before the network changes and of who is down.
    updaters: Vec<NetworkUpdater>,
    /// In the order of [`Generator::returns`].
    restarts: Vec<Restart>,
}

/// A replica that was started again.
#[derive(Clone, Copy, Debug)]
struct Restart {
    replica: ReplicaId,
    at_s: f64,
    /// How long it took until it was up, as far as is known.
    up: Option<Duration>,
    /// It was killed once more.
    over: bool,
}

impl Faults {
    /// Nothing has happened yet in the run with this seed.
    pub(super) fn new(controls: &Controls, run_seed: u64) -> Self {
        Self {
            controls: controls.clone(),
            victims: Victims::new(run_seed),
            events: Vec::new(),
            ended: Vec::new(),
            network: watch::Sender::new(Network::new(controls.replicas())),
            updaters: Vec::new(),
            restarts: Vec::new(),
        }
    }

    /// `strike` happens now. `look` is what the replicas said just before, as far as the strike depends on it.
    ///
    /// # Errors
    /// If it cannot be carried out.
    pub(super) async fn strike(
        &mut self,
        strike: &Strike<'_>,
        look: Look,
        (fleet, load): (&mut Fleet, &mut Generator),
    ) -> Result<(), Error> {
        let action = strike.action;
        let target = action.target();
        let struck = target.and_then(|target| self.victim(action, target, look.leader, fleet));
        if let (Action::Restart(_), Some(restarted)) = (action, struck) {
            load.drive_while(fleet.restart(restarted)).await?;
        }
        let at_s = load.since_begin_s();
        self.events.push(Event {
            t_s: at_s,
            event: action.name().to_owned(),
            detail: action.detail(struck),
        });
        match (action, struck) {
            (Action::Kill(_), Some(killed)) => {
                fleet.kill(killed);
                load.close(killed);
                self.killed(killed, look.reports);
            }
            (Action::Restart(_), Some(restarted)) => self.restarted(restarted, at_s, load),
            (Action::Pause(_), Some(paused)) => fleet.pause(paused),
            (Action::Resume(_), Some(resumed)) => fleet.resume(resumed),
            _ => self.change_network(load, fleet, |network| network.take(action)),
        }
        Ok(())
    }

    /// Ends whatever can be ended, so that the replicas can come to rest: who was killed stays down.
    pub(super) fn end(&mut self, fleet: &mut Fleet, load: &Generator) {
        if self.events.is_empty() {
            return;
        }
        for paused in fleet.paused().iter() {
            fleet.resume(paused);
        }
        if !self.updaters.is_empty() {
            self.change_network(load, fleet, |network| {
                network.end();
                true
            });
        }
        let down: Vec<String> = fleet.down().iter().map(|replica| replica.to_string()).collect();
        let mut detail = "so that the replicas can be compared".to_owned();
        if !down.is_empty() {
            detail.push_str(&format!("; down stays {}", down.join(" ")));
        }
        self.events.push(Event {
            t_s: load.since_begin_s(),
            event: "faults-end".to_owned(),
            detail,
        });
    }

    /// Waits until every replica that lives is up and knows how the network is.
    ///
    /// # Errors
    /// If one does not come up, or refused a change.
    pub(super) async fn ended(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + END_TIMEOUT;
        let version = self.network.borrow().version;
        loop {
            let mut late = None;
            for updater in &self.updaters {
                if !updater.has_told(version)? {
                    late = Some(updater.replica);
                }
            }
            let Some(late) = late else { break };
            if Instant::now() >= deadline {
                return Err(Error::Silent { replica: late, waited: END_TIMEOUT });
            }
            sleep(END_POLL).await;
        }
        Ok(())
    }

    /// Who was started again.
    pub(super) fn restarted_ones(&self) -> ReplicaSet {
        self.restarts.iter().map(|restart| restart.replica).collect()
    }

    /// The report of a replica, with when its life began.
    pub(super) fn dated(&self, mut report: ReplicaReport) -> ReplicaReport {
        let its = |restart: &&Restart| u32::from(restart.replica.0) == report.replica;
        if let Some(restart) = self.restarts.iter().rev().find(its) {
            let began = Duration::from_secs_f64(
                restart.at_s + restart.up.unwrap_or_default().as_secs_f64(),
            );
            report.series.begins_ns = u64::try_from(began.as_nanos()).unwrap_or(u64::MAX);
        }
        report
    }

    /// What those reported last that were killed.
    pub(super) fn ended_reports(&mut self) -> Vec<ReplicaReport> {
        std::mem::take(&mut self.ended)
    }

    /// What happened, and how those came back that were started again.
    pub(super) fn into_events(mut self, load: &Generator) -> (Vec<Event>, Vec<Recovery>) {
        self.note_ups();
        let returns = self.restarts.iter().zip(&load.returns);
        let recoveries: Vec<Recovery> = returns
            .map(|(restart, returned)| Recovery {
                replica: u32::from(restart.replica.0),
                restarted_s: restart.at_s,
                up: restart.up,
                first_reply: returned.first_reply(),
            })
            .collect();
        self.events.extend(recoveries.iter().filter_map(back));
        (self.events, recoveries)
    }

    fn victim(
        &mut self,
        action: &Action,
        target: Target,
        leader: Option<ReplicaId>,
        fleet: &Fleet,
    ) -> Option<ReplicaId> {
        let candidates = match action {
            Action::Restart(_) => fleet.down(),
            Action::Resume(_) => fleet.paused(),
            _ => fleet.running(),
        };
        self.victims.resolve(target, candidates, leader)
    }

    /// `replica` was killed; `reports` are what all said of themselves just before.
    fn killed(&mut self, replica: ReplicaId, reports: Vec<ReplicaReport>) {
        self.note_ups();
        let its = |report: &ReplicaReport| report.replica == u32::from(replica.0);
        let last: Vec<ReplicaReport> =
            reports.into_iter().filter(its).map(|report| self.dated(report)).collect();
        self.ended.extend(last);
        self.updaters.retain(|updater| updater.replica != replica);
        for restart in self.restarts.iter_mut().filter(|restart| restart.replica == replica) {
            restart.over = true;
        }
    }

    fn restarted(&mut self, replica: ReplicaId, at_s: f64, load: &mut Generator) {
        let (let_in, is_up) = watch::channel(false);
        let wanted = self.network.subscribe();
        self.updaters.push(NetworkUpdater::of_next_life(&self.controls, replica, wanted, let_in));
        self.restarts.push(Restart { replica, at_s, up: None, over: false });
        load.reopen(replica, &is_up);
    }

    /// Takes note of how long those took that are up by now.
    fn note_ups(&mut self) {
        for restart in self.restarts.iter_mut().filter(|restart| !restart.over) {
            let its = |updater: &&NetworkUpdater| updater.replica == restart.replica;
            restart.up = self.updaters.iter().find(its).and_then(NetworkUpdater::up).or(restart.up);
        }
    }

    /// Changes the network, for the clients at once and for the replicas as soon as each can be told.
    fn change_network(
        &mut self,
        load: &Generator,
        fleet: &Fleet,
        change: impl FnOnce(&mut Network) -> bool,
    ) {
        let before = self.network.borrow().clone();
        let mut network = before.clone();
        if !change(&mut network) {
            return;
        }
        for change in network.changes_since(&before, None) {
            load.change_network(&change);
        }
        self.network.send_replace(network);
        for replica in ReplicaId::all(self.controls.replicas()) {
            let has_updater = self.updaters.iter().any(|updater| updater.replica == replica);
            if !has_updater && !fleet.down().contains(replica) {
                let wanted = self.network.subscribe();
                self.updaters.push(NetworkUpdater::of_first_life(&self.controls, replica, wanted));
            }
        }
    }
}

/// The event that a replica is back, if it is.
fn back(recovery: &Recovery) -> Option<Event> {
    let up = recovery.up?;
    let (back, first_reply) = match recovery.first_reply {
        Some(after) => {
            (after, format!("first reply to a client after {:.1} ms", after.as_secs_f64() * 1e3))
        }
        None => (up, "no reply to a client".to_owned()),
    };
    Some(Event {
        t_s: recovery.restarted_s + back.as_secs_f64(),
        event: "back".to_owned(),
        detail: format!(
            "r{}: up and its log replayed after {:.1} ms, {first_reply}",
            recovery.replica,
            up.as_secs_f64() * 1e3
        ),
    })
}
