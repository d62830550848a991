//! The fleet: which processes are alive, and what they tell about themselves.
//!
//! It is kept where heartbeats are, in the ledger: whoever loses the dispatch can still be seen. What an adapter promises is
//! written at each method and checked by the fleet suite of `haul-conformance`.

use crate::{id::ProcessId, ledger::Result, time::Timestamp};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// After so long a silence a process is gone.
pub const GONE_AFTER: Duration = Duration::from_secs(15);
/// Receipts are counted up to here.
pub const RECEIPTS_COUNTED_MAX: u64 = 100_000;
/// Queues that a process names at most; bytes of a text that it tells.
const QUEUES_TOLD_MAX: usize = 100;
const TEXT_BYTES_MAX: usize = 255;

/// What a process tells about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Its id.
    pub id: ProcessId,
    /// `api`, `worker`, `up`, ...
    pub role: String,
    /// Everything else.
    pub about: About,
}

/// What a process tells besides id and role. A version that told less reads as if it had told the defaults.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    /// The name of its machine; empty when unknown.
    pub host: String,
    /// Its number there.
    pub pid: u32,
    /// The version of the program.
    pub version: String,
    /// What it works on, if it is a worker.
    pub work: Option<Work>,
    /// Whether it runs a scheduler.
    pub schedules: bool,
}

/// What a worker works on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Work {
    /// Its queues; none when it takes from all.
    pub queues: Vec<String>,
    /// How many attempts it can run at a time.
    pub slots: u32,
    /// How many it ran when it told this.
    pub busy: u32,
}

impl About {
    /// As stored. Cut to what is sensible: it is read by people.
    pub fn to_text(&self) -> String {
        let mut told = self.clone();
        for text in [&mut told.host, &mut told.version] {
            text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        }
        if let Some(work) = &mut told.work {
            work.queues.truncate(QUEUES_TOLD_MAX);
        }
        // Strings and numbers always serialize.
        serde_json::to_string(&told).unwrap_or_default()
    }

    /// As read back; what cannot be read was told by another version, and counts as not told.
    pub fn from_text(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }
}

/// A process that is alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What it told last.
    pub report: Report,
    /// When it was first heard of, on the ledger's clock.
    pub since: Timestamp,
    /// When it was last heard of, on the ledger's clock.
    pub seen: Timestamp,
}

/// Receipts that are in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Receipts {
    /// How many, up to [`RECEIPTS_COUNTED_MAX`].
    pub count: u64,
    /// When the jobs of the oldest were accepted.
    pub oldest: Option<Timestamp>,
}

/// Which processes are alive.
#[async_trait]
pub trait Fleet: Send + Sync + 'static {
    /// Tells that the process is alive, and what it is: a [heartbeat](crate::Ledger::heartbeat), too. What was told before
    /// is forgotten; since when it is known is not. A heartbeat alone changes nothing of what was told.
    async fn report(&self, report: &Report) -> Result<()>;

    /// The processes that are alive, in order of id, those after `after`, at most `limit`. One that was silent for
    /// [`GONE_AFTER`] is not among them, until it is heard of again.
    async fn alive(&self, after: Option<ProcessId>, limit: usize) -> Result<Vec<Member>>;

    /// The receipts of all processes, of nobody, too. Must be cheap: it is asked every few seconds.
    async fn receipts(&self) -> Result<Receipts>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_reads_back_and_is_cut_to_what_is_sensible() {
        let work = Work { queues: vec!["mail".to_owned()], slots: 100, busy: 7 };
        let about = About { host: "box".into(), pid: 7, version: "1".into(), work: Some(work), schedules: true };
        assert_eq!(About::from_text(&about.to_text()), about);

        let work = Work { queues: vec!["q".to_owned(); 1_000], ..Work::default() };
        let long = About { host: "ä".repeat(200), work: Some(work), ..about };
        let told = About::from_text(&long.to_text());
        assert_eq!((told.host.len(), told.work.unwrap().queues.len()), (254, 100));
    }

    #[test]
    fn what_another_version_told_is_read_as_far_as_it_goes() {
        assert_eq!(About::from_text(""), About::default());
        assert_eq!(About::from_text("{\"host\":\"box\",\"colour\":\"red\"}").host, "box");
    }
}
