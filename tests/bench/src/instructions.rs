//! How much there is to do for a frame: eBPF instructions, steps of lookups in arrays, and calls.
//!
//! poolguard's program is run instruction by instruction, as RFC 9669 describes
//! them, on the tables that its controller makes. This counts and proves nothing
//! else; what the kernel's compiler makes of an instruction is mostly one of the
//! processor, and of a lookup in an array about ten.

use std::collections::{BTreeMap, HashMap, HashSet};

use aya_obj::{Object, generated::bpf_insn};
use filter_common::{
    abi::{self, constant, map},
    counters::{ROWS, Row},
    last_use::{MARK_LINES, MarkLine},
};
use jiff::Timestamp;
use policy::compile::Compiled;
use poolguard_tests::{configs::Configuration, host};

use super::{
    cases::{Case, Kind},
    customers::{Layout, configuration},
};

/// What one frame took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Instructions, those of lookups and calls not included.
    pub instructions: u64,
    /// Lookups in arrays, which the kernel compiles into the program.
    pub lookups: u64,
    /// Calls into the kernel.
    pub calls: u64,
}

/// What a frame of a case takes.
#[derive(Clone, Copy, Debug)]
pub struct Count {
    /// The name of the case.
    pub case: &'static str,
    /// 4 or 6.
    pub ip_version: u8,
    /// How much there is to do.
    pub work: Work,
}

/// The most instructions that frames of a case may take: the IPv4 limit, and the IPv6
/// one. What nobody watches is most of what a box sees; what is dropped is what a flood
/// of scans consists of.
const LIMITS: [(&str, u64, u64); 2] = [("unwatched", 95, 95), ("dropped", 360, 450)];

/// What each case takes.
///
/// # Panics
///
/// Where the crate was built without the program, and when the program lets through what
/// it is to drop, or the other way round.
pub fn count() -> Vec<Count> {
    let object = dataplane::xdp_object().expect("`cargo xtask build` makes the program");
    let configuration = Configuration {
        text: configuration(Layout::Dense, 1_000),
    };
    let compiled = host::load(&configuration, Timestamp::now());
    // For an answer there would have to be a memory of flows; a flood is many cases.
    let is_one = |case: &Case| !matches!(case.kind, Kind::Return | Kind::Flood);
    let cases = Case::all().into_iter().filter(is_one);
    cases
        .map(|case| {
            let mut machine = Machine::new(object, &compiled, &case);
            // The first frame of a minute marks the exemption that it uses.
            machine.run(&case.frame);
            machine.work = Work::default();
            let action = machine.run(&case.frame);
            let wanted = if case.passes { XDP_PASS } else { XDP_DROP };
            assert_eq!(action, wanted, "{:?}", case.kind);
            Count {
                case: case.kind.name(),
                ip_version: match case.family {
                    filter_common::Family::V4 => 4,
                    filter_common::Family::V6 => 6,
                },
                work: machine.work,
            }
        })
        .collect()
}

/// The counts as a table in Markdown.
pub fn table(counts: &[Count]) -> String {
    let mut text = String::from(
        "| case | IPv | instructions | lookups in arrays | calls |\n|---|---|--:|--:|--:|\n",
    );
    for count in counts {
        let Count {
            case,
            ip_version,
            work,
        } = count;
        let Work {
            instructions,
            lookups,
            calls,
        } = work;
        text += &format!("| {case} | {ip_version} | {instructions} | {lookups} | {calls} |\n");
    }
    text
}

/// What takes more than it may, a line each.
pub fn excesses(counts: &[Count]) -> Vec<String> {
    let over = counts.iter().filter_map(|count| {
        let (_, v4, v6) = LIMITS.into_iter().find(|(case, ..)| *case == count.case)?;
        let limit = if count.ip_version == 4 { v4 } else { v6 };
        let taken = count.work.instructions;
        (taken > limit).then(|| {
            let Count {
                case, ip_version, ..
            } = count;
            format!("{case}, IPv{ip_version}: {taken} instructions (wanted at most {limit})")
        })
    });
    over.collect()
}

const XDP_DROP: u64 = 1;
const XDP_PASS: u64 = 2;

/// Pointers: the upper half says into what, the lower one where.
const CONTEXT: u64 = 1 << 32;
const STACK: u64 = 2 << 32;
const PACKET: u64 = 3 << 32;
/// And from here on into the values of the maps, by their number.
const VALUES: u64 = 16 << 32;
/// A map itself.
const MAP: u64 = 1 << 60;

const STACK_BYTES: usize = 512;

struct Machine {
    program: Vec<bpf_insn>,
    /// By number: the size of a value, and all values. No values: a hash.
    maps: Vec<(usize, Vec<u8>)>,
    stack: Vec<u8>,
    packet: Vec<u8>,
    registers: [u64; 11],
    work: Work,
}

