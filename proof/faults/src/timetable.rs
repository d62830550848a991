//! Schedules of a run: made, edited and paused by SQL, and written down in terms that the checker can count.
//!
//! A change of a schedule tells where it was when the change was committed. That is the border between what had to fire by
//! the old definition and what has to by the new one: neither more nor less.

use crate::{
    books::Books,
    evidence::{Pause, Rule, Timetable, now_ms},
    stage::Stage,
};
use anyhow::{Context, Result, ensure};
use std::{collections::BTreeMap, time::Duration};

/// How long the schedulers are given to fire everything that was due when the run ended.
const CATCH_UP_MAX: Duration = Duration::from_secs(30);
/// Everything that is missed is caught up with: then a tick without a job is a fault, whatever was broken meanwhile.
const MISSED: &str = r#""missed":{"policy":"all","max":1000}"#;

/// The schedules of a run.
#[derive(Debug, Default)]
pub struct Schedules {
    /// What each is asked now, and since which second.
    live: BTreeMap<String, (Rule, i64)>,
    timetable: Vec<Timetable>,
    pauses: Vec<Pause>,
    paused_since_ms: BTreeMap<String, i64>,
}

impl Schedules {
    /// Creates so many, half of them by intervals and half by expressions, of 1 to 5 s.
    pub fn create(&mut self, books: &Books, count: usize) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        let rules = rules();
        let asked: Vec<(String, &Rule)> = (0..count).map(|n| format!("s{n}")).zip(rules.iter().cycle()).collect();
        let create = |(name, rule): &(String, &Rule)| {
            format!(
                "WITH begin AS ({NOW})
                INSERT INTO haul.schedule (id, tenant, name, paused, spec, template, fired_through, next_at)
                SELECT gen_random_uuid(), 'default', '{name}', false, '{}',
                    '{{\"kind\":\"echo\",\"payload\":{{\"ref\":\"{name}\"}}}}', {PLACE}, {}
                FROM begin RETURNING {}",
                spec(rule),
                next_at(rule),
                seconds("fired_through"),
            )
        };
        let answers = each(books, asked.iter().map(create))?;
        for ((name, rule), after) in asked.into_iter().zip(answers) {
            self.live.insert(name, (rule.clone(), after.parse()?));
        }
        Ok(())
    }

    /// The names of all.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.live.keys().cloned().collect()
    }

    /// Gives some of them another rule. What the old one did not fire by now, it never will.
    pub fn edit(&mut self, books: &Books, names: &[String]) -> Result<()> {
        let rules = rules();
        let mut asked = Vec::new();
        for name in names {
            let (old, after_s) = self.live.get(name).with_context(|| format!("no schedule {name}"))?.clone();
            let index = rules.iter().position(|rule| *rule == old).unwrap_or_default();
            asked.push((name, old, after_s, &rules[(index + 3) % rules.len()]));
        }
        let edit = |(name, _, _, rule): &(&String, Rule, i64, &Rule)| {
            format!(
                "WITH old AS (SELECT id, fired_through FROM haul.schedule WHERE name = '{name}' FOR UPDATE),
                    begin AS ({NOW})
                UPDATE haul.schedule
                SET version = version + 1, spec = '{}', fired_through = {PLACE}, next_at = {}
                FROM old, begin WHERE schedule.id = old.id
                RETURNING {} || ' ' || {}",
                spec(rule),
                next_at(rule),
                seconds("old.fired_through"),
                seconds("schedule.fired_through"),
            )
        };
        let answers = each(books, asked.iter().map(edit))?;
        for ((name, old, after_s, rule), answer) in asked.into_iter().zip(answers) {
            let (through, begun) = answer.split_once(' ').with_context(|| format!("psql says {answer:?}"))?;
            let (schedule, through_s) = (name.clone(), through.parse()?);
            self.timetable.push(Timetable { schedule, rule: old, after_s, through_s });
            self.live.insert(name.clone(), (rule.clone(), begun.parse()?));
        }
        Ok(())
    }

    /// Pauses some of them, at once.
    pub fn pause(&mut self, books: &Books, names: &[String]) -> Result<()> {
        set_paused(books, names, true)?;
        let now_ms = now_ms();
        self.paused_since_ms.extend(names.iter().map(|name| (name.clone(), now_ms)));
        Ok(())
    }

    /// Resumes those that are paused.
    pub fn resume(&mut self, books: &Books) -> Result<()> {
        let (paused, to_ms) = (std::mem::take(&mut self.paused_since_ms), now_ms());
        let names: Vec<String> = paused.keys().cloned().collect();
        self.pauses.extend(paused.into_iter().map(|(schedule, from_ms)| Pause { schedule, from_ms, to_ms }));
        set_paused(books, &names, false)
    }

    /// Waits until everything that is due now has fired, and then pauses all for good.
    pub async fn conclude(&mut self, books: &Books) -> Result<()> {
        if self.live.is_empty() {
            return Ok(());
        }
        self.resume(books)?;
        let now_s: i64 = books.sql(&format!("SELECT s FROM ({NOW}) AS begin"))?.parse()?;
        let due = format!("SELECT count(*) FROM haul.schedule WHERE NOT paused AND next_at <= to_timestamp({now_s})");
        // One that has not caught up by then is the checker's to tell.
        let _late = Stage::until("every tick is fired", CATCH_UP_MAX, async || Ok(books.sql(&due)? == "0")).await;
        let ends = books.sql(&format!(
            "UPDATE haul.schedule SET paused = true, version = version + 1
            RETURNING name || ' ' || {}",
            seconds("fired_through")
        ))?;
        for line in ends.lines() {
            let (name, through) = line.split_once(' ').with_context(|| format!("psql says {line:?}"))?;
            let through_s = through.parse::<i64>()?.max(now_s);
            if let Some((rule, after_s)) = self.live.remove(name) {
                self.timetable.push(Timetable { schedule: name.to_owned(), rule, after_s, through_s });
            }
        }
        Ok(())
    }

    /// What was asked, and when nothing was to fire.
    #[must_use]
    pub fn evidence(&self) -> (Vec<Timetable>, Vec<Pause>) {
        (self.timetable.clone(), self.pauses.clone())
    }
}

