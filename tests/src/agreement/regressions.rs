//! What they once disagreed on.

use self::Event::{Frame, Wait};
use crate::generate::{Scenario, Step, scenario::load};

/// A disagreement of the past.
#[derive(Debug)]
pub struct Regression {
    /// What it was about.
    pub story: &'static str,
    /// The configuration.
    pub config: &'static str,
    /// What happens.
    pub steps: &'static [Event],
}

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// A frame arrives at an interface.
    Frame(&'static str, &'static str),
    /// So many seconds pass.
    Wait(u64),
}

/// All of them.
pub const REGRESSIONS: &[Regression] = &[
    Regression {
        story: "a flow's time counted from the packet before the last",
        config: r#"
[[interface]]
name = "eth0"
role = "customer"
[[interface]]
name = "eth1"
role = "network"
[ports]
return_traffic = "track"
forbidden = [8081]
[mail]
servers = []
[[pool]]
name = "pool-0"
kind = "dynamic"
prefixes = ["2001:db8::/32"]
"#,
        steps: &[
            Frame("eth0", TO_40000),
            Wait(15),
            Frame("eth0", TO_40000),
            Wait(7440),
            Frame("eth1", FROM_40000),
        ],
    },
    Regression {
        story: "a header that is not all there and longer than its datagram",
        config: r#"
[[interface]]
name = "eth0"
role = "customer"
[mail]
servers = []
"#,
        steps: &[
            Frame(
                "eth0",
                "02000000000202000000000108004e00002c0000000040060000c0000200c0000200001900190000",
            ),
            Frame(
                "eth0",
                "02000000000202000000000108004e0000380000000040060000c0000200c0000200001900190000",
            ),
        ],
    },
    Regression {
        story: "mail from nowhere to a pool, counted for no pool",
        config: r#"
[[interface]]
name = "eth0"
role = "customer"
[ports]
forbidden = []
[mail]
servers = []
[[pool]]
name = "pool-0"
kind = "dynamic"
prefixes = ["2001:db8:0:25::/64"]
"#,
        steps: &[Frame("eth0", MAIL)],
    },
];

const TO_40000: &str = concat!(
    "02000000000202000000000186dd600000000018064020010db8000000000000000000000000",
    "20010db80000000000000000000000001f919c4000000000000000005010000000000000",
    "00000000",
);
const FROM_40000: &str = concat!(
    "02000000000202000000000186dd600000000018064020010db8000000000000000000000000",
    "20010db80000000000000000000000009c401f9100000000000000005010000000000000",
    "00000000",
);
const MAIL: &str = concat!(
    "02000000000202000000000186dd600000000018064020010db8ff0000000000000000000000",
    "20010db8000000250000000000000000001900190000000000000000500200000000000000000000",
);

impl Regression {
    /// To be shown to all.
    pub fn scenario(&self) -> Scenario {
        let steps = self.steps.iter().map(|event| match event {
            Event::Wait(seconds) => Step::Wait(*seconds),
            Event::Frame(interface, hex) => Step::Frame {
                interface: (*interface).to_owned(),
                bytes: bytes(hex),
                first: None,
                shapes: vec!["regression"],
            },
        });
        Scenario {
            text: self.config.to_owned(),
            config: load(self.config),
            steps: steps.collect(),
        }
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().map(|c| c.to_digit(16).unwrap()).collect();
    let pairs = digits.chunks_exact(2);
    pairs.map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}
