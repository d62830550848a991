//! Books: payments and their postings, guarded by versions.
//!
//! A change is one statement, and one that is about to send a transaction of three: it locks what is noted of its job
//! before it looks whether that has ended, and a cancel locks the same row before it looks whether anything was sent. See
//! docs/decisions/0152.

use crate::{
    accept,
    error::corrupt,
    ledger::{PostgresLedger, Shared},
    partitions,
    pool::{ask, in_time},
};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use haul_core::{
    Books, JobId, Payment, PaymentId, ProcessId, Tenant,
    books::{Advanced, Balance, Change, Entry, Order, Ordered, Posting, Remembered, Seen, Sheet, Unknowns},
    ledger::{Accepted, LedgerError, ReceiptId, Result},
    payment::{Currency, PaymentState, ProviderRequest, Record},
};
use sqlx::{Connection, PgConnection};
use std::{slice, time::Duration};
use uuid::Uuid;

/// A row of `haul.payment`.
struct Row {
    id: Uuid,
    tenant: String,
    version: i64,
    amount: i64,
    currency: String,
    body: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for Payment {
    type Error = LedgerError;
    fn try_from(row: Row) -> Result<Self> {
        let Row { id, tenant, version, amount, currency, body, created_at, updated_at } = row;
        let (created_at, updated_at) = (created_at.into(), updated_at.into());
        Record { id, tenant, version, amount, currency, body, created_at, updated_at }.read().map_err(corrupt)
    }
}

struct PostingRow {
    payment: Uuid,
    step: String,
    tenant: String,
    debit: String,
    credit: String,
    currency: String,
    amount: i64,
    at: DateTime<Utc>,
}

impl TryFrom<PostingRow> for Posting {
    type Error = LedgerError;
    fn try_from(row: PostingRow) -> Result<Self> {
        let PostingRow { payment, step, tenant, debit, credit, currency, amount, at } = row;
        let tenant = Tenant::new(tenant).map_err(corrupt)?;
        let currency = Currency::new(&currency).map_err(corrupt)?;
        Ok(Self { payment: PaymentId(payment), tenant, step, debit, credit, currency, amount, at: at.into() })
    }
}

/// A posting of a payment beside it; a payment without any has one row all the same.
struct SheetRow {
    id: Uuid,
    tenant: String,
    version: i64,
    amount: i64,
    currency: String,
    body: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    step: Option<String>,
    posted_for: Option<String>,
    debit: Option<String>,
    credit: Option<String>,
    posted_in: Option<String>,
    posted: Option<i64>,
    at: Option<DateTime<Utc>>,
}

impl SheetRow {
    fn payment(self) -> Result<Payment> {
        let Self { id, tenant, version, amount, currency, body, created_at, updated_at, .. } = self;
        Row { id, tenant, version, amount, currency, body, created_at, updated_at }.try_into()
    }

    /// Taken out: the rest is the payment's.
    fn take_posting(&mut self) -> Result<Option<Posting>> {
        let parts = (self.step.take(), self.posted_for.take(), self.debit.take(), self.credit.take());
        let (Some(step), Some(tenant), Some(debit), Some(credit)) = parts else { return Ok(None) };
        let (Some(currency), Some(amount), Some(at)) = (self.posted_in.take(), self.posted, self.at) else {
            return Ok(None);
        };
        PostingRow { payment: self.id, step, tenant, debit, credit, currency, amount, at }.try_into().map(Some)
    }
}

#[async_trait]
impl Books for PostgresLedger {
    async fn order(&self, order: &Order, owner: ProcessId, done: &[ReceiptId]) -> Result<Ordered> {
        let ledger = self.shared();
        let done: Vec<Uuid> = done.iter().map(|receipt| receipt.0.0).collect();
        let answer = send_order(ledger, order, owner, &done).await;
        if partitions::made_for(&ledger.connections, &answer, &[order.job.job.id]).await? {
            return send_order(ledger, order, owner, &done).await;
        }
        answer
    }

    async fn remembered(&self, tenant: &Tenant, key: &str) -> Result<Option<Remembered>> {
        let row = ask!(self.shared().connections, c => {
            sqlx::query_file!("sql/key_remembered.sql", tenant.as_str(), key).fetch_optional(c)
        })?;
        let Some(row) = row else { return Ok(None) };
        let fingerprint = row.fingerprint.try_into().map_err(|_| corrupt(OddFingerprint))?;
        Ok(Some(Remembered { fingerprint, job: JobId(row.job) }))
    }

