//! `secret`: values that configs name. They go in and do not come out.

mod delete;
mod list;
mod rewrap;
mod set;

use crate::{client::Client, output::Output};
use clap::Subcommand;
use std::process::ExitCode;

/// What to do about secrets.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Give a secret its first or its next value
    Set(set::Arguments),
    /// List the names of all secrets
    List(list::Arguments),
    /// Delete a secret that no action uses
    Delete(delete::Arguments),
    /// Move all secrets to the service's first key, so that the others can be taken away
    Rewrap,
}

pub(super) async fn run(command: Command, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    match command {
        Command::Set(arguments) => set::run(&arguments, client, output).await,
        Command::List(arguments) => list::run(&arguments, client, output).await,
        Command::Delete(arguments) => delete::run(&arguments, client, output).await,
        Command::Rewrap => rewrap::run(client, output).await,
    }
}
