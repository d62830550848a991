//! How schedules are written: forms, defaults, and every mistake with its place.

use haul_schedule::{Overlap, ScheduleSpec, SpecErrors};

fn read(json: &str) -> Result<ScheduleSpec, serde_json::Error> {
    serde_json::from_str(json)
}

fn errors(json: &str) -> Vec<String> {
    let SpecErrors(errors) = read(json).unwrap_or_else(|error| panic!("{json}: {error}")).validate().expect_err(json);
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn everything_can_be_said_and_comes_back_as_it_was() {
    let json = r#"{"cron":"0 2 * * mon-fri","seconds":false,"timezone":"Europe/London",
        "dst":{"gap":"skip","overlap":"both"},"missed":{"policy":"all","max":10,"max_age":"6h"},"overlap":"queue",
        "jitter":"5m","start_at":"2026-01-01T00:00:00.000Z","end_at":"2027-01-01T00:00:00.000Z","max_runs":7}"#;
    let spec = read(json).unwrap();
    let schedule = spec.validate().unwrap();
    assert_eq!(schedule.overlap(), Overlap::Queue);
    let compact: String = json.split("\n").map(str::trim).collect();
    assert_eq!(serde_json::to_string(&spec).unwrap(), compact);
    assert_eq!(read(&compact).unwrap(), spec);
    for word in ["allow", "skip", "queue"] {
        let overlap: Overlap = word.parse().unwrap();
        assert_eq!(serde_json::to_string(&overlap).unwrap(), format!("{word:?}"));
    }
}

