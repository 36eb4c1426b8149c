//! What several cores do alike.

pub(crate) mod batch_queue;
pub mod catch_up;
pub mod gather;
pub mod kept;
pub mod pacing;
pub mod transfer;
