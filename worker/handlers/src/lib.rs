//! The kinds of jobs that Haul brings along, written with the same public API as anybody's own.
//!
//! | kind | what it does |
//! | --- | --- |
//! | `echo` | its result is its payload; for trying things out |
//! | `http.request` | one HTTP request; its answer becomes the result |
//! | `email.send` | hands one message over to the mail server of the settings |
//! | `payment.charge`, `payment.capture`, `payment.refund` | one operation of a payment, at the provider of the settings |
//! | `maintenance.reconcile_payments` | compares the books with that provider |
//! | `webhook.event`, `webhook.deliver`, `webhook.replay` | events, brought to the endpoints that want them |
//!
//! They reach the outside through [`Equipment`] alone: one guarded client, and secrets by name; and by way of [`paced`], at
//! the pace that each destination can take.

#[cfg(feature = "broken")]
mod broken;
mod echo;
mod email;
mod http_request;
mod pace;
mod payload;
mod payment;
mod unanswered;
mod webhook;

pub use email::{Mailer, MailerError};
use haul_core::Config;
pub use haul_outgoing::{Outgoing, OutgoingError, Policy, SecretName, Secrets};
use haul_worker::WorkerBuilder;
pub use pace::{Pacer, paced};
pub use payload::{Fault, check};
pub use payment::{HttpProvider, KIND_RECONCILE, PaymentsError, reconciliation};
use std::sync::Arc;
pub use webhook::webhooks;

/// Why there is no equipment.
#[derive(Debug, thiserror::Error)]
pub enum EquipmentError {
    /// Third parties cannot be called.
    #[error(transparent)]
    Outgoing(#[from] OutgoingError),
    /// The settings of mail.
    #[error(transparent)]
    Email(#[from] MailerError),
    /// The settings of payments.
    #[error(transparent)]
    Payments(#[from] PaymentsError),
}

/// What the built-in kinds need of the world outside. Cheap to clone.
#[derive(Clone)]
pub struct Equipment {
    /// The one client.
    pub outgoing: Outgoing,
    /// Secrets by name.
    pub secrets: Secrets,
    /// Where mail is handed over, if anywhere.
    pub mailer: Option<Mailer>,
    /// Where payments are made, if anywhere.
    pub payments: Option<Arc<HttpProvider>>,
}

impl Equipment {
    /// The equipment that these settings describe.
    pub fn new(config: &Config, secrets: Secrets) -> Result<Self, EquipmentError> {
        let outgoing = Outgoing::new(&config.outgoing)?;
        let payments = HttpProvider::new(&outgoing, &secrets, &config.payments)?.map(Arc::new);
        Ok(Self { outgoing, secrets, mailer: Mailer::new(config)?, payments })
    }
}

/// Adds the built-in kinds to a worker. Its handlers find [`Outgoing`] and [`Secrets`] among its data, anybody's own ones
/// too. Those of payments besides want the books: an `Arc<dyn Books>` among the data.
#[must_use]
pub fn builtin(builder: WorkerBuilder, equipment: &Equipment) -> WorkerBuilder {
    let mut builder = builder
        .data(equipment.outgoing.clone())
        .data(equipment.secrets.clone())
        .handler("echo", echo::echo)
        .handler("http.request", http_request::perform);
    if let Some(mailer) = &equipment.mailer {
        builder = builder.data(mailer.clone()).handler("email.send", email::send);
    }
    match &equipment.payments {
        Some(provider) => payment::add(builder, provider.clone()),
        None => builder,
    }
}
