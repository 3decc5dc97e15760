//! All that a configuration was read from.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::text::Text;

/// The texts of a configuration, in the order in which they were read: the main
/// file first, then what it includes and its customer lists.
#[derive(Clone, Debug, Default)]
pub struct Texts(Vec<Arc<Text>>);

impl Texts {
    pub(super) fn new(texts: Vec<Arc<Text>>) -> Self {
        Self(texts)
    }

    /// Where each of them was read.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.iter().map(|(path, _)| path.to_owned()).collect()
    }

    /// Each path with the whole text of the file, a byte order mark included.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Path, &str)> {
        self.0.iter().map(|text| (text.path(), text.content()))
    }
}
