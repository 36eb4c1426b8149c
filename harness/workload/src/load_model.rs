//! The busiest-replica model: what each replica has to do per command, counted from our own message
//! pattern.
//!
//! The idea is that of Ailijiang, Charapko, Demirbas and Kosar, "Dissecting the Performance of
//! Strongly-Consistent Replication Protocols", SIGMOD 2019: a cluster's capacity is what its
//! busiest replica can bear. Their counts are of thrifty protocols, which ask a quorum alone. Ours
//! are stated by the protocols ([`protocols::load_model`]): per command, with N replicas, nothing
//! lost, nothing joined into batches, and announcements that travel with other messages as they do
//! under load.
//!
//! Beside these a request comes in from a client and a reply goes out, at the site that asks, and
//! each replica executes each command, where dependencies are the order after putting it in order
//! by the rows that they name. What is left out: heartbeats and progress reports, whose number
//! depends on time and not on commands; announcements of their own where nothing is there to carry
//! them; the bytes around a value; proposers that compete.

use protocols::{
    Protocol, ReplicaId,
    load_model::{LoadQuestion, ReplicaLoad},
};

use crate::{
    model::{Driver, Routing, Workload},
    plan::Point,
    sim_costs::SimCosts,
};

/// What gives way first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saturates {
    /// The CPU.
    Cpu,
    /// The network card.
    Nic,
}

impl Saturates {
    /// As it stands in `load-model.csv`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Nic => "nic",
        }
    }
}

/// How many commands per second a cluster bears if this replica is the one that limits it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Capacity {
    /// Commands per second.
    pub ops_per_s: f64,
    /// Which of its resources is then in use all the time.
    pub saturates: Saturates,
}

impl SimCosts {
    /// The capacity of a cluster whose busiest replica has this `load`, with commands of which
    /// `write_ratio` carry a value of `value_bytes`; none if work costs nothing. Counted as the
    /// simulator charges them: a message and its bytes cost when they come in, and per receiver
    /// when they go out; a command costs when it is executed, and by the rows that it is put in
    /// order by. Wakeups cost next to nothing where the CPU is in use all the time, since so much
    /// is ready at each.
    pub fn capacity(
        &self,
        load: &ReplicaLoad,
        write_ratio: f64,
        value_bytes: usize,
    ) -> Option<Capacity> {
        let value_bytes = value_bytes as f64 * write_ratio;
        let bytes = (load.values_in + load.values_out) * value_bytes;
        let cpu_s = (load.messages + load.client_messages) * self.cpu_us_per_message / 1e6
            + bytes * self.cpu_ns_per_byte / 1e9
            + self.cpu_us_per_command / 1e6
            + load.ordering_steps * self.cpu_us_per_ordering_step / 1e6;
        let nic_s = match self.nic_mbit_per_s {
            0.0 => 0.0,
            rate => load.values_out * value_bytes * 8.0 / (rate * 1e6),
        };
        let saturates = if nic_s > cpu_s { Saturates::Nic } else { Saturates::Cpu };
        let busy_s = cpu_s.max(nic_s);
        (busy_s > 0.0).then(|| Capacity { ops_per_s: 1.0 / busy_s, saturates })
    }
}

impl Workload {
    /// What each replica does per command of a run of `protocol` at `point` of whose commits the
    /// share `slow` took the slow path.
    ///
    /// # Errors
    /// Why there is no model.
    pub fn load_model(
        &self,
        protocol: Protocol,
        point: &Point,
        slow: f64,
    ) -> Result<Vec<ReplicaLoad>, &'static str> {
        if point.batching.is_on() {
            return Err("commands are joined into batches");
        }
        if point.is_mixed() {
            return Err("there are commands beside gets and puts");
        }
        if !self.faults.is_empty() {
            return Err("there are faults");
        }
        let Some(of_peers) = protocol.load_model else {
            return Err("the protocol states no model");
        };
        let load = |replica: ReplicaId| {
            let asked = asked(point, replica);
            let load = of_peers(&LoadQuestion {
                replicas: point.replicas,
                is_leader: protocol.has_stable_leader && replica == point.leader,
                asked,
                slow,
                has_sites: self.network.is_some(),
                options: &point.options,
            })?;
            Ok(ReplicaLoad {
                client_messages: 2.0 * asked,
                values_in: load.values_in + asked,
                ..load
            })
        };
        ReplicaId::all(point.replicas).map(load).collect()
    }

    /// The costs of work, if it is simulated.
    pub fn modelled_costs(&self) -> Option<SimCosts> {
        (self.cluster.driver == Driver::Sim).then(|| self.sim.unwrap_or_default())
    }
}

