//! `cargo xtask deb`: the Debian package.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};

use crate::{
    build,
    command::{host_cargo, outside_cargo, run},
    crate_tool::CrateTool,
    packages,
    setup::{self, Mode},
    workspace::{self, step},
};

const CARGO_DEB: CrateTool = CrateTool {
    name: "cargo-deb",
    version: "3.8.0",
    ask: &["--version"],
};

/// Where manual pages, completions and packages are made.
const DIRECTORY: &str = "target/deb";

/// The command.
pub(crate) fn run_command() -> Result<()> {
    let [package] = build(["1"])?;
    println!("{}", package.display());
    Ok(())
}

/// Builds the package, once for each of these revisions, and has lintian look it over.
pub(crate) fn build<const N: usize>(revisions: [&str; N]) -> Result<[PathBuf; N]> {
    let tools = setup::for_programs(Mode::Install, packages::DEB)?;
    let cargo_deb = CARGO_DEB.obtain(Mode::Install)?;
    build::program(&tools)?;
    step("building poolguard");
    let mut cargo = host_cargo();
    cargo.args(["build", "--release", "--package", "filter-user"]);
    run(cargo.args(["--bin", "poolguard", "--example", "manual"]))?;
    manual()?;
    let files = revisions
        .map(|revision| workspace::root().join(format!("{DIRECTORY}/poolguard-{revision}.deb")));
    for (revision, file) in revisions.iter().zip(&files) {
        step(format_args!("packing {}", file.display()));
        let mut pack = outside_cargo(&cargo_deb);
        pack.args(["--no-build", "--package", "filter-user"]);
        pack.args(["--deb-revision", revision, "--output"]);
        run(pack.arg(file))?;
    }
    step("lintian");
    run(outside_cargo("lintian")
        .args(["--allow-root", "--fail-on", "error,warning"])
        .args(files.first()))?;
    Ok(files)
}

/// Makes the manual pages and the completions.
fn manual() -> Result<()> {
    step("making manual pages and completions");
    let directory = workspace::root().join(DIRECTORY);
    run(outside_cargo("target/release/examples/manual").arg(&directory))?;
    let page = directory.join("poolguard.toml.5");
    run(outside_cargo("pandoc")
        .args(["--standalone", "--from=gfm", "--to=man"])
        .args(["--metadata", "title=POOLGUARD.TOML(5) poolguard"])
        .args(["--output", &page.to_string_lossy()])
        .arg("docs/configuration.md"))?;
    // What `man -k` reads: the name, and what it is.
    let text = fs::read_to_string(&page).context("cannot read what pandoc made")?;
    let name = ".SH NAME\npoolguard.toml \\- the configuration of poolguard\n";
    let (head, body) = text
        .split_once(".SH ")
        .context("pandoc made a page without sections")?;
    fs::write(&page, format!("{head}{name}.SH {body}"))?;
    Ok(())
}
