//! Sums of lists, added up pairwise: leaves 2i and 2i + 1, then pairs of these sums, and so on; what has no partner
//! goes up as it is.
//!
//! The tree's shape, and with it the bits of the sum, depend on the number of leaves alone: not on which thread or
//! which process makes a leaf. A process that has some of the leaves adds up what it can; `parallel` adds up the rest.
//! (And a pairwise sum of n numbers has log n roundings in the worst case, where one after the other has n.)

use rayon::prelude::*;

/// Numbers that a thread adds at least.
const AT_LEAST: usize = 1 << 14;

/// Leaves in order, added up as far as the tree over all of them allows.
#[derive(Default)]
pub struct Tree {
    /// Number of the next leaf.
    next: usize,
    nodes: Vec<Node>,
    /// Lists to write into.
    spare: Vec<Vec<f64>>,
}

/// The sum of the leaves from `index << level` up to the next node's of this level.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub level: u32,
    pub index: usize,
    pub list: Vec<f64>,
}

impl Node {
    /// Takes in the node to the right, which becomes a node of the next level.
    pub fn join(&mut self, right: &[f64]) {
        self.list.par_iter_mut().with_min_len(AT_LEAST).zip(right).for_each(|(left, right)| *left += right);
        self.rise();
    }

    /// Becomes the node above, which has nothing else.
    pub fn rise(&mut self) {
        (self.level, self.index) = (self.level + 1, self.index / 2);
    }

    /// The first of its leaves.
    pub fn first(&self) -> usize {
        self.index << self.level
    }
}

impl Tree {
    /// For leaves from number `first` on.
    pub(crate) fn from(first: usize) -> Self {
        Self { next: first, ..Self::default() }
    }

    /// Adds the next leaf. All are equally long.
    pub fn add(&mut self, leaf: &[f64]) {
        if !self.join_last(leaf) {
            let mut list = self.spare.pop().unwrap_or_default();
            list.clear();
            list.extend_from_slice(leaf);
            self.nodes.push(Node { level: 0, index: self.next, list });
        }
        self.rise();
    }

    /// The same of a leaf that is of no other use.
    fn take_leaf(&mut self, leaf: Vec<f64>) {
        if self.join_last(&leaf) {
            self.spare.push(leaf);
        } else {
            self.nodes.push(Node { level: 0, index: self.next, list: leaf });
        }
        self.rise();
    }

    /// Adds the next leaf to the one before it, if they are a pair.
    fn join_last(&mut self, leaf: &[f64]) -> bool {
        let right = self.next % 2 == 1;
        match self.nodes.last_mut().filter(|left| right && left.level == 0) {
            Some(left) => left.join(leaf),
            None => return false,
        }
        true
    }

    /// Adds up the pairs that there are with the next leaf, which is in place.
    fn rise(&mut self) {
        self.next += 1;
        while let [.., left, right] = &mut self.nodes[..]
            && left.level == right.level
            && right.index == left.index + 1
            && right.index % 2 == 1
        {
            left.join(&right.list);
            self.spare.extend(self.nodes.pop().map(|node| node.list));
        }
    }

    /// For leaves that are counted on from this one's.
    pub(crate) fn fork(&self) -> Self {
        Self::from(self.next)
    }

    /// Takes the leaves of two forks, lists of `left` with those of `right` behind them.
    ///
    /// # Panics
    /// If this has leaves already, or the forks have not equally many.
    pub(crate) fn take(&mut self, left: Self, right: Self) {
        assert!(self.nodes.is_empty() && left.next == right.next, "{} and {} leaves", left.next, right.next);
        let pairs = left.nodes.into_iter().zip(right.nodes);
        self.nodes.extend(pairs.map(|(left, right)| Node { list: [left.list, right.list].concat(), ..left }));
        self.next = left.next;
    }

    /// The sums that were made, left to right: as large as can be.
    pub(crate) fn nodes(self) -> Vec<Node> {
        self.nodes
    }

    /// The sum of all leaves, where these are all that there are: numbered from 0. None if there are none.
    pub(crate) fn root(mut self) -> Option<Vec<f64>> {
        self.take_root()
    }

    /// The same, and the tree is one without leaves again, which keeps its lists to write into.
    fn take_root(&mut self) -> Option<Vec<f64>> {
        self.next = 0;
        let mut root = self.nodes.pop()?;
        while let Some(mut left) = self.nodes.pop() {
            left.join(&root.list);
            self.spare.push(std::mem::replace(&mut root, left).list);
        }
        Some(root.list)
    }

