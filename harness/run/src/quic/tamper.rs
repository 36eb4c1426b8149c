//! Wrong answers on purpose, so that a test sees what becomes of a run that is not correct.
//!
//! Only a build with debug assertions has this; in any other a [`Tamper`] is nothing and does nothing, whatever is asked
//! for. The environment variable `BENCH_TAMPER` asks for it:
//! - `stale-read`: from the hundredth read of a key on, reads return the first value that was read of it.
//! - `lost-write`: closing reads find nothing.
//! - `swapped`: every compare-and-set is taken to have found what it expected.
//! - `disagreement`: one replica's state is reported as another than it is.

#[cfg(debug_assertions)]
pub(super) use self::enabled::Tamper;

#[cfg(not(debug_assertions))]
pub(super) use self::disabled::Tamper;

#[cfg(debug_assertions)]
mod enabled {
    use std::collections::HashMap;

    use driver::{Refusal, ReplicaStatus};
    use protocols::Outcome;

    use crate::clients::outstanding::Pending;

    /// From this read of a key on.
    const STALE_FROM: u32 = 100;

    /// What is falsified, and what it takes.
    #[derive(Debug, Default)]
    pub(in crate::quic) struct Tamper {
        how: String,
        first_seen: HashMap<Vec<u8>, (u32, Outcome)>,
    }

    impl Tamper {
        /// As the environment asks.
        pub(in crate::quic) fn asked_for() -> Self {
            let how = std::env::var("BENCH_TAMPER").unwrap_or_default();
            Self { how, first_seen: HashMap::new() }
        }

        /// The answer that is taken for what came.
        pub(in crate::quic) fn with(
            &mut self,
            pending: &Pending,
            answer: Result<Outcome, Refusal>,
        ) -> Result<Outcome, Refusal> {
            match (self.how.as_str(), &answer) {
                ("stale-read", Ok(seen @ Outcome::Value(Some(_)))) => {
                    let first = self.first_seen.entry(pending.key().to_vec());
                    let (count, first) = first.or_insert_with(|| (0, seen.clone()));
                    *count += 1;
                    if *count < STALE_FROM { answer } else { Ok(first.clone()) }
                }
                ("lost-write", Ok(Outcome::Value(_))) if pending.closing => {
                    Ok(Outcome::Value(None))
                }
                ("swapped", Ok(Outcome::Swapped(_))) => Ok(Outcome::Swapped(true)),
                _ => answer,
            }
        }

        /// What the replicas are taken to say of themselves.
        pub(in crate::quic) fn with_statuses(&self, statuses: &mut [ReplicaStatus]) {
            if self.how == "disagreement" {
                statuses[0].digest.state ^= 1;
            }
        }
    }
}

#[cfg(not(debug_assertions))]
mod disabled {
    use driver::{Refusal, ReplicaStatus};
    use protocols::Outcome;

    use crate::clients::outstanding::Pending;

    /// Nothing.
    #[derive(Debug, Default)]
    pub(in crate::quic) struct Tamper;

    impl Tamper {
        pub(in crate::quic) const fn asked_for() -> Self {
            Self
        }

        pub(in crate::quic) fn with(
            &mut self,
            _: &Pending,
            answer: Result<Outcome, Refusal>,
        ) -> Result<Outcome, Refusal> {
            answer
        }

        pub(in crate::quic) fn with_statuses(&self, _: &mut [ReplicaStatus]) {}
    }
}
