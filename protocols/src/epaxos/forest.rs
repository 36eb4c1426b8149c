//! Which components of the execution graph wait for which, found out step by step and never anew.
//!
//! A *component* is a set of instances that are known to depend on each other, so that they will be
//! executed as one. At first each instance is one alone. A component waits for one thing at a time:
//! for an instance of another component, or for something outside the forest. So the components
//! with what they wait for are trees. A component that would wait for one of its own tree, below
//! itself, closes a cycle: all on the way become one component, which goes on.
//!
//! # Cost
//!
//! The root of a tree is asked for at each wait. The trees are kept as link-cut trees, whose
//! operations take O(log n) amortised for n instances (Sleator, Tarjan, "A data structure for
//! dynamic trees", JCSS 1983, §5; splay trees as in their "Self-adjusting binary search trees",
//! JACM 1985). The members of components are joined by path compression, O(log n) amortised as
//! well. So instances with m edges between them cost O((n + m) log n), in whatever order they come,
//! since an edge is asked about once.

/// An instance in the forest.
pub(super) type Cell = u32;

const NONE: Cell = Cell::MAX;

/// The components and what they wait for.
#[derive(Clone, Debug, Default)]
pub(super) struct Forest {
    cells: Vec<Entry>,
    /// Cells that are free.
    spare: Vec<Cell>,
    /// How many rotations and hops were made.
    hops: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    /// The splay tree of the link-cut tree: the parent there, or the cell that the head of this
    /// path waits for.
    up: Cell,
    left: Cell,
    right: Cell,
    /// Towards the cell that names the component.
    leader: Cell,
    /// The next member of the component.
    next: Cell,
    /// The next member of the component that has edges left.
    next_open: Cell,
    /// The cells that wait for this one. Each is the top of its component.
    waiters: Vec<Cell>,
    /// What follows is used in leaders alone. The last member.
    last: Cell,
    /// The first and the last member that have edges left.
    open: Cell,
    last_open: Cell,
    /// The cell that the component waits for.
    waits_for: Cell,
    /// The member that is linked to what the component waits for: all others are below it.
    top: Cell,
}

impl Entry {
    fn alone(cell: Cell, waiters: Vec<Cell>) -> Self {
        Self {
            up: NONE,
            left: NONE,
            right: NONE,
            leader: cell,
            next: NONE,
            next_open: NONE,
            waiters,
            last: cell,
            open: cell,
            last_open: cell,
            waits_for: NONE,
            top: cell,
        }
    }
}

impl Forest {
    /// A new component of one instance, which has edges to follow.
    pub(super) fn enter(&mut self) -> Cell {
        if let Some(cell) = self.spare.pop() {
            let waiters = std::mem::take(&mut self.at(cell).waiters);
            *self.at(cell) = Entry::alone(cell, waiters);
            return cell;
        }
        let cell = Cell::try_from(self.cells.len()).expect("memory holds fewer instances");
        self.cells.push(Entry::alone(cell, Vec::new()));
        cell
    }

    /// The component of `cell`, by the name that it has until it is united with another.
    pub(super) fn component(&mut self, cell: Cell) -> Cell {
        let mut at = cell;
        while self.cells[at as usize].leader != at {
            let above = self.cells[self.cells[at as usize].leader as usize].leader;
            self.at(at).leader = above;
            at = above;
            self.hops += 1;
        }
        at
    }

    /// A member of `component` that has edges left, as far as [`Forest::close`] was not told
    /// otherwise.
    pub(super) fn open(&self, component: Cell) -> Option<Cell> {
        let open = self.cells[component as usize].open;
        (open != NONE).then_some(open)
    }

    /// What [`Forest::open`] says has no edges left.
    pub(super) fn close(&mut self, component: Cell) {
        let open = self.cells[component as usize].open;
        let next = self.cells[open as usize].next_open;
        self.at(component).open = next;
    }

    /// Lets `component`, which waits for nothing, wait for `cell`. If `cell` is in the component or
    /// waits for it, directly or through others, then that is a cycle: all on the way are united
    /// with `component`, which then does not wait. Says whether it waits.
    pub(super) fn wait(&mut self, component: Cell, cell: Cell) -> bool {
        let other = self.component(cell);
        if other == component {
            return false;
        }
        let top = self.cells[component as usize].top;
        if self.root(cell) == top {
            let mut other = other;
            while other != component {
                let next = self.cells[other as usize].waits_for;
                self.unite(component, other);
                other = self.component(next);
            }
            return false;
        }
        self.link(top, cell);
        self.at(component).waits_for = cell;
        self.at(cell).waiters.push(top);
        true
    }

