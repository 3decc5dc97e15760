//! What the ends of wires need, set, and set back.
//!
//! An end takes frames for everybody (promiscuous mode), and its card leaves frames
//! as they are. What was otherwise before is noted in bpffs, which keeps it for as
//! long as the kernel keeps the settings: whichever process takes the filter off
//! sets back what poolguard has set, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    End, WireError,
    offload::{Features, switch, word},
};
use crate::{
    DataplaneError, Namespace,
    device::{Device, is_gone, set_promiscuous},
    link::name_or_number,
    maps,
    notes::{Notes, SETTINGS_BYTES},
    pins::Pins,
};

/// What was set on a device, and was otherwise before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Set {
    /// The interface at the other end.
    peer: String,
    /// It was not promiscuous.
    promiscuous: bool,
    /// These were on.
    features: BTreeSet<String>,
}

impl Set {
    fn is_nothing(&self) -> bool {
        !self.promiscuous && self.features.is_empty()
    }

    fn and(&self, other: &Self) -> Self {
        Self {
            peer: other.peer.clone(),
            promiscuous: self.promiscuous || other.promiscuous,
            features: &self.features | &other.features,
        }
    }

    fn without(&self, other: &Self) -> Self {
        Self {
            peer: self.peer.clone(),
            promiscuous: self.promiscuous && !other.promiscuous,
            features: &self.features - &other.features,
        }
    }
}

/// What is set on every device that is the end of a wire; nothing where it was all
/// as it has to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Devices {
    /// The network namespace that they are in: there are others with the same
    /// indices.
    namespace: u64,
    /// By index.
    set: BTreeMap<u32, Set>,
}

/// What was set on devices, and the notes of it.
#[derive(Debug, Default)]
pub(in super::super) struct SetDevices {
    devices: Devices,
    /// None before there is something to note.
    notes: Option<Notes<SETTINGS_BYTES>>,
}

impl SetDevices {
    /// What an earlier process has left.
    pub(in super::super) fn open(pins: &Pins) -> Result<Self, DataplaneError> {
        let place = pins.wire_settings();
        if !place.exists() {
            return Ok(Self::default());
        }
        if !maps::are_notes(&place, SETTINGS_BYTES)? {
            return Err(DataplaneError::ForeignPin { path: place });
        }
        let notes = Notes::at(place)?;
        let text = notes.read()?;
        let devices = match text.is_empty() {
            true => Devices::default(),
            false => serde_json::from_slice(&text).unwrap_or_else(|error| {
                tracing::warn!(
                    %error,
                    "the notes of what was set on the ends of wires make no sense: promiscuous \
                     mode and offloads are not set back (`ip -d link`, `ethtool -k`)"
                );
                Devices::default()
            }),
        };
        Ok(Self {
            devices,
            notes: Some(notes),
        })
    }

    /// How things are, to go back to.
    pub(in super::super) fn devices(&self) -> Devices {
        self.devices.clone()
    }

    /// The ends that are to be joined and are not yet.
    pub(in super::super) fn new_among(&self, ends: &[End]) -> Vec<End> {
        let is_joined = |end: &&End| {
            let set = self.devices.set.get(&end.index);
            set.is_some_and(|set| set.peer == end.peer)
        };
        ends.iter().filter(|end| !is_joined(end)).cloned().collect()
    }

    /// The devices that are ends of wires, by name.
    pub(in super::super) fn names(&self) -> Vec<String> {
        let devices = self.devices.set.keys();
        devices.copied().map(name_or_number).collect()
    }

    /// Pins the notes again where somebody removed the pin.
    pub(in super::super) fn pin(&self) -> Result<(), DataplaneError> {
        self.notes.as_ref().map_or(Ok(()), Notes::pin)
    }

    /// Sets on a device what the end of a wire needs, where it is otherwise.
    pub(in super::super) fn prepare(
        &mut self,
        end: &End,
        pins: &Pins,
    ) -> Result<(), DataplaneError> {
        let ask = |source| WireError::Ask {
            interface: end.interface.clone(),
            source,
        };
        let Some(device) = Device::get(end.index).map_err(ask)? else {
            // It went this very moment.
            return Ok(());
        };
        let features = Features::get(end.index).map_err(ask)?;
        if let Some((feature, _)) = features.harmful().find(|&(_, can_change)| !can_change) {
            return Err(offload_fixed(end, feature).into());
        }
        let set = Set {
            peer: end.peer.clone(),
            promiscuous: !device.is_promiscuous,
            features: features.harmful().map(|(name, _)| name.into()).collect(),
        };
        self.note(end.index, &set, pins)?;
        if !set.features.is_empty() {
            let features = set.features.iter().map(String::as_str);
            switch(end.index, features, false).map_err(|source| WireError::Switch {
                interface: end.interface.clone(),
                what: off(&set.features),
                source,
            })?;
            // The kernel does what it can, and calls that success.
            let features = Features::get(end.index).map_err(ask)?;
            if let Some((feature, _)) = features.harmful().next() {
                return Err(offload_fixed(end, feature).into());
            }
        }
        if set.promiscuous {
            set_promiscuous(end.index, true).map_err(|source| WireError::Switch {
                interface: end.interface.clone(),
                what: "promisc on".to_owned(),
                source,
            })?;
        }
        if !set.is_nothing() {
            tracing::info!(
                interface = %end.interface, promiscuous = set.promiscuous, off = ?set.features,
                "set for the wire; what was otherwise before is set back when the wire is taken off"
            );
        }
        Ok(())
    }

