//! `POST /v1/jobs/bulk`: submit any number of jobs, streamed both ways.
//!
//! One submit a line in, one item a line out, in order, then one line with the totals. Memory is constant: lines are
//! committed in chunks, [`CHUNKS_IN_FLIGHT`] at a time, and items go through a [`crate::spool`], so that a client that
//! reads last is served as well. When lines pause and little is in flight, what has come is committed at once.

use crate::{
    app::{App, RequestId},
    fields::Fields,
    headers,
    intake::{Admitted, Verdict},
    items::{self, Items},
    lines::{Line, Lines},
    openapi::Submit,
    problem::{Problem, ProblemBody, ProblemType},
    query::Query,
    spool::{SpoolWriter, spool},
    submit::Place,
    view::{BulkTotal, ItemView},
};
use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream, stream::FuturesOrdered};
use haul_core::trace;
use http::{HeaderValue, header};
use serde::Serialize;
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;
use tracing::Instrument;

const NDJSON: &str = "application/x-ndjson";
/// Lines in a chunk.
const CHUNK_LINES: usize = 1_000;
/// Bytes of payloads in a chunk.
const CHUNK_BYTES: usize = 1024 * 1024;
/// Chunks that wait for their commit while the next one is read.
const CHUNKS_IN_FLIGHT: usize = 4;
/// How long a client may pause between lines.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// Submits any number of jobs, one per line.
///
/// Items come back one per line, in order, while lines are still read; the last line holds the totals. Empty lines are
/// skipped. Exempt from the limits on bodies and batches; one line is bound by `api.body_bytes_max`.
#[utoipa::path(
    post,
    path = "/v1/jobs/bulk",
    tag = "jobs",
    operation_id = "submitBulk",
    request_body(content = Submit, content_type = "application/x-ndjson", description = "One job a line."),
    responses(
        (
            status = OK, description = "One item a line, then the totals.",
            content((ItemView = "application/x-ndjson"), (BulkTotal = "application/x-ndjson; part=last")),
        ),
        (status = "4XX", description = "Nothing was accepted.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Nothing was accepted.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn bulk(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    Query::none(request.uri().query())?;
    headers::no_idempotency_key(request.headers())?;
    headers::content_type(request.headers(), NDJSON)?;
    let Ok(slot) = app.bulk_slots.clone().try_acquire_owned() else {
        return Err(Problem::new(ProblemType::Overloaded, "as many bulk requests are under way as may be"));
    };
    let (out, items) = spool();
    let request_id = RequestId::of(&request);
    let lines = Lines::new(request.into_body(), app.limits.body_bytes_max);
    let task = Bulk { out, request_id, pending: FuturesOrdered::new(), accepted: 0, rejected: 0, app: app.clone() };
    // Holds the app: the intake does not end before its last item.
    let working = async move {
        task.run(lines).await;
        drop(slot);
    };
    tokio::spawn(trace::within(trace::current(), working).in_current_span());
    let items = stream::unfold(items, |mut items| async move {
        let next = items.read().await.transpose()?;
        Some((next, items))
    });
    let mut response = Response::new(Body::from_stream(items));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    Ok(response)
}

/// The answers of one chunk, once they are committed.
type Answers = Vec<Result<Admitted, Problem>>;

struct Bulk {
    app: Arc<App>,
    out: SpoolWriter,
    request_id: RequestId,
    pending: FuturesOrdered<BoxFuture<'static, Answers>>,
    accepted: u64,
    rejected: u64,
}

/// Why a bulk request ends before its last line.
enum End {
    /// The client has gone: there is nobody to tell.
    Gone,
    /// The client is told.
    Early(Problem),
}

impl Bulk {
    async fn run(mut self, mut lines: Lines) {
        let end = match self.take_all(&mut lines).await {
            Ok(()) => None,
            Err(End::Early(problem)) => Some(problem),
            Err(End::Gone) => return,
        };
        while let Some(answers) = self.pending.next().await {
            if self.write(answers).await.is_err() {
                return;
            }
        }
        let (accepted, rejected) = (self.accepted, self.rejected);
        let error = end.as_ref().map(|problem| problem.body(self.request_id.as_str()));
        let mut text = Vec::new();
        write_line(&mut text, &BulkTotal { accepted, rejected, error });
        // Whether anybody reads the totals is not ours to know.
        drop(send(&self.out, text).await);
    }

    /// Reads all lines and hands their jobs to the intake.
    async fn take_all(&mut self, lines: &mut Lines) -> Result<(), End> {
        let mut chunk = Items::default();
        loop {
            if chunk.len() >= CHUNK_LINES || chunk.bytes() >= CHUNK_BYTES {
                self.commit(std::mem::take(&mut chunk)).await?;
            }
            let line = match lines.next().now_or_never() {
                Some(line) => line,
                None if !chunk.is_empty() && self.pending.len() < CHUNKS_IN_FLIGHT / 2 => {
                    self.commit(std::mem::take(&mut chunk)).await?;
                    continue;
                }
                None => tokio::select! {
                    line = timeout(IDLE_MAX, lines.next()) => line.unwrap_or_else(|elapsed| Err(axum::Error::new(elapsed))),
                    Some(answers) = self.pending.next(), if !self.pending.is_empty() => {
                        self.write(answers).await?;
                        continue;
                    }
                },
            };
            match line {
                Ok(Some(line)) => self.take(&mut chunk, line),
                Ok(None) => return self.commit(chunk).await,
                Err(error) => {
                    self.commit(chunk).await?;
                    let problem = Problem::new(ProblemType::RequestTimeout, "the body paused or broke off");
                    return Err(End::Early(problem.because(error)));
                }
            }
        }
    }

    fn take(&self, chunk: &mut Items, line: Line) {
        let app = &self.app;
        match line {
            Line::Text(text) if text.trim_ascii().is_empty() => {}
            Line::Text(text) => {
                let place = Place { pointer: "", takes_key: true };
                chunk.push(Fields::parse(&text, app.rules.depth_max), place, &app.rules, app.now());
            }
            Line::TooLong => {
                let detail = format!("the line has more than {} bytes", app.limits.body_bytes_max);
                chunk.reject(Problem::new(ProblemType::BodyTooLarge, detail));
            }
        }
    }

    /// Hands a chunk to the intake, and waits for the oldest one when enough are under way.
    async fn commit(&mut self, chunk: Items) -> Result<(), End> {
        if chunk.is_empty() {
            return Ok(());
        }
        let (rows, slots) = chunk.into_parts();
        let verdicts = self.app.intake.submit_stream(rows).await.map_err(End::Early)?;
        let answers = async move {
            let verdicts: Vec<Verdict> = verdicts.await;
            slots.resolve(verdicts).collect()
        };
        self.pending.push_back(answers.boxed());
        while self.pending.len() >= CHUNKS_IN_FLIGHT {
            if let Some(answers) = self.pending.next().await {
                self.write(answers).await?;
            }
        }
        Ok(())
    }

    async fn write(&mut self, answers: Answers) -> Result<(), End> {
        let mut text = Vec::with_capacity(answers.len() * 64);
        for answer in &answers {
            match answer {
                Ok(_) => self.accepted += 1,
                Err(_) => self.rejected += 1,
            }
            write_line(&mut text, &items::view(answer, self.request_id.as_str()));
        }
        send(&self.out, text).await
    }
}

async fn send(out: &SpoolWriter, text: Vec<u8>) -> Result<(), End> {
    match out.write(text.into()).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(End::Gone),
        Err(error) => {
            tracing::error!(%error, "the temporary file of a bulk request cannot be used");
            Err(End::Gone)
        }
    }
}

fn write_line(text: &mut Vec<u8>, line: &impl Serialize) {
    if let Err(error) = serde_json::to_writer(&mut *text, line) {
        tracing::error!(%error, "a line of a bulk answer could not be written");
    }
    text.push(b'\n');
}
