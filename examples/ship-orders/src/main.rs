//! A user's own service on Haul: orders are placed, and each is shipped once.
//!
//! `orders.rs` places orders: the order and its job are committed in one transaction, so there is never one without the
//! other. `ship.rs` ships them: what it writes and the job's outcome are committed in one transaction too, so a worker
//! that dies half-way has shipped nothing. Neither file checks for the other's half-done work: there is none.

mod orders;
mod ship;

use clap::{Parser, Subcommand};

/// Orders that ship themselves
#[derive(Parser)]
#[command(after_help = "DATABASE_URL and REDIS_URL name the stores, as for `haul`; `haul migrate` comes first.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Create the tables of this service
    Setup,
    /// Ship orders until told to stop
    Worker,
    /// Place orders, or say how they are doing
    Orders(orders::Orders),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Setup => orders::setup().await,
        Command::Worker => {
            haul::Worker::from_env()?.transactional("order.ship", ship::ship).run().await?;
            Ok(())
        }
        Command::Orders(orders) => orders.run().await,
    }
}
