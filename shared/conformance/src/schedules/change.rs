//! Creating, reading, editing, pausing and deleting: each by exactly one of those who know the version.

use super::stage::{Stage, definition, done, key, position};
use haul_core::{
    SourceName, Tenant,
    ledger::{Accepted, Idempotency, NewJob},
    schedules::{Changed, Created, Definition, Edit, Move, NewSchedule, Schedule, ScheduleId, ScheduleRef, Step},
};
use std::time::Duration;
use uuid::Uuid;

pub async fn a_created_schedule_reads_back_as_it_was_sent(stage: Stage) {
    let mut new = NewSchedule { paused: true, ..stage.new_schedule("nightly") };
    new.definition.source = Some(SourceName::new("billing").expect("a valid name"));
    let created = stage.create(&new).await;
    let expected = Schedule {
        id: new.id,
        key: new.key,
        version: 1,
        paused: true,
        definition: new.definition,
        position: new.position,
        last_job: None,
        runs: 0,
        problem: None,
        created_at: created.created_at,
        updated_at: created.created_at,
    };
    assert_eq!(created, expected);
    assert_eq!(stage.read(&created).await, expected);
    let late = created.created_at.since(stage.begun.minus(Duration::from_secs(1)));
    assert!(late > Duration::ZERO && late < Duration::from_secs(120), "it is created on the ledger's clock");
}

pub async fn a_schedule_created_again_is_created_once(stage: Stage) {
    let new = stage.new_schedule("nightly");
    let first = stage.create(&new).await;
    assert_eq!(stage.create(&new).await, first);
}

pub async fn a_name_that_is_taken_is_refused(stage: Stage) {
    let first = stage.created("nightly").await;
    let second = NewSchedule { definition: definition("hourly"), ..stage.new_schedule("nightly") };
    assert_eq!(stage.try_create(&second).await, Created::NameTaken);
    assert_eq!(stage.read(&first).await, first);
}

fn keyed(new: NewSchedule, key: &str, fingerprint: u8) -> NewSchedule {
    let lifetime = Duration::from_secs(3_600);
    let idempotency = Idempotency { key: key.to_owned(), fingerprint: [fingerprint; 32], lifetime };
    NewSchedule { idempotency: Some(idempotency), ..new }
}

pub async fn requests_under_one_key_create_one_schedule(stage: Stage) {
    let first = stage.create(&keyed(stage.new_schedule("nightly"), "k", 1)).await;
    // Each request has minted an id of its own; a name that is taken by the first is no news.
    for name in ["nightly", "renamed"] {
        let again = stage.try_create(&keyed(stage.new_schedule(name), "k", 1)).await;
        assert_eq!(again, Created::Replayed(first.id));
        let other = stage.try_create(&keyed(stage.new_schedule(name), "k", 2)).await;
        assert_eq!(other, Created::KeyReused);
    }
    let listed = stage.schedules.list(&Tenant::default(), None, 10).await.expect("schedules are listed");
    assert_eq!(listed, std::slice::from_ref(&first));
    stage.create(&keyed(stage.new_schedule("hourly"), "k2", 1)).await;
    // What became of the schedule since does not matter to its key.
    done(stage.schedules.delete(&first.key, None).await.expect("an answer comes"));
    assert_eq!(stage.try_create(&keyed(stage.new_schedule("nightly"), "k", 1)).await, Created::Replayed(first.id));
}

pub async fn a_schedule_created_again_under_its_key_is_created_once(stage: Stage) {
    let new = keyed(stage.new_schedule("nightly"), "k", 1);
    let first = stage.create(&new).await;
    assert_eq!(stage.create(&new).await, first);
}

pub async fn a_key_of_a_job_is_no_key_of_a_schedule(stage: Stage) {
    let new = keyed(stage.new_schedule("nightly"), "k", 1);
    let other = keyed(stage.new_schedule("nightly"), "k", 2);
    let job = NewJob { job: stage.job(), idempotency: other.idempotency };
    let accepted = stage.ledger.accept(&[job], stage.me, &[]).await.expect("a job is accepted");
    assert_eq!(accepted.jobs, [Accepted::New]);
    assert_eq!(stage.try_create(&new).await, Created::KeyReused);
    let new = keyed(new, "k2", 1);
    stage.create(&new).await;
    let job = NewJob { job: stage.job(), idempotency: keyed(new, "k2", 3).idempotency };
    let accepted = stage.ledger.accept(&[job], stage.me, &[]).await.expect("an answer comes");
    assert_eq!(accepted.jobs, [Accepted::KeyReused]);
}

