//! Frames on a wire through a box that filters. Needs root.

use poolguard_tests::{configs, fixture::Fixture, fixtures, wire};

/// Stories that share a configuration, and so a box. The others would tell
/// tables apart, which the program has been told already: what is new here is
/// how frames arrive.
macro_rules! tell {
    ($($chapter:ident)*) => {
        $(
            #[test]
            fn $chapter() {
                let mut stories = fixtures::$chapter();
                stories.retain(|story| story.config == configs::base());
                wire::tell_all(stories);
            }
        )*
    };
}

tell! {
    forbidden_ports_of_dynamic_pools_and_virtual_pops_are_closed
    forbidden_ports_of_static_customers_open_by_exemption
    mail_leaves_only_through_the_mail_servers
    the_most_specific_and_the_earlier_rule_decide
    ip_is_found_behind_tags_and_in_sessions
    lengths_are_not_believed
    fragments_are_judged_by_the_first_one
    what_stands_behind_extension_headers_is_found
    what_has_no_ports_passes
    every_frame_is_counted_where_it_belongs
}

/// The stories with these names, in a box of their own.
fn tell(mut stories: Vec<Fixture>, names: &[&str]) {
    stories.retain(|story| names.contains(&story.name.as_str()));
    assert_eq!(stories.len(), names.len(), "each is there once");
    wire::tell_all(stories);
}

#[test]
fn answers_come_back() {
    tell(
        fixtures::answers_come_back_and_nothing_else_does(),
        &[
            "an answer passes once the customer has spoken (tcp, IPv4)",
            "an answer passes once the customer has spoken (udp, IPv6)",
            "what differs in one thing from the answer is dropped (tcp, IPv6)",
            "a first fragment opens a flow, a later one does not (IPv4)",
            "with \"syn\", what opens a connection is dropped and what goes on with one passes (IPv4)",
        ],
    );
}

#[test]
fn a_monitored_box_passes_everything() {
    tell(
        fixtures::monitor_mode_counts_and_passes(),
        &[
            "a monitored box drops nothing and counts what it would (IPv4)",
            "a monitored box passes frames that hide their ports, too (IPv6)",
            "mail from a monitored pool still has to get past the receiver's rule (IPv6)",
        ],
    );
}
