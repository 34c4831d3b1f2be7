//! `events`: what happened, and what happens.

mod list;
mod tail;

use crate::{client::Client, output::Output};
use clap::{Args, Subcommand};
use std::process::ExitCode;

/// What to do about events.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Follow events as they happen
    Tail(tail::Arguments),
    /// List events, the oldest first
    List(list::Arguments),
}

/// Which events. All conditions hold.
#[derive(Debug, Args)]
pub(crate) struct Filter {
    /// Of this type; several for any of them
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Of this action (name or id)
    #[arg(long)]
    action: Option<String>,
    /// Of this execution
    #[arg(long)]
    execution: Option<String>,
    /// With this correlation id
    #[arg(long)]
    correlation_id: Option<String>,
}

impl Filter {
    fn query(&self) -> Vec<(&'static str, String)> {
        let types = self.types.iter().map(|word| ("type", word.clone()));
        let others =
            [("action", &self.action), ("execution", &self.execution), ("correlation_id", &self.correlation_id)];
        types.chain(others.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)))).collect()
    }
}

pub(super) async fn run(command: Command, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    match command {
        Command::Tail(arguments) => tail::run(&arguments, client, output).await,
        Command::List(arguments) => list::run(&arguments, client, output).await,
    }
}
