//! What is refused, and what its writer is told.

use haul_schedule::{Expression, ScheduleSpec};

const FIVE: &str = "5 (minute hour day-of-month month day-of-week)";
const UNKNOWN: &str =
    "holds what crontab(5) does not know; write numbers (or names of months and days), `*`, `,`, `-` and `/`";
const MISSING: &str = "a value is missing; write for example 5, 1-5, 1,3 or */2";
const DAYS: &str = "has a name that is none of SUN, MON, TUE, WED, THU, FRI and SAT";
const MONTHS: &str = "has a name that is none of JAN, FEB, MAR, APR, MAY, JUN, JUL, AUG, SEP, OCT, NOV and DEC";
const NO_NAMES: &str = "has a name that is none of those of months and days: this field has numbers only";
const NEVER: &str = "never fires: no month that it names has such a day; write for example \"0 0 28 2 *\"";
const NICKNAMES: &str = "is none of @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually";

#[test]
fn what_is_wrong_is_told_with_its_field_and_the_accepted_form() {
    let field = |field: &str, problem: &str| format!("{field}: {problem}");
    let rows = [
        // Values out of range.
        ("60 * * * *", field("minute", "60 is out of range; write 0 to 59")),
        ("* 24 * * *", field("hour", "24 is out of range; write 0 to 23")),
        ("* * 0 * *", field("day-of-month", "0 is out of range; write 1 to 31")),
        ("* * 32 * *", field("day-of-month", "32 is out of range; write 1 to 31")),
        ("* * * 0 *", field("month", "0 is out of range; write 1 to 12")),
        ("* * * 13 *", field("month", "13 is out of range; write 1 to 12")),
        ("* * * * 8", field("day-of-week", "8 is out of range; write 0 to 7")),
        ("0-60 * * * *", field("minute", "60 is out of range; write 0 to 59")),
        ("60-61 * * * *", field("minute", "60 is out of range; write 0 to 59")),
        ("1,2,99 * * * *", field("minute", "99 is out of range; write 0 to 59")),
        ("256 * * * *", field("minute", "256 is out of range; write 0 to 59")),
        ("4294967296 * * * *", field("minute", "4294967296 is out of range; write 0 to 59")),
        ("99999999999999999999999 * * * *", field("minute", "18446744073709551615 is out of range; write 0 to 59")),
        // Steps.
        ("*/0 * * * *", field("minute", "a step of 0 goes nowhere; write a step of 1 to 59")),
        ("*/60 * * * *", field("minute", "a step of 60 is past its range at once; write a step of 1 to 59")),
        ("* */24 * * *", field("hour", "a step of 24 is past its range at once; write a step of 1 to 23")),
        ("* * */31 * *", field("day-of-month", "a step of 31 is past its range at once; write a step of 1 to 30")),
        ("* * * */12 *", field("month", "a step of 12 is past its range at once; write a step of 1 to 11")),
        ("* * * * */8", field("day-of-week", "a step of 8 is past its range at once; write a step of 1 to 7")),
        ("10-20/11 * * * *", field("minute", "a step of 11 is past its range at once; write a step of 1 to 10")),
        ("5-5/2 * * * *", field("minute", "a step of 2 is past its range at once; write a step of 1 to 1")),
        ("5/15 * * * *", field("minute", "a step needs a range; write 5-59/15")),
        ("* * * * MON/2", field("day-of-week", "a step needs a range; write 1-7/2")),
        ("*/ * * * *", field("minute", MISSING)),
        ("/5 * * * *", field("minute", MISSING)),
        ("*/5/5 * * * *", field("minute", UNKNOWN)),
        ("*/x * * * *", field("minute", UNKNOWN)),
        ("*/-5 * * * *", field("minute", UNKNOWN)),
        ("*/1.5 * * * *", field("minute", UNKNOWN)),
        // Ranges.
        ("5-1 * * * *", field("minute", "the range 5-1 runs backwards; write 5-59,0-1")),
        ("* 22-6 * * *", field("hour", "the range 22-6 runs backwards; write 22-23,0-6")),
        ("* * * nov-feb *", field("month", "the range 11-2 runs backwards; write 11-12,1-2")),
        ("* * * * fri-mon", field("day-of-week", "the range 5-1 runs backwards; write 5-7,0-1")),
        ("* * * * 6-0", field("day-of-week", "the range 6-0 runs backwards; write 6-7,0-0")),
        ("1- * * * *", field("minute", MISSING)),
        ("-1 * * * *", field("minute", MISSING)),
        ("- * * * *", field("minute", MISSING)),
        ("1-2-3 * * * *", field("minute", UNKNOWN)),
        ("*-5 * * * *", field("minute", UNKNOWN)),
        ("1-* * * * *", field("minute", UNKNOWN)),
        // Lists.
        (", * * * *", field("minute", MISSING)),
        ("1, * * * *", field("minute", MISSING)),
        (",1 * * * *", field("minute", MISSING)),
        ("1,,2 * * * *", field("minute", MISSING)),
        // Names.
        ("* * * * MONDAY", field("day-of-week", DAYS)),
        ("* * * * JAN", field("day-of-week", DAYS)),
        ("* * * MON *", field("month", MONTHS)),
        ("* * * january *", field("month", MONTHS)),
        ("JAN * * * *", field("minute", NO_NAMES)),
        ("x * * * *", field("minute", NO_NAMES)),
        // Other crons.
        ("* * ? * *", field("day-of-month", "`?` is not part of crontab(5); write `*`")),
        ("* * * * ?", field("day-of-week", "`?` is not part of crontab(5); write `*`")),
        ("* * L * *", field("day-of-month", NO_NAMES)),
        ("* * 15W * *", field("day-of-month", UNKNOWN)),
        ("* * * * 5#2", field("day-of-week", UNKNOWN)),
        ("* * * * 5L", field("day-of-week", UNKNOWN)),
        ("H * * * *", field("minute", NO_NAMES)),
        ("0~59 * * * *", field("minute", UNKNOWN)),
        ("** * * * *", field("minute", UNKNOWN)),
        ("*5 * * * *", field("minute", UNKNOWN)),
        ("+5 * * * *", field("minute", UNKNOWN)),
        ("0x5 * * * *", field("minute", UNKNOWN)),
        ("\u{661} * * * *", field("minute", UNKNOWN)),
        ("5;DROP * * * *", field("minute", UNKNOWN)),
        ("5\n * * * *", field("minute", UNKNOWN)),
        ("5\0 * * * *", field("minute", UNKNOWN)),
        ("CRON_TZ=UTC 0 2 * * *", "has a time zone in front; write it as \"timezone\": \"Europe/London\"".into()),
        ("TZ=UTC 0 2 * * *", "has a time zone in front; write it as \"timezone\": \"Europe/London\"".into()),
        ("@reboot", "@reboot is not a time: schedules outlive every restart; use @hourly, @daily, @weekly, @monthly or @yearly".into()),
        ("@every 90s", "@every is not part of crontab(5); leave the expression out and write \"every\": \"90s\"".into()),
        ("@fortnightly", NICKNAMES.into()),
        ("@", NICKNAMES.into()),
        ("@daily @hourly", NICKNAMES.into()),
        // The number of fields.
        ("", "is empty; write five fields such as \"0 2 * * *\", or @daily".into()),
        (" \t ", "is empty; write five fields such as \"0 2 * * *\", or @daily".into()),
        ("*", format!("has 1 field(s); write {FIVE}")),
        ("* * * *", format!("has 4 field(s); write {FIVE}")),
        ("* * * * * * *", format!("has 7 field(s); write {FIVE}")),
        ("0 * * * * *", "has 6 fields; write 5 (minute hour day-of-month month day-of-week), or ask for seconds in front with \"seconds\": true".into()),
        ("* * * * *\n* * * * *", format!("has 9 field(s); write {FIVE}")),
        // Never.
        ("0 0 31 2 *", NEVER.into()),
        ("0 0 30 feb *", NEVER.into()),
        ("0 0 31 2,4,6,9,11 *", NEVER.into()),
        ("0 0 31 2 */7", NEVER.into()),
    ];
    for (text, expected) in rows {
        let error = Expression::parse(text, false).expect_err(text);
        assert_eq!(error.to_string(), expected, "{text:?}");
    }
}

