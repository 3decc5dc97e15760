//! Frames on a wire through a box that filters. Needs root.

use poolguard_tests::{
    chapters, configs,
    fixture::Fixture,
    test_each,
    wire::{self, Choice},
};

/// The rest would tell tables apart, which the program has been told already: what is new
/// here is how frames arrive.
fn choice() -> Choice {
    Choice {
        of: vec![configs::base()],
        alone: &[
            "an answer passes once the customer has spoken (tcp, IPv4)",
            "an answer passes once the customer has spoken (udp, IPv6)",
            "what differs in one thing from the answer is dropped (tcp, IPv6)",
            "a first fragment opens a flow, a later one does not (IPv4)",
            "with \"syn\", what opens a connection is dropped and what goes on with one passes (IPv4)",
            "a monitored box drops nothing and counts what it would (IPv4)",
            "a monitored box passes frames that hide their ports, too (IPv6)",
            "a range is closed, and its neighbours are open (IPv4)",
            "mail from elsewhere is the Internet's (IPv4)",
            "rule 7 is about every IP packet (IPv6)",
            "mail from a monitored pool still has to get past the receiver's rule (IPv6)",
        ],
        untold: &[],
    }
}

fn tell(stories: Vec<Fixture>) {
    wire::tell_all(choice().among(stories));
}

chapters!(test_each, tell);

#[test]
fn the_choice_of_stories_holds() {
    choice().check();
}