/// What schedules are asked.
fn rules() -> Vec<Rule> {
    let of_minute = |step: usize| Rule::Seconds((0..60).step_by(step).collect());
    vec![
        Rule::Every(1),
        of_minute(2),
        Rule::Every(3),
        of_minute(1),
        Rule::Every(2),
        of_minute(5),
        Rule::Every(4),
        of_minute(3),
    ]
}

/// A rule as Haul reads it.
fn spec(rule: &Rule) -> String {
    match rule {
        Rule::Every(seconds) => format!(r#"{{"every":"{seconds}s",{MISSED}}}"#),
        Rule::Seconds(seconds) => {
            let seconds: Vec<String> = seconds.iter().map(i64::to_string).collect();
            format!(r#"{{"cron":"{} * * * * *","seconds":true,{MISSED}}}"#, seconds.join(","))
        }
    }
}

/// Runs statements, all in one transaction, of which each gives one line.
fn each(books: &Books, statements: impl Iterator<Item = String>) -> Result<Vec<String>> {
    let statements: Vec<String> = statements.collect();
    let lines: Vec<String> = books.sql(&statements.join(";\n"))?.lines().map(str::to_owned).collect();
    ensure!(lines.len() == statements.len(), "{} of {} statements gave a line", lines.len(), statements.len());
    Ok(lines)
}

/// The second `s` since 1970 that it is.
const NOW: &str = "SELECT floor(extract(epoch FROM clock_timestamp()))::bigint AS s";
/// The place of a schedule that begins after `s`.
const PLACE: &str = r#"to_char(to_timestamp(begin.s) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"#;

/// SQL for a rule's first tick after `s`.
fn next_at(rule: &Rule) -> String {
    let fires = match rule {
        Rule::Every(seconds) => format!("next % {seconds} = 0"),
        Rule::Seconds(seconds) => format!("next % 60 = ANY (ARRAY{seconds:?})"),
    };
    format!("(SELECT to_timestamp(min(next)) FROM generate_series(begin.s + 1, begin.s + 61) AS next WHERE {fires})")
}

/// SQL for the second that a place names.
fn seconds(place: &str) -> String {
    format!("extract(epoch FROM (left({place}, 19) || 'Z')::timestamptz)::bigint")
}

fn set_paused(books: &Books, names: &[String], paused: bool) -> Result<()> {
    let names: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    if names.is_empty() {
        return Ok(());
    }
    let names = names.join(", ");
    let change = format!("UPDATE haul.schedule SET paused = {paused}, version = version + 1 WHERE name IN ({names})");
    books.sql(&change).map(drop)
}
