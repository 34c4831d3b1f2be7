//! `protocol show`.

use crate::{
    client::Client,
    output::{Colour, Output, field, printable},
};
use clap::Args;
use serde_json::Value;
use std::process::ExitCode;

/// Which one.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// `http`, `http@^0.1` or `http@0.1.0`
    protocol: String,
}

pub(super) async fn run(arguments: &Arguments, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    let (name, version) = super::resolve(client, &arguments.protocol).await?;
    let protocol = client.protocol(&name, &version).await?;
    if output.is_json() {
        Output::json(&protocol)?;
        return Ok(ExitCode::SUCCESS);
    }
    Output::line(&format!("{name}@{version}  {}", field(&protocol, "/summary")))?;
    for (label, pointer) in [("digest", "/digest"), ("bytes", "/bytes"), ("uploaded", "/uploaded_at")] {
        Output::line(&format!("{label:10}{}", field(&protocol, pointer)))?;
    }
    let imports = protocol.get("imports").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let imports: Vec<&str> = imports.iter().filter_map(Value::as_str).collect();
    Output::line(&format!("{:10}{}", "imports", printable(&imports.join(", "))))?;
    if let Some(documentation) = protocol.get("documentation").and_then(Value::as_str) {
        Output::line(&format!("\n{}", printable(documentation).trim()))?;
    }
    if let Some(schema) = protocol.get("config_schema") {
        let title = output.paint(Colour::Dim, "config schema");
        Output::line(&format!("\n{title}\n{}", printable(&serde_json::to_string_pretty(schema)?)))?;
    }
    for example in protocol.get("examples").and_then(Value::as_array).into_iter().flatten() {
        let title = output.paint(Colour::Dim, &format!("example: {}", field(example, "/name")));
        let config = example.get("config").unwrap_or(&Value::Null);
        Output::line(&format!("\n{title}\n{}", printable(&serde_json::to_string_pretty(config)?)))?;
    }
    Ok(ExitCode::SUCCESS)
}
