//! From the first signal to the end.

use anyhow::Context as _;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What a shell reports of a program that SIGINT ended.
const INTERRUPTED: i32 = 130;

/// Cancelled at the first SIGINT or SIGTERM. The second ends the process at once, as `kill -9`
/// would: what was answered is on disk, and the rest is recovered at the next start.
///
/// # Errors
/// Where the signals cannot be listened to.
pub(crate) fn on_signal(grace: Duration) -> anyhow::Result<CancellationToken> {
    let mut signals = Signals::new().context("signals cannot be listened to")?;
    let stopping = CancellationToken::new();
    let stop = stopping.clone();
    tokio::spawn(async move {
        let name = signals.next().await;
        tracing::info!(signal = name, grace_ms = grace.as_millis(), "stopping; a second signal ends at once");
        stop.cancel();
        let name = signals.next().await;
        tracing::warn!(signal = name, "ended at once");
        std::process::exit(INTERRUPTED);
    });
    Ok(stopping)
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
