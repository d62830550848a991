//! A pipe for an answer whose reader may be late: memory first, then a temporary file without a name.
//!
//! A bulk client may send a million lines before it reads the first item. If the items had to wait in memory, that would
//! be unbounded; if reading stopped until they are read, both sides would wait for ever. So up to [`MEMORY_BYTES_MAX`]
//! stay in memory, up to [`FILE_BYTES_MAX`] more go to an unlinked temporary file (about three million items), and only
//! beyond that the writer waits for the reader. The order is kept; the file's space is used again whenever the reader has
//! caught up, and returned to the system with the last handle, also after a crash.

use bytes::Bytes;
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    sync::Arc,
};
use tokio::{sync::Notify, task::spawn_blocking};

/// Bytes that wait in memory.
pub(crate) const MEMORY_BYTES_MAX: usize = 256 * 1024;
/// Bytes that wait in the file.
pub(crate) const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Bytes read from the file at once.
const READ_BYTES: usize = 64 * 1024;

/// A new pipe.
pub(crate) fn spool() -> (SpoolWriter, SpoolReader) {
    bounded(MEMORY_BYTES_MAX, FILE_BYTES_MAX)
}

fn bounded(memory_bytes_max: usize, file_bytes_max: u64) -> (SpoolWriter, SpoolReader) {
    let shared = Arc::new(Shared {
        state: Mutex::default(),
        written: Notify::new(),
        read: Notify::new(),
        memory_bytes_max,
        file_bytes_max,
    });
    (SpoolWriter { shared: shared.clone() }, SpoolReader { shared })
}

struct Shared {
    state: Mutex<State>,
    written: Notify,
    read: Notify,
    memory_bytes_max: usize,
    file_bytes_max: u64,
}

#[derive(Default)]
struct State {
    memory: VecDeque<Bytes>,
    memory_bytes: usize,
    /// One position for reading and writing: its users take turns.
    file: Option<Arc<Mutex<File>>>,
    read_at: u64,
    written_to: u64,
    writer_is_gone: bool,
    reader_is_gone: bool,
}

/// The end that items go into. Dropped, it ends the stream.
pub(crate) struct SpoolWriter {
    shared: Arc<Shared>,
}

/// The end that items come out of.
pub(crate) struct SpoolReader {
    shared: Arc<Shared>,
}

enum Room {
    Memory,
    File(Arc<Mutex<File>>, u64),
    NewFile,
    None,
}

impl SpoolWriter {
    /// Adds bytes, and waits when everything is full. `false` when the reader is gone.
    pub(crate) async fn write(&self, bytes: Bytes) -> io::Result<bool> {
        loop {
            let reader_moved = self.shared.read.notified();
            match self.room(&bytes) {
                None => return Ok(false),
                Some(Room::Memory) => return Ok(true),
                Some(Room::NewFile) => {
                    let file = spawn_blocking(tempfile::tempfile).await.map_err(io::Error::other)??;
                    self.shared.state.lock().file = Some(Arc::new(Mutex::new(file)));
                }
                Some(Room::File(file, at)) => {
                    let end = at + bytes.len() as u64;
                    spawn_blocking(move || write_at(&file, at, &bytes)).await.map_err(io::Error::other)??;
                    self.shared.state.lock().written_to = end;
                    self.shared.written.notify_one();
                    return Ok(true);
                }
                Some(Room::None) => reader_moved.await,
            }
        }
    }

    /// Where the bytes can go; puts them there itself when that is memory. `None` when nobody reads.
    fn room(&self, bytes: &Bytes) -> Option<Room> {
        let mut state = self.shared.state.lock();
        if state.reader_is_gone {
            return None;
        }
        let is_caught_up = state.read_at == state.written_to;
        // What is in the file is older than what comes now: memory is for the time before and after.
        if is_caught_up && (state.memory_bytes + bytes.len() <= self.shared.memory_bytes_max || state.memory.is_empty())
        {
            state.memory_bytes += bytes.len();
            state.memory.push_back(bytes.clone());
            self.shared.written.notify_one();
            return Some(Room::Memory);
        }
        if is_caught_up {
            (state.read_at, state.written_to) = (0, 0);
        }
        let Some(file) = &state.file else { return Some(Room::NewFile) };
        let has_room = state.written_to + bytes.len() as u64 <= self.shared.file_bytes_max;
        Some(if has_room { Room::File(file.clone(), state.written_to) } else { Room::None })
    }
}

