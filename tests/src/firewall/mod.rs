//! The kernel's own firewall, given the same rules.
//!
//! nftables can say rules 1 to 7, save for the memory of flows. A [`ruleset`] is
//! written for a configuration, and a bridge with that in place of poolguard is
//! shown the same frames. nft finds headers, addresses and ports with code of
//! its own, that of the kernel.
//!
//! It does not see what poolguard sees, and drops nothing for being unreadable.
//! [`sight`] says of each frame whether nft can see enough of it, and if not,
//! why: those frames it has to let past.

pub mod ruleset;
pub mod sight;

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use lab::Namespace;

use crate::wire::{Cables, Side, Wire};

/// A bridge that nft filters on.
pub struct Firewall {
    wire: Wire,
}

impl Firewall {
    /// With these rules.
    pub fn new(ruleset: &str) -> Self {
        let wire = Wire::new();
        load(&wire.appliance.inside, ruleset);
        Self { wire }
    }

    /// Whether a frame comes out at the far side.
    pub fn passes(&mut self, from: Side, frame: &[u8]) -> bool {
        passes(&mut self.wire.cables, from, frame)
    }
}

/// Whether a frame comes out at the far side.
pub fn passes(cables: &mut Cables, from: Side, frame: &[u8]) -> bool {
    cables.send(from, frame);
    let arrived = cables.arrived(from);
    assert!(arrived.len() <= 1, "one frame was sent: {arrived:02x?}");
    !arrived.is_empty()
}

fn load(inside: &Namespace, ruleset: &str) {
    let output = inside.run(|| {
        let mut nft = Command::new("nft")
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("nft: {error}"));
        nft.stdin
            .take()
            .unwrap()
            .write_all(ruleset.as_bytes())
            .unwrap();
        nft.wait_with_output().unwrap()
    });
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}\n{ruleset}");
}
