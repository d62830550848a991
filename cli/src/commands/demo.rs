//! `haul demo`: payments, mails and webhooks with third parties that misbehave, and the proof that the books agree.

use crate::{
    demo::{self, Size},
    exit::Exit,
};
use clap::Args;

/// Pay, mail and tell with third parties that misbehave, kill Haul meanwhile, and compare the books
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  haul demo
  haul demo --payments 10000 --seed 7

It starts `haul up` in a temporary directory, and on loopback a payment provider, a mail server and a receiver of webhooks
that decline, hang, hang up in the middle, answer 429, 451 and 500, and keep books of what they really got. Each payment comes with
a mail and an event. In the middle Haul is killed with -9 and started again. In the end their books are compared with
Haul's, to the cent and message by message; the exit code is 0 when they agree and no payment was made twice. Nothing leaves this
machine, and nothing is left on it.")]
pub(crate) struct Demo {
    /// How many payments are made, each with a mail and an event
    #[arg(long, value_name = "N", default_value_t = 3_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    payments: u32,
    /// What chance follows
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How long everything may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 55)]
    at_most: u64,
}

impl Demo {
    /// Runs it to its end. Books that do not agree are an error.
    pub(crate) async fn run(self) -> anyhow::Result<Exit> {
        let Self { payments, seed, at_most } = self;
        demo::play(Size { orders: payments, seed, at_most: std::time::Duration::from_secs(at_most) }).await?;
        Ok(Exit::Done)
    }
}
