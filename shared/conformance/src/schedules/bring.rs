use super::Stage;
use crate::at_once;
use haul_core::schedules::{NewSchedule, ScheduleId};
use uuid::Uuid;

fn anew(new: &NewSchedule) -> NewSchedule {
    NewSchedule { id: ScheduleId(Uuid::new_v4()), ..new.clone() }
}

pub async fn a_schedule_that_comes_along_is_created_once(stage: Stage) {
    let new = stage.new_schedule("comes");
    assert!(stage.schedules.create_once(&new).await.expect("it is created"));
    let stored = stage.find(&new.key).await.expect("it is there");
    assert_eq!((stored.id, stored.definition, stored.position), (new.id, new.definition.clone(), new.position.clone()));
    assert!(!stage.schedules.create_once(&anew(&new)).await.expect("it is known"));
    assert_eq!(stage.find(&new.key).await.expect("it is there").id, new.id);
}

pub async fn a_schedule_that_came_along_and_was_deleted_does_not_come_again(stage: Stage) {
    let new = stage.new_schedule("comes");
    assert!(stage.schedules.create_once(&new).await.expect("it is created"));
    stage.schedules.delete(&new.key, None).await.expect("it is deleted");
    assert!(!stage.schedules.create_once(&anew(&new)).await.expect("it is known"));
    assert_eq!(stage.find(&new.key).await, None);
    // By its operator it may be created.
    stage.created("comes").await;
}

pub async fn a_name_that_is_taken_keeps_its_schedule_for_good(stage: Stage) {
    let own = stage.created("comes").await;
    let new = anew(&stage.new_schedule("comes"));
    assert!(!stage.schedules.create_once(&new).await.expect("it is refused"));
    assert_eq!(stage.read(&own).await, own);
    stage.schedules.delete(&own.key, None).await.expect("it is deleted");
    assert!(!stage.schedules.create_once(&new).await.expect("it is refused"));
}

pub async fn of_many_who_bring_a_schedule_along_one_creates_it(stage: Stage) {
    let new = stage.new_schedule("comes");
    let calls: Vec<_> = (0..8).map(|_| (stage.world.schedules(), anew(&new))).collect();
    let created =
        at_once(calls.into_iter().map(|(store, new)| async move { store.create_once(&new).await.expect("an answer") }))
            .await;
    assert_eq!(created.iter().filter(|created| **created).count(), 1);
    assert!(stage.find(&new.key).await.is_some());
}
