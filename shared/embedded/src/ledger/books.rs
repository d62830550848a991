//! Books: payments and their postings. Nobody else writes, so that each change looks first and then writes.

use super::{
    SqliteLedger,
    accept::store,
    error::{corrupt, ledger_error},
    keys, queues, receipts,
    writer::Tx,
};
use async_trait::async_trait;
use haul_core::{
    Books, JobId, Ledger, Payment, PaymentId, ProcessId, Tenant, Timestamp,
    books::{Advanced, Balance, Change, Entry, Order, Ordered, Posting, Remembered, Seen, Sheet, Unknowns},
    ledger::{Accepted, LedgerError, ReceiptId, Result},
    payment::{Currency, PaymentState, ProviderRequest, Record},
};
use sqlx::SqliteConnection;
use std::{slice, time::Duration};
use uuid::Uuid;

/// How long an event of the provider's is remembered.
const EVENT_KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);

/// A row of the table `payment`.
struct Row {
    id: Uuid,
    tenant: String,
    version: i64,
    amount: i64,
    currency: String,
    body: String,
    created_at: i64,
    updated_at: i64,
}

impl TryFrom<Row> for Payment {
    type Error = LedgerError;
    fn try_from(row: Row) -> Result<Self> {
        let Row { id, tenant, version, amount, currency, body, created_at, updated_at } = row;
        let (created_at, updated_at) = (Timestamp::from_ms(created_at), Timestamp::from_ms(updated_at));
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
    at: i64,
}

impl TryFrom<PostingRow> for Posting {
    type Error = LedgerError;
    fn try_from(row: PostingRow) -> Result<Self> {
        let PostingRow { payment, step, tenant, debit, credit, currency, amount, at } = row;
        let tenant = Tenant::new(tenant).map_err(corrupt)?;
        let (currency, at) = (Currency::new(&currency).map_err(corrupt)?, Timestamp::from_ms(at));
        Ok(Self { payment: PaymentId(payment), tenant, step, debit, credit, currency, amount, at })
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
    created_at: i64,
    updated_at: i64,
    step: Option<String>,
    posted_for: Option<String>,
    debit: Option<String>,
    credit: Option<String>,
    posted_in: Option<String>,
    posted: Option<i64>,
    at: Option<i64>,
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

async fn find(conn: &mut SqliteConnection, id: PaymentId) -> Result<Option<Payment>> {
    let id = id.0;
    let row = sqlx::query_file_as!(Row, "sql/payment_get.sql", id).fetch_optional(conn).await;
    row.map_err(ledger_error)?.map(Payment::try_from).transpose()
}

#[async_trait]
impl Books for SqliteLedger {
    async fn order(&self, order: &Order, owner: ProcessId, done: &[ReceiptId]) -> Result<Ordered> {
        let now = self.clock.now();
        let mut tx = self.writer.begin().await?;
        let measured = keys::measure(&mut tx.conn, slice::from_ref(&order.job), now).await?;
        let refusal = match measured.answers.first() {
            Some(Accepted::New) => entry_refusal(&mut tx.conn, order).await?,
            // What came before under the key is answered as then, whatever has become of the payment.
            Some(Accepted::Replayed(job)) => Err(Ordered::Replayed(*job)),
            Some(Accepted::KeyReused) | None => Err(Ordered::KeyReused),
        };
        let is_made = match refusal {
            Ok(is_made) => is_made,
            Err(answer) => {
                tx.leave().await?;
                return Ok(answer);
            }
        };
        let job = &order.job.job;
        let unknown = match queues::unknown(&tx.kinds, &[job]) {
            Ok(unknown) => unknown,
            Err(refusal) => {
                tx.leave().await?;
                return Err(refusal);
            }
        };
        if !is_made {
            write_entry(&mut tx, order, now).await?;
        }
        queues::learn(&mut tx, unknown, now).await?;
        let receipt = store(&mut tx, vec![job], owner, now).await?;
        keys::take(&mut tx.conn, measured.taken).await?;
        receipts::drop_within(&mut tx.conn, done).await?;
        tx.commit().await?;
        Ok(Ordered::New(receipt.unwrap_or(ReceiptId(job.id))))
    }

    async fn remembered(&self, tenant: &Tenant, key: &str) -> Result<Option<Remembered>> {
        let (tenant, now) = (tenant.as_str(), self.clock.now().as_ms());
        let row = sqlx::query_file!("sql/key_remembered.sql", tenant, key, now).fetch_optional(&self.readers).await;
        let Some(row) = row.map_err(ledger_error)? else { return Ok(None) };
        let fingerprint = row.fingerprint.try_into();
        let fingerprint = fingerprint.map_err(|_| corrupt("the fingerprint of a key has another length"))?;
        Ok(Some(Remembered { fingerprint, job: JobId(row.job) }))
    }

    async fn payment(&self, id: PaymentId) -> Result<Option<Seen>> {
        // Read first: a payment is never seen before it was written.
        let now = self.now().await?;
        let found = find(&mut *self.readers.acquire().await.map_err(ledger_error)?, id).await?;
        Ok(found.map(|payment| Seen { payment, now }))
    }

    async fn payments(
        &self,
        tenant: &Tenant,
        state: Option<PaymentState>,
        before: Option<PaymentId>,
        limit: usize,
    ) -> Result<Vec<Payment>> {
        let (tenant, state, before) = (tenant.as_str(), state.map(PaymentState::as_str), before.map(|id| id.0));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = sqlx::query_file_as!(Row, "sql/payment_list.sql", tenant, state, before, limit);
        rows.fetch_all(&self.readers).await.map_err(ledger_error)?.into_iter().map(Payment::try_from).collect()
    }

    async fn unfinished(&self, after: Option<PaymentId>, limit: usize) -> Result<Vec<Payment>> {
        let (after, limit) = (after.map(|id| id.0), i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = sqlx::query_file_as!(Row, "sql/payment_unfinished.sql", after, limit).fetch_all(&self.readers);
        rows.await.map_err(ledger_error)?.into_iter().map(Payment::try_from).collect()
    }

    async fn unknown(&self, limit: usize) -> Result<Unknowns> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let row = sqlx::query_file!("sql/payment_unknown.sql", limit).fetch_one(&self.readers).await;
        let row = row.map_err(ledger_error)?;
        Ok(Unknowns { count: row.count.unsigned_abs(), oldest: row.oldest.map(Timestamp::from_ms) })
    }

    async fn sheets(&self, before: Option<PaymentId>, limit: usize) -> Result<Vec<Sheet>> {
        let (before, limit) = (before.map(|id| id.0), i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = sqlx::query_file_as!(SheetRow, "sql/payment_sheets.sql", before, limit);
        let mut sheets: Vec<Sheet> = Vec::new();
        for mut row in rows.fetch_all(&self.readers).await.map_err(ledger_error)? {
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
        let now = self.clock.now();
        let mut tx = self.writer.begin().await?;
        let refusal = refusal(&mut tx.conn, change).await?;
        if let Some(refusal) = refusal {
            tx.leave().await?;
            return Ok(refusal);
        }
        write(&mut tx, change, now).await?;
        tx.commit().await?;
        Ok(Advanced::Done)
    }

    async fn request(&self, payment: PaymentId, operation: u32, generation: u32) -> Result<Option<ProviderRequest>> {
        let id = payment.0;
        let row = sqlx::query_file!("sql/payment_request.sql", id, operation, generation);
        let row = row.fetch_optional(&self.readers).await.map_err(ledger_error)?;
        Ok(row.map(|row| ProviderRequest { path: row.path, body: row.body.into() }))
    }

    async fn postings(&self, payment: PaymentId) -> Result<Vec<Posting>> {
        let id = payment.0;
        let rows = sqlx::query_file_as!(PostingRow, "sql/postings.sql", id).fetch_all(&self.readers).await;
        rows.map_err(ledger_error)?.into_iter().map(Posting::try_from).collect()
    }

    async fn balances(&self, tenant: &Tenant) -> Result<Vec<Balance>> {
        let tenant = tenant.as_str();
        let rows =
            sqlx::query_file!("sql/balances.sql", tenant).fetch_all(&self.readers).await.map_err(ledger_error)?;
        let balance = |(account, code, amount): (String, String, i64)| {
            Ok(Balance { account, currency: Currency::new(&code).map_err(corrupt)?, amount })
        };
        rows.into_iter().map(|row| balance((row.account, row.currency, row.amount))).collect()
    }

    async fn is_noted(&self, event: &str) -> Result<bool> {
        let row = sqlx::query_file!("sql/event_is_noted.sql", event).fetch_optional(&self.readers).await;
        Ok(row.map_err(ledger_error)?.is_some())
    }

    async fn note(&self, event: &str) -> Result<()> {
        let now = self.clock.now();
        let (now, oldest) = (now.as_ms(), now.minus(EVENT_KEPT).as_ms());
        let mut tx = self.writer.begin().await?;
        sqlx::query_file!("sql/event_forget.sql", oldest).execute(&mut tx.conn).await.map_err(ledger_error)?;
        sqlx::query_file!("sql/event_note.sql", event, now).execute(&mut tx.conn).await.map_err(ledger_error)?;
        tx.commit().await
    }
}

/// Why a change is not made, if it is not.
async fn refusal(conn: &mut SqliteConnection, change: &Change) -> Result<Option<Advanced>> {
    let id = change.payment.id.0;
    let place = sqlx::query_file!("sql/payment_change.sql", id).fetch_optional(&mut *conn).await;
    let Some(place) = place.map_err(ledger_error)? else { return Ok(Some(Advanced::Stale)) };
    if place.last_change == Some(change.id) {
        return Ok(Some(Advanced::Done));
    }
    if place.version != change.payment.version {
        return Ok(Some(Advanced::Stale));
    }
    let Some((job, operation)) = change.sender else { return Ok(None) };
    let noted = sqlx::query_file!("sql/payment_job.sql", job.0).fetch_optional(&mut *conn).await;
    let noted = noted.map_err(ledger_error)?;
    if !noted.is_some_and(|noted| noted.payment == id && noted.operation == i64::from(operation)) {
        return Ok(Some(Advanced::NotOurs));
    }
    let ids = super::rows::hex([&job]);
    let ended = sqlx::query_file!("sql/settled.sql", ids).fetch_optional(conn).await.map_err(ledger_error)?;
    Ok(ended.map(|_| Advanced::Ended))
}

/// Whether the order's job was made before, or why the order cannot be carried out.
async fn entry_refusal(
    conn: &mut SqliteConnection,
    Order { entry, operation, job }: &Order,
) -> Result<std::result::Result<bool, Ordered>> {
    let id = job.job.id.0;
    let made = sqlx::query_file!("sql/payment_job.sql", id).fetch_optional(&mut *conn).await.map_err(ledger_error)?;
    if made.is_some() {
        return Ok(Ok(true));
    }
    let has_it = |payment: &Payment| payment.operation(*operation).is_some();
    if let Entry::New(payment) = entry {
        return Ok(if has_it(payment) { Ok(false) } else { Err(Ordered::Unknown) });
    }
    let known = find(conn, entry.payment()).await?;
    let Some(known) = known.filter(|known| known.tenant == job.job.tenant) else { return Ok(Err(Ordered::Unknown)) };
    Ok(match entry {
        Entry::Changed(change) if !has_it(&change.payment) => Err(Ordered::Unknown),
        Entry::Changed(change) if change.payment.version != known.version => Err(Ordered::Stale),
        Entry::Same(_) if !has_it(&known) => Err(Ordered::Unknown),
        _ => Ok(false),
    })
}

/// Makes or changes the payment, and notes the job.
async fn write_entry(tx: &mut Tx<'_>, order: &Order, now: Timestamp) -> Result<()> {
    match &order.entry {
        Entry::New(payment) => {
            let body = Record::body_of(payment).map_err(corrupt)?;
            let (id, tenant, state) = (payment.id.0, payment.tenant.as_str(), payment.state().as_str());
            let (unfinished, amount) = (payment.is_unfinished(), payment.amount.minor());
            let (currency, now) = (payment.amount.currency(), now.as_ms());
            let currency = currency.as_str();
            let create =
                sqlx::query_file!("sql/payment_create.sql", id, tenant, state, unfinished, amount, currency, body, now);
            create.execute(&mut tx.conn).await.map_err(ledger_error)?;
        }
        Entry::Changed(change) => write(tx, change, now).await?,
        Entry::Same(_) => {}
    }
    let (job, payment, operation) = (order.job.job.id.0, order.entry.payment().0, order.operation);
    let note = sqlx::query_file!("sql/payment_job_make.sql", job, payment, operation);
    note.execute(&mut tx.conn).await.map_err(ledger_error)?;
    Ok(())
}

/// Writes a change of a payment that is at its version.
async fn write(tx: &mut Tx<'_>, change: &Change, now: Timestamp) -> Result<()> {
    let Change { id: change_id, payment, request, posting, sender } = change;
    let body = Record::body_of(payment).map_err(corrupt)?;
    let (id, version, state) = (payment.id.0, payment.version, payment.state().as_str());
    let (unfinished, now) = (payment.is_unfinished(), now.as_ms());
    let advance = sqlx::query_file!("sql/payment_advance.sql", id, version, state, unfinished, body, change_id, now);
    advance.execute(&mut tx.conn).await.map_err(ledger_error)?;
    if let Some(new) = request {
        let (path, bytes) = (new.request.path.as_str(), &new.request.body[..]);
        let (operation, generation) = (new.operation, new.generation);
        let store = sqlx::query_file!("sql/payment_request_store.sql", id, operation, generation, path, bytes, now);
        store.execute(&mut tx.conn).await.map_err(ledger_error)?;
    }
    if let Some((job, _)) = sender {
        let job = job.0;
        sqlx::query_file!("sql/payment_job_send.sql", job).execute(&mut tx.conn).await.map_err(ledger_error)?;
    }
    if let Some(Posting { step, tenant, debit, credit, currency, amount, at, .. }) = posting {
        let (tenant, currency, at) = (tenant.as_str(), currency.as_str(), at.as_ms());
        let post = sqlx::query_file!("sql/posting_store.sql", id, step, tenant, debit, credit, currency, amount, at);
        post.execute(&mut tx.conn).await.map_err(ledger_error)?;
    }
    Ok(())
}
