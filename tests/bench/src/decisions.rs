//! Programs alone, through `BPF_PROG_TEST_RUN`.

use aya::programs::ProgramFd;
use lab::Namespace;
use poolguard_tests::{configs::NETWORK, kernel};

use super::{
    cases::{Case, Kind, REMEMBERED},
    customers::{FAMILIES, Layout},
    plan::Plan,
    programs::{self, Buffers, by_number},
    results::{Medians, Row, Way},
    rounds::{median, time},
    subjects::{Subject, Tables, xdp_filter},
};

/// `XDP_DROP` of `enum xdp_action`.
const XDP_DROP: u32 = 1;
/// `XDP_PASS` of `enum xdp_action`.
const XDP_PASS: u32 = 2;

/// So many frames are looked at one by one before anything is timed.
const LOOKED_AT: u32 = 200;

/// A subject on a case.
struct Contest {
    case: usize,
    subject: Subject,
    tables: Option<(Layout, u32)>,
    program: ProgramFd,
    times: Vec<f64>,
}

/// Times every subject on every case with each of these numbers of customers.
pub fn measure(object: &[u8], plan: &Plan) -> Vec<Row> {
    let cases = plan.cases();
    let mut poolguards = kernel::Apparatus::open();
    let mut tables = Vec::new();
    for &layout in plan.layouts_of_drops {
        for &prefixes in plan.sizes {
            eprintln!("loading {prefixes} customers, {}", layout.name());
            tables.push(Tables::load(&mut poolguards, object, layout, prefixes));
        }
    }
    let (inside, outside) = (Namespace::new(), Namespace::new());
    inside.join(NETWORK, &outside, "far");
    // xdp-filter takes no frames in several buffers.
    inside.ip(&format!("link set {NETWORK} mtu 1500"));
    outside.ip("link set far mtu 1500");
    let filter = xdp_filter(&inside, NETWORK);
    let mut apparatus = programs::Apparatus::load(object);
    let mut contests = contests(plan, &cases, &mut apparatus, &mut tables, filter);
    open_flows(&mut apparatus, &mut tables);
    for contest in &contests {
        look(&mut apparatus, &cases[contest.case], contest);
    }
    for round in 1..=plan.decision_rounds {
        eprintln!("round {round} of {}", plan.decision_rounds);
        for contest in &mut contests {
            let case = &cases[contest.case];
            let buffers = prepare(&mut apparatus, case, contest);
            let nanoseconds = time(plan.turn, |frames| {
                apparatus.run(buffers, &case.frame, frames);
            });
            contest.times.push(nanoseconds);
        }
    }
    rows(&cases, &contests)
}

/// Who competes, in the order of their turns: whoever has tables decides all cases
/// before they are anybody else's caches.
fn contests(
    plan: &Plan,
    cases: &[Case],
    apparatus: &mut programs::Apparatus,
    tables: &mut [Tables],
    xdp_filter: u32,
) -> Vec<Contest> {
    let mut contests = Vec::new();
    let is_wanted = |tables: Option<(Layout, u32)>, kind| {
        kind == Kind::Dropped || tables.is_none_or(|(layout, _)| plan.layouts.contains(&layout))
    };
    let mut add = |subject: Subject, tables, program: &mut dyn FnMut(&Case) -> u32| {
        for (number, case) in cases.iter().enumerate() {
            if subject.can_decide(case.kind) && is_wanted(tables, case.kind) {
                contests.push(Contest {
                    case: number,
                    subject,
                    tables,
                    program: by_number(program(case)),
                    times: Vec::new(),
                });
            }
        }
    };
    add(Subject::Floor, None, &mut |_| {
        apparatus.floor(Buffers::Several)
    });
    add(Subject::FloorWithoutFrags, None, &mut |_| {
        apparatus.floor(Buffers::One)
    });
    add(Subject::XdpFilter, None, &mut |_| xdp_filter);
    for tables in tables {
        let with = Some((tables.layout, tables.prefixes));
        add(Subject::Poolguard, with, &mut |case| tables.poolguard(case));
        add(Subject::LpmTrie, with, &mut |_| tables.trie());
        add(Subject::OneLoad, with, &mut |_| apparatus.one_load());
    }
    contests
}

fn prepare(apparatus: &mut programs::Apparatus, case: &Case, contest: &Contest) -> Buffers {
    let most = (Layout::Scattered, 1_000_000);
    let (layout, prefixes) = contest.tables.unwrap_or(most);
    apparatus.write(case.spec(layout, prefixes));
    apparatus.examine(&contest.program)
}

/// Has customers open flows, so that there is return traffic.
fn open_flows(apparatus: &mut programs::Apparatus, tables: &mut [Tables]) {
    for family in FAMILIES {
        let case = Case::opening(family);
        for tables in &mut *tables {
            let buffers = apparatus.examine(&by_number(tables.poolguard(&case)));
            apparatus.write(case.spec(tables.layout, tables.prefixes));
            // Each of them at least once, as chance will have it.
            let verdict = apparatus.run(buffers, &case.frame, 20 * REMEMBERED);
            assert_eq!(
                verdict, XDP_PASS,
                "{family:?}: a customer opens a connection"
            );
        }
    }
}

/// Whether the subject decides as it should.
fn look(apparatus: &mut programs::Apparatus, case: &Case, contest: &Contest) {
    let passes = case.passes && contest.subject != contest.subject.floor();
    // What is not everyone's exemption is some customers' in a scan.
    if case.kind == Kind::Flood {
        return;
    }
    let buffers = prepare(apparatus, case, contest);
    for _ in 0..LOOKED_AT {
        let verdict = apparatus.run(buffers, &case.frame, 1);
        let wanted = if passes { XDP_PASS } else { XDP_DROP };
        let Contest {
            subject, tables, ..
        } = contest;
        assert_eq!(
            verdict, wanted,
            "{subject:?} with {tables:?}: {:?} {:?}",
            case.kind, case.family
        );
    }
}

fn rows(cases: &[Case], contests: &[Contest]) -> Vec<Row> {
    let row = |contest: &Contest| {
        let floor = contests
            .iter()
            .find(|other| other.case == contest.case && other.subject == contest.subject.floor());
        let floor = &floor.unwrap().times;
        let differences = contest.times.iter().zip(floor);
        let differences: Vec<f64> = differences.map(|(time, floor)| time - floor).collect();
        let medians = Medians {
            total: median(&contest.times),
            floor: median(floor),
            over_floor: median(&differences),
        };
        let case = &cases[contest.case];
        Row::new(Way::TestRun, case, contest.subject, contest.tables, medians)
    };
    let mut contests: Vec<&Contest> = contests.iter().collect();
    contests.sort_by_key(|contest| contest.case);
    contests.into_iter().map(row).collect()
}
