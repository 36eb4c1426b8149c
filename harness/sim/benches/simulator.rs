//! How fast a cluster is simulated: five sites, 32 closed-loop clients at each, 2 % of their commands on one key, as
//! `bench run --driver sim` has it, and every invariant watched. CPU time, so that a busy machine changes little.

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use driver::Reply;
use nix::time::{ClockId, clock_gettime};
use protocols::{
    Batch, ClientId, Replica, ReplicaId, Request, RequestNumber, epaxos::EPaxos,
    multi_paxos::MultiPaxos, paxos::Paxos,
};
use sim::{Agenda, Ask, Breach, Cluster, Costs, FaultPlan, Network, Simulation, Source};
use workload::{ClientStream, Placement, Plan, Run, Workload, fill_value};

/// The sites of the SOSP'13 paper.
const WORKLOAD: &str = "name = \"speed\"\n\
    cluster = { driver = \"sim\", replicas = 5, leader = 1 }\n\
    load.clients_per_site = 32\n\
    commands.conflict_rate = 0.02\n\
    [network.topology]\n\
    source = \"workloads/topologies/ec2-2013.toml\"\n\
    sites = [\"VA\", \"CA\", \"EU\", \"OR\", \"JP\"]\n\
    round_trip_ms = { VA-CA = 85, VA-EU = 90, VA-OR = 82, VA-JP = 165, CA-EU = 156, CA-OR = 21, CA-JP = 118, \
    EU-OR = 150, EU-JP = 278, OR-JP = 127 }";

/// Each client asks for something as soon as it has its answer.
struct ClosedLoop {
    clients: Vec<(ClientStream, u64)>,
    placement: Placement,
    value: Vec<u8>,
    value_bytes: usize,
    answered: u64,
}

impl ClosedLoop {
    fn new(run: &Run) -> Self {
        let placement = run.point.clients;
        let places = (0..run.point.replicas)
            .flat_map(|site| (0..placement.at(site)).map(move |client| (site, client)));
        let stream = |(site, client)| (ClientStream::new(&run.point, run.seed, site, client), 0);
        Self {
            clients: places.map(stream).collect(),
            placement,
            value: Vec::new(),
            value_bytes: run.point.value_bytes,
            answered: 0,
        }
    }

    fn issue(&mut self, client: u32, agenda: &mut Agenda<()>) {
        let (stream, writes) = &mut self.clients[client as usize];
        *writes += 1;
        let (id, number) = (ClientId(u64::from(client) + 1), RequestNumber::write(*writes));
        fill_value(&mut self.value, id.0, number.as_u64(), self.value_bytes);
        let op = stream.next_op();
        let command = op.command(&self.value, None);
        let request = Request { client: id, number, unanswered_from: *writes, command };
        let batch = Batch::single(&request).expect("keys and values are short");
        agenda.ask(Ask { client, to: op.to, batch });
    }
}

impl Source for ClosedLoop {
    type Wake = ();

    fn start(&mut self, agenda: &mut Agenda<()>) {
        let clients = u32::try_from(self.clients.len()).expect("some hundred");
        (0..clients).for_each(|client| self.issue(client, agenda));
    }

    fn on_wake(&mut self, (): (), _: &mut Agenda<()>) {}

    fn on_reply(
        &mut self,
        client: u32,
        reply: &Reply,
        agenda: &mut Agenda<()>,
    ) -> Result<bool, Breach> {
        let waits_for = RequestNumber::write(self.clients[client as usize].1);
        assert_eq!(reply.number, waits_for, "one request is outstanding");
        self.answered += 1;
        self.issue(client, agenda);
        Ok(true)
    }

    fn site_of(&self, client: u32) -> ReplicaId {
        ReplicaId::from_index(self.placement.site_of(client as usize))
    }

    fn on_committed(&mut self, _: ReplicaId, _: u64, _: u64) {}

    fn is_done(&self) -> bool {
        false
    }

    fn waiting(&self) -> String {
        String::new()
    }
}

fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).expect("every system has this clock").into()
}

/// So many seconds of a cluster's life: how many commands were answered, and how many events that took.
fn simulate<R: Replica>(seconds: u64) -> (u64, u64) {
    let workload = Workload::parse("speed.toml", WORKLOAD, &[]).expect("it is a workload");
    let plan = Plan::new(&workload);
    let run = &plan.runs[0];
    let sites = workload.sites(run.point.replicas).expect("it has sites");
    let cluster = Cluster {
        config: workload.config(&run.point),
        network: Network {
            one_way_ns: sites.one_way_ns,
            jitter_ns: sites.jitter_ns,
            in_order: true,
            loss: 0.0,
            duplicate: 0.0,
        },
        costs: Costs::NONE,
        seed: run.seed,
        storage: None,
        counts_bytes: false,
        trace_lines_max: 0,
    };
    let mut simulation =
        Simulation::<R, _>::new(&cluster, &FaultPlan::none(), ClosedLoop::new(run));
    simulation.run_until(seconds * 1_000_000_000).unwrap_or_else(|broken| panic!("{broken}"));
    (simulation.source().answered, simulation.events())
}

fn protocol<R: Replica>(criterion: &mut Criterion, seconds: u64) {
    let mut group = criterion.benchmark_group("simulate");
    group.sample_size(10);
    let (mut simulated, mut events, mut spent) = (0, 0, Duration::ZERO);
    group.bench_function(format!("{}/n=5/conflict=2%", R::PROTOCOL), |bencher| {
        bencher.iter_custom(|count| {
            let start = cpu_time();
            for _ in 0..count {
                let done = black_box(simulate::<R>(black_box(seconds)));
                assert!(done.0 > 0, "nothing was answered");
                simulated += done.0;
                events += done.1;
            }
            let time = cpu_time() - start;
            spent += time;
            time
        });
    });
    group.finish();
    if spent.is_zero() {
        return;
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits are printed")]
    let rate = |count: u64| count as f64 / spent.as_secs_f64() / 1e3;
    println!(
        "{}: {:.0} thousand commands, {:.0} thousand events per CPU-second\n",
        R::PROTOCOL,
        rate(simulated),
        rate(events)
    );
}

fn simulator(criterion: &mut Criterion) {
    // Under `cargo test` it runs once, unoptimised: enough to see that it runs.
    let seconds = if cfg!(debug_assertions) { 2 } else { 60 };
    protocol::<EPaxos>(criterion, seconds);
    protocol::<MultiPaxos>(criterion, seconds);
    protocol::<Paxos>(criterion, 10 * seconds);
}

criterion_group!(benches, simulator);
criterion_main!(benches);
