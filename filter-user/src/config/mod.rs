//! Text to a valid [`Config`], or every mistake in it at once.

mod model;

pub use model::{
    Attach, Config, Customer, Interface, Mail, Metrics, Pool, PoolKind, PortSpec, Ports, Source,
};
