//! `action show`.

use crate::{
    client::Client,
    output::{Output, printable},
};
use std::process::ExitCode;

pub(super) async fn run(key: &str, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    let action = client.action(key).await?;
    if output.is_json() {
        Output::json(&action)?;
    } else {
        // It is a document: this is the form in which people write and change it.
        Output::line(&printable(&serde_json::to_string_pretty(&action)?))?;
    }
    Ok(ExitCode::SUCCESS)
}
