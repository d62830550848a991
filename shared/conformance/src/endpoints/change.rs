//! Creating, reading, editing and deleting: each by exactly one of those who know the version.

use super::stage::{Stage, done, edit_of, keyed, new_endpoint};
use haul_core::{
    Tenant, Timestamp,
    endpoints::{
        Changed, Created, Disabled, ENDPOINTS_MAX, Edit, Endpoint, EndpointSettings, Keyring, NewEndpoint, SigningKey,
    },
};
use std::time::Duration;

pub async fn a_created_endpoint_reads_back_as_it_was_sent(stage: Stage) {
    let keys = Keyring::new(SigningKey::random());
    let keys = keys.rotated(SigningKey::random(), Timestamp::from_ms(1_900_000_000_000), Duration::from_secs(60));
    let new = NewEndpoint { keys, ..new_endpoint("https://example.com/hooks?a=%20b") };
    let created = stage.create(&new).await;
    let expected = Endpoint {
        id: new.id,
        tenant: new.tenant,
        version: 1,
        settings: new.settings,
        keys: new.keys,
        disabled: None,
        failing_since: None,
        created_at: created.created_at,
        updated_at: created.created_at,
    };
    assert_eq!(created, expected);
    assert_eq!(stage.read(&created).await, expected);
}

pub async fn an_endpoint_created_again_is_created_once(stage: Stage) {
    let new = new_endpoint("https://example.com/");
    let first = stage.create(&new).await;
    assert_eq!(stage.create(&new).await, first);
    let listed = stage.endpoints.list(&first.tenant, None, 10).await.expect("endpoints are listed");
    assert_eq!(listed, [first]);
}

pub async fn an_endpoint_belongs_to_its_tenant(stage: Stage) {
    let mine = stage.created().await;
    let theirs = Tenant::new("theirs").expect("a valid tenant");
    let foreign = Endpoint { tenant: theirs.clone(), ..mine.clone() };
    assert_eq!(stage.find(&foreign).await, None);
    assert_eq!(stage.edit(&edit_of(&foreign)).await, Changed::Unknown);
    assert_eq!(stage.endpoints.delete(&theirs, mine.id, None).await.expect("an answer comes"), Changed::Unknown);
    assert_eq!(stage.endpoints.list(&theirs, None, 10).await.expect("endpoints are listed"), []);
    assert_eq!(stage.read(&mine).await, mine);
}

pub async fn a_list_is_in_order_of_id_and_goes_on_after_its_cursor(stage: Stage) {
    let mut ids = Vec::new();
    for _ in 0..7 {
        ids.push(stage.created().await.id);
    }
    ids.sort();
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = stage.endpoints.list(&Tenant::default(), after, 3).await.expect("endpoints are listed");
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        listed.extend(page.iter().map(|endpoint| endpoint.id));
    }
    assert_eq!(listed, ids);
}

pub async fn an_edit_replaces_what_is_said_and_makes_a_new_version(stage: Stage) {
    let old = stage.created().await;
    let settings =
        EndpointSettings { url: "http://example.org/".to_owned(), description: String::new(), events: Vec::new() };
    let keys = Keyring::new(SigningKey::random());
    let edit = Edit { settings, keys, disabled: Some(Disabled::Owner), ..edit_of(&old) };
    let edited = done(stage.edit(&edit).await);
    let expected = Endpoint {
        version: 2,
        settings: edit.settings,
        keys: edit.keys,
        disabled: edit.disabled,
        updated_at: edited.updated_at,
        ..old.clone()
    };
    assert_eq!(edited, expected);
    assert!(edited.updated_at >= old.updated_at);
    assert_eq!(stage.read(&old).await, expected);
}

pub async fn an_edit_of_another_version_changes_nothing(stage: Stage) {
    let first = stage.created().await;
    let second = done(stage.edit(&edit_of(&first)).await);
    for version in [0, first.version, second.version + 1] {
        let edit = Edit { version, disabled: Some(Disabled::Owner), ..edit_of(&first) };
        assert_eq!(stage.edit(&edit).await, Changed::Stale);
    }
    assert_eq!(stage.read(&first).await, second);
}

