//! `events tail`: follows the log. A broken stream is taken up where it was left: no event is
//! missed, and none is shown twice.

use super::Filter;
use crate::{
    client::{Client, ClientError, own_form},
    output::{EventLine, Output},
};
use clap::Args;
use serde_json::Value;
use std::{process::ExitCode, time::Duration};

/// The first wait before it connects again; each further one is twice as long.
const WAIT_FIRST: Duration = Duration::from_millis(500);
/// No wait is longer.
const WAIT_MAX: Duration = Duration::from_secs(15);

/// Which ones.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    filter: Filter,
    /// Begin after this position; 0 is the beginning of the log [default: now]
    #[arg(long, value_name = "POSITION")]
    after: Option<u64>,
    /// End after this many
    #[arg(long, value_name = "NUMBER")]
    count: Option<u64>,
}

pub(super) async fn run(arguments: &Arguments, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    let mut query = arguments.filter.query();
    query.push(("after", "latest".to_owned()));
    let mut last_seen = arguments.after.map(|after| after.to_string());
    let mut left = arguments.count.unwrap_or(u64::MAX);
    let mut wait = WAIT_FIRST;
    let mut connected_once = false;
    while left > 0 {
        match client.follow_events(&query, last_seen.as_deref()).await {
            Ok(mut stream) => {
                connected_once = true;
                while left > 0
                    && let Some(message) = stream.next().await
                {
                    wait = WAIT_FIRST;
                    show(&message.data, output)?;
                    left -= 1;
                }
                // The service says where it began too, so that nothing is missed before the first event.
                last_seen = stream.last_id().map(str::to_owned).or(last_seen);
                wait = stream.retry().unwrap_or(wait);
            }
            // A wrong address or token does not get better; a service that restarts does.
            Err(error) if !connected_once || !is_passing(&error) => return Err(error.into()),
            Err(error) => output.note(&format!("{error}")),
        }
        if left > 0 {
            output.note("the stream ended; connecting again");
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(WAIT_MAX);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(data: &str, output: Output) -> anyhow::Result<()> {
    let event: Value = serde_json::from_str(data).map_err(|error| ClientError::NotUnderstood(error.to_string()))?;
    let event = own_form(event);
    if output.is_json() {
        Output::json_line(&event)?;
    } else {
        Output::line(&EventLine(&event).line(output))?;
    }
    Ok(())
}

fn is_passing(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } => true,
        ClientError::Refused(problem) => problem.status >= 500 || problem.status == 429,
        ClientError::NotUnderstood(_) | ClientError::BadServer { .. } => false,
    }
}
