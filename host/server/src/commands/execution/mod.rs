//! `execution`: what became of triggers.

mod cancel;
mod list;
mod resolve;
mod retry;
mod show;

use crate::{client::Client, output::Output};
use clap::Subcommand;
use std::process::ExitCode;

pub(super) use show::print;

/// What to do about executions.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List executions, the newest first
    List(list::Arguments),
    /// Show an execution with its events
    Show(show::Arguments),
    /// Stop an execution, or dismiss one that failed
    Cancel(cancel::Arguments),
    /// Try executions again that failed, expired or were cancelled
    Retry(retry::Arguments),
    /// Say what became of an execution in doubt
    Resolve(resolve::Arguments),
}

pub(super) async fn run(command: Command, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    match command {
        Command::List(arguments) => list::run(arguments, client, output).await,
        Command::Show(arguments) => show::run(&arguments, client, output).await,
        Command::Cancel(arguments) => cancel::run(&arguments, client, output).await,
        Command::Retry(arguments) => retry::run(&arguments, client, output).await,
        Command::Resolve(arguments) => resolve::run(&arguments, client, output).await,
    }
}
