//! `protocol delete`.

use crate::{client::Client, output::Output};
use anyhow::Context as _;
use clap::Args;
use serde_json::json;
use std::process::ExitCode;

/// Which one.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Exactly one: `http@0.1.0`
    protocol: String,
}

pub(super) async fn run(arguments: &Arguments, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    // A range would delete another one tomorrow than today.
    let exact = || format!("`{}`: a name and an exact version are needed, for instance http@0.1.0", arguments.protocol);
    let pin: action_domain::protocol::Pin = arguments.protocol.parse().with_context(exact)?;
    client.delete_protocol(pin.name.as_str(), &pin.version.to_string()).await?;
    if output.is_json() {
        Output::json(&json!({"deleted": pin.to_string()}))?;
    } else {
        Output::line(&format!("deleted  {pin}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
