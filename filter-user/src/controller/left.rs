//! What an instance has left that has no controller, or none that answers: what the kernel
//! has, and what the last controller noted beside it.

use dataplane::{DataplaneError, LeftExit, LeftLink, Namespace};
use policy::instance::Instance;

use super::{
    exclusion,
    kept::{Kept, NotedInForce},
};

/// What an instance has left.
#[derive(Clone, Debug)]
pub struct Left {
    /// The generation that was last put into force; none where nothing readable says so.
    pub generation: Option<u64>,
    /// What was noted of it; nothing by older controllers.
    pub in_force: Option<NotedInForce>,
    /// Its interfaces.
    pub interfaces: Vec<String>,
    /// What still decides.
    pub links: Vec<LeftLink>,
    /// The ways out where something still decides.
    pub exits: Vec<LeftExit>,
    /// The network namespace in which something was attached the last time; none where
    /// nothing says so.
    pub namespace: Option<Namespace>,
}

/// Looks at what an instance has left in the kernel; none where there is nothing.
///
/// # Errors
///
/// When privileges or bpffs are missing, or what is there makes no sense.
pub fn left_behind(instance: &Instance) -> Result<Option<Left>, DataplaneError> {
    let left: Option<dataplane::Left<Kept>> = dataplane::left_behind(instance)?;
    Ok(left.map(|left| Left {
        generation: left.noted.as_ref().map(|kept| kept.generation),
        in_force: left.noted.and_then(|kept| kept.in_force),
        interfaces: left.interfaces,
        links: left.links,
        exits: left.exits,
        namespace: left.namespace,
    }))
}

/// The process of a controller of this instance that runs in this network namespace,
/// whether it answers or not.
pub fn controller_process(instance: &Instance) -> Option<i32> {
    exclusion::holder(instance)
}
