//! The command line, as people and programs use it.

use crate::kit::{
    Remote, Service, components,
    service::{TOKEN, binary},
};
use serde_json::{Value, json};
use std::{ffi::OsStr, path::Path};
use tokio::process::Command;

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{}\n{}", self.out, self.err);
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

async fn run<S: AsRef<OsStr>>(service: Option<&Service>, folder: &Path, words: &[S]) -> Ran {
    let mut command = Command::new(binary());
    command.args(words).current_dir(folder).env("ACTION_SERVICE_TOKEN", TOKEN);
    if let Some(service) = service {
        command.env("ACTION_SERVICE_URL", &service.private.base);
    }
    let output = command.output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_file_to_an_event_by_the_command_line_alone() {
    let (service, remote) = (Service::start().await, Remote::start().await);
    let folder = service.folder().to_owned();
    let cli = async |words: &[&str]| run(Some(&service), &folder, words).await;
    std::fs::write(folder.join("noop.wasm"), crate::kit::fixture("noop")).unwrap();
    assert_eq!(cli(&["protocol", "push", "noop.wasm", "--json"]).await.json()["name"], "noop");
    let table = cli(&["protocol", "list"]).await;
    assert!(table.code == 0 && table.out.contains("noop") && table.out.contains("http"), "{}", table.out);
    let action = format!(
        "name: ping\nprotocol: http\nconfig:\n  url: {}\n  method: POST\ngrants:\n  private_networks: true\n",
        remote.url("/echo")
    );
    std::fs::write(folder.join("ping.yaml"), action).unwrap();
    let applied = cli(&["action", "apply", "-f", "ping.yaml"]).await;
    assert_eq!(applied.code, 0, "{}", applied.err);
    assert_eq!(cli(&["action", "show", "ping", "--json"]).await.json()["revision"], 1);
    let execution = cli(&["action", "execute", "ping", "--input", r#"{"n": 1}"#, "--json"]).await.json();
    assert_eq!(execution["status"], "succeeded", "{execution}");
    let id = execution["id"].as_str().unwrap();
    assert_eq!(cli(&["execution", "show", id, "--json"]).await.json()["id"], id);
    let events = cli(&["events", "list", "--json"]).await;
    assert!(events.code == 0 && events.out.contains("action_executed"), "{}", events.out);
    let missing = cli(&["action", "show", "nobody"]).await;
    assert!(missing.code != 0 && missing.err.contains("action"), "{}", missing.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_runs_without_a_server() {
    let remote = Remote::start().await;
    let folder = tempfile::TempDir::new().unwrap();
    let component = components::protocol_path("http");
    let config = json!({"url": remote.url("/echo"), "method": "POST"}).to_string();
    let words = |config: &str| {
        ["run", component.to_str().unwrap(), "--config", config, "--input", "{\"n\":1}", "--allow-private", "--json"]
            .map(str::to_owned)
    };
    let ran = run(None, folder.path(), &words(&config)).await;
    assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
    assert!(ran.out.contains("request_made") || ran.err.contains("request_made"), "{}\n{}", ran.out, ran.err);
    assert_eq!(remote.requests().len(), 1);
    let ran = run(None, folder.path(), &words("{}")).await;
    assert_ne!(ran.code, 0);
    assert!(format!("{}{}", ran.out, ran.err).contains("url"), "{}\n{}", ran.out, ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_setting_is_refused_by_name() {
    let folder = tempfile::TempDir::new().unwrap();
    let output = Command::new(binary())
        .arg("serve")
        .current_dir(folder.path())
        .env("ACTION_SERVICE_DATA_DIRR", "x")
        .output()
        .await
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("ACTION_SERVICE_DATA_DIRR") && said.contains("ACTION_SERVICE_DATA_DIR"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_actions_are_all_checked_before_the_first_is_applied() {
    let service = Service::start().await;
    let folder = service.folder().to_owned();
    let cli = async |words: &[&str]| run(Some(&service), &folder, words).await;
    let action =
        |name: &str, more: &str| format!("name: {name}\nprotocol: http\nconfig: {{url: 'http://a.test'}}\n{more}");
    let several = [action("a", ""), action("b", "limits: {fuel: 0, foo: 1}\ncolour: 1\n"), action("a", "")];
    std::fs::write(folder.join("several.yaml"), several.join("---\n")).unwrap();
    let refused = cli(&["action", "apply", "-f", "several.yaml"]).await;
    assert_eq!(refused.code, 1, "{}", refused.err);
    for said in ["/limits/foo", "/limits/fuel", "/colour", "duplicate_name", "nothing was applied: 2 of 3"] {
        assert!(refused.err.contains(said), "{said}: {}", refused.err);
    }
    service.private.get("/v1/actions/a").await.problem(404, "action_not_found");

    // Small as it is written, and more than 1 MiB as it is sent.
    let grows = format!("description: \"{}\"\n", "\\e".repeat(300_000));
    for (file, text) in [("a", action("a", "")), ("b", action("b", &grows)), ("c", action("c", ""))] {
        std::fs::write(folder.join(file), text).unwrap();
    }
    let too_large = cli(&["action", "apply", "-f", "./a", "-f", "./b", "-f", "./c"]).await;
    assert!(too_large.err.contains("nothing was applied: 1 of 3"), "{}", too_large.err);
    service.private.get("/v1/actions/a").await.problem(404, "action_not_found");

    // Each may have the path as long as the other one has not.
    let hook = "triggers: [{type: webhook, path: orders, verify: {scheme: none}}]\n";
    for (file, text) in [("a", action("a", hook)), ("b", action("b", hook)), ("c", action("c", ""))] {
        std::fs::write(folder.join(file), text).unwrap();
    }
    let midway = cli(&["action", "apply", "-f", "./a", "-f", "./b", "-f", "./c", "--json"]).await;
    assert_eq!(midway.code, 1, "{}", midway.err);
    let items = serde_json::from_str::<Value>(&midway.out).unwrap()["items"].take();
    let results = items.as_array().unwrap().iter().map(|item| item["result"].as_str().unwrap());
    assert_eq!(results.collect::<Vec<_>>(), ["created", "failed", "not_tried"]);
    assert_eq!(items[1]["error"]["code"], "path_taken");
    service.private.delete("/v1/actions/a").await;
    let again = cli(&["action", "apply", "-f", "./a", "-f", "./b", "-f", "./c"]).await;
    assert!(again.err.contains("b failed; applied before it: a; not tried: c"), "{}", again.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_code_tells_a_wrong_command_from_one_that_failed() {
    let service = Service::start().await;
    let folder = service.folder().to_owned();
    std::fs::write(folder.join("text.wasm"), "hello").unwrap();
    std::fs::write(folder.join("core.wasm"), crate::kit::components::core_module()).unwrap();
    std::fs::write(folder.join("broken.yaml"), "a: [").unwrap();
    for (words, code, said) in [
        (&["protocol", "push", "missing.wasm"][..], 2, "missing.wasm cannot be opened"),
        (&["protocol", "push", "text.wasm"], 2, "not a WebAssembly component: it starts with \"hello\""),
        (&["run", "core.wasm"], 2, "wasm-tools component new"),
        (&["action", "apply", "-f", "missing.yaml"], 2, "no file missing.yaml"),
        (&["action", "apply", "-f", "broken.yaml"], 2, "not valid YAML"),
        (&["action", "execute", "nobody", "--input", "missing.json"], 2, "no file missing.json"),
        (&["action", "list", "--config", "missing.toml"], 2, "missing.toml"),
        (&["action", "show", "nobody"], 1, "no such action"),
        (&["action", "list", "--server", "http://127.0.0.1:1"], 3, "cannot be reached"),
        (&["events", "tail", "--after", "99999"], 1, "position_beyond_end"),
    ] {
        let ran = run(Some(&service), &folder, words).await;
        assert!(ran.code == code && ran.err.contains(said), "{words:?} gave {}: {}", ran.code, ran.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_begins_with_what_comes() {
    let service = Service::start().await;
    let folder = service.folder().to_owned();
    let api = &service.private;
    api.upload(crate::kit::fixture("noop")).await.json(201);
    api.action("echo", "noop", json!({})).await.json(201);
    let old = api.execute("echo", &json!(0)).await.json(200);
    let tail = run(Some(&service), &folder, &["events", "tail", "--type", "action_executed", "--count", "1", "--json"]);
    let goes_on = async {
        loop {
            api.execute("echo", &json!(1)).await.json(200);
        }
    };
    let seen = tokio::select! { seen = tail => seen, () = goes_on => unreachable!() };
    let event = seen.json();
    assert_eq!(event["type"], "action_executed");
    assert_ne!(event["execution"], old["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn executions_are_cancelled_retried_resolved_and_pruned() {
    let (service, remote) = (Service::start().await, Remote::start().await);
    let folder = service.folder().to_owned();
    let cli = async |words: &[&str]| run(Some(&service), &folder, words).await;
    let api = &service.private;
    // A request that nobody answers, and that must not be repeated, is in doubt.
    for (name, path, effect) in [("flaky", "/flaky", "idempotent"), ("doubt", "/silence", "unsafe")] {
        let spec = json!({
            "name": name, "protocol": "http", "grants": {"private_networks": true}, "limits": {"timeout_ms": 1000},
            "config": {"url": remote.url(path), "method": "POST", "effect": effect},
            "delivery": {"max_attempts": 1, "ordering_key": ".key"}
        });
        api.post("/v1/actions", &spec).await.json(201);
    }
    remote.fail(2);
    let input = r#"{"key": "x"}"#;
    let execute = async |name: &str, more: &[&str]| {
        cli(&[&["action", "execute", name, "--input", input, "--json"], more].concat()).await
    };
    let failed = execute("flaky", &["--idempotency-key", "k"]).await;
    assert_eq!(failed.code, 1, "{}", failed.err);
    let failed: Value = serde_json::from_str(&failed.out).unwrap();
    let again: Value = serde_json::from_str(&execute("flaky", &["--idempotency-key", "k"]).await.out).unwrap();
    assert_eq!(failed["id"], again["id"]);
    let id = failed["id"].as_str().unwrap();
    let behind: Value = serde_json::from_str(&execute("flaky", &["--async"]).await.out).unwrap();
    let retried = cli(&["execution", "retry", "--action", "flaky", "--error-code", "protocol_failed"]).await;
    assert!(retried.code == 0 && retried.out.contains("1 are tried again"), "{}{}", retried.out, retried.err);
    let letters = async || cli(&["execution", "list", "--status", "failed", "--json"]).await.json()["items"].clone();
    while letters().await.as_array().unwrap().is_empty() {}
    let dismissed = cli(&["execution", "cancel", id]).await;
    assert!(dismissed.code == 0 && dismissed.out.contains("cancelled"), "{}{}", dismissed.out, dismissed.err);
    api.ended(behind["id"].as_str().unwrap()).await;
    assert_eq!(cli(&["execution", "retry", id, "--json"]).await.json()["status"], "waiting");
    assert_eq!(cli(&["execution", "retry"]).await.code, 2);

    let held = execute("doubt", &[]).await;
    let held: Value = serde_json::from_str(&held.out).unwrap();
    assert_eq!(held["status"], "in_doubt", "{held}");
    let resolved = cli(&["execution", "resolve", held["id"].as_str().unwrap(), "--as", "succeeded"]).await;
    assert!(resolved.out.contains("succeeded"), "{}{}", resolved.out, resolved.err);

    assert_eq!(cli(&["prune", "--before", "1d", "--json"]).await.json()["executions"], 0);
    let pruned = cli(&["prune", "--before", "2999-01-01T00:00:00Z"]).await;
    assert!(pruned.code == 0 && pruned.out.starts_with("removed "), "{}{}", pruned.out, pruned.err);
    assert_eq!(cli(&["prune", "--before", "yesterday"]).await.code, 2);
    let told = cli(&["events", "list", "--type", "events_pruned"]).await;
    assert!(told.out.contains("that ended before 2999"), "{}", told.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_the_service_asks_for_postgres_and_no_password_is_ever_told() {
    let folder = tempfile::TempDir::new().unwrap();
    let start = async |role: &str, settings: &[(&str, &str)]| {
        let output =
            Command::new(binary()).arg(role).current_dir(folder.path()).envs(settings.iter().copied()).output();
        let output = output.await.unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!said.contains("hunter2"), "{said}");
        (output.status.code().unwrap(), said)
    };
    for role in ["api", "worker"] {
        for database in ["sqlite://a.db", "memory:"] {
            let (code, said) = start(role, &[("ACTION_SERVICE_DATABASE_URL", database)]).await;
            assert!(code == 2 && said.contains("Postgres") && said.contains("ACTION_SERVICE_DATABASE_URL"), "{said}");
        }
    }
    let ports = [("ACTION_SERVICE_PRIVATE_ADDR", "127.0.0.1:0"), ("ACTION_SERVICE_PUBLIC_ADDR", "127.0.0.1:0")];
    for url in ["postgres://u:hunter2@127.0.0.1:1/d", "postgres://u:hunter2@[::/d", "mysql://u:hunter2@h/d"] {
        for role in ["serve", "migrate"] {
            let settings = [&ports[..], &[("ACTION_SERVICE_DATABASE_URL", url)]].concat();
            let (code, said) = start(role, &settings).await;
            // Who cannot be reached may come back; what is no address never does.
            let expected = if url.contains("127.0.0.1") { 1 } else { 2 };
            assert!(code == expected && said.contains("ACTION_SERVICE_DATABASE_URL"), "{url}: {code} {said}");
        }
    }
    let queue = [("ACTION_SERVICE_QUEUE_URL", "amqp://u:hunter2@h"), ("ACTION_SERVICE_DATABASE_URL", "sqlite://a.db")];
    assert_eq!(start("serve", &queue).await.0, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_version_changes_and_what_was_denied_is_shown() {
    let (service, remote) = (Service::start().await, Remote::start().await);
    let folder = service.folder().to_owned();
    let cli = async |words: &[&str]| run(Some(&service), &folder, words).await;
    for name in ["version-one", "version-two"] {
        std::fs::write(folder.join(format!("{name}.wasm")), crate::kit::fixture(name)).unwrap();
    }
    let pushed = cli(&["protocol", "push", "version-one.wasm"]).await;
    assert!(pushed.code == 0 && !pushed.out.contains("compared"), "{}{}", pushed.out, pushed.err);
    let action = format!(
        "name: watched\nprotocol: versioned\nconfig:\n  url: {}\n  mirror: {}\ngrants:\n  private_networks: true\n\
         delivery:\n  max_attempts: 1\n",
        remote.url("/json"),
        remote.url("/json").replace("127.0.0.1", "localhost")
    );
    std::fs::write(folder.join("watched.yaml"), &action).unwrap();
    assert_eq!(cli(&["action", "apply", "-f", "watched.yaml"]).await.code, 0);
    assert_ne!(cli(&["action", "execute", "watched"]).await.code, 0, "its mirror is no grant");
    let shown = cli(&["action", "egress", "watched", "--url", "http://localhost:1/"]).await;
    assert!(shown.out.contains("/config/url") && shown.out.contains("localhost:1 is denied"), "{}", shown.out);
    let proposed = cli(&["action", "egress", "watched", "--propose", "--json"]).await.json();
    assert_eq!(proposed["grants"]["egress"][0]["host"], "localhost", "{proposed}");

    let pushed = cli(&["protocol", "push", "version-two.wasm"]).await;
    for line in ["compared with versioned@0.1.0", "! config/mirror may be reached", "! would refuse watched"] {
        assert!(pushed.out.contains(line), "{line}: {}", pushed.out);
    }
    // The same file says nothing new. One that names the version means it.
    let same = cli(&["action", "apply", "-f", "watched.yaml"]).await;
    assert!(same.code == 0 && same.out.contains("unchanged  watched"), "{}{}", same.out, same.err);
    let moved = action.replace("protocol: versioned", "protocol: versioned@0.2.0");
    std::fs::write(folder.join("watched.yaml"), moved).unwrap();
    // What only the service can tell is told before anything is changed, and a dry run fails as the run would.
    let other = format!("name: other\nprotocol: versioned\nconfig:\n  url: {}\n", remote.url("/json"));
    std::fs::write(folder.join("other.yaml"), &other).unwrap();
    for words in [&["--dry-run"][..], &[], &["-f", "other.yaml", "--dry-run"], &["-f", "other.yaml"]] {
        let refused = cli(&[&["action", "apply", "-f", "watched.yaml"], words].concat()).await;
        assert_eq!(refused.code, 1, "{words:?}: {}{}", refused.out, refused.err);
        assert!(refused.err.contains("/config/mirror") && refused.err.contains("grants.egress"), "{}", refused.err);
        assert!(!refused.out.contains("created") && !refused.out.contains("updated"), "{}", refused.out);
    }
    assert_eq!(cli(&["action", "show", "other"]).await.code, 1, "nothing was applied");
    let alone = cli(&["action", "apply", "-f", "other.yaml", "--dry-run"]).await;
    assert!(alone.code == 0 && alone.out.contains("would create  other"), "{}{}", alone.out, alone.err);
    assert_eq!(cli(&["action", "show", "other"]).await.code, 1, "nothing was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_says_how_far_it_came() {
    let service = Service::start().await;
    let folder = service.folder().to_owned();
    let cli = async |words: &[&str]| run(Some(&service), &folder, words).await;
    for name in ["version-one", "wrong-world", "version-two"] {
        std::fs::write(folder.join(format!("{name}.wasm")), crate::kit::fixture(name)).unwrap();
    }
    std::fs::write(folder.join("text.wasm"), "(component)").unwrap();
    let none = cli(&["protocol", "push", "version-one.wasm", "text.wasm"]).await;
    assert!(none.code == 2 && none.out.is_empty() && none.err.contains("text.wasm"), "{}{}", none.out, none.err);
    assert_eq!(cli(&["protocol", "show", "versioned"]).await.code, 1, "nothing was tried");
    let some = cli(&["protocol", "push", "version-one.wasm", "wrong-world.wasm", "version-two.wasm"]).await;
    assert!(some.code == 1 && some.out.contains("versioned@0.1.0"), "{}{}", some.out, some.err);
    let told = "wrong-world.wasm; pushed before it: version-one.wasm; not tried: version-two.wasm: ";
    assert!(some.err.contains(told), "{}", some.err);
}
