//! A scenario in words: what is left of a finding when the generators that led
//! to it have long changed.
//!
//! The configuration, a line `%%`, and a line for each step:
//!
//! ```text
//! eth1 02000000000202000000000108004500...
//! wait 300
//! ```
//!
//! A `|` in a frame is where its first buffer ends. Lines there that begin with
//! `#` say what it is about.

use std::fmt::Write as _;

use super::{Scenario, Step, scenario::load};

const SEPARATOR: &str = "\n%%\n";

/// Whether these bytes are one.
pub fn is_script(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| text.contains(SEPARATOR))
}

/// Reads one.
///
/// # Panics
///
/// Where it is wrong.
pub fn read(text: &str) -> Scenario {
    let (config, steps) = text.split_once(SEPARATOR).expect("no line %%");
    let is_step = |line: &&str| !line.is_empty() && !line.starts_with('#');
    Scenario {
        text: config.to_owned(),
        config: load(config),
        steps: steps.lines().filter(is_step).map(step).collect(),
    }
}

fn step(line: &str) -> Step {
    match line.split_once(' ') {
        Some(("wait", seconds)) => Step::Wait(seconds.parse().expect("seconds")),
        Some((interface, frame)) => {
            let (first, rest) = match frame.split_once('|') {
                Some((first, rest)) => (Some(bytes(first)), bytes(rest)),
                None => (None, bytes(frame)),
            };
            Step::Frame {
                interface: interface.to_owned(),
                first: first.as_ref().map(Vec::len),
                bytes: [first.unwrap_or_default(), rest].concat(),
                shapes: vec!["regression"],
            }
        }
        None => panic!("{line:?} is no step"),
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |c: char| c.to_digit(16).expect("hexadecimal digits");
    let digits: Vec<u32> = hex.chars().map(digit).collect();
    assert!(digits.len().is_multiple_of(2), "half a byte: {hex}");
    let pairs = digits.chunks_exact(2);
    pairs.map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

/// Writes one.
pub fn write(scenario: &Scenario) -> String {
    let mut text = format!("{}{SEPARATOR}", scenario.text.trim_end());
    for step in &scenario.steps {
        match step {
            Step::Wait(seconds) => text.push_str(&format!("wait {seconds}")),
            Step::Frame {
                interface,
                bytes,
                first,
                ..
            } => {
                text.push_str(&format!("{interface} "));
                for (at, byte) in bytes.iter().enumerate() {
                    let end = if *first == Some(at) { "|" } else { "" };
                    let _ = write!(text, "{end}{byte:02x}");
                }
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let text = "[[interface]]\nname = \"eth1\"\nrole = \"customer\"\n\
                    [mail]\nservers = []\n%%\neth1 0200|00ff\nwait 17\neth1 00\n";
        let scenario = read(text);
        let Step::Frame { bytes, first, .. } = &scenario.steps[0] else {
            panic!("{:?} is no frame", scenario.steps[0]);
        };
        assert_eq!((&bytes[..], *first), (&[2, 0, 0, 255][..], Some(2)));
        assert_eq!(write(&scenario), text);
    }
}
