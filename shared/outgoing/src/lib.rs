//! Calls to third parties: one guarded HTTP client for all handlers, and secrets by name.
//!
//! It promises that nothing is dialled but public addresses and what the settings allow besides, however a URL spells
//! them, whatever DNS says, wherever a redirect leads; that nothing of an answer is read past its caps; that no error
//! shows a query, a password or a header's value. It retries nothing, paces nothing and logs no call: handlers decide.
//!
//! ```no_run
//! use haul_outgoing::{Call, Outgoing};
//! # async fn example(config: &haul_core::Config) -> Result<(), Box<dyn std::error::Error>> {
//! let outgoing = Outgoing::new(&config.outgoing)?;
//! let target = outgoing.check("https://example.com/hook")?;
//! let answer = outgoing.send(Call::new(http::Method::GET, target)).await?;
//! println!("{}", answer.status);
//! # Ok(())
//! # }
//! ```
//!
//! Read in this order: `address` (what is public), `policy` and `target` (what a URL may say), `resolver` (what a name may
//! mean), `client` (who dials), `secrets` and `redaction`.

pub mod address;
mod call;
mod client;
mod headers;
mod policy;
mod redaction;
mod refusal;
mod resolver;
mod secrets;
mod target;
mod traced;

pub use call::{Answer, Beyond, Call, CallError, Caps, Source};
pub use client::{Outgoing, OutgoingError, roots};
pub use headers::check_name as check_header_name;
pub use policy::Policy;
pub use redaction::{REDACTED, Redaction};
pub use refusal::Refusal;
pub use resolver::{Lookup, SystemLookup};
pub use secrets::{SecretError, SecretName, SecretNameError, Secrets};
pub use target::{Destination, Target};
