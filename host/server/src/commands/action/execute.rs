//! `action execute`: runs an action, and waits for its end if that is wished for.

use crate::{
    client::{Client, Executed, Wait},
    commands::execution,
    exit, input,
    output::Output,
};
use clap::Args;
use serde_json::Value;
use std::{process::ExitCode, time::Duration};

/// Between two looks at an execution that takes longer than the service lets anybody wait.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What to run, with what.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The action's name or id
    action: String,
    #[arg(short, long, default_value = "", value_name = "INPUT", help = input::HELP)]
    input: String,
    /// The input's media type [default: as it looks]
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// The same key leads to the same execution for 24 hours
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Do not wait for the end
    #[arg(long = "async", conflicts_with = "wait")]
    no_wait: bool,
    /// Wait for the end up to this long [default: as long as the service does, 30]
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
}

pub(super) async fn run(arguments: Arguments, client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    let input = input::payload(&arguments.input, arguments.content_type)?;
    let wait = match (arguments.no_wait, arguments.wait) {
        (true, _) => Wait::Not,
        (false, Some(seconds)) => Wait::Up(Duration::from_secs(seconds)),
        (false, None) => Wait::Default,
    };
    let key = arguments.idempotency_key.as_deref();
    let executed = match wait {
        Wait::Up(time) => {
            let mut last = None;
            // The wait is for all of it: the service's own part of it, and the looking after it.
            let whole = until_ended(&arguments.action, &input, wait, key, client, &mut last);
            // The service answers when the wait is over; it gets a moment to do so.
            match tokio::time::timeout(time + Duration::from_secs(2), whole).await {
                Ok(executed) => executed?,
                Err(_) => last.ok_or_else(|| anyhow::anyhow!("the service did not answer in {} s", time.as_secs()))?,
            }
        }
        _ => client.execute(&arguments.action, &input.content_type, input.bytes, wait, key).await?,
    };
    show(&executed, matches!(wait, Wait::Not), output)
}

async fn until_ended(
    action: &str,
    input: &input::Input,
    wait: Wait,
    key: Option<&str>,
    client: &Client,
    last: &mut Option<Executed>,
) -> anyhow::Result<Executed> {
    let mut executed = client.execute(action, &input.content_type, input.bytes.clone(), wait, key).await?;
    loop {
        let status = executed.execution.get("status").and_then(Value::as_str).unwrap_or_default();
        // Somebody has to decide about one in doubt: waiting does not help.
        if executed.ended || status == "in_doubt" {
            return Ok(executed);
        }
        let id = executed.execution.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        *last = Some(executed);
        tokio::time::sleep(LOOK_EVERY).await;
        let execution = client.execution(&id).await?;
        let status = execution.get("status").and_then(Value::as_str).unwrap_or_default();
        let ended = matches!(status, "succeeded" | "failed" | "cancelled" | "expired");
        executed = Executed { execution, ended };
    }
}

fn show(executed: &Executed, asked_not_to_wait: bool, output: Output) -> anyhow::Result<ExitCode> {
    let Executed { execution, ended } = executed;
    if output.is_json() {
        Output::json(execution)?;
    } else {
        execution::print(execution, output)?;
    }
    let succeeded = execution.get("status").and_then(Value::as_str) == Some("succeeded");
    let code = match (ended, asked_not_to_wait) {
        (true, _) if succeeded => ExitCode::SUCCESS,
        (true, _) => ExitCode::from(exit::FAILED),
        (false, true) => ExitCode::SUCCESS,
        (false, false) => {
            output.note("it has not ended yet: `action-service execution show` tells how it stands");
            ExitCode::from(exit::NOT_ENDED)
        }
    };
    Ok(code)
}
