//! `execution cancel`.

use super::show;
use crate::{client::Client, exit, output::Output};
use clap::Args;
use std::process::ExitCode;

/// Which ones.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Their ids
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

pub(super) async fn run(arguments: &Arguments, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    let mut all_ended = true;
    for id in &arguments.ids {
        let (execution, ended) = client.cancel_execution(id).await?;
        all_ended &= ended;
        if output.is_json() {
            Output::json(&execution)?;
            continue;
        }
        show::line(&execution, output)?;
        if !ended {
            output.note("its worker was told; `action-service execution show` tells how it stands");
        }
    }
    Ok(if all_ended { ExitCode::SUCCESS } else { ExitCode::from(exit::NOT_ENDED) })
}
