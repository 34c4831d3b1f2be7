//! Languages: what a component costs that does nothing, by what it is written in.
//!
//! The components of the tests echo their input. Each language has a service of its own, so that its memory is told
//! apart.

use crate::{
    Options,
    http::Connection,
    process::Server,
    product::Product,
    report::{median, run as this_run, table, thousands},
};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// Begins this part of the page.
pub(crate) const HEADING: &str = "## What languages cost";

/// A language, its component, and the protocol that it is.
const LANGUAGES: [(&str, &str, &str); 5] = [
    ("Rust", "misbehave.wasm", "misbehave"),
    ("C", "c_misbehave.wasm", "c-misbehave"),
    ("Go", "go_misbehave.wasm", "go-misbehave"),
    ("TypeScript", "js_misbehave.wasm", "js-misbehave"),
    ("Python", "python_misbehave.wasm", "python-misbehave"),
];
/// Executions whose receipts are looked at, where nothing is said of seconds.
const RECEIPTS: usize = 300;
/// The same in a quick run.
const RECEIPTS_QUICK: usize = 50;
/// The first execution waits for a compiler.
const FIRST_WITHIN: Duration = Duration::from_mins(10);
/// How often is asked whether it has ended, where it takes longer than an answer is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// It gives back the little that it is given, and has no other work.
const MODE: &str = "echo";

/// What one language costs.
struct Cost {
    language: &'static str,
    component_bytes: u64,
    /// Uploaded: inspected, compiled, described, kept.
    upload: Duration,
    /// From the request to the end of the first execution, without the compiled code and with it.
    cold: Duration,
    warm: Duration,
    /// From a fresh store and instance to everything given back, in the middle.
    call_us: f64,
    fuel: f64,
    guest_mib: f64,
    /// What the process grew by.
    process_mib: f64,
}

/// What was measured.
pub(crate) struct Results {
    receipts: usize,
    costs: Vec<Cost>,
}

/// Measures it.
pub(crate) async fn run(options: &Options) -> Result<Results> {
    std::fs::create_dir_all(&options.dir)?;
    let receipts = if options.quick { RECEIPTS_QUICK } else { RECEIPTS };
    let mut costs = Vec::new();
    for (language, file, protocol) in LANGUAGES {
        if !options.fixtures.join(file).exists() {
            eprintln!("{language}: {file} was not built, and is left out");
            continue;
        }
        let folder = tempfile::Builder::new().prefix("languages-").tempdir_in(&options.dir)?;
        let cost = measure(options, folder.path(), receipts, (language, file, protocol)).await;
        costs.push(cost.with_context(|| language)?);
    }
    ensure!(!costs.is_empty(), "no component is there: scripts/build-guests.sh");
    Ok(Results { receipts, costs })
}

async fn measure(
    options: &Options,
    folder: &Path,
    receipts: usize,
    (language, file, protocol): (&'static str, &str, &str),
) -> Result<Cost> {
    let component_bytes = std::fs::metadata(options.fixtures.join(file))?.len();
    let product = Product::new(folder.join("service"))?;
    let (server, _) = product.start().await?;
    let begun = Instant::now();
    product.upload(&server, &options.fixtures, &[file]).await?;
    let upload = begun.elapsed();
    product.create(&server, &json!({"name": MODE, "protocol": protocol, "config": {"mode": MODE}})).await?;
    server.stop().await?;

    product.forget_compiled()?;
    let (server, _) = product.start().await?;
    let (cold, _) = first(&product, &server).await.context("cold")?;
    server.stop().await?;

    let (server, _) = product.start().await?;
    let idle_mib = server.memory_mib()?;
    let (warm, _) = first(&product, &server).await.context("warm")?;
    let (mut calls, mut fuel, mut guest_bytes) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..receipts {
        let (_, execution) = first(&product, &server).await?;
        let of = |member: &str| {
            let figure = execution["receipt"][member].as_f64();
            figure.with_context(|| format!("no {member} in the receipt: {execution}"))
        };
        calls.push(of("wall_us")?);
        fuel.push(of("fuel")?);
        guest_bytes.push(of("memory_bytes")?);
    }
    let process_mib = server.memory_mib()? - idle_mib;
    server.stop().await?;
    let cost = Cost {
        language,
        component_bytes,
        upload,
        cold,
        warm,
        call_us: median(calls.into_iter()),
        fuel: median(fuel.into_iter()),
        guest_mib: median(guest_bytes.into_iter()) / f64::from(1 << 20),
        process_mib,
    };
    eprintln!("{language}: cold {cold:.1?}, warm {warm:.1?}, {:.0} µs a call", cost.call_us);
    Ok(cost)
}

/// One execution: how long it took, and what it was when it had ended.
async fn first(product: &Product, server: &Server) -> Result<(Duration, Value)> {
    let begun = Instant::now();
    let reply = Connection::open(server.address).await?.exchange(&product.execute(MODE)).await?;
    let mut execution: Value = serde_json::from_slice(&reply.body)?;
    while !matches!(execution["status"].as_str(), Some("succeeded" | "failed" | "in_doubt")) {
        ensure!(begun.elapsed() < FIRST_WITHIN, "it does not end: {execution}");
        let id = execution["id"].as_str().with_context(|| format!("no execution: {execution}"))?.to_owned();
        tokio::time::sleep(LOOK_EVERY).await;
        execution = product.get(server, &format!("/v1/executions/{id}")).await?;
    }
    let took = begun.elapsed();
    ensure!(execution["status"] == "succeeded", "it did not succeed: {execution}");
    Ok((took, execution))
}

/// This part of `docs/benchmarks.md`.
pub(crate) fn render(results: &Results) -> String {
    // The first one is what the others are compared with.
    let base = results.costs.first().map_or(f64::NAN, |cost| cost.call_us);
    let ms = |time: Duration| format!("{} ms", thousands(time.as_secs_f64() * 1e3));
    let rows: Vec<[String; 10]> = (results.costs.iter())
        .map(|cost| {
            [
                cost.language.to_owned(),
                format!("{} KiB", thousands(cost.component_bytes as f64 / 1024.0)),
                ms(cost.upload),
                ms(cost.cold),
                format!("{:.1} ms", cost.warm.as_secs_f64() * 1e3),
                format!("{} µs", thousands(cost.call_us)),
                format!("**{:.1}**", cost.call_us / base),
                thousands(cost.fuel),
                format!("{:.1} MiB", cost.guest_mib),
                format!("{:.1} MiB", cost.process_mib),
            ]
        })
        .collect();
    let head = [
        "language",
        "component",
        "upload",
        "first, cold",
        "first, warm",
        "call",
        "/ first row",
        "fuel",
        "guest memory",
        "process",
    ];
    format!(
        "{HEADING}

Executions of a component that gives back its input, one after the other.

{run}

{table}
An upload is inspected, compiled, described and kept. *First, cold* is the first execution after a start without the
compiled code, which is made for it; *first, warm* the same with it. *Call* is the middle one of {receipts} receipts: from
a fresh store and instance over `validate-config` and `execute` to everything given back. *Guest memory* is what an
instance has of it, *process* by how much the service's own (PSS) was more than before the first one.
",
        run = this_run(),
        table = table(head, &rows),
        receipts = results.receipts,
    )
}
