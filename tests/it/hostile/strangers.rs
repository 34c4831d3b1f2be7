//! Tokens that somebody made, kept, found or bent, and deliveries that prove nothing: each is refused
//! by its name. A wrong token leaves a line in the service's own log, so many for an address and no
//! more, and never an event: a stranger writes nothing into the record. A delivery that nobody
//! believes leaves a small event of its webhook's action, and no execution.

use super::input::{end_of_log, events_behind};
use crate::kit::{Answer, Service, client::Client, fixture, service::Options};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use std::{ffi::OsString, path::Path};

/// A service that tells everything into a file.
async fn telling(log: &Path) -> Service {
    let wrapper = ["sh", "-c", "exec \"$@\" 2>>\"$0\"", log.to_str().unwrap()].map(OsString::from).to_vec();
    let options = Options { wrapper, ..Options::default() }.with("ACTION_SERVICE_LOG", "info");
    Service::start_with(options).await
}

async fn make(api: &Client, wish: Value) -> (String, String) {
    let made = api.post("/v1/tokens", &wish).await.json(201);
    let text = |member: &str| made[member].as_str().unwrap().to_owned();
    (text("id"), text("token"))
}

async fn execute(listener: &Client, authorization: &str) -> Answer {
    let request = listener.bare(Method::POST, "/v1/actions/theirs/execute").json(&json!(1));
    listener.send(request.header("authorization", authorization)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_a_line_in_the_log_and_nothing_in_the_record() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let service = telling(log.path()).await;
    let api = &service.private;
    let lines = |what: &str| {
        let text = std::fs::read_to_string(log.path()).unwrap();
        text.lines().filter(|line| line.contains(what)).map(str::to_owned).collect::<Vec<_>>()
    };
    api.upload(fixture("noop")).await.json(201);
    for name in ["mine", "theirs"] {
        api.action(name, "noop", json!({})).await.json(201);
    }
    let (id, right) = make(api, json!({"name": "right", "scopes": ["invoke"]})).await;
    let (other_id, other) = make(api, json!({"name": "other", "scopes": ["read"]})).await;
    let (_, limited) = make(api, json!({"name": "limited", "scopes": ["invoke"], "actions": ["mine"]})).await;
    let (gone, revoked) = make(api, json!({"name": "revoked", "scopes": ["admin"]})).await;
    api.delete(&format!("/v1/tokens/{gone}")).await;
    let last = if right.ends_with('0') { '1' } else { '0' };
    let before = end_of_log(api).await;
    let wrong = [
        ("forged in its last letter", format!("{}{last}", &right[..right.len() - 1])),
        ("cut off", right[..right.len() - 1].to_owned()),
        ("longer", format!("{right}0")),
        ("in capitals", right.to_uppercase()),
        ("the id alone", id.clone()),
        ("the secret alone", right[id.len()..].trim_start_matches('_').to_owned()),
        ("another one's secret", other.replace(&other_id, &id)),
        ("of nobody", right.replace(&id, "tok_01h455vb4pex5vsknk084sn02q")),
        ("revoked", revoked),
        ("two in one", format!("{right},{other}")),
        ("a statement", format!("{id}' OR '1'='1")),
        ("signed by nobody", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsInNjb3BlIjoiYWRtaW4ifQ.".to_owned()),
        ("signed with a key of its own", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9.AAAA".to_owned()),
    ];
    for (number, (attack, token)) in wrong.iter().enumerate() {
        // Both listeners ask the same, and count together.
        let listener = if number % 2 == 0 { api } else { &service.public };
        execute(listener, &format!("Bearer {token}")).await.problem(401, "token_invalid");
        assert_eq!(lines("api.login.failed").len(), number + 1, "{attack}");
    }
    for (attack, header, status, code) in [
        ("none at all", "", 401, "token_missing"),
        ("of another scheme", &*format!("Basic {right}"), 401, "token_missing"),
        ("without a scheme", &right, 401, "token_missing"),
        ("without the scope", &format!("Bearer {other}"), 403, "scope_missing"),
        ("of another action", &format!("Bearer {limited}"), 404, "action_not_found"),
    ] {
        let errors = execute(&service.public, header).await.problem(status, code);
        assert_eq!(errors, [""; 0], "{attack}");
        assert_eq!(lines("api.login.failed").len(), wrong.len(), "{attack}: it is no guess");
    }
    // Who has a token and not the scope is told apart by name.
    let short = lines("api.request.scope_missing");
    assert!(short.len() == 1 && short[0].contains(&other_id), "{short:?}");
    assert_eq!(events_behind(api, before).await, Vec::<Value>::new());
    let listed = api.get("/v1/executions").await.json(200);
    assert_eq!(listed["items"], json!([]));

    // However many come, the log does not grow with them.
    let flood = (0..300).map(|guess| execute(&service.public, if guess % 2 == 0 { "Bearer a" } else { "Bearer b" }));
    let answers = futures_util::future::join_all(flood).await;
    let waits = answers.iter().filter(|answer| answer.status == 429).count();
    assert!(waits > 250, "{waits}");
    let told = lines("api.login.");
    assert!((20..60).contains(&told.len()), "{}: {told:#?}", told.len());
    assert!(!lines("api.login.too_many").is_empty());
    assert_eq!(execute(api, &format!("Bearer {right}")).await.status, 200, "who has the right one is let in");
    let text = std::fs::read_to_string(log.path()).unwrap();
    for (attack, token) in wrong.iter().filter(|(_, token)| token.len() > 40) {
        assert!(!text.contains(token.as_str()), "{attack}: no token stands in a log");
    }
    let types: Vec<Value> = events_behind(api, before).await.iter().map(|event| event["type"].clone()).collect();
    assert_eq!(types, ["trigger_received", "attempt_started", "action_executed"], "of the right one alone");
}

fn signed(secret: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    mac.finalize().into_bytes().iter().fold("sha256=".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_proves_nothing_sets_nothing_off_and_is_recorded_small() {
    const OWN: &str = "a secret of this one";
    const ANOTHER: &str = "a secret of another";
    let service = Service::start().await;
    let (api, public) = (&service.private, &service.public);
    api.upload(fixture("noop")).await.json(201);
    for (name, secret) in [("hook", OWN), ("other", ANOTHER)] {
        api.put(&format!("/v1/secrets/{name}"), &json!({"value": secret})).await.json(201);
        let verify = json!({"scheme": "github", "secret": name});
        let action = json!({
            "name": name, "protocol": "noop", "config": {},
            "triggers": [{"type": "webhook", "path": name, "verify": verify}]
        });
        api.post("/v1/actions", &action).await.json(201);
    }
    let (body, hook) = ("{\"n\": 1}", "x-hub-signature-256");
    let right = signed(OWN, body);
    let deliver = |path: &str, headers: Vec<(&'static str, String)>, body: String| {
        let request = public.bare(Method::POST, path).header("content-type", "application/json");
        let with = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        public.send(with.header("x-github-delivery", "d-1").body(body))
    };
    let large = format!("{{\"n\": \"{}\"}}", "x".repeat(10_000));
    for (attack, headers, body) in [
        ("no signature", vec![], body.to_owned()),
        ("an empty one", vec![(hook, String::new())], body.to_owned()),
        ("cut off by a letter", vec![(hook, right[..right.len() - 1].to_owned())], body.to_owned()),
        ("cut off to nothing", vec![(hook, "sha256=".to_owned())], body.to_owned()),
        ("a letter too many", vec![(hook, format!("{right}0"))], body.to_owned()),
        ("without what it is", vec![(hook, right["sha256=".len()..].to_owned())], body.to_owned()),
        ("under another name", vec![("x-hub-signature", right.clone())], body.to_owned()),
        ("called weaker", vec![(hook, right.replace("sha256", "sha1"))], body.to_owned()),
        ("of another body", vec![(hook, right.clone())], "{\"n\": 2}".to_owned()),
        ("of the body and a space", vec![(hook, right.clone())], format!("{body} ")),
        ("another webhook's", vec![(hook, signed(ANOTHER, body))], body.to_owned()),
        ("by the secret's name", vec![(hook, signed("hook", body))], body.to_owned()),
        ("by nothing", vec![(hook, signed("", body))], body.to_owned()),
        ("of a large body that nobody keeps", vec![(hook, right.clone())], large.clone()),
        ("a long one", vec![(hook, "sha256=".to_owned() + &"0".repeat(4000))], body.to_owned()),
    ] {
        let before = end_of_log(api).await;
        deliver("/hooks/hook", headers, body.clone()).await.problem(401, "webhook_unverified");
        let events = events_behind(api, before).await;
        let types: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!(types, ["trigger_received", "trigger_refused"], "{attack}");
        assert_eq!(events[1]["data"]["code"], "webhook_unverified", "{attack}");
        let told = json!(events).to_string();
        assert!(!told.contains(&right[10..]) && !told.contains("d-1"), "{attack}: no header is kept: {told}");
        assert!(told.len() < 2000, "{attack}: {} bytes", told.len());
    }
    // What leads nowhere leaves nothing.
    let before = end_of_log(api).await;
    for path in ["/hooks/", "/hooks/Hook", "/hooks/hook/", "/hooks//hook", "/hooks/hook%00", "/hooks/..%2fv1%2factions"]
    {
        let code = if path == "/hooks/" { "route_not_found" } else { "webhook_not_found" };
        deliver(path, vec![(hook, right.clone())], body.to_owned()).await.problem(404, code);
    }
    assert_eq!(events_behind(api, before).await, Vec::<Value>::new());
    let executions = async || api.get("/v1/executions").await.json(200)["items"].as_array().unwrap().len();
    assert_eq!(executions().await, 0);
    // The right one runs once, however often somebody who saw it sends it.
    let first = deliver("/hooks/hook", vec![(hook, right.clone())], body.to_owned()).await.json(202);
    for _ in 0..3 {
        let again = deliver("/hooks/hook", vec![(hook, right.clone())], body.to_owned()).await.json(202);
        assert_eq!(again["execution"], first["execution"]);
    }
    assert_eq!(executions().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_opens_its_own_webhook_so_often_and_so_long_and_from_its_own_place() {
    const KEY: &str = "kept-by-one-sender";
    let service = Service::start().await;
    let (api, public) = (&service.private, &service.public);
    api.upload(fixture("noop")).await.json(201);
    api.put("/v1/secrets/key", &json!({"value": KEY})).await.json(201);
    api.put("/v1/secrets/other", &json!({"value": "kept-by-another-one"})).await.json(201);
    for (name, verify) in [
        ("once", json!({"scheme": "key", "secret": "key", "max_uses": 1})),
        ("over", json!({"scheme": "key", "secret": "key", "expires_at": "2026-01-01T00:00:00Z"})),
        ("other", json!({"scheme": "key", "secret": "other"})),
    ] {
        let trigger = json!({"type": "webhook", "path": name, "verify": verify});
        api.post("/v1/actions", &json!({"name": name, "protocol": "noop", "config": {}, "triggers": [trigger]}))
            .await
            .json(201);
    }
    let send = |path: &str, header: (&'static str, String)| {
        public.send(public.bare(Method::POST, path).header(header.0, header.1).body("x"))
    };
    let none = || ("x-nothing", "1".to_owned());
    let right = send(&format!("/hooks/once?key={KEY}"), none()).await.json(202);
    api.ended(right["execution"].as_str().unwrap()).await;
    for (attack, path, header, code) in [
        ("used up, in the query", format!("/hooks/once?key={KEY}"), none(), "webhook_used_up"),
        ("used up, in the header", "/hooks/once".into(), ("x-webhook-key", KEY.into()), "webhook_used_up"),
        ("over", format!("/hooks/over?key={KEY}"), none(), "webhook_expired"),
        ("of another webhook", format!("/hooks/other?key={KEY}"), none(), "webhook_unverified"),
        ("cut off", format!("/hooks/once?key={}", &KEY[..KEY.len() - 1]), none(), "webhook_unverified"),
        ("with more behind it", format!("/hooks/once?key={KEY}x"), none(), "webhook_unverified"),
        ("in capitals", format!("/hooks/once?key={}", KEY.to_uppercase()), none(), "webhook_unverified"),
        ("empty", "/hooks/once?key=".into(), none(), "webhook_unverified"),
        ("under another name", format!("/hooks/once?Key={KEY}"), none(), "webhook_unverified"),
        ("as a bearer", "/hooks/once".into(), ("authorization", format!("Bearer {KEY}")), "webhook_unverified"),
        ("as a cookie", "/hooks/once".into(), ("cookie", format!("key={KEY}")), "webhook_unverified"),
    ] {
        let before = end_of_log(api).await;
        send(&path, header).await.problem(401, code);
        let events = events_behind(api, before).await;
        let refused = events.last().unwrap();
        assert_eq!((&refused["type"], &refused["data"]["code"]), (&json!("trigger_refused"), &json!(code)), "{attack}");
        assert!(!json!(events).to_string().contains(KEY), "{attack}: {events:?}");
    }
    assert_eq!(api.get("/v1/executions").await.json(200)["items"].as_array().unwrap().len(), 1);
}
