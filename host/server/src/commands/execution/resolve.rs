//! `execution resolve`.

use super::show;
use crate::{client::Client, output::Output};
use clap::{Args, ValueEnum};
use std::process::ExitCode;

/// Which one, and what became of it.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Its id
    id: String,
    /// What became of it
    #[arg(long, value_name = "WHAT")]
    r#as: As,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum As {
    /// It took effect
    Succeeded,
    /// It did not, and is given up
    Failed,
    /// It did not, and is tried again
    Retry,
}

pub(super) async fn run(arguments: &Arguments, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    let word = match arguments.r#as {
        As::Succeeded => "succeeded",
        As::Failed => "failed",
        As::Retry => "retry",
    };
    let execution = client.resolve_execution(&arguments.id, word).await?;
    if output.is_json() {
        Output::json(&execution)?;
    } else {
        show::line(&execution, output)?;
    }
    Ok(ExitCode::SUCCESS)
}
