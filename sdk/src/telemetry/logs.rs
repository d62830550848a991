//! Logs of a process: set up once, before anything else runs; what is let through can be changed while it runs.
//!
//! They go to standard error, so that a command's own output stays clean. `RUST_LOG` is not read: the filter is
//! `log.filter`, like every other setting, and the [`cap`] holds whatever the filter says. Lines within a request or an attempt
//! name it: see docs/tracing.md.
//!
//! A change loses no lines: those that are being written pass by the filter that let them in. What was changed for a while
//! returns to the configured filter by itself.

mod cap;
mod directives;

use super::TelemetryError;
use directives::{Directives, Fault};
use haul_api::log::{LogFilter, LogRefusal, LogState};
use haul_core::{
    Clock, Timestamp,
    config::{LogConfig, LogFormat},
};
use parking_lot::Mutex;
use std::{
    io::{IsTerminal, stderr},
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};
use tokio::task::AbortHandle;
use tracing::{Dispatch, Level, dispatcher};
use tracing_subscriber::{
    EnvFilter, Registry, fmt,
    fmt::MakeWriter,
    layer::{Layered, SubscriberExt},
    reload::{self, Handle},
};

// So that nobody ships it; what is started with it says so below.
#[cfg(all(feature = "broken", not(debug_assertions)))]
compile_error!("the feature `broken` is for `cargo xtask faults --broken`, and never for a release");

static LOGS: OnceLock<Arc<Logs>> = OnceLock::new();

/// Why a filter is refused.
pub type FilterFault = Fault;

/// Sends logs to standard error, in the configured form. A subscriber that the program has installed before stays.
pub fn start_logging(config: &LogConfig) -> Result<(), TelemetryError> {
    let (dispatch, logs) = Logs::new(config, stderr, stderr().is_terminal()).map_err(TelemetryError::Filter)?;
    let installed = dispatcher::set_global_default(dispatch);
    #[cfg(feature = "broken")]
    tracing::error!("THIS BUILD IS BROKEN ON PURPOSE (feature `broken`): it may lose jobs and repeat effects");
    if installed.is_err() {
        tracing::debug!("this program has a subscriber of its own; `log.filter` and `log.format` have no effect");
        return Ok(());
    }
    LOGS.get_or_init(|| logs);
    Ok(())
}

/// Shows and changes what is logged from now on, for `/log`.
pub fn log_filter() -> Arc<dyn LogFilter> {
    match LOGS.get() {
        Some(logs) => logs.clone(),
        None => Arc::new(Foreign),
    }
}

/// The filter that processes which are started from now on are to begin with; `None`: the configured one.
pub(crate) fn changed_filter() -> Option<String> {
    let now = LOGS.get()?.now.lock();
    now.is_changed.then(|| now.filter.clone())
}

/// The logs of a program with a subscriber of its own.
struct Foreign;

impl LogFilter for Foreign {
    fn show(&self) -> Result<LogState, LogRefusal> {
        Err(LogRefusal::Foreign)
    }
    fn set(&self, _: &str, _: Option<Duration>) -> Result<LogState, LogRefusal> {
        Err(LogRefusal::Foreign)
    }
    fn reset(&self) -> Result<LogState, LogRefusal> {
        Err(LogRefusal::Foreign)
    }
}

/// The filter of this process's logs.
struct Logs {
    handle: Handle<EnvFilter, Layered<cap::Cap, Registry>>,
    configured: String,
    clock: Clock,
    now: Mutex<Now>,
    /// Itself, for the return to the configured filter.
    this: Weak<Self>,
}

/// What is let through just now.
struct Now {
    filter: String,
    /// When the configured filter returns by itself.
    until: Option<Timestamp>,
    is_changed: bool,
    /// Counts changes, so that a return that comes too late undoes no later one.
    generation: u64,
    returning: Option<AbortHandle>,
}

