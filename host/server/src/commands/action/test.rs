//! `action test`: tests an action's connection, step by step.

use crate::{
    client::Client,
    exit,
    output::{Colour, Output, Table, field, printable},
};
use serde_json::Value;
use std::process::ExitCode;

pub(super) async fn run(key: &str, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    let test = client.test_action(key).await?;
    if output.is_json() {
        Output::json(&test)?;
    } else {
        print(&test, output)?;
    }
    let connected = test.get("verdict").and_then(Value::as_str) == Some("connected");
    Ok(if connected { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILED) })
}

fn print(test: &Value, output: Output) -> std::io::Result<()> {
    let verdict = field(test, "/verdict");
    let meaning = match verdict.as_str() {
        "hollow" => "  the protocol says that it works, and contacted nobody".to_owned(),
        _ => String::new(),
    };
    Output::line(&format!("{}{meaning}", output.status(&verdict)))?;
    let stages = test.get("stages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if !stages.is_empty() {
        let mut table = Table::new(output, &["stage", "target", "", "ms", "message"]);
        for stage in stages {
            let ok = if stage.get("ok") == Some(&Value::Bool(true)) { "ok" } else { "failed" };
            let hint = field(stage, "/hint");
            let message = field(stage, "/message");
            let message = if hint.is_empty() { message } else { format!("{message}; {hint}") };
            let cells = [field(stage, "/stage"), field(stage, "/target"), ok.to_owned(), field(stage, "/ms"), message];
            table.row(cells);
        }
        Output::line(&table.render())?;
    }
    if test.get("error").is_some_and(|error| !error.is_null()) {
        let text = format!("{}: {}", field(test, "/error/code"), field(test, "/error/message"));
        Output::line(&output.paint(Colour::Red, &text))?;
    }
    if let Some(report) = test.get("report").filter(|report| report.is_object()) {
        Output::line(&field(report, "/summary"))?;
        if let Some(details) = report.get("details").filter(|details| !details.is_null()) {
            Output::line(&printable(&serde_json::to_string_pretty(details)?))?;
        }
    }
    Ok(())
}
