//! One session with the mail server: a connection, a login, a message.
//!
//! The server is the operator's choice, no payload's: unlike URLs it may be on a private network. But a session that is not
//! encrypted goes to this machine, or to a network that `outgoing.allow` lists, and nowhere else.

use super::MailerError;
use crate::pace::{Pacer, at_pace};
use haul_core::{
    config::{MailProtection, MailServer, OutgoingConfig},
    pace::{Destination, Verdict},
};
use haul_outgoing::{Policy, SecretError, SecretName, Secrets, address};
use haul_worker::{HandlerError, JobContext};
use lettre::{
    Message,
    transport::smtp::{
        Error as SmtpError,
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, Certificate, TlsParameters},
        commands::{Data, Mail, Rcpt},
        extension::{ClientId, Extension, MailBodyParameter, MailParameter},
    },
};
use secrecy::ExposeSecret;
use std::{error::Error, time::Duration};
use tokio::{net::TcpStream, time::timeout};

/// Ways to log in, the better first; over TLS one is as good as the other.
const MECHANISMS: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];

/// Where mail is handed over.
pub(super) struct Server {
    place: MailServer,
    /// As whom it is paced.
    destination: Option<Destination>,
    login: Option<(String, SecretName)>,
    roots: Vec<Certificate>,
    connect_timeout: Duration,
    timeout: Duration,
}

/// What kept a message from being handed over.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("no connection to the mail server could be made")]
    Connect(#[source] Box<dyn Error + Send + Sync>),
    #[error("an unencrypted session may go to this machine, or to a private network that `outgoing.allow` lists")]
    Plain,
    #[error("the mail server {}", stage.as_str())]
    Session {
        stage: Stage,
        #[source]
        source: SmtpError,
    },
    #[error("the mail server took too long")]
    Late,
    #[error("the mail server refused {} of {asked} recipients; nobody was written to", refused.len())]
    Recipients { asked: usize, refused: Vec<(String, SmtpError)> },
}

/// How far a session came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Greeting,
    Tls,
    Login,
    Sender,
    Recipient,
    Message,
}

impl Stage {
    fn as_str(self) -> &'static str {
        match self {
            Self::Greeting => "did not greet",
            Self::Tls => "could not be talked to over TLS",
            Self::Login => "did not accept the login (email.user, email.password)",
            Self::Sender => "refused the sender",
            Self::Recipient => "broke off",
            Self::Message => "did not take the message",
        }
    }
}

impl Server {
    pub(super) fn new(
        place: MailServer,
        login: Option<(String, SecretName)>,
        outgoing: &OutgoingConfig,
    ) -> Result<Self, MailerError> {
        let mut roots = Vec::new();
        if let Some(path) = &outgoing.roots {
            let refused = |source: Box<dyn Error + Send + Sync>| MailerError::Roots { path: path.clone(), source };
            let pem = std::fs::read(path).map_err(|error| refused(error.into()))?;
            roots.push(Certificate::from_pem(&pem).map_err(|error| refused(error.into()))?);
        }
        let (connect_timeout, timeout) = (outgoing.connect_timeout.as_duration(), outgoing.timeout.as_duration());
        let destination = destination(&place);
        Ok(Self { place, destination, login, roots, connect_timeout, timeout })
    }

    /// Sends a job away while the server lets nobody through.
    pub(super) async fn hold_back(&self, context: &JobContext) -> Result<(), HandlerError> {
        match (context.data::<Pacer>(), &self.destination) {
            (Ok(pacer), Some(destination)) => pacer.hold_back(context, destination).await,
            _ => Ok(()),
        }
    }

    /// Hands the message over to all of its recipients, or to none.
    pub(super) async fn hand_over(
        &self,
        context: &JobContext,
        message: &Message,
        secrets: &Secrets,
        policy: &Policy,
    ) -> Result<(), HandlerError> {
        let session = async {
            let mut connection = self.connect(secrets, policy).await?;
            let handed_over = deliver(&mut connection, message).await;
            match handed_over {
                // The message is taken, whatever becomes of the good-bye.
                Ok(()) => drop(timeout(self.connect_timeout, connection.quit()).await),
                Err(_) => drop(timeout(self.connect_timeout, connection.abort()).await),
            }
            handed_over
        };
        let call = async { timeout(self.timeout, session).await.map_err(|_| Trouble::Late).flatten() };
        let handed_over = at_pace(context, self.destination.as_ref(), call, verdict).await?;
        handed_over.map_err(Trouble::into_handlers)
    }

    async fn connect(&self, secrets: &Secrets, policy: &Policy) -> Result<AsyncSmtpConnection, Trouble> {
        // What is not there is told before a connection is made for it.
        let credentials = match &self.login {
            Some((user, name)) => {
                let password = secrets.resolve(name).await?;
                Some(Credentials::new(user.clone(), password.expose_secret().to_owned()))
            }
            None => None,
        };
        let greeted = timeout(self.connect_timeout, self.greet(policy)).await;
        let mut connection = greeted.map_err(|_| Trouble::Connect("it took too long".into()))??;
        if let Some(credentials) = credentials {
            let told = connection.auth(&MECHANISMS, &credentials).await;
            told.map_err(session(Stage::Login))?;
        }
        Ok(connection)
    }