#[test]
fn with_seconds_six_fields_are_needed() {
    let rows = [
        (
            "* * * * *",
            "has 5 field(s); write 6 with \"seconds\": true (second minute hour day-of-month month day-of-week)",
        ),
        (
            "* * * * * * *",
            "has 7 field(s); write 6 with \"seconds\": true (second minute hour day-of-month month day-of-week)",
        ),
        ("60 * * * * *", "second: 60 is out of range; write 0 to 59"),
        ("*/60 * * * * *", "second: a step of 60 is past its range at once; write a step of 1 to 59"),
        ("0 60 * * * *", "minute: 60 is out of range; write 0 to 59"),
        ("0 0 0 31 2 *", NEVER),
        ("", "is empty; write five fields such as \"0 2 * * *\", or @daily"),
    ];
    for (text, expected) in rows {
        assert_eq!(Expression::parse(text, true).expect_err(text).to_string(), expected, "{text:?}");
    }
}

#[test]
fn what_is_long_is_refused_unread() {
    let text = format!("{} * * * *", vec!["1"; 300].join(","));
    assert_eq!(Expression::parse(&text, false).unwrap_err().to_string(), "has 607 bytes, at most 512 are allowed");
    let every_minute = (0..60).map(|minute| minute.to_string()).collect::<Vec<_>>().join(",");
    Expression::parse(&format!("{every_minute} {every_minute} 0 * * *"), true).unwrap();
}

#[test]
fn what_a_zone_always_leaves_out_never_fires() {
    // Clocks in London go forward over 01:30 whenever 31 March is a Sunday.
    let mut spec = ScheduleSpec::cron("30 1 31 3 */7", "Europe/London");
    spec.validate().unwrap();
    spec.dst = Some(haul_schedule::DstSpec { gap: Some(haul_schedule::Gap::Skip), overlap: None });
    assert_eq!(spec.validate().unwrap_err().to_string(), "/cron: leaves no tick: the schedule would never fire");
}
