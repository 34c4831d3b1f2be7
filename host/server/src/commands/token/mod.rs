//! `token`: who gets in.

mod create;
mod list;
mod revoke;

use crate::{client::Client, output::Output};
use clap::Subcommand;
use std::process::ExitCode;

/// What to do about tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a token; what callers send is shown once
    Create(create::Arguments),
    /// List tokens
    List(list::Arguments),
    /// Take tokens back, at once
    Revoke(revoke::Arguments),
}

pub(super) async fn run(command: Command, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    match command {
        Command::Create(arguments) => create::run(&arguments, client, output).await,
        Command::List(arguments) => list::run(&arguments, client, output).await,
        Command::Revoke(arguments) => revoke::run(&arguments, client, output).await,
    }
}
