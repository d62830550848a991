//! Pace in Redis: the rules of [`haul_core::pace::machine`] in Lua, one truth for all processes.
//!
//! Each operation is one script on one destination, atomic, on the server's clock. The list of names is a key of its own, in
//! another slot of a cluster, and only roughly right: a process notes a destination when it meets it and then every minute.

use crate::{
    link::Link,
    script::{self, Call},
};
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use haul_core::{
    Pace,
    dispatch::DispatchError,
    limits::DESTINATIONS_MAX,
    pace::{
        Breaker, Destination, Enter, Entry, Left, PaceError, Permit, Result, Rules, Sight, Verdict, Why,
        machine::{IDLE_MAX, chance},
    },
};
use parking_lot::Mutex;
use redis::{FromRedisValue, Value};
use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// How often a process notes a destination that it goes on calling.
const NOTE_EVERY: Duration = Duration::from_secs(60);
/// How many destinations are looked at at the same time.
const LOOKS_MAX: usize = 32;

/// Pace in Redis: see [`RedisDispatch::pace`](crate::RedisDispatch::pace).
pub struct RedisPace {
    link: Arc<Link>,
    noted: Mutex<HashMap<Destination, Instant>>,
    /// A test's time, in microseconds, instead of the server's.
    time_us: Option<Arc<AtomicU64>>,
}

impl fmt::Debug for RedisPace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisPace").field("noted", &self.noted.lock().len()).finish_non_exhaustive()
    }
}

impl RedisPace {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Self { link, noted: Mutex::default(), time_us: None }
    }

    /// The same on a clock of microseconds that a test moves.
    #[must_use]
    pub fn on_clock(self, time_us: Arc<AtomicU64>) -> Self {
        Self { time_us: Some(time_us), ..self }
    }

    async fn ask<T: FromRedisValue>(&self, call: Call) -> Result<T> {
        let answer = self.link.call(call).await;
        answer.map_err(|error| PaceError::Unavailable(DispatchError::from(error).into()))
    }

    fn now(&self, us_per_unit: u64) -> String {
        let now = self.time_us.as_ref().map(|time| time.load(Ordering::Relaxed) / us_per_unit);
        now.map(|now| now.to_string()).unwrap_or_default()
    }

    fn call(&self, script: &'static script::Script, destination: &Destination, ttl: Duration) -> Call {
        let mut call = Call::on_destination(script, destination);
        call.arg(self.now(1)).arg(ms(ttl));
        call
    }

    /// Whether there is room for this destination.
    async fn is_noted(&self, destination: &Destination, rules: &Rules) -> Result<bool> {
        let now = Instant::now();
        if self.noted.lock().get(destination).is_some_and(|until| now < *until) {
            return Ok(true);
        }
        let mut call = Call::on_destinations(&script::PACE_NOTE);
        call.arg(self.now(1_000)).arg(ms(ttl(rules))).arg(destination.as_str()).arg(DESTINATIONS_MAX);
        let word: String = self.ask(call).await?;
        let is_known = word == "known";
        if is_known {
            let mut noted = self.noted.lock();
            if noted.len() >= DESTINATIONS_MAX {
                noted.retain(|_, until| now < *until);
            }
            if noted.len() < DESTINATIONS_MAX {
                noted.insert(destination.clone(), now + NOTE_EVERY);
            }
        }
        Ok(is_known)
    }
}

#[async_trait]
impl Pace for RedisPace {
    async fn enter(&self, entry: &Entry<'_>) -> Result<Enter> {
        let Entry { destination, job, permit: id, rules } = *entry;
        let permit = |epoch, since_us, is_probe| {
            Enter::Go(Permit { destination: destination.clone(), id, epoch, since_us, is_probe })
        };
        if !self.is_noted(destination, rules).await? {
            return Ok(permit(0, 0, false));
        }
        let mut call = self.call(&script::PACE_ENTER, destination, ttl(rules));
        call.bytes(job.0.as_bytes()).arg(id.simple().to_string()).arg(chance(id));
        rules_of(&mut call, rules);
        let reply: Vec<Value> = self.ask(call).await?;
        let read = match &reply[..] {
            [word, epoch, since, flag] if text(word) == Some("go") => {
                number(epoch).zip(number(since)).map(|(epoch, since)| permit(epoch, since, text(flag) == Some("p")))
            }
            [word, wait, why] if text(word) == Some("wait") => {
                let why = Why::ALL.into_iter().find(|known| Some(known.as_str()) == text(why));
                number(wait).zip(why).map(|(wait, why)| Enter::Wait(Duration::from_micros(wait), why))
            }
            _ => None,
        };
        read.ok_or_else(unreadable)
    }

    async fn extend(&self, permit: &Permit, rules: &Rules) -> Result<bool> {
        let mut call = self.call(&script::PACE_EXTEND, &permit.destination, ttl(rules));
        call.arg(held(permit));
        rules_of(&mut call, rules);
        Ok(self.ask::<String>(call).await? == "held")
    }

