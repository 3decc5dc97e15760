//! Frames that arrive at an interface, as they come: to be dropped, or forwarded.
//!
//! Each subject has a box of its own, a router with two interfaces. The kernel's
//! own generator (`BPF_PROG_TEST_RUN` with live frames) sends into the cable to
//! the first one; what is forwarded comes out at the other end of the second.
//! All of it happens on one processor, one batch of frames after the other, so
//! that the time of a frame is what it takes to generate it, which is measured by
//! itself, and what it takes to carry and to decide it.

use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

use filter_common::Family;
use filter_user::compile::Slots;
use jiff::Timestamp;

use super::{
    cases::{Case, Kind},
    customers::{Layout, configuration},
    netfilter,
    plan::Plan,
    programs,
    results::{Medians, Row, Way},
    rounds::{median, time},
    spec::Spec,
    subjects::{Subject, xdp_filter},
};
use crate::{
    configs::{CUSTOMERS, Configuration, NETWORK},
    host,
    kernel::{Apparatus, must},
    wire::{Namespace, stay_on_this_cpu},
};

/// The cases: one to be dropped, two to be forwarded.
const KINDS: [Kind; 3] = [Kind::Dropped, Kind::Unwatched, Kind::Exempted];

/// How customers are spread: what is hardest for poolguard, and all the same to
/// whoever hashes.
const LAYOUT: Layout = Layout::Scattered;

/// So many frames are sent before anything is timed, to see what becomes of them.
const LOOKED_AT: u32 = 3200;

/// A router with a filter, and what is at the ends of its cables.
struct Site {
    subject: Subject,
    prefixes: Option<u32>,
    /// Sends.
    network: Namespace,
    /// The index of its interface.
    cable: u32,
    router: Namespace,
    /// Receives.
    customers: Namespace,
    /// Keeps poolguard's program.
    _poolguard: Option<Apparatus>,
    /// For each of [`KINDS`].
    times: [Vec<f64>; KINDS.len()],
}

impl Site {
    fn new(subject: Subject, prefixes: Option<u32>, apparatus: &mut programs::Apparatus) -> Self {
        let (network, router, customers) = (Namespace::new(), Namespace::new(), Namespace::new());
        router.join(NETWORK, &network, "cable");
        router.join(CUSTOMERS, &customers, "cable");
        // Whoever takes no frames in several buffers takes no large ones.
        for (namespace, interface) in [
            (&router, NETWORK),
            (&router, CUSTOMERS),
            (&network, "cable"),
            (&customers, "cable"),
        ] {
            namespace.ip(&format!("link set {interface} mtu 1500"));
        }
        // Live frames are taken where there is NAPI, and there is with GRO.
        router.run(|| crate::wire::command("ethtool", &format!("-K {NETWORK} gro on")));
        route(&router);
        let cable = index_of(&network, "cable");
        let mut site = Self {
            subject,
            prefixes,
            network,
            cable,
            router,
            customers,
            _poolguard: None,
            times: Default::default(),
        };
        site.filter(apparatus);
        site
    }

    /// Puts the filter in place.
    fn filter(&mut self, apparatus: &mut programs::Apparatus) {
        let prefixes = self.prefixes.unwrap_or_default();
        match self.subject {
            Subject::NoFilter => {}
            Subject::Floor => {
                self.router.run(|| apparatus.attach_floor(NETWORK));
            }
            Subject::Poolguard => self._poolguard = Some(poolguard(&self.router, prefixes)),
            Subject::XdpFilter => {
                let _number = xdp_filter(&self.router, NETWORK);
            }
            Subject::NftIngress => {
                netfilter::nft(&self.router, netfilter::INGRESS, LAYOUT, prefixes)
            }
            Subject::NftForward => {
                netfilter::nft(&self.router, netfilter::FORWARD, LAYOUT, prefixes)
            }
            Subject::Iptables => netfilter::iptables(&self.router, LAYOUT, prefixes),
            Subject::FloorWithoutFrags
            | Subject::LpmTrie
            | Subject::Router
            | Subject::Bridge
            | Subject::Wire => {
                panic!("{:?} is measured elsewhere", self.subject)
            }
        }
    }

    fn spec(&self, case: &Case) -> Spec {
        let prefixes = self.prefixes.unwrap_or(1_000_000);
        Spec {
            interface: self.cable,
            ..case.spec(LAYOUT, prefixes)
        }
    }

    /// Sends frames and sees whether they come out at the other end, if they should.
    fn look(&self, case: &Case, apparatus: &mut programs::Apparatus) {
        apparatus.write(self.spec(case));
        let before = received(&self.customers);
        self.network.run(|| apparatus.send(&case.frame, LOOKED_AT));
        let arrived = received(&self.customers) - before;
        let wanted = if case.passes { u64::from(LOOKED_AT) } else { 0 };
        // The machine's own packets are frames, too.
        assert!(
            arrived.abs_diff(wanted) < 20,
            "{:?} with {:?}: {:?}: {arrived} of {LOOKED_AT} frames came out",
            self.subject,
            self.prefixes,
            case.kind
        );
    }

    fn measure(
        &mut self,
        number: usize,
        case: &Case,
        plan: &Plan,
        apparatus: &mut programs::Apparatus,
    ) {
        apparatus.write(self.spec(case));
        let each = self
            .network
            .run(|| time(plan.live_turn, |frames| apparatus.send(&case.frame, frames)));
        self.times[number].push(each);
    }
}

