//! `secret list`.

use crate::{
    client::Client,
    commands::LIST_DEFAULT,
    output::{Output, Table, field},
};
use clap::Args;
use std::process::ExitCode;

/// How many to list.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// At most this many
    #[arg(long, default_value_t = LIST_DEFAULT)]
    limit: u32,
}

pub(super) async fn run(arguments: &Arguments, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    let (secrets, next) = client.secrets(arguments.limit).await?;
    output.list(&secrets, next.as_deref(), |secrets| {
        let mut table = Table::new(output, &["name", "version", "set", "key"]);
        for secret in secrets {
            table.row(["/name", "/version", "/updated_at", "/key"].map(|pointer| field(secret, pointer)));
        }
        table
    })?;
    Ok(ExitCode::SUCCESS)
}
