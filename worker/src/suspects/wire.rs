//! What a worker and a suspect's process say to each other, and how it is written.
//!
//! A frame is two lengths (little-endian, four bytes each), a head in JSON, and raw bytes: payloads and results are not
//! encoded. Both ends are the same executable, so the format needs no versions and may change with any release.

use crate::{error::HandlerError, follow_up::FOLLOW_UP_PAYLOAD_BYTES_MAX, registry::Done};
use bytes::Bytes;
use haul_core::{
    Job, JobError, JobId, JobOptions, Kind, Priority, ProcessId, Queue, Tenant, Timestamp, TraceContext,
    ledger::{BatchRecorded, ReceiptId, Recorded},
    limits::FOLLOW_UPS_MAX,
    policy::{AttemptEnd, Retry},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    io::{self, Read, Write},
    sync::Arc,
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncReadExt};
use uuid::Uuid;

/// The longest head: that of a full set of follow-ups with all their tags.
const HEAD_BYTES_MAX: usize = 64 * 1_024 * 1_024;
/// The longest rest: the payloads of a full set of follow-ups, and a result.
const RAW_BYTES_MAX: usize = FOLLOW_UPS_MAX * FOLLOW_UP_PAYLOAD_BYTES_MAX + 64 * 1_024 * 1_024;

/// From the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// Run this. The payload follows.
    Run(Box<Task>),
    /// The worker is there, and so are its leases.
    Beat {
        /// The ledger's clock.
        now_ms: i64,
    },
    /// The attempt is to stop.
    Stop,
}

/// One attempt.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Task {
    job: JobHead,
    pub(super) attempt: u32,
    /// The worker's id: the owner of what a transaction records.
    process: Uuid,
    pub(super) now_ms: i64,
}

impl Task {
    /// `place` is that of the attempt in its trace.
    pub(super) fn new(
        job: &Job,
        place: Option<TraceContext>,
        attempt: u32,
        process: ProcessId,
        now: Timestamp,
    ) -> Self {
        let mut head = JobHead::of(job);
        head.options = JobOptions::traced(head.options, place);
        Self { job: head, attempt, process: process.0, now_ms: now.as_ms() }
    }
    pub(super) fn process(&self) -> ProcessId {
        ProcessId(self.process)
    }
    pub(super) fn into_job(self, mut raw: Bytes) -> io::Result<Job> {
        self.job.into_job(&mut raw)
    }
}

/// From the suspect's process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    /// The handlers are known.
    Here,
    /// The handler begins now: from here on, a death is the handler's.
    Begun,
    /// The attempt cannot begin.
    Refused {
        /// Why.
        reason: String,
        /// Whether it may be another time, in any process.
        may_pass: bool,
    },
    /// The attempt has ended. The result and the payloads of its follow-ups follow.
    Ended(Ending),
}

/// How an attempt ended.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ending {
    what: What,
    follow_ups: Vec<JobHead>,
}

#[derive(Debug, Serialize, Deserialize)]
enum What {
    Succeeded { result_bytes: Option<usize> },
    Recorded { committed: bool, receipt: Option<JobId> },
    Failed(JobError, Again),
    Deferred { pause_ms: u64 },
}

#[derive(Debug, Serialize, Deserialize)]
enum Again {
    Policy,
    At { ms: i64 },
    After { ms: u64 },
    Never,
}

/// A job without its payload.
#[derive(Debug, Serialize, Deserialize)]
struct JobHead {
    id: JobId,
    tenant: Tenant,
    queue: Queue,
    kind: Kind,
    priority: u8,
    run_at_ms: i64,
    payload_bytes: usize,
    options: Arc<JobOptions>,
}

impl JobHead {
    fn of(job: &Job) -> Self {
        Self {
            id: job.id,
            tenant: job.tenant.clone(),
            queue: job.queue.clone(),
            kind: job.kind.clone(),
            priority: job.priority.get(),
            run_at_ms: job.run_at.as_ms(),
            payload_bytes: job.payload.len(),
            options: job.options.clone(),
        }
    }

    fn into_job(self, raw: &mut Bytes) -> io::Result<Job> {
        Ok(Job {
            id: self.id,
            tenant: self.tenant,
            queue: self.queue,
            kind: self.kind,
            priority: Priority::new(self.priority).ok_or_else(|| garbled("a priority above 9"))?,
            run_at: Timestamp::from_ms(self.run_at_ms),
            payload: cut(raw, self.payload_bytes)?,
            options: self.options,
        })
    }
}