impl Drop for SpoolWriter {
    fn drop(&mut self) {
        self.shared.state.lock().writer_is_gone = true;
        self.shared.written.notify_one();
    }
}

enum Next {
    Bytes(Bytes),
    File(Arc<Mutex<File>>, u64, usize),
    Nothing,
    End,
}

impl SpoolReader {
    /// The next bytes, in order; `None` at the end.
    pub(crate) async fn read(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let writer_moved = self.shared.written.notified();
            match self.next() {
                Next::Bytes(bytes) => {
                    self.shared.read.notify_one();
                    return Ok(Some(bytes));
                }
                Next::File(file, at, count) => {
                    let bytes = spawn_blocking(move || read_at(&file, at, count)).await.map_err(io::Error::other)??;
                    self.shared.state.lock().read_at = at + count as u64;
                    self.shared.read.notify_one();
                    return Ok(Some(bytes));
                }
                Next::Nothing => writer_moved.await,
                Next::End => return Ok(None),
            }
        }
    }

    fn next(&self) -> Next {
        let mut state = self.shared.state.lock();
        if let Some(bytes) = state.memory.pop_front() {
            state.memory_bytes -= bytes.len();
            return Next::Bytes(bytes);
        }
        let waiting = usize::try_from(state.written_to - state.read_at).unwrap_or(usize::MAX);
        match &state.file {
            Some(file) if waiting > 0 => Next::File(file.clone(), state.read_at, waiting.min(READ_BYTES)),
            _ if state.writer_is_gone => Next::End,
            _ => Next::Nothing,
        }
    }
}

impl Drop for SpoolReader {
    fn drop(&mut self) {
        self.shared.state.lock().reader_is_gone = true;
        self.shared.read.notify_one();
    }
}

fn write_at(file: &Mutex<File>, at: u64, bytes: &[u8]) -> io::Result<()> {
    let mut file = file.lock();
    file.seek(SeekFrom::Start(at))?;
    file.write_all(bytes)
}

fn read_at(file: &Mutex<File>, at: u64, count: usize) -> io::Result<Bytes> {
    let mut file = file.lock();
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = vec![0; count];
    file.read_exact(&mut bytes)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn block(n: u32) -> Bytes {
        Bytes::from(format!("{n:09}\n"))
    }

    async fn read_all(mut reader: SpoolReader) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(bytes) = reader.read().await.unwrap() {
            all.extend_from_slice(&bytes);
        }
        all
    }

    fn blocks(count: u32) -> Vec<u8> {
        (0..count).flat_map(block).collect()
    }

    #[tokio::test]
    async fn a_reader_that_comes_last_gets_everything_in_order() {
        let (writer, reader) = bounded(100, 1 << 20);
        for n in 0..20_000 {
            assert!(writer.write(block(n)).await.unwrap());
        }
        drop(writer);
        assert!(read_all(reader).await == blocks(20_000));
    }

    #[tokio::test]
    async fn a_reader_that_keeps_stopping_gets_everything_in_order() {
        let (writer, mut reader) = bounded(50, 2_000);
        let writing = tokio::spawn(async move {
            for n in 0..5_000 {
                assert!(writer.write(block(n)).await.unwrap());
                if n % 7 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        });
        let mut all = Vec::new();
        while let Some(bytes) = reader.read().await.unwrap() {
            all.extend_from_slice(&bytes);
            for _ in 0..all.len() % 13 {
                tokio::task::yield_now().await;
            }
        }
        writing.await.unwrap();
        assert!(all == blocks(5_000));
    }

    #[tokio::test]
    async fn a_full_pipe_holds_the_writer_until_somebody_reads_or_leaves() {
        let (writer, mut reader) = bounded(20, 40);
        let fill = async {
            let mut written = 0;
            while let Ok(result) = tokio::time::timeout(Duration::from_millis(200), writer.write(block(written))).await
            {
                assert!(result.unwrap());
                written += 1;
            }
            written
        };
        assert_eq!(fill.await, 6);
        assert!(reader.read().await.unwrap().is_some());
        drop(reader);
        assert!(!writer.write(block(9)).await.unwrap());
    }
}
