//! `audit seal`: asks a running service to seal now.

use super::number;
use crate::{
    client::Client,
    output::{Output, field},
};
use clap::Args;
use std::process::ExitCode;

/// How to seal.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Go on with the service's key although the chain does not name it: who verifies has to name
    /// both from then on
    #[arg(long)]
    old_key_is_lost: bool,
}

pub(super) async fn run(arguments: &Arguments, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    let sealed = client.seal_events(arguments.old_key_is_lost).await?;
    if output.is_json() {
        Output::json(&sealed)?;
    } else {
        let [sequence, hash, last] =
            ["/last/sequence", "/last/hash", "/last/last"].map(|pointer| field(&sealed, pointer));
        let made = number(sealed["seals"].as_u64().unwrap_or(0), "seal");
        if sequence.is_empty() {
            Output::line("there is nothing to seal")?;
        } else {
            Output::line(&format!("{made} made; the last one, {sequence}:{hash}, ends at position {last}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
