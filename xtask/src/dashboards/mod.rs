//! `cargo xtask dashboards`: does everything that dashboards and alerts ask for exist?
//!
//! Promise: every expression of every panel, rule and alert is put to a real Prometheus that watches the real platform under load.
//! None may be refused, none may stay empty ([`QUIET`] has the exceptions, each with its reason), none may name what is not declared, and
//! each declared metric is in one of them. An alert's expression is empty while all is well: there each metric that it names has to be
//! there, with its matchers. Ends within three minutes. It will not judge what a panel looks like: no Grafana runs.

mod expressions;
mod platform;
mod promql;

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use haul_core::telemetry::METRICS;
use haul_testkit::http::Client;
use http::Request;
use serde_json::Value;

use self::{expressions::Expression, platform::Platform};
use crate::run::{cargo, run};
use crate::tools::{self, Tool};

const LIMIT: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Metrics of which there may be nothing to see, and why.
const QUIET: [(&str, &str); 1] = [(
    "haul_stale_records_total",
    "whoever lost a lease notices before it records, but for a moment that no load meets for sure",
)];

/// Checks the files, and then asks.
pub(crate) fn check() -> Result<()> {
    tools::ensure(&[Tool::Postgres, Tool::Redis, Tool::Prometheus, Tool::Yaml])?;
    let asked = expressions::read()?;
    println!("xtask: {} expressions; building haul, to have something to ask about", asked.len());
    run(cargo().args(["build", "--quiet", "--package", "haul-cli"]))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(ask(asked))
}

/// Puts all of them to Prometheus, again and again, until each has an answer.
async fn ask(asked: Vec<Expression>) -> Result<()> {
    let begun = Instant::now();
    let mut platform = Platform::start().await?;
    let prometheus = platform.prometheus();
    println!("xtask: the platform runs, and is put under load");
    let asking = async {
        let mut open = questions(&asked)?;
        loop {
            let mut empty = Vec::new();
            for question in open {
                let answered = answers(&prometheus, &question, begun.elapsed()).await;
                if !answered.with_context(|| question.place.clone())? {
                    empty.push(question);
                }
            }
            open = empty;
            if open.is_empty() {
                break;
            }
            if begun.elapsed() > LIMIT {
                let lines: Vec<_> =
                    open.iter().map(|it| format!("\n  {}: {} {:?}", it.place, it.text, it.legend)).collect();
                bail!("nothing was seen of:{}", lines.concat());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        no_others(&prometheus).await
    };
    tokio::select! {
        done = asking => done?,
        ended = platform.load() => bail!("the load ended: {ended:?}"),
    }
    println!("xtask: each of {} expressions was answered, after {} s", asked.len(), begun.elapsed().as_secs());
    Ok(())
}

/// What has to have an answer: the expressions, and in place of alerts what they name.
fn questions(asked: &[Expression]) -> Result<Vec<Expression>> {
    let mut questions = Vec::new();
    for expression in asked {
        let selectors = promql::named(&expression.text)?.selectors;
        let is_quiet = |name: &str| QUIET.iter().any(|(quiet, _)| *quiet == name);
        if expression.is_alert {
            let loud = selectors.into_iter().filter(|selector| !is_quiet(&selector.name));
            questions.extend(loud.map(|selector| Expression { text: selector.text, ..expression.clone() }));
        } else if !selectors.iter().all(|selector| is_quiet(&selector.name)) {
            questions.push(expression.clone());
        }
    }
    Ok(questions)
}

/// Whether there was anything to see of it since the platform was started: a number, under all labels of its legend.
async fn answers(prometheus: &Client, question: &Expression, since: Duration) -> Result<bool> {
    #[expect(
        clippy::disallowed_methods,
        reason = "Prometheus is asked by the clock on the wall; nothing here is Haul's time"
    )]
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let form = format!("query={}&start={}&end={now}&step=1", encoded(&question.text), now - since.as_secs());
    let request = Request::post("/api/v1/query_range").header("content-type", "application/x-www-form-urlencoded");
    let answer = prometheus.send(request, form.into()).await?.json()?;
    ensure!(answer["status"] == "success", "{}: {}", question.text, answer["error"]);
    let series = answer["data"]["result"].as_array().context("no result")?;
    let is_named = |one: &&Value| question.legend.iter().all(|label| one["metric"][label].is_string());
    let values = series.iter().filter(is_named).flat_map(|one| one["values"].as_array().into_iter().flatten());
    Ok(values.map(|value| &value[1]).any(|value| value != "NaN"))
}

/// Every rule is evaluated without an error, and nobody shows what is not declared.
async fn no_others(prometheus: &Client) -> Result<()> {
    let rules = prometheus.get("/api/v1/rules").await?.json()?;
    for group in rules["data"]["groups"].as_array().context("no rules")? {
        for rule in group["rules"].as_array().into_iter().flatten() {
            ensure!(rule["health"] == "ok", "{}: {}", rule["name"], rule["lastError"]);
        }
    }
    let names = prometheus.get("/api/v1/label/__name__/values").await?.json()?;
    let bare = |name: &str| {
        let stem = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        METRICS.iter().any(|metric| metric.name == name || Some(metric.name) == stem)
    };
    let names = names["data"].as_array().context("no names")?.iter().filter_map(Value::as_str);
    let unknown: BTreeSet<_> =
        names.filter(|name| (name.starts_with("haul_") || name.starts_with("process_")) && !bare(name)).collect();
    ensure!(unknown.is_empty(), "shown, and declared nowhere: {unknown:?}");
    Ok(())
}

/// As a value of a form.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
