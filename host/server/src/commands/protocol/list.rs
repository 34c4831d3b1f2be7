//! `protocol list`.

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
    let (protocols, next) = client.protocols(arguments.limit).await?;
    output.list(&protocols, next.as_deref(), |protocols| {
        let mut table = Table::new(output, &["name", "version", "summary", "digest"]);
        for protocol in protocols {
            let digest = field(protocol, "/digest");
            // Enough of it to tell two apart.
            let digest = digest.chars().take("sha256:".len() + 12).collect();
            table.row([field(protocol, "/name"), field(protocol, "/version"), field(protocol, "/summary"), digest]);
        }
        table
    })?;
    Ok(ExitCode::SUCCESS)
}
