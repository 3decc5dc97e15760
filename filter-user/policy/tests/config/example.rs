//! The shipped example, and each option that it shows.

use std::{fs, path::Path, sync::Arc};

use filter_common::{ReturnTraffic, Role, Sources};
use policy::config::{Attach, Config, Egress, Forwarding, Loaded, Memory, PoolKind};

use crate::load;

const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config");

fn example() -> Loaded {
    let files = ["poolguard.toml", "customers.d/acme.toml"].into_iter();
    let files = files.fold(Memory::default(), |files, file| {
        files.with(file, text(file))
    });
    load(&files).unwrap()
}

fn text(file: &str) -> String {
    fs::read_to_string(Path::new(DIRECTORY).join(file)).unwrap()
}

#[test]
fn it_is_valid() {
    let loaded = example();
    assert_eq!(loaded.warnings.render(false), "");
    assert_eq!(loaded.texts.paths().len(), 2);
    let Config {
        monitor,
        forwarding,
        interfaces,
        ports,
        mail,
        pools,
        customers,
        metrics,
        max_change,
        included,
        hash,
        listed,
    } = Arc::unwrap_or_clone(loaded.config);
    assert!(listed.is_empty());
    assert!(!monitor);
    assert_eq!(forwarding, Forwarding::Kernel);
    let interfaces: Vec<_> = interfaces
        .iter()
        .map(|interface| (interface.name.as_str(), interface.role, interface.attach))
        .collect();
    let expected = [
        ("eth1", Role::Customer, Attach::Native),
        ("eth0", Role::Network, Attach::Native),
    ];
    assert_eq!(interfaces, expected);
    assert_eq!(ports.forbidden.len(), 10);
    assert_eq!(ports.return_traffic, ReturnTraffic::Track);
    assert_eq!(mail.servers.len(), 2);
    assert_eq!(mail.ports, [25]);
    assert!(!mail.direct_smtp);
    let pools: Vec<_> = pools
        .iter()
        .map(|pool| (pool.name.as_str(), pool.kind))
        .collect();
    let expected = [
        ("dialup-east", PoolKind::Dynamic),
        ("business-dsl", PoolKind::Static),
    ];
    assert_eq!(pools, expected);
    let [acme] = customers.as_slice() else {
        panic!("one customer");
    };
    assert_eq!(acme.name, "acme");
    let allowed: Vec<_> = acme
        .terms
        .allow_inbound
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(allowed, ["25", "443/tcp"]);
    assert!(acme.terms.allow_smtp_out);
    assert_eq!(acme.ticket.as_deref(), Some("NOC-4711"));
    assert_eq!(acme.terms.expires, None);
    assert_eq!(acme.source.line, 2);
    assert_eq!(metrics.listen.to_string(), "127.0.0.1:9188");
    assert_eq!(max_change.to_string(), "10%");
    assert_eq!(hash.len(), 16);
    let [customers_d] = included.as_slice() else {
        panic!("one pattern");
    };
    assert_eq!(customers_d.pattern, "customers.d/*.toml");
    assert_eq!((customers_d.files.len(), customers_d.amount), (1, 1));
}

/// The line with `option`, which is commented out, without the `#`.
fn uncommented(text: &str, option: &str) -> String {
    let commented = format!("# {option}");
    assert_eq!(text.matches(&commented).count(), 1, "{commented}");
    text.replace(&commented, option)
}

#[track_caller]
fn with_option(option: &str) -> Config {
    let (main, acme) = (text("poolguard.toml"), text("customers.d/acme.toml"));
    let (main, acme) = match main.contains(option) {
        true => (uncommented(&main, option), acme),
        false => (main, uncommented(&acme, option)),
    };
    let files = Memory::default()
        .with("poolguard.toml", main)
        .with("customers.d/acme.toml", acme);
    Arc::unwrap_or_clone(load(&files).unwrap().config)
}

#[test]
fn its_options_do_what_it_says() {
    let config = with_option("attach = \"generic\"");
    assert_eq!(config.interfaces[1].attach, Attach::Generic);

    let config = with_option("sources = \"monitor\"");
    assert_eq!(config.interfaces[0].sources, Sources::Monitor);
    assert_eq!(config.interfaces[1].sources, Sources::Any);

    let config = with_option("egress = \"off\"");
    let egress = config.interfaces.iter().map(|interface| interface.egress);
    assert!(egress.eq([Egress::Off; 2]));

    let config = with_option("direct_smtp = \"pass\"");
    assert!(config.mail.direct_smtp && !config.mail.smtp_replies);

    let config = with_option("smtp_replies = \"pass\"");
    assert!(config.mail.smtp_replies && !config.mail.direct_smtp);

    let config = with_option("enforcement = \"monitor\"");
    assert!(config.pools[1].monitor && !config.pools[0].monitor && !config.monitor);

    let config = with_option("expires = 2027-01-31");
    let expires = config.customers[0].terms.expires.unwrap();
    assert_eq!(expires.to_string(), "2027-02-01T00:00:00Z");
}

#[test]
fn its_wire_joins_its_interfaces() {
    let main = uncommented(&text("poolguard.toml"), "forwarding = \"wire\"");
    let main = uncommented(&main, "[[wire]]");
    let main = uncommented(&main, "ends = [\"eth1\", \"eth0\"]");
    let files = Memory::default()
        .with("poolguard.toml", main)
        .with("customers.d/acme.toml", text("customers.d/acme.toml"));
    let loaded = load(&files).unwrap();
    assert_eq!(loaded.warnings.render(false), "");
    assert_eq!(loaded.config.other_end("eth1"), Some("eth0"));
    assert_eq!(loaded.config.other_end("eth0"), Some("eth1"));
}

#[test]
fn its_customer_list_has_the_columns_that_it_says() {
    let main = text("poolguard.toml");
    let said = main
        .lines()
        .find(|line| line.contains("prefix,allow_inbound"));
    let columns = said.and_then(|line| line.rsplit(' ').next());
    let row = "203.0.113.32/29,25 443/tcp,true,bcme,2027-01-31,NOC-1";
    let list = format!("{}\n{row}\n", columns.unwrap());
    let files = Memory::default()
        .with(
            "poolguard.toml",
            uncommented(&main, "customer_lists = [\"customers.csv\"]"),
        )
        .with("customers.csv", list);
    assert_eq!(load(&files).unwrap().config.listed.len(), 1);
}

#[test]
fn its_shorter_list_of_ports_closes_fewer() {
    let main = uncommented(&text("poolguard.toml"), "forbidden = [25, 80]");
    let files = Memory::default().with("poolguard.toml", main);
    let config = load(&files).unwrap().config;
    let ports = config.pools[1].forbidden.as_ref().unwrap();
    assert_eq!(ports.len(), 2);
}

#[test]
fn no_option_of_it_is_untested() {
    let options: Vec<_> = [text("poolguard.toml"), text("customers.d/acme.toml")]
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| line.strip_prefix("# ")?.split_once(" = "))
        .map(|(key, _)| key.to_owned())
        .collect();
    let tested = [
        "forwarding",
        "customer_lists",
        "sources",
        "egress",
        "attach",
        "ends",
        "direct_smtp",
        "smtp_replies",
        "forbidden",
        "enforcement",
        "expires",
    ];
    assert_eq!(options, tested);
}
