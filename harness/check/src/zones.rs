//! When several values cannot be put in an order.
//!
//! The operations on one value, or on a chain of values each made from the one before, stand together in every order
//! that explains them. One chain has to come before another if any operation of it ended before any of the other began:
//! if its first end is before the other's last beginning. No order exists exactly if two chains each have to come before
//! the other: in a longer circle, the chain whose end is the earliest already has to come before the one that stands two
//! before it in the circle or is it, and hence there is a circle of two.

/// An end or a beginning of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// When. 0 is before everything.
    pub(crate) time: u64,
    /// Of which operation; none for the beginning of the world.
    pub(crate) operation: Option<u32>,
    /// To which block the operation belongs.
    pub(crate) block: u32,
}

/// A chain in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Zone {
    /// The first end of an operation of the chain.
    pub(crate) first_end: Mark,
    /// The last beginning.
    pub(crate) last_begin: Mark,
}

impl Zone {
    /// Does the chain hold its value between two moments that are known? Otherwise one moment will do.
    const fn is_forward(&self) -> bool {
        self.first_end.time < self.last_begin.time
    }

    const fn precedes(&self, other: &Self) -> bool {
        self.first_end.time < other.last_begin.time
    }
}

/// Two zones each of which has to come before the other, if there are any.
pub(crate) fn crossing(zones: &[Zone]) -> Option<(Zone, Zone)> {
    let mut forward: Vec<Zone> = zones.iter().filter(|zone| zone.is_forward()).copied().collect();
    forward.sort_unstable_by_key(|zone| zone.first_end.time);
    // Two forward zones exclude each other if they overlap; if any two do, two neighbours do.
    if let Some(pair) = forward.windows(2).find(|pair| pair[1].precedes(&pair[0])) {
        return Some((pair[0], pair[1]));
    }
    // Another zone excludes a forward one if it lies inside. The forward ones are apart: only one can be around it.
    zones.iter().filter(|zone| !zone.is_forward()).find_map(|zone| {
        let before = forward.partition_point(|around| around.precedes(zone));
        let around = forward[..before].last()?;
        zone.precedes(around).then_some((*around, *zone))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(first_end: u64, last_begin: u64) -> Zone {
        let mark = |time| Mark { time, operation: None, block: 0 };
        Zone { first_end: mark(first_end), last_begin: mark(last_begin) }
    }

    #[test]
    fn crossing_zones_are_those_that_each_precede_the_other() {
        let mut state = 7u64;
        let mut draw = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let mut seen = [0; 2];
        for _ in 0..20_000 {
            let count = 1 + draw(6);
            let zones: Vec<Zone> = (0..count).map(|_| zone(draw(12), draw(12))).collect();
            let excluded = (0..zones.len()).any(|a| {
                (0..a).any(|b| zones[a].precedes(&zones[b]) && zones[b].precedes(&zones[a]))
            });
            assert_eq!(crossing(&zones).is_some(), excluded, "{zones:?}");
            seen[usize::from(excluded)] += 1;
        }
        assert!(seen.iter().all(|&count| count > 1000), "{seen:?}");
    }
}
