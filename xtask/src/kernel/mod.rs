//! `cargo xtask test --kernel`: the tests that need the kernel, on Debian's own
//! kernels, in a virtual machine.

mod debian;
mod initramfs;
mod programs;
mod qemu;
mod report;

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum as _;

pub(crate) use self::debian::Stock;
use self::{
    debian::Kernel,
    initramfs::Initramfs,
    qemu::{Machine, Processor},
    report::Report,
};
use crate::{
    build,
    command::find_program,
    packages::{MACHINE, TEST},
    setup::{self, Mode},
    workspace::{self, step},
};

/// How long the machine may take.
const LIMIT: Duration = Duration::from_secs(90 * 60);

/// What the tests read, where they look for it.
const DATA: [&str; 2] = ["tests/captures", "tests/regressions"];

/// The command. `which` is the kernel, or both; `args` are for the test programs.
pub(crate) fn run_command(which: Option<Stock>, args: &[String]) -> Result<()> {
    if env::consts::ARCH != "x86_64" {
        bail!("the machine is an x86-64 one, and runs the programs that are built here");
    }
    let stock = which.map_or_else(|| Stock::value_variants().to_vec(), |one| vec![one]);
    let tools = setup::for_programs(Mode::Install, &[TEST, MACHINE].concat())?;
    let (qemu, busybox) = (debian::qemu()?, debian::busybox()?);
    let kernels: Vec<_> = stock
        .into_iter()
        .map(|stock| debian::kernel(stock, &busybox))
        .collect::<Result<_>>()?;
    build::program(&tools)?;
    build::host(false)?;
    let programs = programs::build()?;

    let directory = workspace::root().join("target/kernel");
    fs::create_dir_all(&directory)?;
    let initramfs = directory.join("initramfs");
    let mut failed = Vec::new();
    for kernel in &kernels {
        let console = directory.join(format!("console-{}.log", kernel.release()));
        let image = kernel.image();
        let machine = Machine {
            qemu: &qemu,
            image: &image,
            initramfs: &initramfs,
            console: &console,
        };
        let processor = machine.processor(&busybox)?;
        let contents = contents(kernel, &busybox, &programs, args, &directory)?;
        fs::write(&initramfs, contents)?;
        step(format_args!(
            "booting Debian's {} {processor}",
            kernel.release()
        ));
        if !boot(&machine, processor) {
            failed.push(format!("{} (see {})", kernel.release(), console.display()));
        }
    }
    if !failed.is_empty() {
        bail!("the tests failed on {}", failed.join(" and "));
    }
    Ok(())
}

/// Runs the tests in a machine and says how they went.
fn boot(machine: &Machine, processor: Processor) -> bool {
    let mut report = Report::default();
    let outcome = machine.run(processor, LIMIT, |line| {
        if let Some(line) = report.add(line) {
            println!("{line}");
        }
    });
    report.end(outcome);
    println!("\n{report}");
    report.is_good()
}

/// The root filesystem.
fn contents(
    kernel: &Kernel,
    busybox: &Path,
    programs: &[PathBuf],
    args: &[String],
    directory: &Path,
) -> Result<Vec<u8>> {
    let scratch = &directory.join("stripped");
    let mut root = Initramfs::default();
    for directory in ["/bin", "/dev", "/etc/ppp", "/proc", "/run", "/sys", "/tmp"] {
        root.directory(Path::new(directory));
    }
    root.script("/init", include_bytes!("init.sh"));
    root.script("/bin/busybox", &fs::read(busybox)?);
    for program in TEST.iter().chain(MACHINE) {
        let file = find_program(program.name);
        let file = file.with_context(|| format!("{} is missing", program.name))?;
        root.program(Path::new("/usr/sbin").join(program.name), &file, scratch)?;
    }
    let plugin = pppoe_plugin()?;
    root.program(&plugin, &plugin, scratch)?;
    root.tree(&kernel.modules_inside(), &kernel.modules())?;
    // As cargo lays them out: tests find the binary above themselves.
    for program in programs {
        root.program(
            Path::new("/tests/deps").join(name(program)?),
            program,
            scratch,
        )?;
    }
    let built = workspace::root().join("target/debug/poolguard");
    root.program("/tests/poolguard", &built, scratch)?;
    root.program("/tests/xtask", &env::current_exe()?, scratch)?;
    let object = workspace::root().join(workspace::object());
    root.file("/tests/poolguard-xdp", &fs::read(object)?);
    for data in DATA {
        let data = workspace::root().join(data);
        root.tree(&data, &data)?;
    }
    let args: String = args.iter().map(|arg| format!("{arg}\n")).collect();
    root.file("/tests/arguments", args.as_bytes());
    Ok(root.finish())
}

/// What pppd loads for PPPoE, from a directory named after its version.
fn pppoe_plugin() -> Result<PathBuf> {
    const DIRECTORY: &str = "/usr/lib/pppd";
    let versions = fs::read_dir(DIRECTORY).with_context(|| format!("cannot read {DIRECTORY}"))?;
    let mut plugins = versions
        .flatten()
        .map(|version| version.path().join("pppoe.so"));
    let plugin = plugins.find(|plugin| plugin.is_file());
    plugin.with_context(|| format!("there is no pppoe.so below {DIRECTORY}"))
}

fn name(path: &Path) -> Result<&str> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.with_context(|| format!("{} has no name", path.display()))
}
