//! Whether the records say what the core knows: a replica is rebuilt from what is on its disk, and
//! held against the living one.
//!
//! A record that is missing does harm only if its replica restarts before what it says is said
//! again, which few schedules come to. This comparison notices it at once.

use std::panic::{AssertUnwindSafe, catch_unwind};

use protocols::{Replica, ReplicaId};

use crate::{
    simulation::{Simulation, panic_text},
    source::Source,
    store::SimStore,
    violation::{Breach, Broken},
};

/// A replica is compared again when so many times as many bytes were written as there were on its
/// disk, and so many at least: a comparison reads all of them. Chosen: a seed takes a quarter
/// longer.
const DISKS_BETWEEN: u64 = 2;
const BYTES_BETWEEN: u64 = 2_000;

impl<R: Replica, S: Source> Simulation<R, S> {
    /// A replica has done all that it was asked for. If enough was written since the last time, and
    /// nothing is on its way, it is held against its records.
    pub(crate) fn compare_with_records(&mut self, replica: ReplicaId) -> Result<(), Breach> {
        let host = &mut self.hosts[replica.index()];
        let (Some(driver), SimStore::Disk(disk)) = (&host.driver, &host.store) else {
            return Ok(());
        };
        let written = disk.disk.counts().bytes;
        if host.store.is_writing() || driver.is_stepped() || written < host.compare_at {
            return Ok(());
        }
        host.compare_at = written + (DISKS_BETWEEN * disk.disk.len()).max(BYTES_BETWEEN);
        let config = self.cluster.config_of(R::PROTOCOL, replica);
        // A core may find by itself that something is missing.
        let forgotten = match catch_unwind(AssertUnwindSafe(|| disk.rebuild::<R>(&config))) {
            Ok(Ok(rebuilt)) => driver.core().forgotten_by(&rebuilt),
            Ok(Err(error)) => Some(error.to_string()),
            Err(panic) => Some(panic_text(&*panic).to_owned()),
        };
        forgotten.map_or(Ok(()), |what| {
            Err(Breach::new(Broken::Forgotten, format!("{replica}: {what}")))
        })
    }
}
