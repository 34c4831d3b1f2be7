//! Transforms: what an expression costs an execution, and by itself.

use crate::{
    Options,
    load::{Good, slice},
    process::Server,
    product::Product,
    report::{run as this_run, table, thousands},
    turns::{Turns, in_turns},
};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::time::Duration;

/// Begins this part of the page.
pub(crate) const HEADING: &str = "## What transforms cost";

/// Length of a slice where nothing is said.
const SECONDS: u64 = 1;
/// Rounds where nothing is said.
const ROUNDS: usize = 3;
const CONNECTIONS: usize = 64;
/// An expression as people write them.
const JQ: &str = r#"{text: "order \(.order) of \(.customer)", total: (.total * 2)}"#;
/// The same as a template.
const TEMPLATE: &str =
    r#"{# application/json #}{"text": {{ "order " ~ order ~ " of " ~ customer }}, "total": {{ total * 2 }}}"#;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Plain,
    JqIn,
    JqBoth,
    TemplateIn,
    /// The expression without an execution.
    JqAlone,
}

impl Turn {
    const EACH: [Self; 5] = [Self::Plain, Self::JqIn, Self::JqBoth, Self::TemplateIn, Self::JqAlone];

    /// The name of its action, and the action's transforms; the one without an execution has none.
    fn action(self) -> Option<(&'static str, Value)> {
        let jq = |expression: &str| json!({"language": "jq", "expression": expression});
        let template = json!({"language": "template", "expression": TEMPLATE});
        match self {
            Self::Plain => Some(("plain", json!({}))),
            Self::JqIn => Some(("jq-in", json!({"input_transform": jq(JQ)}))),
            Self::JqBoth => Some(("jq-both", json!({"input_transform": jq(JQ), "output_transform": jq(".")}))),
            Self::TemplateIn => Some(("template-in", json!({"input_transform": template}))),
            Self::JqAlone => None,
        }
    }

    fn told(self) -> &'static str {
        match self {
            Self::Plain => "a no-op without transforms",
            Self::JqIn => "`jq` over its input",
            Self::JqBoth => "`jq` over its input and its output",
            Self::TemplateIn => "`template` over its input",
            Self::JqAlone => "`jq` alone: checked and applied by `POST /v1/transforms/jq/try`",
        }
    }
}

/// What was measured.
pub(crate) struct Results {
    seconds: u64,
    rounds: usize,
    turns: Turns<Turn>,
}

/// Measures it.
pub(crate) async fn run(options: &Options) -> Result<Results> {
    std::fs::create_dir_all(&options.dir)?;
    let folder = tempfile::Builder::new().prefix("transforms-").tempdir_in(&options.dir)?;
    let (seconds, rounds) = (options.seconds(SECONDS), options.rounds(ROUNDS));
    let product = Product::new(folder.path().join("service"))?;
    let (server, _) = product.start().await?;
    set_up(options, &product, &server).await?;
    let tried = json!({"expression": JQ, "input": serde_json::from_slice::<Value>(crate::product::INPUT)?});
    let tried = product.posted("/v1/transforms/jq/try", &tried);
    let mut turns = Turns::new();
    for number in 0..rounds {
        for turn in in_turns(number, Turn::EACH.to_vec()) {
            let (asked, good) = match turn.action() {
                Some((name, _)) => (product.execute(name), Good::Succeeded),
                None => (tried.clone(), Good::Answered),
            };
            let measured = slice(&server, asked, good, CONNECTIONS, Duration::from_secs(seconds)).await;
            turns.add(number, turn, measured.with_context(|| format!("{turn:?}"))?);
        }
    }
    server.stop().await?;
    Ok(Results { seconds, rounds, turns })
}

async fn set_up(options: &Options, product: &Product, server: &Server) -> Result<()> {
    product.upload(server, &options.fixtures, &["noop.wasm"]).await?;
    for (name, transforms) in Turn::EACH.into_iter().filter_map(Turn::action) {
        let mut action = json!({"name": name, "protocol": "noop", "config": {}});
        for (member, transform) in transforms.as_object().into_iter().flatten() {
            action[member] = transform.clone();
        }
        product.create(server, &action).await.with_context(|| format!("the action {name}"))?;
    }
    Ok(())
}

/// This part of `docs/benchmarks.md`.
pub(crate) fn render(results: &Results) -> String {
    let turns = &results.turns;
    let plain = turns.median(Turn::Plain, |slice| slice.cpu_us);
    let mut rows = Vec::new();
    for turn in Turn::EACH {
        let cpu = turns.median(turn, |slice| slice.cpu_us);
        let ratio = turns.ratio(turn, Turn::Plain, |slice| slice.rate);
        let of_an_execution =
            |text: String| if matches!(turn, Turn::Plain | Turn::JqAlone) { "–".to_owned() } else { text };
        rows.push([
            turn.told().to_owned(),
            thousands(turns.median(turn, |slice| slice.rate)),
            of_an_execution(format!("**{ratio:.2}**")),
            format!("{cpu:.0} µs"),
            of_an_execution(format!("{:+.0} µs", cpu - plain)),
        ]);
    }
    format!(
        "{HEADING}

Executions of a no-op over {CONNECTIONS} connections, waited for, with expressions and without.

{run}

{table}
{rounds} round(s) of slices of {seconds} s by turns on one service with SQLite, every other round in the opposite order;
the ratio is the median of the rounds' own, CPU that of the service for each request. The expression is
`{JQ}`; the template gives the same. Each time it runs in a fresh instance, and compiles what it was given.
",
        run = this_run(),
        table = table(["what", "req/s", "ratio", "CPU", "more CPU"], &rows),
        rounds = results.rounds,
        seconds = results.seconds,
    )
}
