//! The OpenAPI document tells the truth.

use crate::world::World;
use serde_json::Value;

/// Every `$ref` in a document.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(target) if name == "$ref" => found.push(target.clone()),
                    value => references(value, found),
                }
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| references(element, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_document_is_whole() {
    let world = World::new().await;
    let document = world.get("/openapi.json").await.expect(200);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(!found.is_empty());
    for target in found {
        let pointer = target.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
    }
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for name in
        ["Job", "Problem", "Submit", "BatchSubmit", "Outcome", "Failure", "Item", "BulkTotal", "Queue", "Schedule"]
    {
        assert!(schemas.contains_key(name), "no schema {name} among {:?}", schemas.keys());
    }
}

#[tokio::test]
async fn every_documented_operation_is_served_and_has_its_problems() {
    let world = World::new().await;
    let document = world.get("/openapi.json").await.expect(200);
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let line = format!("{} {}", method.to_uppercase(), path.replace(['{', '}'], ""));
            let answer = world.send(&line, &[], "").await;
            let is_served = !answer.text().contains("/problems/not-found") && answer.status != 405;
            assert!(is_served, "{line}: {}", answer.text());
            let operation_id = operation["operationId"].as_str().unwrap();
            operations.push(operation_id.to_owned());
            assert!(operation["summary"].is_string(), "{line}");
            if operation["tags"][0] == "ops" {
                continue;
            }
            for status in ["4XX", "5XX"] {
                let content = &operation["responses"][status]["content"]["application/problem+json"];
                assert_eq!(content["schema"]["$ref"], "#/components/schemas/Problem", "{line} {status}");
            }
        }
    }
    operations.sort();
    let expected = [
        "audit",
        "cancelJob",
        "cancelJobs",
        "capturePayment",
        "changeLog",
        "configureQueue",
        "createEndpoint",
        "createPayment",
        "createSchedule",
        "deleteEndpoint",
        "deleteSchedule",
        "getDestination",
        "getEndpoint",
        "getJob",
        "getPayment",
        "getPaymentBalances",
        "getQueueStatistics",
        "getSchedule",
        "health",
        "listDeliveries",
        "listDestinations",
        "listEndpoints",
        "listJobs",
        "listPayments",
        "listQueues",
        "listSchedules",
        "listWorkers",
        "log",
        "metrics",
        "pauseQueue",
        "pauseSchedule",
        "previewSchedule",
        "readiness",
        "receivePaymentEvent",
        "refundPayment",
        "replayDeliveries",
        "rerunJob",
        "resetDestination",
        "resetLog",
        "resumeQueue",
        "resumeSchedule",
        "rotateEndpointSecret",
        "runSchedule",
        "submitBatch",
        "submitBulk",
        "submitEvent",
        "submitJob",
        "testEndpoint",
        "updateEndpoint",
        "updateSchedule",
    ];
    assert_eq!(operations, expected);
}

#[tokio::test]
async fn the_example_of_a_submit_is_accepted_and_every_field_is_documented() {
    let world = World::new().await;
    let document = world.get("/openapi.json").await.expect(200);
    let submit = &document["components"]["schemas"]["Submit"];
    let job = world.post_json("/v1/jobs", &submit["example"]).await.expect(201);
    assert_eq!(submit["required"], serde_json::json!(["kind", "payload"]));
    let documented = |schema: &str| -> Vec<String> {
        document["components"]["schemas"][schema]["properties"].as_object().unwrap().keys().cloned().collect()
    };
    let answered: Vec<String> = job.as_object().unwrap().keys().cloned().collect();
    // What tells of an erased payload, or of a trace, is there when they are.
    let mut always = documented("Job");
    always.retain(|field| field != "payload_erased" && field != "trace_id");
    assert_eq!(always, answered);
    let example = &document["components"]["schemas"]["Job"]["example"];
    assert_eq!(example.as_object().unwrap().keys().cloned().collect::<Vec<_>>(), answered);
    let types = document["components"]["schemas"]["Problem"]["properties"]["type"]["enum"].as_array().unwrap();
    assert!(types.contains(&"/problems/invalid-request".into()));
}

#[tokio::test]
async fn the_examples_of_schedules_are_accepted_and_every_field_is_documented() {
    let world = World::new().await;
    let document = world.get("/openapi.json").await.expect(200);
    let example = |schema: &str| document["components"]["schemas"][schema]["example"].clone();
    let created = world.post_json("/v1/schedules", &example("ScheduleWish")).await.expect(201);
    let headers = [("content-type", "application/json"), ("if-match", "*")];
    let path = format!("PUT /v1/schedules/{}", created["name"].as_str().unwrap());
    world.send(&path, &headers, example("ScheduleChange").to_string()).await.expect(200);
    let preview = world.post_json("/v1/schedules/preview", &example("PreviewQuestion")).await.expect(200);
    assert_eq!(preview["ticks"].as_array().unwrap().len(), 3);
    // Every field of an answer, flattened parts included.
    let mut documented = Vec::new();
    fields(&document, "Schedule", &mut documented);
    documented.sort();
    let mut answered: Vec<String> = created.as_object().unwrap().keys().cloned().collect();
    answered.sort();
    assert_eq!(documented, answered);
    let mut wished = Vec::new();
    fields(&document, "ScheduleWish", &mut wished);
    for field in ["name", "paused", "source", "job", "cron", "every", "max_runs"] {
        assert!(wished.iter().any(|known| known == field), "{field} is not among {wished:?}");
    }
}

/// The fields of a schema and of what is flattened into it.
fn fields(document: &Value, schema: &str, found: &mut Vec<String>) {
    collect_fields(document, &document["components"]["schemas"][schema], found);
}

fn collect_fields(document: &Value, schema: &Value, found: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str().and_then(|target| target.rsplit('/').next()) {
        return fields(document, name, found);
    }
    found.extend(schema["properties"].as_object().into_iter().flat_map(|properties| properties.keys().cloned()));
    for part in schema["allOf"].as_array().into_iter().flatten() {
        collect_fields(document, part, found);
    }
}

#[tokio::test]
async fn the_type_of_a_problem_leads_to_its_explanation() {
    let world = World::new().await;
    let problem = world.get("/v1/jobs/x").await.problem(400, "invalid-path");
    let answer = world.get(problem["type"].as_str().unwrap()).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().starts_with("## invalid-path"));
    world.get("/problems/nope").await.problem(404, "not-found");
}
