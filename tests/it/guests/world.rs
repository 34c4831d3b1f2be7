//! A service whose compiled Python and JavaScript is kept from test to test, and what all of these
//! tests do with it.

use crate::kit::{Service, components::protocol_path, service::Options};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use tempfile::TempDir;

/// Files of compiled code that are kept between runs; a Python component has 40 MB.
const KEPT_MAX: usize = 12;

/// Whether a guest was built. Where its tools cannot be installed it was not, and its tests say so
/// and do nothing; in CI that is a failure.
pub(super) fn is_built(component: &Path) -> bool {
    let built = component.exists();
    if !built {
        let what = component.display();
        assert!(std::env::var_os("CI").is_none(), "{what} is not there; scripts/build-guests.sh says why");
        eprintln!("\nNOT TESTED: {what} could not be built; scripts/build-guests.sh says why\n");
    }
    built
}

/// A service that has these protocols, if they were built.
pub(super) struct World {
    pub(super) service: Service,
    failures: AtomicU32,
}

impl World {
    /// For tests of a built-in protocol.
    pub(super) async fn of_protocol(name: &str) -> Option<Self> {
        if is_built(&protocol_path(name)) { Some(Self::start().await) } else { None }
    }

    pub(super) async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        warm_up(&folder.path().join("data"));
        let options = Options { folder: Some(Arc::new(folder)), ..Options::default() };
        Self { service: Service::start_with(options).await, failures: AtomicU32::new(0) }
    }

    /// Saves an action that is tried once.
    pub(super) async fn action(&self, name: &str, protocol: &str, config: &Value) {
        self.action_with(name, protocol, config, json!({"private_networks": true})).await;
    }

    pub(super) async fn action_with(&self, name: &str, protocol: &str, config: &Value, grants: Value) {
        let action = json!({
            "name": name, "protocol": protocol, "config": config, "grants": grants, "delivery": {"max_attempts": 1}
        });
        let saved = self.service.private.put(&format!("/v1/actions/{name}"), &action).await;
        assert!(saved.status.is_success(), "{}", String::from_utf8_lossy(&saved.body));
        keep_warm(&self.service.folder().join("data"));
    }

    /// Executes an action once, and gives the execution.
    pub(super) async fn execute(&self, name: &str, input: &Value) -> Value {
        self.service.private.execute(name, input).await.json(200)
    }

    /// The failure that an execution of this protocol ends with: its kind and advice.
    pub(super) async fn failure(&self, protocol: &str, config: &Value, input: &Value) -> (String, Value) {
        // Each by itself: a remote that asks to slow down is listened to for its whole action.
        let name = format!("failing-{}", self.failures.fetch_add(1, Ordering::Relaxed));
        self.action(&name, protocol, config).await;
        let execution = self.execute(&name, input).await;
        assert_eq!(execution["status"], "failed", "{execution}");
        let failure = &execution["error"]["failure"];
        (failure["kind"].as_str().unwrap_or_default().to_owned(), failure["advice"].clone())
    }

    pub(super) async fn test_connection(&self, protocol: &str, config: &Value) -> Value {
        let body = json!({"config": config, "grants": {"private_networks": true}});
        let path = format!("/v1/protocols/{protocol}/0.1.0/test-connection");
        self.service.private.post(&path, &body).await.json(200)
    }

    /// An execution's output, however large.
    pub(super) async fn output(&self, execution: &Value) -> Value {
        let path = format!("/v1/executions/{}/output", execution["id"].as_str().unwrap());
        serde_json::from_slice(&self.service.private.get(&path).await.body).unwrap()
    }

    pub(super) async fn secret(&self, name: &str, value: &str) {
        let answer = self.service.private.put(&format!("/v1/secrets/{name}"), &json!({"value": value})).await;
        assert!(answer.status.is_success(), "{}", String::from_utf8_lossy(&answer.body));
    }
}

/// Where compiled code waits for the next test, with the key that seals it.
fn warm() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests")
}

/// Gives a new service what earlier ones compiled. It looks at each file's seal, as always.
fn warm_up(data: &Path) {
    let (from, to) = (warm(), data.join("compiled"));
    if fs::create_dir_all(&to).is_err() || fs::copy(from.join("compiled.key"), data.join("compiled.key")).is_err() {
        return;
    }
    for file in files(&from) {
        let _ = fs::copy(&file, to.join(file.file_name().unwrap()));
    }
}

/// Keeps what a service has compiled. Others may do so at the same time: a file comes whole, and only
/// those of one key are kept together.
fn keep_warm(data: &Path) {
    let to = warm();
    let own = fs::read(data.join("compiled.key")).unwrap();
    fs::create_dir_all(&to).unwrap();
    if !to.join("compiled.key").exists() {
        whole(&data.join("compiled.key"), &to.join("compiled.key"));
    }
    if fs::read(to.join("compiled.key")).ok().as_ref() != Some(&own) {
        return;
    }
    for file in files(&data.join("compiled")) {
        let kept = to.join(file.file_name().unwrap());
        if !kept.exists() {
            whole(&file, &kept);
        }
    }
    let mut old = files(&to);
    old.sort_by_key(|file| fs::metadata(file).and_then(|meta| meta.modified()).ok());
    for file in old.iter().rev().skip(KEPT_MAX) {
        let _ = fs::remove_file(file);
    }
}

/// Copies a file so that it is there whole or not at all, whoever else does the same.
fn whole(from: &Path, to: &Path) {
    let Ok(part) = tempfile::NamedTempFile::new_in(to.parent().unwrap()) else { return };
    if fs::copy(from, part.path()).is_ok() {
        let _ = part.persist_noclobber(to);
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "cwasm")).collect()
}
