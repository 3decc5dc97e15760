//! One configuration's tables and a copy of the program for each interface.

use std::{
    collections::BTreeSet,
    io,
    os::fd::{AsFd as _, BorrowedFd},
    sync::Arc,
};

use aya::{
    Ebpf, EbpfLoader, Pod,
    maps::Array,
    programs::{ProgramError, ProgramFd, SchedClassifier, TestRun as _, TestRunOptions, Xdp},
};
use filter_common::{
    Policy, PortClasses, PortSlots, Role,
    abi::{self, constant, map},
    flow::Flow,
    prefix_table::Line,
};
use indexmap::IndexSet;
use policy::{
    compile::{
        Amendment, Compiled, CompiledInterface, InUse, MAX_LINES, PortTable, Slots, amend_table,
    },
    config::Egress,
};
use serde::Serialize;

use super::{
    Counters, DataplaneError,
    live_table::LiveTable,
    marks::Marks,
    pins::{GenerationPins, Pins},
    wire,
};

#[cfg(xdp_object)]
static OBJECT: Option<&[u8]> = Some(aya::include_bytes_aligned!(env!("POOLGUARD_XDP_OBJECT")));
#[cfg(not(xdp_object))]
static OBJECT: Option<&[u8]> = None;

/// The XDP object that `run` loads; `None` in a crate that was built without it.
pub fn xdp_object() -> Option<&'static [u8]> {
    OBJECT
}

/// [`Policy`] as a map value.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct PolicyValue(Policy);

#[expect(
    unsafe_code,
    reason = "aya asks for the promise that there is no padding"
)]
// SAFETY: `repr(C)` fields of 8, 8, 4 and 4 bytes in this order leave no padding.
unsafe impl Pod for PolicyValue {}
const _: () = assert!(size_of::<Policy>() == 8 * 5 + 8 * 5 + 4 + 4);

/// [`Flow`] as a map key.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct FlowKey(Flow);

#[expect(
    unsafe_code,
    reason = "aya asks for the promise that there is no padding"
)]
// SAFETY: `repr(C)` fields of 16, 16, 2, 2, 1, 1 and 2 bytes leave no padding.
unsafe impl Pod for FlowKey {}
const _: () = assert!(size_of::<Flow>() == 16 + 16 + 2 + 2 + 1 + 1 + 2);

/// How full a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TableUse {
    /// The label of the metrics.
    pub table: &'static str,
    /// What it holds.
    pub entries: u64,
    /// What a configuration can make it hold.
    pub capacity: u64,
    /// The memory that it takes, in bytes, without the kernel's bookkeeping: of
    /// what it holds, and of the room to change it while it is in use.
    pub bytes: u64,
}

/// A loaded generation.
#[derive(Debug)]
pub struct Generation {
    copies: Vec<Copy>,
    number: u64,
    slots: Slots,
    counters: Arc<Counters>,
    program_ids: BTreeSet<u32>,
    watched_ports: TableUse,
    policies: IndexSet<Policy>,
    ports: Arc<PortTable>,
    policy_room: u32,
    prefixes: [Prefixes; 2],
    marks: Option<Marks>,
}

/// How much of a prefix table is in use.
#[derive(Clone, Copy, Debug)]
struct Prefixes {
    name: &'static str,
    label: &'static str,
    used: u32,
    room: u32,
}

impl Prefixes {
    fn of(compiled: &Compiled) -> [Self; 2] {
        let prefixes = |name, label, lines: &[Line]| Self {
            name,
            label,
            used: lines.len() as u32,
            room: lines.len() as u32 + SPARE_LINES,
        };
        [
            prefixes(map::PREFIXES_V4, "prefix_lines_v4", &compiled.prefixes_v4),
            prefixes(map::PREFIXES_V6, "prefix_lines_v6", &compiled.prefixes_v6),
        ]
    }
}

/// So many policies can be added while the tables are in use.
const SPARE_POLICIES: u32 = 1024;
/// And so many lines of each family, a mebibyte of them: a temporary exemption
/// takes four where there are others beside it, 212 at most. When they are
/// used up a generation with as many follows.
const SPARE_LINES: u32 = 16 * 1024;

