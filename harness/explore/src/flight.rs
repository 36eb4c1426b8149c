//! The messages under way, in a canonical order: equal sets of messages, in equal orders where order counts, are equal.

use smallvec::SmallVec;

/// A message's number in the table of messages.
pub(crate) type Number = u32;

/// Where a message is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Lane {
    /// On a link that keeps the order in which messages were sent, as sender times 256 plus receiver.
    Link(u16),
    /// Nowhere in particular: it may arrive at any time.
    Free,
}

/// A message under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Packet {
    pub(crate) lane: Lane,
    pub(crate) number: Number,
}

/// All of them, by lane. On a link they stand in the order in which they were sent; free ones by number, one that is under
/// way twice is there twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Flight(SmallVec<[Packet; 20]>);

impl Flight {
    pub(crate) fn iter(&self) -> impl Iterator<Item = Packet> {
        self.0.iter().copied()
    }

    /// The messages that may arrive next, each once: the first of every link, and every free one. With each, whether
    /// another stands behind it.
    pub(crate) fn next(&self) -> impl Iterator<Item = (Packet, bool)> {
        (0..self.0.len()).filter_map(|at| {
            let packet = self.0[at];
            let before = at.checked_sub(1).map(|before| self.0[before]);
            let first = match packet.lane {
                Lane::Free => before != Some(packet),
                Lane::Link(_) => before.is_none_or(|before| before.lane != packet.lane),
            };
            let behind = self.0.get(at + 1).is_some_and(|after| after.lane == packet.lane);
            first.then_some((packet, behind))
        })
    }

    /// The messages that are not first on their link, each once.
    pub(crate) fn behind(&self) -> impl Iterator<Item = Packet> {
        (1..self.0.len()).filter_map(|at| {
            let packet = self.0[at];
            let is_link = packet.lane != Lane::Free;
            let group = self.0.partition_point(|other| other.lane < packet.lane);
            (is_link && at > group && !self.0[group..at].contains(&packet)).then_some(packet)
        })
    }

    /// Is `number` free?
    pub(crate) fn has_free(&self, number: Number) -> bool {
        self.0
            .binary_search(&Packet { lane: Lane::Free, number })
            .is_ok_and(|at| self.0[at].lane == Lane::Free)
    }

    /// Puts a message under way: behind all others on its link.
    pub(crate) fn insert(&mut self, packet: Packet) {
        let place = match packet.lane {
            Lane::Link(_) => self.0.partition_point(|other| other.lane <= packet.lane),
            Lane::Free => self
                .0
                .partition_point(|other| other.lane < packet.lane || other.number < packet.number),
        };
        self.0.insert(place, packet);
    }

    /// Takes a message out, the first of several equal ones.
    pub(crate) fn remove(&mut self, packet: Packet) {
        let place = self.0.iter().position(|other| *other == packet);
        self.0.remove(place.expect("only what is under way arrives or is lost"));
    }

    /// Keeps only the messages that `keep` names.
    pub(crate) fn retain(&mut self, keep: impl Fn(Number) -> bool) {
        self.0.retain(|packet| keep(packet.number));
    }

    /// The links of a replica break: what is under way there may arrive at any time, or never.
    pub(crate) fn break_links(&mut self, replica: u8) {
        let breaks = |lane| match lane {
            Lane::Link(link) => link.to_be_bytes().contains(&replica),
            Lane::Free => false,
        };
        if !self.0.iter().any(|packet| breaks(packet.lane)) {
            return;
        }
        let (broken, kept): (Vec<Packet>, Vec<Packet>) =
            self.0.iter().partition(|packet| breaks(packet.lane));
        self.0 = kept.into();
        for packet in broken {
            self.insert(Packet { lane: Lane::Free, ..packet });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn link(from: u8, to: u8, number: Number) -> Packet {
        Packet { lane: Lane::Link(u16::from_be_bytes([from, to])), number }
    }

    const fn free(number: Number) -> Packet {
        Packet { lane: Lane::Free, number }
    }

    fn flight(packets: &[Packet]) -> Flight {
        let mut flight = Flight::default();
        packets.iter().for_each(|packet| flight.insert(*packet));
        flight
    }

    #[test]
    fn links_keep_order_and_free_messages_have_none() {
        let one = flight(&[link(0, 1, 9), free(5), link(2, 1, 3), link(0, 1, 4), free(2), free(5)]);
        let other =
            flight(&[free(5), free(5), link(2, 1, 3), link(0, 1, 9), free(2), link(0, 1, 4)]);
        assert_eq!(one, other);
        assert_ne!(
            one,
            flight(&[free(5), free(5), link(2, 1, 3), link(0, 1, 4), free(2), link(0, 1, 9)])
        );
        let next: Vec<_> = one.next().map(|(packet, _)| packet).collect();
        assert_eq!(next, [link(0, 1, 9), link(2, 1, 3), free(2), free(5)]);
        assert_eq!(one.behind().collect::<Vec<_>>(), [link(0, 1, 4)]);
        assert!(one.next().next().unwrap().1, "another stands behind it");
        assert!(one.has_free(2) && !one.has_free(9));
    }

    #[test]
    fn a_broken_link_lets_its_messages_go() {
        let mut one = flight(&[link(0, 1, 9), link(0, 1, 4), link(2, 0, 3), link(1, 2, 7)]);
        one.break_links(0);
        assert_eq!(one, flight(&[link(1, 2, 7), free(3), free(4), free(9)]));
        one.remove(free(4));
        one.retain(|number| number != 7);
        assert_eq!(one, flight(&[free(9), free(3)]));
    }
}
