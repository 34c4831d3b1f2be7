//! The servers as processes: started, accounted for, ended.

use anyhow::{Context as _, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process};
use std::{net::SocketAddr, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    sync::mpsc,
    time::timeout,
};

/// Compiling what comes with the service may take a while on a small machine.
const START_MAX: Duration = Duration::from_mins(2);
/// A server that takes longer to stop has lost its way.
const STOP_MAX: Duration = Duration::from_secs(30);

/// A server that runs, until it is stopped or dropped.
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Where it listens too.
    pub(crate) others: Vec<SocketAddr>,
    child: Child,
    pid: Pid,
}

impl Server {
    /// Starts a server and waits until it prints `marker` and its address behind it.
    pub(crate) async fn start(command: Command, marker: &str) -> Result<Self> {
        Self::start_many(command, &[marker]).await
    }

    /// The same with several listeners, told in this order.
    pub(crate) async fn start_many(mut command: Command, markers: &[&str]) -> Result<Self> {
        let name = command.as_std().get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let pid = child.id().and_then(|id| Pid::from_raw(id as i32)).context("it ended at once")?;
        let (lines, mut printed) = mpsc::unbounded_channel();
        drain(child.stdout.take(), lines.clone());
        drain(child.stderr.take(), lines);
        let mut said = String::new();
        let mut found: Vec<SocketAddr> = Vec::new();
        let told = timeout(START_MAX, async {
            while let Some(marker) = markers.get(found.len()) {
                let line = printed.recv().await.with_context(|| format!("{name} ended without `{marker}`"))?;
                if let Some((_, address)) = line.split_once(marker) {
                    let address = address.split_whitespace().next().unwrap_or_default().trim_end_matches('/');
                    found.push(address.parse().with_context(|| format!("no address in `{line}`"))?);
                }
                said.push_str(&line);
                said.push('\n');
            }
            Ok(())
        });
        let told = told.await.unwrap_or_else(|_| Err(anyhow!("{name} did not print all of {markers:?} in time")));
        told.with_context(|| format!("it printed:\n{said}"))?;
        let address = found.remove(0);
        Ok(Self { address, others: found, child, pid })
    }

    /// The CPU time it used until now, in user and kernel mode, without its children.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = self.proc("stat")?;
        // The second field is a name that may hold anything, brackets too; 14 and 15 are meant.
        let fields = stat.rsplit_once(')').context("an odd stat")?.1.split_ascii_whitespace().skip(11).take(2);
        let ticks = fields.map(str::parse::<u64>).sum::<Result<u64, _>>()?;
        Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
    }

    /// Its memory in MiB: its own, and its part of what it shares.
    pub(crate) fn memory_mib(&self) -> Result<f64> {
        let rollup = self.proc("smaps_rollup")?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).context("no Pss")?;
        Ok(line.trim_end_matches("kB").trim().parse::<f64>()? / 1024.0)
    }

    fn proc(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.pid.as_raw_nonzero());
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}; has the server ended?"))
    }

    /// Asks it to end and waits until it did.
    pub(crate) async fn stop(mut self) -> Result<()> {
        kill_process(self.pid, Signal::TERM)?;
        timeout(STOP_MAX, self.child.wait()).await.context("a server does not stop")??;
        Ok(())
    }
}

/// Reads to the end, even when nobody listens any more: a full pipe would stop the server.
fn drain(from: Option<impl AsyncRead + Unpin + Send + 'static>, to: mpsc::UnboundedSender<String>) {
    let Some(from) = from else { return };
    tokio::spawn(async move {
        let mut lines = BufReader::new(from).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let _ = to.send(line);
        }
    });
}
