//! Filter, cap and return, on logs that are written into memory.

use super::*;
use std::{io, thread};

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).expect("text")
    }
    fn count(&self, part: &str) -> usize {
        self.text().lines().filter(|line| line.contains(part)).count()
    }
}

fn logs(filter: &str, format: LogFormat) -> (Page, Dispatch, Arc<Logs>) {
    let page = Page::default();
    let writer = page.clone();
    let config = LogConfig { filter: filter.to_owned(), format };
    let (dispatch, logs) = Logs::new(&config, move || writer.clone(), false).expect("logs");
    (page, dispatch, logs)
}

#[test]
fn a_change_lets_more_through_from_then_on_and_a_bad_one_changes_nothing() {
    let (page, dispatch, logs) = logs("info", LogFormat::Json);
    dispatcher::with_default(&dispatch, || {
        tracing::debug!("one");
        let state = logs.set("debug, haul=trace", None).expect("set");
        assert_eq!((state.filter.as_str(), state.configured.as_str()), ("debug,haul=trace", "info"));
        tracing::debug!("two");
        assert!(matches!(logs.set("deubg", None), Err(LogRefusal::Directives(told)) if told.contains("`deubg`")));
        assert_eq!(logs.show().expect("a state"), state);
        tracing::debug!("three");
        assert_eq!(logs.reset().expect("reset").filter, "info");
        tracing::debug!("four");
    });
    assert_eq!(["one", "two", "three", "four"].map(|word| page.count(&format!("\"{word}\""))), [0, 1, 1, 0]);
    assert_eq!((page.count("what is logged was changed"), page.count("what is configured is logged again")), (1, 1));
}

#[test]
fn to_log_nothing_is_logged_and_so_is_the_end_of_it() {
    let (page, dispatch, logs) = logs("info", LogFormat::Pretty);
    dispatcher::with_default(&dispatch, || {
        logs.set("off", None).expect("set");
        tracing::error!("unheard");
        logs.set("info", None).expect("set");
    });
    assert_eq!((page.count("what is logged was changed"), page.count("unheard")), (2, 0), "{}", page.text());
}

#[tokio::test(start_paused = true)]
async fn what_was_changed_for_a_while_returns_by_itself_and_undoes_no_later_change() {
    let (page, dispatch, logs) = logs("info", LogFormat::Json);
    let _default = dispatcher::set_default(&dispatch);
    assert!(logs.set("debug", Some(Duration::from_secs(60))).expect("set").until.is_some());
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(logs.show().expect("a state").filter, "debug");
    // Later, and for longer: the first end means nothing any more.
    logs.set("trace", Some(Duration::from_secs(60))).expect("set");
    tokio::time::sleep(Duration::from_secs(45)).await;
    assert_eq!(logs.show().expect("a state").filter, "trace");
    tokio::time::sleep(Duration::from_secs(16)).await;
    let state = logs.show().expect("a state");
    assert_eq!((state.filter.as_str(), state.until), ("info", None));
    assert_eq!(page.count("its time is over"), 1);
    // Without an end it stays.
    logs.set("debug", Some(Duration::from_secs(60))).expect("set");
    logs.set("debug", None).expect("set");
    tokio::time::sleep(Duration::from_secs(100_000)).await;
    assert_eq!(logs.show().expect("a state").filter, "debug");
}

#[test]
fn a_program_with_a_subscriber_of_its_own_keeps_it() {
    dispatcher::set_global_default(Dispatch::new(tracing_subscriber::registry())).expect("the first");
    start_logging(&LogConfig { filter: "info".to_owned(), format: LogFormat::Json }).expect("no failure");
    let filter = log_filter();
    for answer in [filter.show(), filter.set("debug", None), filter.reset()] {
        assert_eq!(answer, Err(LogRefusal::Foreign));
    }
    assert_eq!(changed_filter(), None);
}

#[test]
fn changes_lose_no_line_that_both_filters_let_through() {
    const LINES: usize = 2_000;
    let (page, dispatch, logs) = logs("info", LogFormat::Json);
    let writing = thread::spawn({
        let dispatch = dispatch.clone();
        move || {
            dispatcher::with_default(&dispatch, || {
                for n in 0..LINES {
                    tracing::error_span!("attempt", job_id = n).in_scope(|| tracing::info!(n, "a line"));
                }
            });
        }
    });
    dispatcher::with_default(&dispatch, || {
        while !writing.is_finished() {
            logs.set("trace", None).expect("set");
            logs.set("info", None).expect("set");
        }
    });
    writing.join().expect("written");
    let (lines, named) = (page.count("\"a line\""), page.count("\"job_id\":"));
    assert_eq!((lines, named), (LINES, LINES), "every line is there, and names its span");
}

#[test]
fn others_say_no_more_than_info_whatever_the_filter_says() {
    for directives in ["trace", "lettre=trace,hyper_util=trace,sqlx=trace,haul=trace,info", "[attempt]=trace"] {
        let (page, dispatch, logs) = logs(directives, LogFormat::Json);
        let say = || {
            let _span = tracing::error_span!("attempt").entered();
            tracing::debug!(target: "lettre::transport::smtp", "Wrote: AUTH PLAIN hush");
            tracing::trace!(target: "hyper_util::client", "authorization: hush");
            tracing::trace!(target: "axum::rejection", body = "hush", "rejected");
            tracing::trace!(target: "opentelemetry-otlp", "hush");
            tracing::trace!(target: "sqlx::query", "hush");
            tracing::debug!(target: "sqlx_postgres::connection", "hush");
            tracing::trace!("of our own");
            tracing::debug!(target: "sqlx::query", "a statement");
            tracing::info!(target: "lettre", "connected");
        };
        dispatcher::with_default(&dispatch, || {
            say();
            logs.set("off", None).expect("set");
            logs.set("trace", None).expect("set");
            say();
        });
        assert_eq!(page.count("hush"), 0, "{}", page.text());
        assert!(["of our own", "a statement", "connected"].iter().all(|said| page.count(said) >= 1), "{}", page.text());
    }
}
