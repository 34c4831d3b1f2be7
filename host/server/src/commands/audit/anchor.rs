//! `audit anchor`: the last seal. Kept where whoever can change the database cannot, it shows later
//! that nothing up to it was cut off or sealed anew.

use super::log;
use crate::{config::Settings, output::Output};
use anyhow::Context as _;
use serde_json::json;
use std::process::ExitCode;

pub(super) async fn run(settings: &Settings, output: Output) -> anyhow::Result<ExitCode> {
    let last = log(settings).await?.last_seal().await?.context("nothing is sealed yet")?;
    let anchor = last.anchor();
    if output.is_json() {
        let said = last.read();
        Output::json(&json!({
            "anchor": anchor.to_string(), "sequence": anchor.sequence, "hash": anchor.hash,
            "last": said.as_ref().map(|document| document.last), "time": said.map(|document| document.time),
        }))?;
    } else {
        Output::line(&anchor.to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}
