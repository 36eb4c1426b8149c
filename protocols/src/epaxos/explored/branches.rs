//! Which branches of a recovery (STAR, steps 6 to 9; S13, Figure 3) a step took, read off the core
//! before and after it.

use std::collections::BTreeMap;

use super::{
    EPaxos, Message,
    mark::{
        ACCEPTED_FOUND, NOTHING_AGAINST, NOTHING_FOUND, OUTVOTED, OWNER_HEARD, REFUTED,
        TRACES_FOUND, UNDECIDABLE, WAIT_CLEARED, WAIT_HEARD_ACCEPTED, WAIT_HEARD_OWNER,
        WAIT_REFUTED,
    },
};
use crate::{
    Input, InstanceId, ReplicaId,
    epaxos::{
        instance::{Candidate, Instance, Leading},
        message::{Phase, Report},
    },
    explored::Marks,
};

/// The branches that `before` took with `input`, which made it `after`.
pub(super) fn taken(before: &EPaxos, input: &Input<EPaxos>, after: &EPaxos) -> Marks {
    let mut marks = Marks::NONE;
    let Input::Message { from, message } = input else { return marks };
    if let Some(led) = led(message).and_then(|instance| Led::of(before, after, instance)) {
        marks = marks.union(led.answered(*from, message));
    }
    for instance in &before.waiting {
        if let Some(led) = Led::of(before, after, *instance)
            && let Leading::Wait { candidate } = led.leading
        {
            marks = marks.union(led.wait_ended(candidate, *from, message, before, after));
        }
    }
    marks
}

/// The instance whose recovery an answer drives on.
fn led(message: &Message) -> Option<InstanceId> {
    match message {
        Message::RecoverOk { instance, .. } | Message::ValidateOk { instance, .. } => {
            Some(*instance)
        }
        _ => None,
    }
}

/// An instance that a step has led from one stage of its recovery to another.
struct Led<'a> {
    instance: InstanceId,
    before: &'a Instance,
    leading: &'a Leading,
    after: &'a Instance,
}

impl<'a> Led<'a> {
    fn of(before: &'a EPaxos, after: &'a EPaxos, instance: InstanceId) -> Option<Self> {
        let (before, after) = (before.entry(instance)?, after.entry(instance)?);
        let leading = before.leading.as_deref()?;
        (after.leading.as_deref() != Some(leading)).then_some(Self {
            instance,
            before,
            leading,
            after,
        })
    }

    /// Is the instance about to be accepted, or accepted already, as a no-op?
    fn is_noop(&self) -> bool {
        self.is_accepted() && self.after.batch.is_noop()
    }

    fn is_accepted(&self) -> bool {
        self.after.phase >= Phase::Accepted && self.before.phase < Phase::Committed
    }

    /// The branch that an answer to Recover or Validate led to.
    fn answered(&self, from: ReplicaId, message: &Message) -> Marks {
        match (self.leading, message) {
            (Leading::Recover { reports }, Message::RecoverOk { report, .. }) => {
                let mut reports: BTreeMap<_, &Report> =
                    reports.iter().map(|(replica, report)| (*replica, report)).collect();
                reports.insert(from, &**report);
                self.decided(&reports)
            }
            (Leading::Validate { candidate, .. }, Message::ValidateOk { against, .. }) => {
                let told = candidate.against.values().chain(against.iter().map(|(_, phase)| phase));
                let is_refuted = told.clone().any(|phase| *phase == Phase::Committed);
                match self.is_accepted() {
                    true if !self.is_noop() => Marks::only(NOTHING_AGAINST),
                    true if is_refuted => Marks::only(REFUTED),
                    true => Marks::only(UNDECIDABLE),
                    false => Marks::NONE,
                }
            }
            _ => Marks::NONE,
        }
    }

    /// The branch that the reports of a quorum led to. Recoveries that go on to Validate, or to
    /// phase 1 again, are seen by their messages.
    fn decided(&self, reports: &BTreeMap<ReplicaId, &Report>) -> Marks {
        let is_in = |phase| reports.values().any(|report| report.phase == phase);
        if !self.is_accepted() {
            Marks::NONE
        } else if is_in(Phase::Accepted) {
            Marks::only(ACCEPTED_FOUND)
        } else if !self.is_noop() {
            Marks::only(TRACES_FOUND)
        } else if reports.contains_key(&self.instance.row) {
            Marks::only(OWNER_HEARD)
        } else {
            Marks::only(NOTHING_FOUND)
        }
    }

    /// The branch by which a wait ended.
    fn wait_ended(
        &self,
        candidate: &Candidate,
        from: ReplicaId,
        message: &Message,
        before: &EPaxos,
        after: &EPaxos,
    ) -> Marks {
        if !self.is_accepted() {
            return Marks::NONE;
        }
        match message {
            Message::RecoverOk { instance, report, .. } if *instance == self.instance => {
                if report.phase == Phase::Accepted {
                    Marks::only(WAIT_HEARD_ACCEPTED)
                } else if from == self.instance.row {
                    Marks::only(WAIT_HEARD_OWNER)
                } else {
                    Marks::NONE
                }
            }
            _ if !self.is_noop() => Marks::only(WAIT_CLEARED),
            _ => {
                let newly = |other: &InstanceId| {
                    let is_decided =
                        |core: &EPaxos| core.entry(*other).is_some_and(Instance::is_committed);
                    is_decided(after) && !is_decided(before)
                };
                let refuted = candidate.against.keys().any(newly);
                Marks::only(if refuted { WAIT_REFUTED } else { OUTVOTED })
            }
        }
    }
}
