//! What single values mean.

use std::net::SocketAddr;

use filter_common::Protocol;
use glob::Pattern;
use jiff::{Timestamp, civil, tz::Offset};
use toml::{
    de::{DeInteger, DeValue},
    value::{self as toml_time, Datetime},
};

use super::{
    port::{PortRange, PortSpec, RangeFault},
    reader::{Read, Value, Wrong},
    share::Share,
    words::{is_line, list, quoted},
};

pub(super) use super::prefix::prefix;

/// Any text.
pub(super) fn string(value: Value<'_, '_>) -> Read<String> {
    match value.toml() {
        DeValue::String(text) => Ok(text.clone().into_owned()),
        DeValue::Array(_) | DeValue::Table(_) => {
            Err(value.unexpected("a string", "write one text in double quotes"))
        }
        _ => Err(value.unexpected("a string", format!("write \"{}\"", value.raw()))),
    }
}

/// `true` or `false`.
pub(super) fn boolean(value: Value<'_, '_>) -> Read<bool> {
    match value.toml() {
        DeValue::Boolean(yes) => Ok(*yes),
        _ => Err(value
            .unexpected("a boolean", "write true or false, without quotes")
            .meaning(true)),
    }
}

/// One of a few words.
pub(super) fn choice<'a, 'i, T: Copy>(
    options: &'static [(&'static str, T)],
) -> impl Fn(Value<'a, 'i>) -> Read<T> {
    move |value| {
        let words: Vec<_> = options
            .iter()
            .map(|(word, _)| format!("\"{word}\""))
            .collect();
        let help = format!("write {}", list(&words, "or"));
        let DeValue::String(written) = value.toml() else {
            return Err(value.unexpected("a string", help));
        };
        let found = options.iter().find(|(word, _)| word == written);
        match found {
            Some((_, meaning)) => Ok(*meaning),
            None => Err(Wrong::new(
                format!("unknown value {}", quoted(written)),
                help,
            )),
        }
    }
}

/// The longest name, in bytes: it becomes a label of the metrics.
pub(super) const LONGEST_NAME: usize = 64;

/// The name of a pool or a customer.
pub(super) fn name(value: Value<'_, '_>) -> Read<String> {
    let name = string(value)?;
    match check_name(&name) {
        Ok(()) => Ok(name),
        Err(wrong) => Err(wrong.map(|()| None)),
    }
}

/// Whether a text can be the name of a pool or a customer.
pub(super) fn check_name(name: &str) -> Read<()> {
    if name.is_empty() {
        return Err(Wrong::new(
            "an empty name",
            "write a name that says who it is",
        ));
    }
    if !is_line(name) {
        return Err(Wrong::new(
            "a name with control characters",
            "write a name of letters, digits, blanks and signs",
        ));
    }
    if name.len() > LONGEST_NAME {
        return Err(Wrong::new(
            format!("a name of {} bytes", name.len()),
            format!("write at most {LONGEST_NAME}"),
        ));
    }
    Ok(())
}

/// The longest ticket, in bytes: a customer list keeps one for each row.
pub(super) const LONGEST_TICKET: usize = 120;

/// The ticket of a customer.
pub(super) fn ticket(value: Value<'_, '_>) -> Read<String> {
    let ticket = string(value)?;
    match check_ticket(&ticket) {
        Ok(()) => Ok(ticket),
        Err(wrong) => Err(wrong.map(|()| None)),
    }
}

/// Whether a text can be a ticket: any that can be printed in a line.
pub(super) fn check_ticket(ticket: &str) -> Read<()> {
    if !is_line(ticket) {
        return Err(Wrong::new(
            "a ticket with control characters",
            "write it in one line, of letters, digits, blanks and signs",
        ));
    }
    if ticket.len() > LONGEST_TICKET {
        return Err(Wrong::new(
            format!("a ticket of {} bytes", ticket.len()),
            format!("write at most {LONGEST_TICKET}: its number, or where it is"),
        ));
    }
    Ok(())
}

/// What the metrics call the absence of a pool.
const NO_POOL_NAME: &str = "none";

/// The name of a pool.
pub(super) fn pool_name(value: Value<'_, '_>) -> Read<String> {
    let name = name(value)?;
    if name == NO_POOL_NAME {
        return Err(Wrong::new(
            "a pool cannot be called `none`",
            "choose another name: the metrics count under this one what concerns no pool",
        ));
    }
    Ok(name)
}

/// The longest interface name, in bytes: `IFNAMSIZ` counts a NUL at the end.
const LONGEST_INTERFACE_NAME: usize = 15;

