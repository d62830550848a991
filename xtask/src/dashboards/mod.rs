//! `cargo xtask dashboards`: does everything that dashboards and alerts ask for exist?
//!
//! Promise: every expression of every panel, rule and alert is put to a real Prometheus that watches the real platform
//! under load. None may be refused, none may stay empty or 0, whole or in any of its operands ([`questions::CALM`] has
//! the exceptions, each with its reason), none may name a metric, a label or a word that is not declared, and each
//! declared metric is in one of them. Expressions that are wrong on purpose are asked as well, and have to be found
//! ([`WRONG`]). Ends within four minutes. It will not judge what a panel looks like: no Grafana runs.

mod declared;
mod expressions;
mod fitness;
mod load;
mod parties;
mod platform;
mod promql;
mod questions;
mod selector;

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use haul_core::telemetry::METRICS;
use haul_testkit::http::Client;
use http::Request;
use serde_json::Value;

use self::{expressions::Expression, platform::Platform, questions::Question};
use crate::run::{cargo, run};
use crate::tools::{self, Tool};

const LIMIT: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// Expressions that somebody could have written by mistake, and that show a number all the same: some question of each
/// must stay open.
const WRONG: [&str; 3] = [
    "sum(haul_queue_jobs{queue=\"no-such-queue\"}) or vector(0)",
    "sum(rate(haul_http_requests_total{route=\"/v2/jobs\"}[5m])) or sum(haul_queues)",
    "(sum(haul_attempts_total{kind=\"no.such.kind\"}) or vector(0)) / sum(haul_attempts_total)",
];

/// Checks the files, and then asks.
pub(crate) fn check() -> Result<()> {
    tools::ensure(&[Tool::Postgres, Tool::Redis, Tool::Prometheus, Tool::Yaml])?;
    let asked = expressions::read()?;
    questions::no_idle_excuse(&questions::of(&asked)?)?;
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
        let mut open = questions::of(&asked)?;
        loop {
            let mut unseen = Vec::new();
            for question in open {
                let answered = answers(&prometheus, &question, begun.elapsed()).await;
                if !answered.with_context(|| question.place.clone())? {
                    unseen.push(question);
                }
            }
            open = unseen;
            if open.is_empty() {
                break;
            }
            if begun.elapsed() > LIMIT {
                let line = |it: &Question| format!("\n  {}: {} {:?}", it.place, it.text, it.legend);
                let lines: String = open.iter().map(line).collect();
                bail!("nothing was seen above 0 of:{lines}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        wrong_ones_are_found(&prometheus, begun.elapsed()).await?;
        no_others(&prometheus).await
    };
    // On its own: who starts and stops servers blocks, and nobody is to wait for that with a question.
    let mut loading = tokio::spawn(async move { platform.load().await });
    tokio::select! {
        done = asking => done?,
        ended = &mut loading => {
            ended.context("the load panicked")?.context("the load failed")?;
            bail!("the load ended");
        }
    }
    loading.abort();
    println!(
        "xtask: each of {} expressions was seen above 0, part by part, after {} s",
        asked.len(),
        begun.elapsed().as_secs()
    );
    Ok(())
}

/// Whether there was anything to see of it since the platform was started.
async fn answers(prometheus: &Client, question: &Question, since: Duration) -> Result<bool> {
    #[expect(
        clippy::disallowed_methods,
        reason = "Prometheus is asked by the clock on the wall; nothing here is Haul's time"
    )]
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let form = format!("query={}&start={}&end={now}&step=1", encoded(&question.text), now - since.as_secs());
    let request = Request::post("/api/v1/query_range").header("content-type", "application/x-www-form-urlencoded");
    let answer = prometheus.send(request, form.into()).await?.json()?;
    ensure!(answer["status"] == "success", "{}: {}", question.text, answer["error"]);
    Ok(question.is_answered_by(answer["data"]["result"].as_array().context("no result")?))
}

/// The check finds what is wrong, also here and today.
async fn wrong_ones_are_found(prometheus: &Client, since: Duration) -> Result<()> {
    for text in WRONG {
        let place = "wrong on purpose".to_owned();
        let wrong = Expression { place, text: text.to_owned(), legend: Vec::new(), is_alert: false };
        let mut is_found = false;
        for question in questions::of(&[wrong])? {
            is_found |= !answers(prometheus, &question, since).await?;
        }
        ensure!(is_found, "{text} is wrong, and was not found");
    }
    Ok(())
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
