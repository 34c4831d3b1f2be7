//! Actions over HTTP: made, changed, guarded, refused with the place of each mistake.

use crate::kit::{Service, fixture};
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn every_save_makes_a_revision_and_old_ones_stay_readable() {
    let service = Service::start().await;
    let api = &service.private;
    api.upload(fixture("misbehave")).await.json(201);
    let spec =
        json!({"name": "a", "protocol": "misbehave@^0.1", "config": {"mode": "echo"}, "labels": {"team": "ops"}});
    let created = api.put("/v1/actions/a", &spec).await;
    let action = created.json(201);
    assert_eq!((&action["revision"], &action["protocol"]), (&json!(1), &json!("misbehave@0.1.0")));
    let id = action["id"].as_str().unwrap().to_owned();
    let patched = api.patch(&format!("/v1/actions/{id}"), &json!({"description": "d", "labels": {"team": null}})).await;
    assert_eq!(patched.json(200)["revision"], 2);
    assert_eq!(patched.header("etag"), "\"2\"");
    assert_eq!(patched.json(200)["labels"], json!({}));
    assert_eq!(api.get(&format!("/v1/actions/{id}/revisions/1")).await.json(200)["labels"], json!({"team": "ops"}));
    let stale = api.request(Method::PUT, "/v1/actions/a").header("if-match", "\"1\"").json(&spec);
    api.send(stale).await.problem(412, "revision_mismatch");
    let fresh = api.request(Method::PUT, "/v1/actions/a").header("if-match", "\"2\"").json(&spec);
    assert_eq!(api.send(fresh).await.json(200)["revision"], 3);
    api.post("/v1/actions", &spec).await.problem(409, "name_taken");
    assert_eq!(api.delete("/v1/actions/a").await.status.as_u16(), 204);
    api.get("/v1/actions/a").await.problem(404, "action_not_found");
    assert_eq!(api.get(&format!("/v1/actions/{id}/revisions/3")).await.json(200)["revision"], 3);
    let changes = api.get(&format!("/v1/events?action={id}")).await.json(200);
    let types: Vec<&str> = changes["items"].as_array().unwrap().iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["action_created", "action_updated", "action_updated", "action_deleted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_comes_back_with_pointers() {
    let service = Service::start().await;
    let api = &service.private;
    api.upload(fixture("misbehave")).await.json(201);
    let by_schema = api.action("a", "misbehave", json!({"effect": "magic", "bytes": -1})).await;
    assert_eq!(
        by_schema.problem(422, "invalid_document"),
        ["/config/bytes minimum", "/config/effect enum", "/config/mode required"]
    );
    let by_component = api.action("a", "misbehave", json!({"mode": "validate-issues"})).await;
    assert_eq!(
        by_component.problem(422, "invalid_document"),
        ["/config whole", "/config/a~1b/0/~0c deep", "/config/mode not_good"]
    );
    let unknown = api.action("a", "nothing", json!({})).await;
    assert_eq!(unknown.problem(422, "invalid_document"), ["/protocol protocol_not_found"]);
    let not_there = json!({
        "name": "a", "protocol": "misbehave", "config": {"mode": "echo"},
        "triggers": [{"type": "schedule", "cron": "61 * * * *"}],
        "input_transform": {"language": "jq", "expression": ".a | nothing_of_that_name"},
        "limits": {"fuel": 0, "memory_bytes": 3}, "delivery": {"max_concurrent": 0}
    });
    assert_eq!(
        api.post("/v1/actions", &not_there).await.problem(422, "invalid_document"),
        [
            "/delivery/max_concurrent out_of_range",
            "/input_transform/expression invalid_expression",
            "/limits/fuel out_of_range",
            "/limits/memory_bytes out_of_range",
            "/triggers/0/cron invalid_cron"
        ]
    );
    let at_once = json!({"protocol": "misbehave", "config": {"mode": "echo", "bytes": -1}, "labels": {"a": 1},
        "limits": {"foo": 1, "fuel": 0}, "enabled": "yes"});
    assert_eq!(
        api.post("/v1/actions", &at_once).await.problem(422, "invalid_document"),
        [
            "/config/bytes minimum",
            "/enabled type",
            "/labels/a type",
            "/limits/foo additional_properties",
            "/limits/fuel out_of_range",
            "/name required"
        ]
    );
    let unknown_and_missing = api.action("a", "http", json!({"colour": 1})).await;
    assert_eq!(
        unknown_and_missing.problem(422, "invalid_document"),
        ["/config/colour additional_properties", "/config/url required"]
    );
    for (body, place) in [
        (r#"{"name": "a", "protocol": "misbehave", "config": {}, "colour": 1}"#, "/colour"),
        (r#"{"name": "a", "protocol": "misbehave", "config": {}, "limits": {"fuel": "much"}}"#, "/limits/fuel"),
        (r#"["a", true, "", {}, "misbehave", {}]"#, ""),
        (r#"{"name": "a", "protocol": "misbehave", "config": {}, "limits": [1, 2, 3, 4]}"#, "/limits"),
        (r#"{"name": "A b", "protocol": "misbehave", "config": {}}"#, "/name"),
    ] {
        let request = api.request(Method::POST, "/v1/actions").header("content-type", "application/json");
        let answer = api.send(request.body(body)).await;
        let errors = answer.problem(422, "invalid_document");
        assert!(errors.iter().any(|error| error.starts_with(place)), "{place}: {errors:?}");
    }
    for body in ["{", "[", "\u{0}", ""] {
        let request = api.request(Method::POST, "/v1/actions").header("content-type", "application/json");
        api.send(request.body(body)).await.problem(400, "malformed_json");
    }
    assert_eq!(api.get("/v1/actions").await.json(200)["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_breaks_while_it_is_asked_refuses_the_config() {
    let service = Service::start().await;
    let api = &service.private;
    api.upload(fixture("misbehave")).await.json(201);
    for (mode, code) in [("validate-trap", "trapped"), ("validate-loop", "fuel_exhausted")] {
        let answer = api.action("a", "misbehave", json!({"mode": mode})).await;
        let body = answer.json(answer.status.as_u16());
        assert!(answer.status.as_u16() == 422 || answer.status.as_u16() == 502, "{body}");
        assert!(body.to_string().contains(code), "{body}");
    }
    let warned = api.action("warned", "misbehave", json!({"mode": "validate-warnings"})).await.json(201);
    assert_eq!(warned["warnings"][0]["code"], "questionable", "{warned}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_action_refuses_and_records_it() {
    let service = Service::start().await;
    let api = &service.private;
    api.upload(fixture("noop")).await.json(201);
    let action = api.action("echo", "noop", json!({})).await.json(201);
    api.patch("/v1/actions/echo", &json!({"enabled": false})).await.json(200);
    api.execute("echo", &json!(1)).await.problem(409, "action_disabled");
    let events = api.get(&format!("/v1/events?action={}", action["id"].as_str().unwrap())).await.json(200);
    let types: Vec<&str> = events["items"].as_array().unwrap().iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["action_created", "action_updated", "trigger_received", "trigger_refused"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_in_pages() {
    let service = Service::start().await;
    let api = &service.private;
    api.upload(fixture("noop")).await.json(201);
    for number in 0..7 {
        api.action(&format!("a-{number}"), "noop", json!({})).await.json(201);
    }
    let (mut seen, mut path) = (Vec::new(), "/v1/actions?limit=3".to_owned());
    loop {
        let page = api.get(&path).await.json(200);
        seen.extend(page["items"].as_array().unwrap().iter().map(|action| action["name"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => path = format!("/v1/actions?limit=3&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, (0..7).map(|number| format!("a-{number}")).collect::<Vec<_>>());
    api.get("/v1/actions?limit=0").await.problem(400, "invalid_query");
    api.get("/v1/actions?after=rubbish!").await.problem(400, "invalid_cursor");
}
