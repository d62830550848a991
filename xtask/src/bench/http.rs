//! A load generator's HTTP/1.1 client: one keep-alive connection, as little work per request as can be.
//!
//! Client, server and stores share two cores, so what the client burns is missing from the figure. It understands just
//! what Haul answers: a status line, headers, and a body by `content-length` or in chunks.

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
};

const LINE_BYTES_MAX: usize = 64 * 1024;

/// A connection that is used for one request after the other.
pub(crate) struct Connection {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    address: String,
    line: Vec<u8>,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Connection {
    /// Connects to `host:port`.
    pub(crate) async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("no connection to {address}"))?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        Ok(Self {
            reader: BufReader::with_capacity(64 * 1024, reader),
            writer,
            address: address.to_owned(),
            line: Vec::new(),
        })
    }

    /// Posts JSON and reads the answer.
    pub(crate) async fn post(&mut self, path: &str, body: &[u8]) -> Result<Answer> {
        let request = self.request("POST", path, "application/json", body);
        self.writer.write_all(&request).await?;
        self.answer().await
    }

    /// Gets a path.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Answer> {
        let request = self.request("GET", path, "application/json", b"");
        self.writer.write_all(&request).await?;
        self.answer().await
    }

    /// Posts NDJSON of any size while it reads the answer, and returns the answer's last line.
    pub(crate) async fn post_bulk(self, path: &str, lines: Vec<u8>) -> Result<String> {
        let request = self.request("POST", path, "application/x-ndjson", &lines);
        let Self { mut reader, mut writer, .. } = self;
        let sending = tokio::spawn(async move { writer.write_all(&request).await.map(|()| writer) });
        let head = read_head(&mut reader, &mut Vec::new()).await?;
        if head.status != 200 {
            bail!("bulk was answered {}", head.status);
        }
        let mut last = Vec::new();
        loop {
            let chunk = read_chunk(&mut reader).await?;
            if chunk.is_empty() {
                break;
            }
            last.extend_from_slice(&chunk);
            let keep_from = last.len().saturating_sub(4_096);
            last.drain(..keep_from);
        }
        sending.await??;
        let text = String::from_utf8_lossy(&last);
        text.trim_end().lines().last().map(str::to_owned).context("bulk was answered with nothing")
    }

    fn request(&self, method: &str, path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        request
    }

    async fn answer(&mut self) -> Result<Answer> {
        let head = read_head(&mut self.reader, &mut self.line).await?;
        let body = match head.length {
            Some(length) => {
                let mut body = vec![0; length];
                self.reader.read_exact(&mut body).await?;
                body
            }
            None => {
                let mut body = Vec::new();
                loop {
                    let chunk = read_chunk(&mut self.reader).await?;
                    if chunk.is_empty() {
                        break body;
                    }
                    body.extend_from_slice(&chunk);
                }
            }
        };
        Ok(Answer { status: head.status, body })
    }
}

struct Head {
    status: u16,
    /// `None` for a chunked body.
    length: Option<usize>,
}

async fn read_head(reader: &mut BufReader<OwnedReadHalf>, line: &mut Vec<u8>) -> Result<Head> {
    read_line(reader, line).await?;
    let status = line.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|text| text.parse().ok());
    let status = status.with_context(|| format!("no status in {:?}", String::from_utf8_lossy(line)))?;
    let mut length = Some(0);
    loop {
        read_line(reader, line).await?;
        let text = std::str::from_utf8(line)?.trim_end();
        let Some((name, value)) = text.split_once(':') else { return Ok(Head { status, length }) };
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.trim().parse()?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            length = None;
        }
    }
}

/// One chunk of a chunked body; empty at its end.
async fn read_chunk(reader: &mut BufReader<OwnedReadHalf>) -> Result<Vec<u8>> {
    let mut line = Vec::new();
    read_line(reader, &mut line).await?;
    let size = usize::from_str_radix(std::str::from_utf8(&line)?.trim(), 16).context("no chunk size")?;
    let mut chunk = vec![0; size + 2];
    reader.read_exact(&mut chunk).await?;
    chunk.truncate(size);
    Ok(chunk)
}

async fn read_line(reader: &mut BufReader<OwnedReadHalf>, line: &mut Vec<u8>) -> Result<()> {
    line.clear();
    reader.take(LINE_BYTES_MAX as u64).read_until(b'\n', line).await?;
    if line.last() != Some(&b'\n') {
        bail!("the connection ended in the middle of an answer");
    }
    Ok(())
}
