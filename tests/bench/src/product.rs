//! The service as its users have it: the release binary, set up over its own API.

use crate::{
    http::{Connection, Reply, request},
    process::Server,
};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tokio::process::Command;

/// What each request brings: small, since it is not the copying that is measured.
pub(crate) const INPUT: &[u8] = br#"{"order":4711,"customer":"Ada Lovelace","total":19.5}"#;

/// Printed when the private listener is open, with its address behind it; and the public one.
const MARKERS: [&str; 2] = ["private listener on http://", "public listener on http://"];
/// A service that is not ready by then never will be.
const READY_MAX: Duration = Duration::from_mins(1);

/// A service with a data folder.
pub(crate) struct Product {
    binary: PathBuf,
    data: PathBuf,
    bearer: String,
    role: &'static str,
    settings: Vec<(&'static str, String)>,
}

impl Product {
    /// A service that keeps its data there.
    #[expect(clippy::disallowed_methods, reason = "a token that nobody can know before")]
    pub(crate) fn new(data: PathBuf) -> Result<Self> {
        let binary = binary()?;
        let bearer = format!("Bearer bench-{}", uuid::Uuid::now_v7().simple());
        Ok(Self { binary, data, bearer, role: "serve", settings: Vec::new() })
    }

    /// A part of it in a process and with a folder of its own: `api` or `worker`.
    pub(crate) fn part(&self, role: &'static str, data: PathBuf) -> Self {
        let (binary, bearer, settings) = (self.binary.clone(), self.bearer.clone(), self.settings.clone());
        Self { binary, data, bearer, role, settings }
    }

    /// The same with its data: for another start of it.
    pub(crate) fn again(&self) -> Self {
        self.part(self.role, self.data.clone())
    }

    /// The same, with a copy of its data elsewhere. It must not run meanwhile.
    pub(crate) fn twin(&self, data: PathBuf) -> Result<Self> {
        copy(&self.data, &data).with_context(|| format!("cannot copy {}", self.data.display()))?;
        Ok(self.part(self.role, data))
    }

    /// Takes away what it has compiled. It must not run meanwhile.
    pub(crate) fn forget_compiled(&self) -> Result<()> {
        std::fs::remove_dir_all(self.data.join("compiled")).context("the folder of what was compiled")
    }

    /// The same with a setting.
    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.settings.push((name, value.to_string()));
        self
    }

    /// Starts it. Says how long it took until it said that it is ready.
    pub(crate) async fn start(&self) -> Result<(Server, Duration)> {
        let begun = Instant::now();
        // A worker has nothing for the outside.
        let markers = if self.role == "worker" { &MARKERS[..1] } else { &MARKERS };
        let server = Server::start_many(self.command(), markers).await?;
        let ask = request("GET", "/readyz", &[], b"");
        while begun.elapsed() < READY_MAX {
            let ready = async { Connection::open(server.address).await?.exchange(&ask).await };
            if ready.await.is_ok_and(|reply| reply.status == 200) {
                return Ok((server, begun.elapsed()));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        bail!("the service is not ready after {READY_MAX:?}")
    }

    /// Everything as it is by default but for what a test on loopback needs, and that a protocol is compiled when it
    /// is named: the compiler would run beside what is measured. The number of attempts at once may be set from
    /// outside.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("ACTION_SERVICE_") && text != "ACTION_SERVICE_CONCURRENCY" {
                command.env_remove(&name);
            }
        }
        command
            .arg(self.role)
            .env("ACTION_SERVICE_DATA_DIR", &self.data)
            .env("ACTION_SERVICE_PUBLIC_ADDR", "127.0.0.1:0")
            .env("ACTION_SERVICE_PRIVATE_ADDR", "127.0.0.1:0")
            .env("ACTION_SERVICE_ADMIN_TOKEN", self.bearer.trim_start_matches("Bearer "))
            .env("ACTION_SERVICE_EGRESS_PRIVATE", "allow")
            .env("ACTION_SERVICE_LOG", "off")
            .env("ACTION_SERVICE_PREPARE", "wanted")
            .envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Uploads the components, makes the actions and lets each run once.
    pub(crate) async fn set_up(&self, server: &Server, fixtures: &Path, remote: SocketAddr) -> Result<()> {
        self.upload(server, fixtures, &["noop.wasm", "echo_http.wasm", "misbehave.wasm"]).await?;
        let url = format!("http://{remote}/");
        for (name, config) in [
            ("noop", json!({})),
            ("echo-http", json!({"url": url})),
            ("http", json!({"url": url, "method": "POST", "idempotency": "keyed"})),
        ] {
            let grants = json!({"private_networks": true});
            let action = json!({"name": name, "protocol": name, "config": config, "grants": grants});
            self.create(server, &action).await?;
            let path = format!("/v1/actions/{name}/execute");
            let reply = self.ask(server, "POST", &path, "application/json", INPUT).await?;
            let execution: Value = serde_json::from_slice(&reply.body)?;
            ensure!(execution["status"] == "succeeded", "`{name}` did not succeed: {execution}");
        }
        Ok(())
    }

