//! `execution show`: an execution, what it gave, and its events.

use crate::{
    client::Client,
    output::{Colour, EventLine, Output, field, printable},
};
use clap::Args;
use serde_json::Value;
use std::process::ExitCode;

/// More events than this are left to `events list`.
const EVENTS_MAX: u32 = 500;

/// Which one.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Its id
    id: String,
}

pub(super) async fn run(arguments: &Arguments, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    let execution = client.execution(&arguments.id).await?;
    if output.is_json() {
        Output::json(&execution)?;
        return Ok(ExitCode::SUCCESS);
    }
    let (events, _) = client.events(&[("execution", arguments.id.clone())], EVENTS_MAX).await?;
    print(&execution, output)?;
    Output::line("")?;
    Output::line(&EventLine::table(output, &events, true).render())?;
    Ok(ExitCode::SUCCESS)
}

/// An execution on one line, after something was done about it.
pub(super) fn line(execution: &Value, output: Output) -> std::io::Result<()> {
    let status = field(execution, "/status");
    Output::line(&format!("{}  {}", field(execution, "/id"), output.status(&status)))
}

/// An execution for people.
pub(crate) fn print(execution: &Value, output: Output) -> std::io::Result<()> {
    line(execution, output)?;
    for (label, pointer) in [
        ("action", "/action"),
        ("attempts", "/attempts"),
        ("created", "/created_at"),
        ("started", "/started_at"),
        ("ended", "/ended_at"),
        ("begins", "/run_at"),
        ("next try", "/retry_at"),
        ("order", "/ordering_key"),
        ("expires", "/expires_at"),
    ] {
        let value = field(execution, pointer);
        if !value.is_empty() {
            Output::line(&format!("{label:10}{value}"))?;
        }
    }
    if execution.get("error").is_some_and(|error| !error.is_null()) {
        let blame = field(execution, "/error/blame");
        let text = format!("{}: {}", field(execution, "/error/code"), field(execution, "/error/message"));
        Output::line(&format!("{:10}{} (to act: {blame})", "error", output.paint(Colour::Red, &text)))?;
    }
    if let Some(receipt) = execution.get("receipt").filter(|receipt| receipt.is_object()) {
        Output::line(&format!("{:10}{}", "receipt", self::receipt(receipt)))?;
    }
    if let Some(given) = execution.get("output").filter(|given| !given.is_null()) {
        let text = given.as_str().map_or_else(|| serde_json::to_string_pretty(given), |text| Ok(text.to_owned()))?;
        Output::line(&format!("{}\n{}", output.paint(Colour::Dim, "output"), printable(&text)))?;
    }
    Ok(())
}

/// What it cost, on one line.
fn receipt(receipt: &Value) -> String {
    let number = |name: &str| receipt.get(name).and_then(Value::as_u64).unwrap_or(0);
    format!(
        "{} fuel, {} KiB, {:.1} ms ({:.1} ms of its own), {} requests, {} bytes out, {} in",
        number("fuel"),
        number("memory_bytes") >> 10,
        number("wall_us") as f64 / 1000.0,
        number("guest_us") as f64 / 1000.0,
        number("requests"),
        number("bytes_out"),
        number("bytes_in"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_a_line() {
        let receipt_of = serde_json::json!({"fuel": 812_344, "memory_bytes": 1_179_648, "wall_us": 5123,
            "guest_us": 180, "requests": 1, "bytes_out": 412, "bytes_in": 1290});
        assert_eq!(
            receipt(&receipt_of),
            "812344 fuel, 1152 KiB, 5.1 ms (0.2 ms of its own), 1 requests, 412 bytes out, 1290 in"
        );
    }
}
