//! A new version of a protocol: what it changes is told, and no action gains a power by it that
//! nobody wrote down.

use crate::kit::{
    Remote, Service, fixture,
    service::{TOKEN, binary},
};
use serde_json::{Value, json};
use tokio::process::Command;

async fn action(service: &Service, name: &str, protocol: &str, config: Value) -> Value {
    let action = json!({"name": name, "protocol": protocol, "config": config, "grants": {"private_networks": true},
        "delivery": {"max_attempts": 1}});
    service.private.post("/v1/actions", &action).await.json(201)
}

/// Configs by which the second version accepts, and refuses in each of its ways.
fn configs(remote: &Remote) -> [(&'static str, Value); 4] {
    let url = remote.url("/json");
    [
        ("plain", json!({"url": url})),
        ("slow", json!({"url": url, "pace": "slow"})),
        ("old", json!({"url": remote.url("/old")})),
        ("mirrored", json!({"url": url, "mirror": "http://127.0.0.1:9/"})),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_tells_what_is_different_and_whom_it_would_refuse() {
    let (service, remote) = (Service::start().await, Remote::start().await);
    let api = &service.private;
    let first = api.upload(fixture("version-one")).await.json(201);
    assert!(first.get("upgrade").is_none(), "{first}");
    for (name, config) in configs(&remote) {
        action(&service, name, "versioned", config).await;
    }
    let second = api.upload(fixture("version-two")).await.json(201);
    let upgrade = &second["upgrade"];
    assert_eq!((&upgrade["from"], &upgrade["to"]), (&json!("versioned@0.1.0"), &json!("versioned@0.2.0")));
    assert_eq!(
        upgrade["config"],
        json!([
            {"pointer": "/key", "change": "added"},
            {"pointer": "/key", "change": "write_only_added"},
            {"pointer": "/mirror", "change": "egress_added"},
            {"pointer": "/pace", "change": "changed"},
        ])
    );
    let imports: Vec<&str> = upgrade["imports_added"].as_array().unwrap().iter().map(|i| i.as_str().unwrap()).collect();
    assert!(imports.iter().any(|import| import.starts_with("wasi:sockets/ip-name-lookup")), "{imports:?}");
    assert_eq!(upgrade["more"], false);
    let said: Vec<(&str, bool, Vec<String>)> = upgrade["actions"].as_array().unwrap().iter().map(said).collect();
    assert_eq!(
        said,
        [
            ("mirrored", false, vec!["/config/mirror egress_widened".to_owned()]),
            ("old", false, vec!["/config/url gone".to_owned()]),
            ("plain", true, vec![]),
            ("slow", false, vec!["/config/pace enum".to_owned()]),
        ]
    );
    let plain = upgrade["actions"].as_array().unwrap().iter().find(|action| action["name"] == "plain").unwrap();
    assert_eq!(plain["effect"], "keyed", "{plain}");
    // Asked again, and by the action's own version.
    for query in ["", "?from=0.1.0"] {
        let again = api.get(&format!("/v1/protocols/versioned/0.2.0/upgrade{query}")).await.json(200);
        assert_eq!(&again, upgrade, "{query}");
    }
    assert_eq!(api.upload(fixture("version-two")).await.json(200)["upgrade"], *upgrade);
    let uploads = api.get("/v1/events?type=protocol_uploaded&limit=500").await.json(200);
    let versioned =
        uploads["items"].as_array().unwrap().iter().filter(|event| {
            event["data"]["protocol"].as_str().is_some_and(|protocol| protocol.starts_with("versioned@"))
        });
    assert_eq!(versioned.count(), 2);
}

fn said(action: &Value) -> (&str, bool, Vec<String>) {
    let error = |error: &Value| format!("{} {}", error["pointer"].as_str().unwrap(), error["code"].as_str().unwrap());
    let errors = action["errors"].as_array().unwrap().iter().map(error).collect();
    (action["name"].as_str().unwrap(), action["accepted"] == true, errors)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_moves_when_somebody_says_so_and_not_in_passing() {
    let (service, remote) = (Service::start().await, Remote::start().await);
    let api = &service.private;
    api.upload(fixture("version-one")).await.json(201);
    for (name, protocol) in [("loose", "versioned"), ("ranged", "versioned@>=0.1"), ("pinned", "versioned@0.1.0")] {
        action(&service, name, protocol, json!({"url": remote.url("/json")})).await;
    }
    api.upload(fixture("version-two")).await.json(201);
    for name in ["loose", "ranged", "pinned"] {
        let path = format!("/v1/actions/{name}");
        let patched = api.patch(&path, &json!({"description": "changed"})).await.json(200);
        assert_eq!(patched["protocol"], "versioned@0.1.0", "{name} stays");
        assert!(patched.get("changes").is_none(), "{patched}");
        let execution = api.execute(name, &json!(1)).await.json(200);
        assert_eq!(execution["protocol"], "versioned@0.1.0", "{execution}");
    }
    // A save that names the protocol again finds the newest that fits, and says so.
    let moved = api.patch("/v1/actions/loose", &json!({"protocol": "versioned"})).await.json(200);
    assert_eq!(moved["protocol"], "versioned@0.2.0");
    let changes = &moved["changes"];
    assert_eq!(changes["protocol"], json!({"from": "versioned@0.1.0", "to": "versioned@0.2.0"}), "{moved}");
    assert_eq!(changes["effect"], json!({"from": "read", "to": "keyed"}), "{moved}");
    assert!(changes.get("egress_added").is_none(), "its url was a grant before: {moved}");
    assert!(!changes["imports_added"].as_array().unwrap().is_empty(), "{moved}");
    let ranged = api.get("/v1/actions/ranged").await.json(200);
    let mut document = ranged.clone();
    document["protocol"] = "versioned@>=0.1".into();
    let put = api.put("/v1/actions/ranged", &document).await.json(200);
    assert_eq!(put["protocol"], "versioned@0.1.0", "that fits still: {put}");
    document["protocol"] = "versioned@>=0.2".into();
    let put = api.put("/v1/actions/ranged", &document).await.json(200);
    assert_eq!(put["changes"]["protocol"]["to"], "versioned@0.2.0", "{put}");
    let explicit = api.patch("/v1/actions/pinned", &json!({"protocol": "versioned@0.2.0"})).await.json(200);
    assert_eq!(explicit["protocol"], "versioned@0.2.0");
    let events = api.get("/v1/events?type=action_updated&limit=500").await.json(200);
    let moves: Vec<&Value> = (events["items"].as_array().unwrap().iter())
        .filter(|event| event["data"]["changes"]["protocol"]["to"] == "versioned@0.2.0")
        .collect();
    assert_eq!(moves.len(), 3, "{events}");
    // And back, if that is wanted.
    let back = api.patch("/v1/actions/pinned", &json!({"protocol": "versioned@0.1.0"})).await.json(200);
    assert_eq!(back["changes"]["effect"], json!({"from": "keyed", "to": "read"}), "{back}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_document_again_moves_nothing() {
    let (service, remote) = (Service::start().await, Remote::start().await);
    let api = &service.private;
    api.upload(fixture("version-one")).await.json(201);
    let document = json!({"name": "loose", "protocol": "versioned", "config": {"url": remote.url("/json")}});
    api.post("/v1/actions", &document).await.json(201);
    api.upload(fixture("version-two")).await.json(201);
    for query in ["?dry_run=true", ""] {
        let put = api.put(&format!("/v1/actions/loose{query}"), &document).await.json(200);
        assert_eq!(put["protocol"], "versioned@0.1.0", "{query}");
        assert!(put.get("changes").is_none(), "{put}");
    }
    let file = service.folder().join("loose.json");
    std::fs::write(&file, document.to_string()).unwrap();
    let applied = apply(&service, &file).await;
    assert_eq!((&applied["result"], &applied["action"]["protocol"]), (&json!("unchanged"), &json!("versioned@0.1.0")));
    let mut named = document.clone();
    named["protocol"] = "versioned@0.2.0".into();
    std::fs::write(&file, named.to_string()).unwrap();
    let applied = apply(&service, &file).await;
    assert_eq!((&applied["result"], &applied["action"]["protocol"]), (&json!("updated"), &json!("versioned@0.2.0")));
    // And without a version again: it stays where somebody moved it.
    let put = api.put("/v1/actions/loose", &document).await.json(200);
    assert_eq!(put["protocol"], "versioned@0.2.0");
    api.put("/v1/actions/fresh", &json!({"protocol": "versioned", "config": document["config"]})).await.json(201);
    assert_eq!(api.get("/v1/actions/fresh").await.json(200)["protocol"], "versioned@0.2.0", "a new one has the newest");
}

/// `action apply` of one document.
async fn apply(service: &Service, file: &std::path::Path) -> Value {
    let output = Command::new(binary())
        .args(["action", "apply", "--json", "-f"])
        .arg(file)
        .current_dir(service.folder())
        .env("ACTION_SERVICE_TOKEN", TOKEN)
        .env("ACTION_SERVICE_URL", &service.private.base)
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice::<Value>(&output.stdout).unwrap()["items"][0].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_protocol_may_see_is_told_when_it_grows() {
    let service = Service::start().await;
    let api = &service.private;
    api.upload(fixture("secretive")).await.json(201);
    for name in ["one", "other"] {
        api.put(&format!("/v1/secrets/{name}"), &json!({"value": "open sesame"})).await.json(201);
    }
    let config = |secret: &str| json!({"mode": "reveal", "secret": {"$secret": secret}});
    let document = json!({"name": "a", "protocol": "secretive", "config": config("one")});
    api.post("/v1/actions", &document).await.json(201);
    let patch = async |patch: Value| api.patch("/v1/actions/a", &patch).await.json(200)["changes"].take();
    assert_eq!(patch(json!({"grants": {"reveal": ["one"]}})).await, json!({"reveal_added": ["one"]}));
    assert_eq!(
        patch(json!({"config": config("other"), "grants": {"reveal": ["other"]}})).await,
        json!({"secrets_added": ["other"], "secrets_removed": ["one"], "reveal_added": ["other"], "reveal_removed": ["one"]})
    );
    assert_eq!(patch(json!({"description": "x"})).await, Value::Null);
    let events = api.get("/v1/events?type=action_updated").await.json(200);
    assert_eq!(events["items"][0]["data"]["changes"], json!({"reveal_added": ["one"]}), "{events}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_would_be_refused_says_why_and_how_the_versions_differ() {
    let (service, remote) = (Service::start().await, Remote::start().await);
    let api = &service.private;
    api.upload(fixture("version-one")).await.json(201);
    for (name, config) in configs(&remote) {
        action(&service, name, "versioned", config).await;
    }
    api.upload(fixture("version-two")).await.json(201);
    for (name, error) in
        [("slow", "/config/pace enum"), ("old", "/config/url gone"), ("mirrored", "/config/mirror egress_widened")]
    {
        let refused = api.patch(&format!("/v1/actions/{name}"), &json!({"protocol": "versioned@0.2.0"})).await;
        assert_eq!(refused.problem(422, "invalid_document"), [error], "{name}");
        let body = refused.json(422);
        assert_eq!(body["upgrade"]["to"], "versioned@0.2.0", "{body}");
        assert_eq!(body["upgrade"]["config"].as_array().unwrap().len(), 4, "{body}");
        let kept = api.get(&format!("/v1/actions/{name}")).await.json(200);
        assert_eq!((&kept["protocol"], &kept["revision"]), (&json!("versioned@0.1.0"), &json!(1)), "nothing moved");
    }
    // What is wrong without a move has nothing to do with versions.
    let wrong = api.patch("/v1/actions/plain", &json!({"config": {"pace": "none"}})).await;
    wrong.problem(422, "invalid_document");
    assert!(wrong.json(422).get("upgrade").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_makes_no_grant_of_a_value_until_it_is_granted_by_name() {
    let (service, remote, mirror) = (Service::start().await, Remote::start().await, Remote::start().await);
    let api = &service.private;
    api.upload(fixture("version-one")).await.json(201);
    action(&service, "both", "versioned", json!({"url": remote.url("/json"), "mirror": mirror.url("/json")})).await;
    let execution = api.execute("both", &json!(1)).await.json(200);
    assert_eq!(execution["error"]["code"], "egress_denied", "the mirror is no grant in 0.1.0: {execution}");
    api.upload(fixture("version-two")).await.json(201);
    let refused = api.patch("/v1/actions/both", &json!({"protocol": "versioned"})).await;
    assert_eq!(refused.problem(422, "invalid_document"), ["/config/mirror egress_widened"]);
    let message = refused.json(422)["errors"][0]["message"].as_str().unwrap().to_owned();
    let grant = json!({"host": "127.0.0.1", "ports": [mirror.address.port()]});
    assert!(message.contains(&format!("\"ports\": [{}]", mirror.address.port())), "{message}");
    assert!(mirror.requests().is_empty());
    // Whoever writes it down means it.
    let grants = json!({"protocol": "versioned", "grants": {"egress": [grant]}});
    let moved = api.patch("/v1/actions/both", &grants).await.json(200);
    assert_eq!(moved["protocol"], "versioned@0.2.0");
    assert_eq!(moved["changes"]["egress_added"][0]["host"], "127.0.0.1", "{moved}");
    let execution = api.execute("both", &json!(1)).await.json(200);
    assert_eq!(execution["status"], "succeeded", "{execution}");
    assert_eq!(mirror.requests().len(), 1);
    // A new action is written under the version that it names: what it says is what was meant.
    action(&service, "fresh", "versioned", json!({"url": remote.url("/json"), "mirror": mirror.url("/json")})).await;
}
