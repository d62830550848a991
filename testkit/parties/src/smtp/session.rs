//! One session with a client.

use super::{Desk, MESSAGE_BYTES_MAX, Message, Protection, Step, Verdict};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Bytes of one command: RFC 5321 wants 512, and more for AUTH.
const COMMAND_BYTES_MAX: u64 = 12_288;
/// Recipients of one message.
const RECIPIENTS_MAX: usize = 1_000;

/// A connection, protected or not.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send + Sync {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync> Wire for T {}

/// Why a session ended. Nobody is told: clients go away as they like.
enum End {
    /// The client or the server closed it.
    Closed,
    /// It is to be protected from here on.
    StartTls,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Closed
    }
}

struct Session {
    wire: BufReader<Box<dyn Wire>>,
    desk: Arc<Desk>,
    is_protected: bool,
    user: Option<String>,
    from: Option<String>,
    to: Vec<String>,
}

/// Serves a client to the end of its session.
pub(super) async fn serve(stream: TcpStream, desk: Arc<Desk>) {
    // Without it the last lines of an answer may wait for the client's acknowledgement; a failure costs only time.
    drop(stream.set_nodelay(true));
    let Some(wire) = protected_from_the_start(stream, &desk).await else { return };
    let is_protected = desk.options.protection != Protection::None && !starts_in_clear(&desk);
    let mut session =
        Session { wire: BufReader::new(wire), desk, is_protected, user: None, from: None, to: Vec::new() };
    if session.decide(&Step::Greeting).await.is_ok_and(|code| code == 250) {
        if session.say("220 mail.test ESMTP").await.is_err() {
            return;
        }
    } else {
        return drop(session.say("421 not now").await);
    }
    loop {
        match session.converse().await {
            End::Closed => return,
            End::StartTls => match session.protect().await {
                Some(protected) => session = protected,
                None => return,
            },
        }
    }
}

fn starts_in_clear(desk: &Desk) -> bool {
    match desk.options.protection {
        Protection::None => true,
        #[cfg(feature = "tls")]
        Protection::StartTls => true,
        #[cfg(feature = "tls")]
        Protection::Tls => false,
    }
}

#[cfg(feature = "tls")]
async fn protected_from_the_start(stream: TcpStream, desk: &Desk) -> Option<Box<dyn Wire>> {
    if starts_in_clear(desk) {
        return Some(Box::new(stream));
    }
    Some(Box::new(desk.acceptor.accept(stream).await.ok()?))
}

#[cfg(not(feature = "tls"))]
async fn protected_from_the_start(stream: TcpStream, _desk: &Desk) -> Option<Box<dyn Wire>> {
    Some(Box::new(stream))
}

impl Session {
    /// Answers commands until the session ends or is to be protected.
    async fn converse(&mut self) -> End {
        loop {
            if let Err(end) = self.command().await {
                return end;
            }
        }
    }