impl Machine {
    fn new(object: &[u8], compiled: &Compiled, case: &Case) -> Self {
        let mut object = Object::parse(object).unwrap();
        let globals: BTreeMap<&str, Vec<u8>> = [
            (constant::SETTINGS, compiled.settings.to_bytes().to_vec()),
            (constant::PORT_CLASSES, compiled.ports.classes.to_vec()),
            (constant::PORT_SLOTS, compiled.ports.slots.to_vec()),
        ]
        .into();
        let globals = globals
            .iter()
            .map(|(name, bytes)| (*name, (&bytes[..], true)));
        object
            .patch_map_data(globals.collect::<HashMap<_, _>>())
            .unwrap();

        let names: Vec<String> = object.maps.keys().cloned().collect();
        let contents = contents(compiled);
        let mut maps = Vec::new();
        for name in &names {
            let map = &object.maps[name];
            let values = contents.get(name.as_str()).cloned();
            let values = values.unwrap_or_else(|| map.data().to_vec());
            maps.push((map.value_size() as usize, values));
        }
        let text: HashSet<usize> = object
            .functions
            .keys()
            .map(|(section, _)| *section)
            .collect();
        let descriptors: Vec<_> = (0..)
            .zip(&names)
            .map(|(number, name)| (name.clone(), number, object.maps[name].clone()))
            .collect();
        let descriptors = descriptors.iter();
        let descriptors = descriptors.map(|(name, number, map)| (name.as_str(), *number, map));
        object.relocate_maps(descriptors, &text).unwrap();
        object.relocate_calls(&text).unwrap();
        let key = object.programs[abi::program(case.role)].function_key();
        Self {
            program: object.functions[&key].instructions.clone(),
            maps,
            stack: vec![0; STACK_BYTES],
            packet: Vec::new(),
            registers: [0; 11],
            work: Work::default(),
        }
    }

    fn run(&mut self, frame: &[u8]) -> u64 {
        frame.clone_into(&mut self.packet);
        self.registers[1] = CONTEXT;
        self.registers[10] = STACK + STACK_BYTES as u64;
        let mut next = 0_usize;
        loop {
            let instruction = self.program[next];
            self.work.instructions += 1;
            next += 1;
            let (class, operation) = (instruction.code & 7, instruction.code & 0xf0);
            match class {
                // BPF_LD: a 64-bit immediate, in two slots.
                0 => {
                    let low = u64::from(instruction.imm as u32);
                    let high = u64::from(self.program[next].imm as u32);
                    self.registers[usize::from(instruction.dst_reg())] = match instruction.src_reg()
                    {
                        0 => high << 32 | low,
                        1 => MAP | low,
                        2 => VALUES + (low << 32) + high,
                        other => panic!("an immediate of kind {other}"),
                    };
                    next += 1;
                }
                1 => self.load(instruction),
                2 | 3 => self.store(instruction),
                4 | 7 => self.compute(instruction),
                // BPF_JMP and BPF_JMP32.
                _ => match operation {
                    0x80 => self.call(instruction),
                    0x90 => return self.registers[0],
                    _ if self.jumps(instruction) => {
                        next = next.wrapping_add_signed(instruction.off.into());
                    }
                    _ => {}
                },
            }
        }
    }

    fn operand(&self, instruction: bpf_insn) -> u64 {
        match instruction.code & 8 {
            0 => i64::from(instruction.imm) as u64,
            _ => self.registers[usize::from(instruction.src_reg())],
        }
    }

    fn compute(&mut self, instruction: bpf_insn) {
        let is_swap = instruction.code & 0xf0 == 0xd0;
        // A swap says itself how wide it is.
        let is_wide = is_swap || instruction.code & 7 == 7;
        let own = self.registers[usize::from(instruction.dst_reg())];
        let other = self.operand(instruction);
        let (own, other) = match is_wide {
            true => (own, other),
            false => (own & 0xffff_ffff, other & 0xffff_ffff),
        };
        let shift = (other & if is_wide { 63 } else { 31 }) as u32;
        let result = match instruction.code & 0xf0 {
            0x00 => own.wrapping_add(other),
            0x10 => own.wrapping_sub(other),
            0x20 => own.wrapping_mul(other),
            0x30 => own.checked_div(other).unwrap_or(0),
            0x40 => own | other,
            0x50 => own & other,
            0x60 => own << shift,
            0x70 => own >> shift,
            0x80 => own.wrapping_neg(),
            0x90 => own.checked_rem(other).unwrap_or(own),
            0xa0 => own ^ other,
            0xb0 => other,
            0xc0 if is_wide => ((own as i64) >> shift) as u64,
            0xc0 => ((own as i32) >> shift) as u32 as u64,
            // To network order, which is the other one here.
            _ => match instruction.imm {
                16 => u64::from((own as u16).to_be()),
                32 => u64::from((own as u32).to_be()),
                _ => own.to_be(),
            },
        };
        let result = if is_wide {
            result
        } else {
            result & 0xffff_ffff
        };
        self.registers[usize::from(instruction.dst_reg())] = result;
    }

