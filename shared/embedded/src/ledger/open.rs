//! Opening the ledger: the directory, the lock on it, and the database in it.

use super::{SqliteLedger, error::ledger_error, writer::Writer};
use haul_core::{Clock, ledger::LedgerError};
use sqlx::{
    ConnectOptions,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

static MIGRATIONS: Migrator = sqlx::migrate!();

/// The file that the lock is on. It stays empty, and stays when Haul ends.
const LOCK_FILE: &str = "haul.lock";
const DATABASE_FILE: &str = "haul.db";
/// Connections that read.
const READERS: u32 = 4;
/// What is in the database file is read where the system has it in memory; beyond 2 GB it is copied as usual. What is in
/// the log still needs pages of SQLite's own caches, in KiB with a minus sign. As it is built here, these are one pool: a
/// reader that has used up its share takes the writer's pages, until the writer has none. So each reader may have the
/// whole log. See docs/decisions/0033-sqlite-page-caches.md.
const MAPPED_BYTES: &str = "2147418112";
const WRITER_CACHE: &str = "-32768";
const READER_CACHE: &str = "-16384";
/// Pages of 8 KiB in the log before it is merged into the database: 16 MB.
const LOG_PAGES: &str = "2000";
/// What a log that a burst made longer is cut to.
const LOG_BYTES: &str = "67108864";
/// How long a read waits for one of them.
const READER_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long a write waits for a lock that somebody outside of Haul (a backup, a shell) has on the database.
const BUSY_MAX: Duration = Duration::from_secs(2);

/// Why a ledger could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open: two of them would run everything twice.
    #[error("another Haul is using {}; stop it or give --data another directory", .0.display())]
    InUse(PathBuf),
    /// The directory cannot be made, or its lock not be taken.
    #[error("cannot use the directory {}", .directory.display())]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A newer version of Haul has written it.
    #[error("{} was written by a newer version of Haul (migration {migration}); run that version", .directory.display())]
    Newer {
        /// The directory.
        directory: PathBuf,
        /// The migration that this version does not know.
        migration: i64,
    },
    /// Its tables could not be brought up to date.
    #[error("cannot bring the ledger in {} up to date", .directory.display())]
    Migration {
        /// The directory.
        directory: PathBuf,
        /// Why.
        #[source]
        source: MigrateError,
    },
    /// The file system cannot do what durable commits need: a write-ahead log with shared memory.
    #[error("the file system of {} does not support SQLite's write-ahead log; use a local one", .0.display())]
    FileSystem(PathBuf),
    /// The database cannot be used.
    #[error("cannot open the ledger in {}", .directory.display())]
    Ledger {
        /// The directory.
        directory: PathBuf,
        /// Why.
        #[source]
        source: LedgerError,
    },
}

impl SqliteLedger {
    /// Opens the ledger in a directory, which is made when it does not exist, and brings its tables up to date.
    ///
    /// The directory is locked for as long as the ledger lives: no second process can open it.
    pub async fn open(directory: &Path) -> Result<Self, OpenError> {
        let at = || directory.to_owned();
        let lock = lock(directory)?;
        let options = options(directory);
        migrate(directory, &options).await?;
        let ledger_failed = |source| OpenError::Ledger { directory: at(), source };
        let failed = |error| ledger_failed(ledger_error(error));
        let writer = Writer::new(options.clone().pragma("cache_size", WRITER_CACHE));
        forget_processes(&writer).await.map_err(ledger_failed)?;
        let readers = SqlitePoolOptions::new().max_connections(READERS).acquire_timeout(READER_WAIT_MAX);
        let readers = readers.connect_with(options.read_only(true).create_if_missing(false)).await.map_err(failed)?;
        Ok(Self { clock: Clock::new(), writer, readers, _lock: lock })
    }
}

fn options(directory: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(directory.join(DATABASE_FILE))
        .create_if_missing(true)
        .pragma("cache_size", READER_CACHE)
        // Fewer, larger pages: appends in order of id split half as many.
        .page_size(8_192)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", LOG_PAGES)
        .pragma("journal_size_limit", LOG_BYTES)
        .pragma("mmap_size", MAPPED_BYTES)
        .foreign_keys(false)
        .busy_timeout(BUSY_MAX)
        .thread_name(|n| format!("sqlite-{n}"))
        .disable_statement_logging()
}

/// Makes the directory and takes its lock, which lasts as long as the file is open.
fn lock(directory: &Path) -> Result<File, OpenError> {
    let failed = |source| OpenError::Directory { directory: directory.to_owned(), source };
    make(directory).map_err(failed)?;
    let file = OpenOptions::new().create(true).append(true).open(directory.join(LOCK_FILE)).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(directory.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Makes the directory, for its owner only, so that it survives a power cut like what is put into it.
fn make(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)?;
    #[cfg(unix)]
    File::open(std::path::absolute(directory)?.parent().unwrap_or(Path::new("/")))?.sync_all()?;
    Ok(())
}

async fn migrate(directory: &Path, options: &SqliteConnectOptions) -> Result<(), OpenError> {
    let directory = || directory.to_owned();
    let failed = |error| OpenError::Ledger { directory: directory(), source: ledger_error(error) };
    // A pool of one: the migrator's future is not `Send` on a bare connection.
    let pool: SqlitePool =
        SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await.map_err(failed)?;
    let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&pool).await.map_err(failed)?;
    if journal != "wal" {
        return Err(OpenError::FileSystem(directory()));
    }
    let answer = MIGRATIONS.run(&pool).await;
    pool.close().await;
    answer.map_err(|error| match error {
        MigrateError::VersionMissing(migration) => OpenError::Newer { directory: directory(), migration },
        source => OpenError::Migration { directory: directory(), source },
    })
}

/// Nobody else has the directory, so the processes of before are gone: their receipts may be taken at once.
async fn forget_processes(writer: &Writer) -> Result<(), LedgerError> {
    let mut tx = writer.begin().await?;
    sqlx::query_file!("sql/processes_forget.sql").execute(&mut tx.conn).await.map_err(ledger_error)?;
    tx.commit().await
}
