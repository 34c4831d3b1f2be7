//! Who gets in, by the real binary: tokens of every kind of wrong, an issuer's tokens, and who did
//! what in the record.

use crate::kit::{
    Answer, PATIENCE, Service,
    client::Client,
    service::{Options, TOKEN, binary},
};
use action_testkit::{
    issuer::Issuer,
    postgres::{Database, Server},
};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    os::unix::fs::MetadataExt as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    process::Command,
    time::timeout,
};

async fn make(api: &Client, wish: Value) -> (String, String) {
    let made = api.post("/v1/tokens", &wish).await.json(201);
    let text = |member: &str| made[member].as_str().unwrap().to_owned();
    (text("id"), text("token"))
}

async fn ask(api: &Client, bearer: &str, method: Method, path: &str) -> Answer {
    api.send(api.bare(method, path).bearer_auth(bearer)).await
}

async fn look(api: &Client, bearer: &str) -> Answer {
    ask(api, bearer, Method::GET, "/v1/actions").await
}

/// In seconds since the Unix epoch.
fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_wrong_token_is_refused_on_both_listeners() {
    let service = Service::start().await;
    let api = &service.private;
    api.upload(crate::kit::fixture("noop")).await.json(201);
    for name in ["mine", "theirs"] {
        api.action(name, "noop", json!({})).await.json(201);
    }
    let (id, right) = make(api, json!({"name": "ci", "scopes": ["invoke"]})).await;
    let (_, reads) = make(api, json!({"name": "reads", "scopes": ["read"]})).await;
    let (_, limited) = make(api, json!({"name": "limited", "scopes": ["invoke"], "actions": ["mine"]})).await;
    let soon = json!({"name": "soon", "scopes": ["admin"], "expires_at": in_a_moment()});
    let (_, expires) = make(api, soon).await;
    let last = if right.ends_with('0') { '1' } else { '0' };
    let forged = format!("{}{last}", &right[..right.len() - 1]);
    let (gone, revoked) = make(api, json!({"name": "revoked", "scopes": ["admin"]})).await;
    api.delete(&format!("/v1/tokens/{gone}")).await;

    for listener in [api, &service.public] {
        let execute = async |bearer: &str, action: &str| {
            ask(listener, bearer, Method::POST, &format!("/v1/actions/{action}/execute")).await
        };
        assert_eq!(execute(&right, "mine").await.status, 200);
        let ran = execute(&limited, "mine").await.json(200);
        let shown = format!("/v1/executions/{}", ran["id"].as_str().unwrap());
        assert_eq!(ask(listener, &limited, Method::GET, &shown).await.status, 200);
        execute(&limited, "theirs").await.problem(404, "action_not_found");
        execute(&reads, "mine").await.problem(403, "scope_missing");
        execute(&forged, "mine").await.problem(401, "token_invalid");
        execute(&revoked, "mine").await.problem(401, "token_invalid");
        execute(&id, "mine").await.problem(401, "token_invalid");
        let until_over = async {
            loop {
                let answer = execute(&expires, "mine").await;
                if answer.status != 200 {
                    return answer;
                }
            }
        };
        timeout(PATIENCE, until_over).await.expect("it expires").problem(401, "token_expired");
        let theirs = execute(&right, "theirs").await.json(200);
        let path = format!("/v1/executions/{}", theirs["id"].as_str().unwrap());
        ask(listener, &limited, Method::GET, &path).await.problem(404, "execution_not_found");
    }
    // The public listener has nothing else to open, whatever the token.
    for path in ["/v1/tokens", "/v1/actions", "/v1/events"] {
        assert_eq!(ask(&service.public, TOKEN, Method::GET, path).await.status, 404);
    }
    let files = ["action-service.db", "action-service.db-wal"].map(|name| service.folder().join("data").join(name));
    let database: Vec<u8> = files.iter().flat_map(|file| std::fs::read(file).unwrap()).collect();
    for text in [&right, &limited, &expires] {
        let secret = text.rsplit('_').next().unwrap().as_bytes();
        assert!(!database.windows(secret.len()).any(|bytes| bytes == secret), "only its digest is kept");
    }
}

