//! Work costs time: where it does, the busiest replica is what a cluster's throughput is bounded by.

use protocols::{Replica, ReplicaId, ReplicaSet, epaxos::EPaxos, multi_paxos::MultiPaxos};
use sim::{Costs, Fault, FaultPlan, Load, Network, Outcome, Scenario, run};

const START_NS: u64 = 1_000_000_000;
const CLIENTS_PER_SITE: usize = 40;
const SUBMISSIONS: u64 = 25;
const COSTS: Costs = Costs { cpu_ns_per_message: 2_000, cpu_ps_per_byte: 1_000, ..Costs::NONE };

/// More clients than any replica can serve at once, near each other, each on its own key.
fn scenario(replicas: usize, costs: Costs) -> Scenario {
    let load = Load {
        start_ns: START_NS,
        clients_per_site: CLIENTS_PER_SITE,
        ..Load::private(ReplicaSet::all(replicas), SUBMISSIONS)
    };
    let mut scenario = Scenario::new(Network::uniform(replicas, 50_000), load, 1);
    // Queueing is no reason to send again, or to campaign.
    scenario.config.timeouts.retransmit = std::time::Duration::from_secs(1);
    scenario.config.timeouts.election = std::time::Duration::from_secs(5);
    scenario.config.timeouts.recovery = std::time::Duration::from_secs(5);
    Scenario { costs, ..scenario }
}

struct Saturated {
    /// From the first request to the last answer.
    took_ns: u64,
    outcome: Outcome,
}

impl Saturated {
    fn of<R: Replica>(scenario: &Scenario) -> Self {
        let outcome = run::<R>(scenario).unwrap_or_else(|violation| panic!("{violation}"));
        let answered = outcome.history.operations().iter().filter_map(|of| of.answer.as_ref());
        let last_ns = answered.map(|(at_ns, _)| *at_ns).max().expect("something is answered");
        Self { took_ns: last_ns - START_NS, outcome }
    }

    /// The share of the time that each replica's CPU worked, in percent.
    fn busy_percent(&self) -> Vec<u64> {
        self.outcome.replicas.iter().map(|of| of.busy_ns * 100 / self.took_ns).collect()
    }
}

#[test]
fn a_leader_is_saturated_before_its_followers_and_before_any_replica_without_one() {
    for replicas in [5, 7] {
        let scenario = scenario(replicas, COSTS);
        let with_leader = Saturated::of::<MultiPaxos>(&scenario);
        let busy = with_leader.busy_percent();
        assert!(busy[0] >= 90, "N = {replicas}: the leader is the bottleneck: {busy:?} %");
        let followers_max = *busy[1..].iter().max().unwrap();
        assert!(2 * followers_max < busy[0], "N = {replicas}: the others wait for it: {busy:?} %");
        let without = Saturated::of::<EPaxos>(&scenario);
        let busy = without.busy_percent();
        let (least, most) = (busy.iter().min().unwrap(), busy.iter().max().unwrap());
        assert!(*least >= 85 && most - least <= 10, "N = {replicas}: all work alike: {busy:?} %");
        let (leader_ns, all_ns) = (with_leader.took_ns, without.took_ns);
        assert!(
            10 * all_ns < 8 * leader_ns,
            "N = {replicas}: five quarters of the throughput at least: {all_ns} against {leader_ns} ns"
        );
    }
}

#[test]
fn throughput_is_bounded_by_capacity() {
    let took_ns = |factor: u64| {
        let cpu_ns_per_message = factor * COSTS.cpu_ns_per_message;
        let cpu_ps_per_byte = factor * COSTS.cpu_ps_per_byte;
        let costs = Costs { cpu_ns_per_message, cpu_ps_per_byte, ..COSTS };
        Saturated::of::<MultiPaxos>(&scenario(5, costs)).took_ns
    };
    let (once, twice) = (took_ns(1), took_ns(2));
    let percent = twice * 100 / once;
    assert!((190..=205).contains(&percent), "twice the work takes {percent} % of the time");
}

#[test]
fn a_slow_replica_takes_as_much_longer_as_it_is_slower() {
    let slowed = |replica| {
        let mut scenario = scenario(5, COSTS);
        scenario.faults = FaultPlan(vec![(0, Fault::Slow(ReplicaId(replica), 3_000))]);
        Saturated::of::<MultiPaxos>(&scenario).took_ns
    };
    let normal = Saturated::of::<MultiPaxos>(&scenario(5, COSTS)).took_ns;
    let (leader, follower) = (slowed(0) * 100 / normal, slowed(4) * 100 / normal);
    assert!((270..=310).contains(&leader), "a slow leader takes {leader} %");
    assert!(follower < 150, "of four followers two suffice: {follower} %");
}

