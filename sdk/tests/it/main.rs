//! Programs on the facade, as processes: real stores, and handlers that kill.

mod embedded;
mod production;
mod world;
