//! Processes that die, stop and come back while work goes on: two api processes, three workers,
//! Postgres and NATS, all real.
//!
//! `CHAOS_SEED` repeats a run that failed, as far as processes and the network let it.

mod cluster;
mod ledger;

use cluster::{Cluster, Dice, KINDS};
use ledger::Ledger;
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, task::JoinSet};

/// Triggers of a run; `CHAOS_TRIGGERS` makes it longer, as `make soak` does.
const TRIGGERS: usize = 240;
/// Callers at once.
const CALLERS: usize = 8;
/// What is broken, one after the other, while so many triggers come in.
const BLOWS: usize = KINDS as usize;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_happens_whatever_dies() {
    let given = std::env::var("CHAOS_TRIGGERS").ok().and_then(|number| number.parse().ok());
    let triggers: usize = given.unwrap_or(TRIGGERS);
    let blows = BLOWS * (triggers / TRIGGERS).max(1);
    let mut dice = Dice::from_environment();
    let mut cluster = Cluster::start(true).await;
    let ledger = Arc::new(Ledger::default());
    for (name, config, delivery) in [
        ("keyed", json!({"effect": null}), json!({"max_attempts": 20, "backoff": {"initial_ms": 200, "max_ms": 1000}})),
        ("unsafe", json!({"effect": "unsafe"}), json!({"max_attempts": 20, "on_doubt": "hold"})),
        ("ordered", json!({"effect": null}), json!({"max_attempts": 20, "max_concurrent": 2, "ordering_key": ".key"})),
    ] {
        cluster.action(name, config, delivery).await;
    }
    // Everything of this one fails at first, and comes back at once.
    let at_once = json!({"max_attempts": 20, "backoff": {"initial_ms": 50, "max_ms": 500}});
    cluster.action_at("storm", "/flaky", json!({"effect": null}), at_once).await;
    cluster.remote.fail(triggers as u32 / 2);
    let accepted = watch::Sender::new(0_usize);
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (ledger, accepted, doors) = (ledger.clone(), accepted.clone(), cluster.doors());
        callers.spawn(async move {
            for number in (caller..triggers).step_by(CALLERS) {
                let action = ["keyed", "unsafe", "ordered", "storm"][number % 4];
                let id = doors.trigger(action, number).await;
                ledger.accepted(&id, action);
                accepted.send_modify(|count| *count += 1);
            }
        });
    }
    let mut count = accepted.subscribe();
    for blow in 1..=blows {
        let reached = count.wait_for(|count| *count >= triggers * blow / (blows + 1));
        tokio::time::timeout(Duration::from_mins(3), reached).await.expect("triggers are accepted").unwrap();
        cluster.strike(&mut dice).await;
    }
    callers.join_all().await;
    cluster.heal().await;
    ledger.settle(&cluster).await;
    ledger.check(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_kills_its_worker_ends_in_the_dead_letters() {
    let mut cluster = Cluster::start_small().await;
    let delivery = json!({"max_attempts": 2, "backoff": {"initial_ms": 100, "max_ms": 100}});
    cluster.action_at("poison", "/silence", json!({"effect": "idempotent"}), delivery).await;
    let id = cluster.doors().trigger("poison", 1).await;
    for attempt in 1..=2 {
        cluster.remote.asked(attempt).await;
        cluster.kill_worker(0).await;
        cluster.revive().await;
    }
    let ended = cluster.api().ended(&id).await;
    assert_eq!((ended["status"].as_str(), ended["error"]["code"].as_str()), (Some("failed"), Some("worker_lost")));
    let letters = cluster.api().get("/v1/executions?status=failed").await.json(200);
    assert_eq!(letters["items"][0]["id"], id.as_str());
}

/// A flood of high priority, and behind it a little of low.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_high_priority_starves_nobody() {
    const FLOOD: usize = 160;
    const TRICKLE: usize = 8;
    let mut cluster = Cluster::start_small().await;
    for priority in ["high", "low"] {
        cluster.action(priority, json!({"effect": null}), json!({"priority": priority})).await;
    }
    // All of it waits before anybody takes it, the low last.
    cluster.kill_worker(0).await;
    let ledger = Ledger::default();
    let doors = cluster.doors();
    for number in 0..FLOOD + TRICKLE {
        let action = if number < FLOOD { "high" } else { "low" };
        ledger.accepted(&doors.trigger(action, number).await, action);
    }
    cluster.revive().await;
    ledger.settle(&cluster).await;
    ledger.check(&cluster).await;
    let order = cluster.order();
    let low = ledger.of("low");
    let last = order.iter().rposition(|id| low.contains(id)).unwrap();
    // One in five is its share: a fifth more for those that were on their way at once.
    assert!(last < TRICKLE * 6 + 8, "the last of {TRICKLE} comes as number {last} of {}", order.len());
}