/// Whoever is busy takes in together what came meanwhile, so that a wakeup is shared by the more the busier it is.
#[test]
fn wakeups_are_shared_under_load_and_not_without() {
    let costs = Costs { cpu_ns_per_wakeup: 10_000, ..Costs::NONE };
    let per_command_ns = |clients_per_site| {
        let mut scenario = scenario(3, costs);
        scenario.load.clients_per_site = clients_per_site;
        let outcome = Saturated::of::<EPaxos>(&scenario).outcome;
        let busy_ns: u64 = outcome.replicas.iter().map(|of| of.busy_ns).sum();
        busy_ns / outcome.operations
    };
    let (few, many) = (per_command_ns(1), per_command_ns(200));
    assert!(10 * many < 3 * few, "{many} ns of CPU a command with many clients, {few} with few");
    // A command alone: a request here, a PreAccept at two, an answer from each of them, a Commit at two.
    assert!((50_000..=80_000).contains(&few), "five to eight wakeups, some of them shared: {few}");
}

/// Every replica executes every command, and puts it in order by the rows that its dependencies
/// name: as many as there are replicas, or none where slots are the order.
#[test]
fn commands_cost_where_they_are_executed_and_their_order_where_it_has_to_be_found() {
    let executed = Costs { cpu_ns_per_command: 700, ..Costs::NONE };
    let ordered = Costs { cpu_ns_per_ordering_step: 90, ..Costs::NONE };
    for replicas in [3, 5] {
        let operations = (replicas * CLIENTS_PER_SITE) as u64 * SUBMISSIONS;
        let busy_ns = |outcome: &Outcome| -> Vec<u64> {
            outcome.replicas.iter().map(|of| of.busy_ns).collect()
        };
        let slots = run::<MultiPaxos>(&scenario(replicas, executed)).unwrap();
        assert_eq!(busy_ns(&slots), vec![700 * operations; replicas]);
        let slots = run::<MultiPaxos>(&scenario(replicas, ordered)).unwrap();
        assert_eq!(busy_ns(&slots), vec![0; replicas]);
        assert!(slots.replicas.iter().all(|of| of.ordering_steps == 0));
        let rows = run::<EPaxos>(&scenario(replicas, executed)).unwrap();
        assert_eq!(busy_ns(&rows), vec![700 * operations; replicas]);
        let rows = run::<EPaxos>(&scenario(replicas, ordered)).unwrap();
        let steps = operations * replicas as u64;
        assert!(rows.replicas.iter().all(|of| of.ordering_steps == steps), "{:?}", rows.replicas);
        assert_eq!(busy_ns(&rows), vec![90 * steps; replicas]);
    }
}

/// What a wakeup calls for is sent together: a follower of a leader that has much to do is woken
/// once for all of it.
#[test]
fn what_a_wakeup_puts_out_leaves_together() {
    let costs = Costs { cpu_ns_per_message: 2_000, ..Costs::NONE };
    let outcome = Saturated::of::<MultiPaxos>(&scenario(3, costs)).outcome;
    let [leader, follower, _] = outcome.replicas[..] else { unreachable!("three replicas") };
    assert!(leader.messages_out >= 2 * outcome.operations);
    let looks_per_command = follower.queue_looks as f64 / outcome.operations as f64;
    assert!(looks_per_command < 0.25, "{looks_per_command} looks a command, not one");
}

#[test]
fn bytes_leave_one_after_the_other() {
    let nic_bits_per_s = 10_000_000;
    let scenario = scenario(5, Costs { nic_bits_per_s, ..Costs::NONE });
    let saturated = Saturated::of::<MultiPaxos>(&scenario);
    let leader = &saturated.outcome.replicas[0];
    let leaving_ns = leader.bytes_out * 8 * 1_000_000_000 / nic_bits_per_s;
    let percent = leaving_ns * 100 / saturated.took_ns;
    // What it sends to its own clients leaves by the same way and is not among these bytes.
    assert!((85..=100).contains(&percent), "{percent} % of the time the leader's bytes leave");
    assert_eq!(leader.busy_ns, 0, "a CPU that costs nothing is never busy");
}

/// What costs nothing changes nothing, down to the last event.
#[test]
fn without_costs_the_way_through_the_cpu_leaves_no_trace() {
    let free = run::<EPaxos>(&scenario(5, Costs::NONE)).unwrap();
    assert!(free.replicas.iter().all(|of| of.busy_ns == 0 && of.queue_max <= 1));
    let site = &free.sites[0];
    assert!(site.commit_ns.iter().all(|ns| *ns == 100_000), "one round trip: {:?}", site.commit_ns);
    let costly = run::<EPaxos>(&scenario(5, COSTS)).unwrap();
    assert_ne!(free.trace_hash, costly.trace_hash);
    assert!(costly.replicas.iter().all(|of| of.queue_max > 1), "a busy replica has a queue");
}
