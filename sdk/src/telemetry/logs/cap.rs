//! What other people's code may log at most, whatever the filter says.
//!
//! Haul's own lines hold no payload, header value or secret, and tests look for them. Others owe us nothing: a client of SMTP
//! writes its session down, passwords included, an HTTP library its buffers, a framework the body that it could not read. Their
//! lines pass from `info` up; what was read and found harmless is named with the level that it may have. Crates of handlers
//! that somebody else wrote are theirs to judge.

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterFn, filter_fn};

/// Crates that Haul is made of, or may come to be, and that can log. A test holds it against `Cargo.lock`.
#[rustfmt::skip]
const OTHERS: &[&str] = &[
    "apalis", "apalis_core", "axum", "axum_core", "h2", "hickory_proto", "hickory_resolver", "hyper", "hyper_rustls",
    "hyper_util", "iana_time_zone", "jni", "lettre", "log", "mio", "opentelemetry", "opentelemetry_http",
    "opentelemetry_otlp", "opentelemetry_proto", "opentelemetry_sdk", "prost", "quinn", "redis", "reqwest", "rustls",
    "rustls_platform_verifier", "sqlx", "sqlx_core", "sqlx_mysql", "sqlx_postgres", "sqlx_sqlite", "tokio", "tokio_util",
    "tonic", "tower", "tower_http", "tracing", "tracing_log", "tracing_serde", "tracing_subscriber",
];

/// Targets that may say more: SQL as it stands in our files, whose parameters are not written down.
const HARMLESS: &[(&str, Level)] = &[("sqlx::query", Level::DEBUG)];

pub(super) type Cap = FilterFn;

pub(super) fn cap() -> Cap {
    filter_fn(is_let_through)
}

fn is_let_through(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    *metadata.level() <= Level::INFO
        || !is_of_others(target)
        || HARMLESS.iter().any(|(harmless, level)| target == *harmless && metadata.level() <= level)
}

/// Some crates write their targets as they write their package's name, with dashes.
fn is_of_others(target: &str) -> bool {
    let krate = target.split("::").next().unwrap_or_default();
    OTHERS.iter().any(|other| {
        other.len() == krate.len()
            && other.bytes().zip(krate.bytes()).all(|(other, byte)| other == if byte == b'-' { b'_' } else { byte })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    /// Only of tests and tools: no process of Haul has them.
    const NOT_IN_HAUL: &[&str] = &["generator", "loom", "stateright", "tiny_http"];

    #[test]
    fn every_crate_of_others_that_can_log_is_capped() {
        let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
        let lock = fs::read_to_string(lock).expect("Cargo.lock");
        let mut seen = 0;
        for package in lock.split("[[package]]").filter(|package| package.contains("\nsource = ")) {
            let name = package.split('"').nth(1).expect("a name").replace('-', "_");
            let can_log = ["tracing", "tracing-core", "log"]
                .iter()
                .any(|log| package.contains(&format!(" \"{log}\",")) || package.contains(&format!(" \"{log} ")));
            if can_log && !NOT_IN_HAUL.contains(&name.as_str()) {
                seen += 1;
                assert!(OTHERS.contains(&name.as_str()), "{name} can log: read what it does, and add it to OTHERS");
            }
        }
        assert!(seen > 10, "only {seen} packages were found: is the file read as it is written?");
    }

    #[test]
    fn a_name_that_begins_alike_is_another_crate() {
        assert!(is_of_others("redis") && is_of_others("redis::client") && is_of_others("opentelemetry-otlp"));
        assert!(!is_of_others("redis_of_mine") && !is_of_others("haul_redis") && !is_of_others("logistics::redis"));
    }
}
