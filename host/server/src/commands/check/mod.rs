//! `check`: the conformance kit. What a protocol's author can know before anybody uploads it.
//!
//! A stranger's protocol is tried without its remote: the hosts in its configs become peers of the
//! checker's own on loopback, which know HTTP and nothing else, and its secrets become canaries. What
//! could not be tried like that is said, and never passed in silence.
//!
//! `rules/` has the rules, `report` what they find, `subject` the component in the service's own
//! sandbox, `cases`, `sample` and `mutate` the configs, `peer` the remote, `keep` what is captured,
//! and `leaks` looks through all that is left.

mod cases;
mod keep;
mod leaks;
mod mutate;
mod peer;
mod report;
mod rules;
mod sample;
mod subject;

use crate::{exit, input, output::Output};
use action_domain::payload::Payload;
use anyhow::Context as _;
use clap::Args;
use report::{Report, Standing};
use serde_json::Value;
use std::{path::PathBuf, process::ExitCode};
use subject::Bench;

/// What to check, and with what.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The component (.wasm)
    #[arg(value_name = "FILE")]
    component: PathBuf,
    /// A config to try before its examples, as JSON or YAML; may be given several times
    #[arg(long, value_name = "CONFIG", help = CONFIG_HELP)]
    config: Vec<String>,
    /// The input of executions [default: made of its input schema]
    #[arg(short, long, value_name = "INPUT")]
    input: Option<String>,
    /// The input's media type [default: as it looks]
    #[arg(long, value_name = "TYPE", requires = "input")]
    content_type: Option<String>,
    /// Take warnings for failures
    #[arg(long)]
    strict: bool,
}

const CONFIG_HELP: &str = "A config to try before its examples, as JSON or YAML; may be given several times: a file, - \
                           for standard input, or the text itself";

pub(super) async fn run(arguments: Arguments, output: Output) -> anyhow::Result<ExitCode> {
    let bytes = input::component(&arguments.component)?;
    let mut configs = Vec::new();
    for (number, argument) in arguments.config.iter().enumerate() {
        configs.push((format!("--config {}", number + 1), input::document(argument).context("--config")?));
    }
    let given = arguments.input.as_ref().map(|text| input::payload(text, arguments.content_type.clone()));
    let given = given.transpose().context("--input")?;
    let given = given.map(|input| Payload { content_type: input.content_type.as_str().into(), data: input.bytes });
    let folder = tempfile::TempDir::with_prefix("action-service-check-").context("a temporary folder")?;
    let bench = Bench::set_up(bytes, folder.path()).await?;
    let file = arguments.component.display().to_string();
    let report = check(bench, file, &configs, given, arguments.strict).await?;
    if output.is_json() {
        Output::json(&report)?;
    } else {
        report.show(output)?;
    }
    Ok(if report.passed { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILED) })
}

async fn check(
    bench: Bench,
    file: String,
    configs: &[(String, Value)],
    input: Option<Payload>,
    strict: bool,
) -> anyhow::Result<Report> {
    let digest = bench.digest.to_string();
    let checked = rules::check(bench, configs, input).await?;
    let mut report = Report {
        file,
        digest,
        protocol: checked.protocol,
        passed: false,
        rules: checked.findings,
        measured: checked.measured,
    };
    report.passed = report.count(Standing::Failed) == 0 && !(strict && report.count(Standing::Warning) > 0);
    Ok(report)
}
