//! `token list`.

use crate::{
    client::Client,
    commands::LIST_DEFAULT,
    output::{Output, Table, field},
};
use clap::Args;
use serde_json::Value;
use std::process::ExitCode;

/// How many.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// At most this many
    #[arg(long, default_value_t = LIST_DEFAULT)]
    limit: u32,
}

pub(super) async fn run(arguments: &Arguments, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    let (tokens, next) = client.tokens(arguments.limit).await?;
    output.list(&tokens, next.as_deref(), |tokens| {
        let mut table = Table::new(output, &["id", "name", "scopes", "actions", "created by", "expires"]);
        for token in tokens {
            let scopes = token["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let actions = token["actions"].as_array().map_or_else(|| "all".to_owned(), |all| all.len().to_string());
            let [id, name, by, end] =
                ["/id", "/name", "/created_by", "/expires_at"].map(|pointer| field(token, pointer));
            table.row([id, name, scopes.collect::<Vec<_>>().join(" "), actions, by, end]);
        }
        table
    })?;
    Ok(ExitCode::SUCCESS)
}
