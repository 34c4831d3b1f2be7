//! `action`: what the service does, as data.

mod apply;
mod delete;
mod desired;
mod egress;
mod execute;
mod list;
mod plan;
mod show;
mod test;

use crate::{client::Client, output::Output};
use clap::{Args, Subcommand};
use std::process::ExitCode;

/// What to do about actions.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make actions, or change them to what a file says
    Apply(apply::Arguments),
    /// List actions
    List(list::Arguments),
    /// Show an action
    Show(Key),
    /// Run an action
    Execute(execute::Arguments),
    /// Show what an action may reach, or propose grants from what it was denied
    Egress(egress::Arguments),
    /// Test an action's connection
    Test(Key),
    /// Delete an action; its executions and events stay
    Delete(Key),
}

/// Which action.
#[derive(Debug, Args)]
pub(crate) struct Key {
    /// Its name or id
    action: String,
}

pub(super) async fn run(command: Command, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    match command {
        Command::Apply(arguments) => apply::run(&arguments, client, output).await,
        Command::List(arguments) => list::run(arguments, client, output).await,
        Command::Show(key) => show::run(&key.action, client, output).await,
        Command::Execute(arguments) => execute::run(arguments, client, output).await,
        Command::Egress(arguments) => egress::run(arguments, client, output).await,
        Command::Test(key) => test::run(&key.action, client, output).await,
        Command::Delete(key) => delete::run(&key.action, client, output).await,
    }
}
