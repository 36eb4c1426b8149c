//! How many connections there are, and from where. One too many is refused before any handshake.

use std::{cell::RefCell, net::IpAddr, rc::Rc};

use rustc_hash::FxHashMap;

use crate::limits::{CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX, UNPROVEN_MAX};

/// The connections that there are. Cloning shares.
#[derive(Clone, Debug, Default)]
pub(super) struct Connections(Rc<RefCell<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    of: FxHashMap<IpAddr, usize>,
    all: usize,
    unproven: usize,
}

/// A connection that counts among them until this is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    connections: Connections,
    address: IpAddr,
    unproven: bool,
}

/// What becomes of an attempt to connect.
#[derive(Debug)]
pub(super) enum Admission {
    /// Serve it.
    Admitted(Counted),
    /// Let it show that the address is its own, and come again.
    Prove,
    /// Turn it away.
    Refused,
}

impl Connections {
    /// Decides about an attempt from `address`, which was proven, or not, to be its own.
    pub(super) fn admit(&self, address: IpAddr, is_proven: bool) -> Admission {
        let mut counts = self.0.borrow_mut();
        let of_it = counts.of.get(&address).copied().unwrap_or(0);
        if counts.all >= CONNECTIONS_MAX || of_it >= CONNECTIONS_PER_ADDRESS_MAX {
            return Admission::Refused;
        }
        if !is_proven && counts.unproven >= UNPROVEN_MAX {
            return Admission::Prove;
        }
        counts.all += 1;
        counts.unproven += 1;
        *counts.of.entry(address).or_default() += 1;
        Admission::Admitted(Counted { connections: self.clone(), address, unproven: true })
    }
}

impl Counted {
    /// The handshake is done.
    pub(super) fn proven(&mut self) {
        if std::mem::take(&mut self.unproven) {
            self.connections.0.borrow_mut().unproven -= 1;
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.proven();
        let mut counts = self.connections.0.borrow_mut();
        counts.all -= 1;
        if let Some(of_it) = counts.of.get_mut(&self.address) {
            *of_it -= 1;
            if *of_it == 0 {
                counts.of.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: usize) -> IpAddr {
        IpAddr::from(u32::try_from(number).unwrap().to_be_bytes())
    }

    fn place(connections: &Connections, number: usize) -> Counted {
        match connections.admit(address(number), true) {
            Admission::Admitted(place) => place,
            other => panic!("{other:?} for {number}"),
        }
    }

    #[test]
    fn one_more_than_the_limit_is_refused_until_one_leaves() {
        let connections = Connections::default();
        let mut of_one: Vec<Counted> =
            (0..CONNECTIONS_PER_ADDRESS_MAX).map(|_| place(&connections, 1)).collect();
        assert!(matches!(connections.admit(address(1), true), Admission::Refused));
        of_one.pop();
        of_one.push(place(&connections, 1));
        assert!(matches!(connections.admit(address(1), true), Admission::Refused));
        let others = CONNECTIONS_MAX - of_one.len();
        let mut others: Vec<Counted> =
            (0..others).map(|number| place(&connections, 2 + number)).collect();
        assert!(matches!(connections.admit(address(9_999), true), Admission::Refused), "in all");
        others.pop();
        others.push(place(&connections, 9_999));
        drop((of_one, others));
        let counts = connections.0.borrow();
        assert_eq!((counts.all, counts.unproven, counts.of.len()), (0, 0, 0));
    }

    #[test]
    fn many_handshakes_at_once_are_for_those_who_prove_their_address() {
        let connections = Connections::default();
        let mut places: Vec<Counted> =
            (0..UNPROVEN_MAX).map(|number| place(&connections, number)).collect();
        assert!(matches!(connections.admit(address(9_999), false), Admission::Prove));
        places.push(place(&connections, 9_999));
        places[0].proven();
        assert!(
            matches!(connections.admit(address(9_999), false), Admission::Prove),
            "one too many"
        );
        places[1].proven();
        assert!(matches!(connections.admit(address(9_999), false), Admission::Admitted(_)));
    }
}
