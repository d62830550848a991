//! What the third parties promise, over HTTP.

mod provider;
mod receiver;