/// RFC 3339, two seconds from now.
fn in_a_moment() -> String {
    let end = now() + 2;
    let (days, seconds) = (end / 86_400, end % 86_400);
    // Days since 1970 as a date, by the algorithm of Howard Hinnant.
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_their_end_outlive_the_process() {
    let service = Service::start().await;
    let (_, kept) = make(&service.private, json!({"name": "kept", "scopes": ["read"]})).await;
    let (id, revoked) = make(&service.private, json!({"name": "revoked", "scopes": ["read"]})).await;
    assert_eq!(look(&service.private, &revoked).await.status, 200);
    assert_eq!(service.private.delete(&format!("/v1/tokens/{id}")).await.status, 204);
    let service = Service::start_with(service.kill().await).await;
    assert_eq!(look(&service.private, &kept).await.status, 200);
    look(&service.private, &revoked).await.problem(401, "token_invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_writes_an_admin_token_for_its_owner_alone() {
    let service = Service::start_with(Options::default().with("ACTION_SERVICE_ADMIN_TOKEN", "")).await;
    let file = service.folder().join("data/admin-token");
    assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    let token = std::fs::read_to_string(&file).unwrap();
    assert_eq!(look(&service.private, token.trim()).await.status, 200);
    look(&service.private, TOKEN).await.problem(401, "token_invalid");
}

async fn database() -> Database {
    tokio::task::spawn_blocking(|| Server::shared().database()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn revoked_on_one_process_is_refused_on_the_other_at_once() {
    let database = database().await;
    let on_it = || Options::default().with("ACTION_SERVICE_DATABASE_URL", database.url.clone());
    let (one, other) = (Service::start_with(on_it()).await, Service::start_with(on_it()).await);
    for round in 0..20 {
        // Both ways round.
        let (here, there) = if round % 2 == 0 { (&one, &other) } else { (&other, &one) };
        let (id, text) = make(&here.private, json!({"name": "a", "scopes": ["read"]})).await;
        assert_eq!(look(&there.private, &text).await.status, 200, "good at once, too");
        // Somebody uses it all the time.
        let url = format!("{}/v1/actions", there.private.base);
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let users: Vec<_> = (0..4)
            .map(|_| {
                let (http, url, text) = (http.clone(), url.clone(), text.clone());
                tokio::spawn(
                    async move { while http.get(&url).bearer_auth(&text).send().await.unwrap().status() == 200 {} },
                )
            })
            .collect();
        assert_eq!(here.private.delete(&format!("/v1/tokens/{id}")).await.status, 204);
        for process in [there, here] {
            let refused = look(&process.private, &text).await.status.as_u16();
            // The same round after round is more than an address has free.
            assert!(matches!(refused, 401 | 429), "round {round}: {refused}");
        }
        for user in users {
            timeout(PATIENCE, user).await.expect("it ends").unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_fails_too_often_is_told_to_wait_and_nobody_else_is() {
    let service = Service::start().await;
    let api = &service.private;
    let (_, right) = make(api, json!({"name": "right", "scopes": ["read"]})).await;
    let mut answers = Vec::new();
    for guess in 0..40 {
        answers.push(look(api, &format!("guess-{guess}")).await);
    }
    assert!(answers[..20].iter().all(|answer| answer.status == 401));
    let last = answers.pop().unwrap();
    last.problem(429, "too_many_failed_logins");
    assert!(last.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert_eq!(look(api, &right).await.status, 200);
    assert_eq!(look(api, TOKEN).await.status, 200, "it came from here before");
}

/// Serves a key set, and counts how often it was asked for.
struct KeyServer {
    url: String,
    asked: Arc<AtomicUsize>,
}

impl KeyServer {
    async fn start(set: &Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let (body, asked) = (set.to_string(), Arc::new(AtomicUsize::new(0)));
        let server = Self { url, asked: asked.clone() };
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                asked.fetch_add(1, Ordering::SeqCst);
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        server
    }
}

const ISSUER: &str = "https://issuer.test";

fn with_issuer(keys: &str) -> Options {
    Options::default()
        .with("ACTION_SERVICE_OIDC_ISSUER", ISSUER)
        .with("ACTION_SERVICE_OIDC_AUDIENCE", "orders")
        .with("ACTION_SERVICE_OIDC_JWKS", keys)
}

fn claims(scope: &str) -> Value {
    json!({"iss": ISSUER, "aud": ["orders"], "sub": "alice", "exp": now() + 3600, "nbf": now(), "scope": scope})
}

fn changed(member: &str, value: Value) -> Value {
    let mut claims = claims("action-service:admin");
    claims[member] = value;
    claims
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuers_tokens_are_taken_by_keys_from_a_url() {
    let issuer = Issuer::new();
    let keys = KeyServer::start(&issuer.jwks()).await;
    let service = Service::start_with(with_issuer(&keys.url)).await;
    let api = &service.private;
    let token = |kid: &str, scope: &str| issuer.token(kid, &claims(scope));
    for kid in ["rs", "es", "ed"] {
        assert_eq!(look(api, &token(kid, "openid action-service:read")).await.status, 200, "{kid}");
    }
    look(api, &token("es", "action-service:invoke read")).await.problem(403, "scope_missing");
    let admin = json!({"alg": "RS256", "kid": "rs"});
    for (what, wrong) in [
        ("unsigned", issuer.token_with(&json!({"alg": "none"}), "none", &claims("action-service:admin"))),
        (
            "a shared secret",
            issuer.token_with(&json!({"alg": "HS256", "kid": "rs"}), "hmac", &claims("action-service:admin")),
        ),
        ("the same under a right name", issuer.token_with(&admin, "hmac", &claims("action-service:admin"))),
        ("another key's signature", issuer.token_with(&admin, "es", &claims("action-service:admin"))),
        ("somebody else's", Issuer::new().token("es", &claims("action-service:admin"))),
        ("for others", issuer.token("rs", &changed("aud", json!("payments")))),
        ("from others", issuer.token("rs", &changed("iss", json!("https://evil.test")))),
        ("not yet", issuer.token("rs", &changed("nbf", json!(now() + 600)))),
        ("for ever", issuer.token("rs", &changed("exp", json!(null)))),
    ] {
        let refused = look(api, &wrong).await;
        assert_eq!(refused.status, 401, "{what}");
        refused.problem(401, "token_invalid");
    }
    look(api, &issuer.token("rs", &changed("exp", json!(now() - 60)))).await.problem(401, "token_expired");

    // Fetched once at the start; made-up key ids make it ask once in half a minute at most.
    let asked = keys.asked.load(Ordering::SeqCst);
    for made_up in 0..5 {
        let head = json!({"alg": "ES256", "kid": format!("made-up-{made_up}")});
        look(api, &issuer.token_with(&head, "es", &claims("action-service:admin"))).await;
    }
    assert!(keys.asked.load(Ordering::SeqCst) <= asked + 1);

    let made = api.bare(Method::POST, "/v1/tokens").bearer_auth(token("ed", "action-service:admin"));
    let made = api.send(made.json(&json!({"name": "by alice", "scopes": ["read"]}))).await.json(201);
    assert_eq!(made["created_by"], "subject:alice");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuers_tokens_are_taken_by_keys_from_a_file() {
    let (issuer, next) = (Issuer::new(), Issuer::new());
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("keys.json");
    std::fs::write(&file, issuer.jwks().to_string()).unwrap();
    let service = Service::start_with(with_issuer(file.to_str().unwrap())).await;
    let api = &service.private;
    assert_eq!(look(api, &issuer.token("rs", &claims("action-service:read"))).await.status, 200);
    look(api, &next.token("es", &claims("action-service:read"))).await.problem(401, "token_invalid");
    // Without an issuer nobody's are taken.
    let without = Service::start().await;
    look(&without.private, &issuer.token("rs", &claims("action-service:read"))).await.problem(401, "token_invalid");

    let missing = Command::new(binary())
        .arg("serve")
        .current_dir(folder.path())
        .env("ACTION_SERVICE_OIDC_ISSUER", ISSUER)
        .env("ACTION_SERVICE_OIDC_AUDIENCE", "orders")
        .env("ACTION_SERVICE_OIDC_JWKS", "nowhere.json")
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(missing.stderr).unwrap();
    assert!(missing.status.code() == Some(2) && said.contains("nowhere.json"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_without_keys_keeps_nobody_else_out() {
    let issuer = Issuer::new();
    let keys = KeyServer::start(&json!("no keys yet")).await;
    let service = Service::start_with(with_issuer(&keys.url)).await;
    assert_eq!(look(&service.private, TOKEN).await.status, 200);
    look(&service.private, &issuer.token("es", &claims("action-service:read"))).await.problem(401, "token_invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_did_it_stands_in_every_event_of_a_change() {
    let service = Service::start().await;
    let api = &service.private;
    let (id, all) = make(api, json!({"name": "all", "scopes": ["admin"]})).await;
    let send = async |method: Method, path: &str, body: Option<Value>| {
        let request = api.bare(method, path).bearer_auth(&all);
        let request = if let Some(body) = body { request.json(&body) } else { request };
        api.send(request).await
    };
    for component in
        [crate::kit::fixture("noop"), crate::kit::components::core_module(), crate::kit::fixture("misbehave")]
    {
        let upload =
            api.bare(Method::POST, "/v1/protocols").bearer_auth(&all).header("content-type", "application/wasm");
        api.send(upload.body(component)).await;
    }
    let spec = json!({"name": "a", "protocol": "noop", "config": {}});
    send(Method::POST, "/v1/actions", Some(spec.clone())).await.json(201);
    send(Method::PUT, "/v1/actions/a", Some(spec)).await.json(200);
    send(Method::POST, "/v1/actions/a/test-connection", None).await.json(200);
    send(Method::POST, "/v1/actions/a/execute", None).await.json(200);
    let endless = json!({"name": "endless", "protocol": "misbehave", "config": {"mode": "loop"},
        "limits": {"fuel": 1_000_000_000_000_u64, "timeout_ms": 600_000}});
    send(Method::POST, "/v1/actions", Some(endless)).await.json(201);
    let call = api.bare(Method::POST, "/v1/actions/endless/execute").bearer_auth(&all).header("prefer", "wait=1");
    let running = api.send(call.json(&json!(1))).await.json(202);
    let path = format!("/v1/executions/{}", running["id"].as_str().unwrap());
    while api.get(&path).await.json(200)["status"] != "running" {}
    send(Method::POST, &format!("{path}/cancel"), None).await;
    api.ended(running["id"].as_str().unwrap()).await;
    send(Method::POST, &format!("{path}/retry"), None).await.json(202);
    while api.get(&path).await.json(200)["status"] != "running" {}
    send(Method::POST, &format!("{path}/cancel"), None).await;
    api.ended(running["id"].as_str().unwrap()).await;
    for name in ["a", "endless"] {
        send(Method::DELETE, &format!("/v1/actions/{name}"), None).await;
    }
    let noop = api.get("/v1/protocols/noop").await.json(200)["items"][0]["version"].as_str().unwrap().to_owned();
    assert_eq!(send(Method::DELETE, &format!("/v1/protocols/noop/{noop}"), None).await.status, 204);
    let (other, _) = make(api, json!({"name": "other", "scopes": ["read"]})).await;
    assert_eq!(send(Method::DELETE, &format!("/v1/tokens/{other}"), None).await.status, 204);

    send(Method::PUT, "/v1/consumers/reader", Some(json!({}))).await.json(201);
    send(Method::PUT, "/v1/consumers/reader", Some(json!({"types": ["item_captured"]}))).await.json(200);
    assert_eq!(send(Method::DELETE, "/v1/consumers/reader", None).await.status, 204);

    let events = api.get("/v1/events?limit=500").await.json(200);
    let events = events["items"].as_array().unwrap();
    let made = events.iter().position(|event| event["data"]["token"] == id.as_str()).unwrap();
    assert!(events[..made].iter().all(|event| event["data"]["by"] == "system"), "what came with the binary");
    assert_eq!(events[made]["data"]["by"], "admin");
    let mut seen: Vec<&str> = Vec::new();
    for event in &events[made + 1..] {
        let r#type = event["type"].as_str().unwrap();
        if r#type == "token_created" {
            assert_eq!(event["data"]["by"], "admin");
        } else if let Some(by) = event["data"].get("by") {
            assert_eq!(*by, id.as_str(), "{event}");
            seen.push(r#type);
        }
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(
        seen,
        [
            "action_created",
            "action_deleted",
            "action_updated",
            "connection_tested",
            "consumer_created",
            "consumer_deleted",
            "consumer_updated",
            "execution_cancel_requested",
            "execution_queued",
            "protocol_deleted",
            "protocol_refused",
            "protocol_uploaded",
            "token_revoked",
            "trigger_received",
        ]
    );
    let pruned =
        send(Method::POST, "/v1/events/prune", Some(json!({"before": "2999-01-01T00:00:00Z"}))).await.json(200);
    assert!(pruned["executions"].as_u64().unwrap() > 0);
    let told = api.get("/v1/events?type=events_pruned").await.json(200);
    assert_eq!(told["items"][0]["data"]["by"], id.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_made_listed_and_revoked_by_the_command_line() {
    let service = Service::start().await;
    let api = &service.private;
    api.upload(crate::kit::fixture("noop")).await.json(201);
    api.action("a", "noop", json!({})).await.json(201);
    let cli = async |words: &[&str]| {
        let output = Command::new(binary())
            .args(words)
            .current_dir(service.folder())
            .env("ACTION_SERVICE_TOKEN", TOKEN)
            .env("ACTION_SERVICE_URL", &api.base)
            .output()
            .await
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let (code, out, err) =
        cli(&["token", "create", "ci", "--scope", "invoke,read", "--action", "a", "--expires", "30d", "--json"]).await;
    assert_eq!(code, 0, "{err}");
    let made: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&made["scopes"], made["actions"].as_array().unwrap().len()), (&json!(["invoke", "read"]), 1));
    assert!(made["expires_at"].is_string());
    // For people: the token alone on standard output.
    let (code, out, err) = cli(&["token", "create", "plain", "--scope", "read"]).await;
    assert!(code == 0 && err.contains("until it is revoked"), "{err}");
    let plain = out.trim().to_owned();
    assert_eq!(look(api, &plain).await.status, 200);
    let (_, table, _) = cli(&["token", "list"]).await;
    assert!(table.contains("ci") && table.contains("plain") && table.contains("invoke read"), "{table}");
    assert!(!table.contains(plain.rsplit('_').next().unwrap()), "{table}");
    let listed: Value = serde_json::from_str(&cli(&["token", "list", "--json"]).await.1).unwrap();
    let id = listed["items"][0]["id"].as_str().unwrap().to_owned();
    let (code, out, err) = cli(&["token", "revoke", &id]).await;
    assert!(code == 0 && out.contains(&id), "{out}{err}");
    look(api, &plain).await.problem(401, "token_invalid");
    assert_eq!(cli(&["token", "revoke", &id]).await.0, 1);
    for wrong in [
        &["token", "create", "x"][..],
        &["token", "create", "x", "--scope", "root"],
        &["token", "create", "x", "--scope", "read", "--expires", "tomorrow"],
        &["token", "revoke"],
    ] {
        assert_eq!(cli(wrong).await.0, 2, "{wrong:?}");
    }
    let (_, events, _) = cli(&["events", "list", "--type", "token_created,token_revoked"]).await;
    assert!(events.contains("invoke read") && events.contains("by admin"), "{events}");
}
