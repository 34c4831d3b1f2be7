//! `events list`.

use super::Filter;
use crate::{
    client::Client,
    commands::LIST_DEFAULT,
    output::{EventLine, Output},
};
use clap::Args;
use std::process::ExitCode;

/// Which ones.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    filter: Filter,
    /// After this position
    #[arg(long, value_name = "POSITION")]
    after: Option<u64>,
    /// At most this many
    #[arg(long, default_value_t = LIST_DEFAULT)]
    limit: u32,
}

pub(super) async fn run(arguments: &Arguments, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    let mut query = arguments.filter.query();
    query.extend(arguments.after.map(|after| ("after", after.to_string())));
    let (events, next) = client.events(&query, arguments.limit).await?;
    let of_one = arguments.filter.execution.is_some();
    output.list(&events, next.as_deref(), |events| EventLine::table(output, events, of_one))?;
    Ok(ExitCode::SUCCESS)
}
