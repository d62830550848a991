//! Many submits of one request, each with an answer of its own: a batch, or a chunk of a bulk request.

use crate::{
    commit::Row,
    draft::Rules,
    fields::Fields,
    intake::{Admitted, Verdict},
    json::Fault,
    problem::Problem,
    submit::{self, Place},
    view::ItemView,
};
use haul_core::Timestamp;

/// Submits in their order: those that can be committed, and what is wrong with the others.
#[derive(Default)]
pub(crate) struct Items {
    /// One per submit; `None` stands for the next of `rows`.
    slots: Vec<Option<Problem>>,
    rows: Vec<Row>,
    bytes: usize,
}

/// The answers-to-be of items whose rows were handed to the intake.
pub(crate) struct Slots(Vec<Option<Problem>>);

impl Items {
    /// Adds a submit.
    pub(crate) fn push(&mut self, fields: Result<Fields<'_>, Fault>, place: Place<'_>, rules: &Rules, now: Timestamp) {
        match fields.map_err(Problem::from).and_then(|fields| row(&fields, place, rules, now)) {
            Ok(row) => {
                self.bytes += row.draft.weight().bytes;
                self.rows.push(row);
                self.slots.push(None);
            }
            Err(problem) => self.reject(problem),
        }
    }

    /// Adds a submit that could not even be read.
    pub(crate) fn reject(&mut self, problem: Problem) {
        self.slots.push(Some(problem));
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Bytes that its rows carry.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The rows to commit, and where their verdicts belong.
    pub(crate) fn into_parts(self) -> (Vec<Row>, Slots) {
        (self.rows, Slots(self.slots))
    }
}

fn row(fields: &Fields<'_>, place: Place<'_>, rules: &Rules, now: Timestamp) -> Result<Row, Problem> {
    let submit = submit::read(fields, place, rules, now)?;
    let idempotency = match submit.key {
        Some(key) => Some(rules.idempotency(key, &fields.canonical("/v1/jobs")?)),
        None => None,
    };
    Ok(Row { draft: submit.draft, idempotency })
}

impl Slots {
    /// One answer per submit, in order.
    pub(crate) fn resolve(self, verdicts: Vec<Verdict>) -> impl Iterator<Item = Result<Admitted, Problem>> {
        let mut verdicts = verdicts.into_iter();
        self.0.into_iter().map(move |slot| match slot {
            Some(problem) => Err(problem),
            None => match verdicts.next() {
                Some(verdict) => verdict.map_err(|rejection| rejection.into_problem()),
                None => Err(Problem::internal("a row has no verdict")),
            },
        })
    }
}

/// An answer as clients read it.
pub(crate) fn view<'a>(answer: &'a Result<Admitted, Problem>, request_id: &'a str) -> ItemView<'a> {
    match answer {
        Ok(Admitted { id, replayed }) => ItemView::Accepted { id: *id, replayed: *replayed },
        Err(problem) => ItemView::Rejected { error: problem.body(request_id) },
    }
}