/// The program for one interface.
#[derive(Debug)]
struct Copy {
    interface: CompiledInterface,
    object: Ebpf,
}

impl Generation {
    pub(super) fn load(
        compiled: &Compiled,
        pins: &Pins,
        attempt: u64,
        number: u64,
    ) -> Result<Self, DataplaneError> {
        let shared = pins.generation(attempt)?;
        // Of an attempt that was not noted.
        pins.remove_counters(number)?;
        let mut copies = Vec::with_capacity(compiled.interfaces.len());
        let mut program_ids = BTreeSet::new();
        for interface in &compiled.interfaces {
            let mut object = load_object(compiled, interface, pins, &shared, number)?;
            // The first copy makes the tables; the others find them.
            if copies.is_empty() {
                fill(&mut object, compiled)?;
            }
            let program = program(&mut object, interface.ingress.role)?;
            load_program(|| program.load())?;
            program_ids.insert(id_of(program)?);
            if interface.egress == Egress::Filter {
                let program = program_out(&mut object)?;
                load_program(|| program.load())?;
                let info = program.info().map_err(program_error)?;
                program_ids.insert(info.id());
            }
            copies.push(Copy {
                interface: interface.clone(),
                object,
            });
        }
        let marks = copies.first().map(|copy| Marks::of(&copy.object));
        Ok(Self {
            marks: marks.transpose()?,
            number,
            slots: compiled.slots.clone(),
            counters: Arc::new(Counters::open(&pins.counters(number))?),
            program_ids,
            watched_ports: watched_ports(compiled, copies.len()),
            copies,
            policies: compiled.policies.clone(),
            ports: Arc::clone(&compiled.ports),
            policy_room: policy_room(compiled),
            prefixes: Prefixes::of(compiled),
        })
    }

    /// The number of its account.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Whose its counters are.
    pub(super) fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Its programs, by the kernel's numbers.
    pub(super) fn program_ids(&self) -> &BTreeSet<u32> {
        &self.program_ids
    }

    /// Whether a program is one of its own.
    pub(super) fn has_program(&self, id: Option<u32>) -> bool {
        id.is_some_and(|id| self.program_ids.contains(&id))
    }

