//! Frames that arrive at an interface, as they come: to be dropped, or forwarded.
//!
//! Each subject has a box of its own, a router with two interfaces. The kernel's
//! own generator (`BPF_PROG_TEST_RUN` with live frames) sends into the cable to
//! one of them; what is forwarded comes out at the other end of the other one.
//! All of it happens on one processor, one batch of frames after the other, so
//! that the time of a frame is what it takes to generate it, which is measured by
//! itself, and what it takes to carry and to decide it.

use std::any::Any;

use filter_common::{Family, Role};
use lab::{Namespace, cpu::stay_on_this_cpu};
use poolguard_tests::configs::{CUSTOMERS, Configuration, NETWORK};

use super::{
    cases::{Case, Kind, REMEMBERED},
    customers::{FAMILIES, Layout, configuration},
    netfilter,
    plan::Plan,
    programs::{self, Trie},
    results::{Medians, Row, Way},
    rounds::{median, time},
    router::{index_of, received, route},
    spec::Spec,
    subjects::{Subject, enforce, xdp_filter},
};

/// Those who hash addresses, to whom it is all the same how customers are spread.
/// They have a router for each family, so that no frame meets the other one's rule.
const HASHES: [Subject; 3] = [Subject::NftIngress, Subject::NftForward, Subject::Iptables];

/// So many frames are sent before anything is timed, to see what becomes of them.
const LOOKED_AT: u32 = 3200;

/// A router with a filter, and what is at the ends of its cables.
struct Site {
    subject: Subject,
    /// What it filters for; nothing, if it knows no customers.
    tables: Option<(Layout, u32)>,
    families: &'static [Family],
    router: Namespace,
    network: End,
    customers: End,
    /// With which its program goes, where there is such a thing.
    _program: Option<Box<dyn Any>>,
    /// For each case.
    times: Vec<Vec<f64>>,
}

/// What is at the other end of one of the router's cables.
struct End {
    namespace: Namespace,
    /// The index of its interface.
    cable: u32,
}

impl End {
    /// Joins it to the router's interface.
    fn new(router: &Namespace, interface: &str) -> Self {
        let namespace = Namespace::new();
        router.join(interface, &namespace, "cable");
        // Whoever takes no frames in several buffers takes no large ones.
        router.ip(&format!("link set {interface} mtu 1500"));
        namespace.ip("link set cable mtu 1500");
        // Live frames are taken where there is NAPI, and there is with GRO.
        router.run(|| lab::command("ethtool", &format!("-K {interface} gro on")));
        let cable = index_of(&namespace, "cable");
        Self { namespace, cable }
    }
}

impl Site {
    fn new(
        subject: Subject,
        tables: Option<(Layout, u32)>,
        families: &'static [Family],
        apparatus: &mut programs::Apparatus,
        object: &[u8],
    ) -> Self {
        let router = Namespace::new();
        let network = End::new(&router, NETWORK);
        let customers = End::new(&router, CUSTOMERS);
        route(&router);
        let mut site = Self {
            subject,
            tables,
            families,
            router,
            network,
            customers,
            _program: None,
            times: Vec::new(),
        };
        site.filter(apparatus, object);
        site
    }

    /// Puts the filter in place.
    fn filter(&mut self, apparatus: &mut programs::Apparatus, object: &[u8]) {
        let router = &self.router;
        let (layout, prefixes) = self.tables.unwrap_or((Layout::Dense, 0));
        let family = self.families[0];
        match self.subject {
            Subject::NoFilter => {}
            Subject::Floor => {
                router.run(|| {
                    apparatus.attach_floor(NETWORK);
                    apparatus.attach_floor(CUSTOMERS);
                });
            }
            Subject::Poolguard => {
                let text = configuration(layout, prefixes);
                self._program = Some(Box::new(enforce(router, &Configuration { text })));
            }
            Subject::LpmTrie => {
                let mut trie = Trie::load(object, layout, prefixes);
                router.run(|| trie.attach(NETWORK));
                self._program = Some(Box::new(trie));
            }
            Subject::XdpFilter => {
                let _number = xdp_filter(router, NETWORK);
            }
            Subject::NftIngress => {
                netfilter::nft(router, netfilter::INGRESS, family, layout, prefixes)
            }
            Subject::NftForward => {
                netfilter::nft(router, netfilter::FORWARD, family, layout, prefixes)
            }
            Subject::Iptables => netfilter::iptables(router, family, layout, prefixes),
            Subject::FloorWithoutFrags
            | Subject::OneLoad
            | Subject::Router
            | Subject::RouterWayOutOpen
            | Subject::Bridge
            | Subject::Wire => {
                panic!("{:?} is measured elsewhere", self.subject)
            }
        }
    }

    fn takes(&self, case: &Case) -> bool {
        let takes = match self.subject {
            // What a case's times are compared with.
            Subject::Floor => !case.passes,
            Subject::NoFilter => case.passes,
            _ => self.subject.can_decide(case.kind),
        };
        takes && self.families.contains(&case.family)
    }

    /// Who sends the frames of a case, and who receives them.
    fn ends(&self, case: &Case) -> (&End, &End) {
        match case.role {
            Role::Network | Role::Mixed => (&self.network, &self.customers),
            Role::Customer => (&self.customers, &self.network),
        }
    }

