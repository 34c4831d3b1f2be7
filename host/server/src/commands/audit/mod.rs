//! `audit`: whether the record is what was recorded. `verify`, `anchor` and `prove` read the
//! database itself and need no service; `check-proof` needs neither.

mod anchor;
mod check_proof;
mod prove;
mod seal;
mod verify;

use crate::{
    cli::Connection,
    compose,
    config::{Settings, parse_public_keys},
    exit,
    output::Output,
};
use action_domain::{audit::PublicKey, repositories::LogReader};
use anyhow::anyhow;
use clap::Subcommand;
use std::process::ExitCode;

/// What to do about the record.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Find everything that is not as it was sealed (reads the database, also while a service runs)
    Verify(verify::Arguments),
    /// Print the last seal, to keep it elsewhere (reads the database)
    Anchor,
    /// Prove that an event is in the record (reads the database)
    Prove(prove::Arguments),
    /// Check a proof (needs no database and no service)
    CheckProof(check_proof::Arguments),
    /// Seal now, and not when the minute is over (asks a running service)
    Seal(seal::Arguments),
}

pub(super) async fn run(command: Command, connection: &Connection, output: Output) -> anyhow::Result<ExitCode> {
    match command {
        Command::Verify(arguments) => verify::run(&arguments, &settings(connection)?, output).await,
        Command::Anchor => anchor::run(&settings(connection)?, output).await,
        Command::Prove(arguments) => prove::run(&arguments, &settings(connection)?).await,
        Command::CheckProof(arguments) => check_proof::run(&arguments, output),
        Command::Seal(arguments) => seal::run(&arguments, &connection.client()?, output).await,
    }
}

fn settings(connection: &Connection) -> anyhow::Result<Settings> {
    Ok(Settings::from_sources(&connection.sources()?)?)
}

async fn log(settings: &Settings) -> anyhow::Result<Box<dyn LogReader>> {
    compose::open_log(&settings.database).await
}

/// Public keys as people give them: in any form, or the file that holds them.
fn public_keys(given: &[String]) -> anyhow::Result<Vec<PublicKey>> {
    let mut keys = Vec::new();
    for text in given {
        let found = parse_public_keys(text).ok().filter(|found| !found.is_empty());
        let found = found.or_else(|| {
            let bytes = std::fs::read(text).ok()?;
            let raw = PublicKey::from_raw(&bytes).map(|key| vec![key]);
            raw.or_else(|| parse_public_keys(std::str::from_utf8(&bytes).ok()?).ok())
        });
        let found = found.filter(|found| !found.is_empty());
        keys.extend(found.ok_or_else(|| exit::usage(anyhow!("--key {text}: no public key, and no file with one")))?);
    }
    Ok(keys)
}

/// A number of things, for people.
fn number(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
