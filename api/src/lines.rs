//! Lines of a streamed body, one at a time, in bounded memory.

use axum::body::Body;
use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;

/// Splits a body at its line ends. The last line may do without one.
pub(crate) struct Lines {
    body: Body,
    /// What came and was not looked at yet.
    frame: Bytes,
    /// The beginning of a line whose end has not come yet.
    begun: BytesMut,
    /// Whether the line under way is too long: its rest is thrown away.
    overlong: bool,
    bytes_max: usize,
    is_at_end: bool,
}

/// A line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Text(Bytes),
    TooLong,
}

impl Lines {
    pub(crate) fn new(body: Body, bytes_max: usize) -> Self {
        let (frame, begun) = (Bytes::new(), BytesMut::new());
        Self { body, frame, begun, overlong: false, bytes_max, is_at_end: false }
    }

    /// The next line; `None` at the end. May be dropped and called again: nothing is lost.
    pub(crate) async fn next(&mut self) -> Result<Option<Line>, axum::Error> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.frame) {
                let last = self.frame.split_to(end);
                self.frame.advance(1);
                return Ok(Some(self.complete(last)));
            }
            let part = std::mem::take(&mut self.frame);
            self.add(&part);
            if self.is_at_end {
                let is_nothing = self.begun.is_empty() && !self.overlong;
                return Ok((!is_nothing).then(|| self.complete(Bytes::new())));
            }
            match self.body.frame().await {
                Some(frame) => self.frame = frame?.into_data().unwrap_or_default(),
                None => self.is_at_end = true,
            }
        }
    }

    fn add(&mut self, part: &[u8]) {
        if self.overlong || self.begun.len() + part.len() > self.bytes_max {
            self.overlong = true;
            self.begun.clear();
        } else {
            self.begun.extend_from_slice(part);
        }
    }

    fn complete(&mut self, last: Bytes) -> Line {
        if self.begun.is_empty() && !self.overlong && last.len() <= self.bytes_max {
            return Line::Text(last);
        }
        self.add(&last);
        let line = self.begun.split().freeze();
        if std::mem::take(&mut self.overlong) { Line::TooLong } else { Line::Text(line) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;

    async fn lines(parts: &[&'static str], bytes_max: usize) -> Vec<String> {
        let frames: Vec<Result<_, std::io::Error>> = parts.iter().map(|part| Ok(Bytes::from(*part))).collect();
        let mut lines = Lines::new(Body::from_stream(stream::iter(frames)), bytes_max);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(match line {
                Line::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
                Line::TooLong => "(too long)".to_owned(),
            });
        }
        all
    }

    #[tokio::test]
    async fn lines_are_found_however_they_are_cut() {
        let whole = lines(&["ab\ncd\n\nef"], 10).await;
        assert_eq!(whole, ["ab", "cd", "", "ef"]);
        assert_eq!(lines(&["a", "b", "\n", "cd\n\ne", "f"], 10).await, whole);
        assert_eq!(lines(&["ab\ncd\n\n", "ef\n"], 10).await, whole);
        assert!(lines(&[], 10).await.is_empty());
    }

    #[tokio::test]
    async fn an_overlong_line_spoils_no_other() {
        let expected = ["ok", "(too long)", "ok"];
        assert_eq!(lines(&["ok\n0123456789\nok"], 5).await, expected);
        assert_eq!(lines(&["ok\n012345", "6789", "9", "\nok"], 5).await, expected);
        assert_eq!(lines(&["0123", "4567"], 5).await, ["(too long)"]);
    }
}
