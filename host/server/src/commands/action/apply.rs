//! `action apply`: makes actions what a file says, and shows what that changes.

use super::plan::Plan;
use crate::{
    client::{Client, ClientError, Problem},
    exit, input,
    output::{Colour, Output, field, power_lines, upgrade_lines},
};
use action_domain::failure::Issue;
use anyhow::anyhow;
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

pub(super) async fn run(arguments: &Arguments, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    let mut documents = Vec::new();
    for file in &arguments.files {
        documents.extend(input::documents(file)?);
    }
    if documents.is_empty() {
        return Err(exit::usage(anyhow!("there is no action in it")));
    }
    let plans = look(documents, client, output).await?;
    let mut results = Vec::new();
    let mut failed = None;
    for plan in &plans {
        let done = match &failed {
            Some(_) => Ok(json!({"result": "not_tried", "name": plan.name})),
            None if arguments.dry_run => would(plan, output),
            None if plan.changes_nothing() => unchanged(plan, output),
            None => put(plan, client, output).await,
        };
        results.push(done.unwrap_or_else(|error| {
            let result = json!({"result": "failed", "name": plan.name, "error": exit::document(&error)["error"]});
            failed = Some(error.context(how_far(&plans, &plan.name)));
            result
        }));
    }
    if output.is_json() {
        Output::json(&json!({"dry_run": arguments.dry_run, "items": results}))?;
    } else if arguments.dry_run {
        output.note("nothing was changed (--dry-run)");
    }
    failed.map_or(Ok(ExitCode::SUCCESS), Err)
}

/// Looks at all documents before anything is changed.
async fn look(documents: Vec<Value>, client: &Client, output: Output) -> anyhow::Result<Vec<Plan>> {
    let all = documents.len();
    let (mut plans, mut refused): (Vec<Plan>, Vec<(String, ClientError)>) = Default::default();
    for (index, document) in documents.into_iter().enumerate() {
        let name = document.get("name").and_then(Value::as_str);
        let label = name.map_or_else(|| format!("document {}", index + 1), str::to_owned);
        match Plan::of(document, client).await {
            Ok(plan) if plans.iter().any(|other| other.name == plan.name) => {
                let issue = Issue::new("/name", "duplicate_name", "another document has the same name");
                let detail = "one action is described twice".to_owned();
                refused.push((label, Problem::invalid("invalid_document", detail, vec![issue])));
            }
            Ok(plan) => plans.push(plan),
            // The document itself is wrong, or too large as it is sent.
            Err(ClientError::Refused(problem)) if matches!(problem.status, 413 | 422) => {
                refused.push((label, ClientError::Refused(problem)));
            }
            Err(error) => return Err(anyhow::Error::from(error).context(label)),
        }
    }
    if all == 1
        && let Some((label, error)) = refused.pop()
    {
        return Err(anyhow::Error::from(error).context(label));
    }
    if refused.is_empty() {
        return Ok(plans);
    }
    if output.is_json() {
        let item = |(name, error): &(String, ClientError)| json!({"result": "failed", "name": name, "error": error.document()});
        let others = plans.iter().map(|plan| json!({"result": "not_tried", "name": plan.name}));
        let items: Vec<Value> = refused.iter().map(item).chain(others).collect();
        Output::json(&json!({"items": items}))?;
    }
    let count = refused.len();
    for (label, error) in &refused {
        output.note(&format!("{label}: {error}"));
    }
    Err(anyhow!("nothing was applied: {count} of {all} actions are not valid"))
}

/// Which actions were applied before one that could not be, and which come behind it.
fn how_far(plans: &[Plan], failed: &str) -> String {
    let names: Vec<&str> = plans.iter().map(|plan| plan.name.as_str()).collect();
    let at = names.iter().position(|name| *name == failed).unwrap_or(names.len());
    let said = |words: &str, names: &[&str]| {
        if names.is_empty() { String::new() } else { format!("; {words}: {}", names.join(", ")) }
    };
    let before = said("applied before it", &names[..at]);
    let behind = said("not tried", names.get(at + 1..).unwrap_or_default());
    format!("{failed} failed{before}{behind}")
}

fn unchanged(plan: &Plan, output: Output) -> anyhow::Result<Value> {
    show("unchanged", plan, plan.current.as_ref(), output)?;
    Ok(json!({"result": "unchanged", "name": plan.name, "action": plan.current, "changes": []}))
}

async fn put(plan: &Plan, client: &Client, output: Output) -> anyhow::Result<Value> {
    // What was shown is what is changed, whoever else is at it: the revision has to be the same.
    let action = client.put_action(&plan.name, &plan.document, plan.revision(), false).await?;
    let word = if plan.current.is_some() { "updated" } else { "created" };
    show(word, plan, Some(&action), output)?;
    Ok(json!({"result": word, "name": plan.name, "action": action, "changes": plan.changes}))
}

fn would(plan: &Plan, output: Output) -> anyhow::Result<Value> {
    let word = match plan.current {
        None => "would create",
        Some(_) if plan.changes.is_empty() => "unchanged",
        Some(_) => "would update",
    };
    show(word, plan, None, output)?;
    let mut result = json!({"result": word.replace(' ', "_"), "name": plan.name, "changes": plan.changes});
    if let Some(upgrade) = &plan.upgrade {
        result["upgrade"] = upgrade.clone();
    }
    Ok(result)
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
        None => parts.push(format!("{}@{}", plan.pin.0, plan.pin.1)),
    }
    Output::line(&parts.join("  "))?;
    for change in &plan.changes {
        Output::line(&change.lines(output))?;
    }
    // Before: how the versions differ. After: what that changed.
    let lines = match (action, &plan.upgrade) {
        (None, Some(upgrade)) => upgrade_lines(upgrade, output),
        _ => action.and_then(|action| action.get("changes")).map(|it| power_lines(it, output)).unwrap_or_default(),
    };
    for line in lines {
        Output::line(&line)?;
    }
    for warning in action.and_then(|action| action.get("warnings")).and_then(Value::as_array).into_iter().flatten() {
        let text = format!("  {}: {}", field(warning, "/pointer"), field(warning, "/message"));
        Output::line(&output.paint(Colour::Yellow, &text))?;
    }
    Ok(())
}
