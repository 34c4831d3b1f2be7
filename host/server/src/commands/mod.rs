//! One command a file. Each reads what it needs, asks the service, and prints the answer.

pub(crate) mod action;
pub(crate) mod audit;
pub(crate) mod check;
pub(crate) mod events;
pub(crate) mod execution;
mod healthcheck;
mod migrate;
pub(crate) mod new;
pub(crate) mod protocol;
pub(crate) mod prune;
pub(crate) mod run;
pub(crate) mod secret;
mod serve;
pub(crate) mod token;

use crate::{
    cli::{Cli, Command},
    output::Output,
    role::Role,
};
use std::{process::ExitCode, time::Duration};

/// Items of a list where nobody says how many.
const LIST_DEFAULT: u32 = 100;

/// A length of time as people write it: `30d`, `12h`, `90m`.
fn span(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "w" => 7 * 24 * 3600,
        "d" => 24 * 3600,
        "h" => 3600,
        "m" => 60,
        "s" => 1,
        _ => return None,
    };
    let number: u32 = number.parse().ok()?;
    Some(Duration::from_secs(u64::from(number) * seconds))
}

/// Does what the command line says.
///
/// # Errors
/// Where it could not be done; [`crate::exit::report`] tells people and programs.
pub(crate) async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let output = Output::new(cli.json);
    match cli.command {
        Command::Serve(settings) => serve::run(&settings, Role::Serve, output).await,
        Command::Api(settings) => serve::run(&settings, Role::Api, output).await,
        Command::Worker(settings) => serve::run(&settings, Role::Worker, output).await,
        Command::Migrate(settings) => migrate::run(&settings, output).await,
        Command::Healthcheck(connection) => healthcheck::run(&connection.client()?, output).await,
        Command::New(arguments) => new::run(&arguments, output),
        Command::Check(arguments) => check::run(arguments, output).await,
        Command::Run(arguments) => run::run(arguments, output).await,
        Command::Protocol(group) => protocol::run(group.command, &group.connection.client()?, output).await,
        Command::Action(group) => action::run(group.command, &group.connection.client()?, output).await,
        Command::Execution(group) => execution::run(group.command, &group.connection.client()?, output).await,
        Command::Events(group) => events::run(group.command, &group.connection.client()?, output).await,
        Command::Secret(group) => secret::run(group.command, &group.connection.client()?, output).await,
        Command::Token(group) => token::run(group.command, &group.connection.client()?, output).await,
        Command::Audit(group) => audit::run(group.command, &group.connection, output).await,
        Command::Prune(arguments) => prune::run(&arguments, &arguments.connection.client()?, output).await,
        // `main` does this one before anything else is there.
        Command::CompileComponent => Ok(ExitCode::FAILURE),
    }
}