    /// What it counts, and nothing that another one has counted.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// What an amendment of its tables has to go on with.
    pub(super) fn in_use(&self) -> InUse<'_> {
        InUse {
            ports: &self.ports,
            policies: &self.policies,
        }
    }

    /// The marks of exemptions that are used.
    pub(super) fn marks(&self) -> Option<&Marks> {
        self.marks.as_ref()
    }

    /// Changes the tables while they are in use.
    pub(super) fn amend(&mut self, amendment: &Amendment) -> Result<(), DataplaneError> {
        // The copies share the tables.
        let Some(Copy { object, .. }) = self.copies.first_mut() else {
            return Ok(());
        };
        add_policies(object, &self.policies, &amendment.policies)?;
        self.policies.clone_from(&amendment.policies);
        for (prefix, wanted) in &amendment.tables {
            let prefixes = &mut self.prefixes[usize::from(prefix.addr().is_ipv6())];
            let Prefixes {
                name, used, room, ..
            } = *prefixes;
            let mut table = LiveTable::new(object, name, used, room)?;
            let amended = amend_table(&mut table, wanted, prefix);
            prefixes.used = table.used;
            amended?;
        }
        Ok(())
    }

    /// The interfaces that it is for.
    pub fn interfaces(&self) -> Vec<CompiledInterface> {
        self.copies
            .iter()
            .map(|copy| copy.interface.clone())
            .collect()
    }

    pub(super) fn tables(&self) -> Vec<TableUse> {
        let policies = TableUse {
            table: "policies",
            entries: self.policies.len() as u64,
            capacity: 1 << 31,
            bytes: u64::from(self.policy_room) * size_of::<Policy>() as u64,
        };
        let prefixes = self.prefixes.map(|prefixes| TableUse {
            table: prefixes.label,
            entries: u64::from(prefixes.used),
            capacity: MAX_LINES as u64,
            bytes: u64::from(prefixes.room) * size_of::<Line>() as u64,
        });
        [self.watched_ports, policies]
            .into_iter()
            .chain(prefixes)
            .collect()
    }

    /// Pins the maps that outlive it again where somebody removed a pin.
    pub(super) fn pin_shared(&self, pins: &Pins) -> Result<(), DataplaneError> {
        let Some(Copy { object, .. }) = self.copies.first() else {
            return Ok(());
        };
        let counters = pins.counters(self.number);
        for (name, place) in [
            (map::COUNTERS, counters),
            (map::FLOWS, pins.flows()),
            (map::JUDGED, pins.judged()),
            (map::JUDGED_BELOW, pins.judged_below()),
        ] {
            if place.exists() {
                continue;
            }
            let map = object.map(name).ok_or(DataplaneError::NoProgram)?;
            let pinned = map.pin(&place);
            pinned.map_err(|source| DataplaneError::pins(&place, io::Error::other(source)))?;
        }
        Ok(())
    }

    /// The program for an interface.
    pub(super) fn program(&mut self, interface: &str) -> Result<BorrowedFd<'_>, DataplaneError> {
        let program = self.xdp(interface)?;
        program.fd().map(ProgramFd::as_fd).map_err(program_error)
    }

    /// The program for the way out of an interface, which the configuration wants
    /// filtered.
    pub(super) fn program_out(
        &mut self,
        interface: &str,
    ) -> Result<BorrowedFd<'_>, DataplaneError> {
        let program = program_out(&mut self.copy(interface)?.object)?;
        let fd = program.fd().map(ProgramFd::as_fd);
        fd.map_err(program_error)
    }

    /// Runs the program at the way out of an interface once on a frame, as if this box
    /// had sent it, and returns the action of `tc`. `context` is the beginning of a
    /// `struct __sk_buff`, of which the kernel takes what it lets anyone set. Counters
    /// change as for a real one.
    ///
    /// # Errors
    ///
    /// When the interface has no such program in this generation, and when the kernel
    /// refuses the frame.
    pub fn test_run_out(
        &mut self,
        interface: &str,
        frame: &[u8],
        context: Option<&[u8]>,
    ) -> Result<i32, DataplaneError> {
        let mut options = TestRunOptions::new();
        options.data_in = Some(frame);
        options.ctx_in = context;
        let program = program_out(&mut self.copy(interface)?.object)?;
        let run = program.test_run(options).map_err(program_error)?;
        Ok(run.return_value.cast_signed())
    }

    /// The number that the kernel gave the program for an interface, as `bpftool
    /// prog` shows it.
    ///
    /// # Errors
    ///
    /// When there is no such interface in this generation.
    pub fn program_id(&mut self, interface: &str) -> Result<u32, DataplaneError> {
        id_of(self.xdp(interface)?)
    }

    /// Has the program for an interface, under forwarding = "wire", send what it
    /// permits out of the device with an index; nowhere, if there is none.
    ///
    /// # Errors
    ///
    /// When there is no such interface in this generation, or the kernel refuses.
    pub fn send_to(&mut self, interface: &str, peer: Option<u32>) -> Result<(), DataplaneError> {
        wire::peer::set(&mut self.copy(interface)?.object, peer)
    }

    fn xdp(&mut self, interface: &str) -> Result<&mut Xdp, DataplaneError> {
        let copy = self.copy(interface)?;
        program(&mut copy.object, copy.interface.ingress.role)
    }

    fn copy(&mut self, interface: &str) -> Result<&mut Copy, DataplaneError> {
        let mut copies = self.copies.iter_mut();
        copies
            .find(|copy| copy.interface.name == interface)
            .ok_or_else(|| DataplaneError::NoInterface {
                interface: interface.to_owned(),
            })
    }

    /// Runs the program once on a frame, as if it had arrived at `interface`,
    /// and returns the XDP action. Counters and flows change as for a real one.
    ///
    /// # Errors
    ///
    /// When there is no such interface in this generation, and when the kernel
    /// refuses the frame: it takes none under 14 bytes.
    pub fn test_run(&mut self, interface: &str, frame: &[u8]) -> Result<u32, DataplaneError> {
        self.run(interface, frame, None)
    }

    /// Does the same with a frame in several buffers, of which the first holds
    /// `first` bytes.
    ///
    /// # Errors
    ///
    /// The same, and on kernels that split frames only by themselves (6.1).
    pub fn test_run_split(
        &mut self,
        interface: &str,
        frame: &[u8],
        first: u32,
    ) -> Result<u32, DataplaneError> {
        // `struct xdp_md`, where `data_end` counts from `data`.
        let context = [0, first, 0, 0, 0, 0].map(u32::to_ne_bytes);
        self.run(interface, frame, Some(context.as_flattened()))
    }

    fn run(
        &mut self,
        interface: &str,
        frame: &[u8],
        context: Option<&[u8]>,
    ) -> Result<u32, DataplaneError> {
        let mut options = TestRunOptions::new();
        options.data_in = Some(frame);
        options.ctx_in = context;
        let result = self.xdp(interface)?.test_run(options);
        result.map(|run| run.return_value).map_err(program_error)
    }
}

