//! The service as a process of its own, in a folder of its own, on free ports.

use super::{PATIENCE, client::Client};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::mpsc,
    time::timeout,
};

/// The token that every test service is given.
pub(crate) const TOKEN: &str = "tok_for_tests_only_0123456789abcdef";

/// The binary: built into the same target folder as this test.
pub(crate) fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().and_then(Path::parent).unwrap().join("action-service");
    assert!(path.exists(), "{}: build it with `cargo build -p action-server`", path.display());
    path
}

/// A running service. Ends with the test.
pub(crate) struct Service {
    child: Child,
    folder: Arc<TempDir>,
    settings: Vec<(OsString, OsString)>,
    wrapper: Vec<OsString>,
    role: &'static str,
    pub(crate) private: Client,
    pub(crate) public: Client,
}

/// How a service is started.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) settings: Vec<(OsString, OsString)>,
    /// A command before the binary, for instance strace.
    pub(crate) wrapper: Vec<OsString>,
    pub(crate) folder: Option<Arc<TempDir>>,
    /// `serve` where it is empty.
    pub(crate) role: &'static str,
}

impl Options {
    pub(crate) fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }
}

impl Service {
    /// With SQLite in a new folder; private networks are allowed by the operator.
    pub(crate) async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    pub(crate) async fn start_with(options: Options) -> Self {
        let folder = options.folder.unwrap_or_else(|| Arc::new(TempDir::new().unwrap()));
        let role = if options.role.is_empty() { "serve" } else { options.role };
        let mut words = options.wrapper.iter().cloned().chain([binary().into_os_string()]);
        let mut command = Command::new(words.next().unwrap());
        command
            .args(words)
            .arg(role)
            .env("ACTION_SERVICE_DATA_DIR", folder.path().join("data"))
            .env("ACTION_SERVICE_PRIVATE_ADDR", "127.0.0.1:0")
            .env("ACTION_SERVICE_PUBLIC_ADDR", "127.0.0.1:0")
            .env("ACTION_SERVICE_ADMIN_TOKEN", TOKEN)
            .env("ACTION_SERVICE_EGRESS_PRIVATE", "allow")
            .env("ACTION_SERVICE_LOG", "warn")
            // Compiling Python takes seconds, which belong to the tests that need it.
            .env("ACTION_SERVICE_PREPARE", "wanted")
            .envs(options.settings.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let (tell, mut lines) = mpsc::channel(1024);
        follow(child.stdout.take().unwrap(), tell.clone());
        follow(child.stderr.take().unwrap(), tell);
        let (mut private, mut public, mut said) = (None, None, String::new());
        // A worker has no door for the public.
        while private.is_none() || public.is_none() && role != "worker" {
            let line = timeout(PATIENCE, lines.recv()).await.expect("the service says where it listens");
            let Some(line) = line else { panic!("the service ended before it listened:\n{said}") };
            if let Some((_, address)) = line.split_once("private listener on ") {
                private = Some(address.trim().to_owned());
            }
            if let Some((_, address)) = line.split_once("public listener on ") {
                public = Some(address.trim().to_owned());
            }
            said.push_str(&line);
            said.push('\n');
        }
        // The pipes are read to their end, or the service would block on a full one.
        tokio::spawn(async move {
            while let Some(line) = lines.recv().await {
                eprintln!("service: {line}");
            }
        });
        Self {
            child,
            folder,
            settings: options.settings,
            wrapper: options.wrapper,
            role,
            public: Client::public(public.or(private.clone()).unwrap(), private.as_deref().unwrap()),
            private: Client::new(private.unwrap()),
        }
    }

    /// Its folder. `data/` below it is the service's.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// `kill -9`.
    pub(crate) async fn kill(mut self) -> Options {
        self.child.kill().await.unwrap();
        self.options()
    }

    /// SIGTERM, and how it ended.
    pub(crate) async fn stop(mut self) -> (ExitStatus, Options) {
        let child = self.pid();
        let pid = if self.wrapper.is_empty() {
            child.to_string()
        } else {
            // The wrapper is not the one to be told: its own child is.
            std::fs::read_to_string(format!("/proc/{child}/task/{child}/children")).unwrap()
        };
        let sent = std::process::Command::new("kill").args(["-TERM", pid.trim()]).status().unwrap();
        assert!(sent.success());
        let status = timeout(PATIENCE, self.child.wait()).await.expect("the service stops").unwrap();
        (status, self.options())
    }

    fn options(self) -> Options {
        Options { settings: self.settings, wrapper: self.wrapper, folder: Some(self.folder), role: self.role }
    }
}

fn follow(pipe: impl AsyncRead + Unpin + Send + 'static, tell: mpsc::Sender<String>) {
    tokio::spawn(async move {
        let mut lines = BufReader::new(pipe).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if tell.send(line).await.is_err() {
                return;
            }
        }
    });
}
