//! The built-in kinds, written with the same public API as anybody's own.

mod echo;
mod http_request;

use crate::builder::{BuildError, WorkerBuilder};

/// Adds the built-in kinds `echo` and `http.request` to a worker.
#[must_use]
pub fn builtin(builder: WorkerBuilder) -> WorkerBuilder {
    let builder = builder.handler("echo", echo::echo);
    match http_request::HttpClient::new() {
        Ok(client) => builder.data(client).handler("http.request", http_request::perform),
        Err(error) => builder.refuse(BuildError::HttpClient(error)),
    }
}
