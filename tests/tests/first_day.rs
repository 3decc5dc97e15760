//! docs/first-day.md from the start of the service on, as somebody follows it: what it types
//! is typed, and what it shows is printed.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{fs, process::Output};

use lab::{Machine, Port};
use poolguard_tests::frames::tcp;

const DAY: &str = include_str!("../../docs/first-day.md");

/// The blocks of the document.
fn blocks() -> Vec<&'static str> {
    let blocks = DAY.split("```").skip(1).step_by(2);
    blocks
        .map(|block| block.split_once('\n').unwrap().1)
        .collect()
}

/// The last block that has these words, from them to its end.
#[track_caller]
fn block(words: &str) -> &'static str {
    let found = blocks()
        .into_iter()
        .rev()
        .find_map(|block| Some(&block[block.find(words)?..]));
    found.unwrap_or_else(|| panic!("{words} is in no block"))
}

/// Words of a table or a sentence, however they are spaced.
fn spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn printed(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    format!("{out}{err}")
}

/// That a command prints each of these lines, in this order.
#[track_caller]
fn prints(machine: &Machine, words: &[&str], status: i32, lines: &[&str]) {
    let mut command = machine.command(words[0]);
    command.args(&words[1..]);
    let output = machine.output(command);
    assert_eq!(output.status.code(), Some(status), "{output:?}");
    let printed = printed(&output);
    let all = spaced(&printed);
    let mut rest = &*all;
    for line in lines {
        let line = spaced(line);
        let (_, after) = rest
            .split_once(&*line)
            .unwrap_or_else(|| panic!("{words:?} prints\n{printed}\nand not\n{line}"));
        rest = after;
    }
}

#[test]
fn the_first_day_goes_as_it_is_told() {
    let machine = Machine::new();
    let texts: Vec<_> = blocks()
        .into_iter()
        .filter(|text| text.contains("[["))
        .collect();
    fs::create_dir(machine.directory.join("customers.d")).unwrap();
    fs::write(machine.directory.join("customers.d/acme.toml"), texts[1]).unwrap();
    machine.configure(texts[0]);
    let running = machine.start_with("run");

    // 4: start. So many frames as the document shows, before and after step 6.
    let mut outside = Port::open(&machine.outside, "eth0");
    let mut scan = || {
        for (times, to) in [(3, [203, 0, 113, 20]), (40, [198, 51, 100, 9])] {
            for _ in 0..times {
                let frame = tcp(([192, 0, 2, 9].into(), 40_000), (to.into(), 443));
                // A SYN without options, as scanners send it: 40 bytes.
                outside.send(&frame.payload_of(20).arrival().bytes);
            }
        }
    };
    scan();
    let status = block("poolguard status\npoolguard 0.1.0");
    let mut lines: Vec<_> = status.lines().skip(2).collect();
    let (configuration, _) = lines[0].split_once(", in force for").unwrap();
    let (_, configuration) = configuration.split_once("poolguard.toml").unwrap();
    lines[0] = configuration;
    // How much else has passed is the network's affair.
    let without_passed = |line: &&str| match line.split_whitespace().nth(3) {
        Some("yes") => line.rsplit_once(' ').unwrap().0.trim().to_owned(),
        _ => (*line).to_owned(),
    };
    let lines: Vec<_> = lines
        .iter()
        .filter(|line| **line != "...")
        .map(without_passed)
        .collect();
    prints(
        &machine,
        &["status"],
        0,
        &lines.iter().map(|line| &**line).collect::<Vec<_>>(),
    );

    // 6: enforce.
    machine.configure(&texts[0].replace("\"monitor\"", "\"enforce\""));
    let diff = block("poolguard diff\n- enforcement");
    let mut lines: Vec<_> = diff.lines().skip(1).collect();
    let last = lines.pop().unwrap().trim_end_matches(", ...");
    lines.push(last);
    prints(&machine, &["diff"], 3, &lines);
    assert_eq!(
        machine.poolguard("reload").status.code(),
        Some(1),
        "a plain reload is refused"
    );
    let reload = block("poolguard reload --force --confirm 5m");
    let lines: Vec<_> = reload.lines().skip(1).collect();
    prints(
        &machine,
        &["reload", "--force", "--confirm", "5m"],
        0,
        &lines,
    );
    let confirm = block("poolguard confirm\n");
    prints(
        &machine,
        &["confirm"],
        0,
        &confirm.lines().skip(1).collect::<Vec<_>>(),
    );

    // 7: look at the result.
    scan();
    let result = block("RULE ");
    prints(
        &machine,
        &["status"],
        0,
        &result.lines().collect::<Vec<_>>(),
    );
    // 5: only if a customer calls, which would be another generation.
    let exempt = block("poolguard exempt add");
    let (typed, shown) = exempt.split_once('\n').unwrap();
    let (before, reason) = typed.split_once("--reason \"").unwrap();
    let (reason, after) = reason.split_once('"').unwrap();
    let mut words: Vec<_> = before.split_whitespace().skip(1).collect();
    words.extend(["--reason", reason]);
    words.extend(after.split_whitespace());
    let (given, rest) = shown.trim().split_once(" until ").unwrap();
    let (_, rest) = rest.split_once("Z, ").unwrap();
    prints(&machine, &words, 0, &[given, rest]);
    running.stop();
}
