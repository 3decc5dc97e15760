//! What an earlier run has left attached, and whether it is attached here.
//!
//! Pins are in bpffs, which network namespaces share, and devices go from one namespace to
//! another with what is attached to them. Whoever finds links has to know whose they are
//! before anything is taken over or off.

use policy::instance::Instance;

use super::{Attached, DataplaneError, Links, link::Place, namespace::Namespace, pins::Pins};

/// The links that are pinned.
#[derive(Debug, Default)]
pub(super) struct Found {
    here: Links,
    elsewhere: Vec<Attached>,
    /// Their devices are no more, or somebody detached them.
    dead: Vec<Attached>,
    /// Where the instance attached something the last time, if it said so.
    namespaces: Vec<Namespace>,
}

impl Found {
    /// Looks, and does nothing.
    ///
    /// # Errors
    ///
    /// When a pin makes no sense, or the kernel cannot be asked.
    pub(super) fn of(instance: &Instance) -> Result<Self, DataplaneError> {
        let mut found = Self::default();
        let Some(pins) = Pins::existing(instance) else {
            return Ok(found);
        };
        found.namespaces = pins.namespaces()?;
        for pinned in pins.pinned_links()? {
            let link = Attached::adopt(pinned);
            match link.place() {
                Place::Here(index) => drop(found.here.insert(index, link)),
                Place::Elsewhere => found.elsewhere.push(link),
                Place::Nowhere => found.dead.push(link),
            }
        }
        Ok(found)
    }

    /// Checks that the instance is one of this namespace: all that is attached is attached
    /// here, or was when the instance was here the last time.
    ///
    /// # Errors
    ///
    /// When it filters in another one.
    pub(super) fn check_is_here(&self, instance: &Instance) -> Result<(), DataplaneError> {
        if self.elsewhere.is_empty() {
            return Ok(());
        }
        let was_here = match self.namespaces.is_empty() {
            // A poolguard before this one did not say so.
            true => !self.here.is_empty(),
            false => self.namespaces.contains(&Namespace::here()?),
        };
        if was_here {
            return Ok(());
        }
        Err(DataplaneError::OtherNamespace {
            instance: instance.name().to_owned(),
            interfaces: self.served_elsewhere().collect(),
            namespace: self.namespaces.first().copied(),
        })
    }

    /// The numbers that devices had here which are in another namespace by now.
    pub(super) fn given_away(&self) -> Vec<u32> {
        self.elsewhere.iter().map(|link| link.number).collect()
    }

    /// What is to go on here. The pins of what is dead go, and so does the program on
    /// devices that were given away: whoever has them now did not ask for it, and no
    /// configuration reaches them.
    ///
    /// # Errors
    ///
    /// When something cannot be removed.
    pub(super) fn take_over(self) -> Result<Links, DataplaneError> {
        for link in &self.dead {
            link.detach()?;
        }
        for link in &self.elsewhere {
            link.detach()?;
            warn_of_given_away(&link.serves);
        }
        Ok(self.here)
    }

    fn served_elsewhere(&self) -> impl Iterator<Item = String> {
        self.elsewhere.iter().map(|link| link.serves.clone())
    }
}

/// Says what became of the filter on a device that is in another namespace by now.
pub(super) fn warn_of_given_away(interface: &str) {
    tracing::warn!(
        %interface,
        "the device was given to another network namespace: the filter is taken off it there, \
         where no configuration reaches it"
    );
}
