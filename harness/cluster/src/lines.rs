//! What replicas say of themselves, each asked for a bounded time.

use std::time::Duration;

use driver::ReplicaStatus;
use futures_util::future::join_all;
use node::{
    NodeError,
    address::Address,
    control::{Control, Operator},
    emulator::NetworkChange,
    identity::Role,
};
use protocols::{ReplicaId, ReplicaSet};

use crate::{Description, Directory, Error};

/// Chosen: many times what a replica under load needs to answer; beyond it a person would think that nothing happens.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(1_500);

/// Opens lines to the replicas of a standing cluster. Needs a runtime.
#[derive(Debug)]
pub struct Lines {
    operator: Operator,
    addresses: Vec<Address>,
}

impl Lines {
    /// The lines to the replicas of `description`.
    ///
    /// # Errors
    /// If the directory's credentials cannot be used.
    pub fn new(directory: &Directory, description: &Description) -> Result<Self, Error> {
        let identity = directory.identity(description, Role::Operator)?;
        let operator = Operator::new(&identity)?;
        Ok(Self { operator, addresses: description.addresses.clone() })
    }

    /// A line to `replica`.
    ///
    /// # Errors
    /// If it does not answer in time.
    pub async fn line(&self, replica: ReplicaId) -> Result<Control, Error> {
        let address = &self.addresses[replica.index()];
        within(ANSWER_TIMEOUT, async {
            self.operator.connect(replica, address.resolve().await?).await
        })
        .await
    }

    /// How things stand at `replica`.
    ///
    /// # Errors
    /// As [`Lines::line`].
    pub async fn status(&self, replica: ReplicaId) -> Result<ReplicaStatus, Error> {
        let mut line = self.line(replica).await?;
        within(ANSWER_TIMEOUT, line.status()).await
    }

    /// How things stand at each of `replicas`, in order.
    pub async fn statuses(
        &self,
        replicas: ReplicaSet,
    ) -> Vec<(ReplicaId, Result<ReplicaStatus, Error>)> {
        join_all(replicas.iter().map(async |id| (id, self.status(id).await))).await
    }

    /// Tells `change` to each of `replicas`; those that do not answer, with the reason.
    pub async fn network(
        &self,
        replicas: ReplicaSet,
        change: &NetworkChange,
    ) -> Vec<(ReplicaId, Error)> {
        let told = replicas.iter().map(async |id| {
            let told = async {
                let mut line = self.line(id).await?;
                within(ANSWER_TIMEOUT, line.network(change)).await
            };
            told.await.err().map(|error| (id, error))
        });
        join_all(told).await.into_iter().flatten().collect()
    }

    /// Asks each of `replicas` to stop; those that do not answer are somebody else's to stop.
    pub async fn shut_down(&self, replicas: ReplicaSet) {
        let asked = replicas.iter().map(async |id| {
            let line = self.line(id).await?;
            within(ANSWER_TIMEOUT, line.shut_down()).await
        });
        join_all(asked).await;
    }
}

/// What `asked` comes to, if it comes in time.
async fn within<T>(
    timeout: Duration,
    asked: impl Future<Output = Result<T, NodeError>>,
) -> Result<T, Error> {
    match tokio::time::timeout(timeout, asked).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Error::NoAnswer { waited: timeout }),
    }
}
