//! Attachments: fetched through the guarded client, or part of the payload. All of them together are bounded.

use super::payload::Attachment;
use crate::{http_request::answer::retry_after, paced, unanswered::no_answer};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use haul_outgoing::{Answer, Beyond, Call, Caps, Outgoing};
use haul_worker::{HandlerError, JobContext};
use http::{Method, StatusCode, header};
use lettre::message::{self, SinglePart, header::ContentType};

/// Attachments of one message, and what they may weigh together: more than most servers take.
const FILES_MAX: usize = 20;
const BYTES_MAX: usize = 25 * 1_024 * 1_024;
const FILENAME_BYTES_MAX: usize = 255;
const REDIRECTS_MAX: u8 = 5;
const UNKNOWN: &str = "application/octet-stream";

/// A file of a message.
pub(super) struct File {
    name: String,
    content_type: ContentType,
    content: Bytes,
}

impl File {
    pub(super) fn into_part(self) -> SinglePart {
        message::Attachment::new(self.name).body(Vec::from(self.content), self.content_type)
    }
}

/// All files, in their order. The first that cannot be had, or not now, ends it; the next attempt fetches all of them again.
pub(super) async fn gather(
    context: &JobContext,
    attachments: &[Attachment],
    outgoing: &Outgoing,
) -> Result<Vec<File>, HandlerError> {
    if attachments.len() > FILES_MAX {
        return Err(HandlerError::do_not_retry(format!("`attachments` holds more than {FILES_MAX}")));
    }
    // What the payload says is judged before anything is fetched.
    for (n, attachment) in attachments.iter().enumerate() {
        judge(attachment).map_err(|fault| HandlerError::do_not_retry(format!("`attachments[{n}]` {fault}")))?;
    }
    let mut files = Vec::with_capacity(attachments.len());
    let mut room = BYTES_MAX;
    for (n, attachment) in attachments.iter().enumerate() {
        let (content, told_type) = match (&attachment.url, &attachment.content_base64) {
            (Some(url), _) => fetch(context, n, url, outgoing, room).await?,
            (None, text) => (decode(n, text.as_deref().unwrap_or_default())?, None),
        };
        let too_large = || HandlerError::do_not_retry(format!("`attachments` weigh more than {BYTES_MAX} bytes"));
        room = room.checked_sub(content.len()).ok_or_else(too_large)?;
        let content_type = attachment.content_type.clone().or(told_type);
        let content_type = content_type.and_then(|text| ContentType::parse(&text).ok());
        let content_type = content_type.or_else(|| ContentType::parse(UNKNOWN).ok()).unwrap_or(ContentType::TEXT_PLAIN);
        files.push(File { name: attachment.filename.clone(), content_type, content });
    }
    Ok(files)
}

fn judge(attachment: &Attachment) -> Result<(), &'static str> {
    let name = &attachment.filename;
    if name.is_empty()
        || name.len() > FILENAME_BYTES_MAX
        || name.chars().any(|c| c.is_control() || matches!(c, '/' | '\\'))
    {
        return Err("has a `filename` that is empty, too long, or holds a control character or a slash");
    }
    let is_type = |text: &String| !text.chars().any(char::is_control) && ContentType::parse(text).is_ok();
    if !attachment.content_type.as_ref().is_none_or(is_type) {
        return Err("has a `content_type` that is none; write for example \"application/pdf\"");
    }
    if attachment.url.is_some() == attachment.content_base64.is_some() {
        return Err("needs either a `url` or `content_base64`");
    }
    Ok(())
}

fn decode(n: usize, text: &str) -> Result<Bytes, HandlerError> {
    let decoded = BASE64_STANDARD.decode(text);
    decoded.map(Bytes::from).map_err(|_| HandlerError::do_not_retry(format!("`attachments[{n}]` is not base64")))
}

/// The file and its type, as its server says.
async fn fetch(
    context: &JobContext,
    n: usize,
    url: &str,
    outgoing: &Outgoing,
    room: usize,
) -> Result<(Bytes, Option<String>), HandlerError> {
    let target = outgoing.check(url);
    let target = target.map_err(|refusal| HandlerError::do_not_retry(format!("`attachments[{n}]`: {refusal}")))?;
    let mut call = Call::new(Method::GET, target);
    call.caps = Caps { body_bytes_max: room, beyond: Beyond::Refuse };
    call.redirects_max = REDIRECTS_MAX;
    let pause = |answer: &Answer| retry_after(&answer.headers, context.now());
    let answer = paced(context, outgoing, call, pause).await?.map_err(no_answer)?;
    let status = answer.status;
    if status != StatusCode::OK {
        let message = format!("`attachments[{n}]`: its server answered {status}");
        let is_temporary =
            status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
        return Err(if is_temporary { HandlerError::retry(message) } else { HandlerError::do_not_retry(message) });
    }
    let told_type = answer.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    Ok((answer.body, told_type.map(str::to_owned)))
}
