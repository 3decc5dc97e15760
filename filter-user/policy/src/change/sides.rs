//! What a change should leave alone of the interfaces: their filter, their role, and where
//! they forward to. A slip in a name or a role changes that, or in a wire, and opens no
//! address and closes none.

use thiserror::Error;

use crate::config::{Config, Interface};

/// What a change does to interfaces that it should leave alone.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{}. If that is meant: `poolguard reload --force`", self.in_words())]
pub struct Sides {
    /// Those that have the filter, and would not.
    pub without: Vec<String>,
    /// Those whose role would change.
    pub otherwise: Vec<String>,
    /// Those whose permitted frames would go elsewhere.
    pub elsewhere: Vec<String>,
}

impl Sides {
    fn in_words(&self) -> String {
        let mut text = Vec::new();
        if !self.without.is_empty() {
            text.push(format!(
                "it would take the filter off {}",
                self.without.join(", ")
            ));
        }
        if !self.otherwise.is_empty() {
            text.push(format!(
                "it would change the role of {}",
                self.otherwise.join(", ")
            ));
        }
        if !self.elsewhere.is_empty() {
            text.push(format!(
                "it would forward elsewhere what {} permits (forwarding, [[wire]])",
                self.elsewhere.join(", ")
            ));
        }
        text.join(", and ")
    }
}

/// Whether no interface is left `without` the filter, or changes sides, or is joined to
/// another one.
///
/// # Errors
///
/// When one is.
pub fn check_sides(without: Vec<String>, old: &Config, new: &Config) -> Result<(), Sides> {
    let is_otherwise = |old: &&Interface| {
        let mut new = new.interfaces.iter();
        new.any(|new| new.name == old.name && new.role != old.role)
    };
    let goes_elsewhere = |interface: &&Interface| {
        let is_kept = new.interfaces.iter().any(|new| new.name == interface.name);
        is_kept && old.other_end(&interface.name) != new.other_end(&interface.name)
    };
    let names = |is_meant: &dyn Fn(&&Interface) -> bool| -> Vec<String> {
        let meant = old.interfaces.iter().filter(is_meant);
        meant.map(|interface| interface.name.clone()).collect()
    };
    let (otherwise, elsewhere) = (names(&is_otherwise), names(&goes_elsewhere));
    if without.is_empty() && otherwise.is_empty() && elsewhere.is_empty() {
        return Ok(());
    }
    Err(Sides {
        without,
        otherwise,
        elsewhere,
    })
}

/// The interfaces of the old configuration whose name the new one does not have.
pub fn left_out(old: &Config, new: &Config) -> Vec<String> {
    let is_kept = |name: &String| new.interfaces.iter().any(|new| new.name == *name);
    let names = old.interfaces.iter().map(|interface| &interface.name);
    names.filter(|name| !is_kept(name)).cloned().collect()
}