pub async fn a_deleted_endpoint_is_gone(stage: Stage) {
    let [a, b] = [stage.created().await, stage.created().await];
    assert_eq!(stage.endpoints.delete(&a.tenant, a.id, None).await.expect("it is deleted"), Changed::Done(a.clone()));
    let answer = stage.endpoints.delete(&b.tenant, b.id, Some(b.version)).await.expect("it is deleted");
    assert_eq!(answer, Changed::Done(b.clone()));
    for endpoint in [a, b] {
        assert_eq!(stage.find(&endpoint).await, None);
        let again = stage.endpoints.delete(&endpoint.tenant, endpoint.id, None).await.expect("an answer comes");
        assert_eq!(again, Changed::Unknown);
    }
}

pub async fn a_delete_of_another_version_changes_nothing(stage: Stage) {
    let endpoint = stage.created().await;
    let answer = stage.endpoints.delete(&endpoint.tenant, endpoint.id, Some(endpoint.version + 1)).await;
    assert_eq!(answer.expect("an answer comes"), Changed::Stale);
    assert_eq!(stage.read(&endpoint).await, endpoint);
}

pub async fn what_does_not_exist_cannot_be_changed(stage: Stage) {
    let never = stage.created().await;
    stage.endpoints.delete(&never.tenant, never.id, None).await.expect("it is deleted");
    assert_eq!(stage.edit(&edit_of(&never)).await, Changed::Unknown);
    assert_eq!(stage.find(&never).await, None);
}

pub async fn no_tenant_has_more_than_the_limit(stage: Stage) {
    let mut last = None;
    for _ in 0..ENDPOINTS_MAX {
        last = Some(stage.created().await);
    }
    let one_more = new_endpoint("https://example.com/");
    assert_eq!(stage.endpoints.create(&one_more).await.expect("an answer comes"), Created::TooMany);
    assert_eq!(stage.endpoints.get(&one_more.tenant, one_more.id).await.expect("an answer comes"), None);
    let elsewhere = NewEndpoint { tenant: Tenant::new("theirs").expect("a valid tenant"), ..one_more.clone() };
    stage.create(&elsewhere).await;
    let last = last.expect("there are some");
    stage.endpoints.delete(&last.tenant, last.id, None).await.expect("it is deleted");
    stage.create(&one_more).await;
}

pub async fn requests_under_one_key_create_one_endpoint(stage: Stage) {
    let first = stage.create(&keyed("k", 1)).await;
    assert_eq!(stage.try_create(&keyed("k", 1)).await, Created::Replayed(first.id));
    assert_eq!(stage.try_create(&keyed("k", 2)).await, Created::KeyReused);
    let listed = stage.endpoints.list(&first.tenant, None, 10).await.expect("endpoints are listed");
    assert_eq!(listed, std::slice::from_ref(&first));
    stage.create(&keyed("k2", 1)).await;
    let elsewhere = NewEndpoint { tenant: Tenant::new("theirs").expect("a valid tenant"), ..keyed("k", 2) };
    stage.create(&elsewhere).await;
    // What became of the endpoint since does not matter to its key.
    stage.endpoints.delete(&first.tenant, first.id, None).await.expect("it is deleted");
    assert_eq!(stage.try_create(&keyed("k", 1)).await, Created::Replayed(first.id));
}

pub async fn an_endpoint_created_again_under_its_key_is_created_once(stage: Stage) {
    let new = keyed("k", 1);
    let first = stage.create(&new).await;
    assert_eq!(stage.create(&new).await, first);
}

pub async fn a_refused_endpoint_leaves_its_key_free(stage: Stage) {
    let mut last = None;
    for _ in 0..ENDPOINTS_MAX {
        last = Some(stage.created().await);
    }
    assert_eq!(stage.try_create(&keyed("k", 1)).await, Created::TooMany);
    let last = last.expect("there are some");
    stage.endpoints.delete(&last.tenant, last.id, None).await.expect("it is deleted");
    stage.create(&keyed("k", 2)).await;
}
