//! Providers of three sizes, what they change every day, and what slips do.

use std::{fmt::Write as _, path::Path};

use policy::{
    config::{self, Memory},
    intent::Intent,
};

use crate::now;

/// A provider's files, piece by piece.
#[derive(Clone)]
pub(crate) struct Provider {
    /// What stands at the top of the main file.
    pub(crate) top: String,
    pub(crate) mail: String,
    pub(crate) pools: Vec<Pool>,
    /// `lists/business.csv`, after its header.
    pub(crate) business: Vec<Customer>,
    /// `east/east.csv`, after its header. It is named by a pattern.
    pub(crate) east: Vec<Customer>,
    /// `customers.d/NUMBER.toml`, each with one customer.
    pub(crate) tables: Vec<Customer>,
    /// What `customer_lists` says.
    pub(crate) lists: String,
}

#[derive(Clone)]
pub(crate) struct Pool {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) prefixes: Vec<String>,
    /// Other keys.
    pub(crate) more: String,
}

#[derive(Clone)]
pub(crate) struct Customer {
    pub(crate) name: String,
    pub(crate) prefix: String,
    pub(crate) ports: String,
    pub(crate) expires: String,
}

pub(crate) fn pool(name: &str, kind: &'static str, prefixes: &[&str]) -> Pool {
    Pool {
        name: name.to_owned(),
        kind,
        prefixes: prefixes.iter().map(ToString::to_string).collect(),
        more: String::new(),
    }
}

pub(crate) fn customer(name: &str, prefix: &str) -> Customer {
    Customer {
        name: name.to_owned(),
        prefix: prefix.to_owned(),
        ports: "25 443".to_owned(),
        expires: "2026-12-31".to_owned(),
    }
}

impl Provider {
    /// With so many pools of modems, and so many pools of so many customers each. Beside
    /// them a pool with two customers in files of their own.
    fn new(dialup: usize, business: usize, customers: usize) -> Self {
        let mut provider = Self {
            top: String::new(),
            mail: "servers = [\"192.0.2.25\"]\n".to_owned(),
            pools: vec![pool("office", "static", &["203.0.113.0/27"])],
            business: Vec::new(),
            east: Vec::new(),
            tables: vec![
                customer("first", "203.0.113.0/29"),
                customer("second", "203.0.113.8/29"),
            ],
            lists: "\"lists/business.csv\", \"east/*.csv\"".to_owned(),
        };
        for number in 0..dialup {
            // 10.0.0.0/20, 10.0.32.0/20, ...: there is room beside each.
            let (high, low) = (number / 8, number % 8 * 32);
            let v4 = format!("10.{high}.{low}.0/20");
            let v6 = format!("2001:db8:{number:x}::/48");
            let name = format!("dialup-{number}");
            provider.pools.push(pool(&name, "dynamic", &[&v4, &v6]));
        }
        for number in 0..business {
            let (high, low) = (16 + number / 32, number % 32 * 8);
            let v4 = format!("172.{high}.{low}.0/21");
            let v6 = format!("2001:db9:{:x}::/44", number * 16);
            let name = format!("business-{number}");
            provider.pools.push(pool(&name, "static", &[&v4, &v6]));
            for place in 0..customers {
                let (third, fourth) = (low + place / 64, place % 64 * 4);
                let name = format!("customer {number}-{place}");
                let prefix = format!("172.{high}.{third}.{fourth}/30");
                let list = match place % 3 {
                    0 if number == 0 => &mut provider.east,
                    _ => &mut provider.business,
                };
                list.push(customer(&name, &prefix));
            }
        }
        provider
    }

