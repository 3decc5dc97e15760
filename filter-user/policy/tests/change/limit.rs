//! How much may change at once.

use policy::{
    change::{Change, Extent, check_limit},
    config::Share,
    intent::Intent,
};

use crate::{
    intent, now,
    provider::{EVERYDAY, NEXT, Provider, SLIPS},
};

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
    refusal_of(&intent(old), &intent(new), limit)
}

fn refusal_of(old: &Intent, new: &Intent, limit: Share) -> Option<String> {
    let change = Change::between(old, new, now());
    let extent = Extent::between(old, new, now());
    let totals = (change.customers, change.opened, change.closed);
    assert_eq!(totals, (extent.customers, extent.opened, extent.closed));
    assert_eq!((change.gained, change.lost), (extent.gained, extent.lost));
    let refused = check_limit(&extent, limit).err();
    let refused = refused.map(|error| error.to_string());
    if limit == old.config.max_change {
        assert_eq!(change.too_much, refused);
    }
    refused
}

const TENTH: Share = Share::percent(10);

fn everyday(number: usize) {
    let (size, before) = &Provider::sizes()[number];
    let old = before.intent();
    let mut wrong = Vec::new();
    for (name, edit) in EVERYDAY {
        let mut after = before.clone();
        edit(&mut after);
        if let Some(refused) = refusal_of(&old, &after.intent(), TENTH) {
            wrong.push(format!("{name}: {refused}"));
        }
    }
    for (name, first, edit) in NEXT {
        let mut before = before.clone();
        first(&mut before);
        let mut after = before.clone();
        edit(&mut after);
        if let Some(refused) = refusal_of(&before.intent(), &after.intent(), TENTH) {
            wrong.push(format!("{name}: {refused}"));
        }
    }
    assert!(wrong.is_empty(), "{size}\n{}", wrong.join("\n"));
}

fn slips(number: usize) {
    let (size, before) = &Provider::sizes()[number];
    let old = before.intent();
    let mut wrong = Vec::new();
    for (name, edit, words) in SLIPS {
        let mut after = before.clone();
        edit(&mut after);
        let new = after.intent();
        match refusal_of(&old, &new, TENTH) {
            Some(refused) if refused.contains(words) => {}
            refused => wrong.push(format!("{name}: {refused:?}")),
        }
        assert_eq!(refusal_of(&old, &new, Share::WHOLE), None, "{name}");
    }
    assert!(wrong.is_empty(), "{size}\n{}", wrong.join("\n"));
}

#[test]
fn what_a_small_provider_does_every_day_needs_no_force() {
    everyday(0);
}

#[test]
fn what_a_medium_provider_does_every_day_needs_no_force() {
    everyday(1);
}

#[test]
fn what_a_large_provider_does_every_day_needs_no_force() {
    everyday(2);
}

#[test]
fn slips_of_a_small_provider_are_refused() {
    slips(0);
}

#[test]
fn slips_of_a_medium_provider_are_refused() {
    slips(1);
}

#[test]
fn slips_of_a_large_provider_are_refused() {
    slips(2);
}

/// Under a limit of nothing a customer may come or go all the same, but never all of
/// them: not a hundred single addresses, nor the last one.
#[test]
fn the_last_exemptions_do_not_go_without_force() {
    let business = |customers: u32| {
        let mut text = pool(1 << 20, "max_change = \"0%\"\n");
        text.push_str(
            "[[pool]]\nname = \"business\"\nkind = \"static\"\n\
             prefixes = [\"203.0.113.0/24\"]\n",
        );
        for number in 0..customers {
            text.push_str(&format!(
                "[[customer]]\nname = \"{number}\"\nprefixes = [\"203.0.113.{number}\"]\n\
                 allow_inbound = [25, 80]\n"
            ));
        }
        text
    };
    let nothing = Share::percent(0);
    for (before, after, is_fine) in [
        (96, 0, false),
        (96, 87, false),
        (96, 88, true),
        (8, 6, true),
        (8, 5, false),
        (3, 2, true),
        (3, 1, false),
        (2, 1, true),
        (2, 0, false),
        (1, 0, false),
        (0, 1, true),
        (0, 8, true),
        (0, 9, false),
    ] {
        let refused = refusal(&business(before), &business(after), nothing);
        assert_eq!(refused.is_none(), is_fine, "{before} {after}: {refused:?}");
    }
    // A port less is not the last of them.
    let narrower = business(1).replace("[25, 80]", "[25]");
    assert_eq!(refusal(&business(1), &narrower, nothing), None);
}

