//! Placing orders: the order and its job, in one transaction of this service.

use crate::ship::ShipOrder;
use anyhow::Context;
use clap::{Args, Subcommand};
use haul::postgres::{Enqueue, enqueue};
use sqlx::{Connection, PgConnection};

/// This service's own tables. No key stops an order from being shipped twice: that is the job's part.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS orders (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        item text NOT NULL,
        shipped_at timestamptz
    );
    CREATE TABLE IF NOT EXISTS shipment (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        order_id bigint NOT NULL REFERENCES orders,
        job uuid NOT NULL,
        at timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX IF NOT EXISTS shipment_order ON shipment (order_id);
";

#[derive(Args)]
pub(crate) struct Orders {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Place orders for an item
    Place {
        /// What is ordered
        item: String,
        /// How many orders
        #[arg(long, default_value_t = 1)]
        count: u32,
    },
    /// Count the orders that are shipped, and those that were shipped more than once
    Status,
}

impl Orders {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let mut database = connect().await?;
        match self.action {
            Action::Place { item, count } => {
                for _ in 0..count {
                    let order = place(&mut database, &item).await?;
                    println!("order {order} is placed");
                }
                Ok(())
            }
            Action::Status => status(&mut database).await,
        }
    }
}

/// Creates this service's tables.
pub(crate) async fn setup() -> anyhow::Result<()> {
    sqlx::raw_sql(TABLES).execute(&mut connect().await?).await?;
    Ok(())
}

/// Places one order: it and the job that ships it are committed together.
async fn place(database: &mut PgConnection, item: &str) -> anyhow::Result<i64> {
    let mut tx = database.begin().await?;
    let order =
        sqlx::query_scalar("INSERT INTO orders (item) VALUES ($1) RETURNING id").bind(item).fetch_one(&mut *tx).await?;
    enqueue(&mut tx, Enqueue::new("order.ship", &ShipOrder { order })?).await?;
    tx.commit().await?;
    Ok(order)
}

async fn status(database: &mut PgConnection) -> anyhow::Result<()> {
    let (orders, shipped, twice): (i64, i64, i64) = sqlx::query_as(
        "SELECT count(*), count(*) FILTER (WHERE times >= 1), count(*) FILTER (WHERE times > 1)
         FROM (SELECT count(s.id) AS times FROM orders o LEFT JOIN shipment s ON s.order_id = o.id GROUP BY o.id) AS o",
    )
    .fetch_one(database)
    .await?;
    println!("{orders} orders, {shipped} shipped, {twice} shipped more than once");
    Ok(())
}

async fn connect() -> anyhow::Result<PgConnection> {
    #[expect(clippy::disallowed_methods, reason = "a service of its own has settings of its own")]
    let url = std::env::var("DATABASE_URL").context("DATABASE_URL is not set")?;
    Ok(PgConnection::connect(&url).await?)
}
