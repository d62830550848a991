//! `email.send`: hands one message over to a mail server.
//!
//! The payload is described in `payload`, the result is `{message_id, recipients}`. The message's id comes from the job's
//! and is the same in every attempt: a server that loses its answer gets the message again, and a reader's program can tell.
//! A message goes to all of its recipients or to none: when one is refused, nobody is written to. What a server refuses for
//! good (5xx) is final, everything else is tried again; so is what only its operator can mend, such as a password. A server that
//! cannot take mail now is left alone by all workers, and its jobs wait without using up attempts: see [`crate::Pacer`]. So
//! are servers of attachments.
//!
//! No address and no line of a message is ever logged.

mod attachments;
mod message;
mod payload;
mod server;
mod template;

use haul_core::Config;
use haul_outgoing::{Outgoing, SecretName, Secrets};
use haul_worker::{HandlerError, JobContext};
use lettre::message::Mailbox;
use payload::Mail;
use serde::Serialize;
use server::Server;
use std::{path::PathBuf, sync::Arc};
use template::Templates;

/// What is wrong with the settings of mail.
#[derive(Debug, thiserror::Error)]
pub enum MailerError {
    /// The sender is no address.
    #[error("email.from is no address; write for example \"Shop <shop@example.com>\"")]
    From,
    /// The password is no secret's name.
    #[error("email.password is the name of a secret, not the password: {0}")]
    Password(#[source] haul_outgoing::SecretNameError),
    /// One without the other.
    #[error("email.user and email.password go together: set both, or neither")]
    HalfALogin,
    /// The certificates to trust cannot be read.
    #[error("the certificate authorities in {path} (`outgoing.roots`) cannot be read")]
    Roots {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Hands mail over. Cheap to clone.
#[derive(Clone)]
pub struct Mailer(Arc<Inner>);

struct Inner {
    server: Server,
    from: Option<Mailbox>,
    templates: Templates,
}

/// The result.
#[derive(Serialize)]
pub(crate) struct Sent {
    message_id: String,
    recipients: usize,
}

impl Mailer {
    /// A mailer for these settings, if they name a mail server. Nothing is connected to yet.
    pub fn new(config: &Config) -> Result<Option<Self>, MailerError> {
        let email = &config.email;
        let Some(place) = email.url.clone() else { return Ok(None) };
        let password = email.password.as_ref().map(SecretName::new).transpose().map_err(MailerError::Password)?;
        let login = match (email.user.clone(), password) {
            (Some(user), Some(password)) => Some((user, password)),
            (None, None) => None,
            _ => return Err(MailerError::HalfALogin),
        };
        let server = Server::new(place, login, &config.outgoing)?;
        let from = email.from.as_deref().map(|text| message::mailbox(text).ok_or(MailerError::From)).transpose()?;
        Ok(Some(Self(Arc::new(Inner { server, from, templates: Templates::new(email.templates.clone()) }))))
    }
}

pub(crate) async fn send(context: JobContext, mail: Mail) -> Result<Sent, HandlerError> {
    let Mailer(mailer) = context.data()?;
    let outgoing = context.data::<Outgoing>()?;
    let texts = mailer.templates.texts(&mail).await?;
    let mut head = message::Head::read(&mail, &texts, mailer.from.as_ref()).map_err(HandlerError::do_not_retry)?;
    if mail.attachments.iter().any(|attachment| attachment.url.is_some()) {
        mailer.server.hold_back(&context).await?;
    }
    let attachments = attachments::gather(&context, &mail.attachments, outgoing).await?;
    head.date(context.now());
    let message_id = head.identify(context.job_id());
    let message = head.into_message(texts, attachments).map_err(HandlerError::do_not_retry)?;
    let recipients = message.envelope().to().len();
    mailer.server.hand_over(&context, &message, context.data::<Secrets>()?, outgoing.policy()).await?;
    Ok(Sent { message_id, recipients })
}
