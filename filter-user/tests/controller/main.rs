//! The controller against the data plane in memory: whatever is asked of it, in
//! whatever order, and whatever fails meanwhile, what is in force is one whole thing
//! that somebody asked for. Where a data plane keeps failing until a change can neither be
//! finished nor taken back, that is said, and is true of each address until it works again.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod last_use;
mod site;

use std::{fs, time::Duration};

use api::requests::ReloadOptions;
use dataplane::memory::Failing;
use filter_user::controller::StartOptions;
use jiff::SignedDuration;
use proptest::prelude::*;
use site::{Files, PORTS, Site, exemption};

const TRIAL: Duration = Duration::from_secs(60);
/// Within which whatever has failed is tried again.
const AGAIN: Duration = Duration::from_secs(61);

/// What is done to the controller, or around it.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// The files are changed, and nothing else is done.
    Edit(Files),
    Reload {
        force: bool,
    },
    Try,
    Confirm,
    Exempt {
        address: u8,
        port: usize,
        lasts: u64,
    },
    Remove {
        id: u64,
    },
    Wait {
        seconds: u64,
    },
    /// Somebody sets the clock.
    SetClock {
        seconds: i64,
    },
    /// The controller is killed, and started again.
    Restart,
    Unplug(usize),
    PlugIn(usize),
    /// Operations of the data plane fail.
    Fail {
        after: usize,
        failing: Failing,
    },
    Repair,
    /// The disk is full, or not any more.
    Disk {
        is_full: bool,
    },
}

fn an_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => prop::sample::select(Files::ALL.to_vec()).prop_map(Act::Edit),
        4 => any::<bool>().prop_map(|force| Act::Reload { force }),
        2 => Just(Act::Try),
        2 => Just(Act::Confirm),
        3 => (0_u8..4, 0..PORTS.len(), 1_u64..200)
            .prop_map(|(address, port, lasts)| Act::Exempt { address, port, lasts }),
        2 => (1_u64..6).prop_map(|id| Act::Remove { id }),
        3 => (1_u64..90).prop_map(|seconds| Act::Wait { seconds }),
        2 => (-7_200_i64..7_200).prop_map(|seconds| Act::SetClock { seconds }),
        2 => Just(Act::Restart),
        1 => (0_usize..2).prop_map(Act::Unplug),
        2 => (0_usize..2).prop_map(Act::PlugIn),
        3 => (0_usize..12, how_many()).prop_map(|(after, failing)| Act::Fail { after, failing }),
        2 => Just(Act::Repair),
        1 => any::<bool>().prop_map(|is_full| Act::Disk { is_full }),
    ]
}

/// Two are as many as a change can meet and be taken back.
fn how_many() -> impl Strategy<Value = Failing> {
    prop_oneof![
        7 => (1_usize..5).prop_map(Failing::Times),
        3 => Just(Failing::Always),
    ]
}

fn reload(force: bool) -> ReloadOptions {
    ReloadOptions {
        force,
        confirm: None,
    }
}

fn on_trial() -> ReloadOptions {
    ReloadOptions {
        force: false,
        confirm: Some(SignedDuration::try_from(TRIAL).unwrap()),
    }
}

