//! The simulation and the model, and that both can fail.

mod defects;
mod firing;
mod model;
mod seeds;
mod simulated;