/// The share of the commands that clients ask of this replica.
fn asked(point: &Point, replica: ReplicaId) -> f64 {
    match (point.routing, replica == point.leader) {
        (Routing::Leader, true) => 1.0,
        (Routing::Leader, false) => 0.0,
        (Routing::Local, _) => point.clients.share(replica.index()),
        (Routing::Random, _) => 1.0 / point.replicas as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    fn loads(protocol: Protocol, replicas: usize, slow: f64) -> Vec<ReplicaLoad> {
        let text = format!("name = \"x\"\ncluster.replicas = {replicas}");
        let workload = Workload::parse("x.toml", &text, &[]).unwrap();
        let plan = Plan::new(&workload);
        workload.load_model(protocol, &plan.runs[0].point, slow).unwrap()
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn every_message_sent_is_received() {
        for n in [3, 5, 7, 51] {
            let others = n as f64 - 1.0;
            let expected = [
                (protocols::multi_paxos::PROTOCOL, 0.0, 2.0 * others + others / n as f64),
                (protocols::epaxos::PROTOCOL, 0.0, 3.0 * others),
                (protocols::epaxos::PROTOCOL, 0.25, 3.5 * others),
                (protocols::paxos::PROTOCOL, 0.0, 5.0 * others),
            ];
            for (protocol, slow, sent) in expected {
                let loads = loads(protocol, n, slow);
                let all: f64 = loads.iter().map(|load| load.messages).sum();
                assert!(close(all, 2.0 * sent), "{protocol}, N = {n}: {all}");
                let [values_in, values_out] = [
                    loads.iter().map(|load| load.values_in).sum::<f64>(),
                    loads.iter().map(|load| load.values_out).sum::<f64>(),
                ];
                assert!(
                    close(values_in, values_out + 1.0),
                    "{protocol}: and a request from outside"
                );
                assert!(close(loads.iter().map(|load| load.client_messages).sum(), 2.0));
            }
        }
    }

    #[test]
    fn a_leader_carries_what_grows_and_the_leaderless_carry_alike() {
        let leader = loads(protocols::multi_paxos::PROTOCOL, 5, 0.0)[0];
        assert!(close(leader.messages, 8.8) && close(leader.values_out, 4.0), "{leader:?}");
        let follower = loads(protocols::multi_paxos::PROTOCOL, 5, 0.0)[4];
        assert!(close(follower.messages, 2.2) && close(follower.values_in, 1.2), "{follower:?}");
        let each = loads(protocols::epaxos::PROTOCOL, 5, 0.0);
        assert!(each.iter().all(|load| close(load.messages, 4.8) && *load == each[0]), "{each:?}");
        assert!(close(each[0].ordering_steps, 5.0) && leader.ordering_steps == 0.0, "{each:?}");
    }

    /// A follower whose site has no clients forwards nothing, and an EPaxos replica there leads
    /// nothing.
    #[test]
    fn a_replica_is_asked_as_often_as_its_site_has_clients() {
        let text = "name = \"x\"\ncluster.replicas = 5\nload.clients = 2";
        let workload = Workload::parse("x.toml", text, &[]).unwrap();
        let point = &Plan::new(&workload).runs[0].point;
        let of = |protocol| workload.load_model(protocol, point, 0.0).unwrap();
        let multi_paxos = of(protocols::multi_paxos::PROTOCOL);
        let messages: Vec<f64> = multi_paxos.iter().map(|load| load.messages).collect();
        assert_eq!(messages, [8.5, 2.5, 2.0, 2.0, 2.0]);
        let epaxos = of(protocols::epaxos::PROTOCOL);
        let messages: Vec<f64> = epaxos.iter().map(|load| load.messages).collect();
        assert_eq!(messages, [7.5, 7.5, 3.0, 3.0, 3.0]);
        for loads in [multi_paxos, epaxos, of(protocols::paxos::PROTOCOL)] {
            let sum = |of: fn(&ReplicaLoad) -> f64| loads.iter().map(of).sum::<f64>();
            assert!(close(sum(|load| load.client_messages), 2.0));
            assert!(close(sum(|load| load.values_in), sum(|load| load.values_out) + 1.0));
            assert_eq!(loads[3].client_messages, 0.0);
        }
    }

    #[test]
    fn capacity_is_that_of_the_resource_in_use_all_the_time() {
        let load = ReplicaLoad {
            messages: 8.0,
            client_messages: 2.0,
            values_in: 1.0,
            values_out: 4.0,
            ordering_steps: 5.0,
        };
        let costs = SimCosts { cpu_us_per_message: 1.0, ..SimCosts::NONE };
        let cpu = costs.capacity(&load, 1.0, 1000).unwrap();
        assert!(close(cpu.ops_per_s, 100_000.0) && cpu.saturates == Saturates::Cpu, "{cpu:?}");
        // 4 × 1000 × 8 bits at 1 Gbit/s take 32 µs; half of the commands being reads, 16.
        let costs = SimCosts { nic_mbit_per_s: 1000.0, ..costs };
        let nic = costs.capacity(&load, 1.0, 1000).unwrap();
        assert!(close(nic.ops_per_s, 31_250.0) && nic.saturates == Saturates::Nic, "{nic:?}");
        assert!(close(costs.capacity(&load, 0.5, 1000).unwrap().ops_per_s, 62_500.0));
        assert_eq!(SimCosts::NONE.capacity(&load, 1.0, 1000), None);
        let costs =
            SimCosts { cpu_us_per_command: 4.0, cpu_us_per_ordering_step: 0.2, ..SimCosts::NONE };
        let executed = costs.capacity(&load, 1.0, 1000).unwrap();
        assert!(close(executed.ops_per_s, 200_000.0), "4 and 5 × 0.2 µs: {executed:?}");
    }

    #[test]
    fn where_the_pattern_is_another_one_there_is_no_model() {
        let model = |more: &str| {
            let workload =
                Workload::parse("x.toml", &format!("name = \"x\"\n{more}"), &[]).unwrap();
            let point = Plan::new(&workload).runs[0].point.clone();
            workload.load_model(protocols::epaxos::PROTOCOL, &point, 0.0)
        };
        assert!(model("cluster.batch_commands = 8").is_err());
        assert!(model("[[faults]]\nat_s = 1\nkill = 0").is_err());
        // Clients of a slow replica ask less often, so that sites are no longer alike.
        assert!(model("[[faults]]\nat_s = 1\nslow = { replica = 0, factor = 4 }").is_err());
        assert!(model("").is_ok());
    }
}
