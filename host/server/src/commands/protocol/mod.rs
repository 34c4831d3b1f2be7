//! `protocol`: components that were uploaded, and that come with the service.

mod delete;
mod list;
mod push;
mod show;

use crate::{client::Client, output::Output};
use anyhow::Context as _;
use clap::Subcommand;
use std::process::ExitCode;

/// What to do about protocols.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Upload components
    Push(push::Arguments),
    /// List all protocols
    List(list::Arguments),
    /// Show a protocol: its documentation, schema and examples
    Show(show::Arguments),
    /// Delete a protocol that no action uses
    Delete(delete::Arguments),
}

pub(super) async fn run(command: Command, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    match command {
        Command::Push(arguments) => push::run(arguments, client, output).await,
        Command::List(arguments) => list::run(&arguments, client, output).await,
        Command::Show(arguments) => show::run(&arguments, client, output).await,
        Command::Delete(arguments) => delete::run(&arguments, client, output).await,
    }
}

/// The name and version that `text` names, by the versions that there are.
pub(super) async fn resolve(client: &Client, text: &str) -> anyhow::Result<(String, String)> {
    let reference: action_domain::protocol::Reference = text.parse().with_context(|| format!("`{text}`"))?;
    if let action_domain::protocol::Requirement::Exactly(version) = &reference.requirement {
        return Ok((reference.name.to_string(), version.to_string()));
    }
    let page = client.protocol_versions(reference.name.as_str()).await?;
    let items = page.get("items").and_then(serde_json::Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let versions: Vec<semver::Version> =
        items.iter().filter_map(|item| item.get("version")?.as_str()?.parse().ok()).collect();
    let version =
        reference.choose(&versions).with_context(|| format!("no version of {} fits `{text}`", reference.name))?;
    Ok((reference.name.to_string(), version.to_string()))
}
