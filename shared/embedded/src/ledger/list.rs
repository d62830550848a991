//! Lists, newest first. A page looks at a bounded number of candidates, so that a rare match costs many short pages and
//! never a long one.

use super::{error::ledger_error, look};
use haul_core::{
    JobId, JobOptions, Tenant,
    ledger::{Filter, Page, Result, StateFilter},
    outcome::FinalState,
};
use sqlx::{SqliteConnection, sqlite::SqlitePool};
use uuid::Uuid;

/// Candidates that a page looks at, at most.
const CANDIDATES_MAX: usize = 4_000;
/// Candidates that are read at a time, after the first time, which reads as many as would fill the page.
const WINDOW: usize = 1_000;

/// Where candidates come from. Each gives them newest first.
#[derive(Debug, Clone, Copy)]
enum Source {
    Jobs { unsettled_only: bool },
    Ended(FinalState),
    Stragglers,
}

/// A source with the part of it that the list reads: from `from`, before `before`.
struct Stretch {
    source: Source,
    from: JobId,
    before: JobId,
}

struct Candidate {
    id: JobId,
    matches: bool,
}

pub(super) async fn list(
    readers: &SqlitePool,
    tenant: &Tenant,
    filter: &Filter,
    before: Option<JobId>,
    limit: usize,
) -> Result<Page> {
    // One transaction: what is closed meanwhile neither goes missing nor comes twice.
    let mut tx = readers.begin().await.map_err(ledger_error)?;
    let limit = limit.max(1);
    let mut found: Vec<JobId> = Vec::new();
    let mut next = None;
    let mut looked_at = 0;
    'page: for mut stretch in stretches(&mut tx, filter, before).await? {
        let mut window = limit.saturating_add(1);
        loop {
            window = window.min(CANDIDATES_MAX - looked_at);
            if window == 0 {
                next = Some(stretch.before);
                break 'page;
            }
            let candidates = stretch.read(&mut tx, tenant, filter, window).await?;
            looked_at += candidates.len();
            for candidate in &candidates {
                if candidate.matches {
                    if found.len() == limit {
                        next = found.last().copied();
                        break 'page;
                    }
                    found.push(candidate.id);
                }
            }
            match candidates.last() {
                Some(last) if candidates.len() == window => stretch.before = last.id,
                _ => break,
            }
            window = WINDOW;
        }
    }
    Ok(Page { jobs: look::records(&mut tx, &found).await?, next })
}

async fn stretches(conn: &mut SqliteConnection, filter: &Filter, before: Option<JobId>) -> Result<Vec<Stretch>> {
    let lowest = filter.created_from.map_or(JobId(Uuid::nil()), JobId::floor);
    let highest = [before, filter.created_before.map(JobId::floor)].into_iter().flatten().min();
    let highest = highest.unwrap_or(JobId(Uuid::max()));
    Ok(match filter.state {
        None => vec![Stretch { source: Source::Jobs { unsettled_only: false }, from: lowest, before: highest }],
        Some(StateFilter::Final(state)) => {
            vec![Stretch { source: Source::Ended(state), from: lowest, before: highest }]
        }
        Some(StateFilter::Unsettled) => {
            let row = sqlx::query_file!("sql/closed_through.sql").fetch_one(conn).await.map_err(ledger_error)?;
            let closed = JobId(row.closed_through);
            let open = Source::Jobs { unsettled_only: true };
            vec![
                Stretch { source: open, from: lowest.max(closed), before: highest },
                Stretch { source: Source::Stragglers, from: lowest, before: highest.min(closed) },
            ]
        }
    })
}

impl Stretch {
    async fn read(
        &self,
        conn: &mut SqliteConnection,
        tenant: &Tenant,
        filter: &Filter,
        window: usize,
    ) -> Result<Vec<Candidate>> {
        let tenant = tenant.as_str();
        let queue = filter.queue.as_ref().map(|queue| queue.as_str());
        let kind = filter.kind.as_ref().map(|kind| kind.as_str());
        let tag = filter.tag.as_ref();
        let wants_options = tag.is_some();
        let window = i64::try_from(window).unwrap_or(i64::MAX);
        let (before, from) = (self.before.0, self.from.0);
        macro_rules! candidates {
            ($file:literal $(, $state:expr)?) => {{
                let query = sqlx::query_file!($file, before, from, tenant, queue, kind, wants_options, $($state,)? window);
                let rows = query.fetch_all(conn).await.map_err(ledger_error)?;
                rows.into_iter().map(|row| candidate_of(row.id, row.matches, row.options, tag)).collect()
            }};
        }
        match self.source {
            Source::Jobs { unsettled_only } => candidates!("sql/list_newest.sql", unsettled_only),
            Source::Ended(state) => {
                let state = state.code();
                candidates!("sql/list_ended.sql", state)
            }
            Source::Stragglers => candidates!("sql/list_stragglers.sql"),
        }
    }
}

/// Tags are compared here, as the options' own format defines them.
fn candidate_of(id: Uuid, matches: bool, options: Option<String>, tag: Option<&(String, String)>) -> Result<Candidate> {
    let matches = match tag {
        Some((name, value)) if matches => {
            let options = JobOptions::decode(options.as_deref()).map_err(super::error::corrupt)?;
            options.tags.get(name) == Some(value)
        }
        _ => matches,
    };
    Ok(Candidate { id: JobId(id), matches })
}
