//! `prune`: removes what ended long ago, over the API. The service records each batch as an event;
//! following those shows how far it is.

use crate::{
    cli::Connection,
    client::{Client, own_form},
    commands::span,
    exit,
    output::{Output, field},
    system::SystemClock,
};
use action_domain::{services::Clock as _, time::Timestamp};
use anyhow::Context as _;
use clap::Args;
use indicatif::ProgressBar;
use serde_json::Value;
use std::{io::IsTerminal as _, process::ExitCode, time::Duration};

/// What to remove, and where.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Remove executions that ended before this: an RFC 3339 time, or how long ago (30d, 12h, 90m)
    #[arg(long, value_name = "TIME")]
    before: String,
}

pub(super) async fn run(arguments: &Arguments, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    let before = before(&arguments.before, SystemClock.now()).map_err(exit::usage)?.to_string();
    let pruning = client.prune_events(&before);
    let pruned = if !output.is_json() && std::io::stderr().is_terminal() {
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(Duration::from_millis(100));
        let pruned = tokio::select! {
            pruned = pruning => pruned,
            never = show_progress(client, &bar) => match never {},
        };
        bar.finish_and_clear();
        pruned?
    } else {
        pruning.await?
    };
    if output.is_json() {
        Output::json(&pruned)?;
    } else {
        let [executions, events, payloads] =
            ["/executions", "/events", "/payloads"].map(|pointer| field(&pruned, pointer));
        Output::line(&format!(
            "removed {executions} executions that ended before {before}, with {events} events and {payloads} payloads"
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Until it is dropped. Where the events cannot be followed there is just less to see.
async fn show_progress(client: &Client, bar: &ProgressBar) -> std::convert::Infallible {
    let query = [("type", "events_pruned".to_owned()), ("after", "latest".to_owned())];
    let (mut executions, mut events) = (0, 0);
    if let Ok(mut stream) = client.follow_events(&query, None).await {
        while let Some(message) = stream.next().await {
            let Ok(event) = serde_json::from_str::<Value>(&message.data).map(own_form) else { continue };
            let number = |pointer: &str| event.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
            executions += number("/data/executions");
            events += number("/data/events");
            bar.set_message(format!("{executions} executions, {events} events"));
        }
    }
    std::future::pending().await
}

fn before(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    span(text)
        .map(|span| now.minus(span))
        .with_context(|| format!("--before {text}: a time is needed, like 2026-11-23T05:08:00Z or 30d"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_or_how_long_ago() {
        let now: Timestamp = "2026-11-23T05:08:00Z".parse().unwrap();
        for (text, time) in [
            ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000Z"),
            ("30d", "2026-10-24T05:08:00.000000Z"),
            ("1w", "2026-11-16T05:08:00.000000Z"),
            ("12h", "2026-11-22T17:08:00.000000Z"),
            ("90m", "2026-11-23T03:38:00.000000Z"),
            ("0s", "2026-11-23T05:08:00.000000Z"),
        ] {
            assert_eq!(before(text, now).unwrap().to_string(), time, "{text}");
        }
        for wrong in ["", "d", "30", "-1d", "1.5d", "30 d", "30ä", "yesterday", "99999999999d"] {
            assert!(before(wrong, now).is_err(), "{wrong}");
        }
    }
}
