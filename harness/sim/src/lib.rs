//! Discrete-event simulation of a cluster: seeded, deterministic, with faults.
