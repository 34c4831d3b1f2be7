//! `token revoke`.

use crate::{client::Client, output::Output};
use clap::Args;
use serde_json::json;
use std::process::ExitCode;

/// Which ones.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Their ids (tok_…)
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

pub(super) async fn run(arguments: &Arguments, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    for id in &arguments.ids {
        client.revoke_token(id).await?;
        if output.is_json() {
            Output::json(&json!({"revoked": id}))?;
        } else {
            Output::line(&format!("revoked  {id}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
