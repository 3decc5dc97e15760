//! A change for people.

use std::fmt::{self, Write as _};

use super::{Addresses, Change, Entry, Sign, What};
use crate::config::Share;

impl Change {
    /// A line for each piece, `-` where it is lost and `+` where it is gained,
    /// and what that comes to.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for entry in &self.entries {
            let _infallible = writeln!(text, "{entry}");
        }
        if self.more_exemptions {
            text.push_str("  and more exemptions: `poolguard diff OLD NEW` lists all of them\n");
        }
        for exemption in &self.kept {
            let _infallible = writeln!(text, "  {exemption}: kept");
        }
        if self.is_none() {
            text.push_str("nothing would change\n");
            return text;
        }
        text.push('\n');
        for (word, addresses) in [("opened", self.opened), ("closed", self.closed)] {
            let _infallible = writeln!(text, "{word}: {}", self.shares(addresses));
        }
        for (count, verb) in [(self.gained, "gain"), (self.lost, "lose")] {
            let _infallible = match count {
                0 => Ok(()),
                1 => writeln!(text, "1 customer with exemptions {verb}s something"),
                count => writeln!(text, "{count} customers with exemptions {verb} something"),
            };
        }
        for refusal in [&self.too_much, &self.sides].into_iter().flatten() {
            let _infallible = writeln!(text, "\na reload would be refused: {refusal}");
        }
        text
    }

    fn shares(&self, part: Addresses) -> String {
        let parts: Vec<_> = [
            (part.ipv4, self.customers.ipv4, "IPv4 addresses"),
            (part.ipv6_64s, self.customers.ipv6_64s, "IPv6 /64s"),
        ]
        .into_iter()
        .filter(|&(part, _, _)| part > 0)
        .map(|(part, whole, unit)| match Share::of(part, whole) {
            Some(share) => format!("{part} {unit}, {share} of the customers' {whole}"),
            None => format!("{part} {unit}, where there is no customer yet"),
        })
        .collect();
        match parts.is_empty() {
            true => "nothing".to_owned(),
            false => parts.join("; "),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.sign {
            Sign::Lost => '-',
            Sign::Gained => '+',
        };
        write!(f, "{sign} {}", self.what)?;
        match self.affects {
            Some(addresses) => write!(f, ": {addresses}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting { key, value } => write!(f, "{key} = {value}"),
            Self::Interface {
                name,
                role,
                attach,
                sources,
                egress,
            } => {
                write!(f, "interface {name} (role {role}, {attach}")?;
                match sources.as_str() {
                    "" | "any" => {}
                    sources => write!(f, ", sources {sources}")?,
                }
                // Nothing leaves an interface of role `network` for a customer.
                match egress.as_str() {
                    "off" if role != "network" => f.write_str(", egress off)"),
                    _ => f.write_str(")"),
                }
            }
            Self::Wire { ends: [one, other] } => write!(f, "wire {one} - {other}"),
            Self::Included {
                key,
                pattern,
                amount,
            } => {
                let (key, unit) = (key.name(), key.unit());
                match amount {
                    0 => write!(f, "{key} {pattern:?}: no {unit}"),
                    1 => write!(f, "{key} {pattern:?}: 1 {unit}"),
                    amount => write!(f, "{key} {pattern:?}: {amount} {unit}s"),
                }
            }
            Self::MailServer { prefix } => write!(f, "mail server {prefix}"),
            Self::PoolPrefix { pool, prefix, kind } => {
                write!(f, "pool {pool} ({kind}) {prefix}")
            }
            Self::PoolSetting { pool, key, value } => write!(f, "pool {pool} {key} = {value}"),
            Self::Forbidden { pool, ports } => {
                write!(f, "pool {pool} forbids {}", words(ports, false))
            }
            Self::Exemption {
                customer,
                prefix,
                ports,
                smtp_out,
                expires,
            } => {
                write!(
                    f,
                    "exemption {customer} {prefix} {}",
                    words(ports, *smtp_out)
                )?;
                expires.map_or(Ok(()), |expires| write!(f, " until {expires}"))
            }
            Self::TemporaryExemption {
                id,
                prefix,
                ports,
                smtp_out,
                expires,
            } => {
                let opens = words(ports, *smtp_out);
                write!(
                    f,
                    "temporary exemption {id} {prefix} {opens} until {expires}"
                )
            }
        }
    }
}

/// `25, 443/tcp, smtp_out`.
fn words(ports: &[crate::config::PortSpec], smtp_out: bool) -> String {
    let ports = ports.iter().map(ToString::to_string);
    let smtp_out = smtp_out.then(|| "smtp_out".to_owned());
    ports.chain(smtp_out).collect::<Vec<_>>().join(", ")
}
