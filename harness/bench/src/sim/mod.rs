//! Simulated runs.

#[cfg_attr(not(test), expect(dead_code, reason = "the driver that fills it comes next"))]
pub(crate) mod formulas;
