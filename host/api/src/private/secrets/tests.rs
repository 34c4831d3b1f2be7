//! A secret goes in and does not come out.

use crate::{
    Scope,
    testing::{Api, tokens},
};
use serde_json::{Value, json};

const VALUE: &str = "correct horse battery staple";

async fn set(api: &Api, name: &str, value: &str, status: u16) -> Value {
    let answer = api.request("PUT", &format!("/v1/secrets/{name}")).json(&json!({"value": value})).send().await;
    answer.is(status);
    answer.json()
}

#[tokio::test]
async fn a_value_is_set_and_never_given_out() {
    let api = Api::new();
    let first = set(&api, "token", VALUE, 201).await;
    assert_eq!((&first["name"], &first["version"]), (&json!("token"), &json!(1)));
    let second = set(&api, "token", "another value", 200).await;
    assert_eq!(second["version"], 2);
    assert_eq!(second["created_at"], first["created_at"]);
    assert_ne!(second["updated_at"], first["updated_at"]);
    let bytes = api.request("PUT", "/v1/secrets/bytes").json(&json!({"base64": "AAECAwQF/w=="})).send().await;
    bytes.is(201);
    let listed = api.all_pages("/v1/secrets?limit=1").await;
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[1], second);
    let events = api.all_pages("/v1/events?type=secret_set").await;
    assert_eq!(events[0]["data"], json!({"name": "token", "version": 1, "by": "admin"}));
    assert_eq!(events[2]["data"], json!({"name": "bytes", "version": 1, "by": "admin"}));
    let told = format!("{listed:?}{events:?}{first}{second}");
    assert!(!told.contains("horse") && !told.contains("another value"), "{told}");
    api.get("/v1/secrets/token").send().await.is_problem(405, "method_not_allowed");
}

#[tokio::test]
async fn what_cannot_be_a_secret_is_refused_and_not_repeated() {
    let api = Api::new();
    for (body, pointer, code) in [
        (json!({}), "/value", "required"),
        (json!({"value": "a", "base64": "YWJjZGVm"}), "/base64", "conflict"),
        (json!({"base64": "no base64!"}), "/base64", "invalid_base64"),
        (json!({"value": "12345"}), "/value", "out_of_range"),
        (json!({"value": "  12345\n"}), "/value", "out_of_range"),
        (json!({"base64": "AAAAAA=="}), "/base64", "out_of_range"),
        (json!({"value": "x".repeat(65_537)}), "/value", "out_of_range"),
        (json!({"value": ["do not tell"]}), "/value", "type"),
        (json!({"value": "fine and long", "extra": 1}), "/extra", "unknown_member"),
    ] {
        let refused = api.request("PUT", "/v1/secrets/a").json(&body).send().await;
        refused.is_problem(422, "invalid_document");
        let error = &refused.json()["errors"][0];
        assert_eq!(error["pointer"], pointer, "{error}");
        if code != "type" && code != "unknown_member" {
            assert_eq!(error["code"], code, "{error}");
        }
        let text = String::from_utf8_lossy(&refused.bytes).into_owned();
        assert!(!text.contains("12345") && !text.contains("do not tell"), "{text}");
    }
    for name in ["A", "a_b", &"a".repeat(64)] {
        let refused = api.request("PUT", &format!("/v1/secrets/{name}")).json(&json!({"value": VALUE})).send().await;
        refused.is_problem(422, "invalid_document");
    }
    assert!(api.all_pages("/v1/secrets").await.is_empty());
}

#[tokio::test]
async fn an_action_and_its_secrets_hold_each_other() {
    let api = Api::new();
    let config = json!({"token": {"$secret": "token", "prefix": "Bearer "}, "mode": {"$secret": "other"}});
    api.upload("echo 0.1.0").await.is(201);
    let body = json!({"name": "a", "protocol": "echo", "config": config});
    let refused = api.post("/v1/actions").json(&body).send().await;
    refused.is_problem(422, "invalid_document");
    let mut errors: Vec<String> = refused.json()["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| format!("{} {}", error["pointer"].as_str().unwrap(), error["code"].as_str().unwrap()))
        .collect();
    errors.sort();
    assert_eq!(
        errors,
        ["/config/mode secret_misplaced", "/config/mode secret_missing", "/config/token secret_missing"]
    );

    set(&api, "token", VALUE, 201).await;
    let config = json!({"token": {"$secret": "token", "prefix": "Bearer "}});
    let id = api.action("a", config.clone()).await;
    let shown = api.get("/v1/actions/a").send().await.json();
    assert_eq!(shown["config"], config, "what was saved is what is shown");
    let in_use = api.request("DELETE", "/v1/secrets/token").send().await;
    in_use.is_problem(409, "in_use");
    assert!(in_use.json()["detail"].as_str().unwrap().ends_with(": a"), "{}", in_use.json());
    let reveal = json!({"grants": {"reveal": ["token", "nothing"]}});
    let refused = api.request("PATCH", "/v1/actions/a").json(&reveal).send().await;
    refused.is_problem(422, "invalid_document");
    assert_eq!(refused.json()["errors"][0]["pointer"], "/grants/reveal/1");

    api.request("DELETE", &format!("/v1/actions/{id}")).send().await.is(204);
    api.request("DELETE", "/v1/secrets/token").send().await.is(204);
    api.request("DELETE", "/v1/secrets/token").send().await.is_problem(404, "secret_not_found");
    api.request("DELETE", "/v1/secrets/NO").send().await.is_problem(404, "secret_not_found");
    let events = api.all_pages("/v1/events?type=secret_deleted").await;
    assert_eq!(events[0]["data"], json!({"name": "token", "version": 1, "by": "admin"}));
}

#[tokio::test]
async fn a_reference_has_to_be_one_wherever_it_is_looked_at() {
    let api = Api::new();
    api.upload("echo 0.1.0").await.is(201);
    let body = json!({"config": {"token": {"$secret": 7}}});
    for path in ["validate-config", "test-connection"] {
        let refused = api.post(&format!("/v1/protocols/echo/0.1.0/{path}")).json(&body).send().await;
        refused.is_problem(422, "invalid_document");
        assert_eq!(refused.json()["errors"][0]["pointer"], "/config/token/$secret", "{}", refused.json());
    }
}

#[tokio::test]
async fn only_an_admin_rewraps() {
    let api = Api::new();
    for scope in [Scope::Configure, Scope::Invoke, Scope::Read] {
        api.post("/v1/secrets/rewrap").bearer(tokens(scope)).send().await.is_problem(403, "scope_missing");
    }
    set(&api, "token", VALUE, 201).await;
    let done = api.post("/v1/secrets/rewrap").send().await;
    done.is(200);
    assert_eq!((&done.json()["secrets"], &done.json()["unreadable"]), (&json!(0), &json!([])));
    // Nothing was to be done, and so nothing is recorded.
    assert!(api.all_pages("/v1/events?type=secrets_rewrapped").await.is_empty());
}
