//! `run`: one execution of a component, without a service.
//!
//! It is the service's own way through, in memory: the component is admitted, an action is
//! made of it, and that is executed once. What works here works there.

use crate::{
    client::Problem,
    compose::Service,
    config::{Sources, egress_policy},
    exit,
    input::{self, Input},
    output::{Colour, EventLine, Output, field, printable},
};
use action_domain::{
    action::{ActionSpec, Backoff, Delivery, EgressGrant, Grants, OnDoubt},
    actor::Actor,
    egress::EgressPolicy,
    event::{Event, Position},
    limits::{LimitsPolicy, LimitsSpec, PAGE_ITEMS_MAX},
    name::Name,
    payload::Payload,
    repositories::{ActionKey, EventFilter, Page},
};
use action_engine::{Dispatch, Dispatched, Editor, Engine, EngineError};
use anyhow::{Context as _, ensure};
use clap::Args;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};
use zeroize::Zeroizing;

/// How long after its deadline an attempt may take to be written down.
const MARGIN: Duration = Duration::from_secs(10);
/// The action's name; it lives as long as this process.
const ACTION: &str = "run";

/// What to run, with what.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The component (.wasm)
    #[arg(value_name = "FILE")]
    component: PathBuf,
    /// The config, as JSON or YAML: a file, - for standard input, or the text itself
    #[arg(long, default_value = "{}", value_name = "CONFIG")]
    config: String,
    #[arg(short, long, default_value = "", value_name = "INPUT", help = input::HELP)]
    input: String,
    /// The input's media type [default: as it looks]
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// Let it reach private, loopback and link-local addresses
    #[arg(long)]
    allow_private: bool,
    /// Let it reach this host beside those in its config; may be given several times
    #[arg(long, value_name = "HOST:PORT")]
    egress: Vec<String>,
    /// A secret that its config names, and the file that holds it; may be given several times
    #[arg(long, value_name = "NAME=FILE")]
    secret: Vec<String>,
    /// The same, from a variable of the environment
    #[arg(long, value_name = "NAME=VARIABLE")]
    secret_env: Vec<String>,
    /// Let it see this secret; may be given several times
    #[arg(long, value_name = "NAME")]
    reveal: Vec<String>,
    /// Wall time of the attempt [default: 30000]
    #[arg(long, value_name = "MILLISECONDS")]
    timeout_ms: Option<u64>,
    /// Write the output to this file, as it is, and do not print it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) async fn run(arguments: Arguments, output: Output) -> anyhow::Result<ExitCode> {
    let component = input::component(&arguments.component)?;
    let config = input::document(&arguments.config).context("--config")?;
    let input = input::payload(&arguments.input, arguments.content_type.clone()).context("--input")?;
    let egress = arguments.egress.iter().map(|text| grant(text)).collect::<anyhow::Result<_>>().map_err(exit::usage)?;
    let grants = Grants { egress, private_networks: arguments.allow_private, reveal: arguments.reveal.clone() };
    let secrets = secrets(&arguments).map_err(exit::usage)?;

    let folder = tempfile::TempDir::with_prefix("action-service-run-").context("a temporary folder")?;
    let policy = EgressPolicy { private_networks: arguments.allow_private, ..egress_policy(&Sources::load(None)?)? };
    let service = Service::in_memory(folder.path(), policy)?;
    let engine = &service.engine;
    engine.start().await?;
    for (name, value) in &secrets {
        let set = engine.set_secret(name, value, &Actor::Cli).await;
        set.map_err(explain).with_context(|| format!("the secret {name}"))?;
    }
    let admitted = engine.admit_protocol(component, None, None, &Actor::Cli).await.map_err(explain)?;
    let spec = ActionSpec {
        name: ACTION.parse()?,
        enabled: true,
        description: String::new(),
        labels: BTreeMap::new(),
        protocol: admitted.protocol.pin().to_string(),
        config,
        triggers: Vec::new(),
        input_transform: None,
        output_transform: None,
        grants,
        limits: LimitsSpec { timeout_ms: arguments.timeout_ms, ..LimitsSpec::default() },
        // Once, and whatever becomes of it is told.
        delivery: Delivery {
            max_attempts: 1,
            on_doubt: OnDoubt::Fail,
            backoff: Backoff::default(),
            ..Delivery::default()
        },
    };
    let saved = engine.create_action(spec, Editor::unlimited(&Actor::Cli)).await.map_err(explain)?;
    for warning in &saved.warnings {
        output.note(&format!("warning: {}: {}", warning.pointer, warning.message));
    }
    let timeout = LimitsPolicy::default().resolve(&saved.action.spec.limits).timeout();
    let dispatched = execute(engine, input, timeout + MARGIN, output).await?;
    let code = show(engine, &dispatched, arguments.output.as_deref(), output).await?;
    engine.stop(Duration::ZERO).await;
    service.close().await;
    Ok(code)
}

/// What the config may name, from files and the environment: never from the command line itself,
/// which others see.
fn secrets(arguments: &Arguments) -> anyhow::Result<Vec<(Name, Zeroizing<Vec<u8>>)>> {
    let named = |option: &str, text: &str| {
        let (name, place) = text.split_once('=').with_context(|| format!("--{option} {text}: `=` is missing"))?;
        let name: Name = name.parse().with_context(|| format!("--{option} {text}"))?;
        Ok::<_, anyhow::Error>((name, place.to_owned()))
    };
    let from_files = arguments.secret.iter().map(|text| {
        let (name, file) = named("secret", text)?;
        Ok((name, input::secret(Some(Path::new(&file)), false)?))
    });
    let from_environment = arguments.secret_env.iter().map(|text| {
        let (name, variable) = named("secret-env", text)?;
        let value = std::env::var_os(&variable).with_context(|| format!("--secret-env {text}: it is not set"))?;
        Ok((name, Zeroizing::new(value.into_encoded_bytes())))
    });
    from_files.chain(from_environment).collect()
}