    /// Notes what is about to be set. Whoever dies before it is set back sets back
    /// what was not set, which does no harm.
    fn note(&mut self, index: u32, set: &Set, pins: &Pins) -> Result<(), DataplaneError> {
        let before = self.devices.set.get(&index);
        if set.is_nothing() && before.is_some_and(|before| before.peer == set.peer) {
            return Ok(());
        }
        let set = before.map_or_else(|| set.clone(), |before| before.and(set));
        let mut devices = self.devices.clone();
        devices.set.insert(index, set);
        devices.namespace = Namespace::here()?.inode();
        if self.notes.is_none() {
            self.notes = Some(Notes::at(pins.wire_settings())?);
        }
        self.write(devices)
    }

    fn write(&mut self, devices: Devices) -> Result<(), DataplaneError> {
        if let Some(notes) = &mut self.notes {
            notes.write(&serde_json::to_vec(&devices).unwrap_or_default())?;
        }
        self.devices = devices;
        Ok(())
    }

    /// Checks that the devices are in this network namespace, so that what was set
    /// on them can be set back.
    pub(in super::super) fn check_namespace(&self) -> Result<(), DataplaneError> {
        if self.devices.set.is_empty() || self.is_here()? {
            return Ok(());
        }
        Err(WireError::ElsewhereSet.into())
    }

    fn is_here(&self) -> Result<bool, DataplaneError> {
        Ok(self.devices.namespace == Namespace::here()?.inode())
    }

    /// Forgets devices that are gone: what was set on them went with them, and somebody
    /// else may have their numbers.
    pub(in super::super) fn forget(&mut self, gone: &[u32]) -> Result<(), DataplaneError> {
        if !gone
            .iter()
            .any(|index| self.devices.set.contains_key(index))
        {
            return Ok(());
        }
        let mut devices = self.devices.clone();
        devices.set.retain(|index, _| !gone.contains(index));
        self.write(devices)
    }

    /// Sets back what was set on all devices but these ends.
    pub(in super::super) fn keep_only(&mut self, ends: &[End]) -> Result<(), DataplaneError> {
        let mut kept = self.devices.clone();
        let is_end = |index| ends.iter().any(|end| end.index == index);
        kept.set.retain(|&index, _| is_end(index));
        self.go_back_to(kept)
    }

    /// Sets back what was set since. Goes on with the others where something
    /// cannot be.
    ///
    /// # Errors
    ///
    /// The first that could not be.
    pub(in super::super) fn go_back_to(&mut self, before: Devices) -> Result<(), DataplaneError> {
        if self.devices == before {
            return Ok(());
        }
        self.check_namespace()?;
        let nothing = Set::default();
        let mut outcome = Ok(());
        for (&index, set) in &self.devices.set {
            let stays = before.set.get(&index).unwrap_or(&nothing);
            let result = set_back(index, &set.without(stays));
            outcome = outcome.and(result.map_err(DataplaneError::from));
        }
        outcome.and(self.write(before))
    }
}

/// Sets a device as it was before. One that is gone needs nothing.
fn set_back(index: u32, set: &Set) -> Result<(), WireError> {
    let mut outcome = Ok(());
    if set.promiscuous {
        outcome = set_promiscuous(index, false).map_err(|error| ("promisc off".to_owned(), error));
    }
    if !set.features.is_empty() {
        let features = set.features.iter().map(String::as_str);
        let switched = switch(index, features, true).map_err(|error| (on(&set.features), error));
        outcome = outcome.and(switched);
    }
    match outcome {
        Err((what, source)) if !is_gone(&source) => Err(WireError::Switch {
            interface: name_or_number(index),
            what,
            source,
        }),
        _ => Ok(()),
    }
}

fn offload_fixed(end: &End, feature: &'static str) -> WireError {
    WireError::OffloadFixed {
        interface: end.interface.clone(),
        feature,
    }
}

/// As `ethtool -K` takes it.
fn off(features: &BTreeSet<String>) -> String {
    words(features, "off")
}

fn on(features: &BTreeSet<String>) -> String {
    words(features, "on")
}

fn words(features: &BTreeSet<String>, value: &str) -> String {
    let words = features
        .iter()
        .map(|name| format!("{} {value}", word(name)));
    words.collect::<Vec<_>>().join(" ")
}