    /// Makes the members of `other` members of `component`.
    fn unite(&mut self, component: Cell, other: Cell) {
        let Entry { last, open, last_open, .. } = self.cells[other as usize];
        self.at(other).leader = component;
        let end = self.cells[component as usize].last;
        self.at(end).next = other;
        self.at(component).last = last;
        if open != NONE {
            if self.cells[component as usize].open == NONE {
                self.at(component).open = open;
            } else {
                let end = self.cells[component as usize].last_open;
                self.at(end).next_open = open;
            }
            self.at(component).last_open = last_open;
        }
    }

    /// Takes `component`, which waits for nothing, out of the forest. Appends its cells to
    /// `members` and the components that waited for it to `woken`. The cells are free from now on.
    pub(super) fn dissolve(
        &mut self,
        component: Cell,
        members: &mut Vec<Cell>,
        woken: &mut impl Extend<Cell>,
    ) {
        let first = members.len();
        let mut member = component;
        while member != NONE {
            members.push(member);
            let mut waiters = std::mem::take(&mut self.at(member).waiters);
            for top in waiters.drain(..) {
                self.cut(top);
                let waiting = self.component(top);
                if waiting != component {
                    woken.extend([waiting]);
                }
            }
            self.at(member).waiters = waiters;
            member = self.cells[member as usize].next;
        }
        self.spare.extend_from_slice(&members[first..]);
    }

    /// How many rotations and hops were made so far.
    pub(super) fn hops(&self) -> u64 {
        self.hops
    }

    fn at(&mut self, cell: Cell) -> &mut Entry {
        &mut self.cells[cell as usize]
    }

    /// The cell at the end of what `cell` waits for.
    fn root(&mut self, cell: Cell) -> Cell {
        self.access(cell);
        let mut root = cell;
        while self.cells[root as usize].left != NONE {
            root = self.cells[root as usize].left;
            self.hops += 1;
        }
        self.splay(root);
        root
    }

    /// Hangs the root `cell` below `parent`, which is in another tree.
    fn link(&mut self, cell: Cell, parent: Cell) {
        self.access(cell);
        self.at(cell).up = parent;
    }

    /// Makes `cell`, which is no root, one.
    fn cut(&mut self, cell: Cell) {
        self.access(cell);
        let above = std::mem::replace(&mut self.at(cell).left, NONE);
        self.at(above).up = NONE;
    }

    /// Makes the way from the root to `cell` one splay tree, with `cell` at its root.
    fn access(&mut self, cell: Cell) {
        let (mut below, mut at) = (NONE, cell);
        while at != NONE {
            self.splay(at);
            self.at(at).right = below;
            below = at;
            at = self.cells[at as usize].up;
            self.hops += 1;
        }
        self.splay(cell);
    }

    fn splay(&mut self, cell: Cell) {
        while let Some(parent) = self.parent(cell) {
            if let Some(grandparent) = self.parent(parent) {
                let zig_zig = self.is_left(cell, parent) == self.is_left(parent, grandparent);
                self.rotate(if zig_zig { parent } else { cell });
            }
            self.rotate(cell);
        }
    }

    /// The parent within the splay tree.
    fn parent(&self, cell: Cell) -> Option<Cell> {
        let up = self.cells[cell as usize].up;
        let entry = self.cells.get(up as usize)?;
        (entry.left == cell || entry.right == cell).then_some(up)
    }

    fn is_left(&self, cell: Cell, parent: Cell) -> bool {
        self.cells[parent as usize].left == cell
    }

