//! Versions of resources as HTTP sees them: `ETag` and `If-Match` (RFC 9110, sections 8.8.3 and 13.1.1).
//!
//! A tag is the version and the resource's id. The version alone would be true again for a schedule that was deleted and
//! created anew: whoever read the first could change the second.

use crate::{
    headers,
    problem::{Problem, ProblemType},
};
use haul_core::{endpoints::Endpoint, schedules::Schedule};
use http::{HeaderMap, HeaderValue, header};

/// What is changed by those who know its version.
pub(crate) trait Versioned {
    /// The word for it.
    const WORD: &'static str;
    /// What it is when somebody else was faster.
    const CHANGED: ProblemType;
    /// The tag of it as it is.
    fn tag(&self) -> String;
}

impl Versioned for Schedule {
    const WORD: &'static str = "schedule";
    const CHANGED: ProblemType = ProblemType::ScheduleChanged;
    fn tag(&self) -> String {
        format!("\"{}-{}\"", self.version, self.id.0.simple())
    }
}

impl Versioned for Endpoint {
    const WORD: &'static str = "endpoint";
    const CHANGED: ProblemType = ProblemType::EndpointChanged;
    fn tag(&self) -> String {
        format!("\"{}-{}\"", self.version, self.id.0.simple())
    }
}

/// The value of `ETag`.
pub(crate) fn header_value(resource: &impl Versioned) -> Result<HeaderValue, Problem> {
    HeaderValue::try_from(resource.tag()).map_err(Problem::internal)
}

/// What a request says of the version that it is about.
#[derive(Debug)]
pub(crate) enum Condition {
    /// `If-Match: *`: any version will do.
    Any,
    /// One of these tags.
    OneOf(String),
}

impl Condition {
    /// Reads `If-Match`; `None` when there is none.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let Some(text) = headers::one(headers, &header::IF_MATCH)? else { return Ok(None) };
        let text = text.trim();
        if text == "*" {
            return Ok(Some(Self::Any));
        }
        let is_tag = |tag: &str| {
            let tag = tag.strip_prefix("W/").unwrap_or(tag);
            tag.len() >= 2 && tag.starts_with('"') && tag.ends_with('"')
        };
        if !text.split(',').all(|tag| is_tag(tag.trim())) {
            let detail = "if-match must be * or what ETag said, with its quotes";
            return Err(Problem::new(ProblemType::InvalidHeader, detail));
        }
        Ok(Some(Self::OneOf(text.to_owned())))
    }

    /// Reads `If-Match` where a change must not go without.
    pub(crate) fn required(headers: &HeaderMap) -> Result<Self, Problem> {
        Self::read(headers)?.ok_or_else(|| {
            let detail = "a change needs If-Match with the ETag of what it is a change of";
            Problem::new(ProblemType::PreconditionRequired, detail)
        })
    }

    /// Refuses what is not as the request thinks. A weak tag (`W/"..."`) never matches.
    pub(crate) fn check<R: Versioned>(&self, resource: &R) -> Result<(), Problem> {
        let current = resource.tag();
        let matches = match self {
            Self::Any => true,
            Self::OneOf(tags) => tags.split(',').any(|tag| tag.trim() == current),
        };
        if matches { Ok(()) } else { Err(changed::<R>()) }
    }
}

/// Somebody was faster.
pub(crate) fn changed<R: Versioned>() -> Problem {
    Problem::new(R::CHANGED, format!("the {} was changed since it was read; nothing was done", R::WORD))
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul_core::{
        ScheduleName, Tenant, Timestamp,
        schedules::{Definition, Position, ScheduleId, ScheduleRef},
    };

    fn schedule(version: i64) -> Schedule {
        Schedule {
            id: ScheduleId(uuid::Uuid::from_u128(7)),
            key: ScheduleRef { tenant: Tenant::default(), name: ScheduleName::new("a").unwrap() },
            version,
            paused: false,
            definition: Definition { spec: String::new(), template: String::new(), source: None },
            position: Position { fired_through: String::new(), next_at: None },
            last_job: None,
            runs: 0,
            problem: None,
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
        }
    }

    fn read(value: &str) -> Result<Option<Condition>, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_MATCH, HeaderValue::from_str(value).unwrap());
        Condition::read(&headers)
    }

    #[test]
    fn only_the_version_that_was_read_matches() {
        let (old, new) = (schedule(1), schedule(2));
        let of_old = old.tag();
        for (value, matches) in [
            (of_old.clone(), true),
            (format!("\"x\" , {of_old}"), true),
            ("*".to_owned(), true),
            (format!("W/{of_old}"), false),
            (new.tag(), false),
            ("\"1\"".to_owned(), false),
        ] {
            assert_eq!(read(&value).unwrap().unwrap().check(&old).is_ok(), matches, "{value}");
        }
        let namesake = Schedule { id: ScheduleId(uuid::Uuid::from_u128(8)), ..schedule(1) };
        assert!(read(&of_old).unwrap().unwrap().check(&namesake).is_err(), "another schedule of the same name");
    }

    #[test]
    fn what_is_no_tag_is_refused() {
        for value in ["", "1", "\"", "\"1", "\"1\",", "*,\"1\"", "W/1"] {
            assert!(read(value).is_err(), "{value:?}");
        }
        assert!(Condition::read(&HeaderMap::new()).unwrap().is_none());
        assert!(Condition::required(&HeaderMap::new()).is_err());
    }
}