/// The name of a network interface: what the kernel can call one, and `ip link` shows.
pub(super) fn interface_name(value: Value<'_, '_>) -> Read<String> {
    let name = string(value)?;
    let help = "write it as `ip link` shows it: \"eth0\"";
    if name.is_empty() {
        return Err(Wrong::new("an empty interface name", help));
    }
    let meant = name_in_a_line(&name);
    if meant != name && is_interface_name(meant) {
        let message = format!("no interface can be called {}", quoted(&name));
        return Err(Wrong::new(message, format!("write \"{meant}\"")).meaning(meant.to_owned()));
    }
    if name.len() > LONGEST_INTERFACE_NAME {
        let message = format!(
            "an interface name of {} bytes: the kernel has room for {LONGEST_INTERFACE_NAME}",
            name.len()
        );
        let help = "write it as `ip link` shows it at the beginning of the line: \"eth0\". An altname \
                    can be longer, and is another name of the same interface";
        return Err(Wrong::new(message, help));
    }
    if is_pattern(&name) {
        let message = format!("{} is a pattern, and no interface", quoted(&name));
        let help = "write an [[interface]] for each, by its name. PPPoE sessions need none: they are \
                    filtered at the Ethernet interface that they come in at";
        return Err(Wrong::new(message, help));
    }
    if is_interface_name(&name) {
        Ok(name)
    } else {
        let message = format!("no interface can be called {}", quoted(&name));
        Err(Wrong::new(message, help))
    }
}

/// What is the name in a line of `ip link` or `ifconfig`, or in a part of one:
/// `2: eth0@if3: <UP>`, `eth0:1`.
fn name_in_a_line(line: &str) -> &str {
    let line = line.trim();
    let after_number = line.split_once(": ").filter(|(number, _)| {
        let mut bytes = number.bytes();
        bytes.all(|byte| byte.is_ascii_digit())
    });
    let line = after_number.map_or(line, |(_, rest)| rest);
    line.split(['@', ':']).next().unwrap_or_default()
}

/// Whether a name is written as other programs write many (`ppp*`, and iptables
/// `ppp+`).
fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '[']) || name.ends_with('+')
}

/// The kernel's `dev_valid_name`, byte by byte. 0xA0 is a blank to it. What has a
/// percent sign in it becomes another name (`dev_alloc_name`), and what comes after
/// an at sign is what `ip link` adds.
fn is_interface_name(name: &str) -> bool {
    let is_refused = |byte: u8| {
        byte.is_ascii_whitespace()
            || byte.is_ascii_control()
            || matches!(byte, b'/' | b':' | b'%' | b'@' | 0xA0)
    };
    // The last two are directories of settings beside those of interfaces.
    let is_reserved = matches!(name, "" | "." | ".." | "all" | "default");
    let fits = name.len() <= LONGEST_INTERFACE_NAME;
    fits && !is_reserved && is_line(name) && !is_pattern(name) && !name.bytes().any(is_refused)
}

/// A pattern for files.
pub(super) fn include(value: Value<'_, '_>) -> Read<String> {
    let pattern = string(value)?;
    if pattern.is_empty() {
        return Err(Wrong::new(
            "an include that names no file",
            "write a file, or a pattern such as \"customers.d/*.toml\"",
        ));
    }
    if !is_line(&pattern) {
        return Err(Wrong::new(
            "an include with control characters",
            "rename what it names: reports, logs and `explain` name it",
        ));
    }
    match Pattern::new(&pattern) {
        Ok(_) => Ok(pattern),
        Err(error) => Err(Wrong::new(
            format!("{} is not a valid pattern: {}", quoted(&pattern), error.msg),
            "`*` and `?` stand for any text and any character of a file name, [a-z] for one of these",
        )),
    }
}

const PORT_HELP: &str =
    "write a port such as 443, a range such as \"8000-8080\", or \"443/tcp\" for one protocol";

/// `443`, `"8000-8080"` or `"443/tcp"`.
pub(super) fn port_spec(value: Value<'_, '_>) -> Read<PortSpec> {
    match value.toml() {
        DeValue::Integer(number) => port_number(number)
            .map(PortSpec::from)
            .map_err(|wrong| wrong.map(|port| Some(PortSpec::from(port)))),
        DeValue::String(written) => port_in_words(written),
        _ => Err(value.unexpected("a port", PORT_HELP)),
    }
}

