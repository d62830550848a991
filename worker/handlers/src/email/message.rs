//! From a payload to a message. Whatever could begin a header of its own is refused: control characters anywhere in the head.

use super::{
    attachments::File,
    payload::{Addresses, Mail},
    template::Texts,
};
use haul_core::{JobId, Timestamp};
use lettre::{
    Message,
    message::{
        Mailbox, MessageBuilder, MultiPart, SinglePart,
        header::{HeaderName, HeaderValue},
    },
};
use std::time::{Duration, SystemTime};

/// Recipients of one message, in all.
const RECIPIENTS_MAX: usize = 100;
/// Further headers of one message, and bytes of one of their values.
const HEADERS_MAX: usize = 50;
const VALUE_BYTES_MAX: usize = 4_096;
/// Bytes of a subject.
const SUBJECT_BYTES_MAX: usize = 998;
/// Headers that the message itself sets, or that servers on its way do.
const OWN: [&str; 15] = [
    "from",
    "sender",
    "to",
    "cc",
    "bcc",
    "reply-to",
    "subject",
    "date",
    "message-id",
    "mime-version",
    "return-path",
    "received",
    "dkim-signature",
    "authentication-results",
    "delivered-to",
];

/// A message's head, and where it goes.
pub(super) struct Head {
    builder: MessageBuilder,
    domain: String,
    headers: Vec<HeaderValue>,
}

/// Adds a recipient to a message.
type Add = fn(MessageBuilder, Mailbox) -> MessageBuilder;

/// An address as people write it. None when it is none, or holds what could begin a header.
pub(super) fn mailbox(text: &str) -> Option<Mailbox> {
    if text.chars().any(char::is_control) {
        return None;
    }
    let mailbox: Mailbox = text.parse().ok()?;
    // Mail to other addresses needs an extension that few servers have.
    mailbox.email.to_string().is_ascii().then_some(mailbox)
}

impl Head {
    /// Reads and judges everything in the head. An error names the member, and quotes nothing.
    pub(super) fn read(mail: &Mail, texts: &Texts, default_from: Option<&Mailbox>) -> Result<Self, String> {
        let one = |member: &str, text: &String| {
            mailbox(text)
                .ok_or_else(|| format!("`{member}` is no address; write \"a@example.com\" or \"A <a@example.com>\""))
        };
        let from = match (&mail.from, default_from) {
            (Some(text), _) => one("from", text)?,
            (None, Some(from)) => from.clone(),
            (None, None) => return Err("`from` is required where email.from is not set".to_owned()),
        };
        let domain = from.email.domain().to_owned();
        let mut builder = Message::builder().from(from);
        if let Some(text) = &mail.reply_to {
            builder = builder.reply_to(one("reply_to", text)?);
        }
        let lists: [(&str, &Addresses, Add); 3] = [
            ("to", &mail.to, MessageBuilder::to),
            ("cc", &mail.cc, MessageBuilder::cc),
            ("bcc", &mail.bcc, MessageBuilder::bcc),
        ];
        let mut recipients = 0;
        for (member, addresses, add) in lists {
            for (n, text) in addresses.all().iter().enumerate() {
                builder = add(builder, one(&format!("{member}[{n}]"), text)?);
                recipients += 1;
            }
        }
        match recipients {
            0 => return Err("the message has no recipient: give one in `to`, `cc` or `bcc`".to_owned()),
            1..=RECIPIENTS_MAX => {}
            _ => return Err(format!("the message has more than {RECIPIENTS_MAX} recipients")),
        }
        if texts.subject.chars().any(char::is_control) || texts.subject.len() > SUBJECT_BYTES_MAX {
            return Err(format!("`subject` holds a control character, or more than {SUBJECT_BYTES_MAX} bytes"));
        }
        builder = builder.subject(texts.subject.clone());
        Ok(Self { builder, domain, headers: headers(mail)? })
    }

    /// When it was sent.
    pub(super) fn date(&mut self, now: Timestamp) {
        let since_epoch = Duration::from_millis(u64::try_from(now.as_ms()).unwrap_or_default());
        self.builder = self.builder.clone().date(SystemTime::UNIX_EPOCH + since_epoch);
    }

    /// Gives it the id of its job, the same in every attempt.
    pub(super) fn identify(&mut self, job: JobId) -> String {
        let id = format!("<{job}@{}>", self.domain);
        self.builder = self.builder.clone().message_id(Some(id.clone()));
        id
    }

    /// The whole message.
    pub(super) fn into_message(self, texts: Texts, files: Vec<File>) -> Result<Message, lettre::error::Error> {
        let mut message = if files.is_empty() {
            match content(texts) {
                Content::Single(part) => self.builder.singlepart(part),
                Content::Multi(parts) => self.builder.multipart(parts),
            }
        } else {
            let mixed = MultiPart::mixed();
            let mut parts = match content(texts) {
                Content::Single(part) => mixed.singlepart(part),
                Content::Multi(inner) => mixed.multipart(inner),
            };
            for file in files {
                parts = parts.singlepart(file.into_part());
            }
            self.builder.multipart(parts)
        }?;
        for header in self.headers {
            message.headers_mut().insert_raw(header);
        }
        Ok(message)
    }
}

enum Content {
    Single(SinglePart),
    Multi(MultiPart),
}

fn content(texts: Texts) -> Content {
    match (texts.text, texts.html) {
        (Some(text), Some(html)) => Content::Multi(MultiPart::alternative_plain_html(text, html)),
        (None, Some(html)) => Content::Single(SinglePart::html(html)),
        (text, None) => Content::Single(SinglePart::plain(text.unwrap_or_default())),
    }
}

