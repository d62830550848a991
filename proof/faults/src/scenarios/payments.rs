//! Payments through a provider that does everything wrong, while workers die.

use crate::{payments::pay_among_kills, scenario::Scenario, stage::Setup};
use std::time::Duration;

pub(super) fn all() -> Vec<Scenario> {
    let setup = || Setup { builtin: true, payments: true, drain: Duration::from_secs(120), ..Setup::default() };
    vec![
        Scenario::new(
            "payments",
            "300 charges through a provider that declines, hangs, answers 500 and 429, commits and closes the connection, while one of \
             two workers is killed with -9 every 2 s.",
            |stage| Box::pin(pay_among_kills(stage, 300)),
        )
        .short()
        .on(setup())
        .shows(300, 60),
        Scenario::new("payments-10000", "The same with 10,000 charges.", |stage| {
            Box::pin(pay_among_kills(stage, 10_000))
        })
        .on(setup())
        .shows(10_000, 2_000)
        .takes(Duration::from_secs(900)),
    ]
}
