//! `healthcheck`: whether a running service is well; for containers.

use crate::{client::Client, output::Output};
use serde_json::json;
use std::process::ExitCode;

pub(super) async fn run(client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    client.health().await?;
    if output.is_json() {
        Output::json(&json!({"status": "ok"}))?;
    } else {
        Output::line(&format!("{} is well", client.server()))?;
    }
    Ok(ExitCode::SUCCESS)
}
