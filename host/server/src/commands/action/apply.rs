//! `action apply`: makes actions what a file says, and shows what that changes.

use super::desired;
use crate::{
    client::Client,
    commands::protocol,
    input,
    output::{Change, Colour, Output, changes, field},
};
use action_domain::action::ActionSpec;
use anyhow::{Context as _, ensure};
use clap::Args;
use serde_json::{Value, json};
use std::process::ExitCode;

/// What to apply.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A file with one or several actions in YAML or JSON; - for standard input
    #[arg(short, long = "file", required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Show what would change, check it, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// What happens to one action.
struct Plan {
    name: String,
    /// As it is written.
    document: Value,
    /// The revision that it is compared with; `None` if it is new.
    revision: Option<u64>,
    /// The protocol, resolved.
    pin: Option<(String, String)>,
    changes: Vec<Change>,
}

pub(super) async fn run(arguments: &Arguments, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    let mut documents = Vec::new();
    for file in &arguments.files {
        documents.extend(input::documents(file)?);
    }
    ensure!(!documents.is_empty(), "there is no action in it");
    // Everything is looked at before anything is changed.
    let mut plans = Vec::new();
    for document in documents {
        plans.push(plan(document, client).await?);
    }
    let mut results = Vec::new();
    for plan in plans {
        let name = plan.name.clone();
        let result = if arguments.dry_run { check(plan, client, output).await } else { put(plan, client, output).await };
        results.push(result.with_context(|| name)?);
    }
    if output.is_json() {
        output.json(&json!({"dry_run": arguments.dry_run, "items": results}))?;
    } else if arguments.dry_run {
        output.note("nothing was changed (--dry-run)");
    }
    Ok(ExitCode::SUCCESS)
}

async fn plan(document: Value, client: &Client) -> anyhow::Result<Plan> {
    let name = desired::name(&document)?.to_owned();
    let reference = document.get("protocol").and_then(Value::as_str);
    // Whether `http` is still `http@0.1.0` is a part of the answer; where it cannot be told,
    // the service says why.
    let pin = match reference {
        Some(reference) => protocol::resolve(client, reference).await.ok(),
        None => None,
    };
    let current = client.find_action(&name).await?;
    let mut wanted = desired::of_file(&document);
    if let (Some((protocol, version)), Some(members)) = (&pin, wanted.as_object_mut()) {
        members.insert("protocol".into(), format!("{protocol}@{version}").into());
    }
    let changes = match &current {
        Some(current) => changes(&desired::of_service(current), &wanted),
        None => Vec::new(),
    };
    let revision = current.as_ref().and_then(|current| current.get("revision")).and_then(Value::as_u64);
    Ok(Plan { name, document, revision, pin, changes })
}

async fn put(plan: Plan, client: &Client, output: Output) -> anyhow::Result<Value> {
    // If-Match: what was shown is what is changed, whoever else is at it.
    let action = client.put_action(&plan.name, &plan.document, plan.revision).await?;
    let revision = action.get("revision").and_then(Value::as_u64);
    let word = match plan.revision {
        None => "created",
        before if before == revision => "unchanged",
        Some(_) => "updated",
    };
    show(word, &plan, Some(&action), output)?;
    Ok(json!({"result": word, "action": action, "changes": plan.changes}))
}

async fn check(plan: Plan, client: &Client, output: Output) -> anyhow::Result<Value> {
    let spec: ActionSpec = serde_json::from_value(plan.document.clone()).context("the document is not valid")?;
    let issues = spec.check();
    if !issues.is_empty() {
        let lines = issues.iter().map(|issue| format!("  {}: {} ({})", issue.pointer, issue.message, issue.code));
        anyhow::bail!("the document is not valid\n{}", lines.collect::<Vec<_>>().join("\n"));
    }
    let (protocol, version) = match &plan.pin {
        Some(pin) => pin.clone(),
        None => protocol::resolve(client, &spec.protocol).await?,
    };
    client.validate_config(&protocol, &version, &spec.config).await?;
    let word = match plan.revision {
        None => "would create",
        Some(_) if plan.changes.is_empty() => "unchanged",
        Some(_) => "would update",
    };
    show(word, &plan, None, output)?;
    Ok(json!({"result": word.replace(' ', "_"), "name": plan.name, "changes": plan.changes}))
}

fn show(word: &str, plan: &Plan, action: Option<&Value>, output: Output) -> std::io::Result<()> {
    if output.is_json() {
        return Ok(());
    }
    let colour = if word == "unchanged" { Colour::Dim } else { Colour::Green };
    let mut parts = vec![output.paint(colour, word), plan.name.clone()];
    match action {
        Some(action) => {
            parts.push(format!("revision {}", field(action, "/revision")));
            parts.extend([field(action, "/protocol"), field(action, "/id")]);
        }
        None => parts.extend(plan.pin.as_ref().map(|(protocol, version)| format!("{protocol}@{version}"))),
    }
    output.line(&parts.join("  "))?;
    for change in &plan.changes {
        output.line(&change.lines(output))?;
    }
    for warning in action.and_then(|action| action.get("warnings")).and_then(Value::as_array).into_iter().flatten() {
        let text = format!("  {}: {}", field(warning, "/pointer"), field(warning, "/message"));
        output.line(&output.paint(Colour::Yellow, &text))?;
    }
    Ok(())
}

