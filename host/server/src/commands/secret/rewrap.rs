//! `secret rewrap`.

use crate::{
    client::Client,
    exit,
    output::{Output, field},
};
use serde_json::Value;
use std::process::ExitCode;

pub(super) async fn run(client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    let done = client.rewrap_secrets().await?;
    let unreadable = done["unreadable"].as_array().map(Vec::as_slice).unwrap_or_default();
    if output.is_json() {
        Output::json(&done)?;
    } else {
        let [secrets, key] = ["/secrets", "/key"].map(|pointer| field(&done, pointer));
        Output::line(&format!("moved {secrets} secrets to the key {key}"))?;
        let names: Vec<&str> = unreadable.iter().filter_map(Value::as_str).collect();
        if names.is_empty() {
            Output::line("all secrets are under it: the other keys can be taken away")?;
        } else {
            Output::line(&format!("no key of the service opens: {}", names.join(", ")))?;
        }
    }
    // Whoever takes a key away because of this has to know.
    Ok(if unreadable.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILED) })
}
