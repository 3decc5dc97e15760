//! The programs of the benchmark, in the kernel.

use std::{fs, path::Path};

use aya::{
    Ebpf, EbpfLoader, Pod,
    maps::{
        Array, ProgramArray,
        lpm_trie::{Key, LpmTrie},
    },
    programs::{
        ProgramFd, TestRun as _, TestRunAttrs, TestRunOptions, Xdp, XdpMode, loaded_programs,
    },
};
use filter_common::{Family, PortClasses};
use lab::Namespace;

use super::{
    customers::{EXEMPTED, FAMILIES, Layout, pool, prefixes},
    spec::{PORTS, Spec},
};

/// [`Spec`] as a map value.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct SpecValue(Spec);

#[expect(
    unsafe_code,
    reason = "aya asks for the promise that there is no padding"
)]
// SAFETY: `repr(C)`, five fields of 8 bytes, then seven of 4 and two of 2: no padding.
unsafe impl Pod for SpecValue {}
const _: () = assert!(size_of::<Spec>() == 5 * 8 + 7 * 4 + 2 * 2);

/// Whether a program takes frames in several buffers. Programs call only those
/// of their own kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buffers {
    /// It does.
    Several,
    /// It does not.
    One,
}

/// The programs that run subjects on frames that vary.
pub struct Apparatus {
    object: Ebpf,
    /// Where they are attached, and nothing ever arrives.
    _idle: Namespace,
}

impl Apparatus {
    /// Loads them.
    pub fn load(object: &[u8]) -> Self {
        let mut object = Ebpf::load(object).unwrap();
        for name in [
            "floor",
            "floor_without_frags",
            "one_load",
            "vary",
            "vary_without_frags",
            "send",
        ] {
            program(&mut object, name).load().unwrap();
        }
        let idle = Namespace::new();
        for name in ["vary", "vary_without_frags", "send"] {
            keep_called_directly(&idle, &mut object, name);
        }
        Self {
            object,
            _idle: idle,
        }
    }

    /// The number of the program that only drops.
    pub fn floor(&mut self, buffers: Buffers) -> u32 {
        let name = match buffers {
            Buffers::Several => "floor",
            Buffers::One => "floor_without_frags",
        };
        program(&mut self.object, name).info().unwrap().id()
    }

    /// The number of the program that reads one word.
    pub fn one_load(&mut self) -> u32 {
        program(&mut self.object, "one_load").info().unwrap().id()
    }

    /// Attaches the program that only drops to an interface, for as long as this lives.
    pub fn attach_floor(&mut self, interface: &str) {
        let floor = program(&mut self.object, "floor");
        floor.attach(interface, XdpMode::Driver).unwrap();
    }

    /// Says what varies from now on.
    pub fn write(&mut self, spec: Spec) {
        let map = self.object.map_mut("SPEC").unwrap();
        let mut array: Array<_, SpecValue> = map.try_into().unwrap();
        array.set(0, SpecValue(spec), 0).unwrap();
    }

    /// Makes a program the subject. Says of which kind it is.
    pub fn examine(&mut self, subject: &ProgramFd) -> Buffers {
        for (name, buffers) in [
            ("SUBJECT", Buffers::Several),
            ("SUBJECT_WITHOUT_FRAGS", Buffers::One),
        ] {
            let map = self.object.map_mut(name).unwrap();
            let mut array: ProgramArray<_> = map.try_into().unwrap();
            if array.set(0, subject, 0).is_ok() {
                return buffers;
            }
        }
        panic!("the kernel lets no program call this subject");
    }

    /// Has the subject decide so many frames. Gives back the last verdict.
    pub fn run(&mut self, buffers: Buffers, frame: &[u8], repeat: u32) -> u32 {
        let name = match buffers {
            Buffers::Several => "vary",
            Buffers::One => "vary_without_frags",
        };
        let mut options = TestRunOptions::new();
        options.data_in = Some(frame);
        options.repeat = repeat;
        let run = program(&mut self.object, name).test_run(options);
        run.unwrap().return_value
    }

    /// Sends so many frames, as the spec says.
    pub fn send(&mut self, frame: &[u8], repeat: u32) {
        let mut options = TestRunOptions::new();
        options.data_in = Some(frame);
        options.repeat = repeat;
        options.attrs = TestRunAttrs::new().xdp_live_frames(BATCH);
        program(&mut self.object, "send").test_run(options).unwrap();
    }
}

