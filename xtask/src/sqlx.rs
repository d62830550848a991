//! The offline query caches, `.sqlx`, of the two database crates.
//!
//! The SQL macros check every statement against a database, or, so that a build needs none, against what was
//! remembered of one. This command makes both databases from the migrations, compiles both crates against them,
//! and keeps what the macros saw.
//!
//! Promise: a cache is replaced as a whole and only after its crate compiled, so that entries of statements that are
//! gone go too. Only statements of the libraries are remembered, not those of their tests. It will not run Haul's own migrator: that is in the crates that may not compile until the cache is right.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use haul_testkit::postgres;

use crate::run::{cargo, root, run};
use crate::tools::{self, Tool};

const ALONE_TIMEOUT: Duration = Duration::from_secs(600);

/// A crate with checked SQL, and the variable through which its `sqlx.toml` has the macros find the database.
struct Checked {
    package: &'static str,
    directory: &'static str,
    url_variable: &'static str,
}

/// One of the two, to regenerate it alone.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Database {
    /// shared/postgres
    Postgres,
    /// shared/embedded
    Sqlite,
}

const POSTGRES: Checked =
    Checked { package: "haul-postgres", directory: "shared/postgres", url_variable: "HAUL_POSTGRES_CHECK_URL" };

const SQLITE: Checked =
    Checked { package: "haul-embedded", directory: "shared/embedded", url_variable: "HAUL_SQLITE_CHECK_URL" };

/// File name and content of each entry of a cache.
type Cache = BTreeMap<String, Vec<u8>>;

/// Regenerates the caches, of one database or of both; with `check` only compares.
pub(crate) fn regenerate(only: Option<Database>, check: bool) -> Result<()> {
    let _alone = alone()?;
    let mut stale = Vec::new();
    if only != Some(Database::Sqlite) {
        tools::ensure(&[Tool::Postgres])?;
        let server = postgres::Server::start()?;
        migrate_postgres(&server)?;
        stale.extend(update(&POSTGRES, &server.url("postgres"), check)?);
    }
    if only != Some(Database::Postgres) {
        tools::ensure(&[Tool::Sqlite])?;
        let files = tempfile::tempdir()?;
        let database = files.path().join("check.db");
        migrate_sqlite(&database)?;
        stale.extend(update(&SQLITE, &format!("sqlite://{}", database.display()), check)?);
    }
    ensure!(
        !check || stale.is_empty(),
        "the offline query caches are out of date; run `cargo xtask sqlx` and commit the result\n{}",
        stale.join("\n")
    );
    Ok(())
}

/// Brings one crate's cache up to date, or with `check` only says, a line each, where it is not.
fn update(checked: &Checked, url: &str, check: bool) -> Result<Vec<String>> {
    let fresh = compile(checked, url)?;
    let place = root().join(checked.directory).join(".sqlx");
    let differences = differences(&read(&place)?, &fresh);
    if !check {
        write(&place, &fresh)?;
    }
    println!("xtask: {} has {} checked statements, {} differ", checked.package, fresh.len(), differences.len());
    differences.iter().for_each(|line| println!("  {line}"));
    Ok(differences)
}

/// Waits for other runs in this checkout: two would take each other's work.
fn alone() -> Result<fs::File> {
    let directory = root().join("target/sqlx");
    fs::create_dir_all(&directory)?;
    let file = fs::File::create(directory.join("lock"))?;
    let end = Instant::now() + ALONE_TIMEOUT;
    while let Err(error) = file.try_lock() {
        ensure!(Instant::now() < end, "another `cargo xtask sqlx` still runs after {ALONE_TIMEOUT:?}: {error}");
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(file)
}

fn migrate_postgres(server: &postgres::Server) -> Result<()> {
    println!("xtask: applying migrations/postgres to a private Postgres");
    // As the migrator does it, for its own table.
    server.psql("postgres", "CREATE SCHEMA IF NOT EXISTS haul")?;
    for file in migrations("postgres")? {
        server.psql_file("postgres", &file)?;
    }
    Ok(())
}

fn migrate_sqlite(database: &Path) -> Result<()> {
    println!("xtask: applying migrations/sqlite to a temporary file");
    for file in migrations("sqlite")? {
        let status = Command::new("sqlite3")
            .arg("-bail")
            .arg(database)
            .stdin(Stdio::from(fs::File::open(&file)?))
            .status()
            .context("sqlite3 did not start")?;
        ensure!(status.success(), "sqlite3 refused {}", file.display());
    }
    // Without migrations there is a database all the same.
    fs::OpenOptions::new().create(true).append(true).open(database)?;
    Ok(())
}

/// The migrations in the order in which they are applied: by the number that their names begin with.
fn migrations(kind: &str) -> Result<Vec<PathBuf>> {
    let directory = root().join("migrations").join(kind);
    let mut numbered = Vec::new();
    for entry in fs::read_dir(&directory).with_context(|| format!("no {}", directory.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.ends_with(".sql") || name.ends_with(".down.sql") {
            continue;
        }
        let number: i64 = name
            .split('_')
            .next()
            .and_then(|number| number.parse().ok())
            .with_context(|| format!("{} does not begin with its number", path.display()))?;
        numbered.push((number, path));
    }
    numbered.sort();
    Ok(numbered.into_iter().map(|(_, path)| path).collect())
}

/// Compiles the crate against the database and returns what its macros saw.
///
/// In a target directory of its own: no other build waits for it or is made stale by it, and no other build can
/// compile the crate in between, which would leave the macros nothing to do.
fn compile(checked: &Checked, url: &str) -> Result<Cache> {
    let target = root().join("target/sqlx");
    let cache = tempfile::tempdir()?;
    let with_target = |command: &str| {
        let mut cargo = cargo();
        cargo.args([command, "--quiet", "--package", checked.package]);
        cargo.arg("--target-dir").arg(&target);
        cargo
    };
    run(&mut with_target("clean"))?;
    run(with_target("check")
        .arg("--lib")
        .env(checked.url_variable, url)
        .env("SQLX_OFFLINE", "false")
        .env("SQLX_OFFLINE_DIR", cache.path()))?;
    read(cache.path())
}

/// The entries in a directory; none when there is no directory.
fn read(directory: &Path) -> Result<Cache> {
    let mut cache = Cache::new();
    if !directory.exists() {
        return Ok(cache);
    }
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        cache.insert(name, fs::read(entry.path())?);
    }
    Ok(cache)
}

/// Makes the directory hold exactly these entries.
fn write(directory: &Path, cache: &Cache) -> Result<()> {
    fs::create_dir_all(directory)?;
    for name in read(directory)?.keys() {
        if !cache.contains_key(name) {
            fs::remove_file(directory.join(name))?;
        }
    }
    for (name, content) in cache {
        fs::write(directory.join(name), content)?;
    }
    Ok(())
}

/// What differs, a line each, with the beginning of the statement.
fn differences(committed: &Cache, fresh: &Cache) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, content) in fresh {
        match committed.get(name) {
            None => lines.push(format!("new: {}", statement(content))),
            Some(old) if old != content => lines.push(format!("changed: {}", statement(content))),
            Some(_) => {}
        }
    }
    for (name, content) in committed {
        if !fresh.contains_key(name) {
            lines.push(format!("gone: {}", statement(content)));
        }
    }
    lines
}

fn statement(entry: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Entry {
        query: String,
    }
    match serde_json::from_slice::<Entry>(entry) {
        Ok(entry) => {
            let line = entry.query.split_whitespace().collect::<Vec<_>>().join(" ");
            line.chars().take(100).collect()
        }
        Err(error) => format!("an unreadable entry ({error})"),
    }
}