impl Ending {
    /// What to send of an attempt's end, and the bytes that follow.
    pub(super) fn of(result: Result<Done, HandlerError>, follow_ups: &[Job]) -> (Self, Vec<Bytes>) {
        let mut raw = Vec::new();
        let (what, keeps_follow_ups) = match result.map_err(HandlerError::into_end) {
            Ok(Done::Result(result)) => {
                let result_bytes = result.as_ref().map(Bytes::len);
                raw.extend(result);
                (What::Succeeded { result_bytes }, true)
            }
            Ok(Done::Recorded(recorded)) => {
                let committed = recorded.records.first() == Some(&Recorded::Committed);
                (What::Recorded { committed, receipt: recorded.receipt.map(|receipt| receipt.0) }, committed)
            }
            Err(AttemptEnd::Deferred(pause)) => {
                (What::Deferred { pause_ms: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX) }, false)
            }
            Err(AttemptEnd::Failed(error, retry)) => (What::Failed(error, Again::of(retry)), false),
            // A handler's error is one of the two above.
            Err(_) => (What::Deferred { pause_ms: 0 }, false),
        };
        let follow_ups = if keeps_follow_ups { follow_ups } else { &[] };
        raw.extend(follow_ups.iter().map(|job| job.payload.clone()));
        (Self { what, follow_ups: follow_ups.iter().map(JobHead::of).collect() }, raw)
    }

    /// The attempt's end, and the follow-ups that it asked for.
    pub(super) fn read(self, mut raw: Bytes) -> io::Result<(Result<Done, HandlerError>, Vec<Job>)> {
        let result = match self.what {
            What::Succeeded { result_bytes: None } => Ok(Done::Result(None)),
            What::Succeeded { result_bytes: Some(bytes) } => Ok(Done::Result(Some(cut(&mut raw, bytes)?))),
            What::Recorded { committed, receipt } => {
                let record = if committed { Recorded::Committed } else { Recorded::Stale };
                Ok(Done::Recorded(BatchRecorded { records: vec![record], receipt: receipt.map(ReceiptId) }))
            }
            What::Failed(error, again) => Err(HandlerError::failed(error, again.into_retry())),
            What::Deferred { pause_ms } => Err(HandlerError::defer(Duration::from_millis(pause_ms))),
        };
        let follow_ups = self.follow_ups.into_iter().map(|head| head.into_job(&mut raw)).collect::<io::Result<_>>()?;
        Ok((result, follow_ups))
    }
}

impl Again {
    fn of(retry: Retry) -> Self {
        match retry {
            Retry::Policy => Self::Policy,
            Retry::At(time) => Self::At { ms: time.as_ms() },
            Retry::After(pause) => Self::After { ms: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX) },
            Retry::Never => Self::Never,
        }
    }
    fn into_retry(self) -> Retry {
        match self {
            Self::Policy => Retry::Policy,
            Self::At { ms } => Retry::At(Timestamp::from_ms(ms)),
            Self::After { ms } => Retry::After(Duration::from_millis(ms)),
            Self::Never => Retry::Never,
        }
    }
}

fn cut(raw: &mut Bytes, bytes: usize) -> io::Result<Bytes> {
    if bytes > raw.len() {
        return Err(garbled("it ends too early"));
    }
    Ok(raw.split_to(bytes))
}

fn garbled(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a frame cannot be read: {why}"))
}

/// A frame as bytes.
pub(super) fn encode<T: Serialize>(head: &T, raw: &[Bytes]) -> io::Result<Vec<u8>> {
    let head = serde_json::to_vec(head)?;
    let raw_bytes: usize = raw.iter().map(Bytes::len).sum();
    if head.len() > HEAD_BYTES_MAX || raw_bytes > RAW_BYTES_MAX {
        return Err(garbled("it is too long"));
    }
    let mut frame = Vec::with_capacity(8 + head.len() + raw_bytes);
    for length in [head.len(), raw_bytes] {
        frame.extend(u32::try_from(length).map_err(|_| garbled("it is too long"))?.to_le_bytes());
    }
    frame.extend(head);
    raw.iter().for_each(|part| frame.extend_from_slice(part));
    Ok(frame)
}

/// The lengths of head and rest.
fn lengths(prefix: [u8; 8]) -> io::Result<(usize, usize)> {
    let length = |at: usize| u32::from_le_bytes([prefix[at], prefix[at + 1], prefix[at + 2], prefix[at + 3]]) as usize;
    let (head, raw) = (length(0), length(4));
    if head > HEAD_BYTES_MAX || raw > RAW_BYTES_MAX {
        return Err(garbled("it is too long"));
    }
    Ok((head, raw))
}

