//! The demo: a whole Haul, its customers, and a payment provider that misbehaves.
//!
//! The Haul is this program again, `haul up`, so that it can be killed; the provider (`haul-parties`) lives in this
//! process and keeps books that Haul has no part in. What is shown in the end is a comparison of the two, and nothing
//! that Haul says of itself alone. Bounded in time; whatever happens, the other process ends with this one.

mod api;
mod customers;
mod platform;
mod progress;
mod verdict;

use anyhow::{Context, bail};
use customers::Customers;
use haul_parties::provider::{Options, Provider, Weather};
use platform::Platform;
use progress::Progress;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::timeout;
use verdict::Verdict;

/// How much is done.
pub(crate) struct Size {
    /// Payments.
    pub(crate) payments: u32,
    /// What chance follows.
    pub(crate) seed: u64,
    /// How long it may take.
    pub(crate) at_most: Duration,
}

/// Everything that takes part.
struct Stage {
    size: Size,
    provider: Provider,
    platform: Platform,
    progress: Progress,
}

/// Plays it, and tells how it ended. An error when the books do not agree.
pub(crate) async fn play(size: Size) -> anyhow::Result<()> {
    let begun = Instant::now();
    let at_most = size.at_most;
    let directory = tempfile::Builder::new().prefix("haul-demo-").tempdir().context("no temporary directory")?;
    let provider = Provider::start_with(Options {
        weather: Weather { hang: Duration::from_secs(3), ..Weather::stormy(size.seed) },
        // As bad as the provider's documentation says: who relies on searching charges twice.
        search_lag: Duration::from_secs(60),
        ..Options::default()
    })
    .await
    .context("no payment provider")?;
    let progress = Progress::new();
    progress.say("starting Haul and a payment provider on this machine");
    let platform = Platform::start(directory.path(), &provider).await?;
    let mut stage = Stage { size, provider, platform, progress };
    let verdict = match timeout(at_most, stage.play()).await {
        Ok(verdict) => verdict?,
        Err(_) => bail!("it took more than {at_most:?}\n  hint: give it more with --at-most"),
    };
    stage.progress.end();
    verdict.print(begun.elapsed())?;
    match verdict.disagreements().as_slice() {
        [] => Ok(()),
        wrong => bail!("the books do not agree: {}", wrong.join("; ")),
    }
}

impl Stage {
    async fn play(&mut self) -> anyhow::Result<Verdict> {
        let api = self.platform.api();
        let customers = Arc::new(Customers::new(api.clone(), self.size.seed));
        let paying = customers.clone().pay(self.size.payments);
        tokio::pin!(paying);
        let mut killed = 0;
        loop {
            tokio::select! {
                ended = &mut paying => break ended?,
                () = tokio::time::sleep(progress::EVERY) => {
                    self.show(&customers);
                    if killed == 0 && customers.accepted() > self.size.payments / 2 {
                        killed += 1;
                        self.progress.say("killing Haul with -9, and starting it again");
                        self.platform.kill_and_restart().await?;
                    }
                }
            }
        }
        self.settle(&customers, "the charges").await?;
        customers.capture_and_refund().await?;
        self.settle(&customers, "captures and refunds").await?;
        Verdict::reach(&api, &customers, &self.provider.books(), killed).await
    }

    /// Waits until nothing is open any more.
    async fn settle(&self, customers: &Customers, what: &str) -> anyhow::Result<()> {
        loop {
            let open = customers.open().await?;
            if open == 0 {
                return Ok(());
            }
            self.show(customers);
            self.progress.show(&format!("waiting for {what}: {open} open"));
            tokio::time::sleep(progress::EVERY).await;
        }
    }

    fn show(&self, customers: &Customers) {
        let books = self.provider.books();
        self.progress.show(&format!(
            "{} of {} accepted, {} amounts moved at the provider, {} faults",
            customers.accepted(),
            self.size.payments,
            books.movements.len(),
            books.struck(),
        ));
    }
}
