//! Where counters are.

use std::collections::BTreeSet;

use filter_common::{
    DropReason, Protocol, Rule, Uninspected,
    counters::{
        Direction, INTERFACES, Ledger, NO_POOL, POOLS, PORTS, PoolCounter, ROW_LENGTH, ROWS, Row,
        Slot, count_unsent,
    },
};

fn all() -> Vec<Slot> {
    let mut slots: Vec<Slot> = (0..INTERFACES).map(Slot::passed).collect();
    slots.extend((0..INTERFACES).map(Slot::unsent));
    slots.extend(Uninspected::ALL.map(Slot::uninspected));
    slots.extend(DropReason::ALL.map(Slot::dropped_by_reason));
    slots.extend(DropReason::ALL.map(Slot::would_drop_by_reason));
    for pool in 0..POOLS {
        let by_rule = Rule::ALL.into_iter().flat_map(|rule| {
            [
                PoolCounter::DroppedPackets(rule),
                PoolCounter::DroppedBytes(rule),
                PoolCounter::WouldDropPackets(rule),
            ]
        });
        let others = [
            PoolCounter::ExemptedInbound,
            PoolCounter::ExemptedSmtpOut,
            PoolCounter::ReturnPackets,
        ];
        let counters = by_rule.chain(others);
        let counters = counters.filter(|counter| counter.occurs(pool != NO_POOL));
        slots.extend(counters.map(|counter| Slot::pool(pool, counter)));
    }
    for port in 0..PORTS {
        for direction in Direction::ALL {
            let protocols = Protocol::ALL.into_iter();
            for protocol in protocols.filter(|protocol| direction.concerns(*protocol)) {
                slots.push(Slot::dropped_by_port(port, direction, protocol));
                slots.push(Slot::would_drop_by_port(port, direction, protocol));
            }
        }
    }
    slots
}

#[test]
fn every_counter_has_a_place_of_its_own() {
    let slots = all();
    let places: BTreeSet<Slot> = slots.iter().copied().collect();
    assert_eq!(places.len(), slots.len());
    assert!(places.iter().all(|place| place.column < ROW_LENGTH));
}

#[test]
fn no_row_is_missing_and_none_is_empty() {
    let rows: BTreeSet<u32> = all().iter().map(|slot| slot.row).collect();
    assert!(rows.into_iter().eq(0..ROWS));
}

/// Counters and no ports.
struct Rows(Vec<Row>);

impl Ledger for Rows {
    fn row(&mut self, number: u32) -> Option<&mut Row> {
        self.0.get_mut(number as usize)
    }
}

/// In rows that have been there since before there were wires.
#[test]
fn what_is_unsent_is_counted_behind_a_port_and_nowhere_else() {
    for interface in 0..INTERFACES {
        let mut rows = Rows(vec![Row::default(); ROWS as usize]);
        count_unsent(interface, &mut rows);
        let place = Slot::unsent(interface);
        let port = Slot::dropped_by_port(interface, Direction::Inbound, Protocol::Tcp);
        assert_eq!(place.row, port.row);
        assert_eq!(rows.0[place.row as usize][place.column], 1);
        assert_eq!(rows.0.iter().flatten().sum::<u64>(), 1);
    }
}