/// Times every subject on the cases that there are live.
pub fn measure(object: &[u8], plan: &Plan) -> Vec<Row> {
    let cases = KINDS.map(|kind| Case::new(kind, Family::V4).unwrap());
    let wanted: Vec<usize> = (0..cases.len())
        .filter(|&n| plan.wants(&cases[n]))
        .collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    stay_on_this_cpu();
    let mut apparatus = programs::Apparatus::load(object);
    let mut sites = Vec::new();
    for subject in [Subject::Floor, Subject::NoFilter, Subject::XdpFilter] {
        sites.push(Site::new(subject, None, &mut apparatus));
    }
    for &prefixes in plan.sizes {
        eprintln!("building routers with {prefixes} customers");
        for subject in [
            Subject::Poolguard,
            Subject::NftIngress,
            Subject::NftForward,
            Subject::Iptables,
        ] {
            sites.push(Site::new(subject, Some(prefixes), &mut apparatus));
        }
    }
    let takes_part = |site: &Site, number: usize| site.subject.takes_live(cases[number].kind);
    for site in &sites {
        for &number in wanted.iter().filter(|&&number| takes_part(site, number)) {
            site.look(&cases[number], &mut apparatus);
        }
    }
    let mut generator = Vec::new();
    for round in 1..=plan.live_rounds {
        eprintln!("live round {round} of {}", plan.live_rounds);
        let case = &cases[0];
        apparatus.write(case.spec(LAYOUT, 1_000_000));
        generator.push(time(plan.live_turn, |frames| {
            apparatus.send(&case.frame, frames)
        }));
        for &number in &wanted {
            for site in &mut sites {
                if takes_part(site, number) {
                    site.measure(number, &cases[number], plan, &mut apparatus);
                }
            }
        }
    }
    rows(&cases, &wanted, &sites, &generator)
}

fn rows(cases: &[Case], wanted: &[usize], sites: &[Site], generator: &[f64]) -> Vec<Row> {
    let mut rows = Vec::new();
    for &number in wanted {
        let floor = if cases[number].passes {
            Subject::NoFilter
        } else {
            Subject::Floor
        };
        let floor = sites.iter().find(|site| site.subject == floor).unwrap();
        let minus = |one: &[f64], other: &[f64]| -> Vec<f64> {
            one.iter()
                .zip(other)
                .map(|(one, other)| one - other)
                .collect()
        };
        for site in sites.iter().filter(|site| !site.times[number].is_empty()) {
            let times = &site.times[number];
            let medians = Medians {
                total: median(&minus(times, generator)),
                floor: median(&minus(&floor.times[number], generator)),
                over_floor: median(&minus(times, &floor.times[number])),
            };
            let tables = site.prefixes.map(|prefixes| (LAYOUT, prefixes));
            rows.push(Row::new(
                Way::Live,
                &cases[number],
                site.subject,
                tables,
                medians,
            ));
        }
    }
    rows
}

/// Has a router send everything for the pool out of its second interface.
pub(super) fn route(router: &Namespace) {
    // The frames are for this address.
    router.ip(&format!("link set {NETWORK} address 02:00:00:00:00:02"));
    router.ip(&format!("address add 192.0.2.1/24 dev {NETWORK}"));
    router.ip(&format!("address add 198.51.100.1/24 dev {CUSTOMERS}"));
    router.ip(&format!(
        "neighbour add 198.51.100.2 lladdr 02:00:00:00:00:03 nud permanent dev {CUSTOMERS}"
    ));
    router.ip("route add 10.0.0.0/8 via 198.51.100.2");
    router.run(|| fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap());
}

/// Has poolguard enforce its configuration on a router.
fn poolguard(router: &Namespace, prefixes: u32) -> Apparatus {
    let configuration = Configuration {
        text: configuration(LAYOUT, prefixes),
    };
    let compiled = host::load(&configuration, Timestamp::now(), &mut Slots::default()).compiled;
    let mut apparatus = Apparatus::open();
    let dataplane = apparatus.dataplane();
    let generation = must(dataplane.load(&compiled));
    must(router.run(|| dataplane.enforce(generation)));
    apparatus
}

pub(super) fn index_of(namespace: &Namespace, interface: &str) -> u32 {
    let json = link(namespace, interface);
    json["ifindex"].as_u64().unwrap() as u32
}

/// How many frames have come out at the far end.
pub(super) fn received(customers: &Namespace) -> u64 {
    link(customers, "cable")["stats64"]["rx"]["packets"]
        .as_u64()
        .unwrap()
}

fn link(namespace: &Namespace, interface: &str) -> serde_json::Value {
    let json = namespace.ip(&format!("-json -statistics link show {interface}"));
    let mut links: serde_json::Value = serde_json::from_str(&json).unwrap();
    links[0].take()
}

/// Runs a program inside and gives it something to read.
pub(super) fn feed(namespace: &Namespace, program: &str, words: &str, text: &str) {
    let mut command = Command::new(program);
    command.args(words.split_whitespace()).stdin(Stdio::piped());
    let status = namespace.run(|| {
        let mut child = command.spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        child.wait().unwrap()
    });
    assert!(status.success(), "{program} {words}: {status}");
}
