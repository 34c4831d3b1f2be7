//! `action delete`.

use crate::{client::Client, output::Output};
use serde_json::json;
use std::process::ExitCode;

pub(super) async fn run(key: &str, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    client.delete_action(key).await?;
    if output.is_json() {
        Output::json(&json!({"deleted": key}))?;
    } else {
        Output::line(&format!("deleted  {key}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
