//! Rows on their way into a statement: one statement writes a whole batch.
//!
//! A row is a JSON array, read with `jsonb_each`; what is not a number or a name lies beside it in one blob, as offset and
//! length. A statement per row is four times slower: see docs/decisions/0031-rows-as-json.md.

use haul_core::{JobId, Timestamp};
use std::fmt::Write;

/// A chunk is closed when it holds so many bytes: far below SQLite's limit of one thousand million.
const CHUNK_BYTES: usize = 64 * 1024 * 1024;

/// The arguments of one statement.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// `?1`: the rows.
    pub(super) rows: String,
    /// `?2`: what they point into.
    pub(super) data: Vec<u8>,
}

/// Rows of one kind, in order.
#[derive(Debug, Default)]
pub(super) struct Rows {
    chunks: Vec<Chunk>,
}

impl Rows {
    /// Adds a row; `fill` adds its elements.
    pub(super) fn add(&mut self, fill: impl FnOnce(&mut Row<'_>)) {
        if self.chunks.last().is_none_or(|chunk| chunk.data.len() >= CHUNK_BYTES) {
            self.chunks.push(Chunk::default());
        }
        let Some(chunk) = self.chunks.last_mut() else { return };
        chunk.rows.push(if chunk.rows.is_empty() { '[' } else { ',' });
        let mut row = Row { chunk, is_empty: true };
        fill(&mut row);
        chunk.rows.push(']');
    }

    /// What to bind, statement by statement.
    pub(super) fn chunks(self) -> impl Iterator<Item = Chunk> {
        self.chunks.into_iter().map(|mut chunk| {
            chunk.rows.push(']');
            chunk
        })
    }
}

/// One row in the making.
pub(super) struct Row<'a> {
    chunk: &'a mut Chunk,
    is_empty: bool,
}

impl Row<'_> {
    fn element(&mut self, element: std::fmt::Arguments<'_>) {
        self.chunk.rows.push(if self.is_empty { '[' } else { ',' });
        self.is_empty = false;
        // Writing to a string cannot fail.
        self.chunk.rows.write_fmt(element).unwrap_or_default();
    }

    /// The offset of the bytes, counted from 1 as SQL does.
    fn keep(&mut self, bytes: &[u8]) -> usize {
        let offset = self.chunk.data.len() + 1;
        self.chunk.data.extend_from_slice(bytes);
        offset
    }

    /// An id: its offset.
    pub(super) fn id(&mut self, id: JobId) -> &mut Self {
        let offset = self.keep(id.as_bytes());
        self.int(offset as i64)
    }

    /// A number.
    pub(super) fn int(&mut self, number: i64) -> &mut Self {
        self.element(format_args!("{number}"));
        self
    }

    /// A time, in milliseconds.
    pub(super) fn time(&mut self, time: Timestamp) -> &mut Self {
        self.int(time.as_ms())
    }

    /// A time that may be none.
    pub(super) fn optional_time(&mut self, time: Option<Timestamp>) -> &mut Self {
        match time {
            Some(time) => self.time(time),
            None => {
                self.element(format_args!("null"));
                self
            }
        }
    }

    /// A tenant, queue or kind: their alphabet needs no escapes.
    pub(super) fn name(&mut self, name: &str) -> &mut Self {
        self.element(format_args!("\"{name}\""));
        self
    }

    /// Any bytes, or none: two elements, offset and length.
    pub(super) fn bytes(&mut self, bytes: Option<&[u8]>) -> &mut Self {
        match bytes {
            None => self.element(format_args!("null,null")),
            Some(bytes) => {
                let offset = self.keep(bytes);
                self.element(format_args!("{offset},{}", bytes.len()));
            }
        }
        self
    }
}

/// Ids as a JSON array of hex.
pub(super) fn hex<'a>(ids: impl IntoIterator<Item = &'a JobId>) -> String {
    let mut array = String::from("[");
    let mut buffer = [0; 32];
    for id in ids {
        array.push_str(if array.len() > 1 { ",\"" } else { "\"" });
        array.push_str(id.0.as_simple().encode_lower(&mut buffer));
        array.push('"');
    }
    array.push(']');
    array
}
