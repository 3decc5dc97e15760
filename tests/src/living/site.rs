//! What the box does: bridge, and be asked.

use lab::{bridge, get};
use serde_json::Value;

use super::{debian::Debian, story::Packages};
use crate::chaos::{CONFIGURATIONS, Ends, FORBIDDEN, Tally, during, make_bridge};

/// Where the package reads it.
pub(super) const CONFIG: &str = "/etc/poolguard/poolguard.toml";

/// A box that is a bridge, and the frames that go through it.
pub(super) struct Site {
    pub(super) debian: Debian,
    pub(super) packages: Packages,
    /// There while its interfaces are.
    ends: Option<Ends>,
}

impl Site {
    /// A box that is switched off, without interfaces.
    pub(super) fn new(debian: Debian, packages: Packages) -> Self {
        Self {
            debian,
            packages,
            ends: None,
        }
    }

    /// Gives it its two interfaces, and makes a bridge of it.
    pub(super) fn plug_in(&mut self) {
        self.plug_in_only();
        make_bridge(&self.debian.inside);
    }

    /// Gives it its two interfaces, and leaves all else to it.
    pub(super) fn plug_in_only(&mut self) {
        let Debian {
            inside, outside, ..
        } = &self.debian;
        for interface in ["eth0", "eth1"] {
            inside.join(interface, outside, interface);
        }
        self.ends = Some(Ends::new(outside));
    }

    /// Takes away the interfaces and the bridge.
    pub(super) fn unplug(&mut self) {
        self.ends = None;
        for interface in ["br0", "eth0", "eth1"] {
            self.debian.inside.ip(&format!("link delete {interface}"));
        }
    }

    /// The far ends of its cables.
    pub(super) fn ends(&mut self) -> &mut Ends {
        self.ends.as_mut().expect("it is plugged in")
    }

    /// Does something while numbered frames go both ways. Every one of them has to
    /// become what is right; says so.
    pub(super) fn during(&mut self, act: impl FnOnce(&Debian)) -> String {
        let ends = self.ends.as_mut().expect("it is plugged in");
        let ((), tally) = during(ends, || act(&self.debian));
        let Tally {
            permitted,
            forbidden,
            lost,
            leaked,
        } = tally;
        assert_eq!((leaked, lost), (0, 0), "leaked, and lost: {tally:?}");
        format!("of {permitted} permitted frames 0 lost, of {forbidden} forbidden ones 0 leaked")
    }

    /// Does something while no forbidden frame may pass, for want of a way or by the
    /// rules.
    pub(super) fn closed(&mut self, act: impl FnOnce(&mut Debian)) -> String {
        // What one socket sends, another one sees.
        self.ends = None;
        let mut ends = Ends::new(&self.debian.outside).forbidden_alone();
        let ((), tally) = during(&mut ends, || act(&mut self.debian));
        drop(ends);
        self.ends = Some(Ends::new(&self.debian.outside));
        assert_eq!(tally.leaked, 0, "{tally:?}");
        assert!(tally.forbidden > 0, "{tally:?}");
        format!("of {} forbidden frames 0 leaked", tally.forbidden)
    }

    /// Waits until the bridge forwards through both interfaces.
    pub(super) fn until_forwarding(&self) {
        for interface in ["eth0", "eth1"] {
            bridge::until_forwarding(&self.debian.inside, interface);
        }
    }

    /// That each frame becomes what is right.
    pub(super) fn filters(&mut self) -> String {
        assert_eq!(self.programs(), 2, "a program on each interface");
        self.during(|_| ())
    }

    /// That nothing is filtered: so the frames that are dropped are dropped by the
    /// filter.
    pub(super) fn passes_all(&mut self) {
        assert_eq!(self.programs(), 0);
        assert!(self.ends().passes(FORBIDDEN), "nothing filters");
    }

    /// How many XDP programs are attached.
    pub(super) fn programs(&self) -> usize {
        let links = self.debian.inside.ip("-details link show");
        links.matches("prog/xdp").count()
    }

    /// Puts a configuration into place.
    pub(super) fn configure(&self, text: &str) {
        self.debian.write(CONFIG, text);
    }

    /// Puts the right one into place.
    pub(super) fn configure_rightly(&self) {
        self.configure(CONFIGURATIONS[0]);
    }

    /// What the controller says of itself.
    pub(super) fn status(&self) -> Value {
        serde_json::from_str(&self.debian.says("poolguard status --json")).unwrap()
    }

    /// The generation that is in force.
    pub(super) fn generation(&self) -> u64 {
        self.status()["generation"].as_u64().unwrap()
    }

    /// An answer of the controller's.
    pub(super) fn get(&self, path: &str) -> (u16, String) {
        get(&self.debian.inside, path)
    }

    /// The process that systemd runs, as the box numbers it.
    pub(super) fn main_pid(&self) -> u32 {
        let pid = self.debian.property("poolguard", "MainPID");
        let pid = pid.parse().unwrap();
        assert_ne!(pid, 0, "poolguard does not run");
        pid
    }
}
