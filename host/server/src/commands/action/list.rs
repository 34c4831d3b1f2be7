//! `action list`.

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
    /// Of this protocol (its name)
    #[arg(long)]
    protocol: Option<String>,
    /// With this label (key=value)
    #[arg(long, value_name = "KEY=VALUE")]
    label: Option<String>,
    /// Enabled ones, or the others
    #[arg(long, value_name = "true|false")]
    enabled: Option<bool>,
    /// At most this many
    #[arg(long, default_value_t = LIST_DEFAULT)]
    limit: u32,
}

pub(super) async fn run(arguments: Arguments, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    let conditions = [
        ("protocol", arguments.protocol),
        ("label", arguments.label),
        ("enabled", arguments.enabled.map(|enabled| enabled.to_string())),
    ];
    let query: Vec<(&str, String)> = conditions.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let (actions, next) = client.actions(&query, arguments.limit).await?;
    output.list(&actions, next.as_deref(), |actions| {
        let mut table = Table::new(output, &["name", "protocol", "revision", "enabled", "updated", "id"]);
        for action in actions {
            let cells = ["/name", "/protocol", "/revision", "/enabled", "/updated_at", "/id"];
            table.row(cells.map(|pointer| field(action, pointer)));
        }
        table
    })?;
    Ok(ExitCode::SUCCESS)
}