impl Act {
    fn play(self, site: &mut Site) {
        match self {
            Self::Edit(files) => site.edit(files),
            Self::Reload { force } => drop(site.reload(reload(force))),
            Self::Try => drop(site.reload(on_trial())),
            Self::Confirm => drop(site.confirm()),
            Self::Exempt {
                address,
                port,
                lasts,
            } => drop(site.exempt(exemption(address, PORTS[port], site.now(), lasts))),
            Self::Remove { id } => drop(site.remove(id)),
            Self::Wait { seconds } => site.wait(Duration::from_secs(seconds)),
            Self::SetClock { seconds } => site.set_clock(SignedDuration::from_secs(seconds)),
            Self::Restart => site.restart(StartOptions::default()),
            Self::Unplug(interface) => site.unplug(interface),
            Self::PlugIn(interface) => site.plug_in(interface),
            Self::Fail { after, failing } => site.fail_after(after, failing),
            Self::Repair => drop(site.repair()),
            Self::Disk { is_full } => site.set_disk_full(is_full),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_in_force_is_one_whole_thing_that_somebody_asked_for(
        acts in prop::collection::vec(an_act(), 1..40)
    ) {
        let mut site = Site::started(Files::Two);
        for act in acts {
            act.play(&mut site);
            site.check();
        }
        // Whatever was half done, it is whole once the data plane works.
        site.repair();
        site.wait(AGAIN);
        site.check_whole();
    }
}

/// How an expiry of two exemptions meets a data plane that fails so often, after one of them.
fn half_expired(failures: usize) -> Site {
    let mut site = Site::started(Files::One);
    for address in [1, 2] {
        site.exempt(exemption(address, "25", site.now(), 60))
            .unwrap();
    }
    site.pass(Duration::from_secs(60));
    site.fail_after(1, Failing::Times(failures));
    site.catch_up();
    site
}

/// What is taken back is what was in force: neither has expired, as far as anybody is told.
#[test]
fn an_expiry_that_fails_half_way_is_taken_back_whole() {
    // The second exemption's end, and other tables instead.
    let mut site = half_expired(2);
    assert!(!site.repair());
    assert_eq!((site.exempted(), site.temporary()), (1, vec![1, 2]));
    site.check_whole();
    site.wait(AGAIN);
    assert_eq!((site.exempted(), site.temporary()), (1, vec![]));
    site.check_whole();
}

#[test]
fn a_change_that_cannot_be_taken_back_is_said_and_is_whole_once_that_works() {
    let mut site = half_expired(3);
    assert_eq!(site.half_done(), ["203.0.113.101/32", "203.0.113.102/32"]);
    site.check();
    site.wait(AGAIN);
    assert_eq!(site.temporary(), [0_u64; 0]);
    site.check_whole();

    // One that somebody asked for, which is told.
    let mut site = half_expired(3);
    site.fail_after(1, Failing::Always);
    let error = site.refused(exemption(3, "25", site.now(), 60));
    let part = "In 203.0.113.101/32, 203.0.113.102/32, 203.0.113.103/32 a part of the change may \
                be in force until that works";
    assert!(error.contains(part), "{error}");
    assert!(!error.contains("Nothing was changed"), "{error}");
    site.check();
    site.repair();
    // What comes next makes it whole at once, whatever it is for.
    site.exempt(exemption(0, "25", site.now(), 60)).unwrap();
    site.check_whole();
    assert_eq!(site.temporary(), [3]);
}

/// A clock that goes back leaves the ends of the exemptions ahead, and half of them in force.
#[test]
fn what_is_half_done_is_made_whole_though_nothing_is_due_by_the_clock() {
    let back = SignedDuration::from_secs(-30);
    let mut site = half_expired(3);
    site.set_clock(back);
    assert_eq!(site.temporary(), [1, 2]);
    site.check_whole();

    // Or with what comes into force before that works.
    let mut site = half_expired(3);
    site.fail_after(0, Failing::Always);
    site.set_clock(back);
    assert!(!site.half_done().is_empty());
    site.check();
    site.repair();
    site.exempt(exemption(0, "25", site.now(), 60)).unwrap();
    assert_eq!(site.temporary(), [1, 2, 3]);
    site.check_whole();
}

/// What it takes to tell apart ports that the tables in force treat alike is other tables,
/// and nothing else is: neither the next exemption of the same, nor their end.
#[test]
fn an_exemption_within_a_range_gets_tables_that_tell_its_ports_apart() {
    let mut site = Site::started(Files::One);
    // 25, 80, 443 and the range.
    assert_eq!(site.port_classes(), 4);
    // As the lists have it.
    site.exempt(exemption(1, "8000-8080", site.now(), 600))
        .unwrap();
    site.check();
    assert_eq!(site.port_classes(), 4);
    let within = site
        .exempt(exemption(2, "8010-8020", site.now(), 60))
        .unwrap();
    site.check();
    assert_eq!(site.port_classes(), 5);
    site.exempt(exemption(3, "8010-8020", site.now(), 60))
        .unwrap();
    site.check();
    assert!(site.remove(within));
    site.check();
    site.wait(Duration::from_secs(61));
    site.check();
    assert_eq!((site.port_classes(), site.temporary()), (5, vec![1]));
    // A reload forgets what nobody tells apart any more.
    assert!(site.reload(reload(false)));
    assert_eq!(site.port_classes(), 4);
    site.exempt(exemption(2, "8010-8020/udp", site.now(), 60))
        .unwrap();
    site.check();
    assert_eq!(site.port_classes(), 5);
}

/// An exemption for each port of a range takes a class each.
#[test]
fn an_exemption_that_splits_the_ports_too_far_is_refused() {
    let mut site = Site::started(Files::One);
    let port = |number: u16| (8000 + 2 * number % 81).to_string();
    let mut given = 0;
    while site
        .exempt(exemption(1, &port(given), site.now(), 60))
        .is_some()
    {
        given += 1;
    }
    // Of 63 classes, 25 has one, 80 and 443 have one, and so has the rest of the range.
    assert_eq!(given, 60);
    site.check();
    let refused = exemption(1, &port(given), site.now(), 60);
    let error = site.refused(refused);
    assert_eq!(
        error,
        "8039 would split the ports into more than 63 sets that are treated differently: exempt \
         whole ports and ranges as the lists of forbidden ports have them"
    );
    // What is told apart already can be had.
    assert!(site.exempt(exemption(2, "8000", site.now(), 60)).is_some());
    assert!(
        site.exempt(exemption(2, "8000-8080", site.now(), 60))
            .is_some()
    );
    site.check();
    // They keep no reload and no start from being done.
    site.edit(Files::Two);
    assert!(site.reload(reload(false)));
    site.restart(StartOptions::default());
    site.check();
    site.wait(Duration::from_secs(61));
    site.check();
    assert!(site.exempt(exemption(1, "8039", site.now(), 60)).is_some());
    site.check();
}

#[test]
fn a_start_and_a_reload() {
    let mut site = Site::started(Files::One);
    site.check();
    site.edit(Files::Two);
    assert!(site.reload(reload(false)));
    assert_eq!(site.in_force(), Files::Two);
    site.check();
}

#[test]
fn a_wrong_file_and_one_that_changes_too_much_change_nothing() {
    let mut site = Site::started(Files::Two);
    for files in [Files::Wrong, Files::TooMuch] {
        site.edit(files);
        assert!(!site.reload(reload(false)));
        assert_eq!(site.in_force(), Files::Two);
    }
    assert!(site.reload(reload(true)));
    assert_eq!(site.in_force(), Files::TooMuch);
    site.check();
}

#[test]
fn a_trial_is_confirmed_or_goes_back() {
    let mut site = Site::started(Files::One);
    site.edit(Files::Two);
    assert!(site.reload(on_trial()));
    site.wait(TRIAL - Duration::from_secs(1));
    assert_eq!(site.in_force(), Files::Two);
    site.wait(Duration::from_secs(1));
    assert_eq!(site.in_force(), Files::One);
    assert!(!site.confirm());

    assert!(site.reload(on_trial()));
    assert!(site.confirm());
    site.wait(TRIAL);
    assert_eq!(site.in_force(), Files::Two);
    site.check();
}

/// What `status` says of the way out of both interfaces.
fn ways_out(site: &Site) -> [Option<(String, Option<String>)>; 2] {
    let interfaces = site.status().interfaces;
    [0, 1].map(|at: usize| {
        let egress = interfaces[at].egress.clone()?;
        Some((egress.configured, egress.way))
    })
}

#[test]
fn a_trial_of_the_way_out_goes_back() {
    let off = || Some(("off".to_owned(), None));
    let on = || Some(("filter".to_owned(), Some("tcx".to_owned())));
    let mut site = Site::started(Files::One);
    assert_eq!(ways_out(&site), [off(), on()]);
    site.edit(Files::OpenOut);
    assert!(site.reload(on_trial()));
    assert_eq!(ways_out(&site), [off(), off()]);
    site.wait(TRIAL);
    assert_eq!(site.in_force(), Files::One);
    assert_eq!(ways_out(&site), [off(), on()]);
    assert!(site.reload(ReloadOptions::default()));
    site.restart(StartOptions::default());
    assert_eq!(ways_out(&site), [off(), off()]);
    site.check();
}

#[test]
fn a_trial_that_nobody_confirms_goes_back_over_a_restart() {
    let mut site = Site::started(Files::One);
    site.edit(Files::Two);
    assert!(site.reload(on_trial()));
    site.restart(StartOptions::default());
    assert_eq!(site.in_force(), Files::Two);
    site.kill();
    site.pass(TRIAL);
    site.start(StartOptions::default());
    assert_eq!(site.in_force(), Files::One);
    site.check();
}

#[test]
fn what_no_archive_has_comes_back_and_stays_back() {
    let mut site = Site::new(Files::One);
    // The archive of what is in force cannot be written.
    site.set_disk_full(true);
    site.start(StartOptions::default());
    site.set_disk_full(false);
    site.edit(Files::Two);
    assert!(site.reload(on_trial()));
    site.wait(TRIAL);
    assert_eq!(site.in_force(), Files::One);
    site.restart(StartOptions::default());
    assert_eq!(site.in_force(), Files::One);
    site.check();
}

#[test]
fn going_back_that_fails_is_tried_again() {
    let mut site = Site::started(Files::One);
    site.edit(Files::Two);
    assert!(site.reload(on_trial()));
    site.fail_after(0, Failing::Times(1));
    site.wait(TRIAL);
    assert_eq!(site.in_force(), Files::Two);
    site.check();
    site.wait(Duration::from_secs(5));
    assert_eq!(site.in_force(), Files::One);
}

#[test]
fn a_temporary_exemption_is_given_taken_back_and_ends() {
    let mut site = Site::started(Files::One);
    let first = site.exempt(exemption(1, "25", site.now(), 30)).unwrap();
    let second = site.exempt(exemption(2, "25", site.now(), 60)).unwrap();
    assert_eq!((first, second), (1, 2));
    site.check();
    assert!(site.remove(first));
    assert!(!site.remove(first));
    site.restart(StartOptions::default());
    assert_eq!(site.temporary(), [second]);
    site.wait(Duration::from_secs(60));
    assert_eq!(site.temporary(), [0_u64; 0]);
    site.check();
    // No number is given twice.
    assert_eq!(site.exempt(exemption(1, "25", site.now(), 30)), Some(3));
}

const A_DAY: SignedDuration = SignedDuration::from_hours(24);

/// The service starts before NTP: a minute later the clock is what it should be.
#[test]
fn exemptions_that_ended_by_a_wrong_clock_come_back_with_the_right_one() {
    let mut site = Site::started(Files::Passing);
    let given = site.exempt(exemption(1, "25", site.now(), 600)).unwrap();
    assert_eq!((site.exempted(), site.temporary()), (2, vec![given]));
    for restart in [false, true] {
        site.set_clock(A_DAY);
        assert_eq!((site.exempted(), site.temporary()), (1, vec![]));
        site.check();
        if restart {
            site.restart(StartOptions::default());
            assert_eq!((site.exempted(), site.temporary()), (1, vec![]));
        }
        site.set_clock(-A_DAY);
        assert_eq!((site.exempted(), site.temporary()), (2, vec![given]));
        site.check();
    }
    // It has still as long as it was given.
    site.wait(Duration::from_secs(600));
    assert_eq!((site.exempted(), site.temporary()), (2, vec![]));
    site.wait(Duration::from_secs(3_600));
    assert_eq!(site.exempted(), 1);
    site.check();
}

#[test]
fn a_clock_that_goes_back_while_the_tables_cannot_be_changed_is_followed_later() {
    let mut site = Site::started(Files::Passing);
    site.set_clock(A_DAY);
    site.fail_after(0, Failing::Always);
    site.set_clock(-A_DAY);
    assert_eq!(site.exempted(), 1);
    site.check();
    site.repair();
    site.wait(Duration::from_secs(60));
    assert_eq!(site.exempted(), 2);
    site.check();
}

#[test]
fn what_is_over_is_kept_for_a_week_of_running_and_can_be_taken_back() {
    let mut site = Site::started(Files::One);
    let first = site.exempt(exemption(1, "25", site.now(), 60)).unwrap();
    let second = site.exempt(exemption(2, "25", site.now(), 60)).unwrap();
    site.wait_for_days(3);
    assert_eq!(site.kept_exemptions(), [first, second]);
    // A restart goes on counting.
    site.restart(StartOptions::default());
    assert!(site.remove(second));
    assert_eq!(site.kept_exemptions(), [first]);
    site.wait_for_days(3);
    assert_eq!(site.kept_exemptions(), [first]);
    // The clock was wrong all the time, or is now: from here on it counts again.
    site.set_clock(A_DAY * -7);
    assert_eq!(site.temporary(), [first]);
    site.wait_for_days(7);
    assert_eq!(site.kept_exemptions(), [first]);
    site.wait_for_days(2);
    assert_eq!(site.kept_exemptions(), [0_u64; 0]);
}

#[test]
fn a_trial_lasts_as_long_as_was_said_whatever_the_clock_is_set_to() {
    for set in [A_DAY, -A_DAY] {
        let mut site = Site::started(Files::One);
        site.edit(Files::Two);
        assert!(site.reload(on_trial()));
        site.set_clock(set);
        site.wait(TRIAL - Duration::from_secs(1));
        assert_eq!(site.in_force(), Files::Two, "{set}");
        // For the next controller as well.
        site.restart(StartOptions::default());
        assert_eq!(site.in_force(), Files::Two, "{set}");
        site.wait(Duration::from_secs(1));
        assert_eq!(site.in_force(), Files::One, "{set}");
        site.check();
    }
}

/// Each of the operations of each change, one after the other, is made to fail.
#[test]
fn a_change_that_fails_half_way_changes_nothing() {
    type Change = fn(&mut Site) -> bool;
    let changes: [(&str, Change); 4] = [
        ("reload", |site| site.reload(reload(false))),
        ("trial", |site| site.reload(on_trial())),
        ("exempt add", |site| {
            site.exempt(exemption(2, "80", site.now(), 60)).is_some()
        }),
        ("exempt remove", |site| site.remove(1)),
    ];
    for (name, change) in changes {
        let mut failures = 0;
        for after in 0.. {
            let mut site = Site::started(Files::One);
            site.exempt(exemption(1, "25", site.now(), 60)).unwrap();
            site.edit(Files::Two);
            let before = (site.in_force(), site.temporary());
            site.fail_after(after, Failing::Always);
            let succeeded = change(&mut site);
            site.check();
            if !succeeded {
                let left = (site.in_force(), site.temporary());
                assert_eq!(left, before, "{name}, which fails after {after}");
                failures += 1;
            } else if site.repair() {
                // It takes no more operations than that.
                break;
            }
        }
        assert!(failures > 0, "{name}");
    }
}

#[test]
fn a_full_disk_refuses_what_has_to_be_kept_and_ends_no_filter() {
    let mut site = Site::started(Files::One);
    site.exempt(exemption(1, "25", site.now(), 60)).unwrap();
    site.set_disk_full(true);
    assert_eq!(site.exempt(exemption(2, "25", site.now(), 60)), None);
    assert!(!site.remove(1));
    site.edit(Files::Two);
    assert!(!site.reload(on_trial()));
    site.check();
    // Time is not asked whether the disk is full.
    site.wait(Duration::from_secs(60));
    assert_eq!(site.temporary(), [0_u64; 0]);
    assert!(site.reload(reload(false)));
    assert_eq!(site.in_force(), Files::Two);
    site.check();
}

#[test]
fn a_spoilt_file_leaves_the_last_good_configuration_in_force_over_a_restart() {
    let mut site = Site::started(Files::Two);
    for files in [Files::Wrong, Files::TooMuch] {
        site.edit(files);
        site.restart(StartOptions::default());
        assert_eq!(site.in_force(), Files::Two);
        assert!(site.is_on_last_good());
        site.check();
    }
    site.edit(Files::One);
    assert!(site.reload(reload(false)));
    assert!(!site.is_on_last_good());
    site.edit(Files::TooMuch);
    site.restart(StartOptions {
        force: true,
        strict: false,
    });
    assert_eq!(site.in_force(), Files::TooMuch);
    site.check();
}

/// What becomes of a file in the state directory.
#[derive(Clone, Copy, Debug)]
enum Spoilt {
    Gone,
    Empty,
    Damaged,
}

impl Spoilt {
    const ALL: [Self; 3] = [Self::Gone, Self::Empty, Self::Damaged];

    fn spoil(self, site: &Site, name: &str) {
        match self {
            Self::Gone => fs::remove_file(site.kept(name)).unwrap(),
            Self::Empty => fs::write(site.kept(name), "").unwrap(),
            Self::Damaged => fs::write(site.kept(name), "{ damaged").unwrap(),
        }
    }
}

/// With `Two` on trial after `One`, and no controller.
fn died_on_trial() -> Site {
    let mut site = Site::started(Files::One);
    site.edit(Files::Two);
    assert!(site.reload(on_trial()));
    site.kill();
    site
}

#[test]
fn a_trial_of_which_nobody_knows_the_end_goes_back_and_stays_back() {
    for spoilt in Spoilt::ALL {
        let mut site = died_on_trial();
        spoilt.spoil(&site, "unconfirmed.json");
        for _ in 0..2 {
            site.restart(StartOptions::default());
            assert_eq!(site.in_force(), Files::One, "{spoilt:?}");
            let why = site.status().rolled_back_because.unwrap();
            assert!(why.contains("until when it was on trial"), "{why}");
            site.check();
        }
        assert!(site.reload(reload(false)));
        assert_eq!(site.status().rolled_back, None);
        site.restart(StartOptions::default());
        assert_eq!(site.in_force(), Files::Two);
    }
}

/// Also where nothing but the record said so.
#[test]
fn what_was_gone_back_from_is_not_taken_where_the_record_of_it_is_spoilt() {
    let mut site = died_on_trial();
    site.pass(TRIAL);
    site.start(StartOptions::default());
    Spoilt::Damaged.spoil(&site, "unconfirmed.json");
    for _ in 0..2 {
        site.restart(StartOptions::default());
        assert_eq!(site.in_force(), Files::One);
    }
}

#[test]
fn a_trial_that_is_lost_goes_back_before_the_time_and_says_why() {
    for spoilt in Spoilt::ALL {
        let mut site = died_on_trial();
        spoilt.spoil(&site, "on-trial.tar");
        site.start(StartOptions::default());
        assert_eq!(site.in_force(), Files::One);
        let why = site.status().rolled_back_because.unwrap();
        assert!(why.contains("what was on trial is lost"), "{why}");
        site.check();
    }
}

#[test]
fn a_trial_with_nothing_to_go_back_to_filters_until_it_is_confirmed() {
    for (spoilt, other) in [
        (Spoilt::Gone, None),
        (Spoilt::Empty, None),
        (Spoilt::Damaged, Some(Spoilt::Damaged)),
        (Spoilt::Gone, Some(Spoilt::Gone)),
    ] {
        let mut site = died_on_trial();
        spoilt.spoil(&site, "confirmed.tar");
        if let Some(other) = other {
            other.spoil(&site, "unconfirmed.json");
        }
        site.edit(Files::Wrong);
        site.start(StartOptions {
            force: false,
            strict: true,
        });
        assert!(!site.is_running());
        for _ in 0..2 {
            site.restart(StartOptions::default());
            assert_eq!(site.in_force(), Files::Two, "{spoilt:?} {other:?}");
            site.wait(TRIAL);
            assert_eq!(site.in_force(), Files::Two);
            let unconfirmed = site.status().unconfirmed.unwrap();
            assert!(unconfirmed.error.contains("confirmed.tar"));
            site.check();
        }
        assert!(site.confirm());
        assert_eq!(site.status().unconfirmed, None);
        site.restart(StartOptions::default());
        assert_eq!(site.in_force(), Files::Two);
        assert!(site.is_on_last_good());
    }
}

/// What is kept is whole, and of a poolguard that knows other keys.
fn of_another_poolguard(site: &Site) {
    let kept = fs::read(site.kept("confirmed.tar")).unwrap();
    let at = kept.windows(4).position(|word| word == b"role").unwrap();
    let mut other = kept;
    other[at..at + 4].copy_from_slice(b"rule");
    // One that writes no sums.
    let key = b"\"sha256\"";
    let at = other.windows(key.len()).position(|word| word == key);
    other[at.unwrap()..][..key.len()].copy_from_slice(b"\"sha25_\"");
    fs::write(site.kept("confirmed.tar"), other).unwrap();
}

#[test]
fn files_that_can_be_compared_with_nothing_filter_until_they_are_confirmed() {
    for spoilt in [Some(Spoilt::Empty), None] {
        let mut site = Site::started(Files::One);
        site.kill();
        match spoilt {
            Some(spoilt) => spoilt.spoil(&site, "confirmed.tar"),
            None => of_another_poolguard(&site),
        }
        site.edit(Files::Two);
        site.start(StartOptions {
            force: false,
            strict: true,
        });
        assert!(!site.is_running());
        site.start(StartOptions::default());
        assert_eq!(site.in_force(), Files::Two);
        assert!(!site.kept("confirmed.tar").exists());
        assert!(site.kept("confirmed.tar.set-aside-1").exists());
        // Also where this start could not keep anything.
        fs::remove_file(site.kept("on-trial.tar")).unwrap();
        site.restart(StartOptions::default());
        assert!(site.status().unconfirmed.is_some());
        // What is in force by now is what the files are held to.
        site.edit(Files::TooMuch);
        assert!(!site.reload(reload(false)));
        site.restart(StartOptions::default());
        assert_eq!(site.in_force(), Files::Two);
        site.edit(Files::One);
        assert!(site.reload(reload(false)));
        assert_eq!(site.status().unconfirmed, None);
        assert!(site.kept("confirmed.tar").exists());
        assert!(!site.kept("on-trial.tar").exists());
    }
}

#[test]
fn what_another_poolguard_kept_stays_where_nothing_takes_its_place() {
    let mut site = Site::started(Files::One);
    site.kill();
    of_another_poolguard(&site);
    site.edit(Files::Wrong);
    site.start(StartOptions::default());
    assert!(!site.is_running());
    assert!(site.kept("confirmed.tar").exists());
    site.edit(Files::Two);
    site.start(StartOptions {
        force: true,
        strict: false,
    });
    assert_eq!(site.status().unconfirmed, None);
    assert!(site.kept("confirmed.tar.set-aside-1").exists());
}

/// Opening and asking for what was counted come before the tables are loaded.
const UNTIL_LOADED: usize = 2;

#[test]
fn what_was_on_trial_and_cannot_be_loaded_goes_back() {
    let mut site = died_on_trial();
    site.fail_after(UNTIL_LOADED, Failing::Times(1));
    for _ in 0..2 {
        site.restart(StartOptions::default());
        assert_eq!(site.in_force(), Files::One);
        let why = site.status().rolled_back_because.unwrap();
        assert!(why.contains("cannot be put into force"), "{why}");
        site.check();
    }
}

#[test]
fn what_comes_back_and_cannot_be_loaded_gives_way_to_what_was_confirmed() {
    let mut site = Site::started(Files::One);
    // What comes back is in no archive.
    site.edit(Files::Two);
    site.set_disk_full(true);
    assert!(site.reload(reload(false)));
    site.set_disk_full(false);
    site.edit(Files::Unlimited);
    assert!(site.reload(on_trial()));
    site.kill();
    site.pass(TRIAL);
    site.fail_after(UNTIL_LOADED, Failing::Times(1));
    for _ in 0..2 {
        site.restart(StartOptions::default());
        assert_eq!(site.in_force(), Files::One);
        site.check();
    }
}

#[test]
fn every_refused_file_is_remembered_until_it_is_accepted() {
    let mut site = Site::started(Files::One);
    site.edit(Files::TooMuch);
    assert!(!site.reload(reload(false)));
    // Neither another refusal nor another success lets a start take it.
    site.edit(Files::Wrong);
    assert!(!site.reload(reload(false)));
    site.edit(Files::Unlimited);
    assert!(site.reload(reload(false)));
    site.edit(Files::TooMuch);
    for _ in 0..2 {
        site.restart(StartOptions::default());
        assert_eq!(site.in_force(), Files::Unlimited);
        assert!(site.is_on_last_good());
    }
    // Nor that there is nothing to compare it with any more.
    site.kill();
    Spoilt::Damaged.spoil(&site, "confirmed.tar");
    site.start(StartOptions::default());
    assert!(!site.is_running());
    site.edit(Files::Unlimited);
    site.start(StartOptions::default());
    assert!(site.confirm());
    // Accepted, it is like any other.
    site.edit(Files::TooMuch);
    assert!(site.reload(reload(true)));
    site.edit(Files::Unlimited);
    assert!(site.reload(reload(true)));
    site.edit(Files::TooMuch);
    site.restart(StartOptions::default());
    assert_eq!(site.in_force(), Files::TooMuch);
}

#[test]
fn what_a_reload_was_refused_for_in_passing_is_not_remembered() {
    let mut site = Site::started(Files::One);
    site.edit(Files::Two);
    site.fail_after(0, Failing::Times(1));
    assert!(!site.reload(reload(false)));
    site.restart(StartOptions::default());
    assert_eq!(site.in_force(), Files::Two);
}

#[test]
fn interfaces_that_come_and_go() {
    let mut site = Site::started(Files::One);
    site.unplug(0);
    site.check();
    assert_eq!(site.enforcing(), [false, true]);
    site.edit(Files::Two);
    assert!(site.reload(reload(false)));
    assert_eq!(site.enforcing(), [false, true]);
    site.plug_in(0);
    assert_eq!(site.enforcing(), [true, true]);
    site.check();
}

#[test]
fn nothing_is_left_behind_by_a_start_that_fails_and_by_detach() {
    let mut site = Site::new(Files::Wrong);
    site.start(StartOptions::default());
    assert_eq!(site.enforcing(), [false, false]);
    site.edit(Files::One);
    site.start(StartOptions::default());
    assert_eq!(site.enforcing(), [true, true]);
    site.detach();
    assert_eq!(site.enforcing(), [false, false]);
}

#[test]
fn one_interface_that_fails_does_not_keep_the_box_on_trial() {
    let mut site = Site::started(Files::One);
    site.edit(Files::Two);
    assert!(site.reload(on_trial()));
    // Loading and noting come before the first interface.
    site.fail_after(2, Failing::Times(1));
    site.wait(TRIAL);
    assert_eq!(site.in_force(), Files::One);
    let status = site.status();
    let failing = status.interfaces.iter().filter(|i| i.problem.is_some());
    assert_eq!(failing.count(), 1);
    site.check();
    site.wait(Duration::from_secs(5));
    let status = site.status();
    assert!(status.interfaces.iter().all(|i| i.problem.is_none()));
    site.check();
}

#[test]
fn what_cannot_go_back_says_so() {
    let mut site = Site::started(Files::One);
    site.edit(Files::Two);
    assert!(site.reload(on_trial()));
    assert_eq!(site.status().roll_back_problem, None);
    site.fail_after(0, Failing::Always);
    site.wait(TRIAL + Duration::from_secs(6));
    assert_eq!(site.in_force(), Files::Two);
    assert!(site.status().roll_back_problem.is_some());
    site.repair();
    // It was tried twice, and waits for longer each time.
    site.wait(Duration::from_secs(8));
    assert_eq!(site.in_force(), Files::Two);
    site.wait(Duration::from_secs(2));
    assert_eq!(site.in_force(), Files::One);
    assert_eq!(site.status().roll_back_problem, None);
}

/// Attaching is news to the kernel, which tells of it: without a pause there would be
/// no end.
#[test]
fn an_interface_that_cannot_be_had_waits_before_it_is_tried_again() {
    let mut site = Site::started(Files::One);
    site.unplug(0);
    let mut wait = Duration::from_secs(5);
    site.fail_after(1, Failing::Always);
    site.plug_in(0);
    for _ in 0..2 {
        site.repair();
        for _ in 0..100 {
            site.look();
        }
        assert_eq!(site.enforcing(), [false, true]);
        assert!(site.status().interfaces[0].problem.is_some());
        site.fail_after(1, Failing::Always);
        site.wait(wait);
        assert_eq!(site.enforcing(), [false, true]);
        wait *= 2;
    }
    site.repair();
    site.wait(wait);
    assert_eq!(site.enforcing(), [true, true]);
    site.check();
}

#[test]
fn a_trial_ends_with_the_filter_that_is_taken_off() {
    let mut site = Site::started(Files::One);
    site.edit(Files::Two);
    assert!(site.reload(on_trial()));
    site.detach();
    for name in ["unconfirmed.json", "on-trial.tar"] {
        assert!(!site.kept(name).exists(), "{name}");
    }
    // Nobody confirmed it, and nothing else is held up by it.
    site.start(StartOptions::default());
    assert_eq!(site.in_force(), Files::One);
    assert!(site.is_on_last_good());
    site.edit(Files::Unlimited);
    site.restart(StartOptions::default());
    assert_eq!(site.in_force(), Files::Unlimited);
}

#[test]
fn what_somebody_removed_is_written_again() {
    let mut site = Site::started(Files::One);
    site.edit(Files::TooMuch);
    assert!(!site.reload(reload(false)));
    let first = site.exempt(exemption(1, "25", site.now(), 600)).unwrap();
    site.edit(Files::Two);
    assert!(site.reload(on_trial()));
    let names = ["exemptions.json", "unconfirmed.json", "refused.json"];
    for name in names {
        fs::remove_file(site.kept(name)).unwrap();
    }
    site.wait(Duration::from_secs(5));
    for name in names {
        assert!(site.kept(name).exists(), "{name}");
    }
    site.restart(StartOptions::default());
    assert_eq!(site.temporary(), [first]);
    assert_eq!(site.in_force(), Files::Two);
    assert_eq!(
        site.exempt(exemption(2, "25", site.now(), 600)),
        Some(first + 1)
    );
    // What comes back is kept again as well, where the archive of it is gone.
    fs::remove_file(site.kept("confirmed.tar")).unwrap();
    fs::remove_file(site.kept("unconfirmed.json")).unwrap();
    site.wait(TRIAL - Duration::from_secs(10));
    site.restart(StartOptions::default());
    assert_eq!(site.in_force(), Files::Two);
    site.wait(TRIAL);
    assert_eq!(site.in_force(), Files::One);
}

/// As somebody leaves a kept file who has changed it on purpose.
fn without_sum(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.contains("\"sha256\""));
    lines.collect()
}

#[test]
fn numbers_of_exemptions_are_given_once_whatever_the_file_says() {
    let mut site = Site::started(Files::One);
    let first = site.exempt(exemption(1, "25", site.now(), 600)).unwrap();
    site.kill();
    let file = site.kept("exemptions.json");
    let text = fs::read_to_string(&file).unwrap();
    let next = format!("\"next_id\": {}", first + 1);
    assert!(text.contains(&next), "{text}");
    fs::write(&file, without_sum(&text.replace(&next, "\"next_id\": 1"))).unwrap();
    site.start(StartOptions::default());
    assert_eq!(
        site.exempt(exemption(2, "25", site.now(), 600)),
        Some(first + 1)
    );
    site.kill();
    let last = format!("\"next_id\": {}", u64::MAX);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, without_sum(&text.replace("\"next_id\": 3", &last))).unwrap();
    site.start(StartOptions::default());
    assert_eq!(site.exempt(exemption(3, "25", site.now(), 600)), None);
    assert_eq!(site.temporary().len(), 2);
    site.check();
}

#[test]
fn a_reload_says_once_what_became_of_it() {
    let mut site = Site::started(Files::One);
    site.edit(Files::Wrong);
    assert!(!site.reload(reload(false)));
    let reloads = site.status().reloads;
    assert!(reloads.last_error.unwrap().contains("nonsense"));
    assert!(!reloads.last_successful);
    site.edit(Files::Two);
    // Asked for what it would leave, loaded, noted, two interfaces, and said.
    site.fail_after(7, Failing::Always);
    assert!(site.reload(reload(false)));
    assert!(site.repair(), "it takes no more operations than that");
    let reloads = site.status().reloads;
    assert_eq!(reloads.last_error, None);
    assert!(reloads.last_successful);
    assert_eq!((reloads.total, reloads.failures), (2, 1));
}