/// A pool, a change of it and the limit: nothing is hidden by another pool.
#[test]
fn little_of_a_pool_may_change_and_never_more_than_half_of_it() {
    let dialup = |length: u8, part: Option<u8>| {
        let part = part.map(|part| {
            format!(
                "[[pool]]\nname = \"part\"\nkind = \"dynamic\"\nforbidden = []\n\
                 prefixes = [\"198.51.96.0/{part}\"]\n"
            )
        });
        format!(
            "{}[[pool]]\nname = \"small\"\nkind = \"dynamic\"\n\
             prefixes = [\"198.51.96.0/{length}\"]\n{}",
            pool(1 << 20, ""),
            part.unwrap_or_default()
        )
    };
    for (length, part, is_fine) in [
        (24, 25, true),
        (31, 32, true),
        (22, 24, true),
        (22, 23, false),
        // Less than a tenth.
        (19, 23, true),
        (19, 22, false),
    ] {
        let refused = refusal(&dialup(length, None), &dialup(length, Some(part)), TENTH);
        assert_eq!(
            refused.is_none(),
            is_fine,
            "/{part} of /{length}: {refused:?}"
        );
    }
}

#[test]
fn what_is_too_much_is_counted_where_it_is_a_lot() {
    let (_, before) = &Provider::sizes()[1];
    let mut after = before.clone();
    after.top = "enforcement = \"monitor\"\n".to_owned();
    let refused = refusal_of(&before.intent(), &after.intent(), TENTH).unwrap();
    let after_three = ", do 66 more things like that, and `max_change` is 10%. ";
    assert!(refused.contains(after_three), "{refused}");
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
    let both = format!("{old}{ipv6}");
    assert_eq!(refusal(&old, &both, TENTH), None, "the first of a family");
    // The second may be as large as the first, and no larger.
    let second = |prefix| {
        let name = "[[pool]]\nname = \"v6-2\"\nkind = \"dynamic\"";
        refusal(
            &both,
            &format!("{both}{name}\nprefixes = [\"{prefix}\"]\n"),
            TENTH,
        )
    };
    assert_eq!(second("2001:db8:100::/40"), None);
    let refused = second("2001:db8:200::/39").unwrap();
    assert!(
        refused.contains(
            "add 33554432 IPv6 /64s to dynamic pools, where the largest pool has \
             16777216"
        ),
        "{refused}"
    );
    // The first of a kind in a family is held against those of the other.
    let first = |prefix| {
        let name = "[[pool]]\nname = \"office\"\nkind = \"static\"";
        refusal(
            &both,
            &format!("{both}{name}\nprefixes = [\"{prefix}\"]\n"),
            TENTH,
        )
    };
    assert_eq!(first("2001:db8:100::/40"), None);
    assert!(first("2001:db8:200::/39").is_some());
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
    let wide = refusal(&old, &old.replace("192.0.2.25", "192.0.0.0/9"), TENTH).unwrap();
    assert!(wide.contains("open 65536"), "{wide}");
    let split = old.replace("\"192.0.2.25\"", "\"192.0.2.24/31\"");
    let same = old.replace("\"192.0.2.25\"", "\"192.0.2.25\", \"192.0.2.24\"");
    assert_eq!(refusal(&split, &same, TENTH), None);
}
