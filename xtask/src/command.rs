//! Command lines that can be shown before they are run, and run without what
//! cargo left in the environment.

use std::{
    env,
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::workspace;

/// A command line as data.
#[derive(Clone, Debug)]
pub(crate) struct CommandLine {
    words: Vec<String>,
    environment: Vec<(&'static str, &'static str)>,
    unless: Option<Vec<String>>,
}

impl CommandLine {
    /// From its words.
    pub(crate) fn new<W: Into<String>>(words: impl IntoIterator<Item = W>) -> Self {
        Self {
            words: words.into_iter().map(Into::into).collect(),
            environment: Vec::new(),
            unless: None,
        }
    }

    /// With a variable in its environment.
    pub(crate) fn env(mut self, key: &'static str, value: &'static str) -> Self {
        self.environment.push((key, value));
        self
    }

    /// Not needed where another command, which is run silently, succeeds.
    pub(crate) fn unless(mut self, other: &Self) -> Self {
        self.unless = Some(other.words.clone());
        self
    }

    /// Whether it may turn out not to be needed.
    pub(crate) fn is_conditional(&self) -> bool {
        self.unless.is_some()
    }

    /// Shows it and runs it, if it is needed.
    pub(crate) fn run(&self) -> Result<()> {
        if let Some(unless) = &self.unless
            && succeeds(outside_cargo(&unless[0]).args(&unless[1..]))
        {
            return Ok(());
        }
        self.run_always()
    }

    /// Shows it and runs it.
    pub(crate) fn run_always(&self) -> Result<()> {
        eprintln!("    $ {self}");
        let mut command = outside_cargo(&self.words[0]);
        command
            .args(&self.words[1..])
            .envs(self.environment.iter().copied());
        run(&mut command)
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, value) in &self.environment {
            write!(f, "{key}={value} ")?;
        }
        for (i, word) in self.words.iter().enumerate() {
            let space = if i == 0 { "" } else { " " };
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@+,~".contains(c);
            if !word.is_empty() && word.chars().all(plain) {
                write!(f, "{space}{word}")?;
            } else {
                write!(f, "{space}'{}'", word.replace('\'', r"'\''"))?;
            }
        }
        Ok(())
    }
}

/// A command that sees the environment as it was before `cargo run`, which
/// names one toolchain and its libraries for everything below it.
pub(crate) fn outside_cargo(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    for (key, _) in env::vars_os() {
        if is_cargos(&key) {
            command.env_remove(key);
        }
    }
    command.current_dir(workspace::root());
    command
}

fn is_cargos(key: &OsString) -> bool {
    let Some(key) = key.to_str() else {
        return false;
    };
    const NAMES: [&str; 10] = [
        "CARGO",
        "RUSTC",
        "RUSTDOC",
        "RUSTUP_TOOLCHAIN",
        "RUSTFLAGS",
        "RUST_RECURSION_COUNT",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_TARGET_DIR",
        "LD_LIBRARY_PATH",
        "MAKEFLAGS",
    ];
    const PREFIXES: [&str; 4] = [
        "CARGO_PKG_",
        "CARGO_MANIFEST_",
        "CARGO_BIN_",
        "CARGO_MAKEFLAGS",
    ];
    NAMES.contains(&key) || PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

/// The cargo that runs this, with its toolchain: it builds the host crates.
pub(crate) fn host_cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .env_remove("LD_LIBRARY_PATH")
        .current_dir(workspace::root());
    command
}

/// Runs a command to its end; anything but success is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    // Standard output is for what the chore itself has to say.
    run_showing(command.stdout(std::io::stderr()))
}

/// The same with a command that says what the chore has to say.
pub(crate) fn run_showing(command: &mut Command) -> Result<()> {
    let name = name_of(command);
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot run {name}"))?;
    if !status.success() {
        bail!("{name} failed ({status})");
    }
    Ok(())
}

/// Whether a command succeeds; what it prints is thrown away.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    output(command).is_some()
}

/// What a command prints, where it can be run and succeeds.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn name_of(command: &Command) -> String {
    Path::new(command.get_program()).file_name().map_or_else(
        || command.get_program().to_string_lossy().into_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// Finds a program where a shell would, and where root's programs are.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
}
