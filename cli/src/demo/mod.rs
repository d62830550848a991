//! The demo: a whole Haul, its customers, and third parties that misbehave.
//!
//! The Haul is this program again, `haul up`, so that it can be killed; a payment provider, a mail server and a receiver of
//! webhooks (`haul-parties`) live in this process and keep books that Haul has no part in. What is shown in the end is a
//! comparison of theirs with what Haul accepted and has in its books, and nothing that Haul says of itself alone. Bounded in
//! time; whatever happens, the other process ends with this one.

mod api;
mod chance;
mod customers;
mod parties;
mod platform;
mod progress;
mod told;
mod verdict;

use anyhow::{Context, bail};
use customers::Customers;
use parties::Parties;
use platform::Platform;
use progress::Progress;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::timeout;
use verdict::Verdict;

/// Looks in a row that have to find nothing open: one alone can miss a job that changes its state meanwhile.
const QUIET_LOOKS: u32 = 2;

/// How much is done.
pub(crate) struct Size {
    /// Orders: each is a payment, a mail and an event.
    pub(crate) orders: u32,
    /// What chance follows.
    pub(crate) seed: u64,
    /// How long it may take.
    pub(crate) at_most: Duration,
}

/// Everything that takes part.
struct Stage {
    size: Size,
    parties: Parties,
    platform: Platform,
    progress: Progress,
}

/// Plays it, and tells how it ended. An error when the books do not agree.
pub(crate) async fn play(size: Size) -> anyhow::Result<()> {
    let begun = Instant::now();
    let at_most = size.at_most;
    let directory = tempfile::Builder::new().prefix("haul-demo-").tempdir().context("no temporary directory")?;
    let port = Platform::free_port()?;
    let parties = Parties::start(size.seed, &format!("http://127.0.0.1:{port}")).await?;
    let progress = Progress::new();
    progress.say("starting Haul, a payment provider, a mail server and a receiver of webhooks on this machine");
    let platform = Platform::start(directory.path(), port, &parties).await?;
    parties.subscribe(&platform.api()).await?;
    let mut stage = Stage { size, parties, platform, progress };
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
        let ordering = customers.clone().order(self.size.orders);
        tokio::pin!(ordering);
        let mut killed = 0;
        loop {
            tokio::select! {
                ended = &mut ordering => break ended?,
                () = tokio::time::sleep(progress::EVERY) => {
                    self.show(&customers);
                    if killed == 0 && customers.accepted() > self.size.orders / 2 {
                        killed += 1;
                        self.progress.say("killing Haul with -9, and starting it again");
                        self.platform.kill_and_restart().await?;
                    }
                }
            }
        }
        self.progress.say("every order is accepted; waiting for the charges");
        // Mails and events go on meanwhile.
        self.settle(&customers, Some("payment.charge")).await?;
        self.progress.say("capturing and refunding");
        customers.clone().capture_and_refund().await?;
        self.progress.say("waiting for the last mails, events, captures and refunds");
        self.settle(&customers, None).await?;
        self.progress.say("comparing the books");
        Verdict::reach(&api, &customers, &self.parties, killed).await
    }

    /// Waits until nothing is open any more, of a kind or at all.
    async fn settle(&self, customers: &Customers, kind: Option<&str>) -> anyhow::Result<()> {
        let mut quiet = 0;
        while quiet < QUIET_LOOKS {
            let open = customers.open(kind).await?;
            quiet = if open == 0 { quiet + 1 } else { 0 };
            self.progress.show(&format!("waiting for {open} jobs; {}", self.faults()));
            tokio::time::sleep(progress::EVERY).await;
        }
        Ok(())
    }

    fn show(&self, customers: &Customers) {
        self.progress.show(&format!(
            "{} of {} orders accepted; {}",
            customers.accepted(),
            self.size.orders,
            self.faults()
        ));
    }

    fn faults(&self) -> String {
        let of_others = [self.parties.mail_faults(), self.parties.hook_faults()];
        let of_others: u64 = of_others.iter().flat_map(|faults| faults.values()).sum();
        format!("{} faults met", self.parties.provider.books().struck() + of_others)
    }
}