    /// 3 pools and 20 customers, 30 and 2,002, 901 and 18,002.
    pub(crate) fn sizes() -> [(&'static str, Self); 3] {
        let mut large = Self::new(600, 300, 60);
        // It would hide everything, if addresses of all pools were added up.
        large.pools.push(pool(
            "cable",
            "dynamic",
            &["100.64.0.0/10", "2001:dba::/32"],
        ));
        [
            ("small", Self::new(1, 1, 18)),
            ("medium", Self::new(19, 10, 200)),
            ("large", large),
        ]
    }

    pub(crate) fn pool(&mut self, name: &str) -> &mut Pool {
        self.pools
            .iter_mut()
            .find(|pool| pool.name == name)
            .unwrap()
    }

    pub(crate) fn intent(&self) -> Intent {
        let mut main = format!(
            "{}include = [\"customers.d/*.toml\"]\ncustomer_lists = [{}]\n\
             [[interface]]\nname = \"eth1\"\nrole = \"customer\"\n\
             [[interface]]\nname = \"eth0\"\nrole = \"network\"\n[mail]\n{}",
            self.top, self.lists, self.mail
        );
        for Pool {
            name,
            kind,
            prefixes,
            more,
        } in &self.pools
        {
            let _infallible = write!(
                main,
                "[[pool]]\nname = \"{name}\"\nkind = \"{kind}\"\nprefixes = {prefixes:?}\n{more}"
            );
        }
        let list = |customers: &[Customer]| {
            let rows = customers.iter().map(|customer| {
                let Customer {
                    name,
                    prefix,
                    ports,
                    expires,
                } = customer;
                format!("{prefix},{name},{ports},{expires}\n")
            });
            "prefix,customer,allow_inbound,expires\n".to_owned() + &rows.collect::<String>()
        };
        let mut files = Memory::default()
            .with("poolguard.toml", main)
            .with("lists/business.csv", list(&self.business))
            .with("lists/renamed.csv", list(&self.business))
            .with("east/east.csv", list(&self.east));
        for (number, customer) in self.tables.iter().enumerate() {
            let ports = customer.ports.replace(' ', ", ");
            let text = format!(
                "[[customer]]\nname = \"{}\"\nprefixes = [\"{}\"]\nallow_inbound = [{ports}]\n\
                 expires = {}\n",
                customer.name, customer.prefix, customer.expires
            );
            files = files.with(format!("customers.d/{number}.toml"), text);
        }
        let loaded = config::load_from(&files, Path::new("poolguard.toml"), now());
        loaded
            .unwrap_or_else(|report| panic!("{report}"))
            .config
            .into()
    }
}

/// Something that is done to the files.
pub(crate) type Edit = fn(&mut Provider);

/// What nobody has to force.
pub(crate) const EVERYDAY: &[(&str, Edit)] = &[
    ("a customer comes", |p| {
        p.business.push(customer("new", "172.16.3.0/29"));
    }),
    ("a customer goes", |p| drop(p.business.remove(0))),
    ("eight customers come to a pool at once", |p| {
        for place in 0..8 {
            let prefix = format!("172.16.3.{}/30", 128 + place * 4);
            p.business.push(customer(&format!("new {place}"), &prefix));
        }
    }),
    ("a third customer comes to a pool of two", |p| {
        p.tables.push(customer("third", "203.0.113.16/29"));
    }),
    ("one of the two customers of a pool goes", |p| {
        p.tables.truncate(1);
    }),
    ("a customer gets half of a pool", |p| {
        p.tables.push(customer("third", "203.0.113.16/28"));
    }),
    ("a customer gets an IPv6 /48", |p| {
        p.business.push(customer("new", "2001:db9:3::/48"));
    }),
    ("one of a hundred customers goes, and one comes", |p| {
        let mut number = 0;
        for customer in p.business.iter_mut().step_by(100) {
            number += 1;
            customer.name = format!("another {number}");
            customer.ports = "80".to_owned();
        }
    }),
    ("a customer gets a port more", |p| {
        p.tables[0].ports = "25 80 443".to_owned();
    }),
    ("a customer loses a port", |p| {
        p.tables[0].ports = "443".to_owned();
    }),
    ("a customer gets other addresses", |p| {
        p.tables[0].prefix = "203.0.113.24/29".to_owned();
    }),
    ("a customer gets another name", |p| {
        p.business[0].name = "Acme Ltd".to_owned();
    }),
    ("all exemptions are renewed", |p| {
        for customer in p.business.iter_mut().chain(&mut p.east) {
            customer.expires = "2027-12-31".to_owned();
        }
    }),
    ("a list gets another name", |p| {
        p.lists = p.lists.replace("business", "renamed");
    }),
    ("customers move from a list to another", |p| {
        let moved = std::mem::take(&mut p.east);
        p.business.extend(moved);
    }),
    ("a pool comes", |p| {
        p.pools.push(pool("new", "dynamic", &["10.200.0.0/20"]));
        let (v4, v6) = ("172.31.0.0/22", "2001:db9:fff0::/44");
        p.pools.push(pool("new too", "static", &[v4, v6]));
    }),
    ("a pool comes with its customers", |p| {
        p.pools.push(pool("new", "static", &["172.31.0.0/22"]));
        for place in 0..60 {
            let prefix = format!("172.31.0.{}/30", place * 4);
            p.business.push(customer(&format!("new {place}"), &prefix));
        }
    }),
    ("a pool gets one more prefix", |p| {
        let prefixes = &mut p.pool("dialup-0").prefixes;
        prefixes.push("10.200.0.0/22".to_owned());
    }),
    ("a pool doubles: its mask is shorter by a bit", |p| {
        p.pool("dialup-0").prefixes[0] = "10.0.0.0/19".to_owned();
    }),
    ("a pool gets another name", |p| {
        p.pool("dialup-0").name = "modems".to_owned();
    }),
    ("a pool is split in two", |p| {
        p.pool("dialup-0").prefixes[0] = "10.0.0.0/21".to_owned();
        p.pools
            .push(pool("other half", "dynamic", &["10.0.8.0/21"]));
    }),
    (
        "a part of a pool is for static customers from now on",
        |p| {
            p.pools.push(pool("new", "static", &["10.0.4.0/22"]));
        },
    ),
];

/// What is done in two steps, of which the first one is no slip either.
pub(crate) const NEXT: &[(&str, Edit, Edit)] = &[
    (
        "the first customer of a pool comes",
        |p| p.pools.push(pool("new", "static", &["172.31.0.0/24"])),
        |p| p.tables.push(customer("new", "172.31.0.0/29")),
    ),
    (
        "the first customer of a small pool comes",
        |p| p.pools.push(pool("new", "static", &["172.31.0.0/28"])),
        |p| p.tables.push(customer("new", "172.31.0.0/29")),
    ),
    (
        "three customers come to a pool that has none",
        |p| p.pools.push(pool("new", "static", &["172.31.0.0/24"])),
        |p| {
            for place in 0..3 {
                let prefix = format!("172.31.0.{}/29", place * 8);
                p.tables.push(customer(&format!("new {place}"), &prefix));
            }
        },
    ),
    (
        "the first pool with IPv6 comes",
        |p| {
            for pool in &mut p.pools {
                pool.prefixes.retain(|prefix| !prefix.contains("::"));
            }
        },
        |p| p.pools.push(pool("first", "dynamic", &["2001:dc0::/29"])),
    ),
    (
        "the only customer of a pool goes",
        |p| {
            p.pools.push(pool("new", "static", &["172.31.0.0/24"]));
            p.tables.push(customer("new", "172.31.0.0/29"));
        },
        |p| drop(p.tables.pop()),
    ),
];

/// What takes `--force`, and what is said of it.
pub(crate) const SLIPS: &[(&str, Edit, &str)] = &[
    (
        "a list is cut off after its header",
        |p| p.business.clear(),
        "take exemptions from all",
    ),
    (
        "a small list is cut off after its header",
        |p| p.east.clear(),
        "customers of customer_lists \"east/*.csv\", which has nothing left",
    ),
    (
        "a pattern matches nothing any more",
        |p| p.lists = p.lists.replace("east/", "eats/"),
        "customers of customer_lists \"east/*.csv\", which has nothing left",
    ),
    (
        "a directory of customers is empty",
        |p| p.tables.clear(),
        "take exemptions from all 2 customers of include \"customers.d/*.toml\"",
    ),
    (
        "half of a list is missing",
        |p| p.business.truncate(p.business.len() / 2),
        "take exemptions from",
    ),
    (
        "a list has every customer expire",
        |p| {
            for customer in &mut p.business {
                customer.expires = "2025-12-31".to_owned();
            }
        },
        "take exemptions from",
    ),
    (
        "a list opens a port more for everybody",
        |p| {
            for customer in &mut p.business {
                customer.ports = "25 80 443".to_owned();
            }
        },
        "give exemptions to",
    ),
    (
        "a customer has the mask of the pool",
        |p| {
            p.business.truncate(p.business.len() - 1);
            p.business.push(customer("wide", "172.16.0.0/21"));
        },
        "open ",
    ),
    (
        "a pool is deleted",
        |p| p.pools.retain(|pool| pool.name != "dialup-0"),
        "leave all addresses of pool dialup-0 in no pool",
    ),
    (
        "a small pool is deleted",
        |p| {
            p.pools.retain(|pool| pool.name != "office");
            p.tables.clear();
        },
        "leave all addresses of pool office in no pool",
    ),
    (
        "a pool's prefix is mistyped",
        |p| p.pool("dialup-0").prefixes[0] = "10.200.0.0/20".to_owned(),
        "leave all IPv4 addresses of pool dialup-0 in no pool",
    ),
    (
        "a pool's mask is too short",
        |p| p.pool("dialup-0").prefixes[0] = "10.0.0.0/16".to_owned(),
        "turn 10.0.0.0/20 of pool dialup-0 into 10.0.0.0/16",
    ),
    (
        "a pool's mask is too long",
        |p| p.pool("dialup-0").prefixes[0] = "10.0.0.0/24".to_owned(),
        "turn 10.0.0.0/20 of pool dialup-0 into 10.0.0.0/24",
    ),
    (
        "a pool's mask is too long by a bit",
        |p| p.pool("dialup-0").prefixes[0] = "10.0.0.0/21".to_owned(),
        "open 2048 IPv4 addresses of pool dialup-0 (50% of 4096)",
    ),
    (
        "a static pool becomes dynamic",
        |p| {
            p.pool("office").kind = "dynamic";
            p.tables.clear();
        },
        "turn pool office from static into dynamic",
    ),
    (
        "a dynamic pool becomes static",
        |p| p.pool("dialup-0").kind = "static",
        "turn pool dialup-0 from dynamic into static",
    ),
    (
        "enforcement is toggled",
        |p| p.top = "enforcement = \"monitor\"\n".to_owned(),
        "open 32 IPv4 addresses of pool office (100% of 32)",
    ),
    (
        "enforcement of a small pool is toggled",
        |p| p.pool("office").more = "enforcement = \"monitor\"\n".to_owned(),
        "open 32 IPv4 addresses of pool office (100% of 32)",
    ),
    (
        "a pool forbids nothing",
        |p| p.pool("dialup-0").more = "forbidden = []\n".to_owned(),
        "of pool dialup-0 (100% of 4096)",
    ),
    (
        "a mail server is mistyped",
        |p| p.mail = p.mail.replace(".25", ".52"),
        "close 32 IPv4 addresses of pool office (100% of 32)",
    ),
    (
        "mail may go anywhere",
        |p| p.mail.push_str("direct_smtp = \"pass\"\n"),
        "open 32 IPv4 addresses of pool office (100% of 32)",
    ),
    (
        "a new pool is far too large",
        |p| p.pools.push(pool("new", "static", &["172.64.0.0/10"])),
        "IPv4 addresses to static pools, where the largest pool has 2048",
    ),
];
