//! The kinds of jobs that Haul brings along, written with the same public API as anybody's own.
//!
//! | kind | what it does |
//! | --- | --- |
//! | `echo` | its result is its payload; for trying things out |
//! | `http.request` | one HTTP request; its answer becomes the result |
//!
//! They reach the outside through [`Equipment`] alone: one guarded client, and secrets by name.

#[cfg(feature = "broken")]
mod broken;
mod echo;
mod http_request;

use haul_core::Config;
pub use haul_outgoing::{Outgoing, OutgoingError, Secrets};
use haul_worker::WorkerBuilder;

/// What the built-in kinds need of the world outside. Cheap to clone.
#[derive(Clone)]
pub struct Equipment {
    /// The one client.
    pub outgoing: Outgoing,
    /// Secrets by name.
    pub secrets: Secrets,
}

impl Equipment {
    /// The equipment that these settings describe.
    pub fn new(config: &Config, secrets: Secrets) -> Result<Self, OutgoingError> {
        Ok(Self { outgoing: Outgoing::new(&config.outgoing)?, secrets })
    }
}

/// Adds the built-in kinds to a worker. Its handlers find [`Outgoing`] and [`Secrets`] among its data, anybody's own ones
/// too.
#[must_use]
pub fn builtin(builder: WorkerBuilder, equipment: &Equipment) -> WorkerBuilder {
    builder
        .data(equipment.outgoing.clone())
        .data(equipment.secrets.clone())
        .handler("echo", echo::echo)
        .handler("http.request", http_request::perform)
}
