//! `audit prove`: a proof of one event, for somebody who has the public key alone.

use super::log;
use crate::{config::Settings, exit, output::Output};
use action_engine::{EventKey, prove_event};
use anyhow::anyhow;
use clap::Args;
use std::process::ExitCode;

/// Which event.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The event's id (the log is read until it comes), or its position
    #[arg(value_name = "EVENT")]
    event: String,
}

pub(super) async fn run(arguments: &Arguments, settings: &Settings) -> anyhow::Result<ExitCode> {
    let text = &arguments.event;
    let key = text.parse().map(EventKey::Id).ok().or_else(|| text.parse().map(EventKey::Position).ok());
    let key = key.ok_or_else(|| exit::usage(anyhow!("`{text}` is no event's id and no position")))?;
    Output::json(&prove_event(&*log(settings).await?, key).await?)?;
    Ok(ExitCode::SUCCESS)
}
