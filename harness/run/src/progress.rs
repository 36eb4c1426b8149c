//! What a run on real processes tells whoever waits for it.

/// Takes note of how far a run is.
pub trait Progress: std::fmt::Debug {
    /// The next step of a search for the highest rate begins: its number, and its rate in
    /// operations per second.
    fn step(&self, number: u32, rate_ops_per_s: f64);

    /// The run does something else from now on, or the same still.
    fn phase(&self, phase: &'static str);
}
