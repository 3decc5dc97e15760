//! What the kernel's verifier says of the program.

use std::{fs, path::Path, time::Instant};

use anyhow::{Context as _, Result};
use aya::{
    Ebpf, EbpfLoader,
    programs::{ProgramError, ProgramInfo, SchedClassifier, Xdp},
};
use filter_common::{
    Ingress, Role, Settings, Sources,
    abi::{self, constant},
};

use crate::workspace::{is_root, step};

/// Prints the size of the object and, as root, what became of the program when
/// it was loaded, once for each role that an interface can have, with rule 7 where it
/// can be had, and for each way of forwarding; and the program at the way out.
pub(crate) fn report(object: &Path) -> Result<()> {
    let bytes = fs::read(object).with_context(|| format!("cannot read {}", object.display()))?;
    println!("XDP object: {} bytes", bytes.len());
    if !is_root() {
        println!("The verifier's numbers are missing: only root may load the program.");
        return Ok(());
    }
    step("loading the program");
    for (wire, forwarding) in [(0, ""), (1, ", wire")] {
        for (role, sources, rule_7) in [
            (Role::Customer, Sources::Any, ""),
            (Role::Customer, Sources::Pools, ", rule 7"),
            (Role::Network, Sources::Any, ""),
            (Role::Mixed, Sources::Any, ""),
        ] {
            let loaded = load(&bytes, Ingress { role, sources }, wire)?;
            let role = role.name();
            println!("as loaded for role {role:8}{rule_7}{forwarding}: {loaded}");
        }
    }
    println!("as loaded at the way out: {}", load_out(&bytes)?);
    Ok(())
}

fn load(object: &[u8], ingress: Ingress, wire: u32) -> Result<String> {
    let mut ebpf = prepare(object, ingress, wire)?;
    let program = ebpf
        .program_mut(abi::program(ingress.role))
        .context("the object has no program")?;
    let program: &mut Xdp = program.try_into()?;
    let start = Instant::now();
    program.load().context("the verifier refuses the program")?;
    Ok(told(program.info(), start)?)
}

fn load_out(object: &[u8]) -> Result<String> {
    let ingress = Ingress {
        role: Role::Customer,
        sources: Sources::Any,
    };
    let mut ebpf = prepare(object, ingress, 0)?;
    let program = ebpf
        .program_mut(abi::PROGRAM_OUT)
        .context("the object has no program for the way out")?;
    let program: &mut SchedClassifier = program.try_into()?;
    let start = Instant::now();
    program.load().context("the verifier refuses the program")?;
    Ok(told(program.info(), start)?)
}

fn prepare(object: &[u8], ingress: Ingress, wire: u32) -> Result<Ebpf> {
    // Classes of ports as a real configuration has them: with none the verifier
    // would skip all that depends on them.
    let settings = Settings {
        mail_ports: 0b10,
        high_ports: 0b11100,
        ..Settings::UNSET
    };
    let settings = settings.to_bytes();
    let sources = ingress.sources as u32;
    EbpfLoader::new()
        .override_global(constant::SETTINGS, &settings, true)
        .override_global(constant::SOURCES, &sources, true)
        .override_global(constant::WIRE, &wire, true)
        .load(object)
        .context("the object cannot be loaded")
}

fn told(info: Result<ProgramInfo, ProgramError>, start: Instant) -> Result<String, ProgramError> {
    let elapsed = start.elapsed();
    let info = info?;
    let number = |n: Option<u32>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
    Ok(format!(
        "{} instructions, {} verified, {} bytes of machine code, loaded in {} ms",
        number(info.size_translated().map(|bytes| bytes / 8)),
        number(info.verified_instruction_count()),
        info.size_jitted(),
        elapsed.as_millis(),
    ))
}