#[test]
fn what_is_not_said_is_not_written() {
    for json in [r#"{"cron":"@daily"}"#, r#"{"every":"1m 30s"}"#, r#"{"cron":"@daily","missed":{"policy":"skip"}}"#] {
        let spec = read(json).unwrap();
        spec.validate().unwrap();
        assert_eq!(serde_json::to_string(&spec).unwrap(), json);
    }
    assert_eq!(read(r#"{"cron":"@daily","jitter":null}"#).unwrap(), read(r#"{"cron":"@daily"}"#).unwrap());
}

#[test]
fn a_file_says_the_same() {
    let toml = r#"
        cron = "0 2 * * mon-fri"
        timezone = "Europe/London"
        dst = { gap = "skip", overlap = "second" }
        missed = { policy = "all", max = 10, max_age = "6h" }
        overlap = "skip"
        jitter = "5m"
    "#;
    toml::from_str::<ScheduleSpec>(toml).unwrap().validate().unwrap();
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let rows: &[(&str, &[&str])] = &[
        ("{}", &["/cron: is missing; write \"cron\" or \"every\""]),
        (r#"{"cron":"@daily","every":"1h"}"#, &["/every: cannot stand beside \"cron\"; write one of them"]),
        (r#"{"cron":"60 * * * *"}"#, &["/cron: minute: 60 is out of range; write 0 to 59"]),
        (
            r#"{"cron":"* * * * * *"}"#,
            &[
                "/cron: has 6 fields; write 5 (minute hour day-of-month month day-of-week), or ask for seconds in front with \"seconds\": true",
            ],
        ),
        (
            r#"{"cron":"* * * * *","seconds":true}"#,
            &[
                "/cron: has 5 field(s); write 6 with \"seconds\": true (second minute hour day-of-month month day-of-week)",
            ],
        ),
        (
            r#"{"cron":"0 0 31 2 *"}"#,
            &["/cron: never fires: no month that it names has such a day; write for example \"0 0 28 2 *\""],
        ),
        (
            r#"{"cron":"@daily","timezone":"Mars/Olympus"}"#,
            &["/timezone: is not an IANA time zone; write for example \"Europe/London\" or \"UTC\""],
        ),
        (
            r#"{"cron":"@daily","timezone":""}"#,
            &["/timezone: is not an IANA time zone; write for example \"Europe/London\" or \"UTC\""],
        ),
        (
            r#"{"cron":"@daily","timezone":"+01:00"}"#,
            &["/timezone: is not an IANA time zone; write for example \"Europe/London\" or \"UTC\""],
        ),
        (r#"{"every":"500ms"}"#, &["/every: must be whole seconds, from \"1s\" to \"366days\""]),
        (r#"{"every":"0s"}"#, &["/every: must be whole seconds, from \"1s\" to \"366days\""]),
        (
            r#"{"every":"1h","seconds":false}"#,
            &["/seconds: belongs to \"cron\"; intervals are counted in UTC, whatever clocks show"],
        ),
        (
            r#"{"every":"1h","timezone":"UTC"}"#,
            &["/timezone: belongs to \"cron\"; intervals are counted in UTC, whatever clocks show"],
        ),
        (
            r#"{"every":"1h","dst":{}}"#,
            &["/dst: belongs to \"cron\"; intervals are counted in UTC, whatever clocks show"],
        ),
        (r#"{"every":"1h","missed":{"policy":"all","max":0}}"#, &["/missed/max: must be 1 to 1000"]),
        (r#"{"every":"1h","missed":{"policy":"all","max":1001}}"#, &["/missed/max: must be 1 to 1000"]),
        (r#"{"every":"1h","missed":{"policy":"last","max":5}}"#, &["/missed/max: belongs to the policy `all`"]),
        (
            r#"{"every":"1h","missed":{"policy":"skip","max_age":"1h"}}"#,
            &["/missed/max_age: belongs to the policies `last` and `all`"],
        ),
        (
            r#"{"every":"1h","missed":{"policy":"last","max_age":"59s"}}"#,
            &["/missed/max_age: must be at least 1m: younger ticks are not missed yet"],
        ),
        (r#"{"every":"1h","jitter":"25h"}"#, &["/jitter: must be at most 1day"]),
        (r#"{"every":"1h","max_runs":0}"#, &["/max_runs: must be at least 1"]),
        (
            r#"{"every":"1h","start_at":"2026-01-02T00:00:00Z","end_at":"2026-01-02T00:00:00Z"}"#,
            &["/end_at: must be after \"start_at\""],
        ),
        (
            r#"{"cron":"0 0 1 6 *","start_at":"2026-01-02T00:00:00Z","end_at":"2026-05-02T00:00:00Z"}"#,
            &["/end_at: leaves no tick: the schedule would never fire"],
        ),
        (
            r#"{"every":"1h","end_at":"2025-05-02T00:00:00Z"}"#,
            &["/end_at: leaves no tick: the schedule would never fire"],
        ),
        (
            r#"{"cron":"@daily","start_at":"2150-01-02T00:00:00Z"}"#,
            &["/start_at: leaves no tick: the schedule would never fire"],
        ),
        (
            r#"{"cron":"x","timezone":"y","jitter":"2days","max_runs":0,"missed":{"policy":"skip","max":0}}"#,
            &[
                "/cron: has 1 field(s); write 5 (minute hour day-of-month month day-of-week)",
                "/timezone: is not an IANA time zone; write for example \"Europe/London\" or \"UTC\"",
                "/missed/max: belongs to the policy `all`",
                "/missed/max: must be 1 to 1000",
                "/jitter: must be at most 1day",
                "/max_runs: must be at least 1",
            ],
        ),
    ];
    for (json, expected) in rows {
        assert_eq!(errors(json), *expected, "{json}");
    }
}

#[test]
fn what_is_no_spec_at_all_is_refused_by_its_form() {
    for (json, expected) in [
        (r#"{"crom":"@daily"}"#, "unknown field `crom`"),
        (r#"{"cron":"@daily","dst":{"fold":"first"}}"#, "unknown field `fold`"),
        (r#"{"cron":"@daily","missed":{"policy":"all","cap":3}}"#, "unknown field `cap`"),
        (r#"{"cron":"@daily","missed":{}}"#, "missing field `policy`"),
        (r#"{"cron":"@daily","missed":{"policy":"some"}}"#, "must be one of `skip` `last` `all`"),
        (r#"{"cron":"@daily","missed":{"policy":"Skip"}}"#, "must be one of `skip` `last` `all`"),
        (r#"{"cron":"@daily","dst":{"gap":"run"}}"#, "must be one of `skip` `run_once_after`"),
        (r#"{"cron":"@daily","dst":{"overlap":"twice"}}"#, "must be one of `first` `second` `both`"),
        (r#"{"cron":"@daily","overlap":"deny"}"#, "must be one of `allow` `skip` `queue`"),
        (r#"{"cron":5}"#, "invalid type"),
        (r#"{"every":90}"#, "invalid type"),
        (r#"{"every":"90"}"#, "is not a duration"),
        (r#"{"every":"-1s"}"#, "is not a duration"),
        (r#"{"cron":"@daily","seconds":"yes"}"#, "invalid type"),
        (r#"{"cron":"@daily","start_at":"tomorrow"}"#, "is not an RFC 3339 time"),
        (r#"{"cron":"@daily","start_at":"2026-01-01T00:00:00"}"#, "is not an RFC 3339 time"),
        (r#"{"cron":"@daily","max_runs":-1}"#, "invalid value"),
        (r#"{"cron":"@daily","max_runs":1.5}"#, "invalid type"),
        (r#"{"cron":"@daily","cron":"@hourly"}"#, "duplicate field `cron`"),
    ] {
        let error = read(json).expect_err(json).to_string();
        assert!(error.contains(expected), "{json}: {error}");
    }
}
