//! Everything that is drawn, each from a number of its own.

use std::collections::VecDeque;

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use super::smaller::Draft;
use crate::generate::{Event, Setup, event, setup};

/// So many events are at hand when events are drawn more than once.
const AT_HAND: u64 = 1 << 18;
/// So many of them are others under the next configuration.
const OTHERS: u64 = 2_048;

/// Whether events are drawn for each configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Events {
    /// They are.
    Fresh,
    /// They are taken from many that are at hand: drawing one takes longer than asking all
    /// about what it becomes under a configuration, which is something else under each.
    AtHand,
}

/// Draws configurations and events. What has the same number is the same.
#[derive(Debug)]
pub(super) struct Draw {
    event: BoxedStrategy<Event>,
    events: Events,
    /// Those at hand, from the number of the first one on.
    first: u64,
    at_hand: VecDeque<Event>,
}

impl Draw {
    pub(super) fn new(may_wait: bool, events: Events) -> Self {
        Self {
            event: event(may_wait).boxed(),
            events,
            first: 0,
            at_hand: VecDeque::new(),
        }
    }

    pub(super) fn setup(number: u64) -> Setup {
        setup_tree(number).current()
    }

    /// The events under a configuration.
    pub(super) fn events(&mut self, configuration: u64, count: usize) -> Vec<Event> {
        let numbers = numbers(self.events, configuration).take(count);
        match self.events {
            Events::Fresh => numbers
                .map(|number| event_tree(&self.event, number).current())
                .collect(),
            Events::AtHand => {
                self.move_to(first_at_hand(configuration));
                let at_hand = numbers.map(|number| (number - self.first) as usize);
                at_hand.map(|place| self.at_hand[place].clone()).collect()
            }
        }
    }

    /// The same configuration and events, still in the hands of proptest.
    pub(super) fn draft(&self, configuration: u64, count: usize) -> Draft {
        let numbers = numbers(self.events, configuration).take(count);
        Draft {
            setup: setup_tree(configuration),
            events: numbers
                .map(|number| event_tree(&self.event, number))
                .collect(),
        }
    }

    /// Has those events at hand that have the numbers from `first` on.
    fn move_to(&mut self, first: u64) {
        let stale = first
            .saturating_sub(self.first)
            .min(self.at_hand.len() as u64);
        self.at_hand.drain(..stale as usize);
        self.first = first;
        let missing = first + self.at_hand.len() as u64..first + AT_HAND;
        let drawn = missing.map(|number| event_tree(&self.event, number).current());
        self.at_hand.extend(drawn);
    }
}

/// The numbers of the events under a configuration.
fn numbers(events: Events, configuration: u64) -> impl Iterator<Item = u64> {
    (0_u64..).map(move |place| match events {
        Events::Fresh => mixed(configuration).wrapping_add(place),
        Events::AtHand => {
            first_at_hand(configuration) + mixed(mixed(configuration) ^ place) % AT_HAND
        }
    })
}

/// Successive configurations have most of what is at hand in common.
fn first_at_hand(configuration: u64) -> u64 {
    configuration % (1 << 48) * OTHERS
}

/// A number that has nothing to do with its neighbours' (the finaliser of splitmix64:
/// Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
const fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

fn setup_tree(number: u64) -> Box<dyn ValueTree<Value = Setup>> {
    setup().boxed().new_tree(&mut runner(0, number)).unwrap()
}

fn event_tree(event: &BoxedStrategy<Event>, number: u64) -> Box<dyn ValueTree<Value = Event>> {
    event.new_tree(&mut runner(1, number)).unwrap()
}

fn runner(kind: u64, number: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes[8..16].copy_from_slice(&kind.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, rng)
}