/// Attaches a program to an interface of its own. The kernel keeps a list of the
/// programs that it calls directly. A test run puts its program there and takes it
/// off again, and the kernel then waits for all processors, each time, unless the
/// program is there anyhow.
fn keep_called_directly(idle: &Namespace, object: &mut Ebpf, name: &str) {
    let interface = name.split('_').map(|word| &word[..1]).collect::<String>();
    idle.ip(&format!(
        "link add {interface} type veth peer name {interface}-peer"
    ));
    let program = program(object, name);
    idle.run(|| program.attach(&interface, XdpMode::Driver).unwrap());
}

/// Live frames that are sent at once: fewer than a receiver takes at once (64).
const BATCH: u32 = 32;

fn program<'a>(object: &'a mut Ebpf, name: &str) -> &'a mut Xdp {
    let program = object.program_mut(name);
    let program = program.unwrap_or_else(|| panic!("the object has no program {name}"));
    program.try_into().unwrap()
}

/// The program with this number.
pub fn by_number(id: u32) -> ProgramFd {
    let mut programs = loaded_programs().filter_map(Result::ok);
    let program = programs.find(|program| program.id() == id);
    program.unwrap().fd().unwrap()
}

/// Reads the object; the error says what makes it.
pub fn read(object: &Path) -> Vec<u8> {
    let missing = |error| panic!("{}: {error}: run `cargo xtask bench`", object.display());
    fs::read(object).unwrap_or_else(missing)
}

/// The policy on a kernel LPM trie.
pub struct Trie {
    object: Ebpf,
}

impl Trie {
    /// Loads the program with so many customers in each family.
    pub fn load(object: &[u8], layout: Layout, count: u32) -> Self {
        let mut loader = EbpfLoader::new();
        for table in ["CUSTOMERS_V4", "CUSTOMERS_V6"] {
            // And the pool.
            loader.map_max_entries(table, count + 1);
        }
        let mut trie = Self {
            object: loader.load(object).unwrap(),
        };
        trie.fill_ports();
        let exempted = 1 << class(EXEMPTED);
        for family in FAMILIES {
            let customers = prefixes(layout, family, count).map(|prefix| (prefix, exempted));
            let all = customers.chain([(pool(family), 0)]);
            match family {
                Family::V4 => trie.fill("CUSTOMERS_V4", all, |bits| (bits >> 96) as u32),
                Family::V6 => trie.fill("CUSTOMERS_V6", all, |bits| bits),
            }
        }
        program(&mut trie.object, "trie").load().unwrap();
        trie
    }

    /// Attaches the program to an interface, for as long as this lives.
    pub fn attach(&mut self, interface: &str) {
        let trie = program(&mut self.object, "trie");
        trie.attach(interface, XdpMode::Driver).unwrap();
    }

    /// The number of the program.
    pub fn id(&mut self) -> u32 {
        program(&mut self.object, "trie").info().unwrap().id()
    }

    fn fill_ports(&mut self) {
        let mut classes = Box::new([0_u8; 1 << 16]);
        for port in PORTS {
            classes[usize::from(port)] = class(port);
        }
        let map = self.object.map_mut("PORT_CLASSES").unwrap();
        let mut table: Array<_, PortClasses> = map.try_into().unwrap();
        table.set(0, *classes, 0).unwrap();
    }

    fn fill<K: Bits>(
        &mut self,
        table: &str,
        entries: impl Iterator<Item = (ipnet::IpNet, u64)>,
        key: impl Fn(u128) -> K,
    ) {
        let map = self.object.map_mut(table).unwrap();
        let mut trie: LpmTrie<_, K, u64> = map.try_into().unwrap();
        for (prefix, exempted) in entries {
            let bits = match prefix.addr() {
                std::net::IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
                std::net::IpAddr::V6(address) => address.to_bits(),
            };
            let key = Key::new(u32::from(prefix.prefix_len()), key(bits).in_network_order());
            trie.insert(&key, exempted, 0).unwrap();
        }
    }
}

/// The bits of an address as the key of a trie.
trait Bits: Pod {
    fn in_network_order(self) -> Self;
}

impl Bits for u32 {
    fn in_network_order(self) -> Self {
        self.to_be()
    }
}

impl Bits for u128 {
    fn in_network_order(self) -> Self {
        self.to_be()
    }
}

/// The class of a forbidden port: its place among them, from 1.
fn class(port: u16) -> u8 {
    let place = PORTS.iter().position(|other| *other == port).unwrap();
    place as u8 + 1
}
