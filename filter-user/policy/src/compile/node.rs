//! A node of the [prefix table](filter_common::prefix_table) as what it says,
//! and as the lines that say it.

use filter_common::prefix_table::{
    BRANCH_LINES, Kind, LEAF_LINES, LINE_WORDS, Line, NODE_VALUES, NUMBERS, number, sparse,
    sparse_word,
};

/// An entry for each value of a byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node(pub(super) Box<[u32; NODE_VALUES]>);

impl Node {
    /// The same entry throughout.
    pub(super) fn of(entry: u32) -> Self {
        Self(Box::new([entry; NODE_VALUES]))
    }

    /// What an entry stands for: each value's answer, or what the node that it
    /// leads to has. `line` gives the line with a number.
    pub(super) fn read<E>(entry: u32, line: impl Fn(u32) -> Result<Line, E>) -> Result<Self, E> {
        let first = number(entry);
        let mut node = Self::of(first);
        match Kind::of(entry) {
            Kind::Answer => {}
            Kind::Branch => {
                for (number, entries) in (first..).zip(node.0.as_chunks_mut().0) {
                    *entries = line(number)?;
                }
            }
            Kind::Sparse => {
                let words = line(first)?;
                *node.0 = std::array::from_fn(|value| sparse(&words, value as u64));
            }
            Kind::Leaf => {
                let answers = node.0.as_chunks_mut::<{ size_of::<Line>() }>().0;
                for (number, answers) in (first..).zip(answers) {
                    let words = line(number)?;
                    *answers = std::array::from_fn(|place| byte(&words, place));
                }
            }
        }
        Ok(node)
    }

    /// What leads to the node, once `add` has given its lines a place: it says
    /// the number of the first one. A node that says the same throughout needs none.
    pub(super) fn write<E>(&self, add: impl FnOnce(&[Line]) -> Result<u32, E>) -> Result<u32, E> {
        let first = self.0[0];
        if self.0.iter().all(|&entry| entry == first) {
            Ok(first)
        } else if self.0.iter().all(|&entry| entry <= u32::from(u8::MAX)) {
            match self.sparse() {
                Some(line) => add(&[line]).map(|number| Kind::Sparse.entry(number)),
                None => add(&self.leaf()).map(|number| Kind::Leaf.entry(number)),
            }
        } else {
            add(&self.branch()).map(|number| Kind::Branch.entry(number))
        }
    }

    fn branch(&self) -> [Line; BRANCH_LINES] {
        let mut lines = [Line::default(); BRANCH_LINES];
        lines.as_flattened_mut().copy_from_slice(self.0.as_slice());
        lines
    }

    fn leaf(&self) -> [Line; LEAF_LINES] {
        let mut lines = [Line::default(); LEAF_LINES];
        for (value, &answer) in self.0.iter().enumerate() {
            lines.as_flattened_mut()[value / 4] |= answer << (value % 4 * 8);
        }
        lines
    }

    /// The line of a sparse leaf, if all that differ from the rest fit into one.
    fn sparse(&self) -> Option<Line> {
        let rest = self.majority();
        let mut cells = Vec::new();
        for (value, &answer) in self.0.iter().enumerate() {
            if answer == rest {
                continue;
            }
            if cells.len() == MOST_CELLS {
                return None;
            }
            cells.push([value as u8, answer as u8]);
        }
        let rest = rest as u8;
        (1..=u8::MAX).find_map(|factor| sparse_line(factor, rest, &cells))
    }

    /// What more than half of the values have; any of what they have, if there is no
    /// such thing (R. S. Boyer, J S. Moore, "MJRTY: a fast majority vote algorithm",
    /// 1981).
    fn majority(&self) -> u32 {
        let (mut candidate, mut ahead) = (self.0[0], 0_u32);
        for &entry in self.0.iter() {
            if entry == candidate {
                ahead += 1;
            } else if ahead == 0 {
                (candidate, ahead) = (entry, 1);
            } else {
                ahead -= 1;
            }
        }
        candidate
    }
}

/// Nobody looks for a factor for more of them: it would seldom be found, and takes
/// the longer the less there is one.
const MOST_CELLS: usize = 20;
const _: () = assert!(MOST_CELLS < NODE_VALUES / 2);

