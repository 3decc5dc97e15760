//! What the test takes from Debian's packages. They are downloaded and unpacked
//! for it alone: nothing is installed, so none of it takes root.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    command::{CommandLine, find_program, output},
    setup::{self, Mode, Remedy},
    workspace::cache,
};

/// The stock kernel of Debian 12: 6.1.0-1-amd64 and on.
const KERNEL: &str = "^linux-image-6[.]1[.]0-[0-9]+-amd64$";

/// Modules that the tests need, without those that these say they need. The
/// checksum is one that `libcrc32c`, below `nf_tables`, asks for by itself.
const MODULES: [&str; 4] = ["veth", "bridge", "crc32c_generic", "nf_tables"];

/// Those of the devices that `tests/tests/devices.rs` makes, in the same way.
const DEVICES: [&str; 20] = [
    "8021q",
    "bonding",
    "dummy",
    "geneve",
    "ifb",
    "ip6_gre",
    "ip6_tunnel",
    "ip_gre",
    "ipip",
    "ipvlan",
    "macvlan",
    "macvtap",
    "nlmon",
    "ppp_generic",
    "sit",
    "team",
    "tun",
    "vrf",
    "vxlan",
    "wireguard",
];

/// What is unpacked of the kernel's package.
const PARTS: &str = "./boot './lib/modules/*/kernel/net' './lib/modules/*/kernel/lib' \
     './lib/modules/*/kernel/crypto' './lib/modules/*/kernel/arch/x86/crypto' \
     './lib/modules/*/kernel/drivers/net/*.ko' './lib/modules/*/kernel/drivers/net/bonding' \
     './lib/modules/*/kernel/drivers/net/ipvlan' './lib/modules/*/kernel/drivers/net/ppp' \
     './lib/modules/*/kernel/drivers/net/slip' './lib/modules/*/kernel/drivers/net/team' \
     './lib/modules/*/kernel/drivers/net/vxlan' './lib/modules/*/kernel/drivers/net/wireguard'";

/// The emulator, and where its parts are.
pub(super) struct Qemu {
    pub(super) program: PathBuf,
    /// Directories of libraries and of firmware; none if it is installed.
    pub(super) libraries: Vec<PathBuf>,
    pub(super) firmware: Vec<PathBuf>,
}

/// A kernel with its modules.
pub(super) struct Kernel {
    directory: PathBuf,
    release: String,
}

/// Finds or fetches the emulator.
pub(super) fn qemu() -> Result<Qemu> {
    const NAME: &str = "qemu-system-x86_64";
    let directory = cache()?.join("qemu");
    let find = || {
        if let Some(program) = find_program(NAME) {
            return Some(Qemu {
                program,
                libraries: Vec::new(),
                firmware: Vec::new(),
            });
        }
        let below = |paths: [&str; 2]| paths.map(|path| directory.join(path)).to_vec();
        Some(Qemu {
            program: Some(directory.join("usr/bin").join(NAME)).filter(|file| file.is_file())?,
            libraries: below(["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"]),
            firmware: below(["usr/share/qemu", "usr/share/seabios"]),
        })
    };
    if let Some(found) = find() {
        return Ok(found);
    }
    let wanted = || to_install("qemu-system-x86");
    let packages = known(wanted, "the package qemu-system-x86")?;
    let remedy = unpack(&directory, &packages, "");
    setup::obtain(Mode::Install, NAME, find, &[remedy])
}

/// Finds or fetches the file of a program that is linked statically.
pub(super) fn busybox() -> Result<PathBuf> {
    let directory = cache()?.join("busybox");
    let file = directory.join("bin/busybox");
    let find = || file.is_file().then(|| file.clone());
    let remedy = unpack(&directory, &["busybox-static".to_owned()], "./bin");
    setup::obtain(Mode::Install, "busybox-static", find, &[remedy])
}

/// Finds the kernel or fetches the newest one.
pub(super) fn kernel() -> Result<Kernel> {
    let directory = cache()?.join("linux-6.1");
    let find = || Kernel::in_directory(&directory);
    if let Some(found) = find() {
        return Ok(found);
    }
    let package = known(newest_kernel, "Debian 12's kernel package")?;
    let remedy = unpack(&directory, &[package], PARTS);
    setup::obtain(Mode::Install, "Debian 12's kernel", find, &[remedy])
}

impl Kernel {
    fn in_directory(directory: &Path) -> Option<Self> {
        let release = fs::read_dir(directory.join("lib/modules"))
            .ok()?
            .flatten()
            .next()?
            .file_name()
            .into_string()
            .ok()?;
        let kernel = Self {
            directory: directory.to_owned(),
            release,
        };
        (kernel.image().is_file() && kernel.modules().is_ok()).then_some(kernel)
    }

