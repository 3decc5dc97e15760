//! The paths of the control socket.

/// Answered with a [`Status`](crate::status::Status).
pub const STATUS: &str = "/status";

/// Takes [`ReloadOptions`](crate::requests::ReloadOptions), and is answered with a
/// [`ReloadOutcome`](crate::answers::ReloadOutcome).
pub const RELOAD: &str = "/reload";

/// Answered with a [`DiffOutcome`](crate::answers::DiffOutcome): what a reload would change,
/// or, where a [`Candidate`](crate::requests::Candidate) is sent, what that would.
pub const DIFF: &str = "/diff";

/// Takes a [`Question`](policy::explain::Question), and is answered with
/// [`Explained`](crate::answers::Explained).
pub const EXPLAIN: &str = "/explain";

/// Answered with [`Confirmed`](crate::answers::Confirmed).
pub const CONFIRM: &str = "/confirm";

/// Answered with what went wrong, if anything did. The controller has ended then.
pub const DETACH: &str = "/detach";

/// Takes a [`NewExemption`](crate::requests::NewExemption), and is answered with a
/// [`ListedExemption`](crate::status::ListedExemption).
pub const EXEMPTIONS: &str = "/exemptions";

/// Answered with [`Unused`](crate::last_use::Unused): the exemptions, permanent and temporary
/// ones, that were not used for so many days. The number stands for `{days}`: [`unused`].
pub const UNUSED: &str = "/exemptions/unused/{days}";

/// [`UNUSED`] for so many days.
pub fn unused(days: u32) -> String {
    UNUSED.replace("{days}", &days.to_string())
}

/// Answered with the [`TemporaryExemption`](policy::config::TemporaryExemption) that was taken
/// back. The number stands for `{id}`: [`remove_exemption`].
pub const REMOVE_EXEMPTION: &str = "/exemptions/{id}/remove";

/// [`REMOVE_EXEMPTION`] for the exemption of this number.
pub fn remove_exemption(id: u64) -> String {
    REMOVE_EXEMPTION.replace("{id}", &id.to_string())
}
