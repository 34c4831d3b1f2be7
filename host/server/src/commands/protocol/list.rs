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
    // Programs read of them in the page itself.
    let missing = if output.is_json() || next.is_some() { Vec::new() } else { client.missing_protocols().await? };
    output.list(&protocols, next.as_deref(), |protocols| {
        let mut table = Table::new(output, &["name", "version", "summary", "digest"]);
        for protocol in protocols {
            let digest = field(protocol, "/digest");
            // Enough of it to tell two apart.
            let digest = digest.chars().take("sha256:".len() + 12).collect();
            table.row([field(protocol, "/name"), field(protocol, "/version"), field(protocol, "/summary"), digest]);
        }
        for protocol in &missing {
            let state = match field(protocol, "/state").as_str() {
                "waiting" | "preparing" => "(being prepared; whoever names it waits for it)".to_owned(),
                "not_built" => "(not built: scripts/build-guests.sh protocols says why)".to_owned(),
                _ => format!("(refused: {})", field(protocol, "/reason")),
            };
            table.row([field(protocol, "/name"), String::new(), state, String::new()]);
        }
        table
    })?;
    Ok(ExitCode::SUCCESS)
}
