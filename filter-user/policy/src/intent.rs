//! All that is to hold.
//!
//! What the configuration files say is one part of it, and what was given beside them
//! is another. Tables are compiled from an [`Intent`], two of them are compared, and a
//! packet is explained from one: nobody has to put the parts together again.

use std::sync::Arc;

use crate::config::{Config, TemporaryExemption};

/// What a controller enforces, or is asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// What the files say. Copies share it: it may list a million customers.
    pub config: Arc<Config>,
    /// The temporary exemptions, over or not. One may lie where the files leave
    /// nothing to exempt: it opens nothing then, and is kept.
    pub temporary: Vec<TemporaryExemption>,
}

impl Intent {
    /// The same temporary exemptions with other files.
    #[must_use]
    pub fn with_config(&self, config: Arc<Config>) -> Self {
        Self {
            config,
            temporary: self.temporary.clone(),
        }
    }

    /// The same files with other temporary exemptions.
    #[must_use]
    pub fn with_temporary(&self, temporary: Vec<TemporaryExemption>) -> Self {
        Self {
            config: Arc::clone(&self.config),
            temporary,
        }
    }
}

/// What the files say, and nothing beside them.
impl From<Arc<Config>> for Intent {
    fn from(config: Arc<Config>) -> Self {
        Self {
            config,
            temporary: Vec::new(),
        }
    }
}

/// What the files say, and nothing beside them.
impl From<Config> for Intent {
    fn from(config: Config) -> Self {
        Arc::new(config).into()
    }
}
