//! When exemptions were last used, from the frame to what the controller says of it.

use std::{fs, time::Duration};

use filter_user::controller::StartOptions;
use jiff::SignedDuration;

use crate::{
    reload,
    site::{Files, Site, exemption},
    {TRIAL, on_trial},
};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
const ACME: &str = "203.0.113.8/29";

/// In force with this, and watched since.
fn watched(files: Files) -> Site {
    let mut site = Site::started(files);
    site.note_uses();
    assert_eq!(site.last_used(ACME), None);
    site
}

#[test]
fn a_frame_that_is_let_in_is_seen_within_a_minute() {
    let mut site = watched(Files::Two);
    assert_eq!(site.receive("eth0", "203.0.113.15", 25), "exempted");
    // Looked at once a minute, and no earlier.
    site.pass(MINUTE - Duration::from_secs(1));
    site.note_uses();
    assert_eq!(site.last_used(ACME), None);
    site.pass(Duration::from_secs(1));
    site.note_uses();
    let at = site.now();
    assert_eq!(site.last_used(ACME), Some(at));
    // Of nobody else, and once.
    assert_eq!(site.last_used("203.0.113.64/30"), None);
    site.pass(MINUTE * 2);
    site.note_uses();
    assert_eq!(site.last_used(ACME), Some(at));
    // What comes from another customer is let in as well.
    assert_eq!(site.receive("eth1", "203.0.113.65", 443), "exempted");
    site.pass(MINUTE);
    site.note_uses();
    assert_eq!(site.last_used(ACME), Some(at));
    assert_eq!(site.last_used("203.0.113.64/30"), Some(site.now()));
}

#[test]
fn what_is_dropped_or_would_pass_anyway_uses_nothing() {
    let mut site = watched(Files::One);
    assert_eq!(site.receive("eth0", "203.0.113.8", 80), "drop");
    assert_eq!(site.receive("eth0", "203.0.113.8", 8081), "unwatched");
    assert_eq!(site.receive("eth0", "203.0.113.7", 25), "drop");
    assert_eq!(site.receive("eth0", "192.0.2.25", 25), "mail_server");
    site.pass(MINUTE);
    site.note_uses();
    assert_eq!(site.last_used(ACME), None);
}

#[test]
fn mail_that_goes_out_by_exemption_uses_it() {
    let mut site = watched(Files::One);
    let mut new = exemption(1, "25", site.now(), 7_200);
    (new.ports, new.smtp_out) = (Vec::new(), true);
    site.exempt(new).unwrap();
    assert_eq!(site.send("eth1", "203.0.113.100", "192.0.2.200"), "drop");
    assert_eq!(
        site.send("eth1", "203.0.113.101", "192.0.2.25"),
        "mail_server"
    );
    site.pass(MINUTE);
    site.note_uses();
    assert_eq!(site.last_used("203.0.113.101/32"), None);
    assert_eq!(site.send("eth1", "203.0.113.101", "192.0.2.200"), "allowed");
    site.pass(MINUTE);
    site.note_uses();
    assert_eq!(site.last_used("203.0.113.101/32"), Some(site.now()));
}

#[test]
fn in_monitor_mode_it_is_the_same() {
    let mut site = Site::new(Files::TooMuch);
    site.start(StartOptions {
        force: true,
        ..StartOptions::default()
    });
    site.note_uses();
    assert_eq!(site.receive("eth0", "203.0.113.8", 80), "would_drop");
    site.pass(MINUTE);
    site.note_uses();
    assert_eq!(site.last_used(ACME), None);
    assert_eq!(site.receive("eth0", "203.0.113.8", 25), "exempted");
    site.pass(MINUTE);
    site.note_uses();
    assert_eq!(site.last_used(ACME), Some(site.now()));
}

#[test]
fn what_was_used_before_a_change_is_told_of_what_held_then() {
    let mut site = watched(Files::One);
    // A reload, and a temporary exemption within the customer's prefix, from which the
    // tables change in place.
    site.receive("eth0", "203.0.113.8", 25);
    site.edit(Files::Two);
    assert!(site.reload(reload(false)));
    let first = site.now();
    assert_eq!(site.last_used(ACME), Some(first));
    site.pass(MINUTE);
    site.receive("eth0", "203.0.113.12", 25);
    let mut within = exemption(0, "25", site.now(), 7_200);
    within.prefix = "203.0.113.12/32".parse().unwrap();
    site.exempt(within).unwrap();
    site.pass(MINUTE);
    site.note_uses();
    assert_eq!(
        site.last_used(ACME),
        Some(first + SignedDuration::from_mins(1))
    );
    assert_eq!(site.last_used("203.0.113.12/32"), None);
    // Both hold there, and either is used; beside it only the customer's is.
    site.receive("eth0", "203.0.113.13", 25);
    site.pass(MINUTE);
    site.note_uses();
    assert_eq!(site.last_used(ACME), Some(site.now()));
    assert_eq!(site.last_used("203.0.113.12/32"), None);
    site.receive("eth0", "203.0.113.12", 25);
    site.pass(MINUTE);
    site.note_uses();
    assert_eq!(site.last_used(ACME), Some(site.now()));
    assert_eq!(site.last_used("203.0.113.12/32"), Some(site.now()));
    assert_eq!(
        site.status().temporary[0].last_use.unwrap().last_used,
        Some(site.now())
    );
}

#[test]
fn what_is_used_while_no_controller_runs_is_found_by_the_next() {
    let mut site = watched(Files::One);
    site.kill();
    site.receive("eth0", "203.0.113.8", 25);
    site.pass(MINUTE * 10);
    site.start(StartOptions::default());
    assert_eq!(site.last_used(ACME), Some(site.now()));
}

