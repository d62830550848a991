//! A connection that does not end under its client's hands.
//!
//! When an answer is sent before the request's body was read (413, 401, ...), closing the socket at once makes the
//! kernel send a reset, and a client that still writes loses the answer that it was given. So the end is in two steps, as
//! nginx does it: our direction is shut, then what the client still sends is read and forgotten for a while.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::timeout,
};

/// How long, and how many bytes, are read after the end.
const LINGER_MAX: Duration = Duration::from_secs(5);
const LINGER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A TCP stream that lingers when it is dropped.
pub(crate) struct Lingering {
    stream: Option<TcpStream>,
    /// Its room among the connections: kept while it lingers.
    room: Option<OwnedSemaphorePermit>,
    /// Whether the client has ended its direction: then nothing can be lost.
    is_at_end: bool,
}

impl Lingering {
    pub(crate) fn new(stream: TcpStream, room: OwnedSemaphorePermit) -> Self {
        Self { stream: Some(stream), room: Some(room), is_at_end: false }
    }

    fn with<T>(
        self: Pin<&mut Self>,
        poll: impl FnOnce(Pin<&mut TcpStream>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match &mut self.get_mut().stream {
            Some(stream) => poll(Pin::new(stream)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncRead for Lingering {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = self.as_mut().with(|stream| stream.poll_read(cx, buf));
        if let Poll::Ready(read) = &polled {
            self.is_at_end = read.is_err() || buf.filled().len() == before && buf.remaining() > 0;
        }
        polled
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|stream| stream.poll_write(cx, bytes))
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_flush(cx))
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_shutdown(cx))
    }
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.with(|stream| stream.poll_write_vectored(cx, parts))
    }
    fn is_write_vectored(&self) -> bool {
        true
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let (Some(stream), false) = (self.stream.take(), self.is_at_end) else { return };
        // Without a runtime the process is about to end, and the socket with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(linger(stream, self.room.take()));
        }
    }
}

async fn linger(mut stream: TcpStream, room: Option<OwnedSemaphorePermit>) {
    let end = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut (&mut stream).take(LINGER_BYTES_MAX), &mut tokio::io::sink()).await
    };
    match timeout(LINGER_MAX, end).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::trace!(%error, "a client was gone before its connection ended"),
        Err(_elapsed) => tracing::trace!("a client kept its connection open after its end"),
    }
    drop(room);
}
