//! Two configurations side by side, stretch of addresses by stretch.

use filter_common::Family;
use ipnet::IpNet;

use super::addresses::Range;
use crate::{
    compile::layers::{Layer, layers},
    config::Config,
};

/// Where a layer begins to hold. It does up to the next segment.
struct Segment {
    first: u128,
    layer: Layer,
}

/// Hands `each` every stretch of addresses that is the same throughout in both,
/// in ascending order, IPv4 before IPv6. Stretches that neither mentions are
/// left out.
pub(super) fn side_by_side(old: &Config, new: &Config, mut each: impl FnMut(Range, Layer, Layer)) {
    let [old, new] = [old, new].map(segments);
    for (family, (old, new)) in [Family::V4, Family::V6]
        .into_iter()
        .zip(old.iter().zip(&new))
    {
        merge(family, old, new, &mut each);
    }
}

fn merge(
    family: Family,
    old: &[Segment],
    new: &[Segment],
    each: &mut impl FnMut(Range, Layer, Layer),
) {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    let (mut old_layer, mut new_layer) = (Layer::default(), Layer::default());
    let next = |old: Option<&&Segment>, new: Option<&&Segment>| {
        let starts = [old, new].into_iter().flatten();
        starts.map(|segment| segment.first).min()
    };
    while let Some(first) = next(old.peek(), new.peek()) {
        if let Some(segment) = old.next_if(|segment| segment.first == first) {
            old_layer = segment.layer;
        }
        if let Some(segment) = new.next_if(|segment| segment.first == first) {
            new_layer = segment.layer;
        }
        let last = next(old.peek(), new.peek()).map_or(last_of(family), |next| next - 1);
        if (old_layer, new_layer) != Default::default() && first <= last {
            let range = Range {
                family,
                first,
                last,
            };
            each(range, old_layer, new_layer);
        }
    }
}

fn last_of(family: Family) -> u128 {
    match family {
        Family::V4 => u32::MAX.into(),
        Family::V6 => u128::MAX,
    }
}

/// The segments of IPv4 and of IPv6. What no segment begins before is in no
/// prefix.
fn segments(config: &Config) -> [Vec<Segment>; 2] {
    let mut flat = [Flat::default(), Flat::default()];
    for (prefix, layer) in layers(config) {
        let (family, first, last) = bounds(&prefix);
        flat[family as usize].enter(first, last, layer);
    }
    flat.map(Flat::finish)
}

/// The first and the last address of a prefix.
pub(super) fn bounds(prefix: &IpNet) -> (Family, u128, u128) {
    match prefix {
        IpNet::V4(prefix) => (
            Family::V4,
            prefix.network().to_bits().into(),
            prefix.broadcast().to_bits().into(),
        ),
        IpNet::V6(prefix) => (
            Family::V6,
            prefix.network().to_bits(),
            prefix.broadcast().to_bits(),
        ),
    }
}

/// Nested prefixes becoming segments.
#[derive(Default)]
struct Flat {
    segments: Vec<Segment>,
    /// The last addresses of the prefixes around, from the outermost in.
    nesting: Vec<(u128, Layer)>,
}

impl Flat {
    fn enter(&mut self, first: u128, last: u128, layer: Layer) {
        self.leave_before(Some(first));
        self.nesting.push((last, layer));
        self.begin(first, layer);
    }

    /// Ends the prefixes that end before `first`, or all of them.
    fn leave_before(&mut self, first: Option<u128>) {
        let ended = |&mut (last, _): &mut (u128, Layer)| first.is_none_or(|first| last < first);
        while let Some((last, _)) = self.nesting.pop_if(ended) {
            // After the last address of all nothing begins.
            if let Some(next) = last.checked_add(1) {
                let around = self.nesting.last();
                self.begin(
                    next,
                    around.map_or_else(Layer::default, |(_, layer)| *layer),
                );
            }
        }
    }

    fn begin(&mut self, first: u128, layer: Layer) {
        // Where one prefix ends another one can end or begin as well.
        match self.segments.last_mut() {
            Some(segment) if segment.first == first => segment.layer = layer,
            _ => self.segments.push(Segment { first, layer }),
        }
    }

    fn finish(mut self) -> Vec<Segment> {
        self.leave_before(None);
        self.segments
    }
}
