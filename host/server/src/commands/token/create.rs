//! `token create`.

use crate::{
    client::Client,
    commands::span,
    exit,
    output::{Output, field},
    system::SystemClock,
};
use action_domain::{services::Clock as _, time::Timestamp};
use anyhow::Context as _;
use clap::Args;
use serde_json::json;
use std::process::ExitCode;

/// What it is for.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// For people: who uses it, or what for
    name: String,
    /// What it lets its bearer do; more than one with commas or by repeating it
    #[arg(long = "scope", required = true, value_delimiter = ',', value_name = "SCOPE",
        value_parser = ["admin", "configure", "invoke", "read"])]
    scopes: Vec<String>,
    /// The only action that it reaches (name or id); may be repeated [default: all]
    #[arg(long = "action", value_name = "ACTION")]
    actions: Vec<String>,
    /// When it ends: in so long (30d, 12h, 90m), or an RFC 3339 time [default: never]
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
}

pub(super) async fn run(arguments: &Arguments, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    let mut wish = json!({"name": arguments.name, "scopes": arguments.scopes});
    if !arguments.actions.is_empty() {
        wish["actions"] = json!(arguments.actions);
    }
    if let Some(text) = &arguments.expires {
        wish["expires_at"] = json!(end(text, SystemClock.now()).map_err(exit::usage)?);
    }
    let created = client.create_token(&wish).await?;
    if output.is_json() {
        Output::json(&created)?;
    } else {
        // Alone on standard output, for `TOKEN=$(action-service token create …)`.
        Output::line(&field(&created, "/token"))?;
        let [id, expires] = ["/id", "/expires_at"].map(|pointer| field(&created, pointer));
        let until = if expires.is_empty() { "until it is revoked".to_owned() } else { format!("until {expires}") };
        output.note(&format!("{id} is good {until}; what is shown above is shown this once"));
    }
    Ok(ExitCode::SUCCESS)
}

fn end(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    text.parse()
        .ok()
        .or_else(|| span(text).map(|span| now.plus(span)))
        .with_context(|| format!("--expires {text}: a time is needed, like 30d or 2026-11-23T05:08:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_or_in_how_long() {
        let now: Timestamp = "2026-11-23T05:08:00Z".parse().unwrap();
        for (text, time) in [
            ("2027-01-01T00:00:00Z", "2027-01-01T00:00:00.000000Z"),
            ("30d", "2026-12-23T05:08:00.000000Z"),
            ("90m", "2026-11-23T06:38:00.000000Z"),
        ] {
            assert_eq!(end(text, now).unwrap().to_string(), time, "{text}");
        }
        for wrong in ["", "d", "30", "-1d", "tomorrow"] {
            assert!(end(wrong, now).is_err(), "{wrong}");
        }
    }
}
