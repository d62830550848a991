//! Shipping an order: the transactional handler.

use haul::{HandlerError, JobContext, postgres::Transaction};
use serde::{Deserialize, Serialize};

/// What the job asks for.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct ShipOrder {
    pub(crate) order: i64,
}

/// What came of it; `GET /v1/jobs/{id}` shows it.
#[derive(Debug, Serialize)]
pub(crate) struct Shipped {
    shipment: i64,
}

/// Marks the order as shipped and notes the shipment, in the job's own transaction.
///
/// It may start more than once for one order, when a worker dies or loses its lease. But its writes stay if and only if
/// this run's outcome does: no "was it shipped already?", no unique key, and still every order is shipped once.
pub(crate) async fn ship(job: JobContext, order: ShipOrder, tx: &mut Transaction) -> Result<Shipped, HandlerError> {
    let shipped =
        sqlx::query("UPDATE orders SET shipped_at = now() WHERE id = $1").bind(order.order).execute(&mut **tx).await?;
    if shipped.rows_affected() == 0 {
        return Err(HandlerError::do_not_retry(format!("there is no order {}", order.order)));
    }
    let shipment = sqlx::query_scalar("INSERT INTO shipment (order_id, job) VALUES ($1, $2) RETURNING id")
        .bind(order.order)
        .bind(job.job_id().0)
        .fetch_one(&mut **tx)
        .await?;
    Ok(Shipped { shipment })
}
