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
