//! A hand-made run in which nothing went wrong, for tests that make something go wrong in it.

use crate::evidence::{Dump, Event, Evidence, JobRow, SUCCEEDED, Send, Step, Table, Written};

/// Evidence that is built up in steps.
pub(super) struct Sample(pub(super) Evidence);

/// One job, `job-1` of `key-1`, which fails once and then succeeds, with one effect and one row of its own.
pub(super) fn good() -> Sample {
    let ledger = Dump {
        jobs: vec![JobRow {
            id: "job-1".to_owned(),
            key: "key-1".to_owned(),
            kind: "effect".to_owned(),
            run_at_ms: 100,
        }],
        outcomes: [("job-1".to_owned(), SUCCEEDED)].into(),
        ..Dump::default()
    };
    Sample(Evidence { ledger, end_ms: 10_000, ..Evidence::default() })
        .event("key-1", Step::Invoke { kind: "effect".to_owned() })
        .event("key-1", Step::Ok { job: "job-1".to_owned() })
        .written(Table::Failure, "INSERT", 1, 0)
        .written(Table::Outcome, "INSERT", 2, SUCCEEDED)
        .sent("job-1", true)
        .sent("job-1", false)
}

impl Sample {
    /// A further step of a client, at 100 ms.
    pub(super) fn event(mut self, key: &str, step: Step) -> Self {
        self.0.history.push(Event { at_ms: 100, key: key.to_owned(), step });
        self
    }

    /// A further write about `job-1`, 100 ms after the one before.
    pub(super) fn written(mut self, table: Table, operation: &str, attempt: i64, state: i64) -> Self {
        let at_ms = self.0.ledger.log.last().map_or(200, |last| last.at_ms + 100);
        let (operation, job) = (operation.to_owned(), "job-1".to_owned());
        self.0.ledger.log.push(Written { at_ms, table, operation, job, attempt, state });
        self
    }

    /// A further effect of `key-1`.
    pub(super) fn sent(mut self, idempotency_key: &str, applied: bool) -> Self {
        let (key, idempotency_key) = ("key-1".to_owned(), idempotency_key.to_owned());
        self.0.sends.push(Send { at_ms: 250, key, is_beginning: false, idempotency_key, applied });
        self
    }

    /// Makes `job-1` one of another kind.
    pub(super) fn rename(&mut self, kind: &str) {
        kind.clone_into(&mut self.0.ledger.jobs[0].kind);
        self.0.history[0].step = Step::Invoke { kind: kind.to_owned() };
    }
}