#[test]
fn it_is_kept_over_restarts_and_a_damaged_file_is_set_aside() {
    let mut site = watched(Files::One);
    site.receive("eth0", "203.0.113.8", 25);
    site.stop();
    let used = site.now();
    site.pass(MINUTE);
    site.start(StartOptions::default());
    assert_eq!(site.last_used(ACME), Some(used));
    // Somebody tidies up: it is written again.
    fs::remove_file(site.kept("last-use.json")).unwrap();
    site.wait(Duration::from_secs(5));
    site.look_after_state();
    assert!(site.kept("last-use.json").exists());
    site.kill();
    fs::write(
        site.kept("last-use.json"),
        r#"{"version":1,"minutes":3,"exemptions":["x"]}"#,
    )
    .unwrap();
    site.start(StartOptions::default());
    site.note_uses();
    assert_eq!(site.last_used(ACME), None);
    assert!(site.kept("last-use.json.set-aside-1").exists());
    assert_eq!(site.in_force(), Files::One);
}

#[test]
fn a_trial_that_goes_back_forgets_nothing() {
    let mut site = Site::started(Files::Two);
    site.note_uses();
    site.receive("eth0", "203.0.113.65", 443);
    site.pass(MINUTE);
    site.note_uses();
    let used = site.now();
    site.edit(Files::One);
    assert!(site.reload(on_trial()));
    site.pass(MINUTE / 2);
    site.note_uses();
    site.wait(TRIAL);
    assert_eq!(site.in_force(), Files::Two);
    site.note_uses();
    assert_eq!(site.last_used("203.0.113.64/30"), Some(used));
}

#[test]
fn unused_are_those_that_controllers_have_watched_for_long_whatever_the_clock_says() {
    let mut site = watched(Files::Two);
    // A clock that was a year ahead makes nothing unused, nor used in the future.
    site.set_clock(SignedDuration::from_hours(24 * 365));
    site.receive("eth0", "203.0.113.8", 25);
    site.pass(MINUTE);
    site.note_uses();
    assert_eq!(site.status().exemption_use.unused_90_days, 0);
    let used = site.now();
    site.set_clock(SignedDuration::from_hours(-24 * 365));
    site.pass(MINUTE);
    site.note_uses();
    let right = used - SignedDuration::from_hours(24 * 365);
    assert_eq!(site.last_used(ACME), Some(right));
    site.pass(DAY * 60);
    site.note_uses();
    site.receive("eth0", "203.0.113.8", 25);
    site.pass(DAY * 29);
    site.note_uses();
    site.stop();
    site.start(StartOptions::default());
    site.note_uses();
    let counts = site.status().exemption_use;
    assert_eq!((counts.watched, counts.unused_90_days), (2, 0));
    site.pass(DAY);
    site.note_uses();
    let counts = site.status().exemption_use;
    assert_eq!((counts.watched, counts.unused_90_days), (2, 1));
    let unused = site.unused(90);
    assert_eq!(unused.total, 1);
    assert_eq!(unused.exemptions[0].prefix.to_string(), "203.0.113.64/30");
    assert_eq!(unused.exemptions[0].customer.as_deref(), Some("globex"));
    // One that is used again is not.
    site.receive("eth0", "203.0.113.64", 443);
    site.pass(MINUTE);
    site.note_uses();
    assert_eq!(site.status().exemption_use.unused_90_days, 0);
    // Days on which no controller runs are not days on which it watched.
    site.stop();
    site.pass(DAY * 365);
    site.start(StartOptions::default());
    site.note_uses();
    assert_eq!(site.status().exemption_use.unused_90_days, 0);
}

/// A machine without a battery for its clock begins in 1970, until NTP sets it.
#[test]
fn a_start_before_the_clock_is_set_forgets_no_use() {
    const TWO: &str = "203.0.113.64/30";
    let behind = SignedDuration::from_hours(-24 * 365 * 50);
    let mut site = watched(Files::Two);
    site.receive("eth0", "203.0.113.8", 25);
    site.pass(MINUTE);
    site.note_uses();
    let used = site.now();
    site.stop();
    for _ in 0..2 {
        site.set_clock(behind);
        site.start(StartOptions::default());
        site.note_uses();
        // It was not in the future.
        assert!(site.last_used(ACME).unwrap() <= site.now());
        site.stop();
        site.set_clock(-behind);
    }
    site.start(StartOptions::default());
    site.note_uses();
    assert_eq!(site.last_used(ACME), Some(used));

    // What is seen before the clock is set was as much later.
    site.set_clock(behind);
    site.receive("eth0", "203.0.113.65", 443);
    site.pass(MINUTE);
    site.note_uses();
    let early = site.now();
    assert_eq!(site.last_used(TWO), Some(early));
    site.set_clock(-behind);
    site.pass(MINUTE);
    site.note_uses();
    assert_eq!(site.last_used(TWO), Some(early - behind));
    assert_eq!(site.last_used(ACME), Some(used));
}

/// A flipped bit would make everything unused for a year.
#[test]
fn what_is_not_as_it_was_written_is_set_aside() {
    let mut site = watched(Files::One);
    site.pass(MINUTE);
    site.note_uses();
    site.stop();
    let file = site.kept("last-use.json");
    let text = fs::read_to_string(&file).unwrap();
    let flipped = text.replace("\"minutes\": 1", "\"minutes\": 900001");
    assert_ne!(flipped, text);
    fs::write(&file, flipped).unwrap();
    site.start(StartOptions::default());
    site.note_uses();
    assert_eq!(site.status().exemption_use.unused_90_days, 0);
    assert!(site.kept("last-use.json.set-aside-1").exists());
}
