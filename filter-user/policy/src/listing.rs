//! Lists for the log.

/// Some names, where there may be thousands.
pub fn some_of<T: ToString + PartialEq>(mut names: Vec<T>) -> Vec<String> {
    const NAMED: usize = 20;
    names.dedup();
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    let more = (more > 0).then(|| format!("and {more} more"));
    let names = names.iter().map(ToString::to_string);
    names.chain(more).collect()
}
