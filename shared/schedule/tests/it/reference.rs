//! The reference: fields tested by their definition, over every minute (or second) that a wall clock shows.
//!
//! It shares nothing with the crate but the direction in which chrono-tz cannot be misread, from UTC to local time: no
//! search, no table of transitions, no parser.

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use haul_schedule::{Dst, Gap, Repeat};

/// One item of a field's list.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    Any { step: Option<u32> },
    Value(u32),
    Range { from: u32, to: u32, step: Option<u32> },
}

impl Item {
    fn text(&self) -> String {
        let with = |text: String, step: &Option<u32>| match step {
            Some(step) => format!("{text}/{step}"),
            None => text,
        };
        match self {
            Self::Any { step } => with("*".into(), step),
            Self::Value(value) => value.to_string(),
            Self::Range { from, to, step } => with(format!("{from}-{to}"), step),
        }
    }

    fn holds(&self, value: u32, min: u32) -> bool {
        match *self {
            Self::Any { step } => (value - min).is_multiple_of(step.unwrap_or(1)),
            Self::Value(only) => value == only,
            Self::Range { from, to, step } => {
                (from..=to).contains(&value) && (value - from).is_multiple_of(step.unwrap_or(1))
            }
        }
    }
}

/// A field: its list, and the lowest value it may have.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) items: Vec<Item>,
    pub(crate) min: u32,
}

impl Field {
    fn text(&self) -> String {
        self.items.iter().map(Item::text).collect::<Vec<_>>().join(",")
    }
    fn holds(&self, value: u32) -> bool {
        self.items.iter().any(|item| item.holds(value, self.min))
    }
    fn restricted(&self) -> bool {
        !matches!(self.items[0], Item::Any { .. })
    }
}

/// An expression by its definition. Fields: minute, hour, day-of-month, month, day-of-week.
#[derive(Debug, Clone)]
pub(crate) struct Definition {
    pub(crate) second: Option<Field>,
    pub(crate) fields: [Field; 5],
}

impl Definition {
    pub(crate) fn text(&self) -> String {
        let fields = self.second.iter().chain(&self.fields).map(Field::text);
        fields.collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn holds(&self, local: NaiveDateTime) -> bool {
        let [minute, hour, day_of_month, month, day_of_week] = &self.fields;
        let second = match &self.second {
            Some(second) => second.holds(local.second()),
            None => local.second() == 0,
        };
        if !(second && minute.holds(local.minute()) && hour.holds(local.hour()) && month.holds(local.month())) {
            return false;
        }
        let weekday = local.weekday().num_days_from_sunday();
        let on_day = day_of_month.holds(local.day());
        let on_weekday = day_of_week.holds(weekday) || weekday == 0 && day_of_week.holds(7);
        let either = day_of_month.restricted() && day_of_week.restricted();
        if either { on_day || on_weekday } else { on_day && on_weekday }
    }

    /// Reads the subset of the grammar that the tables use. Not how the crate does it: no checks, no names.
    pub(crate) fn read(text: &str) -> Self {
        let field = |(text, min): (&str, u32)| Field { items: text.split(',').map(item).collect(), min };
        let fields: Vec<Field> = text.split(' ').zip([0, 0, 1, 1, 0]).map(field).collect();
        Self { second: None, fields: fields.try_into().expect("five fields") }
    }
}

fn item(text: &str) -> Item {
    let number = |text: &str| text.parse().expect("a number");
    let (range, step) = match text.split_once('/') {
        Some((range, step)) => (range, Some(number(step))),
        None => (text, None),
    };
    match range.split_once('-') {
        _ if range == "*" => Item::Any { step },
        Some((from, to)) => Item::Range { from: number(from), to: number(to), step },
        None => Item::Value(number(range)),
    }
}

/// What a wall clock shows at one instant.
struct Moment {
    at: DateTime<Utc>,
    shows: NaiveDateTime,
    /// It showed that before.
    again: bool,
    /// It will show that again.
    comes_again: bool,
    /// What it left out just before: from here to `shows`.
    left_out_from: Option<NaiveDateTime>,
}

/// A wall clock over a range of time.
pub(crate) struct Clock {
    zone: Tz,
    step: TimeDelta,
    moments: Vec<Moment>,
}

impl Clock {
    /// Looks at the clock every `step_seconds` of `from..to`, and for a day on both sides to know what comes twice.
    pub(crate) fn watch(zone: Tz, from: DateTime<Utc>, to: DateTime<Utc>, step_seconds: i64) -> Self {
        let (day, step) = (TimeDelta::hours(26), TimeDelta::seconds(step_seconds));
        let mut moments = Vec::new();
        let mut at = from - day;
        let mut latest = NaiveDateTime::MIN;
        while at < to + day {
            let shows = zone.from_utc_datetime(&at.naive_utc()).naive_local();
            let left_out_from = (latest != NaiveDateTime::MIN && shows > latest + step).then(|| latest + step);
            moments.push(Moment { at, shows, again: shows <= latest, comes_again: false, left_out_from });
            latest = latest.max(shows);
            at += step;
        }
        let mut earliest = NaiveDateTime::MAX;
        for moment in moments.iter_mut().rev() {
            moment.comes_again = earliest <= moment.shows;
            earliest = earliest.min(moment.shows);
        }
        moments.retain(|moment| from <= moment.at && moment.at < to);
        Self { zone, step, moments }
    }

    /// The names and instants of all ticks, oldest first, under each of the policies.
    pub(crate) fn ticks(&self, definition: &Definition, policies: &[Dst]) -> Vec<Vec<(String, String)>> {
        let mut ticks = vec![Vec::new(); policies.len()];
        for moment in &self.moments {
            let holds = definition.holds(moment.shows);
            let swallowed =
                moment.left_out_from.filter(|_| !holds).and_then(|from| self.last(definition, from, moment));
            if !holds && swallowed.is_none() {
                continue;
            }
            for (dst, ticks) in policies.iter().zip(&mut ticks) {
                let fires = match dst.overlap {
                    Repeat::First => !moment.again,
                    Repeat::Second => !moment.comes_again,
                    Repeat::Both => true,
                };
                let named = |local: NaiveDateTime, fold: &str| {
                    let name = format!("{}[{}]{fold}", local.format("%Y-%m-%dT%H:%M:%S"), self.zone);
                    (name, moment.at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
                };
                match swallowed {
                    Some(local) if dst.gap == Gap::RunOnceAfter => ticks.push(named(local, "")),
                    _ if holds && fires => ticks.push(named(moment.shows, if moment.again { "+fold" } else { "" })),
                    _ => {}
                }
            }
        }
        ticks
    }

    /// The last time of the definition that the clock left out before `moment`.
    fn last(&self, definition: &Definition, from: NaiveDateTime, moment: &Moment) -> Option<NaiveDateTime> {
        let mut local = moment.shows - self.step;
        while local >= from {
            if definition.holds(local) {
                return Some(local);
            }
            local -= self.step;
        }
        None
    }
}
