//! Webhooks: how many deliveries are accepted durably, beside the limit, and what many actions change about it.
//!
//! Each delivery is signed, goes to the next action, and is verified; no attempt runs meanwhile. The limit commits as
//! many rows over the same HTTP, and verifies and looks up nothing.

use crate::{
    Options, held,
    http::request,
    load::{Good, send_each, slice, slice_of},
    process::Server,
    product::{INPUT, Product},
    report::{run as this_run, table, thousands},
    rounds::{limit_that_enqueues, plain},
    turns::{Turns, in_turns},
};
use anyhow::{Context as _, Result};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;
use std::{net::TcpListener, path::Path, time::Duration};

/// Begins this part of the page.
pub(crate) const HEADING: &str = "## What webhooks take";

/// Length of a slice where nothing is said.
const SECONDS: u64 = 1;
/// Rounds where nothing is said.
const ROUNDS: usize = 3;
const CONNECTIONS: usize = 64;
/// Actions with a webhook each; the last one only where everything is to be measured.
const ACTIONS: [u32; 3] = [1, 1_000, 100_000];
/// Signs the deliveries.
const SECRET: &str = "It's a Secret to Everybody";
/// What many actions leave of the throughput with one.
const RATIO_MIN: f64 = 0.9;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Limit,
    /// The service with so many actions.
    Actions(u32),
}

/// What was measured.
pub(crate) struct Results {
    seconds: u64,
    rounds: usize,
    actions: Vec<u32>,
    turns: Turns<Turn>,
}

/// A server, and what it is sent by turns.
struct Subject {
    turn: Turn,
    server: Server,
    deliveries: Vec<Vec<u8>>,
}

/// Measures it.
pub(crate) async fn run(options: &Options) -> Result<Results> {
    std::fs::create_dir_all(&options.dir)?;
    let folder = tempfile::Builder::new().prefix("webhooks-").tempdir_in(&options.dir)?;
    let (seconds, rounds) = (options.seconds(SECONDS), options.rounds(ROUNDS));
    let actions = ACTIONS[..if options.queue.full { 3 } else { 2 }].to_vec();
    let silent = held::silent()?;
    let limit = limit_that_enqueues(&folder.path().join("limit.db")).await?;
    let mut subjects = vec![Subject { turn: Turn::Limit, server: limit, deliveries: Vec::new() }];
    for count in &actions {
        let subject = subject(options, folder.path(), *count, &silent).await;
        subjects.push(subject.with_context(|| format!("{count} actions"))?);
    }
    let mut turns = Turns::new();
    for number in 0..rounds {
        for Subject { turn, server, deliveries } in in_turns(number, subjects.iter().collect()) {
            let length = Duration::from_secs(seconds);
            let measured = match server.others.first() {
                None => slice(server, plain(), Good::Accepted, CONNECTIONS, length).await,
                Some(public) => {
                    slice_of(server, *public, deliveries.clone(), Good::Accepted, CONNECTIONS, length).await
                }
            };
            turns.add(number, *turn, measured.with_context(|| format!("{turn:?}"))?);
        }
    }
    for subject in subjects {
        subject.server.stop().await?;
    }
    Ok(Results { seconds, rounds, actions, turns })
}

async fn subject(options: &Options, folder: &Path, count: u32, silent: &TcpListener) -> Result<Subject> {
    let data = std::path::absolute(folder.join(count.to_string()))?;
    let product = Product::new(data)?.with("ACTION_SERVICE_SHUTDOWN_GRACE_MS", 200);
    let (server, _) = product.start().await?;
    product.upload(&server, &options.fixtures, &["noop.wasm"]).await?;
    held::set_up(&product, &server, &options.fixtures, silent).await?;
    product.put(&server, "/v1/secrets/hook", &json!({"value": SECRET})).await?;
    let action = |number: u32| {
        let verify = json!({"scheme": "github", "secret": "hook"});
        let action = json!({
            "name": format!("hook-{number}"), "protocol": "noop", "config": {},
            "triggers": [{"type": "webhook", "path": format!("bench/{number}"), "verify": verify}],
        });
        product.posted("/v1/actions", &action)
    };
    send_each(&server, (0..count).map(action).collect(), Good::Created, CONNECTIONS).await?;
    server.stop().await?;
    let server = held::start(&product).await?;
    Ok(Subject { turn: Turn::Actions(count), server, deliveries: (0..count).map(delivery).collect() })
}

/// One that has no id, so that each sets off an execution of its own.
fn delivery(number: u32) -> Vec<u8> {
    // A key of any length will do.
    let tag = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).map(|mut mac| {
        mac.update(INPUT);
        hex::encode(mac.finalize().into_bytes())
    });
    let signature = format!("sha256={}", tag.unwrap_or_default());
    let headers = [("content-type", "application/json"), ("x-hub-signature-256", signature.as_str())];
    request("POST", &format!("/hooks/bench/{number}"), &headers, INPUT)
}

/// This part of `docs/benchmarks.md`.
pub(crate) fn render(results: &Results) -> String {
    let Results { turns, actions, .. } = results;
    let mut rows = vec![[
        "the limit".to_owned(),
        thousands(turns.median(Turn::Limit, |slice| slice.rate)),
        "–".to_owned(),
        "–".to_owned(),
        format!("{:.2} ms", turns.median(Turn::Limit, |slice| slice.p99_ms)),
        "–".to_owned(),
        format!("{:.0} µs", turns.median(Turn::Limit, |slice| slice.cpu_us)),
    ]];
    for count in actions {
        let (turn, one) = (Turn::Actions(*count), Turn::Actions(1));
        rows.push([
            format!("{} action(s)", thousands(f64::from(*count))),
            thousands(turns.median(turn, |slice| slice.rate)),
            format!("**{:.2}**", turns.ratio(turn, Turn::Limit, |slice| slice.rate)),
            format!("{:.2}", turns.ratio(turn, one, |slice| slice.rate)),
            format!("{:.2} ms", turns.median(turn, |slice| slice.p99_ms)),
            format!("**{:.2}**", turns.ratio(turn, Turn::Limit, |slice| slice.p99_ms)),
            format!("{:.0} µs", turns.median(turn, |slice| slice.cpu_us)),
        ]);
    }
    let most = actions.last().copied().unwrap_or(1);
    let kept = turns.ratio(Turn::Actions(most), Turn::Actions(1), |slice| slice.rate);
    let met = if kept >= RATIO_MIN { "met" } else { "**not met**" };
    format!(
        "{HEADING}

Deliveries over {CONNECTIONS} connections, verified (GitHub's scheme), answered when they are durable.

{run}

{table}
Aim: with {most} actions {RATIO_MIN:.2} of what is accepted with one, or more: {kept:.2}, {met}.

{rounds} round(s) of slices of {seconds} s in which the limit and services with SQLite take turns, every other round in
the opposite order; ratios are the medians of the rounds' own. Deliveries go to all actions by turns. No attempt
runs meanwhile: the only one that there is room for calls somebody who does not answer. The limit makes the three rows
of an execution that waits durable over the same HTTP; it verifies nothing and looks up nothing.
",
        run = this_run(),
        table = table(["with", "accepted/s", "/ limit", "/ 1 action", "p99", "/ limit", "CPU"], &rows),
        most = thousands(f64::from(most)),
        rounds = results.rounds,
        seconds = results.seconds,
    )
}
