//! `cargo xtask test --kernel`: the tests that need the kernel, on Debian 12's
//! own, in a virtual machine.

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

use self::{debian::Kernel, initramfs::Initramfs, qemu::Machine, report::Report};
use crate::{
    build,
    command::find_program,
    packages::MACHINE,
    setup::{self, Mode},
    workspace::{self, step},
};

/// How long the machine may take.
const LIMIT: Duration = Duration::from_secs(45 * 60);

/// The command. `args` are for the test programs.
pub(crate) fn run_command(args: &[String]) -> Result<()> {
    if env::consts::ARCH != "x86_64" {
        bail!("the machine is an x86-64 one, and runs the programs that are built here");
    }
    let tools = setup::for_programs(Mode::Install, MACHINE)?;
    let (qemu, busybox, kernel) = (debian::qemu()?, debian::busybox()?, debian::kernel()?);
    build::program(&tools)?;
    build::host(false)?;
    let programs = programs::build()?;

    let directory = workspace::root().join("target/kernel");
    fs::create_dir_all(&directory)?;
    let initramfs = directory.join("initramfs");
    let scratch = directory.join("stripped");
    let contents = contents(&kernel, &busybox, &programs, args, &scratch)?;
    fs::write(&initramfs, contents)?;

    step(format_args!(
        "booting Debian's kernel under qemu{}",
        match qemu::has_kvm() {
            true => "",
            false => ", by software emulation: everything takes ten times as long",
        }
    ));
    let console = directory.join("console.log");
    let machine = Machine {
        qemu: &qemu,
        image: &kernel.image(),
        initramfs: &initramfs,
        console: &console,
    };
    let mut report = Report::default();
    let outcome = machine.run(LIMIT, |line| {
        if let Some(line) = report.add(line) {
            println!("{line}");
        }
    });
    report.end(outcome);
    println!("\n{report}");
    if !report.is_good() {
        bail!(
            "the tests failed; what the kernel said is in {}",
            console.display()
        );
    }
    Ok(())
}

/// The root filesystem.
fn contents(
    kernel: &Kernel,
    busybox: &Path,
    programs: &[PathBuf],
    args: &[String],
    scratch: &Path,
) -> Result<Vec<u8>> {
    let mut root = Initramfs::default();
    for directory in ["/bin", "/dev", "/proc", "/run", "/sys", "/tmp"] {
        root.directory(Path::new(directory));
    }
    root.script("/init", include_bytes!("init.sh"));
    root.script("/bin/busybox", &fs::read(busybox)?);
    for program in MACHINE {
        let file = find_program(program.name).context(program.name)?;
        root.program(Path::new("/usr/sbin").join(program.name), &file, scratch)?;
    }
    let mut order = String::new();
    for module in kernel.modules()? {
        let name = name(&module)?;
        root.file(Path::new("/modules").join(name), &fs::read(&module)?);
        order = format!("{order}{name}\n");
    }
    root.file("/modules/order", order.as_bytes());
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
    let args: String = args.iter().map(|arg| format!("{arg}\n")).collect();
    root.file("/tests/arguments", args.as_bytes());
    Ok(root.finish())
}

fn name(path: &Path) -> Result<&str> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.with_context(|| format!("{} has no name", path.display()))
}
