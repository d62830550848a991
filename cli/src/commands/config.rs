//! `haul config`: every setting, with the comment that explains it.

use crate::{commands::ConfigFile, exit::Exit};
use anyhow::Context;
use clap::Args;
use haul::settings::Sources;
use haul_core::{Config, config::DEFAULT_TOML};
use std::io::{Write, stdout};

/// Print every setting as it is in effect here, as a commented file
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  haul config > haul.toml
  haul config --defaults
  HAUL_WORKER_LEASE=10s haul config --config haul.toml

Secrets are not shown.")]
pub(crate) struct PrintConfig {
    /// Print the defaults instead
    #[arg(long)]
    defaults: bool,
    #[command(flatten)]
    file: ConfigFile,
}

impl PrintConfig {
    /// Prints them.
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        if self.defaults {
            stdout().write_all(DEFAULT_TOML.as_bytes())?;
            return Ok(Exit::Done);
        }
        let settings = self.file.load(&[])?;
        settings.warnings.iter().for_each(|warning| eprintln!("haul: {warning}"));
        let sources = Sources::read(self.file.config.as_deref())?;
        let (mut merged, _) = Config::merge(sources.file.as_deref(), sources.variables, &[])?;
        if settings.config.admin_key.is_some() {
            merged.insert("admin_key".to_owned(), "(set, not shown)".into());
        }
        stdout().write_all(effective(&merged).context("default.toml has a form that is not expected")?.as_bytes())?;
        Ok(Exit::Done)
    }
}

/// The commented defaults with each value replaced by the one in effect. `None` when a line is no setting.
fn effective(merged: &toml::Table) -> Option<String> {
    let mut text = String::new();
    let mut section = merged;
    for line in DEFAULT_TOML.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = merged.get(name.trim_end_matches(']'))?.as_table()?;
            text.push_str(line);
        } else if line.is_empty() || line.starts_with('#') {
            text.push_str(line);
        } else {
            let (key, _) = line.split_once(" = ")?;
            text.push_str(&format!("{key} = {}", section.get(key)?));
        }
        text.push('\n');
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_settings_keep_every_comment_and_read_back() {
        let variables = [("HAUL_WORKER_QUEUES".to_owned(), "a,b:3".to_owned())];
        let (merged, _) = Config::merge(None, variables, &[]).unwrap();
        let text = effective(&merged).unwrap();
        assert!(text.contains("\nqueues = \"a,b:3\"\n"), "{text}");
        assert_eq!(text.replace("\"a,b:3\"", "\"\""), DEFAULT_TOML);
        assert!(Config::load(Some(&text), [], &[]).is_ok());
    }
}
