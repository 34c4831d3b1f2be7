//! Logs: to standard error, as JSON or for people. Panics are in them too.

use crate::config::{LogFormat, Settings};
use anyhow::Context as _;
use std::io::IsTerminal as _;
use tracing_subscriber::{EnvFilter, fmt};

/// Sets up logging as the settings say.
///
/// # Errors
/// Where it was set up before.
pub(crate) fn set_up(settings: &Settings) -> anyhow::Result<()> {
    let terminal = std::io::stderr().is_terminal();
    let filter = EnvFilter::try_new(&settings.log)?;
    let logs = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let json = match settings.log_format {
        LogFormat::Auto => !terminal,
        LogFormat::Json => true,
        LogFormat::Text => false,
    };
    let set = if json { logs.json().flatten_event(true).try_init() } else { logs.with_ansi(terminal).try_init() };
    set.map_err(anyhow::Error::from_boxed).context("logging cannot be set up")?;
    log_panics();
    Ok(())
}

/// A panic in a task ends that task alone, and nobody may be waiting for it.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        let location = panic.location().map(ToString::to_string);
        let backtrace = std::backtrace::Backtrace::capture();
        let backtrace = match backtrace.status() {
            std::backtrace::BacktraceStatus::Captured => Some(backtrace.to_string()),
            _ => None,
        };
        tracing::error!(location, backtrace, "panic: {message}");
    }));
}