fn decode<T: DeserializeOwned>(mut body: Vec<u8>, head: usize, raw: usize) -> io::Result<(T, Bytes)> {
    if body.len() < head + raw {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let rest = Bytes::from(body.split_off(head));
    Ok((serde_json::from_slice(&body)?, rest))
}

/// Reads a frame. The room for it grows with what arrives, not with what was announced.
pub(super) async fn read<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin)) -> io::Result<(T, Bytes)> {
    let mut prefix = [0; 8];
    from.read_exact(&mut prefix).await?;
    let (head, raw) = lengths(prefix)?;
    let mut body = Vec::new();
    from.take((head + raw) as u64).read_to_end(&mut body).await?;
    decode(body, head, raw)
}

/// The same for a thread that may block.
pub(super) fn read_blocking<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<(T, Bytes)> {
    let mut prefix = [0; 8];
    from.read_exact(&mut prefix)?;
    let (head, raw) = lengths(prefix)?;
    let mut body = Vec::new();
    from.take((head + raw) as u64).read_to_end(&mut body)?;
    decode(body, head, raw)
}

/// Writes a frame, on a thread that may block.
pub(super) fn write_blocking<T: Serialize>(to: &mut impl Write, head: &T, raw: &[Bytes]) -> io::Result<()> {
    to.write_all(&encode(head, raw)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul_core::{Clock, IdMint, RetryPolicy, Span};

    fn job(payload: &'static [u8]) -> Job {
        let id = IdMint::new(Arc::new(Clock::new())).next();
        let tags = [("order".to_owned(), "\u{0}7".to_owned())].into();
        let retry = RetryPolicy { max_attempts: 2, ..RetryPolicy::default() };
        Job {
            id,
            tenant: Tenant::new("acme").unwrap(),
            queue: Queue::new("mail").unwrap(),
            kind: Kind::new("mail.send").unwrap(),
            priority: Priority::new(0).unwrap(),
            run_at: Timestamp::from_ms(-1),
            payload: Bytes::from_static(payload),
            options: Arc::new(JobOptions { tags, retry, timeout: Span::from_ms(7), ..JobOptions::default() }),
        }
    }

    #[test]
    fn a_job_arrives_as_it_was_sent_whatever_its_bytes_are() {
        let sent = job(b"\xff\x00 not even text");
        let process = ProcessId::random();
        let order = Order::Run(Box::new(Task::new(&sent, None, 3, process, Timestamp::from_ms(5))));
        let frame = encode(&order, std::slice::from_ref(&sent.payload)).unwrap();
        let (order, raw) = read_blocking(&mut frame.as_slice()).unwrap();
        let Order::Run(task) = order else { panic!("another order") };
        assert_eq!((task.process(), task.attempt, task.now_ms), (process, 3, 5));
        assert_eq!(task.into_job(raw).unwrap(), sent);
    }

    #[tokio::test]
    async fn an_end_arrives_with_its_result_and_its_follow_ups() {
        let follow_ups = [job(b"{}"), job(b""), job(b"[1]")];
        let (ending, raw) = Ending::of(Ok(Done::Result(Some(Bytes::from_static(b"\"fine\"")))), &follow_ups);
        let frame = encode(&Report::Ended(ending), &raw).unwrap();
        let (report, raw) = read(&mut frame.as_slice()).await.unwrap();
        let Report::Ended(ending) = report else { panic!("another report") };
        let (result, arrived) = ending.read(raw).unwrap();
        let Ok(Done::Result(Some(result))) = result else { panic!("no result") };
        assert_eq!((&result[..], arrived), (&b"\"fine\""[..], follow_ups.to_vec()));
    }

    #[test]
    fn a_failure_arrives_with_its_wish_and_without_follow_ups() {
        let error = HandlerError::retry_after(Duration::from_millis(1_500), "busy").with_detail("tomorrow");
        let (ending, raw) = Ending::of(Err(error), &[job(b"{}")]);
        let (result, follow_ups) = ending.read(raw.concat().into()).unwrap();
        let Err(error) = result else { panic!("no failure") };
        let expected = JobError::new("busy").with_detail("tomorrow");
        assert_eq!(error.into_end(), AttemptEnd::Failed(expected, Retry::After(Duration::from_millis(1_500))));
        assert!(follow_ups.is_empty());
    }

    #[test]
    fn garbage_is_refused_without_room_being_made_for_it() {
        assert!(read_blocking::<Report>(&mut [0xff; 64].as_slice()).is_err());
        let cut_off = &encode(&Report::Begun, &[]).unwrap()[..9];
        assert_eq!(read_blocking::<Report>(&mut &*cut_off).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
