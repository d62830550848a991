//! Lists: newest first, every matching job exactly once, however the pages fall.

use super::stage::{Stage, ids, kind, queue, tenant};
use haul_core::{
    Job, JobId, JobOptions, Tenant,
    ledger::{Filter, StateFilter},
    outcome::{FinalState, JobRecord},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

const MINUTE: Duration = Duration::from_secs(60);

fn newest_first(jobs: &[Job]) -> Vec<JobId> {
    let mut ids = ids(jobs);
    ids.sort_by(|a, b| b.cmp(a));
    ids
}

fn tagged(job: Job, tags: &[(&str, &str)]) -> Job {
    let tags: BTreeMap<String, String> = tags.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Job { options: Arc::new(JobOptions { tags, ..JobOptions::default() }), ..job }
}

fn with_tag(name: &str, value: &str) -> Filter {
    Filter { tag: Some((name.to_owned(), value.to_owned())), ..Filter::default() }
}

pub async fn a_list_is_newest_first(stage: Stage) {
    let mut jobs = stage.jobs(3);
    jobs.extend([stage.job_ago(90 * MINUTE), stage.job_ago(1_500 * MINUTE), stage.job_ago(MINUTE)]);
    stage.accept(&jobs).await;
    let listed = stage.list(&Tenant::default(), &Filter::default(), 100).await;
    assert_eq!(listed.iter().map(JobRecord::id).collect::<Vec<_>>(), newest_first(&jobs));
    for record in &listed {
        let sent = jobs.iter().find(|job| job.id == record.id());
        assert_eq!(Some(&record.job), sent);
    }
    let empty = stage.list(&tenant("nobody"), &Filter::default(), 100).await;
    assert_eq!(empty, []);
}

pub async fn a_list_goes_on_before_its_cursor(stage: Stage) {
    let jobs = stage.jobs(5);
    stage.accept(&jobs).await;
    let page = stage.ledger.list(&Tenant::default(), &Filter::default(), Some(jobs[3].id), 100).await;
    let listed: Vec<JobId> = page.expect("jobs are listed").jobs.iter().map(JobRecord::id).collect();
    assert_eq!(listed, newest_first(&jobs[..3]), "the cursor's own job is not shown again");
}

pub async fn walking_a_list_meets_every_job_exactly_once(stage: Stage) {
    let mut jobs = stage.jobs(23);
    jobs.extend((0..40).map(|n| stage.job_ago(MINUTE * (n % 7) * 30)));
    stage.accept(&jobs).await;
    stage.succeed(&jobs[10..50]).await;
    for limit in [1, 2, 7, 62, 63, 64, 100] {
        let listed = stage.list(&Tenant::default(), &Filter::default(), limit).await;
        let listed: Vec<JobId> = listed.iter().map(JobRecord::id).collect();
        assert_eq!(listed, newest_first(&jobs), "in pages of {limit}");
        for (state, expected) in [
            (StateFilter::Final(FinalState::Succeeded), newest_first(&jobs[10..50])),
            (StateFilter::Unsettled, newest_first(&[&jobs[..10], &jobs[50..]].concat())),
        ] {
            let filter = Filter { state: Some(state), ..Filter::default() };
            let listed = stage.list(&Tenant::default(), &filter, limit).await;
            let listed: Vec<JobId> = listed.iter().map(JobRecord::id).collect();
            assert_eq!(listed, expected, "{state:?} in pages of {limit}");
        }
    }
}

pub async fn a_list_shows_nothing_of_other_tenants(stage: Stage) {
    let mut jobs = stage.jobs(6);
    for job in &mut jobs[..3] {
        job.tenant = tenant("theirs");
    }
    let jobs: Vec<Job> = jobs.into_iter().map(|job| tagged(job, &[("a", "b")])).collect();
    stage.accept(&jobs).await;
    stage.succeed(&[jobs[0].clone(), jobs[5].clone()]).await;
    let succeeded = Filter { state: Some(StateFilter::Final(FinalState::Succeeded)), ..Filter::default() };
    let unsettled = Filter { state: Some(StateFilter::Unsettled), ..Filter::default() };
    assert_eq!(stage.listed(&Filter::default()).await, newest_first(&jobs[3..]));
    assert_eq!(stage.listed(&with_tag("a", "b")).await, newest_first(&jobs[3..]));
    assert_eq!(stage.listed(&succeeded).await, [jobs[5].id]);
    assert_eq!(stage.listed(&unsettled).await, newest_first(&jobs[3..5]));
}

pub async fn a_list_is_filtered_by_queue_and_kind(stage: Stage) {
    let mut jobs = stage.jobs(4);
    jobs[0].queue = queue("mail");
    jobs[1].queue = queue("Mail");
    jobs[1].kind = kind("send");
    jobs[2].kind = kind("send");
    stage.accept(&jobs).await;
    let by_queue = Filter { queue: Some(queue("mail")), ..Filter::default() };
    assert_eq!(stage.listed(&by_queue).await, [jobs[0].id]);
    let by_kind = Filter { kind: Some(kind("send")), ..Filter::default() };
    assert_eq!(stage.listed(&by_kind).await, newest_first(&jobs[1..3]));
    let none = Filter { kind: Some(kind("unheard-of")), ..Filter::default() };
    assert_eq!(stage.listed(&none).await, []);
}

pub async fn a_list_is_filtered_by_tag(stage: Stage) {
    let jobs = [
        tagged(stage.job(), &[("order", "7"), ("region", "eu")]),
        tagged(stage.job(), &[("order", "77")]),
        tagged(stage.job(), &[("region", "7")]),
        tagged(stage.job(), &[("or\"der'", "a\u{0}\\b"), ("%", "_")]),
        stage.job(),
    ];
    stage.accept(&jobs).await;
    assert_eq!(stage.listed(&with_tag("order", "7")).await, [jobs[0].id]);
    assert_eq!(stage.listed(&with_tag("region", "7")).await, [jobs[2].id]);
    assert_eq!(stage.listed(&with_tag("or\"der'", "a\u{0}\\b")).await, [jobs[3].id]);
    assert_eq!(stage.listed(&with_tag("%", "_")).await, [jobs[3].id]);
    assert_eq!(stage.listed(&with_tag("order", "")).await, []);
    assert_eq!(stage.listed(&with_tag("", "7")).await, []);
}

pub async fn a_list_is_filtered_by_state(stage: Stage) {
    let jobs = stage.jobs(6);
    stage.accept(&jobs).await;
    let records = [
        stage.success(&jobs[0], 1),
        stage.death(&jobs[1], 1),
        stage.failure(&jobs[2], 1),
        stage.failure(&jobs[3], 1),
        stage.success(&jobs[3], 2),
    ];
    stage.record(&records).await;
    stage.ledger.cancel(&Tenant::default(), &[jobs[4].id], stage.begun).await.expect("a job is cancelled");
    for (state, expected) in [
        (StateFilter::Final(FinalState::Succeeded), vec![jobs[3].id, jobs[0].id]),
        (StateFilter::Final(FinalState::Dead), vec![jobs[1].id]),
        (StateFilter::Final(FinalState::Cancelled), vec![jobs[4].id]),
        (StateFilter::Unsettled, vec![jobs[5].id, jobs[2].id]),
    ] {
        let filter = Filter { state: Some(state), ..Filter::default() };
        assert_eq!(stage.listed(&filter).await, expected, "{state:?}");
    }
}

pub async fn a_list_is_filtered_by_time_of_acceptance(stage: Stage) {
    let jobs = [4, 3, 2, 1].map(|minutes| stage.job_ago(minutes * MINUTE));
    stage.accept(&jobs).await;
    stage.succeed(&jobs[1..3]).await;
    let (from, before) = (Some(jobs[1].created_at()), Some(jobs[3].created_at()));
    let range = Filter { created_from: from, created_before: before, ..Filter::default() };
    assert_eq!(stage.listed(&range).await, newest_first(&jobs[1..3]), "from is inclusive, before is not");
    let succeeded = Some(StateFilter::Final(FinalState::Succeeded));
    let ended = Filter { state: succeeded, created_from: Some(jobs[2].created_at()), ..Filter::default() };
    assert_eq!(stage.listed(&ended).await, [jobs[2].id]);
    let open = Filter { state: Some(StateFilter::Unsettled), created_before: before, ..Filter::default() };
    assert_eq!(stage.listed(&open).await, [jobs[0].id]);
    let empty = Filter { created_from: before, created_before: from, ..Filter::default() };
    assert_eq!(stage.listed(&empty).await, []);
}

pub async fn filters_narrow_each_other(stage: Stage) {
    let job = |n: usize| {
        let job = tagged(stage.job(), &[("parity", ["even", "odd"][n % 2])]);
        Job { queue: queue(["a", "b", "c"][n % 3]), kind: kind(["x", "y", "z", "w", "v"][n % 5]), ..job }
    };
    let jobs: Vec<Job> = (0..60).map(job).collect();
    stage.accept(&jobs).await;
    let ended: Vec<Job> = jobs.iter().step_by(4).cloned().collect();
    stage.succeed(&ended).await;
    let filter = Filter { queue: Some(queue("a")), kind: Some(kind("x")), ..with_tag("parity", "even") };
    assert_eq!(stage.listed(&filter).await, [jobs[30].id, jobs[0].id]);
    let open = Filter { state: Some(StateFilter::Unsettled), ..filter.clone() };
    assert_eq!(stage.listed(&open).await, [jobs[30].id]);
    let ended = Filter { state: Some(StateFilter::Final(FinalState::Succeeded)), ..filter };
    assert_eq!(stage.listed(&ended).await, [jobs[0].id]);
}

pub async fn a_list_holds_the_latest_failure_only(stage: Stage) {
    let jobs = stage.jobs(2);
    stage.accept(&jobs).await;
    for attempt in [1, 2, 10] {
        stage.record(&[stage.failure(&jobs[0], attempt), stage.failure(&jobs[1], attempt)]).await;
    }
    stage.succeed(&jobs[1..]).await;
    for filter in [StateFilter::Unsettled, StateFilter::Final(FinalState::Succeeded)].map(Some) {
        let filter = Filter { state: filter, ..Filter::default() };
        let listed = stage.list(&Tenant::default(), &filter, 10).await;
        let [record] = &listed[..] else { panic!("one job is listed, not {}", listed.len()) };
        let attempts: Vec<u32> = record.failures.iter().map(|failure| failure.attempt).collect();
        assert_eq!((record.failure_count, attempts), (3, vec![10]));
    }
}

pub async fn a_rare_match_behind_many_others_is_found(stage: Stage) {
    let rare: Vec<Job> = (0..3).map(|_| Job { kind: kind("rare"), ..stage.job() }).collect();
    stage.accept(&rare).await;
    let jobs = stage.jobs(6_000);
    for batch in jobs.chunks(3_000) {
        stage.accept(batch).await;
    }
    stage.succeed(&jobs[..3_000]).await;
    stage.succeed(&rare[..1]).await;
    let of_kind = Filter { kind: Some(kind("rare")), ..Filter::default() };
    assert_eq!(stage.listed(&of_kind).await, newest_first(&rare));
    let ended = Filter { state: Some(StateFilter::Final(FinalState::Succeeded)), ..of_kind.clone() };
    assert_eq!(stage.listed(&ended).await, [rare[0].id]);
    let open = Filter { state: Some(StateFilter::Unsettled), ..of_kind };
    assert_eq!(stage.listed(&open).await, newest_first(&rare[1..]));
}

pub async fn a_list_reaches_jobs_in_closed_minutes(stage: Stage) {
    let jobs = [200, 190, 0].map(|minutes| stage.job_ago(minutes * MINUTE));
    stage.accept(&jobs).await;
    stage.succeed(&jobs[..2]).await;
    stage.close_all_minutes().await;
    assert_eq!(stage.listed(&Filter::default()).await, newest_first(&jobs));
    let ended = Filter { state: Some(StateFilter::Final(FinalState::Succeeded)), ..Filter::default() };
    assert_eq!(stage.listed(&ended).await, newest_first(&jobs[..2]));
    assert!(stage.find(&jobs[0]).await.is_some());
}