    /// Adds the root to `total`; the tree is one without leaves again, which keeps its lists to write into.
    pub(crate) fn add_root_to(&mut self, total: &mut [f64]) {
        let Some(root) = self.take_root() else { return };
        total.iter_mut().zip(&root).for_each(|(total, sum)| *total += sum);
        self.spare.push(root);
    }
}

/// Leaves of a tree that are sums of some smaller ones each.
pub(crate) struct Grouped<'a> {
    tree: &'a mut Tree,
    group: Tree,
    size: usize,
}

impl<'a> Grouped<'a> {
    /// Of `size` smaller ones each, but for the last.
    pub fn new(tree: &'a mut Tree, size: usize) -> Self {
        let spare = std::mem::take(&mut tree.spare);
        Self { tree, group: Tree { spare, ..Tree::default() }, size }
    }

    /// Adds a smaller one.
    pub fn add(&mut self, part: &[f64]) {
        if self.size == 1 {
            return self.tree.add(part);
        }
        self.group.add(part);
        if self.group.next == self.size {
            self.add_group();
        }
    }

    /// Adds the last leaf, where it is not full.
    pub fn finish(mut self) {
        self.add_group();
        self.tree.spare.append(&mut self.group.spare);
    }

    fn add_group(&mut self) {
        if let Some(leaf) = self.group.take_root() {
            self.tree.take_leaf(leaf);
            self.group.spare.append(&mut self.tree.spare);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the definition, level by level.
    fn by_levels(mut lists: Vec<f64>) -> f64 {
        while lists.len() > 1 {
            lists = lists.chunks(2).map(|pair| pair.iter().copied().reduce(|a, b| a + b).unwrap()).collect();
        }
        lists[0]
    }

    fn leaf(number: usize) -> f64 {
        (number as f64 * 1.7).sin() * 10_f64.powi(number as i32 % 9)
    }

    #[test]
    fn the_root_is_what_pairs_of_pairs_give() {
        for count in 1..70 {
            let mut tree = Tree::default();
            (0..count).for_each(|number| tree.add(&[leaf(number), 1.0]));
            assert!(tree.nodes.len() <= 7);
            let expected = [by_levels((0..count).map(leaf).collect()), count as f64];
            assert_eq!(tree.root().expect("leaves"), expected, "{count} leaves");
        }
        assert!(Tree::default().root().is_none());
    }

    #[test]
    fn trees_are_used_again() {
        let (mut tree, mut totals) = (Tree::default(), [[0.5], [0.5]]);
        for (count, total) in [11, 6].into_iter().zip(&mut totals) {
            let mut grouped = Grouped::new(&mut tree, 2);
            (0..count).for_each(|number| grouped.add(&[leaf(number)]));
            grouped.finish();
            tree.add_root_to(total);
        }
        let expected = [11, 6].map(|count| [0.5 + by_levels((0..count).map(leaf).collect())]);
        assert_eq!(totals, expected);
        let lists = tree.spare.len();
        assert!((1..=4).contains(&lists), "{lists} lists for six leaves");
        tree.add_root_to(&mut totals[0]);
        assert_eq!(totals, expected, "nothing of no leaves");
    }

    #[test]
    fn leaves_may_be_sums_themselves() {
        let mut tree = Tree::default();
        let mut grouped = Grouped::new(&mut tree, 4);
        (0..11).for_each(|number| grouped.add(&[leaf(number)]));
        grouped.finish();
        assert_eq!(tree.next, 3);
        assert_eq!(tree.root().expect("leaves"), [by_levels((0..11).map(leaf).collect())]);
    }

    #[test]
    fn lists_beside_each_other_are_added_as_one() {
        let (mut whole, mut both) = (Tree::from(3), Tree::from(3));
        let (mut left, mut right) = (both.fork(), both.fork());
        for number in 3..10 {
            whole.add(&[leaf(number), leaf(number + 20)]);
            left.add(&[leaf(number)]);
            right.add(&[leaf(number + 20)]);
        }
        both.take(left, right);
        assert_eq!((both.next, &both.nodes), (whole.next, &whole.nodes));
    }

    #[test]
    fn a_part_of_the_leaves_is_added_up_to_nodes_of_the_whole_tree() {
        let mut tree = Tree::from(3);
        (3..13).for_each(|number| tree.add(&[leaf(number)]));
        let found = tree.nodes();
        let places: Vec<_> = found.iter().map(|node| (node.level, node.index)).collect();
        assert_eq!(places, [(0, 3), (2, 1), (2, 2), (0, 12)]);
        assert_eq!(found.iter().map(Node::first).collect::<Vec<_>>(), [3, 4, 8, 12]);
        assert_eq!(found[1].list, [by_levels((4..8).map(leaf).collect())]);
    }
}
