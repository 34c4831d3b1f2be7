//! Secrets on their whole path: in by the API, out to granted hosts only, and in no place of the
//! record, whoever puts them there.

use crate::kit::{
    PATIENCE, Remote, Service,
    client::Client,
    components, fixture,
    service::{Options, TOKEN, binary},
};
use action_testkit::postgres::Server;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Value, json};
use std::{ffi::OsStr, path::Path, process::Stdio};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    process::Command,
};

/// Everything that has to be escaped somewhere.
const VALUE: &str = "pa55/w0rd+\"Zyx\"=42%&\\n";
const ESCAPED: &str = "pa55%2Fw0rd%2B%22Zyx%22%3D42%25%26%5Cn";
/// Parts of it that no encoding for URLs, JSON or HTML changes.
const PARTS: [&str; 2] = ["pa55", "w0rd"];
const OLD_KEY: &str = "0101010101010101010101010101010101010101010101010101010101010101";
const NEW_KEY: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

async fn set(api: &Client, name: &str, value: &str) -> Value {
    let answer = api.put(&format!("/v1/secrets/{name}"), &json!({"value": value})).await;
    assert!(answer.status.is_success(), "{}", String::from_utf8_lossy(&answer.body));
    serde_json::from_slice(&answer.body).unwrap()
}

/// An action of `secretive` whose secret is `token`, executed once.
async fn execute(api: &Client, name: &str, config: Value, reveal: &[&str]) -> Value {
    let mut config = config;
    config["secret"] = json!({"$secret": "token"});
    execute_with(api, name, "secretive", config, reveal).await
}

async fn execute_with(api: &Client, name: &str, protocol: &str, config: Value, reveal: &[&str]) -> Value {
    if !api.get(&format!("/v1/protocols/{protocol}/0.1.0")).await.status.is_success() {
        api.upload(fixture(protocol)).await.json(201);
    }
    let action = json!({
        "name": name, "protocol": protocol, "config": config,
        "grants": {"private_networks": true, "reveal": reveal}, "delivery": {"max_attempts": 1}
    });
    let saved = api.put(&format!("/v1/actions/{name}"), &action).await;
    assert!(saved.status.is_success(), "{}", String::from_utf8_lossy(&saved.body));
    api.execute(name, &json!({})).await.json(200)
}

/// Every way in which the value could be found in some bytes.
fn spellings() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = PARTS.iter().map(|part| part.as_bytes().to_vec()).collect();
    for before in 0..3 {
        let encoded = STANDARD.encode([&b"xx"[..before], VALUE.as_bytes()].concat());
        // Without the characters that depend on what is around it.
        all.push(encoded.as_bytes()[4..encoded.len() - 4].to_vec());
    }
    all
}

#[track_caller]
fn nothing_in(place: &str, bytes: &[u8]) {
    for spelling in spellings() {
        let found = bytes.windows(spelling.len()).position(|window| window == spelling);
        let around = found.map(|at| String::from_utf8_lossy(&bytes[at.saturating_sub(80)..(at + 80).min(bytes.len())]));
        assert!(around.is_none(), "{place} holds {}: {around:?}", String::from_utf8_lossy(&spelling));
    }
}

