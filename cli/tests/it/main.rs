//! The real `haul` binary, from outside: started, spoken to over HTTP and by its own commands, killed.

mod audit;
mod cancel;
mod client;
mod demo;
mod destinations;
mod embedded;
mod endpoints;
mod failover;
mod faults;
mod health;
mod log;
mod maintenance;
mod metrics;
mod payments;
mod postgres_alone;
mod production;
mod scheduler;
mod schedules;
mod secrets;
mod settings;
mod traces;
mod world;
