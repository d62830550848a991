//! Schedules between HTTP and their store: what a request says becomes a definition, what is stored becomes an answer.

pub(crate) mod read;
pub(crate) mod spec;
pub(crate) mod view;