    async fn greet(&self, policy: &Policy) -> Result<AsyncSmtpConnection, Trouble> {
        let MailServer { host, port, protection } = &self.place;
        let stream =
            TcpStream::connect((host.as_str(), *port)).await.map_err(|error| Trouble::Connect(error.into()))?;
        let hello = ClientId::default();
        match protection {
            MailProtection::None => {
                let ip = stream.peer_addr().map_err(|error| Trouble::Connect(error.into()))?.ip();
                let may = address::canonical(ip).is_loopback()
                    || (address::special(ip).is_some() && policy.admits(Some(host), ip).is_ok());
                if !may {
                    return Err(Trouble::Plain);
                }
                AsyncSmtpConnection::connect_with_transport(Box::new(stream), &hello)
                    .await
                    .map_err(session(Stage::Greeting))
            }
            MailProtection::StartTls => {
                let connected = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &hello).await;
                let mut connection = connected.map_err(session(Stage::Greeting))?;
                let parameters = self.tls()?;
                connection.starttls(parameters, &hello).await.map_err(session(Stage::Tls))?;
                Ok(connection)
            }
            MailProtection::Tls => {
                drop(stream);
                let (place, parameters) = ((host.as_str(), *port), self.tls()?);
                let limit = Some(self.connect_timeout);
                let connected = AsyncSmtpConnection::connect_tokio1(place, limit, &hello, Some(parameters), None).await;
                connected.map_err(session(Stage::Tls))
            }
        }
    }

    fn tls(&self) -> Result<TlsParameters, Trouble> {
        let mut builder = TlsParameters::builder(self.place.host.clone());
        for root in &self.roots {
            builder = builder.add_root_certificate(root.clone());
        }
        builder.build().map_err(session(Stage::Tls))
    }
}

/// The name by which a mail server is paced; none where it cannot have one.
fn destination(place: &MailServer) -> Option<Destination> {
    let scheme = if place.protection == MailProtection::Tls { "smtps" } else { "smtp" };
    let host = place.host.to_ascii_lowercase();
    let host = if host.contains(':') { format!("[{host}]") } else { host.trim_end_matches('.').to_owned() };
    Destination::new(format!("{scheme}://{host}:{}", place.port)).ok()
}

/// What a session has shown about the server. Whoever refuses a message, a recipient or a login works.
fn verdict(handed_over: &Result<(), Trouble>) -> Verdict {
    match handed_over {
        Ok(()) | Err(Trouble::Recipients { .. }) => Verdict::Works,
        Err(Trouble::Secret(_) | Trouble::Plain) => Verdict::Unknown,
        // Whoever does not even greet takes nobody's mail.
        Err(Trouble::Session { stage, source }) if *stage != Stage::Greeting && source.is_permanent() => Verdict::Works,
        Err(Trouble::Connect(_) | Trouble::Late | Trouble::Session { .. }) => Verdict::AtFault(None),
    }
}

fn session(stage: Stage) -> impl FnOnce(SmtpError) -> Trouble {
    move |source| Trouble::Session { stage, source }
}

async fn deliver(connection: &mut AsyncSmtpConnection, message: &Message) -> Result<(), Trouble> {
    let (envelope, bytes) = (message.envelope(), message.formatted());
    let mut parameters = Vec::new();
    if connection.server_info().supports_feature(Extension::EightBitMime) {
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    let sender = connection.command(Mail::new(envelope.from().cloned(), parameters)).await;
    sender.map_err(session(Stage::Sender))?;
    let mut refused = Vec::new();
    for recipient in envelope.to() {
        match connection.command(Rcpt::new(recipient.clone(), Vec::new())).await {
            Ok(_) => {}
            Err(error) if error.status().is_some() => refused.push((recipient.to_string(), error)),
            Err(error) => return Err(session(Stage::Recipient)(error)),
        }
    }
    if !refused.is_empty() {
        return Err(Trouble::Recipients { asked: envelope.to().len(), refused });
    }
    connection.command(Data).await.map_err(session(Stage::Message))?;
    connection.message(&bytes).await.map_err(session(Stage::Message))?;
    Ok(())
}

impl Trouble {
    /// Whether the next attempt would end in the same way.
    fn is_final(&self) -> bool {
        match self {
            // What only the operator can mend, such as a password, is mended one day.
            Self::Session { stage: Stage::Sender | Stage::Message, source } => source.is_permanent(),
            // One that may be taken later keeps the others waiting.
            Self::Recipients { refused, .. } => refused.iter().any(|(_, error)| error.is_permanent()),
            _ => false,
        }
    }

    fn into_handlers(self) -> HandlerError {
        let is_final = self.is_final();
        let detail = match &self {
            Self::Recipients { refused, .. } => {
                let told: Vec<_> =
                    refused.iter().map(|(address, error)| format!("{address}: {}", said(error))).collect();
                Some(told.join("\n"))
            }
            Self::Session { source, .. } => Some(said(source)),
            _ => None,
        };
        let error = if is_final { HandlerError::do_not_retry(self) } else { HandlerError::retry(self) };
        match detail {
            Some(detail) => error.with_detail(detail),
            None => error,
        }
    }
}

/// The server's own words, or what broke.
fn said(error: &SmtpError) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}