    /// The same client over TLS, which has to introduce itself again.
    #[cfg(feature = "tls")]
    async fn protect(self) -> Option<Self> {
        // What a client sent in clear behind STARTTLS is dropped with the buffer, and not read as if it were protected.
        let wire = self.desk.acceptor.accept(self.wire.into_inner()).await.ok()?;
        let wire: Box<dyn Wire> = Box::new(wire);
        let (wire, is_protected) = (BufReader::new(wire), true);
        Some(Self { wire, desk: self.desk, is_protected, user: None, from: None, to: Vec::new() })
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_async, reason = "as with the feature `tls`")]
    async fn protect(self) -> Option<Self> {
        None
    }

    async fn command(&mut self) -> Result<(), End> {
        let line = self.line().await?;
        let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => self.introduce().await,
            "HELO" => self.say("250 mail.test").await,
            "STARTTLS" if self.offers_tls() => {
                self.say("220 go ahead").await?;
                Err(End::StartTls)
            }
            "AUTH" if self.desk.options.login.is_some() => self.log_in(rest).await,
            "MAIL" => self.sender(rest).await,
            "RCPT" => self.recipient(rest).await,
            "DATA" => self.data().await,
            "RSET" => {
                self.forget();
                self.say("250 forgotten").await
            }
            "NOOP" => self.say("250 still here").await,
            "QUIT" => {
                self.say("221 bye").await?;
                Err(End::Closed)
            }
            _ => self.say("502 not known here").await,
        }
    }

    async fn introduce(&mut self) -> Result<(), End> {
        self.forget();
        let size = format!("250-SIZE {MESSAGE_BYTES_MAX}");
        let mut lines = vec!["250-mail.test", "250-8BITMIME", "250-SMTPUTF8", &size];
        if self.offers_tls() {
            lines.push("250-STARTTLS");
        } else if self.desk.options.login.is_some() {
            lines.push("250-AUTH PLAIN LOGIN");
        }
        lines.push("250 PIPELINING");
        self.say(&lines.join("\r\n")).await
    }

    fn offers_tls(&self) -> bool {
        self.desk.options.protection != Protection::None && !self.is_protected
    }

    /// AUTH PLAIN (RFC 4616) and LOGIN.
    async fn log_in(&mut self, rest: &str) -> Result<(), End> {
        if self.offers_tls() {
            return self.say("530 STARTTLS first").await;
        }
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        let given = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => {
                let answer = if initial.is_empty() { self.ask("").await? } else { decoded(initial) };
                let mut parts = answer.split('\0').skip(1).map(str::to_owned);
                parts.next().zip(parts.next())
            }
            "LOGIN" => {
                let user = if initial.is_empty() { self.ask("VXNlcm5hbWU6").await? } else { decoded(initial) };
                Some((user, self.ask("UGFzc3dvcmQ6").await?))
            }
            _ => return self.say("504 PLAIN or LOGIN").await,
        };
        if given != self.desk.options.login {
            return self.say("535 wrong user or password").await;
        }
        self.user = given.map(|(user, _)| user);
        self.say("235 welcome").await
    }

    /// The client's answer to a challenge.
    async fn ask(&mut self, challenge: &str) -> Result<String, End> {
        self.say(&format!("334 {challenge}")).await?;
        Ok(decoded(&self.line().await?))
    }

    async fn sender(&mut self, rest: &str) -> Result<(), End> {
        if self.offers_tls() {
            return self.say("530 STARTTLS first").await;
        }
        if self.desk.options.login.is_some() && self.user.is_none() {
            return self.say("530 log in first").await;
        }
        let Some(from) = address(rest, "FROM:") else { return self.say("501 MAIL FROM:<address>").await };
        let code = self.decide(&Step::Sender(&from)).await?;
        if code == 250 {
            self.forget();
            self.from = Some(from);
        }
        self.say(&format!("{code} sender")).await
    }

    async fn recipient(&mut self, rest: &str) -> Result<(), End> {
        if self.from.is_none() {
            return self.say("503 MAIL first").await;
        }
        let Some(to) = address(rest, "TO:") else { return self.say("501 RCPT TO:<address>").await };
        if self.to.len() == RECIPIENTS_MAX {
            return self.say("452 too many recipients").await;
        }
        let code = self.decide(&Step::Recipient(&to)).await?;
        if code == 250 {
            self.to.push(to);
        }
        self.say(&format!("{code} recipient")).await
    }

    async fn data(&mut self) -> Result<(), End> {
        let Some(from) = self.from.clone().filter(|_| !self.to.is_empty()) else {
            return self.say("503 MAIL and RCPT first").await;
        };
        self.say("354 end with a dot").await?;
        let Some(data) = self.message().await? else { return self.say("552 too long").await };
        let to = std::mem::take(&mut self.to);
        self.from = None;
        let message = Message { from, to, data, is_protected: self.is_protected, user: self.user.clone() };
        let verdict = self.desk.judge(&Step::Message(&message));
        if matches!(verdict, Verdict::Accept | Verdict::KeepAndHang | Verdict::KeepAndHangUp)
            && !self.desk.keep(message)
        {
            return self.say("452 full").await;
        }
        let code = end(verdict).await?;
        self.say(&format!("{code} message")).await
    }

    /// Headers and body up to the lone dot; none when it was too long, and was read to its end all the same.
    async fn message(&mut self) -> Result<Option<Bytes>, End> {
        let mut data = Vec::new();
        let mut is_too_long = false;
        loop {
            let mut line = Vec::new();
            let room = MESSAGE_BYTES_MAX as u64 + 1;
            if (&mut self.wire).take(room).read_until(b'\n', &mut line).await? == 0 {
                return Err(End::Closed);
            }
            match line.as_slice() {
                b".\r\n" | b".\n" => return Ok((!is_too_long).then(|| data.into())),
                _ if is_too_long => {}
                stuffed => data.extend_from_slice(stuffed.strip_prefix(b".").unwrap_or(stuffed)),
            }
            if data.len() > MESSAGE_BYTES_MAX {
                is_too_long = true;
                data = Vec::new();
            }
        }
    }

    fn forget(&mut self) {
        self.from = None;
        self.to.clear();
    }

    /// The code to answer with; ends the session when there is to be no answer.
    async fn decide(&self, step: &Step<'_>) -> Result<u16, End> {
        end(self.desk.judge(step)).await
    }

    async fn line(&mut self) -> Result<String, End> {
        let mut line = Vec::new();
        let read = (&mut self.wire).take(COMMAND_BYTES_MAX).read_until(b'\n', &mut line).await?;
        if read == 0 || !line.ends_with(b"\n") {
            return Err(End::Closed);
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    async fn say(&mut self, lines: &str) -> Result<(), End> {
        self.wire.write_all(format!("{lines}\r\n").as_bytes()).await?;
        Ok(self.wire.flush().await?)
    }
}

async fn end(verdict: Verdict) -> Result<u16, End> {
    match verdict {
        Verdict::Accept => Ok(250),
        Verdict::Refuse(code) => Ok(code),
        Verdict::HangUp | Verdict::KeepAndHangUp => Err(End::Closed),
        // Ends with the server.
        Verdict::Hang | Verdict::KeepAndHang => std::future::pending().await,
    }
}

/// The address within `FROM:<address> ...`.
fn address(rest: &str, keyword: &str) -> Option<String> {
    let has_keyword = rest.get(..keyword.len()).is_some_and(|found| found.eq_ignore_ascii_case(keyword));
    let (address, _parameters) = rest.get(keyword.len()..)?.trim_start().strip_prefix('<')?.split_once('>')?;
    has_keyword.then(|| address.to_owned())
}

fn decoded(text: &str) -> String {
    String::from_utf8_lossy(&BASE64_STANDARD.decode(text).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::{MailServer, Options};
    use std::time::Duration;

    /// Sends lines one by one and returns the codes of the answers.
    async fn talk(server: &MailServer, lines: &[&str]) -> Vec<String> {
        let mut wire = BufReader::new(TcpStream::connect(("127.0.0.1", server.port())).await.expect("connect"));
        let mut codes = vec![answer(&mut wire).await];
        for line in lines {
            wire.write_all(format!("{line}\r\n").as_bytes()).await.expect("write");
            codes.push(answer(&mut wire).await);
        }
        codes
    }

    /// The code of a whole answer; empty when the connection was closed instead.
    async fn answer(wire: &mut (impl AsyncBufReadExt + Unpin)) -> String {
        loop {
            let mut line = String::new();
            wire.read_line(&mut line).await.expect("read");
            if line.as_bytes().get(3) != Some(&b'-') {
                return line.get(..3).unwrap_or_default().to_owned();
            }
        }
    }

    const MAIL: [&str; 4] = ["EHLO me", "MAIL FROM:<a@test> SIZE=9", "RCPT TO:<b@test>", "DATA"];

    #[tokio::test]
    async fn a_message_is_kept_as_it_was_sent() {
        let server = MailServer::start().await.expect("start");
        let body = "Subject: one\r\n two\r\nX-Dot: yes\r\n\r\n..leading dot\r\n.";
        let codes = talk(&server, &[&MAIL[..], &[body, "QUIT"]].concat()).await;
        assert_eq!(codes, ["220", "250", "250", "250", "354", "250", "221"]);
        let kept = server.wait_messages(1, Duration::from_secs(5)).await.expect("a message");
        assert_eq!((kept[0].from.as_str(), kept[0].to.as_slice()), ("a@test", &["b@test".to_owned()][..]));
        assert_eq!(kept[0].header("subject").as_deref(), Some("one two"));
        assert!(kept[0].data.ends_with(b"\r\n\r\n.leading dot\r\n"));
        assert!(!kept[0].is_protected);
    }

    #[tokio::test]
    async fn it_refuses_and_hangs_up_as_it_was_told() {
        let server = MailServer::start().await.expect("start");
        let body = "Subject: one\r\n\r\nbody\r\n.";
        server.answer_messages([Verdict::Refuse(451), Verdict::KeepAndHangUp]);
        let again = [&MAIL[..], &[body], &MAIL[1..], &[body]].concat();
        assert_eq!(talk(&server, &again).await[5..], ["451", "250", "250", "354", ""]);
        assert_eq!(server.messages().len(), 1, "kept before it hung up");

        server.judge(|step| match step {
            Step::Recipient("b@test") => Verdict::Refuse(550),
            _ => Verdict::Accept,
        });
        assert_eq!(talk(&server, &MAIL).await[3..], ["550", "503"]);
    }

    #[tokio::test]
    async fn it_wants_a_login_when_it_is_told_to() {
        let login = Some(("ada".to_owned(), "pass".to_owned()));
        let server = MailServer::start_with(Options { login, ..Options::default() }).await.expect("start");
        let plain = |text: &str| format!("AUTH PLAIN {}", BASE64_STANDARD.encode(text));
        let (wrong, right) = (plain("\0ada\0guess"), plain("\0ada\0pass"));
        let codes = talk(&server, &["EHLO me", MAIL[1], &wrong, &right, MAIL[1]]).await;
        assert_eq!(codes, ["220", "250", "530", "535", "235", "250"]);
        let login = [BASE64_STANDARD.encode("ada"), BASE64_STANDARD.encode("pass")];
        assert_eq!(talk(&server, &["EHLO me", "AUTH LOGIN", &login[0], &login[1]]).await[2..], ["334", "334", "235"]);
    }

    #[cfg(feature = "tls")]
    #[tokio::test]
    async fn nothing_is_taken_in_clear_where_tls_is_demanded() {
        use tokio_rustls::{TlsConnector, rustls};
        let options = Options { protection: Protection::StartTls, ..Options::default() };
        let server = MailServer::start_with(options).await.expect("start");
        assert_eq!(talk(&server, &["EHLO me", MAIL[1]]).await[2], "530");

        let mut roots = rustls::RootCertStore::empty();
        let pem = server.certificate_pem().as_bytes();
        let certificate: rustls::pki_types::CertificateDer<'_> =
            rustls::pki_types::pem::PemObject::from_pem_slice(pem).expect("a certificate");
        roots.add(certificate).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let trusting = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();

        let mut wire = BufReader::new(TcpStream::connect(("127.0.0.1", server.port())).await.expect("connect"));
        assert_eq!(answer(&mut wire).await, "220");
        wire.write_all(b"STARTTLS\r\n").await.expect("write");
        assert_eq!(answer(&mut wire).await, "220");
        let connector = TlsConnector::from(Arc::new(trusting));
        let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
        let mut wire = BufReader::new(connector.connect(name, wire.into_inner()).await.expect("TLS"));
        for (line, code) in MAIL.iter().chain(&["\r\nbody\r\n."]).zip(["250", "250", "250", "354", "250"]) {
            wire.write_all(format!("{line}\r\n").as_bytes()).await.expect("write");
            wire.flush().await.expect("flush");
            assert_eq!(answer(&mut wire).await, code, "{line}");
        }
        assert!(server.messages()[0].is_protected);
    }
}
