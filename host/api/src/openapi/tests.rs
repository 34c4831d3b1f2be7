//! The document is true: what it lists is there, guarded as it says, and its changes are seen.

use crate::{
    Scope,
    routes::SCOPES,
    testing::{Api, tokens},
    wire::saved_action::ActionBody,
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, path::Path};
use utoipa::PartialSchema as _;

async fn document() -> Value {
    Api::new().get("/openapi.json").send().await.json()
}

/// Method, path and operation of each route.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods.map(|(method, operation)| (method.to_uppercase(), path.clone(), operation.clone()))
    });
    operations.collect()
}

fn sample(path: &str) -> String {
    let id = if path.starts_with("/v1/executions") { "exe_01h455vb4pex5vsknk084sn02q" } else { "nobody" };
    path.replace("{id}", id).replace("{name}", "nothing").replace("{version}", "1.0.0").replace("{n}", "1")
}

#[tokio::test]
async fn snapshot() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let now = serde_json::to_string_pretty(&document().await).unwrap() + "\n";
    if std::env::var_os("UPDATE_SNAPSHOT").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == now,
        "the document has changed; look at the difference after UPDATE_SNAPSHOT=1 cargo test -p action-api snapshot"
    );
}

#[tokio::test]
async fn every_operation_is_routed_and_guarded_as_it_says() {
    let api = Api::new();
    let operations = operations(&api.get("/openapi.json").send().await.json());
    assert!(operations.len() >= 33, "only {}", operations.len());
    for (method, path, operation) in operations {
        let name = format!("{method} {path}");
        let send = |token: &'static str| api.request(&method, &sample(&path)).bearer(token).send();
        let words: Vec<&str> = operation[SCOPES].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
        let anonymous = send("").await;
        if words.is_empty() {
            assert_eq!(operation["security"], json!([]), "{name}");
            anonymous.is(200);
            continue;
        }
        assert_eq!(operation["security"], json!([{"bearer": []}]), "{name}");
        anonymous.is_problem(401, "token_missing");
        for scope in Scope::ALL {
            let answer = send(tokens(scope)).await;
            let allowed = scope == Scope::Admin || words.contains(&scope.as_str());
            assert_eq!(answer.status.as_u16() != 403, allowed, "{name} with {scope:?}: {}", answer.status);
            let status = answer.status.as_str();
            assert!(operation["responses"].get(status).is_some(), "{name} answers {status} and does not say so");
            assert!(answer.status != 405 && answer.status != 500, "{name}: {status}");
            if answer.status == 404 {
                assert_ne!(answer.json()["code"], "route_not_found", "{name}");
            }
        }
    }
}

#[tokio::test]
async fn every_operation_is_described() {
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document().await) {
        let name = format!("{method} {path}");
        assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{name}: its id is there twice");
        assert!(!operation["summary"].as_str().unwrap_or_default().is_empty(), "{name}");
        let guarded = !operation[SCOPES].as_array().unwrap().is_empty();
        let responses = operation["responses"].as_object().unwrap();
        let has_body = operation["requestBody"].is_object();
        let expected = ["500", "503"].into_iter();
        let expected = expected.chain(guarded.then_some(["401", "403"]).into_iter().flatten());
        let expected = expected.chain(has_body.then_some(["400", "413", "415", "422"]).into_iter().flatten());
        let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
        for status in expected.chain((!parameters.is_empty()).then_some("400")) {
            assert!(responses.contains_key(status), "{name} does not document {status}");
        }
        for (status, response) in responses.iter().filter(|(status, _)| status.as_str() >= "400") {
            let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Problem", "{name} {status}");
        }
        let in_path: BTreeSet<&str> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        let documented = parameters.iter().filter(|it| it["in"] == "path").map(|it| it["name"].as_str().unwrap());
        assert_eq!(documented.collect::<BTreeSet<_>>(), in_path, "{name}");
        if guarded {
            assert!(operation["description"].as_str().unwrap().contains("Needs the scope"), "{name}");
        }
    }
}

#[tokio::test]
async fn it_is_3_1_and_every_reference_leads_somewhere() {
    fn walk(value: &Value, document: &Value) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
                }
                // Members that came with 3.2, and one that went with 3.0.
                for gone in ["itemSchema", "prefixEncoding", "itemEncoding", "additionalOperations", "nullable"] {
                    assert!(!members.contains_key(gone), "{gone}");
                }
                members.values().for_each(|member| walk(member, document));
            }
            Value::Array(list) => list.iter().for_each(|member| walk(member, document)),
            _ => {}
        }
    }
    let document = document().await;
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document.get("$self").is_none());
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    for tag in document["tags"].as_array().unwrap() {
        let members: Vec<&String> = tag.as_object().unwrap().keys().collect();
        assert_eq!(members, ["description", "name"], "3.2 has more members of a tag");
    }
    walk(&document, &document);
}

/// An action's answer has what a spec has: what can be set can be seen.
#[tokio::test]
async fn what_can_be_set_can_be_seen() {
    let document = document().await;
    let answer = serde_json::to_value(ActionBody::schema()).unwrap();
    for (name, _) in document["components"]["schemas"]["ActionSpec"]["properties"].as_object().unwrap() {
        assert!(answer["properties"].get(name).is_some(), "{name}");
    }
}
