//! `action egress`: what an action may reach, and grants made of what it was denied.

use crate::{
    client::Client,
    output::{Colour, Output, Table, field, printable},
};
use clap::Args;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Whose egress, and what about it.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The action's name or id
    action: String,
    /// Ask whether this would be let through, and by which rule
    #[arg(long, value_name = "URL", conflicts_with = "propose")]
    url: Option<String>,
    /// Propose the smallest grants that would have let through what was denied
    #[arg(long)]
    propose: bool,
    /// How many of the last executions to look at [default: 20]
    #[arg(long, value_name = "COUNT", requires = "propose", value_parser = clap::value_parser!(u32).range(1..=100))]
    executions: Option<u32>,
}

pub(super) async fn run(arguments: Arguments, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    let Arguments { action, url, propose, executions } = arguments;
    let found = if propose {
        client.egress_proposal(&action, executions).await?
    } else {
        client.action_egress(&action, url.as_deref()).await?
    };
    if output.is_json() {
        Output::json(&found)?;
    } else if propose {
        print_proposal(&found, output)?;
    } else {
        print_rules(&found, output)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print_rules(egress: &Value, output: Output) -> std::io::Result<()> {
    let mut table = Table::new(output, &["host", "ports", "by", ""]);
    for rule in items(egress, "rules") {
        let ports = items(rule, "ports").map(|port| field(port, "")).collect::<Vec<_>>().join(",");
        let ports = if ports.is_empty() { "all".to_owned() } else { ports };
        table.row([field(rule, "/host"), ports, field(rule, "/from"), forbidden(rule)]);
    }
    match items(egress, "rules").next() {
        Some(_) => Output::line(&table.render())?,
        None => Output::line("nothing is granted")?,
    }
    let requested = egress.pointer("/private_networks/requested") == Some(&Value::Bool(true));
    let reachable = egress.pointer("/private_networks/reachable") == Some(&Value::Bool(true));
    Output::line(match (requested, reachable) {
        (_, true) => "private networks: reachable",
        (true, false) => "private networks: asked for, not allowed by the operator",
        (false, false) => "private networks: not asked for",
    })?;
    for (name, word) in [("allow", "allows only"), ("deny", "denies")] {
        let entries = items(&egress["operator"], name).map(|entry| field(entry, "")).collect::<Vec<_>>();
        if !entries.is_empty() {
            Output::line(&format!("the operator {word} {}", entries.join(", ")))?;
        }
    }
    if let Some(answer) = egress.get("answer") {
        let place = format!("{}:{}", field(answer, "/host"), field(answer, "/port"));
        let line = if answer.get("allowed") == Some(&Value::Bool(true)) {
            output.paint(Colour::Green, &format!("{place} is let through by {}", field(answer, "/by")))
        } else {
            output.paint(Colour::Red, &format!("{place} is denied: {}", forbidden(answer)))
        };
        Output::line(&line)?;
    }
    Ok(())
}

fn print_proposal(proposal: &Value, output: Output) -> anyhow::Result<()> {
    let (executions, denials) = (field(proposal, "/executions"), field(proposal, "/denials"));
    output.note(&format!("{denials} denials in the last {executions} executions"));
    if items(proposal, "wanted").next().is_some() {
        let mut table = Table::new(output, &["host", "port", "denied", "outlook", ""]);
        for wanted in items(proposal, "wanted") {
            let get = |pointer: &str| field(wanted, pointer);
            table.row([get("/host"), get("/port"), get("/denied"), get("/outlook"), forbidden(wanted)]);
        }
        Output::line(&table.render())?;
    }
    if proposal.get("changes") == Some(&Value::Bool(true)) {
        // As it is written into the action's file.
        let grants = json!({"grants": proposal["grants"]});
        Output::line(&printable(&serde_json::to_string_pretty(&grants)?))?;
    } else {
        output.note("there is nothing to propose");
    }
    Ok(())
}

fn items<'a>(document: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    document.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn forbidden(document: &Value) -> String {
    match document.get("forbidden") {
        Some(forbidden) => format!("{}; {}", field(forbidden, "/rule"), field(forbidden, "/hint")),
        None => String::new(),
    }
}
