//! How much may change at once.

use policy::{
    change::{Change, Extent, check_limit},
    config::Share,
};

use crate::{intent, now};

/// A box with a dynamic pool of so many addresses, a power of two.
fn pool(addresses: u32, extra: &str) -> String {
    let length = 32 - addresses.trailing_zeros();
    format!(
        "{extra}[[interface]]\nname = \"eth1\"\nrole = \"customer\"\n\
         [mail]\nservers = [\"192.0.2.25\"]\n\
         [[pool]]\nname = \"dialup\"\nkind = \"dynamic\"\nprefixes = [\"10.0.0.0/{length}\"]\n"
    )
}

/// What is said against a change under a limit.
fn refusal(old: &str, new: &str, limit: Share) -> Option<String> {
    let change = Change::between(&intent(old), &intent(new), now());
    let extent = Extent::between(&intent(old), &intent(new), now());
    assert_eq!(change.extent(), extent);
    check_limit(extent, limit)
        .err()
        .map(|error| error.to_string())
}

const TENTH: Share = Share::percent(10);

#[test]
fn a_small_box_may_change_as_it_likes() {
    let monitored = "enforcement = \"monitor\"\n";
    assert_eq!(refusal(&pool(256, ""), &pool(256, monitored), TENTH), None);
    assert_eq!(
        refusal(&pool(512, ""), &pool(512, monitored), TENTH).as_deref(),
        Some(
            "it would open 512 IPv4 addresses of customers (100% of 512), and `max_change` is \
             10%. `poolguard diff` shows what would change; `poolguard reload --force` does it \
             all the same"
        )
    );
}

#[test]
fn both_directions_count_on_their_own() {
    let refused = refusal(&pool(65_536, ""), &pool(32_768, ""), TENTH).unwrap();
    assert!(
        refused.contains("open 32768 IPv4 addresses of customers (50% of 65536)"),
        "{refused}"
    );
    let refused = refusal(&pool(32_768, ""), &pool(65_536, ""), TENTH).unwrap();
    assert!(
        refused.contains("close 32768 IPv4 addresses of customers (100% of 32768)"),
        "{refused}"
    );
    let moved = pool(65_536, "").replace("10.0.0.0", "10.1.0.0");
    let refused = refusal(&pool(65_536, ""), &moved, TENTH).unwrap();
    assert!(refused.contains("open 65536"), "{refused}");
    assert!(refused.contains(", close 65536"), "{refused}");
}

#[test]
fn a_share_that_is_reached_is_not_exceeded() {
    let half = Share::percent(50);
    assert_eq!(refusal(&pool(65_536, ""), &pool(32_768, ""), half), None);
    let less: Share = "49.9999%".parse().unwrap();
    assert!(refusal(&pool(65_536, ""), &pool(32_768, ""), less).is_some());
    assert_eq!(
        refusal(&pool(512, ""), &pool(1 << 24, ""), Share::WHOLE),
        None
    );
}

#[test]
fn the_families_are_not_mixed() {
    let ipv6 = "[[pool]]\nname = \"v6\"\nkind = \"dynamic\"\nprefixes = [\"2001:db8::/40\"]\n";
    let old = pool(65_536, "");
    let refused = refusal(&old, &format!("{old}{ipv6}"), TENTH).unwrap();
    assert!(
        refused.contains("close 16777216 IPv6 /64s, where there is no customer yet"),
        "{refused}"
    );
    // Many IPv6 customers do not outweigh all of IPv4.
    let refused = refusal(
        &format!("{old}{ipv6}"),
        &format!("{}{ipv6}", pool(32_768, "")),
        TENTH,
    );
    assert!(refused.unwrap().contains("open 32768 IPv4 addresses"));
}

#[test]
fn where_mail_may_go_concerns_everyone_who_may_send_it_nowhere_else() {
    let old = pool(65_536, "");
    let gone = refusal(&old, &old.replace("\"192.0.2.25\"", ""), TENTH).unwrap();
    assert!(gone.contains("close 65536"), "{gone}");
    let wide = refusal(&old, &old.replace("192.0.2.25", "192.0.0.0/2"), TENTH).unwrap();
    assert!(wide.contains("open 65536"), "{wide}");
    let split = old.replace("\"192.0.2.25\"", "\"192.0.2.24/31\"");
    let same = old.replace("\"192.0.2.25\"", "\"192.0.2.25\", \"192.0.2.24\"");
    assert_eq!(refusal(&split, &same, TENTH), None);
}
