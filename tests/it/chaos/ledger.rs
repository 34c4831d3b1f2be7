//! What was accepted, and whether all of it came to exactly one end.

use super::cluster::Cluster;
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Mutex,
};

#[derive(Default)]
pub(super) struct Ledger {
    accepted: Mutex<BTreeMap<String, &'static str>>,
}

impl Ledger {
    pub(super) fn accepted(&self, id: &str, action: &'static str) {
        let before = self.accepted.lock().unwrap().insert(id.to_owned(), action);
        assert!(before.is_none(), "{id} answers two triggers");
    }

    fn all(&self) -> BTreeMap<String, &'static str> {
        self.accepted.lock().unwrap().clone()
    }

    /// Executions of an action.
    pub(super) fn of(&self, action: &str) -> Vec<String> {
        self.all().into_iter().filter(|(_, of)| *of == action).map(|(id, _)| id).collect()
    }

    /// Waits until everything has ended or is held.
    pub(super) async fn settle(&self, cluster: &Cluster) {
        for id in self.all().keys() {
            cluster.api().settled(id).await;
        }
    }

    pub(super) async fn check(&self, cluster: &Cluster) {
        let effects = cluster.effects();
        let accepted = self.all();
        let mut held = 0;
        for (id, action) in &accepted {
            let execution = cluster.api().get(&format!("/v1/executions/{id}")).await.json(200);
            let status = execution["status"].as_str().unwrap();
            let times = effects.get(id).copied().unwrap_or(0);
            if *action == "unsafe" {
                assert!(times <= 1, "{id} is unsafe and took effect {times} times: {execution}");
                held += usize::from(status == "in_doubt");
            } else {
                assert_eq!(status, "succeeded", "{execution}");
            }
            if status == "succeeded" {
                assert!(times >= 1, "{id} succeeded without effect");
            }
            let events = cluster.api().get(&format!("/v1/executions/{id}/events?limit=500")).await.json(200);
            check_history(id, status, events["items"].as_array().unwrap());
        }
        let executions = cluster.all_executions().await;
        assert_eq!(executions, accepted.len(), "no trigger led to more than one execution");
        println!("{} executions, {held} held in doubt", accepted.len());
    }
}

/// One trigger, attempts numbered without a gap, and one end behind everything.
fn check_history(id: &str, status: &str, events: &[Value]) {
    let types: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types[0], "trigger_received", "{id}: {types:?}");
    let mut counts = HashMap::<&str, usize>::new();
    for r#type in &types {
        *counts.entry(r#type).or_default() += 1;
    }
    assert_eq!(counts["trigger_received"], 1, "{id}: {types:?}");
    let attempts: Vec<u64> = events
        .iter()
        .filter(|event| event["type"] == "attempt_started")
        .map(|event| event["attempt"].as_u64().unwrap())
        .collect();
    let expected: Vec<u64> = (1..=attempts.len() as u64).collect();
    assert_eq!(attempts, expected, "{id}: {types:?}");
    let ends = counts.get("action_executed").copied().unwrap_or(0);
    if status == "in_doubt" {
        assert_eq!((ends, *types.last().unwrap()), (0, "attempt_in_doubt"), "{id}: {types:?}");
    } else {
        assert_eq!((ends, *types.last().unwrap()), (1, "action_executed"), "{id}: {types:?}");
    }
    let ended = ["attempt_failed", "attempt_in_doubt", "action_executed", "attempt_abandoned"];
    let mut open = false;
    for r#type in types {
        match r#type {
            "attempt_started" => {
                assert!(!open, "{id}: two attempts at once");
                open = true;
            }
            r#type if ended.contains(&r#type) => open = false,
            _ => {}
        }
    }
}