    async fn leave(&self, permit: &Permit, verdict: Verdict, rules: &Rules) -> Result<Left> {
        let mut call = self.call(&script::PACE_LEAVE, &permit.destination, ttl(rules));
        let (word, pause) = match verdict {
            Verdict::Works => ("works", None),
            Verdict::AtFault(pause) => ("fault", pause),
            Verdict::Unknown => ("unknown", None),
        };
        // No more than a double holds; the script cuts it to the rules.
        let pause = pause.map(|pause| us(pause.min(rules.open_cap)).to_string()).unwrap_or_default();
        call.arg(held(permit)).arg(permit.epoch).arg(permit.since_us).arg(chance(permit.id)).arg(word).arg(pause);
        rules_of(&mut call, rules);
        match self.ask::<String>(call).await?.as_str() {
            "not held" => Ok(Left::NotHeld),
            "done" => Ok(Left::Done),
            "open" => Ok(Left::Changed(Breaker::Open)),
            "closed" => Ok(Left::Changed(Breaker::Closed)),
            _ => Err(unreadable()),
        }
    }

    async fn list(&self, limit: usize) -> Result<Vec<Sight>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut call = Call::on_destinations(&script::PACE_NAMES);
        call.arg(limit.min(DESTINATIONS_MAX));
        let names: Vec<String> = self.ask(call).await?;
        let names = names.into_iter().filter_map(|name| Destination::new(name).ok());
        let looks = names.map(async |destination| self.look(&destination).await);
        let seen: Vec<Option<Sight>> = stream::iter(looks).buffered(LOOKS_MAX).try_collect().await?;
        Ok(seen.into_iter().flatten().collect())
    }

    /// Reads all names, of which there are [`DESTINATIONS_MAX`] at most: they are kept by when they are forgotten. Those
    /// of which nothing is known any longer are passed over.
    async fn page(&self, after: Option<&Destination>, limit: usize) -> Result<Vec<Sight>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut call = Call::on_destinations(&script::PACE_NAMES);
        call.arg(DESTINATIONS_MAX);
        let names: Vec<String> = self.ask(call).await?;
        let names = names.into_iter().filter_map(|name| Destination::new(name).ok());
        let mut names: Vec<_> = names.filter(|name| after.is_none_or(|after| name > after)).collect();
        names.sort();
        let looks = names.into_iter().map(async |destination| self.look(&destination).await);
        let seen = stream::iter(looks).buffered(LOOKS_MAX.min(limit));
        seen.try_filter_map(async |sight| Ok(sight)).take(limit).try_collect().await
    }

    async fn look(&self, destination: &Destination) -> Result<Option<Sight>> {
        let reply: Vec<Value> = self.ask(self.call(&script::PACE_LOOK, destination, IDLE_MAX)).await?;
        if reply.is_empty() {
            return Ok(None);
        }
        sight(&reply, destination.clone()).map(Some).ok_or_else(unreadable)
    }

    async fn reset(&self, destination: &Destination) -> Result<bool> {
        let call = self.call(&script::PACE_RESET, destination, IDLE_MAX);
        Ok(self.ask::<String>(call).await? == "done")
    }
}

/// A permit as `permits` holds it.
fn held(permit: &Permit) -> String {
    let flag = if permit.is_probe { 'p' } else { '-' };
    format!("{} {} {} {flag}", permit.id.simple(), permit.epoch, permit.since_us)
}

/// Longer than anything that is to be remembered.
fn ttl(rules: &Rules) -> Duration {
    IDLE_MAX + rules.open_cap * 2
}

/// The rules in the order in which `lua/pace/prelude.lua` reads them.
fn rules_of(call: &mut Call, rules: &Rules) {
    call.arg(rules.failures).arg(us(rules.window)).arg(rules.window_calls).arg(rules.window_percent);
    call.arg(us(rules.open_base)).arg(us(rules.open_cap)).arg(rules.probes).arg(rules.rate).arg(rules.burst);
    call.arg(rules.in_flight).arg(rules.returns).arg(us(rules.permit));
}

fn sight(reply: &[Value], destination: Destination) -> Option<Sight> {
    let [breaker, unchanged_for, failures, in_flight, waiting, opens_in] = reply else { return None };
    let breakers = [Breaker::Closed, Breaker::Open, Breaker::HalfOpen];
    let opens_in = number(opens_in)?;
    Some(Sight {
        destination,
        breaker: breakers.into_iter().find(|known| Some(known.as_str()) == text(breaker))?,
        unchanged_for: Duration::from_micros(number(unchanged_for)?),
        failures: number(failures)?,
        in_flight: number(in_flight)?,
        waiting: number(waiting)?,
        opens_in: (opens_in > 0).then(|| Duration::from_micros(opens_in)),
    })
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

fn us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn unreadable() -> PaceError {
    PaceError::Unavailable("Redis gave an answer that is none".into())
}
