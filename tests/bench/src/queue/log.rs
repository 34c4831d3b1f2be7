//! What the service's own record says: how many ended when, and how soon attempts began.
//!
//! Everything is read afterwards, so that reading is no load on what is measured.

use crate::{http::Connection, process::Server, product::Product};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// How often is asked whether the queue is empty.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Workers that have just begun are not measured yet.
const SETTLE: Duration = Duration::from_millis(100);
/// The last ones of a queue leave some workers idle, so they are left out.
const PART: f64 = 0.95;
/// Single triggers, and the time between them.
const TRIGGERS: usize = 100;
const TRIGGER_EVERY: Duration = Duration::from_millis(20);

/// The position of the last event.
pub(super) async fn end(product: &Product, server: &Server) -> Result<u64> {
    let page = product.get(server, "/v1/events?after=latest").await?;
    page["next"].as_str().and_then(|next| next.parse().ok()).context("no end of the log")
}

/// Waits until nothing waits or runs, for a while. Whether it is so.
pub(super) async fn until_empty(product: &Product, server: &Server, at_most: Duration) -> Result<bool> {
    let begun = Instant::now();
    while begun.elapsed() < at_most {
        let mut found = false;
        for status in ["queued", "waiting", "running"] {
            let path = format!("/v1/executions?action=noop&status={status}&limit=1");
            found =
                found || product.get(server, &path).await?["items"].as_array().is_none_or(|items| !items.is_empty());
        }
        if !found {
            return Ok(true);
        }
        tokio::time::sleep(LOOK_EVERY.min(at_most.saturating_sub(begun.elapsed()))).await;
    }
    Ok(false)
}

/// Waits until all has ended, and fails where it does not.
pub(super) async fn empty(product: &Product, server: &Server) -> Result<()> {
    ensure!(until_empty(product, server, Duration::from_mins(2)).await?, "executions do not end");
    Ok(())
}

/// Executions that ended in a second, since a time and behind a position.
pub(super) async fn drained(product: &Product, server: &Server, since_us: i64, after: u64) -> Result<f64> {
    let since_us = since_us + SETTLE.as_micros() as i64;
    let until = end(product, server).await?;
    let mut ends = Vec::new();
    for event in events(product, server, "action_executed", after, until).await? {
        ensure!(event["data"]["success"] == true, "an execution failed: {event}");
        ends.push(time_us(&event)?);
    }
    ends.retain(|end| *end > since_us);
    ends.sort_unstable();
    let counted = (ends.len() as f64 * PART) as usize;
    ensure!(counted > 100, "only {counted} executions were there to be run: longer slices are needed");
    Ok(counted as f64 * 1e6 / (ends[counted - 1] - since_us) as f64)
}

/// Milliseconds from the trigger to the attempt of single executions, one after another.
pub(super) async fn to_start_ms(product: &Product, server: &Server) -> Result<Vec<f64>> {
    let after = end(product, server).await?;
    let mut connection = Connection::open(server.address).await?;
    let asked = product.begin("noop");
    for _ in 0..TRIGGERS {
        let reply = connection.exchange(&asked).await?;
        ensure!(reply.status == 202, "a trigger was answered with {}", reply.status);
        tokio::time::sleep(TRIGGER_EVERY).await;
    }
    empty(product, server).await?;
    let until = end(product, server).await?;
    let mut triggers = HashMap::new();
    let mut latencies = Vec::with_capacity(TRIGGERS);
    for event in events(product, server, "trigger_received,attempt_started", after, until).await? {
        let execution = event["execution"].as_str().context("an event without an execution")?.to_owned();
        if event["type"] == "trigger_received" {
            triggers.insert(execution, time_us(&event)?);
        } else if let Some(received) = triggers.remove(&execution) {
            latencies.push((time_us(&event)? - received) as f64 / 1e3);
        }
    }
    ensure!(latencies.len() == TRIGGERS, "{} of {TRIGGERS} triggers led to an attempt", latencies.len());
    Ok(latencies)
}

/// The time, as the service writes it.
#[expect(clippy::disallowed_methods, reason = "compared with times that the service has written")]
pub(super) fn now_us() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

async fn events(product: &Product, server: &Server, types: &str, after: u64, until: u64) -> Result<Vec<Value>> {
    let (mut all, mut after) = (Vec::new(), after);
    loop {
        let path = format!("/v1/events?action=noop&type={types}&limit=500&after={after}");
        let mut page = product.get(server, &path).await?;
        let items = page["items"].as_array_mut().map(std::mem::take).context("no page of events")?;
        let before = all.len();
        let position = |event: &Value| event["position"].as_u64().unwrap_or(u64::MAX);
        all.extend(items.into_iter().filter(|event| position(event) <= until));
        match all.last().map(position) {
            Some(last) if all.len() - before == 500 => after = last,
            _ => return Ok(all),
        }
    }
}

fn time_us(event: &Value) -> Result<i64> {
    let time = event["time"].as_str().context("an event without a time")?;
    Ok(time.parse::<jiff::Timestamp>()?.as_microsecond())
}
