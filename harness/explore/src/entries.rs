//! What the tables of a [model](crate::model) hold.

use std::hash::{Hash, Hasher};

use protocols::{
    InstanceId, ReplicaId,
    explored::{Marks, Subject},
};
use smallvec::SmallVec;

use crate::{breach::Breach, flight::Number, host::ExploredReplica, ledger::Ledger, table::Memo};

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Envelope<R: Subject> {
    pub(crate) from: ReplicaId,
    pub(crate) to: ReplicaId,
    pub(crate) message: R::Message,
    /// See [`Subject::meaningless_after`].
    pub(crate) meaningless_after: Option<InstanceId>,
}

/// A replica in the table, with what its steps came to.
#[derive(Debug)]
pub(crate) struct Node<R: Subject> {
    pub(crate) host: ExploredReplica<R>,
    /// Which of the configuration's commands its machine has applied, a bit each.
    pub(crate) applied: u32,
    pub(crate) steps: Memo,
}

impl<R: Subject> PartialEq for Node<R> {
    fn eq(&self, other: &Self) -> bool {
        self.host == other.host
    }
}

impl<R: Subject> Eq for Node<R> {}

impl<R: Subject> Hash for Node<R> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.host.hash(state);
    }
}

/// The ledger in the table, with what observations made of it.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) ledger: Ledger,
    pub(crate) next: Memo,
}

impl PartialEq for Page {
    fn eq(&self, other: &Self) -> bool {
        self.ledger == other.ledger
    }
}

impl Eq for Page {}

impl Hash for Page {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.ledger.hash(state);
    }
}

/// What one step of one replica came to, in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Outcome {
    pub(crate) host: Number,
    pub(crate) sent: SmallVec<[Number; 4]>,
    /// The observations made, as a whole; none for none.
    pub(crate) observed: Option<Number>,
    pub(crate) marks: Marks,
    pub(crate) breach: Option<Number>,
}

/// A step and all that may become of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Step {
    pub(crate) whole: Outcome,
    pub(crate) cuts: Vec<Outcome>,
}

impl<R: Subject> Envelope<R> {
    /// Is it an answer that makes no difference to `receiver` any more?
    pub(crate) fn is_meaningless_to(&self, receiver: &ExploredReplica<R>) -> bool {
        self.meaningless_after.is_some_and(|instance| receiver.has_committed(instance))
    }
}

/// What an observation makes of a ledger.
pub(crate) type Entered = Result<Number, Breach>;