/// The line of a [sparse leaf](sparse) with this factor, if there is one: `rest` but
/// for these cells.
fn sparse_line(factor: u8, rest: u8, cells: &[[u8; 2]]) -> Option<Line> {
    // Whatever value a free cell has, it says of it what the rest says.
    let mut words = [[[0, rest]; 2]; LINE_WORDS];
    let mut used = [0; LINE_WORDS];
    words[0] = [[factor, rest]; 2];
    used[0] = words[0].len();
    for &cell in cells {
        let word = sparse_word(factor.into(), cell[0].into());
        // From the first one on: a free cell's value may be that of the one before.
        *words[word].get_mut(used[word])? = cell;
        used[word] += 1;
    }
    Some(words.map(|[[a, b], [c, d]]| u32::from_le_bytes([a, b, c, d])))
}

/// Byte number `place` of a line, from each word's lowest on.
fn byte(words: &Line, place: usize) -> u32 {
    words[place / 4] >> (place % 4 * 8) & 0xff
}

const _: () = assert!(BRANCH_LINES * LINE_WORDS == NODE_VALUES && NUMBERS > u8::MAX as u32);

#[cfg(test)]
mod tests {
    use filter_common::{Address, prefix_table::lookup_v4};
    use proptest::prelude::*;

    use super::*;

    /// What is read back, and found by a lookup below 10.0. Gives back what it is.
    fn check(node: &Node) -> Kind {
        let mut lines = vec![Line::default(); 4096];
        let Ok(entry) = node.write(|more| {
            lines.extend(more);
            Ok::<_, std::convert::Infallible>(4096)
        });
        let Ok(read) = Node::read(entry, |number| {
            Ok::<_, std::convert::Infallible>(lines[number as usize])
        });
        assert_eq!(read, *node);
        lines[0x0a00 / LINE_WORDS][0] = entry;
        for (value, &answer) in (0..=u8::MAX).zip(node.0.iter()) {
            let address = Address::from(std::net::IpAddr::from([10, 0, value, 1]));
            let found = lookup_v4(address, |number| lines.get(number as usize));
            assert_eq!(found, answer, "{value} in {:?}", Kind::of(entry));
        }
        Kind::of(entry)
    }

    /// The answer 3, but for these values, which have others.
    fn except(values: impl IntoIterator<Item = u8>) -> Node {
        let mut node = Node::of(3);
        for (value, answer) in values.into_iter().zip(4..) {
            node.0[usize::from(value)] = answer;
        }
        node
    }

    #[test]
    fn a_node_takes_no_more_than_it_has_to() {
        assert_eq!(check(&Node::of(256)), Kind::Answer);
        assert_eq!(check(&except([9])), Kind::Sparse);
        // More than there are cells; and an answer that fits no byte.
        assert_eq!(check(&except(100..131)), Kind::Leaf);
        let mut node = except([9]);
        node.0[255] = 255;
        assert_eq!(check(&node), Kind::Sparse);
        node.0[255] = 256;
        assert_eq!(check(&node), Kind::Branch);
    }

    #[test]
    fn neighbours_fit_into_a_line() {
        for first in 0..=u8::MAX {
            for count in 1..=16 {
                let values = (0..count).map(|value| first.wrapping_add(value));
                assert_eq!(check(&except(values)), Kind::Sparse, "{count} from {first}");
            }
        }
    }

    #[test]
    fn strewn_values_fit_into_a_line() {
        let mut random = 1_u32;
        for count in 1..=16 {
            for _ in 0..100 {
                let values = std::iter::from_fn(|| {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    Some((random >> 24) as u8)
                });
                let node = except(values.take(count));
                assert_eq!(check(&node), Kind::Sparse, "{count} of {:?}", node.0);
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read(
            answers in prop::collection::vec(prop_oneof![9 => 0_u32..3, 1 => 0_u32..256], NODE_VALUES),
            strewn in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut node = Node::of(0);
            node.0.copy_from_slice(&answers);
            prop_assert_eq!(check(&node), Kind::Leaf);
            // Up to forty exceptions: in the one or in the other.
            prop_assert_ne!(check(&except(strewn)), Kind::Branch);
        }
    }
}