    pub(super) fn image(&self) -> PathBuf {
        let name = format!("vmlinuz-{}", self.release);
        self.directory.join("boot").join(name)
    }

    /// The files of the modules that the tests need, in the order in which they
    /// can be loaded.
    pub(super) fn modules(&self) -> Result<Vec<PathBuf>> {
        let mut there = BTreeMap::new();
        let root = self.directory.join("lib/modules").join(&self.release);
        find_modules(&root, &mut there)?;
        let mut ordered = Vec::new();
        for module in MODULES.iter().chain(&DEVICES) {
            self.add(module, &there, &mut ordered)?;
        }
        Ok(ordered)
    }

    /// Adds a module after those that it needs.
    fn add(
        &self,
        module: &str,
        there: &BTreeMap<String, PathBuf>,
        ordered: &mut Vec<PathBuf>,
    ) -> Result<()> {
        let file = there
            .get(module)
            .with_context(|| format!("there is no module {module} for {}", self.release))?;
        if ordered.contains(file) {
            return Ok(());
        }
        for needed in needs(&fs::read(file)?) {
            self.add(&needed, there, ordered)?;
        }
        ordered.push(file.clone());
        Ok(())
    }
}

/// Every module below a directory, by name.
fn find_modules(directory: &Path, found: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            find_modules(&path, found)?;
        } else if let Some(name) = path.file_name().and_then(|name| name.to_str())
            && let Some(name) = name.strip_suffix(".ko")
        {
            found.insert(name.replace('-', "_"), path);
        }
    }
    Ok(())
}

/// The modules that a module needs, as `modinfo -F depends` tells them: from a
/// string in the file that begins with `depends=`.
fn needs(module: &[u8]) -> Vec<String> {
    let list = module
        .split(|byte| *byte == 0)
        .find_map(|string| string.strip_prefix(b"depends="));
    let list = String::from_utf8_lossy(list.unwrap_or_default()).replace('-', "_");
    let names = list.split(',').filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// Looks something up in apt's lists, which may have to be fetched first.
fn known<T>(look: impl Fn() -> Option<T>, what: &str) -> Result<T> {
    let update = Remedy {
        what: "apt's lists of packages, system-wide".to_owned(),
        program: "apt-get",
        as_root: true,
        commands: vec![CommandLine::new(["apt-get", "update"])],
    };
    setup::obtain(Mode::Install, what, look, &[update])
}

fn newest_kernel() -> Option<String> {
    let found = output(Command::new("apt-cache").args(["search", "--names-only", KERNEL]))?;
    let names = found.lines().filter_map(|line| line.split(' ').next());
    let number = |name: &&str| name.split('-').rev().nth(1)?.parse::<u32>().ok();
    names.max_by_key(number).map(str::to_owned)
}

/// The package and all that it would take to install it here.
fn to_install(package: &str) -> Option<Vec<String>> {
    let mut plan = Command::new("apt-get");
    plan.args(["install", "--simulate", "--no-install-recommends", package]);
    let plan = output(&mut plan)?;
    let names = plan
        .lines()
        .filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next());
    let names: Vec<_> = names.map(str::to_owned).collect();
    (!names.is_empty()).then_some(names)
}

/// Downloads packages and unpacks them, or some parts of them, into a directory
/// that is there only when it is complete.
fn unpack(directory: &Path, names: &[String], parts: &str) -> Remedy {
    let directory = directory.to_string_lossy();
    let partial = format!("{directory}.partial");
    let mut download = vec!["env".to_owned(), format!("--chdir={partial}")];
    download.extend(["apt-get", "download"].map(str::to_owned));
    download.extend_from_slice(names);
    let extract = format!(
        "cd {partial} && for package in *.deb; do dpkg-deb --fsys-tarfile \"$package\" | \
         tar --extract --wildcards {parts} && rm \"$package\" || exit 1; done"
    );
    Remedy {
        what: format!(
            "Debian packages, unpacked into {directory} alone: {}",
            names.join(" ")
        ),
        program: "apt-get",
        as_root: false,
        commands: vec![
            CommandLine::new(["rm", "-rf", &partial]),
            CommandLine::new(["mkdir", "-p", &partial]),
            CommandLine::new(download),
            CommandLine::new(["sh", "-c", &extract]),
            CommandLine::new(["rm", "-rf", &directory]),
            CommandLine::new(["mv", &partial, &directory]),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::needs;

    #[test]
    fn a_module_says_what_it_needs() {
        let module = b"\x7fELF\0license=GPL\0depends=stp,br-llc\0retpoline=Y\0";
        assert_eq!(needs(module), ["stp", "br_llc"]);
        assert!(needs(b"license=GPL\0depends=\0").is_empty());
    }
}
