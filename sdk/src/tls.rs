//! One TLS implementation per process: rustls with ring.

/// Makes ring the process's provider. A provider that the program has installed before stays.
pub fn install() {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::debug!("this program has a TLS provider of its own");
    }
}
