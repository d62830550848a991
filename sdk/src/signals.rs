//! SIGTERM and SIGINT: the first one drains, the second one does not wait.

use std::io;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code of a process that was told twice to end.
pub const EXIT_FORCED: i32 = 5;

/// Begins to listen for both signals. The token is cancelled by the first; the second ends the process at once.
pub(crate) fn listen(shutdown: CancellationToken) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut next = async move || {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    };
    tokio::spawn(async move {
        let name = next().await;
        tracing::info!("{name}: finishing what is under way; a second signal ends it at once");
        shutdown.cancel();
        let name = next().await;
        tracing::warn!("{name} again: ending at once");
        std::process::exit(EXIT_FORCED);
    });
    Ok(())
}
