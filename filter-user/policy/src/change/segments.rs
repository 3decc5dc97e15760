//! Two configurations side by side, stretch of addresses by stretch.

use std::{collections::VecDeque, iter::Peekable};

use filter_common::Family;
use ipnet::IpNet;

use super::addresses::Range;
use crate::{
    compile::layers::{Layer, layers},
    intent::Intent,
};

/// Where a layer begins to hold. It does up to the next segment.
struct Segment {
    family: Family,
    first: u128,
    layer: Layer,
}

/// Hands `each` every stretch of addresses that is the same throughout in both,
/// in ascending order, IPv4 before IPv6. Stretches that neither mentions are
/// left out. Of millions of stretches none is kept.
pub(super) fn side_by_side(old: &Intent, new: &Intent, mut each: impl FnMut(Range, Layer, Layer)) {
    let [mut old, mut new] = [old, new].map(|intent| segments(intent).peekable());
    for family in [Family::V4, Family::V6] {
        merge(family, &mut old, &mut new, &mut each);
    }
}

fn merge(
    family: Family,
    old: &mut Peekable<impl Iterator<Item = Segment>>,
    new: &mut Peekable<impl Iterator<Item = Segment>>,
    each: &mut impl FnMut(Range, Layer, Layer),
) {
    let (mut old_layer, mut new_layer) = (Layer::default(), Layer::default());
    let next = |old: Option<&Segment>, new: Option<&Segment>| {
        let starts = [old, new].into_iter().flatten();
        let starts = starts.filter(|segment| segment.family == family);
        starts.map(|segment| segment.first).min()
    };
    while let Some(first) = next(old.peek(), new.peek()) {
        let begins = |segment: &Segment| segment.family == family && segment.first == first;
        if let Some(segment) = old.next_if(begins) {
            old_layer = segment.layer;
        }
        if let Some(segment) = new.next_if(begins) {
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

/// The segments of a configuration, in ascending order. What no segment begins
/// before is in no prefix.
fn segments(intent: &Intent) -> impl Iterator<Item = Segment> {
    let mut layers = layers(intent);
    let mut flat = Flat::default();
    std::iter::from_fn(move || {
        while !flat.has_ready() {
            match layers.next() {
                Some((prefix, layer)) => flat.enter(&prefix, layer),
                None => {
                    flat.finish();
                    break;
                }
            }
        }
        flat.begun.pop_front()
    })
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
    /// The last one may yet be replaced.
    begun: VecDeque<Segment>,
    /// The last addresses of the prefixes around, from the outermost in.
    nesting: Vec<(Family, u128, Layer)>,
}

impl Flat {
    fn has_ready(&self) -> bool {
        self.begun.len() > 1
    }

    fn enter(&mut self, prefix: &IpNet, layer: Layer) {
        let (family, first, last) = bounds(prefix);
        self.leave(|&mut (around, last, _)| around != family || last < first);
        self.nesting.push((family, last, layer));
        self.begin(family, first, layer);
    }

    fn finish(&mut self) {
        self.leave(|_| true);
    }

    /// Ends the prefixes that have ended.
    fn leave(&mut self, has_ended: impl Fn(&mut (Family, u128, Layer)) -> bool) {
        while let Some((family, last, _)) = self.nesting.pop_if(&has_ended) {
            // After the last address of all nothing begins.
            if let Some(next) = last.checked_add(1) {
                let around = self.nesting.last();
                let layer = around.map_or_else(Layer::default, |(_, _, layer)| *layer);
                self.begin(family, next, layer);
            }
        }
    }

    fn begin(&mut self, family: Family, first: u128, layer: Layer) {
        // Where one prefix ends another one can end or begin as well.
        match self.begun.back_mut() {
            Some(segment) if (segment.family, segment.first) == (family, first) => {
                segment.layer = layer;
            }
            _ => self.begun.push_back(Segment {
                family,
                first,
                layer,
            }),
        }
    }
}