fn grant(text: &str) -> anyhow::Result<EgressGrant> {
    let (host, port) = text.rsplit_once(':').with_context(|| format!("--egress {text}: HOST:PORT is needed"))?;
    let port = port.parse().with_context(|| format!("--egress {text}: `{port}` is no port"))?;
    ensure!(!host.is_empty(), "--egress {text}: the host is missing");
    Ok(EgressGrant { host: host.to_owned(), ports: vec![port] })
}

/// Executes it, and prints each event when it is there.
async fn execute(engine: &Engine, input: Input, wait: Duration, output: Output) -> anyhow::Result<Dispatched> {
    let dispatch = Dispatch {
        action: ActionKey::Name(ACTION.parse()?),
        input: Payload { content_type: input.content_type.as_str().into(), data: input.bytes },
        correlation_id: None,
        traceparent: None,
        idempotency_key: None,
        wait: Some(wait),
        by: Actor::Cli,
    };
    let mut positions = engine.reader().follow();
    let mut printed = engine.reader().last_position().await?;
    let running = engine.dispatch(dispatch);
    tokio::pin!(running);
    let dispatched = loop {
        tokio::select! {
            dispatched = &mut running => break dispatched.map_err(explain),
            open = positions.changed() => {
                ensure!(open, "the store was closed");
                print_events(engine, &mut printed, output).await?;
            }
        }
    };
    // Those that came with the end.
    print_events(engine, &mut printed, output).await?;
    dispatched
}

async fn print_events(engine: &Engine, printed: &mut Position, output: Output) -> anyhow::Result<()> {
    loop {
        let page = Page { after: Some(*printed), limit: PAGE_ITEMS_MAX };
        let events = engine.reader().events(&EventFilter::default(), page).await?;
        let Some(last) = events.last() else { return Ok(()) };
        *printed = last.position;
        for event in &events {
            let event = document(event)?;
            if output.is_json() {
                Output::json_line(&event)?;
            } else {
                let line = EventLine(&event);
                Output::line(&format!(
                    "{}  {:18}  {}",
                    field(&event, "/time"),
                    field(&event, "/type"),
                    line.summary()
                ))?;
            }
        }
    }
}

/// An event as the API gives it.
fn document(event: &Event) -> anyhow::Result<Value> {
    let context = &event.context;
    Ok(json!({
        "id": event.id.to_string(),
        "position": event.position,
        "type": event.r#type,
        "time": event.time,
        "action": context.action.map(|id| id.to_string()),
        "execution": context.execution.map(|id| id.to_string()),
        "attempt": context.attempt,
        "data": serde_json::from_str::<Value>(event.data.get())?,
    }))
}

/// The outcome: its own line for programs, the output alone for people.
async fn show(
    engine: &Engine,
    dispatched: &Dispatched,
    file: Option<&Path>,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let execution = &dispatched.view.execution;
    let mut given = engine.output(execution.id).await.map_err(explain)?;
    if let Some(file) = file
        && let Some(payload) = given.take()
    {
        let written = std::fs::write(file, &payload.data);
        written.with_context(|| format!("the output cannot be written to {}", file.display()))?;
        output.note(&format!("{} bytes of {} in {}", payload.data.len(), payload.content_type, file.display()));
    }
    let succeeded = execution.error.is_none() && dispatched.ended;
    if output.is_json() {
        let given = given.map(|payload| match serde_json::from_slice::<Value>(&payload.data) {
            Ok(value) if payload.is_json() => value,
            _ => json!({"content_type": &*payload.content_type, "text": String::from_utf8_lossy(&payload.data)}),
        });
        Output::json_line(&json!({
            "status": execution.status.as_str(), "error": execution.error, "receipt": execution.receipt, "output": given,
        }))?;
    } else {
        Output::line("")?;
        let status = execution.status.as_str();
        match &execution.error {
            None => Output::line(&output.status(status))?,
            Some(error) => {
                let text = format!("{status}: {}: {}", error.code.as_str(), printable(&error.message));
                Output::line(&output.paint(Colour::Red, &text))?;
            }
        }
        if let Some(payload) = given {
            match std::str::from_utf8(&payload.data) {
                Ok(text) => Output::line(&printable(text))?,
                Err(_) => Output::line(&format!("{} bytes of {}", payload.data.len(), payload.content_type))?,
            }
        }
    }
    Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILED) })
}

/// The engine's refusals as the service's clients see them: with each thing that is wrong.
fn explain(error: EngineError) -> anyhow::Error {
    let (code, issues) = match &error {
        EngineError::Invalid(issues) => ("invalid_document", issues.clone()),
        EngineError::ComponentRefused(issues) => ("component_refused", issues.clone()),
        EngineError::InvalidInput(issues) => ("invalid_input", issues.clone()),
        _ => return error.into(),
    };
    Problem::invalid(code, error.to_string(), issues).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_a_host_and_a_port() {
        assert_eq!(grant("example.com:443").unwrap(), EgressGrant { host: "example.com".into(), ports: vec![443] });
        assert_eq!(grant("[::1]:80").unwrap(), EgressGrant { host: "[::1]".into(), ports: vec![80] });
        for bad in ["example.com", "example.com:x", ":80", "example.com:70000"] {
            assert!(grant(bad).is_err(), "{bad}");
        }
    }
}