    async fn payment(&self, id: PaymentId) -> Result<Option<Seen>> {
        let row = ask!(self.shared().connections, c => {
            sqlx::query_file!("sql/payment_get.sql", id.0).fetch_optional(c)
        })?;
        let Some(row) = row else { return Ok(None) };
        let now = row.now.into();
        let payment = Row {
            id: row.id,
            tenant: row.tenant,
            version: row.version,
            amount: row.amount,
            currency: row.currency,
            body: row.body,
            created_at: row.created_at,
            updated_at: row.updated_at,
        };
        Ok(Some(Seen { payment: payment.try_into()?, now }))
    }

    async fn payments(
        &self,
        tenant: &Tenant,
        state: Option<PaymentState>,
        before: Option<PaymentId>,
        limit: usize,
    ) -> Result<Vec<Payment>> {
        let (state, before) = (state.map(PaymentState::as_str), before.map(|id| id.0));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = ask!(self.shared().connections, c => {
            sqlx::query_file_as!(Row, "sql/payment_list.sql", tenant.as_str(), state, before, limit).fetch_all(c)
        })?;
        rows.into_iter().map(Payment::try_from).collect()
    }

    async fn unfinished(&self, after: Option<PaymentId>, limit: usize) -> Result<Vec<Payment>> {
        let (after, limit) = (after.map(|id| id.0), i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = ask!(self.shared().connections, c => {
            sqlx::query_file_as!(Row, "sql/payment_unfinished.sql", after, limit).fetch_all(c)
        })?;
        rows.into_iter().map(Payment::try_from).collect()
    }

    async fn unknown(&self, limit: usize) -> Result<Unknowns> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let row = ask!(self.shared().connections, c => {
            sqlx::query_file!("sql/payment_unknown.sql", limit).fetch_one(c)
        })?;
        Ok(Unknowns { count: row.count.unsigned_abs(), oldest: row.oldest.map(Into::into) })
    }