fn port_number(number: &DeInteger<'_>) -> Read<u16> {
    let parsed = u16::from_str_radix(number.as_str(), number.radix());
    match parsed {
        Ok(port) if port != 0 => Ok(port),
        _ => Err(no_port(&number.to_string())),
    }
}

fn no_port<T>(written: &str) -> Wrong<T> {
    Wrong::new(
        format!("{} is not a port", quoted(written)),
        "ports are 1 to 65535",
    )
}

/// A port in quotes, where one by itself is written without.
fn port_in_words(written: &str) -> Read<PortSpec> {
    let spec = port_word(written)?;
    match (spec.ports.only(), spec.protocol) {
        (Some(port), None) => Err(Wrong::new(
            "a port in quotes without a protocol",
            format!("write {port}, or \"{port}/tcp\" for one protocol"),
        )
        .meaning(spec)),
        _ => Ok(spec),
    }
}

/// `443`, `8000-8080` or `443/tcp`, where there are no quotes around anything.
pub(super) fn port_word(written: &str) -> Read<PortSpec> {
    let (ports, protocol) = match written.split_once('/') {
        Some((ports, protocol)) => (ports, Some(protocol)),
        None => (written, None),
    };
    let (ports, fault) = match PortRange::read(ports) {
        Ok(ports) => (ports, None),
        Err(fault) => match fault.meant() {
            Some(meant) => (meant, Some(fault)),
            None => return Err(no_range(written, &fault)),
        },
    };
    let spec = match protocol {
        None => ports.into(),
        Some(name) => protocol_named(ports, name)?,
    };
    match fault {
        None => Ok(spec),
        Some(fault) => {
            let message = format!("{} {fault}", quoted(written));
            Err(Wrong::new(message, format!("write {}", in_toml(spec))).meaning(spec))
        }
    }
}

/// What may mean any ports, or none.
fn no_range(written: &str, fault: &RangeFault) -> Wrong<PortSpec> {
    match fault {
        RangeFault::OutOfBounds(number) => no_port(number),
        RangeFault::LacksAnEnd => Wrong::new(
            format!("{} {fault}", quoted(written)),
            "write both, with a hyphen and no blanks between them: \"8000-8080\"",
        ),
        _ => Wrong::new(format!("{} {fault}", quoted(written)), PORT_HELP),
    }
}

/// As a list of ports has it.
fn in_toml(spec: PortSpec) -> String {
    match (spec.ports.only(), spec.protocol) {
        (Some(port), None) => port.to_string(),
        _ => format!("\"{spec}\""),
    }
}

fn protocol_named(ports: PortRange, name: &str) -> Read<PortSpec> {
    let lower = name.trim().to_ascii_lowercase();
    let found = Protocol::ALL
        .into_iter()
        .find(|known| known.name() == lower);
    let message = format!("unknown protocol {}", quoted(name));
    match found {
        Some(protocol) => {
            let spec = PortSpec {
                ports,
                protocol: Some(protocol),
            };
            match lower == name {
                true => Ok(spec),
                false => Err(Wrong::new(message, format!("write \"{spec}\"")).meaning(spec)),
            }
        }
        None => {
            let known: Vec<_> = Protocol::ALL
                .iter()
                .map(|protocol| format!("\"{ports}/{}\"", protocol.name()))
                .collect();
            Err(Wrong::new(message, format!("write {}", list(&known, "or"))))
        }
    }
}

/// A port that mail is sent to. Never a range: what comes from a mail port is an answer
/// to mail, and what comes from thousands of ports is anything.
pub(super) fn mail_port(value: Value<'_, '_>) -> Read<u16> {
    const HELP: &str = "write a port such as 25";
    match value.toml() {
        DeValue::Integer(number) => port_number(number),
        DeValue::String(written) => match port_in_words(written) {
            Ok(spec)
            | Err(Wrong {
                meant: Some(spec), ..
            }) => Err(match spec.ports.only() {
                Some(port) => Wrong::new(
                    "a mail port is a number: rule 5 is about TCP",
                    format!("write {port}"),
                )
                .meaning(port),
                None => Wrong::new("a range of mail ports", "list those that mail is sent to"),
            }),
            Err(wrong) => Err(Wrong::new(wrong.message, HELP)),
        },
        _ => Err(value.unexpected("a port", HELP)),
    }
}

/// Until when exemptions hold: through a date, or up to a moment.
pub(super) fn expires(value: Value<'_, '_>) -> Read<Timestamp> {
    let help = "write a date such as 2027-01-31, without quotes";
    match value.toml() {
        DeValue::Datetime(written) => end(*written, value.raw(), help),
        _ => Err(value.unexpected("a date", help)),
    }
}

