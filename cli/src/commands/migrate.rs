//! `haul migrate`: brings Haul's tables in Postgres up to this version.

use crate::{
    commands::ConfigFile,
    exit::{Exit, usage},
};
use clap::Args;
use std::io::{Write, stdout};

/// Create or update Haul's tables in the database that DATABASE_URL names
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  DATABASE_URL=postgres://haul@db/haul haul migrate

Everything lies in the schema `haul`. Run it before the first start and before each new version; several at the same
time are harmless. `haul up` migrates by itself.")]
pub(crate) struct Migrate {
    #[command(flatten)]
    file: ConfigFile,
}

impl Migrate {
    /// Migrates.
    pub(crate) async fn run(self) -> anyhow::Result<Exit> {
        let settings = self.file.load(&[])?;
        settings.warnings.iter().for_each(|warning| eprintln!("haul: {warning}"));
        let Some(url) = &settings.database_url else {
            return Err(usage(
                "DATABASE_URL is not set: it names the database to migrate, as in postgres://haul@db/haul",
            ));
        };
        haul_postgres::migrate(url).await?;
        writeln!(stdout(), "the schema haul is up to date")?;
        Ok(Exit::Done)
    }
}
