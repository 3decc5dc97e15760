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

/// How long a machine may take for everything.
const LIMIT: Duration = Duration::from_secs(90 * 60);

/// What the tests read, where they look for it.
const DATA: [&str; 2] = ["tests/captures", "tests/regressions"];

/// What the tests are told where the processor is emulated: fewer configurations,
/// and always the same, among which everything occurs.
const SHORTER: [(&str, &str); 2] = [("POOLGUARD_SEED", "1"), ("POOLGUARD_CONFIGURATIONS", "8")];

/// A few tests, for the continuous integration: the program is loaded, attached
/// and kept, decides frames, and passes and drops them on a wire.
const FEW: [&str; 3] = [
    "mail_leaves_only_through_the_mail_servers",
    "the_program_is_attached_natively_by_a_bpf_link",
    "a_reload_keeps_the_flows",
];
/// How often a kernel may fail to come up.
const BOOTS: u32 = 3;
const FEW_LIMIT: Duration = Duration::from_secs(10 * 60);

/// A few of the tests. `which` is the kernel, or both.
pub(crate) fn run_few(which: Option<Stock>) -> Result<()> {
    run(which, &FEW.map(str::to_owned), &FEW, FEW_LIMIT)
}

/// The command. `which` is the kernel, or both; `args` are for the test programs.
pub(crate) fn run_command(which: Option<Stock>, args: &[String]) -> Result<()> {
    run(which, args, &[], LIMIT)
}

fn run(
    which: Option<Stock>,
    args: &[String],
    expected: &[&'static str],
    limit: Duration,
) -> Result<()> {
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
            limit,
        };
        let processor = machine.processor(&busybox)?;
        let environment: &[_] = match processor {
            Processor::Kvm => &[],
            Processor::Emulated => &SHORTER,
        };
        let contents = contents(kernel, &busybox, &programs, args, environment, &directory)?;
        fs::write(&initramfs, contents)?;
        step(format_args!(
            "booting Debian's {} {processor}",
            kernel.release()
        ));
        if !boot(&machine, processor, expected) {
            failed.push(format!("{} (see {})", kernel.release(), console.display()));
        }
    }
    if !failed.is_empty() {
        bail!("the tests failed on {}", failed.join(" and "));
    }
    Ok(())
}

/// Runs the tests in a machine and says how they went. A kernel that ends before
/// its first process has said a word, which an emulator on a busy machine can
/// cause, has tested nothing: it is booted again, and what it said is shown.
fn boot(machine: &Machine, processor: Processor, expected: &[&'static str]) -> bool {
    for attempt in 1.. {
        let mut report = Report::expecting(expected);
        let outcome = machine.run(processor, |line| {
            if let Some(line) = report.add(line) {
                println!("{line}");
            }
        });
        if report.is_from_a_kernel() || attempt == BOOTS {
            report.end(outcome);
            println!("\n{report}");
            if !report.is_good() {
                machine.show_console();
            }
            return report.is_good();
        }
        let why = outcome.err().map_or_else(
            || "it switched itself off".to_owned(),
            |error| format!("{error:#}"),
        );
        step(format_args!(
            "the kernel did not come up ({why}), at boot {attempt} of {BOOTS}"
        ));
        machine.show_console();
    }
    unreachable!("the last boot returns")
}

/// The root filesystem.
fn contents(
    kernel: &Kernel,
    busybox: &Path,
    programs: &[PathBuf],
    args: &[String],
    environment: &[(&str, &str)],
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
    let environment = environment
        .iter()
        .map(|(key, value)| format!("export {key}={value}\n"));
    root.file(
        "/tests/environment",
        environment.collect::<String>().as_bytes(),
    );
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
