//! `action apply`: makes actions what a file says, and shows what that changes.

use super::desired;
use crate::{
    client::{Client, ClientError, Problem, ProblemIssue},
    commands::protocol,
    input,
    output::{Change, Colour, Output, changes, field},
};
use action_domain::{action::ActionSpec, failure::Issue};
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
    /// What it is compared with; `None` if it is new.
    current: Option<Value>,
    /// The protocol, resolved.
    pin: Option<(String, String)>,
    changes: Vec<Change>,
}

impl Plan {
    fn revision(&self) -> Option<u64> {
        self.current.as_ref()?.get("revision")?.as_u64()
    }

    /// Every save makes a revision: what is so already is left alone. A protocol that cannot be
    /// resolved is the service's to explain.
    fn changes_nothing(&self) -> bool {
        self.current.is_some() && self.pin.is_some() && self.changes.is_empty()
    }
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
        let result = if arguments.dry_run {
            check(&plan, client, output).await
        } else if plan.changes_nothing() {
            unchanged(&plan, output)
        } else {
            put(&plan, client, output).await
        };
        results.push(result.with_context(|| name)?);
    }
    if output.is_json() {
        Output::json(&json!({"dry_run": arguments.dry_run, "items": results}))?;
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
    Ok(Plan { name, document, current, pin, changes })
}

fn unchanged(plan: &Plan, output: Output) -> anyhow::Result<Value> {
    show("unchanged", plan, plan.current.as_ref(), output)?;
    Ok(json!({"result": "unchanged", "action": plan.current, "changes": []}))
}

async fn put(plan: &Plan, client: &Client, output: Output) -> anyhow::Result<Value> {
    // What was shown is what is changed, whoever else is at it: the revision has to be the same.
    let action = client.put_action(&plan.name, &plan.document, plan.revision()).await?;
    let word = if plan.current.is_some() { "updated" } else { "created" };
    show(word, plan, Some(&action), output)?;
    Ok(json!({"result": word, "action": action, "changes": plan.changes}))
}

/// Everything that can be told without saving it, all at once.
async fn check(plan: &Plan, client: &Client, output: Output) -> anyhow::Result<Value> {
    let spec: ActionSpec = serde_path_to_error::deserialize(&plan.document).context("the document is not valid")?;
    let issue = |Issue { pointer, code, message }| ProblemIssue { pointer, code, message };
    let mut errors: Vec<ProblemIssue> = spec.check().into_iter().map(issue).collect();
    let (protocol, version) = match &plan.pin {
        Some(pin) => pin.clone(),
        None => protocol::resolve(client, &spec.protocol).await?,
    };
    match client.validate_config(&protocol, &version, &spec.config).await {
        Ok(_) => {}
        Err(ClientError::Refused(problem)) if !problem.errors.is_empty() => errors.extend(problem.errors),
        Err(error) => return Err(error.into()),
    }
    if !errors.is_empty() {
        let detail = "the document is not valid".to_owned();
        return Err(ClientError::Refused(Box::new(Problem::unprocessable("invalid_document", detail, errors))).into());
    }
    let word = match plan.current {
        None => "would create",
        Some(_) if plan.changes.is_empty() => "unchanged",
        Some(_) => "would update",
    };
    show(word, plan, None, output)?;
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
    Output::line(&parts.join("  "))?;
    for change in &plan.changes {
        Output::line(&change.lines(output))?;
    }
    for warning in action.and_then(|action| action.get("warnings")).and_then(Value::as_array).into_iter().flatten() {
        let text = format!("  {}: {}", field(warning, "/pointer"), field(warning, "/message"));
        Output::line(&output.paint(Colour::Yellow, &text))?;
    }
    Ok(())
}