/// The same where there are no quotes around anything.
pub(super) fn expires_word(written: &str) -> Read<Timestamp> {
    let help = "write a date such as 2027-01-31, or a moment such as 2027-01-31T18:00:00Z";
    match written.parse() {
        Ok(datetime) => end(datetime, written, help),
        Err(_) => Err(Wrong::new(
            format!("{} is not a date", quoted(written)),
            help,
        )),
    }
}

fn end(written: Datetime, raw: &str, help: &str) -> Read<Timestamp> {
    let Some((date, midnight)) = written.date.and_then(civil_midnight) else {
        return Err(Wrong::new("a time without a date", help));
    };
    match written {
        Datetime { time: None, .. } => Ok(end_of(date)),
        Datetime {
            time: Some(time),
            offset,
            ..
        } => {
            let moment = with_time(midnight, time);
            match offset {
                Some(offset) => Ok(timestamp(moment, offset)),
                None => Err(Wrong::new(
                    "a date and time without an offset",
                    format!("add `Z` for UTC: {raw}Z"),
                )
                .meaning(timestamp(moment, toml_time::Offset::Z))),
            }
        }
    }
}

fn civil_midnight(date: toml_time::Date) -> Option<(civil::Date, civil::DateTime)> {
    let year = i16::try_from(date.year).ok()?;
    let month = i8::try_from(date.month).ok()?;
    let day = i8::try_from(date.day).ok()?;
    let date = civil::Date::new(year, month, day).ok()?;
    Some((date, date.to_datetime(civil::Time::midnight())))
}

fn with_time(midnight: civil::DateTime, time: toml_time::Time) -> civil::DateTime {
    let small = |number: u8, most: i8| i8::try_from(number).map_or(most, |n| n.min(most));
    midnight
        .with()
        .hour(small(time.hour, 23))
        .minute(small(time.minute, 59))
        // A leap second ends with the second before it.
        .second(small(time.second.unwrap_or(0), 59))
        .subsec_nanosecond(time.nanosecond.map_or(0, u32::cast_signed))
        .build()
        .unwrap_or(midnight)
}

/// The moment when a day ends, UTC. What lies beyond the end of time is never.
fn end_of(date: civil::Date) -> Timestamp {
    match date.tomorrow() {
        Ok(next) => timestamp(
            next.to_datetime(civil::Time::midnight()),
            toml_time::Offset::Z,
        ),
        Err(_) => Timestamp::MAX,
    }
}

fn timestamp(moment: civil::DateTime, offset: toml_time::Offset) -> Timestamp {
    let minutes = match offset {
        toml_time::Offset::Z => 0,
        toml_time::Offset::Custom { minutes } => i32::from(minutes),
    };
    Offset::from_seconds(minutes * 60)
        .and_then(|offset| offset.to_timestamp(moment))
        .unwrap_or(Timestamp::MAX)
}

/// Where to listen.
pub(super) fn listen(value: Value<'_, '_>) -> Read<SocketAddr> {
    let help = "write an address and a port: \"127.0.0.1:9188\" or \"[::1]:9188\"";
    let DeValue::String(written) = value.toml() else {
        return Err(value.unexpected("an address and a port in quotes", help));
    };
    let parsed = written.parse::<SocketAddr>();
    if let Ok(address) = &parsed
        && address.port() == 0
    {
        let message = format!(
            "{} names no port: nobody knows where to ask",
            quoted(written)
        );
        return Err(Wrong::new(message, "name a port, such as 9188"));
    }
    parsed.map_err(|_| {
        let help = match written.strip_prefix(':') {
            Some(port) => format!(
                "write \"127.0.0.1:{port}\" for this machine alone, \"[::]:{port}\" for every address"
            ),
            None => help.to_owned(),
        };
        let message = format!("{} is not an address and a port", quoted(written));
        Wrong::new(message, help)
    })
}

/// How much a reload may change.
pub(super) fn max_change(value: Value<'_, '_>) -> Read<Share> {
    let help = "write a percentage such as \"10%\" or \"0.5%\"; \"100%\" is no limit";
    let DeValue::String(written) = value.toml() else {
        let help = match value.toml() {
            DeValue::Integer(_) | DeValue::Float(_) => format!("write \"{}%\"", value.raw()),
            _ => help.to_owned(),
        };
        return Err(value.unexpected("a percentage in quotes", help));
    };
    written
        .parse()
        .map_err(|error| Wrong::new(format!("{} {error}", quoted(written)), help))
}
