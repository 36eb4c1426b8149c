//! The published rule that bounds execution (Tollman, Park, Ousterhout, "EPaxos Revisited",
//! NSDI'21, REV: the flag of its code against "infinite" chains) lets replicas diverge. It is here
//! alone, as an executor that reads what a replica has on record. Three schedules show it, each run
//! by real replicas; the bounded rule of the cores has one order in each. They are golden scripts
//! as well (`testdata/epaxos_sosp13`).

use std::collections::{BTreeMap, BTreeSet};

use protocols::{
    Config, Dependencies, InstanceId, Path,
    epaxos::{Execution, Message, Record, Timer, Variant},
};

use crate::{
    net::{Envelope, Net, and, is, link},
    support::r,
};

/// An instance as one replica holds it.
struct Held {
    dependencies: Dependencies,
    committed: bool,
}

/// The published rule, at a replica that holds this.
struct Published(BTreeMap<InstanceId, Held>);

impl Published {
    /// What `replica` has on record: of each instance the last.
    fn at(net: &Net, replica: u8) -> Self {
        let mut held = BTreeMap::new();
        for record in &net.node(replica).records {
            let (instance, dependencies) = match record {
                Record::PreAccepted { instance, dependencies, .. }
                | Record::PreAcceptedAgain { instance, dependencies, .. }
                | Record::Accepted { instance, dependencies, .. }
                | Record::Committed { instance, dependencies, .. } => (instance, dependencies),
                Record::Promised { .. } | Record::Validated { .. } => continue,
            };
            let committed = matches!(record, Record::Committed { .. });
            let dependencies = dependencies.clone();
            held.insert(*instance, Held { dependencies, committed });
        }
        Self(held)
    }

    /// The sequence number, ties broken by the instance.
    fn key(&self, instance: InstanceId) -> (u64, InstanceId) {
        (self.0[&instance].dependencies.seq().expect("the published variant"), instance)
    }

    /// What `root` executes: all that it reaches and that `done` lacks, in order; none if it has to
    /// wait. An instance with a higher key than the root that has the root among its dependencies
    /// is not followed, whether its value is decided or not.
    fn execute(&self, root: InstanceId, done: &[InstanceId]) -> Option<Vec<InstanceId>> {
        let next = |from: InstanceId| {
            let on = &self.0[&from].dependencies;
            let is_pruned = |to: InstanceId| {
                self.key(to) > self.key(root) && self.0[&to].dependencies.contain(root)
            };
            let all = self.0.keys().copied();
            all.filter(move |to| *to != from && on.contain(*to) && !done.contains(to))
                .filter(move |to| *to == root || !is_pruned(*to))
        };
        let reached = |from: InstanceId| {
            let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
            while let Some(at) = open.pop() {
                open.extend(next(at).filter(|to| reached.insert(*to)));
            }
            reached
        };
        let mut all = reached(root);
        all.insert(root);
        if all.iter().any(|instance| !self.0[instance].committed) {
            return None;
        }
        let mut order = Vec::new();
        while let Some(first) = all.iter().copied().min_by_key(|instance| {
            // A component that reaches nothing else comes first, inside it the lowest key.
            let beyond = reached(*instance)
                .into_iter()
                .filter(|to| all.contains(to) && !reached(*to).contains(instance));
            (beyond.count(), self.key(*instance))
        }) {
            all.remove(&first);
            order.push(first);
        }
        Some(order)
    }

    /// The same for each of `roots` in turn.
    fn execute_all(&self, roots: &[InstanceId]) -> Vec<InstanceId> {
        let mut done = Vec::new();
        for root in roots {
            if !done.contains(root) {
                let more = self.execute(*root, &done).expect("all is decided");
                done.extend(more);
            }
        }
        done
    }
}

fn bounded() -> Net {
    let mut config = Config::new(3);
    config.options.put(Variant::Sosp13);
    config.options.put(Execution::Bounded);
    Net::with(config)
}

/// All replicas executed the same in the same order.
fn one_order(net: &mut Net) -> Vec<InstanceId> {
    net.come_to_rest();
    let order = net.order(0);
    assert_eq!([net.order(1), net.order(2)], [order.clone(), order.clone()]);
    order
}

