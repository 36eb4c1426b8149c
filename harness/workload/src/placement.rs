//! Which site each client is at.

/// The clients of a cluster, spread over its sites as evenly as it goes: the first sites have one
/// more than the others. They are numbered from 0, site by site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    clients: usize,
    sites: usize,
}

impl Placement {
    /// So many clients at so many sites.
    ///
    /// # Panics
    /// If there are no clients, or no sites.
    pub const fn new(clients: usize, sites: usize) -> Self {
        assert!(clients > 0 && sites > 0, "a cluster has sites and clients");
        Self { clients, sites }
    }

    /// How many clients there are in all.
    pub const fn clients(self) -> usize {
        self.clients
    }

    /// How many sites have clients: they are the first ones.
    pub const fn sites_with_clients(self) -> usize {
        if self.clients < self.sites { self.clients } else { self.sites }
    }

    /// How many clients there are at each site; none if not as many at each.
    pub const fn per_site(self) -> Option<usize> {
        if self.clients.is_multiple_of(self.sites) { Some(self.clients / self.sites) } else { None }
    }

    /// How many clients there are at `site`.
    pub const fn at(self, site: usize) -> usize {
        self.clients / self.sites + (site < self.one_more()) as usize
    }

    /// The number of the first client at `site`; where there is none, of the first one after it.
    pub const fn first(self, site: usize) -> usize {
        let one_more = self.one_more();
        site * (self.clients / self.sites) + if site < one_more { site } else { one_more }
    }

    /// The site of the client with this number.
    ///
    /// # Panics
    /// If there is no such client.
    pub const fn site_of(self, client: usize) -> usize {
        assert!(client < self.clients, "there are fewer clients");
        let (least, one_more) = (self.clients / self.sites, self.one_more());
        let in_larger = one_more * (least + 1);
        if client < in_larger {
            client / (least + 1)
        } else {
            one_more + (client - in_larger) / least
        }
    }

    /// The share of the clients that is at `site`.
    pub const fn share(self, site: usize) -> f64 {
        self.at(site) as f64 / self.clients as f64
    }

    /// How many sites have one client more than the others.
    const fn one_more(self) -> usize {
        self.clients % self.sites
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that is said of a spread follows from a list of the clients' sites.
    #[test]
    fn clients_are_spread_as_evenly_as_it_goes() {
        for sites in [3, 5, 51] {
            for clients in [1, 2, 3, 4, 5, 16, 48, 51, 52, 153, 816, 1000] {
                let placement = Placement::new(clients, sites);
                let listed: Vec<usize> =
                    (0..sites).flat_map(|site| vec![site; placement.at(site)]).collect();
                assert_eq!(listed.len(), clients, "none is lost: {placement:?}");
                let counts = (0..sites).map(|site| placement.at(site));
                let (least, most) = (counts.clone().min().unwrap(), counts.max().unwrap());
                assert!(most - least <= 1, "{placement:?}");
                assert!((1..sites).all(|site| placement.at(site) <= placement.at(site - 1)));
                for (client, site) in listed.iter().enumerate() {
                    assert_eq!(placement.site_of(client), *site, "{client} of {placement:?}");
                }
                for site in 0..sites {
                    let before = listed.iter().filter(|other| **other < site).count();
                    assert_eq!(placement.first(site), before, "{site} of {placement:?}");
                }
                let with = (0..sites).filter(|site| placement.at(*site) > 0).count();
                assert_eq!(placement.sites_with_clients(), with);
                assert_eq!(placement.per_site(), (least == most).then_some(most));
                let shares: f64 = (0..sites).map(|site| placement.share(site)).sum();
                assert!((shares - 1.0).abs() < 1e-12, "{placement:?}");
            }
        }
        assert_eq!(Placement::new(16, 51).at(15), 1);
        assert_eq!(Placement::new(16, 51).at(16), 0);
    }
}
