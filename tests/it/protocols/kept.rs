//! A server's process: started in a folder of its own on a free port, killed with its value.

use crate::kit::PATIENCE;
use std::{
    ffi::OsStr,
    net::{SocketAddr, TcpListener},
    process::Stdio,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::mpsc,
    time::timeout,
};

/// A process that ends with its value. It is also killed when the thread that started it is gone, so
/// that a test which is killed leaves nothing.
pub(super) struct Kept {
    _child: Child,
    /// The line that said that it is ready.
    pub(super) said: String,
}

/// A port that was free a moment ago.
pub(super) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Kept {
    /// Starts a program and waits until it prints a line with this in it.
    ///
    /// `None` where it ends before that: somebody else took its port, and another will do.
    pub(super) async fn start<A: AsRef<OsStr>>(
        program: &str,
        arguments: impl IntoIterator<Item = A>,
        ready: &str,
    ) -> Option<Self> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", program]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let (tell, mut lines) = mpsc::unbounded_channel();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        for pipe in [Box::new(out) as Box<dyn tokio::io::AsyncRead + Send + Unpin>, Box::new(err)] {
            let tell = tell.clone();
            tokio::spawn(async move {
                let mut lines = BufReader::new(pipe).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    // Read to its end: a server whose log nobody takes would stop.
                    let _ = tell.send(line);
                }
            });
        }
        drop(tell);
        let mut said = String::new();
        while let Some(line) = timeout(PATIENCE, lines.recv()).await.expect("the server says that it is ready") {
            if line.contains(ready) {
                return Some(Self { _child: child, said: line });
            }
            said = format!("{said}{line}\n");
        }
        eprintln!("{program} ended (where it is missing, scripts/setup-system.sh test installs it):\n{said}");
        None
    }
}
