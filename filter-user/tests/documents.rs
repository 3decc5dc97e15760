//! What the documents say, held against the binary: every command line in them is one, every
//! metric and alert in them exists, and what they print as an answer is the answer.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use clap::{CommandFactory as _, Parser as _, error::ErrorKind};
use filter_user::args::Cli;

/// All of `/metrics`, for one snapshot.
const METRICS: &str = include_str!("exposition/metrics.txt");
const RULES: &str = "config/rules/poolguard.yml";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What a user reads, by name. A changelog and decisions also say what was.
fn documents() -> Vec<(String, String)> {
    let mut names = vec![
        "README.md".to_owned(),
        "SECURITY.md".to_owned(),
        "config/debian/README.Debian".to_owned(),
        "config/poolguard.toml".to_owned(),
    ];
    for directory in ["docs", "docs/operations"] {
        let entries = fs::read_dir(root().join(directory)).unwrap();
        let found = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let found = found.filter(|name| name.ends_with(".md"));
        names.extend(found.map(|name| format!("{directory}/{name}")));
    }
    assert!(names.len() > 25, "{names:?}");
    let documents = names.into_iter().map(|name| {
        let text = read(&name);
        (name, text)
    });
    documents.collect()
}

/// What is between backquotes within a paragraph, and what stands in blocks, line by line:
/// only what is typed, where there is a prompt.
fn code(text: &str) -> Vec<String> {
    let mut code = Vec::new();
    for block in blocks(text) {
        let is_typed = |line: &&str| line.starts_with(['#', '$']);
        let has_prompt = block.lines().any(|line| is_typed(&line));
        let lines = block.lines().filter(|line| !has_prompt || is_typed(line));
        code.extend(lines.map(|line| line.trim().to_owned()));
    }
    let mut prose = String::new();
    let mut is_block = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_block = !is_block;
            prose.push_str("\n\n");
        } else if !is_block {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    for paragraph in prose.split("\n\n") {
        let spans = paragraph.split('`').skip(1).step_by(2);
        code.extend(spans.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    code
}

/// A command line in words, up to where the shell takes over.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for letter in line.chars() {
        match (letter, quote) {
            (_, Some(open)) if letter == open => quote = None,
            (_, Some(_)) => word.get_or_insert_default().push(letter),
            ('"' | '\'', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            ('|' | '>' | ';' | '&' | '#', None) => break,
            (' ', None) => words.extend(word.take()),
            (letter, None) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// The arguments of a command line of poolguard's, if it is one.
fn arguments(line: &str) -> Option<Vec<String>> {
    let line = line.trim_start_matches(['#', '$', ' ']);
    let line = line.strip_prefix("sudo ").unwrap_or(line);
    let words = words(line);
    let commands = Cli::command();
    let mut names = commands.get_subcommands().map(clap::Command::get_name);
    let first = words.first()?;
    if first == "poolguard" {
        return (words.len() > 1).then(|| words[1..].to_vec());
    }
    // `reload --force`: a command without its program, with an option to know it by.
    let is_command = names.any(|name| name == first);
    let has_option = words.iter().any(|word| word.starts_with("--"));
    (is_command && has_option).then_some(words)
}

#[test]
fn every_command_line_is_one() {
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for (name, text) in documents() {
        for line in code(&text) {
            let Some(arguments) = arguments(&line) else {
                continue;
            };
            let parsed = Cli::try_parse_from([&["poolguard".to_owned()], &*arguments].concat());
            let is_wrong = match parsed.as_ref().err().map(clap::Error::kind) {
                None | Some(ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => false,
                // A part of one, or with SOURCE:PORT in the place of a value.
                Some(
                    ErrorKind::MissingRequiredArgument
                    | ErrorKind::MissingSubcommand
                    | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                    | ErrorKind::ValueValidation
                    | ErrorKind::InvalidValue,
                ) => false,
                Some(_) => true,
            };
            let unheeded = parsed.ok().and_then(|cli| cli.unheeded());
            if is_wrong || unheeded.is_some() {
                wrong.push(format!("{name}: {line} {}", unheeded.unwrap_or_default()));
            }
            seen.insert(arguments);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen.len() > 30, "{}: are they found?", seen.len());
}

/// The words in a text that begin so.
fn named<'a>(text: &'a str, beginning: &str) -> BTreeSet<&'a str> {
    let is_inside = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    text.split(|letter| !is_inside(letter))
        .filter(|word| word.len() > beginning.len() && word.starts_with(beginning))
        .collect()
}

#[test]
fn every_metric_exists_that_a_document_a_rule_or_a_dashboard_names() {
    let types = METRICS
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "));
    let known: BTreeSet<_> = types.filter_map(|line| line.split(' ').next()).collect();
    let mut texts = documents();
    for name in [
        RULES,
        "tests/rules/poolguard.yml",
        "config/dashboards/poolguard.json",
    ] {
        texts.push((name.to_owned(), read(name)));
    }
    for (name, text) in &texts {
        for metric in named(text, "poolguard_") {
            // In PromQL, and in `poolguard_would_drop_*`, a part of several.
            let is_part = known.iter().any(|known| known.starts_with(metric));
            let is_place = metric.ends_with('_') && is_part;
            assert!(known.contains(metric) || is_place, "{name}: {metric}");
        }
    }
}

#[test]
fn every_alert_exists_that_a_document_names_and_each_is_tried() {
    let rules = read(RULES);
    let alerts = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let alerts: BTreeSet<_> = alerts.collect();
    for (name, text) in documents() {
        for alert in named(&text, "Poolguard") {
            assert!(alerts.contains(alert), "{name}: {alert}");
        }
    }
    let tried = read("tests/rules/poolguard.yml");
    let tried = tried
        .lines()
        .filter_map(|line| line.trim().strip_prefix("alertname: "));
    let tried: BTreeSet<_> = tried.collect();
    let untried: Vec<_> = alerts.difference(&tried).collect();
    assert!(
        untried.is_empty(),
        "tests/rules/poolguard.yml has no {untried:?}"
    );
}

/// The blocks of a document, each without its fence.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut block: Option<(usize, String)> = None;
    for line in text.lines() {
        let fence = line.trim_start().starts_with("```");
        match (&mut block, fence) {
            (None, true) => block = Some((line.find('`').unwrap(), String::new())),
            (Some(_), true) => blocks.extend(block.take().map(|(_, text)| text)),
            (Some((indent, text)), false) => {
                text.push_str(line.get(*indent..).unwrap_or_default());
                text.push('\n');
            }
            (None, false) => {}
        }
    }
    blocks
}

/// A directory with the configuration of the first day, in which documents' commands are
/// carried out.
struct Box {
    directory: PathBuf,
}

impl Box {
    fn new(name: &str) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _gone = fs::remove_dir_all(&directory);
        fs::create_dir_all(directory.join("customers.d")).unwrap();
        let day = blocks(&read("docs/first-day.md"));
        let mut texts = day.iter().filter(|text| text.contains("[["));
        fs::write(directory.join("poolguard.toml"), texts.next().unwrap()).unwrap();
        let acme = texts.next().unwrap();
        assert!(acme.starts_with("[[customer]]"), "{acme}");
        fs::write(directory.join("customers.d/acme.toml"), acme).unwrap();
        Self { directory }
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.directory.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    }

    /// Carries out the command that a block begins with, and holds what is printed against
    /// the rest of the block. Lines may be wrapped there, and left out with `...`.
    #[track_caller]
    fn prints(&self, block: &str, options: &[&str]) {
        let (command, expected) = block.split_once('\n').unwrap();
        let mut arguments = arguments(command).unwrap();
        let here = self.directory.display().to_string();
        for argument in &mut arguments {
            *argument = argument.replace("/etc/poolguard", &here);
        }
        let mut program = Command::new(env!("CARGO_BIN_EXE_poolguard"));
        let output = program.args(options).args(arguments).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let printed = printed.replace(&here, "/etc/poolguard");
        let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let printed = one_line(&printed);
        let mut rest = &*printed;
        for part in expected.split("\n...") {
            let part = one_line(part);
            let (_, after) = rest
                .split_once(&*part)
                .unwrap_or_else(|| panic!("{command} prints\n{printed}\nand not\n{part}"));
            rest = after;
        }
    }
}

/// The block of a document that begins with these words.
fn block(document: &str, beginning: &str) -> String {
    let mut blocks = blocks(&read(document)).into_iter();
    let found = blocks.find(|block| {
        block
            .trim_start_matches(['#', '$', ' '])
            .starts_with(beginning)
    });
    found.unwrap_or_else(|| panic!("{document} has no block that begins with {beginning}"))
}

#[test]
fn the_first_day_prints_what_it_says_before_anything_runs() {
    let first = Box::new("first-day");
    let config = first.directory.join("poolguard.toml");
    let config = ["--config", config.to_str().unwrap()];
    let day = "docs/first-day.md";
    first.prints(&block(day, "poolguard check"), &config);
    first.prints(&block(day, "poolguard explain"), &[]);
}

#[test]
fn the_readme_explains_what_it_says() {
    let first = Box::new("readme");
    first.edit("customers.d/acme.toml", "443/tcp", "25/tcp");
    first.prints(&block("README.md", "poolguard explain"), &[]);
}

#[test]
fn what_a_reload_would_change_is_what_the_handbook_shows() {
    let first = Box::new("change");
    let change = block("docs/operations/change.md", "poolguard diff");
    let (_, expected) = change.split_once('\n').unwrap();
    let (old, new) = ("old.toml", "poolguard.toml");
    let text = fs::read_to_string(first.directory.join(new)).unwrap();
    let text = text.replace("enforcement = \"monitor\"\n", "");
    fs::write(
        first.directory.join(old),
        text.replace("include", "# include"),
    )
    .unwrap();
    fs::write(first.directory.join(new), text).unwrap();
    first.edit(new, "198.51.100.0/24", "198.51.100.0/25");
    first.edit(
        "customers.d/acme.toml",
        "allow_inbound",
        "allow_smtp_out = true\nallow_inbound",
    );
    let files = format!("poolguard diff /etc/poolguard/{old} /etc/poolguard/{new}\n{expected}");
    first.prints(&files, &[]);
}

/// keepalived only warns of a script that nothing tracks, and runs none without a user.
#[test]
fn the_script_of_two_boxes_is_tracked() {
    let text = block("docs/operations/two-boxes.md", "global_defs");
    let words: Vec<&str> = text.split_whitespace().collect();
    let after = |word: &str, skipped: usize| {
        let place = words.iter().position(|found| *found == word);
        words[place.unwrap_or_else(|| panic!("{word} is not there")) + skipped]
    };
    assert_eq!(after("track_script", 2), after("vrrp_script", 1));
    let first = |word: &str| text.find(word).unwrap();
    assert!(first("vrrp_script") < first("vrrp_sync_group"));
    assert!(first("vrrp_sync_group") < first("track_script"));
    assert!(first("track_script") < first("vrrp_instance"));
    assert!(text.contains("script_user") && text.contains("enable_script_security"));
}

/// Opening a pool takes force, also on trial.
#[test]
fn a_pool_is_opened_for_a_capture_as_the_handbook_says() {
    let first = Box::new("capture");
    first.edit("poolguard.toml", "enforcement = \"monitor\"\n", "");
    let file = first.directory.join("poolguard.toml");
    let old = first.directory.join("old.toml");
    fs::copy(&file, &old).unwrap();
    let pool = "name = \"dialup-east\"\n";
    let monitored = format!("{pool}enforcement = \"monitor\"\n");
    first.edit("poolguard.toml", pool, &monitored);
    let mut program = Command::new(env!("CARGO_BIN_EXE_poolguard"));
    let output = program.arg("diff").args([&old, &file]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let refused = printed.contains("a reload would be refused");
    let capturing = read("docs/operations/capturing.md");
    let said = capturing.contains("poolguard reload --force --confirm");
    assert_eq!((refused, said), (true, true), "{printed}");
}