    /// Has `work` done where the frames of a case are sent, once it is said what
    /// varies in them.
    fn at_sender<T: Send>(
        &self,
        case: &Case,
        apparatus: &mut programs::Apparatus,
        work: impl FnOnce(&mut programs::Apparatus) -> T + Send,
    ) -> T {
        let (sender, _) = self.ends(case);
        let (layout, prefixes) = self.tables.unwrap_or(EVERYWHERE);
        apparatus.write(Spec {
            interface: sender.cable,
            ..case.spec(layout, prefixes)
        });
        sender.namespace.run(|| work(apparatus))
    }

    /// Has customers open flows, so that there is return traffic.
    fn open_flows(&self, apparatus: &mut programs::Apparatus) {
        for family in FAMILIES {
            let opening = Case::opening(family);
            // Each of them at least once, as chance will have it.
            self.at_sender(&opening, apparatus, |apparatus| {
                apparatus.send(&opening.frame, 20 * REMEMBERED);
            });
        }
    }

    /// Sends frames and sees whether they come out at the other end, if they should.
    fn look(&self, case: &Case, apparatus: &mut programs::Apparatus) {
        // What is not everyone's exemption is some customers' in a scan.
        if case.kind == Kind::Flood {
            return;
        }
        let (_, receiver) = self.ends(case);
        let before = received(&receiver.namespace);
        self.at_sender(case, apparatus, |apparatus| {
            apparatus.send(&case.frame, LOOKED_AT);
        });
        let arrived = received(&receiver.namespace) - before;
        let wanted = if case.passes { u64::from(LOOKED_AT) } else { 0 };
        // The machine's own packets are frames, too.
        assert!(
            arrived.abs_diff(wanted) < 20,
            "{:?} with {:?}: {:?}, {:?}: {arrived} of {LOOKED_AT} frames came out",
            self.subject,
            self.tables,
            case.kind,
            case.family
        );
    }

    fn measure(
        &mut self,
        number: usize,
        case: &Case,
        plan: &Plan,
        apparatus: &mut programs::Apparatus,
    ) {
        // The time is that of the thread there.
        let each = self.at_sender(case, apparatus, |apparatus| {
            time(plan.live_turn, |frames| apparatus.send(&case.frame, frames))
        });
        self.times[number].push(each);
    }
}

/// The customers that frames are for where nobody asks which ones there are.
const EVERYWHERE: (Layout, u32) = (Layout::Scattered, 1_000_000);

/// Times every subject on the cases that there are live.
pub fn measure(object: &[u8], plan: &Plan) -> Vec<Row> {
    let cases = plan.cases();
    stay_on_this_cpu();
    let mut apparatus = programs::Apparatus::load(object);
    let mut sites = sites(object, plan, &mut apparatus);
    for site in &mut sites {
        site.times = vec![Vec::new(); cases.len()];
        if site.subject == Subject::Poolguard {
            site.open_flows(&mut apparatus);
        }
        for case in cases.iter().filter(|case| site.takes(case)) {
            site.look(case, &mut apparatus);
        }
    }
    let mut generators = vec![Vec::new(); cases.len()];
    for round in 1..=plan.live_rounds {
        eprintln!("live round {round} of {}", plan.live_rounds);
        for (number, case) in cases.iter().enumerate() {
            let (layout, prefixes) = EVERYWHERE;
            apparatus.write(case.spec(layout, prefixes));
            generators[number].push(time(plan.live_turn, |frames| {
                apparatus.send(&case.frame, frames)
            }));
            for site in sites.iter_mut().filter(|site| site.takes(case)) {
                site.measure(number, case, plan, &mut apparatus);
            }
        }
    }
    let numbered = cases.iter().enumerate().zip(&generators);
    numbered
        .flat_map(|((number, case), generator)| rows(number, case, &sites, generator))
        .collect()
}

/// A router for every subject and its customers.
fn sites(object: &[u8], plan: &Plan, apparatus: &mut programs::Apparatus) -> Vec<Site> {
    let mut sites = Vec::new();
    let mut add = |subject, tables, families| {
        sites.push(Site::new(subject, tables, families, apparatus, object));
    };
    for subject in [Subject::Floor, Subject::NoFilter, Subject::XdpFilter] {
        add(subject, None, &FAMILIES);
    }
    for &prefixes in plan.sizes {
        eprintln!("building routers with {prefixes} customers");
        for subject in [Subject::Poolguard, Subject::LpmTrie] {
            for &layout in plan.layouts {
                add(subject, Some((layout, prefixes)), &FAMILIES);
            }
        }
        let layout = plan.layouts[plan.layouts.len() - 1];
        for subject in HASHES {
            for family in FAMILIES.chunks(1) {
                add(subject, Some((layout, prefixes)), family);
            }
        }
    }
    sites
}

/// What came of one case.
fn rows(number: usize, case: &Case, sites: &[Site], generator: &[f64]) -> Vec<Row> {
    let floor = match case.passes {
        true => Subject::NoFilter,
        false => Subject::Floor,
    };
    let floor = sites.iter().find(|site| site.subject == floor).unwrap();
    let floor = &floor.times[number];
    let minus = |one: &[f64], other: &[f64]| -> Vec<f64> {
        one.iter()
            .zip(other)
            .map(|(one, other)| one - other)
            .collect()
    };
    let measured = sites.iter().filter(|site| !site.times[number].is_empty());
    measured
        .map(|site| {
            let times = &site.times[number];
            let medians = Medians {
                total: median(&minus(times, generator)),
                floor: median(&minus(floor, generator)),
                over_floor: median(&minus(times, floor)),
            };
            Row::new(Way::Live, case, site.subject, site.tables, medians)
        })
        .collect()
}
