//! Certificates of the servers' own, made at the start.

use std::io;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};

/// The names by which a server on loopback is called.
pub(crate) const LOOPBACK: [&str; 2] = ["localhost", "127.0.0.1"];

/// What makes a connection a protected one under these names, and the certificate to trust, in PEM.
pub(crate) fn acceptor(names: &[&str]) -> io::Result<(TlsAcceptor, String)> {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(io::Error::other)?;
    // Named, and not the process's default: a test may have installed none, or another.
    let settings = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .map_err(io::Error::other)?;
    Ok((TlsAcceptor::from(Arc::new(settings)), made.cert.pem()))
}
