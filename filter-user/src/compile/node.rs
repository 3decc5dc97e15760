//! A node of the [prefix table](filter_common::prefix_table) as what it says,
//! and as the lines that say it.

use filter_common::prefix_table::{
    BRANCH_LINES, Kind, LEAF_LINES, LINE_WORDS, Line, NODE_VALUES, NUMBERS, number,
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
            add(&self.leaf()).map(|number| Kind::Leaf.entry(number))
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

    /// What is read back, and found by a lookup below 10.0.
    fn check(node: &Node, kind: Kind) {
        let mut lines = vec![Line::default(); 4096];
        let Ok(entry) = node.write(|more| {
            lines.extend(more);
            Ok::<_, std::convert::Infallible>(4096)
        });
        assert_eq!(Kind::of(entry), kind);
        let Ok(read) = Node::read(entry, |number| {
            Ok::<_, std::convert::Infallible>(lines[number as usize])
        });
        assert_eq!(read, *node);
        lines[0x0a00 / LINE_WORDS][0] = entry;
        for (value, &answer) in (0..=u8::MAX).zip(node.0.iter()) {
            let address = Address::from(std::net::IpAddr::from([10, 0, value, 1]));
            let found = lookup_v4(address, |number| lines.get(number as usize));
            assert_eq!(found, answer, "{value} in {kind:?}");
        }
    }

    #[test]
    fn answers_that_fit_no_byte_are_in_a_branch() {
        let mut node = Node::of(255);
        check(&node, Kind::Answer);
        node.0[9] = 254;
        check(&node, Kind::Leaf);
        node.0[9] = 256;
        check(&node, Kind::Branch);
        check(&Node::of(256), Kind::Answer);
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read(
            answers in prop::collection::vec(prop_oneof![9 => 0_u32..3, 1 => 0_u32..256], NODE_VALUES),
        ) {
            let mut node = Node::of(0);
            node.0.copy_from_slice(&answers);
            check(&node, Kind::Leaf);
        }
    }
}
