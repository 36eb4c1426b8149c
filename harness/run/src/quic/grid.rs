//! Which link leads from where to whom. On the bare loopback all sites share one link to each replica; in an emulated
//! network each site has links of its own, since the way is another from each.

use std::ops::Range;

use protocols::ReplicaId;

/// The order of a list of links: by the site from which they lead, if sites are told apart, then by replica.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    pub(super) replicas: usize,
    rows: usize,
}

impl Grid {
    /// The order of so many links to `replicas` replicas.
    pub(super) const fn new(replicas: usize, links: usize) -> Self {
        Self { replicas, rows: links / replicas }
    }

    pub(super) const fn tells_sites_apart(self) -> bool {
        self.rows > 1
    }

    /// The link from `site` to the replica `to`.
    pub(super) const fn place(self, site: usize, to: ReplicaId) -> usize {
        self.row_of_site(site).start + to.index()
    }

    /// Every link to `replica`.
    pub(super) fn places_of(self, replica: ReplicaId) -> impl Iterator<Item = usize> {
        (0..self.rows).map(move |site| self.place(site, replica))
    }

    /// The replica to which the link at `place` leads.
    pub(super) fn replica(self, place: usize) -> ReplicaId {
        ReplicaId::from_index(place % self.replicas)
    }

    /// Do the clients of `site` use the link at `place`?
    pub(super) const fn is_from(self, place: usize, site: usize) -> bool {
        self.row_of_site(site).start == self.row(place).start
    }

    /// All links from where the one at `place` leads from.
    pub(super) const fn row(self, place: usize) -> Range<usize> {
        let start = place - place % self.replicas;
        start..start + self.replicas
    }

    /// All links from `site`.
    pub(super) const fn row_of_site(self, site: usize) -> Range<usize> {
        self.row((site % self.rows) * self.replicas)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_share_links_or_have_their_own() {
        let (shared, own) = (Grid::new(3, 3), Grid::new(3, 9));
        let (r1, all) = (ReplicaId(1), |grid: Grid| grid.places_of(ReplicaId(1)));
        assert!(!shared.tells_sites_apart() && own.tells_sites_apart());
        assert_eq!((shared.place(2, r1), own.place(2, r1)), (1, 7));
        assert_eq!((all(shared).collect(), all(own).collect()), (vec![1], vec![1, 4, 7]));
        assert_eq!((shared.row_of_site(2), own.row_of_site(2)), (0..3, 6..9));
        assert_eq!((own.replica(7), own.row(7)), (r1, 6..9));
        assert!(shared.is_from(1, 2) && own.is_from(7, 2) && !own.is_from(7, 1));
    }
}
