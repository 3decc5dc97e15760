//! What network cards do to frames before a program sees them, as `ethtool -k`
//! shows it and `ethtool -K` changes it. (The crate `ethtool` only shows.)

use std::{collections::BTreeSet, io};

use crate::netlink::generic::{Attribute, ask_family, find};

/// What does harm to frames that go on without the network stack: taking VLAN tags
/// out of them, which are then lost, and putting several together, which are then
/// too large to send. As the kernel calls it, and as `ethtool -K` does.
pub(super) const HARMFUL: [(&str, &str); 3] = [
    ("rx-vlan-hw-parse", "rxvlan"),
    ("rx-vlan-stag-hw-parse", "rx-vlan-stag-hw-parse"),
    ("rx-lro", "lro"),
];

/// What `ethtool -K` calls a feature.
pub(super) fn word(feature: &str) -> &str {
    let mut known = HARMFUL.iter();
    known
        .find(|(name, _)| *name == feature)
        .map_or(feature, |(_, word)| word)
}

/// The features of a device.
#[derive(Debug, Default)]
pub(super) struct Features {
    active: BTreeSet<String>,
    changeable: BTreeSet<String>,
}

/// The family and what is used of it: `linux/ethtool_netlink.h`.
const FAMILY: &str = "ethtool";
const FEATURES_GET: u8 = 11;
const FEATURES_SET: u8 = 12;
const FEATURES_HEADER: u16 = 1;
const FEATURES_HW: u16 = 2;
const FEATURES_WANTED: u16 = 3;
const FEATURES_ACTIVE: u16 = 4;
const FEATURES_NOCHANGE: u16 = 5;
const HEADER_DEV_INDEX: u16 = 1;
const BITSET_BITS: u16 = 3;
const BITSET_BITS_BIT: u16 = 1;
const BIT_NAME: u16 = 2;
const BIT_VALUE: u16 = 3;

impl Features {
    /// Those of a device; none where the kernel does not know the question.
    pub(super) fn get(index: u32) -> io::Result<Self> {
        let question = vec![device(index)];
        let Some(answer) = ask_family(FAMILY, FEATURES_GET, question)? else {
            return Ok(Self::default());
        };
        let fixed = names(&answer, FEATURES_NOCHANGE)?;
        let mut changeable = names(&answer, FEATURES_HW)?;
        changeable.retain(|name| !fixed.contains(name));
        Ok(Self {
            active: names(&answer, FEATURES_ACTIVE)?,
            changeable,
        })
    }

    /// The harmful ones that are on, each with whether it can be switched off.
    pub(super) fn harmful(&self) -> impl Iterator<Item = (&'static str, bool)> {
        let on = HARMFUL.iter().map(|(name, _)| *name);
        let on = on.filter(|name| self.active.contains(*name));
        on.map(|name| (name, self.changeable.contains(name)))
    }
}

/// Switches features of a device on or off.
pub(super) fn switch<'a>(
    index: u32,
    features: impl IntoIterator<Item = &'a str>,
    is_on: bool,
) -> io::Result<()> {
    let bits: Vec<_> = features
        .into_iter()
        .map(|name| {
            let mut bit = vec![Attribute::text(BIT_NAME, name)];
            bit.extend(is_on.then(|| Attribute::flag(BIT_VALUE)));
            Attribute::nested(BITSET_BITS_BIT, &bit)
        })
        .collect();
    let bitset = [Attribute::nested(BITSET_BITS, &bits)];
    let wish = vec![device(index), Attribute::nested(FEATURES_WANTED, &bitset)];
    ask_family(FAMILY, FEATURES_SET, wish).map(drop)
}

fn device(index: u32) -> Attribute {
    let index = [Attribute::number(HEADER_DEV_INDEX, index)];
    Attribute::nested(FEATURES_HEADER, &index)
}

/// The names in one of the sets of an answer.
fn names(answer: &[Attribute], set: u16) -> io::Result<BTreeSet<String>> {
    let Some(set) = find(answer, set) else {
        return Ok(BTreeSet::new());
    };
    let set = set.inner()?;
    let Some(bits) = find(&set, BITSET_BITS) else {
        return Ok(BTreeSet::new());
    };
    let mut names = BTreeSet::new();
    for bit in bits.inner()? {
        let bit = bit.inner()?;
        names.extend(find(&bit, BIT_NAME).map(Attribute::as_text));
    }
    Ok(names)
}
