//! `execution`: what became of triggers.

mod list;
mod show;

use crate::{client::Client, output::Output};
use clap::Subcommand;
use std::process::ExitCode;

pub(super) use show::print;

/// What to do about executions.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show an execution with its events
    Show(show::Arguments),
    /// List executions, the newest first
    List(list::Arguments),
}

pub(super) async fn run(command: Command, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    match command {
        Command::Show(arguments) => show::run(&arguments, client, output).await,
        Command::List(arguments) => list::run(arguments, client, output).await,
    }
}