pub async fn a_refused_schedule_leaves_its_key_free(stage: Stage) {
    stage.created("nightly").await;
    let taken = keyed(stage.new_schedule("nightly"), "k", 1);
    assert_eq!(stage.try_create(&taken).await, Created::NameTaken);
    let too_many = keyed(stage.new_schedule("hourly"), "k", 2);
    assert_eq!(stage.schedules.create(&too_many, 1).await.expect("an answer comes"), Created::TooMany);
    stage.create(&keyed(stage.new_schedule("hourly"), "k", 3)).await;
}

pub async fn a_tenant_has_no_more_schedules_than_it_may_have(stage: Stage) {
    let create = async |new: &NewSchedule| stage.schedules.create(new, 2).await.expect("an answer comes");
    let (a, b) = (stage.new_schedule("a"), stage.new_schedule("b"));
    for new in [&a, &b, &a] {
        assert!(matches!(create(new).await, Created::New(_)), "also one that is there already");
    }
    assert_eq!(create(&stage.new_schedule("c")).await, Created::TooMany);
    assert_eq!(create(&stage.new_schedule("a")).await, Created::NameTaken);
    assert_eq!(stage.find(&key("c")).await, None);
    let their = ScheduleRef { tenant: Tenant::new("theirs").expect("a valid tenant"), ..key("c") };
    assert!(matches!(create(&NewSchedule { key: their, ..stage.new_schedule("c") }).await, Created::New(_)));
    done(stage.schedules.delete(&a.key, None).await.expect("an answer comes"));
    assert!(matches!(create(&stage.new_schedule("c")).await, Created::New(_)), "a deleted one makes room");
}

pub async fn a_name_belongs_to_its_tenant(stage: Stage) {
    let mine = stage.created("nightly").await;
    let their = Tenant::new("theirs").expect("a valid tenant");
    let key = ScheduleRef { tenant: their.clone(), ..mine.key.clone() };
    assert_eq!(stage.find(&key).await, None);
    for answer in [
        stage.schedules.delete(&key, None).await.expect("an answer comes"),
        stage.schedules.set_paused(&key, None, true).await.expect("an answer comes"),
    ] {
        assert_eq!(answer, Changed::Unknown);
    }
    let theirs = stage.create(&NewSchedule { key, ..stage.new_schedule("nightly") }).await;
    assert_eq!(stage.read(&mine).await, mine);
    let listed = stage.schedules.list(&their, None, 10).await.expect("schedules are listed");
    assert_eq!(listed, [theirs]);
}

pub async fn a_list_is_in_order_of_name_and_goes_on_after_its_cursor(stage: Stage) {
    for name in ["b", "a-1", "a", "B", "a.1", "c"] {
        stage.created(name).await;
    }
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let page = stage.schedules.list(&Tenant::default(), after.as_ref(), 4).await.expect("schedules are listed");
        assert!(page.len() <= 4);
        let Some(last) = page.last() else { break };
        after = Some(last.key.name.clone());
        names.extend(page.iter().map(|schedule| schedule.key.name.to_string()));
    }
    assert_eq!(names, ["B", "a", "a-1", "a.1", "b", "c"]);
}

pub async fn load_gives_what_exists_and_nothing_else(stage: Stage) {
    let (a, b) = (stage.created("a").await, stage.created("b").await);
    stage.created("c").await;
    let ids = [b.id, ScheduleId(Uuid::new_v4()), a.id, b.id];
    let mut loaded = stage.schedules.load(&ids).await.expect("schedules are loaded");
    loaded.sort_by_key(|schedule| schedule.key.clone());
    assert_eq!(loaded, [a, b]);
    assert_eq!(stage.schedules.load(&[]).await.expect("an answer comes"), []);
}

fn edit(schedule: &Schedule, spec: &str) -> Edit {
    Edit { id: schedule.id, version: schedule.version, definition: definition(spec), moved: None }
}

pub async fn an_edit_gives_a_new_definition_and_a_new_version(stage: Stage) {
    let old = stage.created("nightly").await;
    let source = Some(SourceName::new("billing").expect("a valid name"));
    let new = Definition { source, ..definition("hourly") };
    let edited = Edit { definition: new.clone(), ..edit(&old, "") };
    let edited = done(stage.schedules.edit(&edited).await.expect("an answer comes"));
    let expected = Schedule { version: 2, definition: new, updated_at: edited.updated_at, ..old.clone() };
    assert_eq!(edited, expected);
    assert!(edited.updated_at >= old.updated_at);
    assert_eq!(stage.read(&old).await, edited);
}

pub async fn an_edit_of_another_version_changes_nothing(stage: Stage) {
    let old = stage.created("nightly").await;
    let new = done(stage.schedules.edit(&edit(&old, "hourly")).await.expect("an answer comes"));
    assert_eq!(stage.schedules.edit(&edit(&old, "weekly")).await.expect("an answer comes"), Changed::Stale);
    assert_eq!(stage.read(&new).await, new);
}

