//! The jobs that are leased, in a file: after an unclean end of the process exactly those are suspects.
//!
//! Leases in memory die with their process, and with them the knowledge whose handler may have killed it. So each claim
//! and each settlement appends its jobs here, before a handler starts. The file is not synced: it is there for the death
//! of the process, not of the machine, after which nobody is under suspicion. It is a hint like the rest of the dispatch:
//! content that cannot be read means fewer suspects, and no more.

use haul_core::{
    JobId,
    dispatch::{Claimed, LeaseToken, Settlement, Ticket},
};
use parking_lot::Mutex;
use std::{
    collections::{HashMap, HashSet},
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// An operation and a job's id.
const ENTRY_BYTES: usize = 17;
/// The operation of a lease that has ended. Others are the starts that a lease has outlived.
const ENDED: u8 = u8::MAX;
/// A job that was not claimed in so many starts is not coming back: it had ended, and only its settlement was missing.
const STARTS_MAX: u8 = 8;
/// The file is written anew when it has this many entries, and most of them are of the past.
const ENTRIES_MIN: usize = 8_192;
/// More than this is not read back.
const BYTES_MAX: u64 = 16 * 1_024 * 1_024;

/// What is leased, here and in the file.
#[derive(Debug)]
pub(super) struct Running {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// `None` when it could not be written: then it is of no use any more.
    file: Option<File>,
    entries: usize,
    leased: HashMap<JobId, Leased>,
    /// Those that a process before this one had leased, until they are claimed again.
    suspects: HashSet<JobId>,
}

#[derive(Debug, Clone, Copy)]
struct Leased {
    token: Option<LeaseToken>,
    /// How many starts ago.
    starts: u8,
}

impl Running {
    /// Reads what an earlier process has left, and goes on from there.
    pub(super) fn open(path: PathBuf) -> Self {
        let leased = match read(&path) {
            Ok(leased) => leased,
            Err(error) if error.kind() == io::ErrorKind::NotFound => HashMap::new(),
            Err(error) => {
                tracing::warn!(%error, "what ran when this ended last is not known: no job is a suspect");
                HashMap::new()
            }
        };
        if !leased.is_empty() {
            tracing::info!(jobs = leased.len(), "these jobs ran when this ended last: they are suspects");
        }
        let suspects = leased.keys().copied().collect();
        let running = Self { path, state: Mutex::new(State { leased, suspects, ..State::default() }) };
        let mut state = running.state.lock();
        let written = write_anew(&running.path, &mut state);
        running.note(&mut state, written);
        drop(state);
        running
    }

    /// Notes leases that were given.
    pub(super) fn claimed(&self, tickets: &[Claimed], token: LeaseToken) {
        if tickets.is_empty() {
            return;
        }
        let mut state = self.state.lock();
        let mut bytes = Vec::with_capacity(tickets.len() * ENTRY_BYTES);
        for ticket in tickets {
            state.suspects.remove(&ticket.id);
            state.leased.insert(ticket.id, Leased { token: Some(token), starts: 0 });
            push(&mut bytes, 0, ticket.id);
        }
        self.append(&mut state, &bytes);
    }

    /// Notes leases that have ended; those under other tokens have not.
    pub(super) fn settled(&self, settlements: &[Settlement]) {
        let mut state = self.state.lock();
        let mut bytes = Vec::with_capacity(settlements.len() * ENTRY_BYTES);
        for Settlement { lease, .. } in settlements {
            if state.leased.get(&lease.id).is_some_and(|leased| leased.token == Some(lease.token)) {
                state.leased.remove(&lease.id);
                push(&mut bytes, ENDED, lease.id);
            }
        }
        if !bytes.is_empty() {
            self.append(&mut state, &bytes);
        }
    }

    /// Which of these were leased by a process before this one.
    pub(super) fn suspects(&self, tickets: &[Ticket]) -> HashSet<JobId> {
        let state = self.state.lock();
        if state.suspects.is_empty() {
            return HashSet::new();
        }
        tickets.iter().map(|ticket| ticket.id).filter(|id| state.suspects.contains(id)).collect()
    }

    fn append(&self, state: &mut State, bytes: &[u8]) {
        let Some(file) = &mut state.file else { return };
        let appended = file.write_all(bytes);
        state.entries += bytes.len() / ENTRY_BYTES;
        let is_due = state.entries > ENTRIES_MIN && state.entries > 4 * state.leased.len();
        let written = match appended {
            Ok(()) if is_due => write_anew(&self.path, state),
            appended => appended,
        };
        self.note(state, written);
    }

    fn note(&self, state: &mut State, written: io::Result<()>) {
        if let Err(error) = written {
            state.file = None;
            tracing::warn!(%error, "{} cannot be written: after a crash no job will be a suspect", self.path.display());
        }
    }
}

impl Drop for Running {
    /// A clean end leaves nothing that runs, and no file.
    fn drop(&mut self) {
        if self.state.get_mut().leased.is_empty()
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::debug!(%error, "{} could not be removed", self.path.display());
        }
    }
}