    async fn sheets(&self, before: Option<PaymentId>, limit: usize) -> Result<Vec<Sheet>> {
        let (before, limit) = (before.map(|id| id.0), i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = ask!(self.shared().connections, c => {
            sqlx::query_file_as!(SheetRow, "sql/payment_sheets.sql", before, limit).fetch_all(c)
        })?;
        let mut sheets: Vec<Sheet> = Vec::new();
        for mut row in rows {
            let posting = row.take_posting()?;
            if sheets.last().is_none_or(|sheet| sheet.payment.id.0 != row.id) {
                sheets.push(Sheet { payment: row.payment()?, postings: Vec::new() });
            }
            if let Some(sheet) = sheets.last_mut() {
                sheet.postings.extend(posting);
            }
        }
        Ok(sheets)
    }

    async fn advance(&self, change: &Change) -> Result<Advanced> {
        let connections = &self.shared().connections;
        let body = Record::body_of(&change.payment).map_err(corrupt)?;
        let is_moved = match change.sender {
            None => ask!(connections, c => write(c, change, &body))?,
            Some((job, operation)) => {
                let mut lent = connections.lend().await?;
                let patience = lent.patience();
                let mut transaction = in_time(patience, lent.connection().begin()).await?;
                let refusal = sender_refusal(&mut transaction, patience, change, job, operation).await?;
                let is_moved = match refusal {
                    Some(_) => false,
                    None => in_time(patience, write(&mut transaction, change, &body)).await?,
                };
                if is_moved {
                    in_time(patience, transaction.commit()).await?;
                } else {
                    in_time(patience, transaction.rollback()).await?;
                }
                lent.give_back();
                if !is_moved && self.was_made(change).await? {
                    return Ok(Advanced::Done);
                }
                if let Some(refusal) = refusal {
                    return Ok(refusal);
                }
                is_moved
            }
        };
        Ok(if is_moved || self.was_made(change).await? { Advanced::Done } else { Advanced::Stale })
    }

    async fn request(&self, payment: PaymentId, operation: u32, generation: u32) -> Result<Option<ProviderRequest>> {
        let (operation, generation) = (number(operation)?, number(generation)?);
        let row = ask!(self.shared().connections, c => {
            sqlx::query_file!("sql/payment_request.sql", payment.0, operation, generation).fetch_optional(c)
        })?;
        Ok(row.map(|row| ProviderRequest { path: row.path, body: row.body.into() }))
    }

    async fn postings(&self, payment: PaymentId) -> Result<Vec<Posting>> {
        let rows = ask!(self.shared().connections, c => {
            sqlx::query_file_as!(PostingRow, "sql/postings.sql", payment.0).fetch_all(c)
        })?;
        rows.into_iter().map(Posting::try_from).collect()
    }

    async fn balances(&self, tenant: &Tenant) -> Result<Vec<Balance>> {
        let rows = ask!(self.shared().connections, c => {
            sqlx::query_file!("sql/balances.sql", tenant.as_str()).fetch_all(c)
        })?;
        let balance = |(account, code, amount): (String, String, i64)| {
            Ok(Balance { account, currency: Currency::new(&code).map_err(corrupt)?, amount })
        };
        rows.into_iter().map(|row| balance((row.account, row.currency, row.amount))).collect()
    }

    async fn is_noted(&self, event: &str) -> Result<bool> {
        let row = ask!(self.shared().connections, c => {
            sqlx::query_file!("sql/event_is_noted.sql", event).fetch_one(c)
        })?;
        Ok(row.is_noted)
    }

    async fn note(&self, event: &str) -> Result<()> {
        ask!(self.shared().connections, c => sqlx::query_file!("sql/event_note.sql", event).execute(c))?;
        Ok(())
    }
}

/// A digest that is none.
#[derive(Debug, thiserror::Error)]
#[error("the fingerprint of an idempotency key has another length")]
struct OddFingerprint;

impl PostgresLedger {
    /// Whether the change was committed by an earlier call.
    async fn was_made(&self, change: &Change) -> Result<bool> {
        let row = ask!(self.shared().connections, c => {
            sqlx::query_file!("sql/payment_advanced.sql", change.payment.id.0, change.id).fetch_optional(c)
        })?;
        Ok(row.is_some())
    }
}

/// Why the job may not send, if it may not. What is noted of it is locked from then on.
async fn sender_refusal(
    transaction: &mut PgConnection,
    patience: Duration,
    change: &Change,
    job: JobId,
    operation: u32,
) -> Result<Option<Advanced>> {
    let (payment, operation) = (change.payment.id.0, number(operation)?);
    let lock = sqlx::query_file!("sql/payment_job_lock.sql", job.0, payment, operation);
    if in_time(patience, lock.fetch_optional(&mut *transaction)).await?.is_none() {
        return Ok(Some(Advanced::NotOurs));
    }
    // A statement of its own: it sees what was committed while the lock was waited for.
    let ended = sqlx::query_file!("sql/settled.sql", &[job.0], job.0, job.0);
    let has_ended = in_time(patience, ended.fetch_optional(transaction)).await?.is_some();
    Ok(has_ended.then_some(Advanced::Ended))
}

/// Writes the change. Says whether the payment was at its version.
async fn write(connection: &mut PgConnection, change: &Change, body: &str) -> sqlx::Result<bool> {
    let Change { id, payment, request, posting, sender } = change;
    let request = request.as_ref();
    let (path, bytes) = (request.map(|new| new.request.path.as_str()), request.map(|new| &new.request.body[..]));
    let operation = request.map(|new| i64::from(new.operation) as i32);
    let generation = request.map(|new| i64::from(new.generation) as i32);
    let posting = posting.as_ref();
    let row = sqlx::query_file!(
        "sql/payment_advance.sql",
        payment.id.0,
        payment.version,
        payment.state().as_str(),
        payment.is_unfinished(),
        body,
        id,
        operation as Option<i32>,
        generation,
        path,
        bytes,
        sender.map(|(job, _)| job.0),
        posting.map(|posting| posting.step.as_str()) as Option<&str>,
        posting.map(|posting| posting.tenant.as_str()),
        posting.map(|posting| posting.debit.as_str()),
        posting.map(|posting| posting.credit.as_str()),
        posting.map(|posting| posting.currency.as_str()),
        posting.map(|posting| posting.amount),
        posting.map(|posting| posting.at.to_chrono()),
    );
    Ok(row.fetch_optional(connection).await?.is_some())
}

/// The transaction of an order.
async fn send_order(ledger: &Shared, order: &Order, owner: ProcessId, done: &[Uuid]) -> Result<Ordered> {
    let mut lent = ledger.connections.lend().await?;
    let patience = lent.patience();
    let mut transaction = in_time(patience, lent.connection().begin()).await?;
    let job = &order.job.job;
    let unknown = ledger.queues.unknown_of(slice::from_ref(job).iter());
    if let Some(unknown) = &unknown {
        in_time(patience, unknown.wait_for_turn(&mut transaction)).await?;
    }
    let refusal = entry_refusal(&mut transaction, patience, order).await?;
    let accepted = accept::write(&mut transaction, slice::from_ref(&order.job), owner, done);
    let accepted = in_time(patience, accepted).await?;
    let receipt = match (accepted.jobs.first(), accepted.receipt, refusal) {
        // What came before under the key is answered as then, whatever has become of the payment.
        (Some(Accepted::Replayed(job)), ..) => Err(Ordered::Replayed(*job)),
        (Some(Accepted::New), Some(receipt), Ok(is_made)) => Ok((receipt, is_made)),
        (Some(Accepted::New), _, Err(refusal)) => Err(refusal),
        _ => Err(Ordered::KeyReused),
    };
    let (receipt, is_made) = match receipt {
        Ok(receipt) => receipt,
        Err(answer) => {
            in_time(patience, transaction.rollback()).await?;
            lent.give_back();
            return Ok(answer);
        }
    };
    if !is_made {
        write_entry(&mut transaction, patience, order).await?;
    }
    let registered = match unknown {
        None => None,
        Some(unknown) => match unknown.register(&mut transaction, patience, [job].into_iter()).await {
            Ok(registered) => Some(registered),
            Err(refusal) => {
                in_time(patience, transaction.rollback()).await?;
                lent.give_back();
                return Err(refusal);
            }
        },
    };
    in_time(patience, transaction.commit()).await?;
    lent.give_back();
    if let Some(registered) = registered {
        ledger.queues.remember(registered);
    }
    Ok(Ordered::New(receipt))
}

/// Whether the order's job was made before, or why the order cannot be carried out. The payment is locked from then on.
async fn entry_refusal(
    transaction: &mut PgConnection,
    patience: Duration,
    order: &Order,
) -> Result<std::result::Result<bool, Ordered>> {
    let Order { entry, operation, job } = order;
    let job = &job.job;
    let has_it = |payment: &Payment| payment.operation(*operation).is_some();
    if let Entry::New(payment) = entry {
        let made = in_time(patience, sqlx::query_file!("sql/payment_job_is_made.sql", job.id.0).fetch_one(transaction));
        return Ok(if has_it(payment) { Ok(made.await?.is_made) } else { Err(Ordered::Unknown) });
    }
    let locked = sqlx::query_file!("sql/payment_lock.sql", entry.payment().0);
    let locked = in_time(patience, locked.fetch_optional(&mut *transaction)).await?;
    let Some(locked) = locked.filter(|row| row.tenant == job.tenant.as_str()) else {
        return Ok(Err(Ordered::Unknown));
    };
    let made = sqlx::query_file!("sql/payment_job_is_made.sql", job.id.0).fetch_one(&mut *transaction);
    if in_time(patience, made).await?.is_made {
        return Ok(Ok(true));
    }
    Ok(match entry {
        Entry::Changed(change) if !has_it(&change.payment) => Err(Ordered::Unknown),
        Entry::Changed(change) if change.payment.version != locked.version => Err(Ordered::Stale),
        Entry::Same(id) => {
            let seen = sqlx::query_file!("sql/payment_get.sql", id.0).fetch_one(transaction);
            let row = in_time(patience, seen).await?;
            let payment = Row {
                id: row.id,
                tenant: row.tenant,
                version: row.version,
                amount: row.amount,
                currency: row.currency,
                body: row.body,
                created_at: row.created_at,
                updated_at: row.updated_at,
            };
            if has_it(&payment.try_into()?) { Ok(false) } else { Err(Ordered::Unknown) }
        }
        _ => Ok(false),
    })
}

/// Makes or changes the payment, and notes the job.
async fn write_entry(transaction: &mut PgConnection, patience: Duration, order: &Order) -> Result<()> {
    let (payment, job, operation) = (order.entry.payment(), order.job.job.id, number(order.operation)?);
    match &order.entry {
        Entry::New(payment) => {
            let body = Record::body_of(payment).map_err(corrupt)?;
            let currency = payment.amount.currency();
            let create = sqlx::query_file!(
                "sql/payment_create.sql",
                payment.id.0,
                payment.tenant.as_str(),
                payment.state().as_str(),
                payment.is_unfinished(),
                payment.amount.minor(),
                currency.as_str(),
                body,
            );
            in_time(patience, create.execute(&mut *transaction)).await?;
        }
        Entry::Changed(change) => {
            let body = Record::body_of(&change.payment).map_err(corrupt)?;
            in_time(patience, write(transaction, change, &body)).await?;
        }
        Entry::Same(_) => {}
    }
    let note = sqlx::query_file!("sql/payment_job_make.sql", job.0, payment.0, operation);
    in_time(patience, note.execute(transaction)).await?;
    Ok(())
}

/// A number as its column holds it.
fn number(number: u32) -> Result<i32> {
    i32::try_from(number).map_err(|error| LedgerError::Refused(Box::new(error)))
}