pub async fn an_edit_that_moves_does_so_only_from_where_the_schedule_is(stage: Stage) {
    let old = stage.created("nightly").await;
    let to = position("7", Some(stage.at(7)));
    let moved = |from: &str| Some(Move { from: from.to_owned(), to: to.clone() });
    let elsewhere = Edit { moved: moved("1"), ..edit(&old, "hourly") };
    assert_eq!(stage.schedules.edit(&elsewhere).await.expect("an answer comes"), Changed::Stale);
    assert_eq!(stage.read(&old).await, old);
    let here = Edit { moved: moved("0"), ..edit(&old, "hourly") };
    let new = done(stage.schedules.edit(&here).await.expect("an answer comes"));
    assert_eq!((new.version, &new.position), (2, &to));
    let ended = Some(Move { from: "7".to_owned(), to: position("8", None) });
    let ended = done(stage.schedules.edit(&Edit { moved: ended, ..edit(&new, "never") }).await.expect("an answer"));
    assert_eq!(ended.position, position("8", None));
}

pub async fn an_edit_takes_the_problem_away(stage: Stage) {
    let old = stage.created("nightly").await;
    stage.fire(&[Step { jobs: Vec::new(), problem: Some("no such zone".to_owned()), ..stage.step(&old, "0") }]).await;
    assert_eq!(stage.read(&old).await.problem.as_deref(), Some("no such zone"));
    let edited = done(stage.schedules.edit(&edit(&old, "hourly")).await.expect("an answer comes"));
    assert_eq!(edited.problem, None);
}

pub async fn a_pause_and_a_resume_are_new_versions(stage: Stage) {
    let old = stage.created("nightly").await;
    let paused = stage.pause(&old, true).await;
    assert_eq!(paused, Schedule { version: 2, paused: true, updated_at: paused.updated_at, ..old.clone() });
    assert_eq!(stage.read(&old).await, paused);
    let resumed = stage.pause(&old, false).await;
    assert_eq!(resumed, Schedule { version: 3, updated_at: resumed.updated_at, ..old });
}

pub async fn pausing_what_is_paused_changes_nothing(stage: Stage) {
    let old = stage.created("nightly").await;
    assert_eq!(stage.pause(&old, false).await, old);
    let paused = stage.pause(&old, true).await;
    assert_eq!(stage.pause(&old, true).await, paused);
    assert_eq!(stage.read(&old).await, paused);
}

pub async fn a_pause_of_another_version_changes_nothing(stage: Stage) {
    let old = stage.created("nightly").await;
    let answer = stage.schedules.set_paused(&old.key, Some(2), true).await.expect("an answer comes");
    assert_eq!((answer, stage.read(&old).await), (Changed::Stale, old.clone()));
    let answer = stage.schedules.set_paused(&old.key, Some(1), true).await.expect("an answer comes");
    assert!(done(answer).paused);
}

pub async fn a_deleted_schedule_is_gone(stage: Stage) {
    let schedule = stage.created("nightly").await;
    let deleted = done(stage.schedules.delete(&schedule.key, None).await.expect("an answer comes"));
    assert_eq!(deleted, schedule);
    assert_eq!(stage.find(&schedule.key).await, None);
    assert_eq!(stage.due().await.next_at, None);
    assert_eq!(stage.schedules.delete(&schedule.key, None).await.expect("an answer comes"), Changed::Unknown);
}

pub async fn a_delete_of_another_version_changes_nothing(stage: Stage) {
    let schedule = stage.created("nightly").await;
    let answer = stage.schedules.delete(&schedule.key, Some(7)).await.expect("an answer comes");
    assert_eq!((answer, stage.read(&schedule).await), (Changed::Stale, schedule.clone()));
    done(stage.schedules.delete(&schedule.key, Some(1)).await.expect("an answer comes"));
}

pub async fn what_does_not_exist_cannot_be_changed(stage: Stage) {
    let missing = Schedule { id: ScheduleId(Uuid::new_v4()), key: key("none"), ..stage.created("nightly").await };
    for answer in [
        stage.schedules.edit(&edit(&missing, "hourly")).await,
        stage.schedules.set_paused(&missing.key, None, true).await,
        stage.schedules.delete(&missing.key, Some(1)).await,
    ] {
        assert_eq!(answer.expect("an answer comes"), Changed::Unknown);
    }
}

pub async fn definitions_are_kept_byte_for_byte(stage: Stage) {
    let spec = " {\"cron\": \"0 0 * * *\",\n\t\"note\": \"\\u0000 é \u{1F600} '; DROP TABLE x\"} ".to_owned();
    let definition = Definition { template: format!("[{spec:?}, 1e400, {}]", "9".repeat(100_000)), spec, source: None };
    let new = NewSchedule { definition: definition.clone(), ..stage.new_schedule("odd") };
    let schedule = stage.create(&new).await;
    assert_eq!(stage.read(&schedule).await.definition, definition);
}
