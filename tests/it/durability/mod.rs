//! What was answered stays: through `kill -9`, through a loss of power, and no byte of an
//! answer leaves before the sync that covers it.

use crate::kit::{PATIENCE, Service, fixture, service::Options};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinSet};

/// How often the service is killed.
const KILLS: usize = 100;
/// Callers at once.
const CALLERS: usize = 16;

async fn prepare(service: &Service) {
    service.private.upload(fixture("noop")).await.json(201);
    service.private.action("echo", "noop", json!({})).await.json(201);
}

/// Calls until the service is gone; what was answered. The service is killed once `enough`
/// answers came.
async fn load_and_kill(service: Service, enough: usize) -> (Vec<String>, Options) {
    let answered: Arc<Mutex<Vec<String>>> = Arc::default();
    let count = Arc::new(watch::Sender::new(0));
    let url = format!("{}/v1/actions/echo/execute", service.private.base);
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (answered, count) = (answered.clone(), count.clone());
        let request = service.private.request(Method::POST, "/v1/actions/echo/execute");
        let _ = &url;
        callers.spawn(async move {
            for number in 0.. {
                // Every fourth does not wait for the end.
                let mut request = request.try_clone().unwrap().json(&json!({"caller": caller, "number": number}));
                if number % 4 == 3 {
                    request = request.header("prefer", "respond-async");
                }
                let Ok(response) = request.send().await else { return };
                let Ok(body) = response.json::<Value>().await else { return };
                answered.lock().unwrap().push(body["id"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned());
                count.send_modify(|count| *count += 1);
            }
        });
    }
    let mut reached = count.subscribe();
    tokio::time::timeout(PATIENCE, reached.wait_for(|count| *count >= enough)).await.unwrap().unwrap();
    let options = service.kill().await;
    callers.join_all().await;
    (std::mem::take(&mut answered.lock().unwrap()), options)
}

/// Every answered execution is there and ends; every execution at all is whole.
async fn nothing_is_lost(service: &Service, answered: &[String]) {
    let api = &service.private;
    for id in answered {
        let ended = api.ended(id).await;
        assert_eq!(ended["status"], "succeeded", "{ended}");
    }
    let mut after = 0;
    let mut counts = std::collections::HashMap::<String, (u32, u32)>::new();
    loop {
        let page = api.get(&format!("/v1/events?limit=500&after={after}")).await.json(200);
        let items = page["items"].as_array().unwrap();
        let Some(last) = items.last() else { break };
        after = last["position"].as_i64().unwrap();
        for event in items {
            let Some(execution) = event["execution"].as_str() else { continue };
            let count = counts.entry(execution.to_owned()).or_default();
            match event["type"].as_str().unwrap() {
                "trigger_received" => count.0 += 1,
                "action_executed" => count.1 += 1,
                _ => {}
            }
        }
    }
    for (execution, (received, executed)) in &counts {
        assert_eq!((*received, *executed <= 1), (1, true), "{execution}");
        if *executed == 0 {
            // Not answered, lost with the process, waiting for its next attempt.
            api.ended(execution).await;
        }
    }
    assert!(answered.iter().all(|id| counts.contains_key(id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_minus_nine_under_load_loses_no_answer_and_leaves_nothing_half_written() {
    let mut service = Service::start().await;
    prepare(&service).await;
    let mut all = Vec::new();
    for round in 0..KILLS {
        let (answered, options) = load_and_kill(service, 1 + 7 * (round % 5)).await;
        all.extend(answered);
        service = Service::start_with(options).await;
    }
    nothing_is_lost(&service, &all).await;
}

/// Builds the library that keeps unsynced writes apart.
fn shim(folder: &Path) -> std::path::PathBuf {
    let library = folder.join("unsynced.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("it/durability/unsynced.c");
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl").status();
    assert!(built.unwrap().success());
    library
}

/// Puts what was synced in place of what was written. How many bytes that took away.
fn lose_power(data: &Path) -> u64 {
    let mut lost = 0;
    for entry in std::fs::read_dir(data).unwrap() {
        let path = entry.unwrap().path();
        let name = path.to_str().unwrap();
        if let Some(original) = name.strip_suffix(".synced") {
            if !Path::new(original).exists() {
                // Unlinked, like the journal of the very first transaction: it does not come back.
                std::fs::remove_file(&path).unwrap();
                continue;
            }
            let (written, synced) = (std::fs::read(original).unwrap_or_default(), std::fs::read(&path).unwrap());
            let common = written.iter().zip(&synced).filter(|(a, b)| a == b).count();
            lost += (written.len() - common) as u64;
            std::fs::rename(&path, original).unwrap();
        } else if name.ends_with("-shm") {
            std::fs::remove_file(&path).unwrap();
        }
    }
    lost
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_of_power_under_load_loses_no_answer() {
    let tools = TempDir::new().unwrap();
    let mut options = Options::default().with("LD_PRELOAD", shim(tools.path()));
    options.folder = None;
    let mut service = Service::start_with(options).await;
    prepare(&service).await;
    let mut all = Vec::new();
    for round in 1..=5 {
        let data = service.folder().join("data");
        let (answered, options) = load_and_kill(service, 30 * round).await;
        assert!(data.join("action-service.db-wal.synced").exists(), "the shim is at work");
        println!("round {round}: {} answered, {} unsynced bytes lost", answered.len(), lose_power(&data));
        all.extend(answered);
        service = Service::start_with(options).await;
    }
    nothing_is_lost(&service, &all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_byte_of_an_answer_leaves_before_the_syncs_that_cover_it() {
    let tools = TempDir::new().unwrap();
    let log = tools.path().join("calls");
    let wrapper = [
        "strace",
        "-f",
        "-s",
        "100",
        "-e",
        "trace=read,readv,recvfrom,write,writev,sendto,sendmsg,fsync,fdatasync",
        "-o",
    ];
    let wrapper = wrapper.iter().map(Into::into).chain([log.clone().into()]).collect();
    let service = Service::start_with(Options { wrapper, ..Options::default() }).await;
    prepare(&service).await;
    service.private.execute("echo", &json!("the one")).await.json(200);
    let (_, _options) = service.stop().await;
    let calls = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = calls.lines().collect();
    // Of a new connection the first 24 bytes are read by themselves: they tell HTTP/2 from HTTP/1.
    let asked = lines.iter().position(|line| line.contains("POST /v1/actions/echo/ex")).expect("the request is read");
    let answered =
        asked + lines[asked..].iter().position(|line| line.contains("HTTP/1.1 200")).expect("it is answered");
    let is_sync = |line: &&&str| line.contains("sync") && line.trim_end().ends_with("= 0");
    let syncs = lines[asked..answered].iter().filter(is_sync).count();
    assert!(syncs >= 2, "one for the trigger and one for the outcome:\n{}", lines[asked..=answered].join("\n"));
}