/// How often loading is tried: the kernel gives up with EAGAIN when a signal
/// comes in meanwhile, whatever it is for.
const LOAD_ATTEMPTS: usize = 5;

fn load_program(mut load: impl FnMut() -> Result<(), ProgramError>) -> Result<(), DataplaneError> {
    let mut outcome = load();
    for _ in 1..LOAD_ATTEMPTS {
        match &outcome {
            Err(ProgramError::LoadError { io_error, .. })
                if io_error.kind() == io::ErrorKind::WouldBlock =>
            {
                outcome = load();
            }
            _ => break,
        }
    }
    outcome.map_err(program_error)
}

fn program_error(source: ProgramError) -> DataplaneError {
    DataplaneError::Program(Box::new(source))
}

fn program_out(object: &mut Ebpf) -> Result<&mut SchedClassifier, DataplaneError> {
    let program = object
        .program_mut(abi::PROGRAM_OUT)
        .ok_or(DataplaneError::NoProgram)?;
    program.try_into().map_err(program_error)
}

fn program(object: &mut Ebpf, role: Role) -> Result<&mut Xdp, DataplaneError> {
    let program = object
        .program_mut(abi::program(role))
        .ok_or(DataplaneError::NoProgram)?;
    program.try_into().map_err(program_error)
}

fn id_of(program: &Xdp) -> Result<u32, DataplaneError> {
    let info = program.info();
    info.map(|info| info.id()).map_err(program_error)
}

fn load_object(
    compiled: &Compiled,
    interface: &CompiledInterface,
    pins: &Pins,
    shared: &GenerationPins,
    number: u64,
) -> Result<Ebpf, DataplaneError> {
    let settings = compiled.settings.to_bytes();
    let sources = interface.ingress.sources as u32;
    let is_wire = u32::from(interface.peer.is_some());
    let mut loader = EbpfLoader::new();
    loader
        .override_global(constant::SETTINGS, &settings, true)
        .override_global(constant::PORT_CLASSES, &*compiled.ports.classes, true)
        .override_global(constant::PORT_SLOTS, &*compiled.ports.slots, true)
        .override_global(constant::INTERFACE, &interface.slot, true)
        .override_global(constant::SOURCES, &sources, true)
        .override_global(constant::WIRE, &is_wire, true)
        .map_pin_path(map::COUNTERS, pins.counters(number))
        .map_pin_path(map::FLOWS, pins.flows())
        .map_pin_path(map::JUDGED, pins.judged())
        .map_pin_path(map::JUDGED_BELOW, pins.judged_below())
        .map_pin_path(map::LONG_HEAD, shared.table(map::LONG_HEAD));
    let prefixes = Prefixes::of(compiled).map(|prefixes| (prefixes.name, prefixes.room));
    for (table, entries) in prefixes
        .into_iter()
        .chain([(map::POLICIES, policy_room(compiled))])
    {
        loader.map_pin_path(table, shared.table(table));
        loader.map_max_entries(table, entries);
    }
    loader.map_pin_path(map::MARKS, shared.table(map::MARKS));
    loader
        .load(OBJECT.ok_or(DataplaneError::NoProgram)?)
        .map_err(|source| DataplaneError::Object(Box::new(source)))
}

