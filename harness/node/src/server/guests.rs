//! How many connections there are, from where: who comes when there are enough is refused, before any handshake.

use std::{cell::RefCell, net::IpAddr, rc::Rc};

use rustc_hash::FxHashMap;

use crate::limits::{CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX, UNPROVEN_MAX};

/// The connections that there are. Cloning shares.
#[derive(Clone, Debug, Default)]
pub(super) struct Guests(Rc<RefCell<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    of: FxHashMap<IpAddr, usize>,
    all: usize,
    unproven: usize,
}

/// A connection's place among them, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    guests: Guests,
    address: IpAddr,
    unproven: bool,
}

/// What is to be done with somebody who comes.
#[derive(Debug)]
pub(super) enum Admission {
    /// Serve it.
    Admitted(Place),
    /// Let it show that the address is its own, and come again.
    Prove,
    /// Send it away.
    Refused,
}

impl Guests {
    /// Somebody comes from `address`, and has shown, or not, that it is its own.
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
        Admission::Admitted(Place { guests: self.clone(), address, unproven: true })
    }
}

impl Place {
    /// The handshake is done.
    pub(super) fn proven(&mut self) {
        if std::mem::take(&mut self.unproven) {
            self.guests.0.borrow_mut().unproven -= 1;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.proven();
        let mut counts = self.guests.0.borrow_mut();
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

    fn place(guests: &Guests, number: usize) -> Place {
        match guests.admit(address(number), true) {
            Admission::Admitted(place) => place,
            other => panic!("{other:?} for {number}"),
        }
    }

    #[test]
    fn one_more_than_the_limit_is_refused_until_one_leaves() {
        let guests = Guests::default();
        let mut of_one: Vec<Place> =
            (0..CONNECTIONS_PER_ADDRESS_MAX).map(|_| place(&guests, 1)).collect();
        assert!(matches!(guests.admit(address(1), true), Admission::Refused));
        of_one.pop();
        of_one.push(place(&guests, 1));
        assert!(matches!(guests.admit(address(1), true), Admission::Refused));
        let others = CONNECTIONS_MAX - of_one.len();
        let mut others: Vec<Place> = (0..others).map(|number| place(&guests, 2 + number)).collect();
        assert!(matches!(guests.admit(address(9_999), true), Admission::Refused), "in all");
        others.pop();
        others.push(place(&guests, 9_999));
        drop((of_one, others));
        let counts = guests.0.borrow();
        assert_eq!((counts.all, counts.unproven, counts.of.len()), (0, 0, 0));
    }

    #[test]
    fn many_handshakes_at_once_are_for_those_who_prove_their_address() {
        let guests = Guests::default();
        let mut places: Vec<Place> =
            (0..UNPROVEN_MAX).map(|number| place(&guests, number)).collect();
        assert!(matches!(guests.admit(address(9_999), false), Admission::Prove));
        places.push(place(&guests, 9_999));
        places[0].proven();
        assert!(matches!(guests.admit(address(9_999), false), Admission::Prove), "one too many");
        places[1].proven();
        assert!(matches!(guests.admit(address(9_999), false), Admission::Admitted(_)));
    }
}
