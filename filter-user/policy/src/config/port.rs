//! Ports, and ranges of them, as the configuration writes them.

use std::{fmt, ops::RangeInclusive, str::FromStr};

use filter_common::Protocol;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// A port, or the ports from one to another: `443`, `8000-8080`. Never port 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// From one port to another, both included; `None` if that is no range of ports.
    ///
    /// ```
    /// use policy::config::PortRange;
    ///
    /// assert_eq!(PortRange::new(8000, 8080).map(|range| range.to_string()), Some("8000-8080".to_owned()));
    /// assert_eq!([PortRange::new(0, 80), PortRange::new(81, 80)], [None, None]);
    /// ```
    pub const fn new(first: u16, last: u16) -> Option<Self> {
        if first == 0 || first > last {
            return None;
        }
        Some(Self { first, last })
    }

    /// The lowest one.
    pub const fn first(self) -> u16 {
        self.first
    }

    /// The highest one.
    pub const fn last(self) -> u16 {
        self.last
    }

    /// All of them.
    pub const fn ports(self) -> RangeInclusive<u16> {
        self.first..=self.last
    }

    /// How many they are.
    pub const fn width(self) -> u32 {
        self.last as u32 - self.first as u32 + 1
    }

    /// Whether a port is among them.
    pub const fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }

    /// The ports that are in both.
    pub fn and(self, other: Self) -> Option<Self> {
        Self::new(self.first.max(other.first), self.last.min(other.last))
    }

    /// The only one.
    pub(super) fn only(self) -> Option<u16> {
        (self.first == self.last).then_some(self.first)
    }
}

impl From<u16> for PortRange {
    fn from(port: u16) -> Self {
        Self {
            first: port,
            last: port,
        }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.only() {
            Some(port) => write!(f, "{port}"),
            None => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

/// Why a text is no port and no range of ports.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum RangeFault {
    #[error("is not a port")]
    NoPort,
    /// A number that no port has.
    #[error("is not a port")]
    OutOfBounds(String),
    #[error("is a range that lacks an end")]
    LacksAnEnd,
    #[error("is a range that runs backwards")]
    Backwards(PortRange),
    #[error("is a range of one port")]
    OnePort(PortRange),
    /// As other programs and people write it.
    #[error("is not how a range is written")]
    Otherwise(PortRange),
}

impl RangeFault {
    /// What was meant, where that is beyond doubt.
    pub(super) fn meant(&self) -> Option<PortRange> {
        match self {
            Self::NoPort | Self::OutOfBounds(_) | Self::LacksAnEnd => None,
            Self::Backwards(range) | Self::OnePort(range) | Self::Otherwise(range) => Some(*range),
        }
    }
}

/// What stands between the ends of a range: the hyphen, what typewriters and spreadsheets
/// make of it, iptables' colon, and the dots of programming languages.
const SEPARATORS: [&str; 5] = ["-", "\u{2013}", "\u{2014}", ":", ".."];

impl PortRange {
    /// Reads `443` or `8000-8080`.
    pub(super) fn read(text: &str) -> Result<Self, RangeFault> {
        if is_number(text) {
            return number(text).map(Self::from);
        }
        let mut found = SEPARATORS.iter().filter_map(|separator| {
            let (first, last) = text.split_once(separator)?;
            Some((*separator, first, last))
        });
        let (separator, first, last) = found.next().ok_or(RangeFault::NoPort)?;
        let ends = [first.trim(), last.trim()];
        if !ends.iter().all(|end| end.is_empty() || is_number(end)) {
            return Err(RangeFault::NoPort);
        }
        if ends.contains(&"") {
            return Err(RangeFault::LacksAnEnd);
        }
        let (from, to) = (number(ends[0])?, number(ends[1])?);
        let range = Self {
            first: from.min(to),
            last: from.max(to),
        };
        match (from > to, range.only()) {
            (true, _) => Err(RangeFault::Backwards(range)),
            (_, Some(_)) => Err(RangeFault::OnePort(range)),
            _ if separator != "-" || ends != [first, last] => Err(RangeFault::Otherwise(range)),
            _ => Ok(range),
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn number(text: &str) -> Result<u16, RangeFault> {
    let port = text.parse().ok().filter(|&port| port != 0);
    port.ok_or_else(|| RangeFault::OutOfBounds(text.to_owned()))
}

/// A port is a number, as it was when there were no ranges; a range is text.
impl Serialize for PortRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.only() {
            Some(port) => serializer.serialize_u16(port),
            None => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for PortRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = PortRange;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port or a range of ports")
            }

            fn visit_u64<E: de::Error>(self, port: u64) -> Result<PortRange, E> {
                let port = u16::try_from(port).map_err(E::custom)?;
                Ok(port.into())
            }

            // Also a port, where it is the key of a map.
            fn visit_str<E: de::Error>(self, text: &str) -> Result<PortRange, E> {
                let read = PortRange::read(text);
                read.map_err(|fault| E::custom(format!("{text:?} {fault}")))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// Ports as the configuration writes them: `443`, `"8000-8080"`, `"443/tcp"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PortSpec {
    /// A port, or a range of them.
    pub ports: PortRange,
    /// The one protocol that is meant; all five where it is `None`.
    pub protocol: Option<Protocol>,
}

impl PortSpec {
    /// Whether this is about that protocol.
    pub fn concerns(self, protocol: Protocol) -> bool {
        self.protocol.is_none_or(|only| only == protocol)
    }

    /// Whether this covers that port of that protocol.
    pub fn covers(self, port: u16, protocol: Protocol) -> bool {
        self.ports.contains(port) && self.concerns(protocol)
    }

    /// Whether there is a packet that both mean.
    pub fn overlaps(self, other: Self) -> bool {
        self.ports.and(other.ports).is_some() && self.shares_protocol(other)
    }

    /// Whether there is a protocol that both mean.
    pub(super) fn shares_protocol(self, other: Self) -> bool {
        match (self.protocol, other.protocol) {
            (Some(own), Some(other)) => own == other,
            _ => true,
        }
    }
}

/// All protocols of a port.
impl From<u16> for PortSpec {
    fn from(port: u16) -> Self {
        PortRange::from(port).into()
    }
}

/// All protocols of these ports.
impl From<PortRange> for PortSpec {
    fn from(ports: PortRange) -> Self {
        Self {
            ports,
            protocol: None,
        }
    }
}

impl fmt::Display for PortSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.protocol {
            Some(protocol) => write!(f, "{}/{}", self.ports, protocol.name()),
            None => write!(f, "{}", self.ports),
        }
    }
}

/// A text that is no port.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{text:?} {why}: write a port such as 443, a range such as 8000-8080, or 443/tcp for one protocol"
)]
pub struct BadPort {
    text: String,
    why: RangeFault,
}

impl FromStr for PortSpec {
    type Err = BadPort;

