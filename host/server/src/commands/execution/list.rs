//! `execution list`.

use crate::{
    client::Client,
    commands::LIST_DEFAULT,
    output::{Output, Table, field},
};
use clap::Args;
use std::process::ExitCode;

/// Which ones.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Of this action (name or id)
    #[arg(long)]
    action: Option<String>,
    /// With this status
    #[arg(long)]
    status: Option<String>,
    /// Created at or after this (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Created before this (RFC 3339)
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// At most this many
    #[arg(long, default_value_t = LIST_DEFAULT)]
    limit: u32,
}

pub(super) async fn run(arguments: Arguments, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    let conditions = [
        ("action", arguments.action),
        ("status", arguments.status),
        ("since", arguments.since),
        ("until", arguments.until),
    ];
    let query: Vec<(&str, String)> = conditions.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let (executions, next) = client.executions(&query, arguments.limit).await?;
    output.list(&executions, next.as_deref(), |executions| {
        let mut table = Table::new(output, &["id", "action", "status", "attempts", "created", "error"]);
        for execution in executions {
            let cells = ["/id", "/action", "/status", "/attempts", "/created_at", "/error/code"];
            table.row(cells.map(|pointer| field(execution, pointer)));
        }
        table
    })?;
    Ok(ExitCode::SUCCESS)
}