    fn jumps(&self, instruction: bpf_insn) -> bool {
        let own = self.registers[usize::from(instruction.dst_reg())];
        let other = self.operand(instruction);
        let (own, other) = match instruction.code & 7 {
            5 => (own, other),
            _ => (own as i32 as u64, other as i32 as u64),
        };
        let (signed, others) = (own as i64, other as i64);
        match instruction.code & 0xf0 {
            0x00 => true,
            0x10 => own == other,
            0x20 => own > other,
            0x30 => own >= other,
            0x40 => own & other != 0,
            0x50 => own != other,
            0x60 => signed > others,
            0x70 => signed >= others,
            0xa0 => own < other,
            0xb0 => own <= other,
            0xc0 => signed < others,
            0xd0 => signed <= others,
            other => panic!("a jump of kind {other:#x}"),
        }
    }

    fn load(&mut self, instruction: bpf_insn) {
        let from = self.registers[usize::from(instruction.src_reg())];
        let from = from.wrapping_add_signed(instruction.off.into());
        // The kernel makes pointers of these two words of the context.
        let value = match from {
            CONTEXT => PACKET,
            _ if from == CONTEXT + 4 => PACKET + self.packet.len() as u64,
            _ => {
                let size = size(instruction.code);
                let mut bytes = [0; 8];
                bytes[..size].copy_from_slice(&self.memory(from)[..size]);
                u64::from_le_bytes(bytes)
            }
        };
        self.registers[usize::from(instruction.dst_reg())] = value;
    }

    fn store(&mut self, instruction: bpf_insn) {
        let to = self.registers[usize::from(instruction.dst_reg())];
        let to = to.wrapping_add_signed(instruction.off.into());
        let value = match instruction.code & 7 {
            2 => i64::from(instruction.imm) as u64,
            _ => self.registers[usize::from(instruction.src_reg())],
        };
        let size = size(instruction.code);
        self.memory(to)[..size].copy_from_slice(&value.to_le_bytes()[..size]);
    }

    /// What is at an address, and after it.
    fn memory(&mut self, address: u64) -> &mut [u8] {
        let at = (address & 0xffff_ffff) as usize;
        let whole = match address >> 32 << 32 {
            STACK => &mut self.stack,
            PACKET => &mut self.packet,
            values => &mut self.maps[((values - VALUES) >> 32) as usize].1,
        };
        &mut whole[at..]
    }

    fn call(&mut self, instruction: bpf_insn) {
        /// `bpf_map_lookup_elem`.
        const LOOKUP: i32 = 1;
        assert_eq!(
            instruction.src_reg(),
            0,
            "the program calls no part of itself"
        );
        self.registers[0] = match instruction.imm {
            LOOKUP => {
                let [_, map, key, ..] = self.registers;
                let number = map & 0xffff_ffff;
                let key = u32::from_le_bytes(*self.memory(key).first_chunk().unwrap());
                let (size, values) = &self.maps[number as usize];
                let at = key as usize * size;
                if values.is_empty() {
                    self.work.calls += 1;
                    0
                } else {
                    self.work.lookups += 1;
                    let is_there = at < values.len();
                    if is_there {
                        VALUES + (number << 32) + at as u64
                    } else {
                        0
                    }
                }
            }
            _ => {
                self.work.calls += 1;
                0
            }
        };
    }
}

/// How many bytes are loaded or stored.
fn size(code: u8) -> usize {
    match code & 0x18 {
        0x00 => 4,
        0x08 => 2,
        0x10 => 1,
        _ => 8,
    }
}

/// What the controller puts into the maps.
fn contents(compiled: &Compiled) -> BTreeMap<&'static str, Vec<u8>> {
    let policies = compiled.policies.iter().flat_map(|policy| {
        let masks = policy.forbidden.iter().chain(&policy.exempt);
        let masks = masks.flat_map(|mask| mask.to_le_bytes());
        masks.chain(words(&[policy.pool, policy.flags]))
    });
    [
        (map::POLICIES, policies.collect()),
        (map::PREFIXES_V4, words(compiled.prefixes_v4.as_flattened())),
        (map::PREFIXES_V6, words(compiled.prefixes_v6.as_flattened())),
        (
            map::MARKS,
            vec![0; MARK_LINES as usize * size_of::<MarkLine>()],
        ),
        (map::COUNTERS, vec![0; ROWS as usize * size_of::<Row>()]),
    ]
    .into()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
