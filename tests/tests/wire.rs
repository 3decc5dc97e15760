//! Frames on a wire through a box that filters. Needs root.

use poolguard_tests::{chapters, configs, fixture::Fixture, fixtures, wire};

/// Stories that are told in a box of their own, of chapters whose stories share none.
const IN_BOXES_OF_THEIR_OWN: [&str; 11] = [
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
];

fn has_a_box_of_its_own(story: &Fixture) -> bool {
    IN_BOXES_OF_THEIR_OWN.contains(&story.name.as_str())
}

/// Tells those that share a configuration, and so a box, and a few others. The rest
/// would tell tables apart, which the program has been told already: what is new here
/// is how frames arrive.
fn tell(mut stories: Vec<Fixture>) {
    let shares_a_box = |story: &Fixture| story.config == configs::base() && !story.alone;
    stories.retain(|story| shares_a_box(story) || has_a_box_of_its_own(story));
    wire::tell_all(stories);
}

macro_rules! tell {
    ($($chapter:ident)*) => {
        $(
            #[test]
            fn $chapter() {
                tell(fixtures::$chapter());
            }
        )*
    };
}

chapters!(tell);

#[test]
fn each_story_with_a_box_of_its_own_is_there_once() {
    let chapters = fixtures::all().into_iter();
    let stories = chapters.flat_map(|(_, stories)| stories);
    let found = stories.filter(has_a_box_of_its_own).count();
    assert_eq!(found, IN_BOXES_OF_THEIR_OWN.len());
}
