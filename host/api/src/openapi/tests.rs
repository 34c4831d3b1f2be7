//! The document is true: what it lists is there, guarded as it says, and its changes are seen.

use crate::{
    Scope,
    routes::{FOR_LIMITED, SCOPES},
    testing::Api,
    wire::saved_action::ActionBody,
};
use action_domain::services::Clock as _;
use action_testkit::FakeClock;
use serde_json::{Value, json};
use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};
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

/// A path of this form about something that is not there, or about this.
fn sample(path: &str, action: &str, execution: &str) -> String {
    let id = match path.split('/').nth(2) {
        Some("executions") => execution,
        Some("tokens") => "tok_01h455vb4pex5vsknk084sn02q",
        _ => action,
    };
    path.replace("{id}", id)
        .replace("{name}", "nothing")
        .replace("{version}", "1.0.0")
        .replace("{n}", "1")
        .replace("{position}", "1")
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
    let clock = FakeClock::default();
    let api = Api::with(Arc::new(clock.clone()), None, true);
    let document = api.get("/openapi.json").send().await.json();
    let operations = operations(&document);
    assert!(operations.len() >= 36, "only {}", operations.len());
    let (there, execution) = with_something_to_see(&api).await;
    let mut bearers = Bearers::make(&api, &clock).await;
    let mut limited_seen = BTreeSet::new();
    for (method, path, operation) in operations {
        let name = format!("{method} {path}");
        let words: Vec<&str> = operation[SCOPES].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
        let missing = sample(&path, "nobody", "exe_01h455vb4pex5vsknk084sn02q");
        let send = |token: &str, path: &str| api.request(&method, path).bearer(token).send();
        let anonymous = send("", &missing).await;
        if words.is_empty() {
            assert_eq!(operation["security"], json!([]), "{name}");
            anonymous.is(200);
            continue;
        }
        assert_eq!(operation["security"], json!([{"bearer": []}]), "{name}");
        anonymous.is_problem(401, "token_missing");
        bearers.refused(&api, &method, &missing).await;
        for (scope, token) in &bearers.of_scopes {
            let answer = send(token, &missing).await;
            let allowed = *scope == Scope::Admin || words.contains(&scope.as_str());
            if allowed {
                assert_ne!(answer.status.as_u16(), 403, "{name} with {scope:?}");
            } else {
                answer.is_problem(403, "scope_missing");
            }
            let status = answer.status.as_str();
            assert!(operation["responses"].get(status).is_some(), "{name} answers {status} and does not say so");
            assert!(answer.status != 405 && answer.status != 500, "{name}: {status}");
            if answer.status == 404 {
                assert_ne!(answer.json()["code"], "route_not_found", "{name}");
            }
        }
        // What is there, and out of its reach.
        let answer = send(&bearers.limited, &sample(&path, &there, &execution)).await;
        let for_limited = operation[FOR_LIMITED].as_bool().unwrap();
        limited_seen.insert((for_limited, answer.status.as_u16()));
        match (words.as_slice(), for_limited, path.contains('{')) {
            (["admin"], ..) => answer.is_problem(403, "scope_missing"),
            (_, false, _) => answer.is_problem(403, "token_limited"),
            // Bodies come first where there have to be some.
            (_, true, true) => assert!(matches!(answer.status.as_u16(), 404 | 415), "{name}: {}", answer.status),
            (_, true, false) if method == "GET" => {
                answer.is(200);
                let items = answer.json()["items"].as_array().unwrap().clone();
                let of_others = |item: &Value| item["action"] == there.as_str() || item["id"] == there.as_str();
                assert!(!items.iter().any(of_others), "{name}: {items:?}");
            }
            (_, true, false) => answer.is_problem(415, "unsupported_media_type"),
        }
    }
    assert_eq!(limited_seen.into_iter().collect::<Vec<_>>(), [(false, 403), (true, 200), (true, 404), (true, 415)]);
}

/// An action and an execution of it.
async fn with_something_to_see(api: &Api) -> (String, String) {
    let there = api.protocol_and_action("there").await;
    let execution = api.execute("there").await;
    (there, execution["id"].as_str().unwrap().to_owned())
}

/// Bearers of every kind.
struct Bearers {
    of_scopes: Vec<(Scope, String)>,
    /// With all scopes that can be limited, to another action.
    limited: String,
    expired: String,
    revoked: String,
    /// Right but for the last digit.
    forged: String,
    from: u8,
}

impl Bearers {
    async fn make(api: &Api, clock: &FakeClock) -> Self {
        let mut of_scopes = Vec::new();
        for scope in Scope::ALL {
            let (_, text) = api.token(&json!({"name": scope.as_str(), "scopes": [scope.as_str()]})).await;
            of_scopes.push((scope, text));
        }
        let all = ["configure", "invoke", "read"];
        api.protocol_and_action("reached").await;
        let limited = api.token(&json!({"name": "limited", "scopes": all, "actions": ["reached"]})).await.1;
        let end = clock.now().plus(Duration::from_secs(1)).to_string();
        let expired = api.token(&json!({"name": "expired", "scopes": ["admin"], "expires_at": end})).await.1;
        let (id, revoked) = api.token(&json!({"name": "revoked", "scopes": ["admin"]})).await;
        api.request("DELETE", &format!("/v1/tokens/{id}")).send().await.is(204);
        clock.advance(Duration::from_secs(1));
        let (_, right) = api.token(&json!({"name": "right", "scopes": ["admin"]})).await;
        let last = if right.ends_with('0') { "1" } else { "0" };
        let forged = format!("{}{last}", &right[..right.len() - 1]);
        Self { of_scopes, limited, expired, revoked, forged, from: 0 }
    }

    async fn refused(&mut self, api: &Api, method: &str, path: &str) {
        self.from += 1;
        // From somewhere else each time: this is about what is refused, not how often.
        let from = format!("192.0.2.{}", self.from);
        for (bearer, code) in [
            (&self.expired, "token_expired"),
            (&self.revoked, "token_invalid"),
            (&self.forged, "token_invalid"),
            (&"nonsense".to_owned(), "token_invalid"),
        ] {
            api.request(method, path).bearer(bearer).from(&from).send().await.is_problem(401, code);
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
        let expected = expected.chain(guarded.then_some(["401", "403", "429"]).into_iter().flatten());
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
