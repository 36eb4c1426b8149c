//! The real binary, from the outside: what it prints, writes, refuses and leaves running.

#[cfg(test)]
mod agreement;
#[cfg(debug_assertions)]
#[cfg(test)]
mod all_commands;
#[cfg(test)]
mod background;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod between_sites;
#[cfg(test)]
mod beyond;
#[cfg(test)]
mod calibrate;
#[cfg(test)]
mod check;
#[cfg(test)]
mod client;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod compare;
#[cfg(test)]
mod durable;
#[cfg(test)]
mod endings;
#[cfg(test)]
mod explore;
#[cfg(debug_assertions)]
#[cfg(test)]
mod failpoints;
#[cfg(test)]
mod hosts;
#[cfg(test)]
mod jitter;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod knee;
#[cfg(test)]
mod misleading;
#[cfg(debug_assertions)]
#[cfg(test)]
mod nodes;
#[cfg(test)]
mod place;
#[cfg(test)]
mod published;
#[cfg(test)]
mod report;
#[cfg(test)]
mod resume;
#[cfg(test)]
mod returns;
#[cfg(test)]
mod runs;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod soak;
#[cfg(test)]
mod topology;
#[cfg(debug_assertions)]
#[cfg(test)]
mod unsynced;
#[cfg(debug_assertions)]
#[cfg(test)]
mod violations;