/// Looks for the value in all that the API tells, and in every file of the service.
async fn nothing_anywhere(service: &Service, execution: &Value) {
    let api = &service.private;
    let id = execution["id"].as_str().unwrap();
    nothing_in("the execution", execution.to_string().as_bytes());
    let output = api.get(&format!("/v1/executions/{id}/output")).await;
    nothing_in("the output", &output.body);
    for path in ["/v1/events?limit=500", "/v1/secrets", "/v1/actions", "/v1/executions"] {
        let answer = api.get(path).await;
        nothing_in(path, &answer.body);
    }
    let mut files = 0;
    for entry in std::fs::read_dir(service.folder().join("data")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            files += 1;
            nothing_in(&path.display().to_string(), &std::fs::read(&path).unwrap());
        }
    }
    assert!(files >= 3, "the database, its log and the key at least: {files}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_reaches_the_granted_host_and_stays_out_of_the_record() {
    let (service, remote) = (Service::start().await, Remote::start().await);
    let api = &service.private;
    set(api, "token", VALUE).await;
    for fail in [false, true] {
        let config = json!({"mode": "send", "url": remote.url("/mirror"), "fail": fail});
        let execution = execute(api, "sender", config, &[]).await;
        assert_eq!(execution["status"] == "failed", fail, "{execution}");
        let request = remote.requests().pop().unwrap();
        assert_eq!(request.headers()["x-secret"], format!("key {VALUE}"));
        let basic = format!("Basic {}", STANDARD.encode(format!("user:{VALUE}")));
        assert_eq!(request.headers()["authorization"], basic);
        assert_eq!(request.uri().query(), Some(&*format!("q={ESCAPED}&r=1")));
        // In path and body goes the handle, which is worth nothing there.
        let path = request.uri().path();
        assert!(path.starts_with("/mirror/path-sec_") && !path.contains("pa55"), "{path}");
        assert!(request.body().starts_with(b"body sec_"), "{:?}", request.body());
        // The remote has told all of it, and the record keeps what it told without the secret.
        let events = api.events(execution["id"].as_str().unwrap()).await;
        let told = json!(events).to_string();
        assert!(told.contains("x-secret: key [secret:token]") && told.contains("q=[secret:token]&r=1"), "{told}");
        assert!(told.contains("/mirror/path-[secret:token]"), "not even the handle stays: {told}");
        nothing_anywhere(&service, &execution).await;
    }
    let test = api.post("/v1/actions/sender/test-connection", &json!({})).await;
    assert_eq!(test.json(200)["verdict"], "connected");
    assert_eq!(remote.requests().pop().unwrap().headers()["x-secret"], format!("key {VALUE}"));
    nothing_in("the test", &test.body);
    let (status, options) = service.stop().await;
    assert!(status.success());
    let database = std::fs::read(options.folder.unwrap().path().join("data/action-service.db")).unwrap();
    assert!(database.len() > 10_000);
    nothing_in("the database after the end", &database);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_protocol_that_sees_it_says_is_recorded_without_it() {
    let (service, remote) = (Service::start().await, Remote::start().await);
    let api = &service.private;
    set(api, "token", VALUE).await;
    for fail in [false, true] {
        let config = json!({"mode": "tell", "url": remote.url("/mirror"), "fail": fail});
        let execution = execute(api, "teller", config, &["token"]).await;
        let events = api.events(execution["id"].as_str().unwrap()).await;
        let of_type = |r#type: &str| events.iter().filter(|event| event["type"] == r#type).collect::<Vec<_>>();
        let logged: Vec<&str> =
            of_type("message_logged").iter().map(|event| event["data"]["message"].as_str().unwrap()).collect();
        for line in [
            "log [secret:token] log",
            "split [secret:token]",
            "[secret:token] split",
            "stdout [secret:token]",
            "half [secret:token]",
            "[secret:token] half",
            "stderr [secret:token]",
        ] {
            assert!(logged.contains(&line), "{line:?} is not in {logged:?}");
        }
        assert_eq!(of_type("progress_reported")[0]["data"]["message"], "progress [secret:token]");
        assert!(of_type("request_made")[0]["data"]["path"].as_str().unwrap().contains("[secret:token]"), "{events:?}");
        assert!(of_type("egress_denied")[0]["data"]["host"].as_str().unwrap().contains("[secret:token]"), "{events:?}");
        if fail {
            assert_eq!(execution["error"]["code"], "egress_denied", "{execution}");
        } else {
            assert_eq!(execution["output"]["plain"], "[secret:token]", "{execution}");
            assert_eq!(execution["output"]["[secret:token]"], 1, "{execution}");
        }
        nothing_anywhere(&service, &execution).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bearer_token_needs_no_more_than_two_words_and_is_rotated_by_a_put() {
    let (service, remote) = (Service::start().await, Remote::start().await);
    let api = &service.private;
    let config = json!({
        "url": remote.url("/json"), "method": "POST",
        "headers": {"Authorization": {"$secret": "orders-token", "prefix": "Bearer "}},
        "query": {"key": ["a", {"$secret": "orders-key"}]}
    });
    let refused = api.action("notify-ops", "http", config.clone()).await.problem(422, "invalid_document");
    assert_eq!(refused, ["/config/headers/Authorization secret_missing", "/config/query/key/1 secret_missing"]);
    set(api, "orders-token", "the-first-token").await;
    set(api, "orders-key", "the key").await;
    let saved = api.action("notify-ops", "http", config).await.json(201);
    assert_eq!(saved["config"]["headers"]["Authorization"]["$secret"], "orders-token");

    api.execute("notify-ops", &json!({})).await.json(200);
    let renewed = set(api, "orders-token", "the-second-token").await;
    assert_eq!(renewed["version"], 2);
    let execution = api.execute("notify-ops", &json!({})).await.json(200);
    assert_eq!(execution["status"], "succeeded", "{execution}");
    let given: Vec<String> = remote
        .requests()
        .iter()
        .map(|request| format!("{:?} {}", request.headers()["authorization"], request.uri().query().unwrap()))
        .collect();
    assert_eq!(
        given,
        ["\"Bearer the-first-token\" key=a&key=the%20key", "\"Bearer the-second-token\" key=a&key=the%20key"]
    );

    let in_use = api.delete("/v1/secrets/orders-token").await;
    in_use.problem(409, "in_use");
    assert!(in_use.json(409)["detail"].as_str().unwrap().contains("notify-ops"));
    let misplaced = json!({"url": remote.url("/json"), "body": {"json": {"token": {"$secret": "orders-token"}}}});
    let refused = api.action("other", "http", misplaced).await.problem(422, "invalid_document");
    assert!(refused.contains(&"/config/body/json/token secret_misplaced".to_owned()), "{refused:?}");
    api.delete("/v1/actions/notify-ops").await;
    assert_eq!(api.delete("/v1/secrets/orders-token").await.status.as_u16(), 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protocol_sees_only_what_the_action_lets_it_see() {
    let service = Service::start().await;
    let api = &service.private;
    set(api, "token", VALUE).await;
    let hidden = execute(api, "hidden", json!({"mode": "reveal"}), &[]).await;
    assert_eq!(hidden["output"], json!({"own": {"error": "not-granted"}, "other": "unknown-handle"}), "{hidden}");
    let seen = execute(api, "seen", json!({"mode": "reveal"}), &["token"]).await;
    assert_eq!(seen["output"]["own"], json!({"bytes": VALUE.len(), "value": "[secret:token]"}), "{seen}");
    let action = json!({"name": "x", "protocol": "secretive", "config": {"mode": "reveal", "secret": "plain"},
        "grants": {"reveal": ["token"]}});
    let refused = api.post("/v1/actions", &action).await.problem(422, "invalid_document");
    assert_eq!(refused, ["/grants/reveal/0 secret_not_used"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hmac_needs_no_sight_of_the_key() {
    let service = Service::start().await;
    let api = &service.private;
    // As `openssl dgst -sha256 -hmac` has it.
    set(api, "token", "what do ya want").await;
    let mac = |config: Value| execute(api, "mac", config, &[]);
    let raw = mac(json!({"mode": "hmac", "encoding": "raw", "message": "for nothing?"})).await;
    assert_eq!(raw["output"]["hex"], "430dd6e5a4b1cb6fdb1b0069a0f07834b753407bc13ab6035cecf84580244c57", "{raw}");
    // RFC 4231, test case 2, whose key is `Jefe`.
    set(api, "token", "whsec_SmVmZQ==").await;
    let known = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    let message = "what do ya want for nothing?";
    let webhook = mac(json!({"mode": "hmac", "encoding": "base64", "message": message})).await;
    assert_eq!(webhook["output"]["hex"], known, "{webhook}");
    set(api, "token", "whsec_ZmU=").await;
    let prefixed = mac(json!({"mode": "hmac", "encoding": "base64", "prefix": "Je", "message": message})).await;
    assert_eq!(prefixed["output"]["hex"], known, "{prefixed}");
    set(api, "token", "no base64 at all").await;
    let refused = mac(json!({"mode": "hmac", "encoding": "base64", "message": message})).await;
    assert_eq!((&refused["error"]["code"], &refused["error"]["blame"]), (&json!("invalid_config"), &json!("action")));
    assert!(refused["error"]["message"].as_str().unwrap().contains("not base64"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_granted_gets_neither_a_secret_nor_a_connection() {
    let (service, granted, other) = (Service::start().await, Remote::start().await, Remote::start().await);
    let api = &service.private;
    set(api, "token", VALUE).await;
    let config = json!({"mode": "send", "url": granted.url("/mirror"), "target": other.url("/mirror")});
    let execution = execute(api, "wrong-host", config, &[]).await;
    assert_eq!(execution["error"]["code"], "egress_denied", "{execution}");
    assert!(other.requests().is_empty() && granted.requests().is_empty());
    // The grant is the action's, and so the same config with it reaches the host.
    let action = json!({"grants": {"egress": [{"host": "127.0.0.1", "ports": [other.address.port()]}]}});
    api.patch("/v1/actions/wrong-host", &action).await.json(200);
    api.execute("wrong-host", &json!({})).await.json(200);
    assert_eq!(other.requests()[0].headers()["x-secret"], format!("key {VALUE}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_that_says_https_sends_nothing_in_clear() {
    let (service, remote) = (Service::start().await, Remote::start().await);
    let api = &service.private;
    set(api, "token", VALUE).await;
    let https = format!("https://{}/mirror", remote.address);
    let config = json!({"mode": "send", "url": https, "target": remote.url("/mirror")});
    let execution = execute(api, "clear", config, &[]).await;
    assert_eq!(execution["error"]["code"], "egress_denied", "{execution}");
    assert!(remote.requests().is_empty());
    let events = api.get("/v1/events?type=egress_denied").await.json(200);
    assert_eq!(events["items"][0]["data"]["reason"], "https_only", "{events}");
    // What the proposal says is a grant that names no scheme: whoever takes it over means both.
    let proposal = api.get("/v1/actions/clear/egress/proposal").await.json(200);
    let action = json!({"grants": proposal["grants"]});
    api.patch("/v1/actions/clear", &action).await.json(200);
    let again = api.execute("clear", &json!({})).await.json(200);
    assert_eq!(again["status"], "succeeded", "{again}");
    assert_eq!(remote.requests()[0].headers()["x-secret"], format!("key {VALUE}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_the_protocols_own_carries_the_handle_and_wasi_http_the_value() {
    let (service, remote) = (Service::start().await, Remote::start().await);
    let api = &service.private;
    set(api, "token", VALUE).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let heard = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = vec![0; 1024];
        let read = stream.read(&mut buffer).await.unwrap();
        stream.write_all(&buffer[..read]).await.unwrap();
        String::from_utf8(buffer[..read].to_vec()).unwrap()
    });
    let tcp = execute(api, "tcp", json!({"mode": "tcp", "address": address}), &[]).await;
    let heard = tokio::time::timeout(PATIENCE, heard).await.unwrap().unwrap();
    assert!(heard.starts_with("sec_") && heard.len() == 36, "{heard}");
    assert_eq!(tcp["output"]["answer"], "[secret:token]", "{tcp}");

    let config = json!({"url": remote.url("/mirror"), "token": {"$secret": "token"}});
    let wasi = execute_with(api, "wasi", "wasi-http", config, &[]).await;
    assert_eq!(wasi["status"], "succeeded", "{wasi}");
    let request = remote.requests().pop().unwrap();
    assert_eq!(request.headers()["x-token"], format!("key {VALUE}"));
    assert_eq!(request.uri().query(), Some(&*format!("t={ESCAPED}")));
    nothing_anywhere(&service, &wasi).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_gone_by_then_ends_the_execution() {
    let (service, remote) = (Service::start().await, Remote::start().await);
    let api = &service.private;
    set(api, "token", VALUE).await;
    let config = json!({"mode": "send", "url": remote.url("/mirror"), "fail": true});
    let failed = execute(api, "forgetful", config, &[]).await;
    let id = failed["id"].as_str().unwrap();
    api.patch("/v1/actions/forgetful", &json!({"config": {"secret": "plain text"}})).await.json(200);
    assert_eq!(api.delete("/v1/secrets/token").await.status.as_u16(), 204);
    let asked = remote.requests().len();
    // The retry keeps the revision that it began with, which names what is gone.
    api.post(&format!("/v1/executions/{id}/retry"), &json!({})).await;
    let ended = retried(api, id).await;
    assert_eq!(ended["error"]["code"], "secret_missing", "{ended}");
    assert_eq!(ended["error"]["blame"], "action", "{ended}");
    assert!(ended["error"]["message"].as_str().unwrap().contains("`token`"), "{ended}");
    assert_eq!(remote.requests().len(), asked, "nothing was sent");
}

/// The second end of an execution that had ended before.
async fn retried(api: &Client, id: &str) -> Value {
    let follow = async {
        let path = format!("/v1/events?execution={id}&type=action_executed&after=0");
        let request = api.request(reqwest::Method::GET, &path).header("accept", "text/event-stream");
        let mut response = request.send().await.unwrap();
        let mut seen = String::new();
        while seen.matches("\"success\"").count() < 2 {
            seen.push_str(&String::from_utf8_lossy(&response.chunk().await.unwrap().expect("the stream goes on")));
        }
    };
    tokio::time::timeout(PATIENCE, follow).await.expect("it ends again");
    api.get(&format!("/v1/executions/{id}")).await.json(200)
}

/// A service that is not to start: what it says.
async fn refuses_to_start(data: &Path, settings: &[(&str, &str)]) -> String {
    let mut command = Command::new(binary());
    command
        .arg("serve")
        .env("ACTION_SERVICE_DATA_DIR", data)
        .env("ACTION_SERVICE_PRIVATE_ADDR", "127.0.0.1:0")
        .env("ACTION_SERVICE_PUBLIC_ADDR", "127.0.0.1:0")
        .env("ACTION_SERVICE_ADMIN_TOKEN", TOKEN)
        .envs(settings.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let ended = tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends").unwrap();
    assert!(!ended.status.success());
    String::from_utf8(ended.stderr).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_takes_over_and_the_old_one_can_go() {
    let remote = Remote::start().await;
    let with_key = |key: &str| Options::default().with("ACTION_SERVICE_SECRET_KEY", key);
    let service = Service::start_with(with_key(OLD_KEY)).await;
    let first = set(&service.private, "token", VALUE).await;
    let config = json!({"mode": "send", "url": remote.url("/mirror")});
    execute(&service.private, "sender", config, &[]).await;
    let (_, options) = service.stop().await;
    let folder = options.folder.unwrap();
    let data = folder.path().join("data");
    assert!(!data.join("secret-key").exists(), "a key that is set is not written down");

    let refused = refuses_to_start(&data, &[("ACTION_SERVICE_SECRET_KEY", NEW_KEY)]).await;
    let key = first["key"].as_str().unwrap();
    assert!(refused.contains(&format!("token (key {key})")), "{refused}");
    assert!(refused.contains("ACTION_SERVICE_SECRET_KEY") && !refused.contains(NEW_KEY), "{refused}");
    let missing = refuses_to_start(&data, &[]).await;
    assert!(missing.contains("secret-key is gone"), "{missing}");

    let both = Options { folder: Some(folder.clone()), ..with_key(&format!("{NEW_KEY},{OLD_KEY}")) };
    let service = Service::start_with(both).await;
    let cli = async |words: &[&str]| run(Some(&service), folder.path(), words, b"").await;
    let listed = cli(&["secret", "list", "--json"]).await;
    assert!(listed.contains(key), "{listed}");
    let done: Value = serde_json::from_str(&cli(&["secret", "rewrap", "--json"]).await).unwrap();
    assert_eq!((&done["secrets"], &done["unreadable"]), (&json!(1), &json!([])));
    assert_ne!(done["key"], key);
    let again = cli(&["secret", "rewrap"]).await;
    assert!(again.contains("moved 0 secrets") && again.contains("the other keys can be taken away"), "{again}");
    let events = service.private.get("/v1/events?type=secrets_rewrapped").await.json(200);
    assert_eq!(events["items"].as_array().unwrap().len(), 1);
    let (_, options) = service.stop().await;

    let new = Options { folder: options.folder, ..with_key(NEW_KEY) };
    let service = Service::start_with(new).await;
    let execution = service.private.execute("sender", &json!({})).await.json(200);
    assert_eq!(execution["status"], "succeeded", "{execution}");
    assert_eq!(remote.requests().pop().unwrap().headers()["x-secret"], format!("key {VALUE}"));
    drop(service);
    let refused = refuses_to_start(&data, &[("ACTION_SERVICE_SECRET_KEY", OLD_KEY)]).await;
    assert!(refused.contains("do not open these secrets"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lost_key_sealed_is_missed_at_once() {
    let remote = Remote::start().await;
    let service = Service::start_with(Options::default().with("ACTION_SERVICE_SECRET_KEY", OLD_KEY)).await;
    set(&service.private, "token", VALUE).await;
    let config = json!({"mode": "send", "url": remote.url("/mirror")});
    execute(&service.private, "sender", config, &[]).await;
    let (_, options) = service.stop().await;
    let lost = Options { folder: options.folder, ..Options::default() }
        .with("ACTION_SERVICE_SECRET_KEY", NEW_KEY)
        .with("ACTION_SERVICE_SECRET_KEY_LOST", "accept");
    let service = Service::start_with(lost).await;
    let failed = service.private.execute("sender", &json!({})).await.json(200);
    assert_eq!((&failed["status"], &failed["attempts"]), (&json!("failed"), &json!(1)), "{failed}");
    assert_eq!((&failed["error"]["code"], &failed["error"]["blame"]), (&json!("secret_missing"), &json!("action")));
    let message = failed["error"]["message"].as_str().unwrap();
    assert!(message.contains("`token`") && message.contains("lost") && message.contains("set again"), "{message}");
    set(&service.private, "token", VALUE).await;
    let again = service.private.execute("sender", &json!({})).await.json(200);
    assert_eq!(again["status"], "succeeded", "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_on_one_database_need_one_key_and_see_a_new_value_at_once() {
    let database = tokio::task::spawn_blocking(|| Server::shared().database()).await.unwrap();
    let remote = Remote::start().await;
    let options = || Options::default().with("ACTION_SERVICE_DATABASE_URL", database.url.clone());
    let keyless = Service::start_with(options()).await;
    let api = &keyless.private;
    let refused = api.put("/v1/secrets/token", &json!({"value": VALUE})).await;
    refused.problem(409, "secret_key_missing");
    assert!(refused.json(409)["detail"].as_str().unwrap().contains("ACTION_SERVICE_SECRET_KEY"));
    api.upload(fixture("secretive")).await.json(201);
    drop(keyless);

    let with_key = || options().with("ACTION_SERVICE_SECRET_KEY", OLD_KEY);
    let (one, other) = (Service::start_with(with_key()).await, Service::start_with(with_key()).await);
    set(&one.private, "token", "the first value").await;
    let config = json!({"mode": "send", "url": remote.url("/mirror")});
    execute(&one.private, "sender", config, &[]).await;
    for value in ["set by the other", "and once more"] {
        set(&other.private, "token", value).await;
        let execution = one.private.execute("sender", &json!({})).await.json(200);
        assert_eq!(execution["status"], "succeeded", "{execution}");
        assert_eq!(remote.requests().pop().unwrap().headers()["x-secret"], format!("key {value}"));
    }
    let data = one.folder().join("keyless");
    let refused = refuses_to_start(&data, &[("ACTION_SERVICE_DATABASE_URL", &database.url)]).await;
    assert!(refused.contains("token (key ") && refused.contains("ACTION_SERVICE_SECRET_KEY"), "{refused}");
}

async fn run<S: AsRef<OsStr>>(service: Option<&Service>, folder: &Path, words: &[S], input: &[u8]) -> String {
    let (code, out, err) = ran(service, folder, words, input).await;
    assert_eq!(code, 0, "{out}\n{err}");
    out
}

async fn ran<S: AsRef<OsStr>>(
    service: Option<&Service>,
    folder: &Path,
    words: &[S],
    input: &[u8],
) -> (i32, String, String) {
    let mut command = Command::new(binary());
    command.args(words).current_dir(folder).env("ACTION_SERVICE_TOKEN", TOKEN).env("A_TOKEN", VALUE);
    if let Some(service) = service {
        command.env("ACTION_SERVICE_URL", &service.private.base);
    }
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input).await.unwrap();
    drop(stdin);
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.expect("it ends").unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_command_line_a_value_comes_from_a_file_or_from_standard_input() {
    let (service, remote) = (Service::start().await, Remote::start().await);
    let folder = service.folder().to_owned();
    let cli = async |words: &[&str], input: &[u8]| run(Some(&service), &folder, words, input).await;
    let first: Value =
        serde_json::from_str(&cli(&["secret", "set", "token", "--json"], b"from-stdin\n").await).unwrap();
    assert_eq!((&first["name"], &first["version"]), (&json!("token"), &json!(1)));
    std::fs::write(folder.join("value"), "from-the-file\r\n").unwrap();
    let second = cli(&["secret", "set", "token", "--value-file", "value"], b"").await;
    assert_eq!(second.trim(), "changed  token  version 2");
    let config =
        json!({"url": remote.url("/json"), "auth": {"basic": {"username": "u", "password": {"$secret": "token"}}}});
    service.private.action("basic", "http", config).await.json(201);
    service.private.execute("basic", &json!({})).await.json(200);
    let given = remote.requests()[0].headers()["authorization"].to_str().unwrap().to_owned();
    assert_eq!(given, format!("Basic {}", STANDARD.encode("u:from-the-file")));
    let table = cli(&["secret", "list"], b"").await;
    assert!(table.contains("token") && !table.contains("from-"), "{table}");
    let (code, _, err) = ran(Some(&service), &folder, &["secret", "delete", "token"], b"").await;
    assert!(code != 0 && err.contains("basic"), "{err}");
    service.private.delete("/v1/actions/basic").await;
    assert_eq!(cli(&["secret", "delete", "token"], b"").await.trim(), "deleted  token");
    let (code, _, err) = ran(Some(&service), &folder, &["secret", "set", "short"], b"abc\n").await;
    assert!(code != 0 && err.contains("at least 6 bytes"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_is_tried_with_secrets_from_files_and_the_environment() {
    let remote = Remote::start().await;
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("key"), "key-from-file\n").unwrap();
    let config = json!({
        "url": remote.url("/mirror"),
        "headers": {"X-Key": {"$secret": "key"}, "X-Token": {"$secret": "token", "prefix": "t "}}
    });
    let component = components::protocol_path("http");
    let words = [
        "run",
        component.to_str().unwrap(),
        "--config",
        &config.to_string(),
        "--allow-private",
        "--secret",
        "key=key",
        "--secret-env",
        "token=A_TOKEN",
        "--json",
    ];
    let out = run(None, folder.path(), &words, b"").await;
    let request = remote.requests().pop().unwrap();
    assert_eq!(request.headers()["x-key"], "key-from-file");
    assert_eq!(request.headers()["x-token"], format!("t {VALUE}"));
    assert!(out.contains("[secret:key]") && !out.contains("key-from-file"), "{out}");
    nothing_in("what it prints", out.as_bytes());
    let without = ["run", component.to_str().unwrap(), "--config", &config.to_string(), "--allow-private"];
    let (code, _, err) = ran(None, folder.path(), &without, b"").await;
    assert!(code != 0 && err.contains("there is no secret `key`"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_request_says_of_a_secret_is_told_without_it() {
    let service = Service::start().await;
    let api = &service.private;
    for body in [json!({"value": "12345"}), json!({"value": ["too-secret-to-tell"]}), json!({"base64": "too-secret!"})]
    {
        let refused = api.put("/v1/secrets/token", &body).await;
        refused.problem(422, "invalid_document");
        let body = Bytes::clone(&refused.body);
        assert!(!String::from_utf8_lossy(&body).contains("too-secret"), "{body:?}");
    }
    assert_eq!(api.get("/v1/secrets").await.json(200)["items"], json!([]));
    assert_eq!(api.get("/v1/secrets/token").await.status.as_u16(), 405);
}
