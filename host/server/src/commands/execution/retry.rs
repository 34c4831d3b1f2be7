//! `execution retry`: by id, or all dead letters that match.

use super::show;
use crate::{
    client::Client,
    output::{Output, field},
};
use clap::Args;
use serde_json::{Map, Value, json};
use std::process::ExitCode;

/// Which ones: some by their ids, or failed ones by conditions, all of which hold.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true))]
pub(crate) struct Arguments {
    /// Their ids
    #[arg(value_name = "ID", group = "which", conflicts_with_all = ["action", "since", "until", "error_code", "all"])]
    ids: Vec<String>,
    /// Failed ones of this action (name or id)
    #[arg(long, group = "which")]
    action: Option<String>,
    /// Failed ones that were created at or after this (RFC 3339)
    #[arg(long, value_name = "TIME", group = "which")]
    since: Option<String>,
    /// Failed ones that were created before this (RFC 3339)
    #[arg(long, value_name = "TIME", group = "which")]
    until: Option<String>,
    /// Failed ones with this error code
    #[arg(long, value_name = "CODE", group = "which")]
    error_code: Option<String>,
    /// All failed ones
    #[arg(long, group = "which")]
    all: bool,
    /// At most this many, 10000 at most [default: 1000]
    #[arg(long, conflicts_with = "ids")]
    limit: Option<u32>,
}

impl Arguments {
    fn filter(&self) -> Value {
        let Self { action, since, until, error_code, limit, .. } = self;
        let conditions = [("action", action), ("since", since), ("until", until), ("error_code", error_code)];
        let mut filter: Map<String, Value> = conditions
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?))))
            .collect();
        if let Some(limit) = limit {
            filter.insert("limit".into(), json!(limit));
        }
        filter.into()
    }
}

pub(super) async fn run(arguments: &Arguments, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    for id in &arguments.ids {
        let execution = client.retry_execution(id).await?;
        if output.is_json() {
            Output::json(&execution)?;
        } else {
            show::line(&execution, output)?;
        }
    }
    if !arguments.ids.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let retried = client.retry_executions(&arguments.filter()).await?;
    if output.is_json() {
        Output::json(&retried)?;
        return Ok(ExitCode::SUCCESS);
    }
    Output::line(&format!("{} are tried again", field(&retried, "/retried")))?;
    if retried.get("more") == Some(&Value::Bool(true)) {
        output.note("there are more: the same command again, or --limit, gets at them");
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use crate::cli::Cli;
    use clap::Parser as _;

    #[test]
    fn by_id_or_by_condition_and_never_by_accident_all() {
        let parses = |words: &str| Cli::try_parse_from(format!("a execution retry {words}").split_whitespace()).is_ok();
        for fine in ["exe_1", "exe_1 exe_2", "--action a --limit 5", "--error-code trapped", "--all"] {
            assert!(parses(fine), "{fine}");
        }
        for wrong in ["", "--limit 5", "exe_1 --all", "exe_1 --action a", "exe_1 --limit 5"] {
            assert!(!parses(wrong), "{wrong}");
        }
    }
}
