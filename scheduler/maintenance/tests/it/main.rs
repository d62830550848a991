//! Maintenance jobs, run by a worker over the reference stores.

mod run;
mod schedules;
mod trouble;
mod world;
