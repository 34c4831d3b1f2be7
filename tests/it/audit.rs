//! The record proves it: a hand is laid on the database in every way, and the audit says what and where.

mod forgeries;

use crate::kit::{
    Service, fixture,
    service::{Options, TOKEN, binary},
};
use action_testkit::postgres::{Database, Server};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tempfile::TempDir;
use tokio::process::Command;

/// Seeds of two keys, and the public key of the first.
const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
const OTHER_KEY: &str = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=";
const PUBLIC: &str = "6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=";

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.err))
    }
}

async fn run(program: &Path, words: &[&str], settings: &[(&str, &str)]) -> Ran {
    let output = Command::new(program).args(words).envs(settings.iter().copied()).output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// `audit …` on a data folder, with no service.
async fn audit(data: &Path, words: &[&str]) -> Ran {
    run(&binary(), &[&["audit"], words].concat(), &[("ACTION_SERVICE_DATA_DIR", data.to_str().unwrap())]).await
}

/// Changes a database by hand, with all that guards it out of the way.
async fn edit(data: &Path, sql: &str) -> String {
    let database = data.join("action-service.db");
    let sqlite = async |sql: &str| run(Path::new("sqlite3"), &[database.to_str().unwrap(), sql], &[]).await;
    let triggers = sqlite("SELECT 'DROP TRIGGER ' || name || ';' FROM sqlite_master WHERE type = 'trigger'").await.out;
    let done = sqlite(&(triggers + sql)).await;
    assert_eq!(done.code, 0, "{sql}: {}", done.err);
    done.out.trim().to_owned()
}

/// `code position` or `code seal N` of each finding, and the exit code that goes with them.
async fn findings(data: &Path, words: &[&str]) -> Vec<String> {
    let ran = audit(data, &[&["verify", "--json"], words].concat()).await;
    let report = ran.json();
    let found = report["findings"].as_array().unwrap();
    assert_eq!(ran.code, i32::from(!found.is_empty()), "{report}");
    assert_eq!(report["ok"], found.is_empty(), "{report}");
    let place = |finding: &Value| match (&finding["position"], &finding["seal"]) {
        (Value::Null, Value::Null) => finding["code"].as_str().unwrap().to_owned(),
        (Value::Null, seal) => format!("{} seal {seal}", finding["code"].as_str().unwrap()),
        (position, _) => format!("{} {position}", finding["code"].as_str().unwrap()),
    };
    found.iter().map(place).collect()
}

/// The database as somebody has it who has not the node: its mark stays there.
fn copy(data: &Path) -> TempDir {
    let copy = TempDir::new().unwrap();
    for file in ["action-service.db", "audit-key"] {
        std::fs::copy(data.join(file), copy.path().join(file)).unwrap();
    }
    copy
}

/// A few executions; one has a payload that is kept apart.
async fn work(service: &Service) {
    let api = &service.private;
    api.upload(fixture("noop")).await;
    api.action("echo", "noop", json!({})).await;
    for number in 0..3 {
        api.execute("echo", &json!(number)).await.json(200);
    }
    api.execute("echo", &json!("x".repeat(70_000))).await.json(200);
}

async fn seal(service: &Service) -> Value {
    let api = &service.private;
    api.send(api.request(Method::POST, "/v1/audit/seals")).await.json(200)
}

/// Seals are made when the test says so, and when the service stops.
fn by_hand() -> Options {
    Options::default().with("ACTION_SERVICE_AUDIT_SECONDS", "3600")
}

/// A database with three seals, the last one made when the service stopped. There is one item in it.
async fn sealed() -> (Arc<TempDir>, PathBuf) {
    let service = Service::start_with(by_hand()).await;
    for _ in 0..2 {
        work(&service).await;
        seal(&service).await;
    }
    let api = &service.private;
    api.upload(fixture("misbehave")).await.json(201);
    api.action("item", "misbehave", json!({"mode": "emit", "count": 1})).await.json(201);
    api.execute("item", &json!(9)).await.json(200);
    let (status, options) = service.stop().await;
    assert!(status.success());
    let folder = options.folder.unwrap();
    let data = folder.path().join("data");
    (folder, data)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_hand_does_to_the_database_is_found_and_named() {
    let (_folder, data) = sealed().await;
    assert_eq!(findings(&data, &[]).await, [""; 0]);
    let whole = audit(&data, &["verify", "--json"]).await.json();
    assert_eq!((&whole["seals"], &whole["unsealed"], &whole["ok"]), (&json!(3), &json!(0), &json!(true)));
    let anchor = audit(&data, &["anchor"]).await.out.trim().to_owned();
    assert_eq!(whole["last_seal"], *anchor);
    // What the edits below are about: events of the second seal, and a payload.
    let first: i64 =
        edit(copy(&data).path(), "SELECT first_position FROM seals WHERE sequence = 2").await.parse().unwrap();
    let (one, two) = (first + 1, first + 3);
    let item = edit(copy(&data).path(), "SELECT position FROM events WHERE kind IS NOT NULL").await;
    let type_of_one = edit(copy(&data).path(), &format!("SELECT type FROM events WHERE position = {one}")).await;
    // Several events refer to the one payload.
    let kept =
        edit(copy(&data).path(), "SELECT position FROM events WHERE payload IS NOT NULL ORDER BY position").await;
    let kept = |code: &str| kept.lines().map(|position| format!("{code} {position}")).collect::<Vec<_>>();
    assert!(!kept("").is_empty());
    let end = edit(copy(&data).path(), "SELECT max(position) FROM events").await;
    let cases = [
        // A column that repeats what the data say is read instead of them.
        (format!("UPDATE events SET kind = 'hidden' WHERE position = {item}"), vec![format!("event_changed {item}")]),
        (format!("UPDATE events SET kind = NULL WHERE position = {item}"), vec![format!("event_changed {item}")]),
        // Another code with the same word, which no query asks for.
        (
            format!(
                "CREATE TABLE words AS SELECT * FROM event_types; DROP TABLE event_types; ALTER TABLE words RENAME TO event_types;
                 INSERT INTO event_types SELECT 99, word FROM event_types WHERE code = {type_of_one};
                 UPDATE events SET type = 99 WHERE position = {one}"
            ),
            vec![format!("event_changed {one}")],
        ),
        // No event of ours looks like this.
        (format!("UPDATE events SET id = x'00' WHERE position = {one}"), vec![format!("event_changed {one}")]),
        (format!("UPDATE events SET type = 99 WHERE position = {one}"), vec![format!("event_changed {one}")]),
        (format!("DELETE FROM events WHERE position = {one}"), vec![format!("event_removed {one}")]),
        (format!("DELETE FROM events WHERE position = {end}"), vec![format!("event_removed {end}")]),
        (
            format!(
                "INSERT INTO events SELECT 0, randomblob(16), type, time, action, revision, execution, correlation_id, causation_id, attempt, payload, data, kind FROM events WHERE position = {one}"
            ),
            vec!["event_added 0".to_owned()],
        ),
        (
            format!(
                "UPDATE events SET position = -1 WHERE position = {one}; UPDATE events SET position = {one} WHERE position = {two}; UPDATE events SET position = {two} WHERE position = -1"
            ),
            vec![format!("event_moved {one}"), format!("event_moved {two}")],
        ),
        ("UPDATE payloads SET data = zeroblob(length(data))".to_owned(), kept("payload_changed")),
        ("DELETE FROM payloads".to_owned(), kept("payload_removed")),
        (
            "UPDATE seals SET document = replace(document, '\"last\":', '\"last\":1') WHERE sequence = 2".to_owned(),
            vec!["seal_changed seal 2".to_owned(), "chain_broken seal 3".to_owned()],
        ),
        (
            "UPDATE seals SET signature = zeroblob(64) WHERE sequence = 2".to_owned(),
            vec!["seal_changed seal 2".to_owned(), "chain_broken seal 3".to_owned()],
        ),
        (
            "UPDATE seals SET leaves = randomblob(length(leaves)) WHERE sequence = 2".to_owned(),
            vec!["leaves_changed seal 2".to_owned()],
        ),
        ("DELETE FROM seals WHERE sequence = 2".to_owned(), vec!["seal_removed seal 3".to_owned()]),
        ("DELETE FROM seals WHERE sequence = 1".to_owned(), vec!["seal_removed seal 2".to_owned()]),
        ("DELETE FROM seals".to_owned(), vec!["nothing_sealed".to_owned()]),
        // It is said to have been pruned, and was not.
        (
            format!(
                "DELETE FROM events WHERE position = {one}; INSERT INTO pruned_events VALUES ({one}, randomblob(16), NULL)"
            ),
            vec![format!("prune_mismatch {one}")],
        ),
    ];
    for (sql, wanted) in cases {
        let copy = copy(&data);
        edit(copy.path(), &sql).await;
        assert_eq!(findings(copy.path(), &[]).await, wanted, "{sql}");
    }
    // Each column there is, so that none is forgotten.
    let columns = edit(copy(&data).path(), "SELECT name FROM pragma_table_info('events')").await;
    for column in columns.lines() {
        let (value, more) = match column {
            "position" => ("-position", vec![format!("event_added -{one}"), format!("event_removed {one}")]),
            "id" | "action" | "execution" | "causation_id" => ("randomblob(16)", Vec::new()),
            "payload" => ("randomblob(32)", vec![format!("payload_removed {one}"), format!("event_changed {one}")]),
            "type" | "time" => ("ifnull({column}, 0) + 1", Vec::new()),
            "revision" | "attempt" => ("ifnull({column}, 0) + 7", Vec::new()),
            "correlation_id" | "kind" => ("'hidden'", Vec::new()),
            "data" => ("data || ' '", Vec::new()),
            other => panic!("`{other}` is a new column: is it in the text of an event, or can it be told from there?"),
        };
        let wanted = if more.is_empty() { vec![format!("event_changed {one}")] } else { more };
        let copy = copy(&data);
        let value = value.replace("{column}", column);
        edit(copy.path(), &format!("UPDATE events SET {column} = {value} WHERE position = {one}")).await;
        assert_eq!(findings(copy.path(), &[]).await, wanted, "{column}");
    }
    // The same correlation id in another spelling, by which it is not found.
    let own = audit(&data, &["prove", &one.to_string()]).await.json()["event"].as_str().unwrap().to_owned();
    let own: Value = serde_json::from_str(&own).unwrap();
    assert_eq!(own["correlation_id"], own["execution"]);
    let respelled = copy(&data);
    let id = own["execution"].as_str().unwrap();
    edit(respelled.path(), &format!("UPDATE events SET correlation_id = '{id}' WHERE position = {one}")).await;
    assert_eq!(findings(respelled.path(), &[]).await, [format!("event_changed {one}")]);
    // One word for a type: every event of it says something else.
    let renamed = copy(&data);
    edit(renamed.path(), "UPDATE event_types SET word = 'nothing_happened' WHERE word = 'action_executed'").await;
    assert_eq!(findings(renamed.path(), &[]).await.len(), 9, "one of each execution");
    // One put in between, and all behind it moved on.
    let pushed = copy(&data);
    let push = format!(
        "UPDATE events SET position = -position WHERE position >= {one}; UPDATE events SET position = 1 - position WHERE position < 0;
         INSERT INTO events SELECT {one}, randomblob(16), type, time, action, revision, execution, correlation_id, causation_id, attempt, payload, data, kind FROM events WHERE position = {two}"
    );
    edit(pushed.path(), &push).await;
    let found = findings(pushed.path(), &[]).await;
    assert_eq!(found[..2], [format!("event_changed {one}"), format!("event_moved {}", one + 1)], "{found:?}");
    let told = audit(pushed.path(), &["verify"]).await;
    assert!(told.code == 1 && told.out.contains(&format!("the event at position {one}")), "{}", told.out);
    assert!(told.out.contains("things are wrong"), "{}", told.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_anchor_tells_that_the_end_was_cut_off() {
    let (_folder, data) = sealed().await;
    let anchor = audit(&data, &["anchor"]).await.out.trim().to_owned();
    let file = data.join("anchors");
    let second = edit(
        copy(&data).path(),
        "SELECT max(position) FROM events WHERE position < (SELECT first_position FROM seals WHERE sequence = 3)",
    )
    .await;
    std::fs::write(&file, format!("{anchor}\n")).unwrap();
    let cut = copy(&data);
    edit(cut.path(), &format!("DELETE FROM seals WHERE sequence = 3; DELETE FROM events WHERE position > {second}"))
        .await;
    assert_eq!(findings(cut.path(), &[]).await, [""; 0]);
    let expected = [["--expect-seal", &anchor], ["--anchor", file.to_str().unwrap()]];
    for words in &expected {
        assert_eq!(findings(&data, words).await, [""; 0]);
        assert_eq!(findings(cut.path(), words).await, ["anchor_missing seal 3"]);
    }
    // The service goes on behind the cut, with the real key.
    let settings = |data: &Path| by_hand().with("ACTION_SERVICE_DATA_DIR", data);
    let service = Service::start_with(settings(cut.path())).await;
    service.private.execute("echo", &json!("again")).await.json(200);
    service.stop().await;
    assert_eq!(findings(cut.path(), &[]).await, [""; 0]);
    assert_eq!(findings(cut.path(), &expected[0]).await, ["anchor_differs seal 3"]);
    assert_eq!(audit(&data, &["verify", "--expect-seal", "3"]).await.code, 2);

    // Everything sealed anew with a key of somebody else's.
    let forged = copy(&data);
    let key = std::fs::read_to_string(forged.path().join("audit-key")).unwrap();
    let public = audit(&data, &["prove", "1"]).await.json()["seal"].as_str().unwrap().to_owned();
    let public = serde_json::from_str::<Value>(&public).unwrap()["key"].as_str().unwrap().to_owned();
    edit(forged.path(), "DELETE FROM seals; UPDATE events SET data = '{}' WHERE position = 1").await;
    let service = Service::start_with(settings(forged.path()).with("ACTION_SERVICE_AUDIT_KEY", OTHER_KEY)).await;
    service.stop().await;
    std::fs::write(forged.path().join("audit-key"), key).unwrap();
    assert_eq!(findings(forged.path(), &[]).await, ["key_untrusted seal 1"]);
    assert_eq!(findings(forged.path(), &["--key", &public]).await, ["key_untrusted seal 1"]);
    std::fs::remove_file(forged.path().join("audit-key")).unwrap();
    let none = audit(forged.path(), &["verify"]).await;
    assert!(none.code == 2 && none.err.contains("--key"), "{}", none.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_checked_with_the_public_key_alone() {
    let service = Service::start_with(by_hand()).await;
    work(&service).await;
    let api = &service.private;
    let events = api.get("/v1/events?type=action_executed").await.json(200);
    let event = events["items"][1].clone();
    let id = event["id"].as_str().unwrap();
    let data = service.folder().join("data");
    let early = audit(&data, &["prove", id]).await;
    assert!(early.code == 1 && early.err.contains("not sealed yet"), "{}", early.err);
    seal(&service).await;
    let key = api.get("/v1/audit/key").await.json(200);
    // While the service runs.
    let proof = audit(&data, &["prove", id]).await;
    assert_eq!(proof.out, audit(&data, &["prove", &event["position"].to_string()]).await.out);
    let proof = proof.json();
    let proven: Value = serde_json::from_str(proof["event"].as_str().unwrap()).unwrap();
    assert_eq!(proven, event);
    assert_eq!(proof["key_id"], key["key_id"]);

    let folder = TempDir::new().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/check_proof.py");
    let check = async |proof: &Value, key: &str| {
        let file = folder.path().join("proof.json");
        std::fs::write(&file, proof.to_string()).unwrap();
        let file = file.to_str().unwrap();
        // Nothing of a service is there.
        let nowhere = [("ACTION_SERVICE_DATA_DIR", "/nowhere")];
        let own = run(&binary(), &["audit", "check-proof", file, "--key", key], &nowhere).await;
        let others = run(Path::new("python3"), &[script.to_str().unwrap(), file, key], &[]).await;
        assert_eq!(own.code, others.code, "{}{}\n{}{}", own.out, own.err, others.out, others.err);
        own.code
    };
    let public = key["key"].as_str().unwrap();
    assert_eq!(check(&proof, public).await, 0);
    std::fs::write(folder.path().join("key.pem"), key["pem"].as_str().unwrap()).unwrap();
    let pem = ["check-proof", "proof.json", "--key", "key.pem", "--json"];
    let mut command = Command::new(binary());
    let by_file = command.arg("audit").args(pem).current_dir(folder.path()).output().await.unwrap();
    let by_file: Value = serde_json::from_slice(&by_file.stdout).unwrap();
    assert_eq!((&by_file["ok"], &by_file["event"]), (&json!(true), &event));

    assert_eq!(check(&proof, PUBLIC).await, 1, "another key");
    let broken = |member: &str, change: &dyn Fn(&str) -> String| {
        let mut proof = proof.clone();
        proof[member] = json!(change(proof[member].as_str().unwrap()));
        proof
    };
    for proof in [
        broken("event", &|event| event.replace("true", "false")),
        broken("event", &|event| event.replacen(&event[12..13], "7", 1)),
        broken("seal", &|seal| seal.replace("\"first\":1,", "\"first\":2,")),
        broken("signature", &|signature| {
            signature.chars().rev().skip_while(|c| *c == '=').chain("==".chars()).collect()
        }),
        broken("format", &|format| format.replace("v1", "v2")),
    ] {
        assert_eq!(check(&proof, public).await, 1, "{proof}");
    }
    let mut path = proof.clone();
    path["path"].as_array_mut().unwrap().pop();
    assert_eq!(check(&path, public).await, 1);
    let mut index = proof.clone();
    index["index"] = json!(proof["index"].as_u64().unwrap() ^ 1);
    assert_eq!(check(&index, public).await, 1);

    let (_, options) = service.stop().await;
    edit(&data, &format!("UPDATE events SET data = '{{}}' WHERE position = {}", event["position"])).await;
    let changed = audit(&data, &["prove", id]).await;
    assert!(changed.code == 1 && changed.err.contains("is not the one"), "{}", changed.err);
    assert_eq!(audit(&data, &["prove", "evt_01h455vb4pex5vsknk084sn02q"]).await.code, 1);
    assert_eq!(audit(&data, &["prove", "exe_1"]).await.code, 2);
    drop(options);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_retention_removed_is_accounted_for_and_nothing_else() {
    let service = Service::start_with(by_hand()).await;
    work(&service).await;
    let data = service.folder().join("data");
    // Nothing was sealed by hand: what goes is sealed first.
    let pruned = service.private.post("/v1/events/prune", &json!({"before": "2999-01-01T00:00:00Z"})).await.json(200);
    assert_eq!(pruned["executions"], 4);
    work(&service).await;
    seal(&service).await;
    service.private.post("/v1/events/prune", &json!({"before": "2999-01-01T00:00:00Z"})).await.json(200);
    service.private.execute("echo", &json!(1)).await.json(200);
    let (_, _options) = service.stop().await;
    let report = audit(&data, &["verify", "--json"]).await.json();
    assert_eq!((&report["ok"], &report["pruned"]), (&json!(true), &json!(24)), "{report}");
    let gone = edit(copy(&data).path(), "SELECT min(position) FROM pruned_events").await;
    let first_prune = edit(
        copy(&data).path(),
        "SELECT position FROM events WHERE id = (SELECT pruned_by FROM pruned_events ORDER BY position LIMIT 1)",
    )
    .await;
    let stays = edit(copy(&data).path(), "SELECT max(position) FROM events WHERE execution IS NOT NULL").await;
    let end: i64 = edit(copy(&data).path(), "SELECT max(position) FROM events").await.parse().unwrap();
    // As many events as it says, at the positions that it says.
    let positions = hex(&Sha256::digest(stays.parse::<i64>().unwrap().to_be_bytes()));
    let said = json!({
        "before": "2026-11-25T17:00:00.000000Z", "executions": 1, "events": 1, "payloads": 0,
        "positions": format!("sha256:{positions}"), "by": "admin"
    });
    let forge = format!(
        "INSERT INTO events (position, id, type, time, data) SELECT {end} + 1, randomblob(16), code, 1795000000000000, '{said}' FROM event_types WHERE word = 'events_pruned'"
    );
    for (sql, wanted) in [
        (
            format!("DELETE FROM pruned_events WHERE position = {gone}"),
            vec![format!("event_removed {gone}"), format!("prune_mismatch {first_prune}")],
        ),
        (format!("DELETE FROM events WHERE position = {stays}"), vec![format!("event_removed {stays}")]),
        // Another one instead of it: as many as the prune recorded.
        (
            format!(
                "UPDATE pruned_events SET position = 1 WHERE position = {gone}; DELETE FROM events WHERE position = 1"
            ),
            vec![format!("event_removed {gone}"), format!("prune_mismatch {first_prune}")],
        ),
        // Somebody without the key says that a prune removed it.
        (
            format!(
                "{forge}; DELETE FROM events WHERE position = {stays}; INSERT INTO pruned_events SELECT {stays}, id, NULL FROM events ORDER BY position DESC LIMIT 1"
            ),
            vec![format!("prune_unproven {}", end + 1)],
        ),
        // Of an execution that was pruned there is something again.
        (
            format!(
                "UPDATE events SET execution = (SELECT execution FROM pruned_events WHERE position = {gone}) WHERE position = {stays}"
            ),
            vec![format!("prune_mismatch {gone}"), format!("event_changed {stays}")],
        ),
        (
            format!("UPDATE pruned_events SET execution = randomblob(16) WHERE position = {gone}"),
            vec![format!("prune_mismatch {first_prune}")],
        ),
        (
            format!("DELETE FROM events WHERE position = {first_prune}"),
            vec![
                format!("event_removed {first_prune}"),
                format!("prune_mismatch {}", gone.parse::<i64>().unwrap() + 11),
            ],
        ),
    ] {
        let copy = copy(&data);
        edit(copy.path(), &sql).await;
        assert_eq!(findings(copy.path(), &[]).await, wanted, "{sql}");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_introduced_by_the_old_one() {
    let with = |options: Options, keys: &str| options.with("ACTION_SERVICE_AUDIT_KEY", keys.to_owned());
    let service = Service::start_with(with(by_hand(), KEY)).await;
    work(&service).await;
    seal(&service).await;
    let data = service.folder().join("data");
    assert!(!data.join("audit-key").exists());
    let (_, options) = service.stop().await;
    let again = |keys: String| Options { folder: options.folder.clone(), ..with(by_hand(), &keys) };
    // Without the old one nothing is sealed.
    let service = Service::start_with(again(OTHER_KEY.to_owned())).await;
    service.private.execute("echo", &json!(1)).await.json(200);
    let refused = service.private.send(service.private.request(Method::POST, "/v1/audit/seals")).await;
    refused.problem(409, "audit_key_changed");
    service.stop().await;
    let service = Service::start_with(again(format!("{OTHER_KEY},{KEY}"))).await;
    let sealed = seal(&service).await;
    let other = service.private.get("/v1/audit/key").await.json(200)["key"].as_str().unwrap().to_owned();
    assert_eq!((&sealed["last"]["key"], &sealed["last"]["next_key"]), (&json!(PUBLIC), &json!(other)));
    service.private.execute("echo", &json!(2)).await.json(200);
    assert_eq!(seal(&service).await["last"]["key"], *other);
    service.stop().await;
    for key in [PUBLIC, &other] {
        assert_eq!(findings(&data, &["--key", key]).await, [""; 0], "{key}");
    }
    // The key is lost: somebody says so, and whoever verifies has to know both.
    let third = "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=";
    let service = Service::start_with(again(third.to_owned())).await;
    let words = ["audit", "seal", "--old-key-is-lost", "--json"];
    service.private.execute("echo", &json!(3)).await.json(200);
    let settings = [("ACTION_SERVICE_URL", service.private.base.as_str()), ("ACTION_SERVICE_TOKEN", TOKEN)];
    let sealed = run(&binary(), &words, &settings).await.json();
    let lost = sealed["last"]["key"].as_str().unwrap().to_owned();
    let number = sealed["last"]["sequence"].to_string();
    service.stop().await;
    assert_eq!(findings(&data, &["--key", &lost]).await, [format!("key_changed seal {number}")]);
    assert_eq!(findings(&data, &["--key", &lost, "--key", &other]).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_left_unsealed_the_next_one_seals() {
    let service = Service::start_with(by_hand()).await;
    work(&service).await;
    seal(&service).await;
    service.private.execute("echo", &json!(1)).await.json(200);
    let options = service.kill().await;
    let data = options.folder.as_ref().unwrap().path().join("data");
    let left = audit(&data, &["verify", "--json"]).await.json();
    assert_eq!((&left["ok"], &left["unsealed"]), (&json!(true), &json!(3)), "{left}");
    let service = Service::start_with(options).await;
    let (status, _options) = service.stop().await;
    assert!(status.success());
    let report = audit(&data, &["verify", "--json"]).await.json();
    assert_eq!((&report["ok"], &report["unsealed"]), (&json!(true), &json!(0)), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_processes_on_postgres_make_one_chain() {
    let database: Database = tokio::task::spawn_blocking(|| Server::shared().database()).await.unwrap();
    let options = |role| {
        let options = Options { role, ..Options::default() };
        options.with("ACTION_SERVICE_DATABASE_URL", database.url.clone()).with("ACTION_SERVICE_AUDIT_KEY", KEY)
    };
    let (first, second) = (Service::start_with(options("serve")).await, Service::start_with(options("serve")).await);
    for _ in 0..2 {
        work(&first).await;
        let calls = (0..4).flat_map(|_| [&first, &second]).map(seal);
        futures_util::future::join_all(calls).await;
    }
    first.private.post("/v1/events/prune", &json!({"before": "2999-01-01T00:00:00Z"})).await.json(200);
    let worker = Service::start_with(options("worker")).await;
    for service in [first, second, worker] {
        assert!(service.stop().await.0.success());
    }
    let verify = async || {
        let settings = [("ACTION_SERVICE_DATABASE_URL", database.url.as_str()), ("ACTION_SERVICE_AUDIT_KEY", KEY)];
        run(&binary(), &["audit", "verify", "--json"], &settings).await.json()
    };
    let whole = verify().await;
    assert_eq!((&whole["ok"], &whole["unsealed"]), (&json!(true), &json!(0)), "{whole}");
    assert!(whole["seals"].as_u64() >= Some(2) && whole["pruned"].as_u64() >= Some(24), "{whole}");
    let edit = async |sql: &str| {
        let done = run(Path::new("psql"), &["--quiet", "--dbname", &database.url, "--command", sql], &[]).await;
        assert_eq!(done.code, 0, "{}", done.err);
    };
    let guarded = "UPDATE seals SET document = ''";
    let refused = run(Path::new("psql"), &["--quiet", "--dbname", &database.url, "--command", guarded], &[]).await;
    assert!(refused.code != 0 && refused.err.contains("seals is immutable"), "{}", refused.err);
    edit("ALTER TABLE events DISABLE TRIGGER USER; UPDATE events SET data = '{}' WHERE position = 1").await;
    let changed = verify().await;
    assert_eq!(
        (&changed["findings"][0]["code"], &changed["findings"][0]["position"]),
        (&json!("event_changed"), &json!(1))
    );
    edit("DELETE FROM events WHERE position = 2").await;
    assert_eq!(verify().await["findings"][1]["code"], "event_removed");
    edit("ALTER TABLE seals DISABLE TRIGGER USER; DELETE FROM seals WHERE sequence = 1").await;
    assert_eq!(verify().await["findings"][0]["code"], "seal_removed");
}
