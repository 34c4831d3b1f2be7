//! `run`: an execution without a service.

use super::action_service;
use crate::kit::{
    PATIENCE, Remote, caches,
    components::{fixture_path, protocol_path},
    service::binary,
};
use serde_json::json;
use std::{os::unix::fs::MetadataExt as _, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::Command,
    time::timeout,
};

#[tokio::test(flavor = "multi_thread")]
async fn events_are_printed_as_they_happen() {
    let remote = Remote::start().await;
    let config = json!({"url": remote.url("/hold"), "method": "POST"}).to_string();
    let mut child = Command::new(binary())
        .args(["run", protocol_path("http").to_str().unwrap(), "--config", &config, "--input", "x", "--allow-private"])
        .env("XDG_CACHE_HOME", caches())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = async || timeout(PATIENCE, lines.next_line()).await.expect("a line comes").unwrap();
    // The remote holds its answer until these have been read: nobody waited for the end to print them.
    for event in ["trigger_received", "attempt_started"] {
        let line = next().await.unwrap();
        assert!(line.contains(event), "{line}");
    }
    remote.asked(1).await;
    remote.release(1);
    let mut rest = Vec::new();
    while let Some(line) = next().await {
        rest.push(line);
    }
    let at =
        |word: &str| rest.iter().position(|line| line.contains(word)).unwrap_or_else(|| panic!("{word}: {rest:?}"));
    assert!(at("request_made") < at("action_executed"), "{rest:?}");
    assert!(timeout(PATIENCE, child.wait()).await.unwrap().unwrap().success(), "{rest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn input_comes_from_files_and_standard_input_and_secrets_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(binary())
        .args(["--json", "run", fixture_path("noop").to_str().unwrap(), "--input", "-"])
        .stdin(Stdio::piped())
        .env("XDG_CACHE_HOME", caches())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(br#"{"n": 1}"#).await.unwrap();
    let output = timeout(PATIENCE, child.wait_with_output()).await.expect("it ends").unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().last().unwrap().contains(r#""output":{"n":1}"#), "{text}");

    // What is no text goes into a file as it is.
    std::fs::write(folder.path().join("bytes"), [0, 255, 10]).unwrap();
    let noop = fixture_path("noop");
    let words = ["run", noop.to_str().unwrap(), "--input", "./bytes", "--output", "copy"];
    let copied = action_service(folder.path(), &words).await;
    assert_eq!(copied.code, 0, "{}", copied.err);
    assert_eq!(std::fs::read(folder.path().join("copy")).unwrap(), [0, 255, 10]);

    std::fs::write(folder.path().join("token"), "open sesame 1\n").unwrap();
    let secretive = fixture_path("secretive");
    let config = r#"{"mode": "reveal", "secret": {"$secret": "token"}}"#;
    let words = ["run", secretive.to_str().unwrap(), "--config", config, "--secret", "token=token"];
    let hidden = action_service(folder.path(), &words).await;
    assert!(hidden.code == 0 && hidden.out.contains("not-granted"), "{}{}", hidden.out, hidden.err);
    let shown = action_service(folder.path(), &[&words[..], &["--reveal", "token"]].concat()).await;
    // The protocol saw it, and what it said of it is taken out again.
    assert!(!shown.out.contains("not-granted") && shown.out.contains("[secret:token]"), "{}{}", shown.out, shown.err);
    assert!(!shown.out.contains("open sesame"), "{}", shown.out);
    let missing = action_service(folder.path(), &["run", secretive.to_str().unwrap(), "--config", config]).await;
    assert!(missing.code == 1 && missing.err.contains("/config/secret"), "{}", missing.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_compiled_is_kept_for_the_next_call_and_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let caches = folder.path().join("caches");
    let noop = fixture_path("noop");
    let call = async |words: &[&str]| {
        let mut command = Command::new(binary());
        command.args(words).arg(&noop).current_dir(folder.path()).env("XDG_CACHE_HOME", &caches);
        let output = command.stdin(Stdio::null()).output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
        let kept = std::fs::read_dir(caches.join("action-service/compiled")).unwrap().map(|entry| entry.unwrap());
        let kept: Vec<_> = kept.map(|entry| (entry.path(), entry.metadata().unwrap().ino())).collect();
        assert_eq!(kept.len(), 1, "{kept:?}");
        kept[0].clone()
    };
    let (path, compiled) = call(&["run"]).await;
    // A file is made anew where something is compiled: another one, as long as the first is held.
    std::fs::hard_link(&path, folder.path().join("held")).unwrap();
    assert_eq!(call(&["run"]).await.1, compiled);
    assert_eq!(call(&["check"]).await.1, compiled);
    let mut code = std::fs::read(&path).unwrap();
    *code.last_mut().unwrap() ^= 1;
    std::fs::write(&path, code).unwrap();
    assert_ne!(call(&["check"]).await.1, compiled, "what somebody changed is not run");
    let key = caches.join("action-service/compiled.key").metadata().unwrap();
    assert_eq!(key.mode() & 0o777, 0o600);
}
