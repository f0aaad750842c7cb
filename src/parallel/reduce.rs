//! A sum over the leaves of all ranks, in the tree of a single process.

use super::Communicator;
use super::message::{Fault, bytes_of, numbers_of, pack, unpack};
use crate::sums::{Node, Tree};

/// Adds up the leaves of all ranks; the sum is rank 0's, others get none. `firsts` has the number of each rank's first
/// leaf and then how many there are. `own` are this rank's, or what kept it from making them, which is then the
/// outcome.
///
/// A node belongs to the rank that has its first leaf. Level by level, a rank sends its left-most node to the left if
/// that has its partner there, and takes the partner of its right-most one from the right. Messages go to lower ranks
/// alone, so none waits for itself. A rank has a node a level at most to send: log(leaves) lists, or one where shares
/// are subtrees.
pub fn reduce(
    communicator: &dyn Communicator,
    own: Result<Tree, Fault>,
    firsts: &[usize],
) -> Result<Option<Vec<f64>>, Fault> {
    let rank = communicator.rank();
    let (&total, starts) = firsts.split_last().expect("a rank has a first leaf");
    let owner = |leaf: usize| starts.partition_point(|&first| first <= leaf) - 1;
    let mut fault = None;
    let mut nodes = own.map(Tree::nodes).unwrap_or_else(|error| {
        fault = Some(error);
        hollow(firsts[rank]..firsts[rank + 1])
    });
    let mut level = 0;
    while 1_usize << level < total {
        let (here, mut above): (Vec<_>, Vec<_>) = nodes.into_iter().partition(|node| node.level == level);
        let mut here = here.into_iter().peekable();
        if let Some(node) = here.next_if(|node| node.index % 2 == 1) {
            let message = match &fault {
                Some(fault) => [&[1], &pack(fault)[..]].concat(),
                None => [&[0], &bytes_of(&node.list)[..]].concat(),
            };
            communicator.send(owner((node.index - 1) << level), &message);
        }
        while let Some(mut node) = here.next() {
            let partner = (node.index + 1) << level;
            if let Some(right) = here.next_if(|right| right.first() == partner) {
                node.join(&right.list);
            } else if partner < total {
                let message = communicator.receive(owner(partner));
                match message[0] {
                    0 if fault.is_none() => node.join(&numbers_of(&message[1..])),
                    0 => node.rise(),
                    _ => {
                        fault.get_or_insert_with(|| unpack(&message[1..]));
                        node.rise();
                    }
                }
            } else {
                node.rise();
            }
            above.push(node);
        }
        above.sort_by_key(Node::first);
        nodes = above;
        level += 1;
    }
    match fault {
        Some(fault) => Err(fault),
        None => Ok(nodes.pop().map(|root| root.list)),
    }
}

/// Nodes without numbers.
fn hollow(leaves: std::ops::Range<usize>) -> Vec<Node> {
    let mut tree = Tree::from(leaves.start);
    leaves.for_each(|_| tree.add(&[]));
    tree.nodes()
}
