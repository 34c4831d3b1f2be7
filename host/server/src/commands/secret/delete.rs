//! `secret delete`.

use crate::{client::Client, output::Output};
use clap::Args;
use serde_json::json;
use std::process::ExitCode;

/// Which one.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Its name
    name: String,
}

pub(super) async fn run(arguments: &Arguments, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    client.delete_secret(&arguments.name).await?;
    if output.is_json() {
        Output::json(&json!({"deleted": arguments.name}))?;
    } else {
        Output::line(&format!("deleted  {}", arguments.name))?;
    }
    Ok(ExitCode::SUCCESS)
}