fn headers(mail: &Mail) -> Result<Vec<HeaderValue>, String> {
    if mail.headers.len() > HEADERS_MAX {
        return Err(format!("`headers` holds more than {HEADERS_MAX}"));
    }
    let read = |(name, value): (&String, &String)| {
        let lower = name.to_ascii_lowercase();
        // Printable ASCII without a colon (RFC 5322, section 2.2).
        let is_name =
            !name.is_empty() && name.len() <= 76 && name.bytes().all(|b| matches!(b, b'!'..=b'9' | b';'..=b'~'));
        if !is_name || value.chars().any(char::is_control) || value.len() > VALUE_BYTES_MAX {
            return Err(format!("`headers` holds {name:?}, which is no header name or has a value that is none"));
        }
        if OWN.contains(&lower.as_str()) || ["content-", "resent-", "arc-"].iter().any(|own| lower.starts_with(own)) {
            return Err(format!("`headers` may not set {lower:?}"));
        }
        let name = HeaderName::new_from_ascii(name.clone());
        let name = name.map_err(|_| format!("`headers` holds {lower:?}, which is no header name"))?;
        Ok(HeaderValue::new(name, value.clone()))
    };
    mail.headers.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn texts(subject: &str) -> Texts {
        Texts { subject: subject.to_owned(), text: Some("hello".to_owned()), html: None }
    }

    fn read(change: serde_json::Value, subject: &str) -> Result<Head, String> {
        let mut payload = json!({"from": "Shop <shop@example.com>", "to": "a@example.com"});
        payload.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        Head::read(&serde_json::from_value(payload).unwrap(), &texts(subject), None)
    }

    #[test]
    fn nothing_can_begin_a_header_of_its_own() {
        for bad in [
            json!({"to": "a@example.com\r\nBcc: hush@example.com"}),
            json!({"to": "a@example.com\nhush"}),
            json!({"to": ["b@example.com", "Hush\r\n <a@example.com>"]}),
            json!({"cc": "\u{0}hush@example.com"}),
            json!({"from": "hush@example.com\r"}),
            json!({"reply_to": "hush@example.com\n"}),
            json!({"headers": {"X-A": "hush\r\nBcc: b@example.com"}}),
            json!({"headers": {"X-A\r\nBcc": "hush"}}),
            json!({"headers": {"X A": "hush"}}),
            json!({"headers": {"X-A:": "hush"}}),
            json!({"headers": {"": "hush"}}),
            json!({"headers": {"X-É": "hush"}}),
            json!({"headers": {"BCC": "hush@example.com"}}),
            json!({"headers": {"Message-ID": "hush"}}),
            json!({"headers": {"Content-Type": "hush"}}),
            json!({"headers": {"DKIM-Signature": "hush"}}),
        ] {
            let error = read(bad.clone(), "fine").err().unwrap_or_else(|| panic!("{bad} was taken"));
            assert!(!error.contains("hush") && !error.contains('\n'), "{error}");
        }
        for subject in ["a\r\nBcc: b@example.com", "a\nb", "\u{0}", &"x".repeat(999)] {
            assert!(read(json!({}), subject).err().unwrap().contains("`subject`"));
        }
    }

    #[test]
    fn bad_addresses_are_told_by_their_place() {
        for (bad, place) in [
            (json!({"to": "nobody"}), "`to[0]`"),
            (json!({"to": ["a@example.com", "@example.com"]}), "`to[1]`"),
            (json!({"cc": "a@b@c"}), "`cc[0]`"),
            (json!({"bcc": ["a@example.com> <b@example.com"]}), "`bcc[0]`"),
            (json!({"to": "a@example.com, b@example.com"}), "`to[0]`"),
            (json!({"to": "jürgen@example.com"}), "`to[0]`"),
            (json!({"to": []}), "no recipient"),
            (json!({"to": vec!["a@example.com"; 101]}), "more than 100 recipients"),
        ] {
            let error = read(bad.clone(), "fine").err().unwrap_or_else(|| panic!("{bad} was taken"));
            assert!(error.contains(place), "{error}");
        }
        let payload = serde_json::from_value(json!({"to": "a@example.com"})).unwrap();
        assert!(Head::read(&payload, &texts("x"), None).err().unwrap().contains("email.from"));
        assert!(Head::read(&payload, &texts("x"), mailbox("shop@example.com").as_ref()).is_ok());
    }

    #[test]
    fn a_message_has_its_jobs_id_and_never_shows_who_else_got_it() {
        let mut head = read(json!({"bcc": "hidden@example.com", "headers": {"X-Order": "7 ü"}}), "Grüße").unwrap();
        let job: JobId = "0192f0c1-2b3c-7d4e-8f50-123456789abc".parse().unwrap();
        assert_eq!(head.identify(job), "<0192f0c1-2b3c-7d4e-8f50-123456789abc@example.com>");
        head.date(Timestamp::from_ms(784_111_777_000));
        let message = head.into_message(texts("Grüße"), Vec::new()).unwrap();
        assert_eq!(message.envelope().to().len(), 2);
        let text = String::from_utf8(message.formatted()).unwrap();
        assert!(text.contains("Message-ID: <0192f0c1-2b3c-7d4e-8f50-123456789abc@example.com>\r\n"), "{text}");
        assert!(text.contains("Date: Sun, 06 Nov 1994 08:49:37 +0000\r\n") && text.contains("X-Order: "), "{text}");
        assert!(!text.contains("hidden") && text.is_ascii(), "{text}");
    }
}