impl Logs {
    /// What takes lines in, and what changes its filter.
    fn new<W>(config: &LogConfig, writer: W, ansi: bool) -> Result<(Dispatch, Arc<Self>), Fault>
    where
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
    {
        let directives: Directives = config.filter.parse()?;
        let (filter, handle) = reload::Layer::new(directives.filter()?);
        let registry = tracing_subscriber::registry().with(cap::cap()).with(filter);
        let dispatch = match config.format {
            LogFormat::Json => {
                let layer = fmt::layer().json().flatten_event(true).with_current_span(false).with_writer(writer);
                Dispatch::new(registry.with(layer))
            }
            LogFormat::Pretty => {
                Dispatch::new(registry.with(fmt::layer().compact().with_ansi(ansi).with_writer(writer)))
            }
        };
        let configured = directives.to_string();
        let now = Now { filter: configured.clone(), until: None, is_changed: false, generation: 0, returning: None };
        let logs = Arc::new_cyclic(|this| Self {
            handle,
            configured,
            clock: Clock::new(),
            now: Mutex::new(now),
            this: this.clone(),
        });
        Ok((dispatch, logs))
    }

    fn state(&self, now: &Now) -> LogState {
        LogState { filter: now.filter.clone(), configured: self.configured.clone(), until: now.until }
    }

    /// Lets other lines through. `why` is logged by the old filter or, where that keeps it back, by the new one.
    fn change(&self, now: &mut Now, directives: &Directives, until: Option<Timestamp>, why: &str) -> Result<(), Fault> {
        let filter = directives.filter()?;
        let shown = directives.to_string();
        let tell = || match until {
            Some(until) => tracing::warn!(filter = shown, before = now.filter, %until, "{why}"),
            None => tracing::warn!(filter = shown, before = now.filter, "{why}"),
        };
        let is_told = tracing::enabled!(Level::WARN);
        if is_told {
            tell();
        }
        self.handle.reload(filter).map_err(|_| Fault::Gone)?;
        if !is_told {
            tell();
        }
        now.is_changed = shown != self.configured;
        now.filter = shown;
        now.until = until;
        now.generation += 1;
        if let Some(returning) = now.returning.take() {
            returning.abort();
        }
        Ok(())
    }

    /// The configured filter again, unless somebody has changed it since.
    fn return_from(&self, generation: u64) {
        let mut now = self.now.lock();
        if now.generation != generation {
            return;
        }
        // The task that aborts itself here has nothing left to do.
        if let Err(error) = self.restore(&mut now, "its time is over: what is configured is logged again") {
            tracing::error!(%error, "the configured filter of logs could not be restored");
        }
    }

    fn restore(&self, now: &mut Now, why: &str) -> Result<(), Fault> {
        self.change(now, &self.configured.parse()?, None, why)
    }
}

impl LogFilter for Logs {
    fn show(&self) -> Result<LogState, LogRefusal> {
        Ok(self.state(&self.now.lock()))
    }

    fn set(&self, directives: &str, lasting: Option<Duration>) -> Result<LogState, LogRefusal> {
        let directives: Directives = directives.parse().map_err(refused)?;
        let mut now = self.now.lock();
        let until = lasting.map(|lasting| self.clock.now().plus(lasting));
        self.change(&mut now, &directives, until, "what is logged was changed").map_err(refused)?;
        if let Some(lasting) = lasting {
            let (this, generation) = (self.this.clone(), now.generation);
            let returning = tokio::spawn(async move {
                tokio::time::sleep(lasting).await;
                if let Some(logs) = this.upgrade() {
                    logs.return_from(generation);
                }
            });
            now.returning = Some(returning.abort_handle());
        }
        Ok(self.state(&now))
    }

    fn reset(&self) -> Result<LogState, LogRefusal> {
        let mut now = self.now.lock();
        self.restore(&mut now, "what is configured is logged again").map_err(refused)?;
        Ok(self.state(&now))
    }
}

fn refused(fault: Fault) -> LogRefusal {
    LogRefusal::Directives(fault.to_string())
}

#[cfg(test)]
mod tests;
