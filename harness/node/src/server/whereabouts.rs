//! Where the other replicas are: fixed addresses, or names whose hosts may move.

use std::{cell::RefCell, net::SocketAddr};

use protocols::ReplicaId;

use crate::{NodeError, address::Address, emulator::socket::Emulator};

/// Where each replica listens, and where it was last.
#[derive(Debug)]
pub(super) struct Whereabouts {
    addresses: Vec<Address>,
    /// None of a name that was never resolved.
    last: RefCell<Vec<Option<SocketAddr>>>,
}

impl Whereabouts {
    /// What is known before anybody was met.
    pub(super) fn new(addresses: &[Address]) -> Self {
        let last = addresses.iter().map(Address::fixed).collect();
        Self { addresses: addresses.to_vec(), last: RefCell::new(last) }
    }

    /// How many replicas there are.
    pub(super) fn len(&self) -> usize {
        self.addresses.len()
    }

    /// Where `peer` listens, as it was written down.
    pub(super) fn named(&self, peer: ReplicaId) -> &Address {
        &self.addresses[peer.index()]
    }

    /// Is a replica known to be at `address`?
    pub(super) fn contains(&self, address: SocketAddr) -> bool {
        self.last.borrow().contains(&Some(address))
    }

    /// Where `peer` is now, and which packets are therefore those to it.
    ///
    /// # Errors
    /// If its host's name is not known.
    pub(super) async fn of(
        &self,
        peer: ReplicaId,
        emulator: Option<&Emulator>,
    ) -> Result<SocketAddr, NodeError> {
        let address = self.named(peer).resolve().await?;
        self.met(peer, address, emulator);
        Ok(address)
    }

    /// `peer` is at `address`: it has proved that, or its name says so.
    pub(super) fn met(&self, peer: ReplicaId, address: SocketAddr, emulator: Option<&Emulator>) {
        let last = &mut self.last.borrow_mut()[peer.index()];
        if last.replace(address) != Some(address)
            && let Some(emulator) = emulator
        {
            emulator.moved(peer, address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_known_where_it_was_met_last() {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let named = Address::Named { host: "r1".to_owned(), port: 2 };
        let whereabouts = Whereabouts::new(&[at(1).into(), named]);
        assert!(whereabouts.contains(at(1)) && !whereabouts.contains(at(2)));
        whereabouts.met(ReplicaId(1), at(2), None);
        assert!(whereabouts.contains(at(2)));
        whereabouts.met(ReplicaId(1), at(3), None);
        assert!(whereabouts.contains(at(3)) && !whereabouts.contains(at(2)));
    }
}
