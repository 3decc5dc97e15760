//! Whose address is this?
//!
//! Whoever asks gets one answer: `explain`, `exempt add`, and what reads events later.
//! The tables of the program give the same one, as numbers.

use ipnet::IpNet;

use crate::{
    config::{Holder, NoRoom, Pool, PortSpec, TemporaryExemption, words::list},
    intent::Intent,
    prefix_map::PrefixMap,
};

/// The addresses of an intent, by who has them.
///
/// ```
/// # use std::path::Path;
/// # use policy::{config::{Memory, load_from}, intent::Intent};
/// # let now = "2026-06-15T12:00:00Z".parse()?;
/// # let intent = |prefix: &str| {
/// #     let text = format!(
/// #         "[[interface]]\nname = \"eth1\"\nrole = \"mixed\"\n[mail]\nservers = [\"192.0.2.25\"]\n\
/// #          [[pool]]\nname = \"dialup\"\nkind = \"dynamic\"\nprefixes = [\"{prefix}\"]\n"
/// #     );
/// #     let files = Memory::default().with("poolguard.toml", text);
/// #     let loaded = load_from(&files, Path::new("poolguard.toml"), now);
/// #     loaded.map(|loaded| Intent::from(loaded.config))
/// # };
/// use std::net::IpAddr;
///
/// use policy::directory::Directory;
///
/// let intent = intent("203.0.113.0/24")?;
/// let address: IpAddr = "203.0.113.9".parse()?;
/// let owner = Directory::of(&intent).owner(address);
/// let (pool, prefix) = owner.pool.ok_or("it is in a pool")?;
/// assert_eq!((pool.name.as_str(), prefix.to_string()), ("dialup", "203.0.113.0/24".to_owned()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Directory<'a> {
    intent: &'a Intent,
    pools: PrefixMap<&'a Pool>,
    /// Customers of tables. The rows of lists are in order by themselves.
    customers: PrefixMap<usize>,
    mail_servers: PrefixMap<()>,
}

/// Who has an address, or all of a prefix.
#[derive(Clone, Debug)]
pub struct Owner<'a> {
    /// The pool, and which of its prefixes: the most specific one of all pools.
    pub pool: Option<(&'a Pool, IpNet)>,
    /// The customer, and which of its prefixes: the most specific one of all customers.
    /// Its exemptions may be over.
    pub customer: Option<(Holder<'a>, IpNet)>,
    /// The temporary exemptions around it, in the order in which they were given, over
    /// or not. None where the pool takes no exemptions, since they open nothing there.
    pub temporary: Vec<&'a TemporaryExemption>,
    /// Whether it is one of the mail servers.
    pub is_mail_server: bool,
}

impl<'a> Directory<'a> {
    /// Of all that is to hold.
    pub fn of(intent: &'a Intent) -> Self {
        let config = &intent.config;
        let customers = config.customers.iter().enumerate();
        let prefixes = customers.flat_map(|(number, customer)| {
            let prefixes = customer.prefixes.iter();
            prefixes.map(move |prefix| (*prefix, number))
        });
        let pools = config.pools.iter().flat_map(|pool| {
            let prefixes = pool.prefixes.iter();
            prefixes.map(move |prefix| (*prefix, pool))
        });
        let servers = config.mail.servers.iter();
        Self {
            intent,
            pools: PrefixMap::new(pools),
            customers: PrefixMap::new(prefixes),
            mail_servers: PrefixMap::new(servers.map(|prefix| (*prefix, ()))),
        }
    }

    /// All that is to hold.
    pub(crate) fn intent(&self) -> &'a Intent {
        self.intent
    }

    /// Who has all of a prefix. An address is a prefix of its whole length.
    pub fn owner(&self, prefix: impl Into<IpNet>) -> Owner<'a> {
        let prefix = prefix.into();
        let pool = self.pool(&prefix);
        let takes_any = pool.is_some_and(|(pool, _)| pool.kind.takes_exemptions());
        let temporary = self.intent.temporary.iter();
        Owner {
            pool,
            customer: self.customer(&prefix),
            temporary: temporary
                .filter(|exemption| takes_any && exemption.prefix.contains(&prefix))
                .collect(),
            is_mail_server: self.mail_servers.containing(&prefix).is_some(),
        }
    }

    fn pool(&self, prefix: &IpNet) -> Option<(&'a Pool, IpNet)> {
        let found = self.pools.containing(prefix);
        found.map(|&(prefix, pool)| (pool, prefix))
    }

    /// The customer who has all of a prefix, and with which of its prefixes: the most specific
    /// one. Its exemptions may be over.
    pub fn customer(&self, prefix: &IpNet) -> Option<(Holder<'a>, IpNet)> {
        let config = &self.intent.config;
        let of_table = self.customers.containing(prefix);
        let of_table = of_table.map(|&(prefix, number)| (number, prefix));
        let rows = config.listed.around(prefix);
        let of_lists = rows.map(|(row, prefix)| (config.number_of_row(row), prefix));
        let most_specific = of_table
            .into_iter()
            .chain(of_lists)
            .max_by_key(|(_, prefix)| prefix.prefix_len())?;
        let (number, prefix) = most_specific;
        Some((config.holder(number), prefix))
    }

    /// Whether all that a temporary exemption names can be exempted there.
    ///
    /// # Errors
    ///
    /// When it cannot.
    pub fn room_for(&self, prefix: IpNet, ports: &[PortSpec]) -> Result<(), NoRoom> {
        let Some((pool, pool_prefix)) = self.pool(&prefix) else {
            return Err(NoRoom::OutsidePools { prefix });
        };
        if !pool.kind.takes_exemptions() {
            return Err(NoRoom::KindTakesNone {
                prefix,
                pool: pool.name.clone(),
                pool_prefix,
                kind: pool.kind.name(),
            });
        }
        // More specific pools have rules of their own for their part of it.
        let inside = self.pools.inside(&prefix).iter().map(|&(_, pool)| pool);
        let pools: Vec<&Pool> = inside
            .filter(|pool| pool.kind.takes_exemptions())
            .chain([pool])
            .collect();
        let config = &self.intent.config;
        let is_forbidden = |port: PortSpec| {
            let mut specs = pools.iter().flat_map(|pool| config.forbidden_toward(pool));
            specs.any(|spec| spec.overlaps(port))
        };
        match ports.iter().find(|&&port| !is_forbidden(port)) {
            None => Ok(()),
            Some(&port) => {
                let forbidden = config.forbidden_toward(pool).iter();
                let forbidden: Vec<_> = forbidden.map(ToString::to_string).collect();
                Err(NoRoom::NotForbidden {
                    port,
                    prefix,
                    pool: pool.name.clone(),
                    forbidden: match forbidden.is_empty() {
                        true => "nothing".to_owned(),
                        false => list(&forbidden, "and"),
                    },
                })
            }
        }
    }
}