    fn from_str(text: &str) -> Result<Self, BadPort> {
        let bad = |why| BadPort {
            text: text.to_owned(),
            why,
        };
        let (ports, protocol) = match text.split_once('/') {
            Some((ports, protocol)) => (ports, Some(protocol)),
            None => (text, None),
        };
        let protocol = protocol.map(|name| {
            let mut known = Protocol::ALL.into_iter();
            let found = known.find(|known| known.name() == name);
            found.ok_or_else(|| bad(RangeFault::NoPort))
        });
        Ok(Self {
            ports: PortRange::read(ports).map_err(bad)?,
            protocol: protocol.transpose()?,
        })
    }
}

impl TryFrom<String> for PortSpec {
    type Error = BadPort;

    fn try_from(text: String) -> Result<Self, BadPort> {
        text.parse()
    }
}

impl From<PortSpec> for String {
    fn from(port: PortSpec) -> Self {
        port.to_string()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn ports_and_ranges_are_kept_in_json_as_numbers_and_as_text() {
        let range = PortRange::new(8000, 8080).unwrap();
        let kept = serde_json::to_string(&[PortRange::from(25), range]).unwrap();
        assert_eq!(kept, r#"[25,"8000-8080"]"#);
        let read: Vec<PortRange> = serde_json::from_str(&kept).unwrap();
        assert_eq!(read, [25.into(), range]);
        for wrong in ["65536", "-1", "\"80-\"", "\"90-80\"", "true"] {
            assert!(serde_json::from_str::<PortRange>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_the_command_line_reads() {
        let read = |text: &str| text.parse::<PortSpec>();
        assert_eq!(read("8000-8080/udp").unwrap().to_string(), "8000-8080/udp");
        assert_eq!(read("1-65535").unwrap().ports.width(), 65_535);
        let wrong = [
            ("90-80", "is a range that runs backwards"),
            ("80-80", "is a range of one port"),
            ("0-100", "is not a port"),
            ("80-70000", "is not a port"),
            ("80-", "is a range that lacks an end"),
            ("-80", "is a range that lacks an end"),
            ("80 - 90", "is not how a range is written"),
            ("80:90", "is not how a range is written"),
            ("80-90-100", "is not a port"),
            ("80-90/icmp", "is not a port"),
        ];
        for (text, why) in wrong {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{text:?} {why}: ")), "{error}");
        }
    }
}
