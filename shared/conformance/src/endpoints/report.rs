//! What deliveries report: since when an endpoint fails, and when that has been too long.

use super::stage::{Stage, done, edit_of};
use haul_core::endpoints::{
    Delivered::{self, Failed, Gone, Taken},
    Disabled, Edit, Endpoint,
};
use std::time::Duration;

/// Long enough for no endpoint of the suite to fail for so long.
const DAYS: Delivered = Failed(Duration::from_secs(5 * 24 * 3_600));
/// Over at once.
const AT_ONCE: Delivered = Failed(Duration::ZERO);

pub async fn a_first_failure_begins_the_time_of_failing_and_further_ones_leave_it(stage: Stage) {
    let endpoint = stage.created().await;
    assert_eq!(stage.report(&endpoint, DAYS).await, None);
    let since = stage.read(&endpoint).await.failing_since.expect("it fails");
    let age = since.since(endpoint.created_at);
    assert!(
        since >= endpoint.created_at && age < Duration::from_secs(120),
        "it fails since {since} on the ledger's clock"
    );
    for _ in 0..3 {
        assert_eq!(stage.report(&endpoint, DAYS).await, None);
        assert_eq!(stage.read(&endpoint).await.failing_since, Some(since));
    }
}

pub async fn a_success_ends_the_time_of_failing(stage: Stage) {
    let endpoint = stage.created().await;
    assert_eq!(stage.report(&endpoint, Taken).await, None);
    assert_eq!(stage.read(&endpoint).await, endpoint);
    stage.report(&endpoint, DAYS).await;
    assert_eq!(stage.report(&endpoint, Taken).await, None);
    assert_eq!(stage.read(&endpoint).await, endpoint);
}

pub async fn an_endpoint_that_has_failed_for_too_long_is_disabled_once(stage: Stage) {
    let endpoint = stage.created().await;
    assert_eq!(stage.report(&endpoint, AT_ONCE).await, None, "the first failure only begins the time");
    let since = stage.read(&endpoint).await.failing_since;
    assert_eq!(stage.report(&endpoint, AT_ONCE).await, Some(Disabled::Failing));
    let disabled = stage.read(&endpoint).await;
    let expected = Endpoint {
        version: 2,
        disabled: Some(Disabled::Failing),
        failing_since: since,
        updated_at: disabled.updated_at,
        ..endpoint.clone()
    };
    assert_eq!(disabled, expected);
    assert_eq!(stage.report(&endpoint, AT_ONCE).await, None, "it is disabled once");
    assert_eq!(stage.read(&endpoint).await, expected);
}

pub async fn an_endpoint_that_is_gone_is_disabled_at_once(stage: Stage) {
    let endpoint = stage.created().await;
    assert_eq!(stage.report(&endpoint, Gone).await, Some(Disabled::Gone));
    let disabled = stage.read(&endpoint).await;
    assert_eq!((disabled.disabled, disabled.version), (Some(Disabled::Gone), 2));
    assert!(disabled.failing_since.is_some());
}

pub async fn a_report_of_another_version_is_not_noted(stage: Stage) {
    let first = stage.created().await;
    let second = done(stage.edit(&edit_of(&first)).await);
    for report in [DAYS, Gone] {
        assert_eq!(stage.report(&first, report).await, None);
        assert_eq!(stage.read(&first).await, second);
    }
}

pub async fn a_report_of_a_disabled_endpoint_is_not_noted(stage: Stage) {
    let endpoint = stage.created().await;
    let edit = Edit { disabled: Some(Disabled::Owner), ..edit_of(&endpoint) };
    let disabled = done(stage.edit(&edit).await);
    for report in [DAYS, AT_ONCE, Gone, Taken] {
        assert_eq!(stage.report(&disabled, report).await, None);
        assert_eq!(stage.read(&endpoint).await, disabled);
    }
}

pub async fn a_report_of_nothing_is_not_noted(stage: Stage) {
    let endpoint = stage.created().await;
    stage.endpoints.delete(&endpoint.tenant, endpoint.id, None).await.expect("it is deleted");
    for report in [DAYS, Gone, Taken] {
        assert_eq!(stage.report(&endpoint, report).await, None);
    }
    assert_eq!(stage.find(&endpoint).await, None);
}

pub async fn an_edit_ends_the_time_of_failing_and_enables_again(stage: Stage) {
    let endpoint = stage.created().await;
    stage.report(&endpoint, DAYS).await;
    let failing = stage.read(&endpoint).await;
    let edited = done(stage.edit(&edit_of(&failing)).await);
    assert_eq!((edited.failing_since, edited.version), (None, 2));
    stage.report(&edited, Gone).await;
    let gone = stage.read(&endpoint).await;
    let enabled = done(stage.edit(&Edit { disabled: None, ..edit_of(&gone) }).await);
    assert_eq!((enabled.disabled, enabled.failing_since, enabled.version), (None, None, 4));
    assert_eq!(stage.report(&enabled, AT_ONCE).await, None, "its time of failing begins anew");
}

pub async fn a_report_leaves_the_version_alone_unless_it_disables(stage: Stage) {
    let endpoint = stage.created().await;
    for report in [DAYS, Taken, DAYS] {
        stage.report(&endpoint, report).await;
        let read = stage.read(&endpoint).await;
        assert_eq!((read.version, read.updated_at), (endpoint.version, endpoint.updated_at));
    }
}