fn push(bytes: &mut Vec<u8>, operation: u8, id: JobId) {
    bytes.push(operation);
    bytes.extend(id.0.as_bytes());
}

/// The leases that had not ended; up to the first entry that is none.
fn read(path: &Path) -> io::Result<HashMap<JobId, Leased>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(BYTES_MAX).read_to_end(&mut bytes)?;
    let mut leased = HashMap::new();
    for entry in bytes.chunks_exact(ENTRY_BYTES) {
        let (operation, id) = (entry[0], Uuid::from_slice(&entry[1..]).map(JobId));
        match (operation, id) {
            (ENDED, Ok(id)) => drop(leased.remove(&id)),
            (starts @ ..STARTS_MAX, Ok(id)) => drop(leased.insert(id, Leased { token: None, starts: starts + 1 })),
            (STARTS_MAX, Ok(_)) => {}
            _ => break,
        }
    }
    Ok(leased)
}

/// Writes what is leased into a new file that takes the place of the old one.
fn write_anew(path: &Path, state: &mut State) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(state.leased.len() * ENTRY_BYTES);
    state.leased.iter().for_each(|(id, leased)| push(&mut bytes, leased.starts, *id));
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(&new)?;
    file.write_all(&bytes)?;
    std::fs::rename(&new, path)?;
    state.entries = state.leased.len();
    state.file = Some(file);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul_core::{
        Kind, Priority,
        dispatch::{Lease, Next},
    };

    fn ticket(n: u128) -> Claimed {
        let (id, kind) = (JobId(Uuid::from_u128(n)), Kind::new("k").unwrap());
        Claimed { id, kind, priority: Priority::default(), suspect: false }
    }

    fn tickets(numbers: impl IntoIterator<Item = u128>) -> Vec<Claimed> {
        numbers.into_iter().map(ticket).collect()
    }

    fn ends(numbers: impl IntoIterator<Item = u128>, token: LeaseToken) -> Vec<Settlement> {
        let end = |Claimed { id, kind, priority, .. }| Settlement {
            lease: Lease { id, kind, priority, token },
            next: Next::Done,
        };
        tickets(numbers).into_iter().map(end).collect()
    }

    /// Dies without an end.
    fn crash(running: Running) {
        std::mem::forget(running);
    }

    fn suspects(running: &Running) -> Vec<u128> {
        let mut suspects: Vec<u128> = running.state.lock().suspects.iter().map(|id| id.0.as_u128()).collect();
        suspects.sort_unstable();
        suspects
    }

    #[test]
    fn what_was_leased_at_a_crash_is_suspect_until_it_is_claimed_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("running");
        let token = LeaseToken::random();
        let running = Running::open(path.clone());
        running.claimed(&tickets(1..=5), token);
        running.settled(&ends([2, 4], token));
        running.settled(&ends([5], LeaseToken::random()));
        crash(running);
        let running = Running::open(path.clone());
        assert_eq!(suspects(&running), [1, 3, 5]);
        running.claimed(&tickets([3]), token);
        running.settled(&ends([3], token));
        assert_eq!(suspects(&running), [1, 5]);
        crash(running);
        assert_eq!(suspects(&Running::open(path)), [1, 5]);
    }

    #[test]
    fn a_clean_end_leaves_no_file_and_garbage_means_fewer_suspects() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("running");
        let token = LeaseToken::random();
        let running = Running::open(path.clone());
        running.claimed(&tickets([1]), token);
        running.settled(&ends([1], token));
        drop(running);
        assert!(!path.exists());
        let running = Running::open(path.clone());
        running.claimed(&tickets([1, 2]), token);
        crash(running);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.truncate(ENTRY_BYTES + 3);
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(suspects(&Running::open(path.clone())), [1]);
        bytes[0] = 77;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(suspects(&Running::open(path)), [0; 0]);
    }

    #[test]
    fn the_file_stays_small_and_a_job_that_never_comes_back_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("running");
        let token = LeaseToken::random();
        let running = Running::open(path.clone());
        running.claimed(&tickets([7]), token);
        for round in 0..100 {
            let numbers = || (round + 1) * 1_000..(round + 1) * 1_000 + 1_000;
            running.claimed(&tickets(numbers()), token);
            running.settled(&ends(numbers(), token));
        }
        let bytes = std::fs::metadata(&path).unwrap().len() as usize;
        assert!(bytes <= (ENTRIES_MIN + 2_000) * ENTRY_BYTES, "{bytes}");
        crash(running);
        for _ in 0..STARTS_MAX {
            let running = Running::open(path.clone());
            assert_eq!(suspects(&running), [7]);
            crash(running);
        }
        assert_eq!(suspects(&Running::open(path)), [0; 0]);
    }
}