/// A replica prunes by a value that is not settled. It holds R with w among its dependencies, which
/// is not what is decided, and executes w before R, though R was executed elsewhere before w was
/// proposed.
#[test]
fn the_published_rule_diverges_on_unsettled_values() {
    let mut net = bounded();
    let root = net.put(0, "k");
    net.fire(r(0), Timer::FastQuorum);
    net.deliver(and(is("PreAcceptAgain"), link(0, 1)));
    net.deliver(and(is("PreAcceptAgainOk"), link(1, 0)));
    net.deliver(and(is("Accept"), link(0, 1)));
    net.deliver(and(is("AcceptOk"), link(1, 0)));
    assert_eq!((net.decision(0, root).path, net.order(0)), (Path::Slow, vec![root]));
    let at_r0 = Published::at(&net, 0).execute(root, &[]).expect("it depends on nothing");

    let w = net.put(1, "k");
    net.deliver(and(is("PreAccept"), link(1, 2)));
    net.deliver(and(is("PreAcceptOk"), link(2, 1)));
    assert!(net.decision(1, w).dependencies.contain(root), "proposed after R was executed");
    net.deliver(and(is("Commit"), link(1, 2)));
    net.deliver(and(is("PreAcceptAgain"), link(0, 2)));
    let at_r2 = Published::at(&net, 2).execute(w, &[]);
    assert_eq!((at_r0, at_r2), (vec![root], Some(vec![w])), "w before R at r2");

    assert_eq!(net.order(2), [], "the cores wait for R");
    assert_eq!(one_order(&mut net), [root, w]);
}

/// What is pruned is relative to the root: three committed instances, in a circle.
#[test]
fn the_published_rule_diverges_by_the_root_that_is_explored_first() {
    let mut net = bounded();
    let all = [0, 1, 2].map(|replica| net.put(replica, "k"));
    for (replica, next) in [(0, 1), (1, 2), (2, 0)] {
        net.deliver(and(is("PreAccept"), link(replica, next)));
        net.deliver(and(is("PreAcceptOk"), link(next, replica)));
    }
    net.deliver_all();
    let [root, w, x] = all;
    let published = Published::at(&net, 0);
    assert_eq!(all.map(|instance| published.key(instance).0), [2, 2, 3]);
    assert_eq!(published.execute_all(&[root, w, x]), [w, root, x]);
    assert_eq!(published.execute_all(&[w, root, x]), [root, w, x]);
    assert_eq!(one_order(&mut net), [root, w, x]);
}

/// An edge below the root is pruned because its end contains the root: the only edge between two
/// others is gone.
#[test]
fn the_published_rule_diverges_below_the_root() {
    let mut net = bounded();
    let root = net.put(0, "k");
    let w = net.put(0, "k");
    let of_w = |envelope: &Envelope| match &envelope.message {
        Message::PreAccept { instance, .. } => *instance == w,
        _ => false,
    };
    net.deliver(and(of_w, link(0, 1)));
    net.deliver(and(is("PreAcceptOk"), link(1, 0)));
    let x = net.put(1, "k");
    net.deliver(and(is("PreAccept"), link(1, 2)));
    net.deliver(and(is("PreAcceptOk"), link(2, 1)));
    net.fire(r(0), Timer::FastQuorum);
    net.deliver(and(is("PreAcceptAgain"), link(0, 2)));
    net.deliver(and(is("PreAcceptAgainOk"), link(2, 0)));
    net.deliver(and(is("Accept"), link(0, 2)));
    net.deliver(and(is("AcceptOk"), link(2, 0)));
    net.deliver_all();
    let published = Published::at(&net, 1);
    assert_eq!([root, w, x].map(|instance| published.key(instance).0), [4, 2, 3]);
    assert_eq!(published.execute_all(&[root, w, x]), [w, x, root]);
    assert_eq!(published.execute_all(&[w, root, x]), [root, w, x]);
    let order = one_order(&mut net);
    assert_eq!(order.len(), 3);
}