    /// Puts `cell` in the place of its parent in the splay tree.
    fn rotate(&mut self, cell: Cell) {
        self.hops += 1;
        let parent = self.cells[cell as usize].up;
        let above = self.cells[parent as usize].up;
        if let Some(grandparent) = self.parent(parent) {
            let left = self.is_left(parent, grandparent);
            let entry = self.at(grandparent);
            *(if left { &mut entry.left } else { &mut entry.right }) = cell;
        }
        let moved = if self.is_left(cell, parent) {
            let moved = std::mem::replace(&mut self.at(cell).right, parent);
            self.at(parent).left = moved;
            moved
        } else {
            let moved = std::mem::replace(&mut self.at(cell).left, parent);
            self.at(parent).right = moved;
            moved
        };
        if moved != NONE {
            self.at(moved).up = parent;
        }
        self.at(parent).up = cell;
        self.at(cell).up = above;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// The same with plain sets: each component by its members, and what it waits for.
    #[derive(Default)]
    struct Plain {
        components: Vec<(BTreeSet<Cell>, Option<Cell>)>,
    }

    impl Plain {
        fn of(&self, cell: Cell) -> usize {
            self.components.iter().position(|(members, _)| members.contains(&cell)).unwrap()
        }

        fn wait(&mut self, component: usize, cell: Cell) -> bool {
            let (mut way, mut at) = (vec![], self.of(cell));
            while at != component {
                way.push(at);
                let Some(next) = self.components[at].1 else {
                    self.components[component].1 = Some(cell);
                    return true;
                };
                at = self.of(next);
            }
            for other in way {
                let members = std::mem::take(&mut self.components[other].0);
                self.components[component].0.extend(members);
                self.components[other].1 = None;
            }
            false
        }
    }

    /// Against plain sets, over many random graphs: what waits, what is united, what is woken.
    #[test]
    fn it_is_a_forest_of_components() {
        let mut state = 1u64;
        let mut draw = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(state >> 33).unwrap() % below
        };
        let (mut largest, mut woken_in_all) = (0, 0);
        for _ in 0..300 {
            let (mut forest, mut plain) = (Forest::default(), Plain::default());
            let mut living: Vec<Cell> = Vec::new();
            for _ in 0..120 {
                if living.len() < 3 || draw(3) == 0 {
                    let cell = forest.enter();
                    assert!(!living.contains(&cell));
                    living.push(cell);
                    plain.components.push((BTreeSet::from([cell]), None));
                }
                let component = forest.component(living[draw(living.len())]);
                let same = plain.of(component);
                if plain.components[same].1.is_some() {
                    continue;
                }
                if draw(8) > 0 {
                    let cell = living[draw(living.len())];
                    assert_eq!(forest.wait(component, cell), plain.wait(same, cell));
                    let members: BTreeSet<_> = living.iter().copied().collect();
                    let united = members.into_iter().filter(|c| forest.component(*c) == component);
                    assert_eq!(united.collect::<BTreeSet<_>>(), plain.components[same].0);
                    continue;
                }
                let (mut members, mut woken) = (Vec::new(), Vec::new());
                forest.dissolve(component, &mut members, &mut woken);
                let expected = std::mem::take(&mut plain.components[same].0);
                largest = largest.max(expected.len());
                assert_eq!(members.iter().copied().collect::<BTreeSet<_>>(), expected);
                living.retain(|cell| !expected.contains(cell));
                let mut expected_woken = BTreeMap::new();
                for (place, (_, waits_for)) in plain.components.iter_mut().enumerate() {
                    if waits_for.is_some_and(|cell| expected.contains(&cell)) {
                        *waits_for = None;
                        expected_woken.insert(place, ());
                    }
                }
                woken_in_all += woken.len();
                let woken: BTreeMap<_, _> =
                    woken.into_iter().map(|cell| (plain.of(cell), ())).collect();
                assert_eq!(woken, expected_woken);
            }
        }
        assert!(largest > 5 && woken_in_all > 100, "{largest} {woken_in_all}");
    }

    /// A cell that is woken and waits again at a deep tree costs the logarithm of its depth.
    #[test]
    fn a_deep_tree_is_not_walked() {
        let hops_of = |length: u32| {
            let mut forest = Forest::default();
            let first = forest.enter();
            let mut last = first;
            for _ in 1..length {
                let cell = forest.enter();
                assert!(forest.wait(cell, last));
                last = cell;
            }
            // The root executes, the next one is the root, and one more hangs below the last.
            let mut root = first;
            let before = forest.hops();
            for _ in 0..length / 2 {
                let (mut members, mut woken) = (Vec::new(), Vec::new());
                forest.dissolve(root, &mut members, &mut woken);
                root = woken[0];
                let cell = forest.enter();
                assert!(forest.wait(cell, last));
                last = cell;
            }
            forest.hops() - before
        };
        let (short, long) = (hops_of(1_000), hops_of(16_000));
        assert!(long < 16 * short * 2, "{short} {long}");
    }
}
