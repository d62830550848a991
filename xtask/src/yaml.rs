//! YAML, read by the Python package that Debian has for it: none of the workspace's crates reads any.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::run::{output, root};

const TO_JSON: &str = "import json, sys, yaml
json.dump(list(yaml.safe_load_all(open(sys.argv[1]))), sys.stdout)";

/// The documents of a file of the checkout, as JSON.
pub(crate) fn read(path: &str) -> Result<Vec<Value>> {
    let json = output(Command::new("python3").args(["-c", TO_JSON, path]).current_dir(root()));
    serde_json::from_str(&json.with_context(|| format!("{path} is not there, or no YAML"))?)
        .with_context(|| format!("{path} is no JSON's equal"))
}