    /// Uploads components.
    pub(crate) async fn upload(&self, server: &Server, fixtures: &Path, files: &[&str]) -> Result<()> {
        for file in files {
            let path = fixtures.join(file);
            let component = std::fs::read(&path)
                .with_context(|| format!("{} is missing: scripts/build-guests.sh", path.display()))?;
            self.ask(server, "POST", "/v1/protocols", "application/wasm", &component).await?;
        }
        Ok(())
    }

    /// Makes an action.
    pub(crate) async fn create(&self, server: &Server, action: &Value) -> Result<()> {
        self.ask(server, "POST", "/v1/actions", "application/json", action.to_string().as_bytes()).await?;
        Ok(())
    }

    /// Puts a document there.
    pub(crate) async fn put(&self, server: &Server, path: &str, document: &Value) -> Result<()> {
        self.ask(server, "PUT", path, "application/json", document.to_string().as_bytes()).await?;
        Ok(())
    }

    /// What the API says.
    pub(crate) async fn get(&self, server: &Server, path: &str) -> Result<Value> {
        Ok(serde_json::from_slice(&self.ask(server, "GET", path, "application/json", b"").await?.body)?)
    }

    /// The request that executes an action.
    pub(crate) fn execute(&self, action: &str) -> Vec<u8> {
        let headers = [("content-type", "application/json"), ("authorization", self.bearer.as_str())];
        request("POST", &format!("/v1/actions/{action}/execute"), &headers, INPUT)
    }

    /// The request that makes a document, for [`crate::load::send_each`].
    pub(crate) fn posted(&self, path: &str, document: &Value) -> Vec<u8> {
        let headers = [("content-type", "application/json"), ("authorization", self.bearer.as_str())];
        request("POST", path, &headers, document.to_string().as_bytes())
    }

    /// The request that begins an execution and does not wait for it.
    pub(crate) fn begin(&self, action: &str) -> Vec<u8> {
        let headers = [
            ("content-type", "application/json"),
            ("authorization", self.bearer.as_str()),
            ("prefer", "respond-async"),
        ];
        request("POST", &format!("/v1/actions/{action}/execute"), &headers, INPUT)
    }

    /// An action `loop`, whose executions compute until their time is over.
    pub(crate) async fn add_loop(&self, server: &Server, timeout_ms: u64) -> Result<()> {
        let action = json!({
            "name": "loop", "protocol": "misbehave", "config": {"mode": "loop"},
            "limits": {"timeout_ms": timeout_ms, "fuel": 1_000_000_000_000_u64},
        });
        self.create(server, &action).await
    }

    /// The value of the `Authorization` header.
    pub(crate) fn bearer(&self) -> &str {
        &self.bearer
    }

    async fn ask(&self, server: &Server, method: &str, path: &str, content_type: &str, body: &[u8]) -> Result<Reply> {
        let headers = [("content-type", content_type), ("authorization", self.bearer.as_str())];
        let asked = request(method, path, &headers, body);
        let reply = Connection::open(server.address).await?.exchange(&asked).await;
        let reply = reply.with_context(|| format!("{method} {path}"))?;
        let text = || String::from_utf8_lossy(&reply.body);
        ensure!(matches!(reply.status, 200 | 201), "{method} {path}: {} {}", reply.status, text());
        Ok(reply)
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let copied = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &copied)?;
        } else {
            std::fs::copy(entry.path(), copied)?;
        }
    }
    Ok(())
}

/// Builds the service, since an old binary would be measured without a word. Built on its own
/// it has the features that its users get; this package's dependencies add none.
pub(crate) fn build() -> Result<()> {
    // Not there when the benchmark was started by hand: then the binary is whoever's who does that.
    let Some(cargo) = std::env::var_os("CARGO") else { return Ok(()) };
    let mut command = std::process::Command::new(cargo);
    command.args(["build", "--locked", "-p", "action-server"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    ensure!(command.status()?.success(), "the service cannot be built");
    Ok(())
}

/// The binary that was built beside this one.
fn binary() -> Result<PathBuf> {
    let binary = std::env::current_exe()?.with_file_name("action-service");
    ensure!(binary.exists(), "{} is missing: cargo build --release -p action-server", binary.display());
    Ok(binary)
}
