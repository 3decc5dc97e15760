//! The reader of configurations: any text.
//!
//! It comes to a configuration or to a report with a mistake in it, never to a
//! panic, and whatever is reported can be printed. What is valid is compiled, and
//! then the decision function and the oracle must agree on who has which address.
//!
//! The bytes are the main file and, behind a zero, one that it may include.

use std::{net::IpAddr, path::Path, sync::Arc};

use ipnet::IpNet;
use policy::{
    compile::compile,
    config::{self, Config, Memory, Report},
};

use crate::{
    agreement::{Census, Trial, Witnesses},
    generate::{Scenario, Step, place::next, setup::NOW},
};

/// Fails where it does not come to either.
pub fn run(data: &[u8]) {
    let (main, included) = match data.iter().position(|byte| *byte == 0) {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, &b""[..]),
    };
    let files = Memory::default()
        .with("dir/poolguard.toml", main)
        .with("dir/customers.d/any.toml", included);
    let now = NOW.parse().unwrap();
    match config::load_from(&files, Path::new("dir/poolguard.toml"), now) {
        Err(report) => {
            assert!(report.errors() > 0, "refused for no mistake");
            print(&report);
        }
        Ok(loaded) => {
            assert_eq!(loaded.warnings.errors(), 0, "accepted with a mistake");
            print(&loaded.warnings);
            match compile(&Arc::clone(&loaded.config).into(), now) {
                Ok(_) => agree(&loaded.config),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
    }
}

/// In every form in which it is printed.
pub(super) fn print(report: &Report) {
    for color in [false, true] {
        assert_eq!(report.render(color).is_empty(), report.is_empty());
    }
    for diagnostic in report.diagnostics() {
        assert!(!diagnostic.to_string().is_empty());
    }
    serde_json::to_string(report.diagnostics()).unwrap();
}

/// So many prefixes are looked at: more take long and show nothing new.
const PREFIXES: usize = 32;

/// A frame to each end of each prefix and to the addresses beside it, for each
/// port that is named, from outside and from customers.
fn agree(config: &Config) {
    let pools = config.pools.iter().flat_map(|pool| &pool.prefixes);
    let customers = config.customers.iter().flat_map(|c| &c.prefixes);
    let prefixes = pools.chain(customers).chain(&config.mail.servers);
    let addresses: Vec<IpAddr> = prefixes.take(PREFIXES).flat_map(edges).collect();
    let forbidden = config.ports.forbidden.iter().map(|spec| spec.ports.first());
    let port = forbidden.chain(config.mail.ports.iter().copied()).next();
    let mut steps = Vec::new();
    for interface in &config.interfaces {
        steps.extend(addresses.iter().map(|address| Step::Frame {
            interface: interface.name.clone(),
            bytes: syn(*address, port.unwrap_or(25)),
            first: None,
            shapes: Vec::new(),
        }));
    }
    let scenario = Scenario {
        text: String::new(),
        config: config.clone(),
        steps,
    };
    let mut trial = Trial::new(config, Witnesses::Host);
    if let Err(disagreement) = trial.run(&scenario, &mut Census::default()) {
        panic!("{disagreement}\nunder {config:#?}");
    }
}

fn edges(prefix: &IpNet) -> [IpAddr; 4] {
    let (first, last) = (prefix.network(), prefix.broadcast());
    [next(first, u128::MAX), first, last, next(last, 1)]
}

/// From an address to itself, so that both ends are looked up.
fn syn(address: IpAddr, port: u16) -> Vec<u8> {
    let mut frame = vec![2; 12];
    match address {
        IpAddr::V4(address) => {
            frame.extend([8, 0, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0]);
            frame.extend([address.octets(), address.octets()].as_flattened());
        }
        IpAddr::V6(address) => {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 20, 6, 64]);
            frame.extend([address.octets(), address.octets()].as_flattened());
        }
    }
    frame.extend([0x9c, 0x40]);
    frame.extend(port.to_be_bytes());
    frame.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0]);
    frame
}