fn fill(object: &mut Ebpf, compiled: &Compiled) -> Result<(), DataplaneError> {
    let policies: Vec<PolicyValue> = compiled.policies.iter().copied().map(PolicyValue).collect();
    fill_table::<PolicyValue>(object, map::POLICIES, &policies)?;
    fill_table::<Line>(object, map::PREFIXES_V4, &compiled.prefixes_v4)?;
    fill_table::<Line>(object, map::PREFIXES_V6, &compiled.prefixes_v6)
}

/// How many policies there is room for.
fn policy_room(compiled: &Compiled) -> u32 {
    compiled.policies.len() as u32 + SPARE_POLICIES
}

/// Adds those policies that are not there. Nothing leads to them yet.
fn add_policies(
    object: &mut Ebpf,
    known: &IndexSet<Policy>,
    wanted: &IndexSet<Policy>,
) -> Result<(), DataplaneError> {
    let table = map::POLICIES;
    let map = object.map_mut(table).ok_or(DataplaneError::NoProgram)?;
    let error = |source| DataplaneError::map(table, source);
    let mut array: Array<_, PolicyValue> = Array::try_from(map).map_err(error)?;
    if wanted.len() > array.len() as usize {
        return Err(DataplaneError::NoRoom { table });
    }
    for (number, policy) in (0..).zip(wanted).skip(known.len()) {
        array.set(number, PolicyValue(*policy), 0).map_err(error)?;
    }
    Ok(())
}

fn fill_table<T: Pod>(
    object: &mut Ebpf,
    name: &'static str,
    values: &[T],
) -> Result<(), DataplaneError> {
    let map = object.map_mut(name).ok_or(DataplaneError::NoProgram)?;
    let error = |source| DataplaneError::map(name, source);
    let mut array: Array<_, T> = Array::try_from(map).map_err(error)?;
    for (index, value) in (0..).zip(values) {
        array.set(index, value, 0).map_err(error)?;
    }
    Ok(())
}

/// Constants of each copy.
fn watched_ports(compiled: &Compiled, copies: usize) -> TableUse {
    TableUse {
        table: "watched_ports",
        entries: compiled.ports.count() as u64,
        capacity: u64::from(filter_common::PortClass::MAX),
        bytes: (copies * (size_of::<PortClasses>() + size_of::<PortSlots>())) as u64,
    }
}

#[cfg(all(test, xdp_object))]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::collections::{BTreeSet, HashMap};

    use aya_obj::Object;
    use filter_common::Settings;

    use super::*;

    /// Maps of the object that no loader has to do with.
    const ITS_OWN: [&str; 2] = [".rodata", "HEAD"];

    #[test]
    fn the_object_has_what_the_loader_asks_for_by_name() {
        let mut object = Object::parse(OBJECT.unwrap()).unwrap();

        let programs: BTreeSet<_> = object.programs.keys().map(String::as_str).collect();
        let known = Role::ALL.map(abi::program).into_iter();
        assert_eq!(programs, known.chain([abi::PROGRAM_OUT]).collect());

        let maps: BTreeSet<_> = object.maps.keys().map(String::as_str).collect();
        let known: BTreeSet<_> = map::ALL.into_iter().chain(ITS_OWN).collect();
        assert_eq!(maps, known);

        let settings = Settings::UNSET.to_bytes();
        let (classes, slots) = ([0; size_of::<PortClasses>()], [0; size_of::<PortSlots>()]);
        let values: [&[u8]; constant::ALL.len()] =
            [&settings, &classes, &slots, &[0; 4], &[0; 4], &[0; 4]];
        let values = constant::ALL.into_iter().zip(values);
        // It refuses what the object does not have, or has in another size.
        let values: HashMap<_, _> = values.map(|(name, value)| (name, (value, true))).collect();
        object.patch_map_data(values).unwrap();
    }
}
