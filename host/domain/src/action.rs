//! Actions: data that says which protocol runs with which config, set off by what.

use crate::{
    failure::{Effect, Issue},
    id::ActionId,
    limits::{self, LimitsSpec},
    name::Name,
    protocol::Pin,
    schedule::Overlap,
    secret::reference,
    time::Timestamp,
    trigger::{self, Trigger},
    turn::{Priority, Rate, Turn},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// One revision of an action. A save makes a new one; the old ones stay readable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// Its id, the same for all revisions.
    pub id: ActionId,
    /// 1 for the first.
    pub revision: u32,
    /// The protocol, resolved when this revision was saved.
    pub protocol: Pin,
    /// The transforms that its expressions name, resolved when this revision was saved.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub transforms: BTreeMap<String, Pin>,
    /// What the protocol said this config does to the outside when repeated.
    pub effect: Effect,
    /// What was saved.
    pub spec: ActionSpec,
    /// When the first revision was saved.
    pub created_at: Timestamp,
    /// When this revision was saved.
    pub updated_at: Timestamp,
}

/// What somebody writes to make or change an action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionSpec {
    /// Unique.
    pub name: Name,
    /// A disabled action refuses every trigger.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// For finding it.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// `http`, `http@^0.1` or `http@0.1.0`.
    pub protocol: String,
    /// For the protocol, by its schema.
    pub config: Value,
    /// What sets it off, beside a call, which always may.
    #[serde(default)]
    pub triggers: Vec<Trigger>,
    /// Applied to what comes in.
    #[serde(default)]
    pub input_transform: Option<Transform>,
    /// Applied to what the protocol gives.
    #[serde(default)]
    pub output_transform: Option<Transform>,
    /// What it may reach beside the config's own hosts.
    #[serde(default)]
    pub grants: Grants,
    /// How much an attempt may use.
    #[serde(default)]
    pub limits: LimitsSpec,
    /// How often and when it is tried.
    #[serde(default)]
    pub delivery: Delivery,
}

fn yes() -> bool {
    true
}

/// An expression over data, in the language of a transform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transform {
    /// A transform: `jq`, `jq@^0.1` or `jq@0.1.0`.
    pub language: String,
    /// In that language.
    pub expression: String,
}

/// The powers that an action gives to its protocol.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grants {
    /// Hosts beside those in the config.
    #[serde(default)]
    pub egress: Vec<EgressGrant>,
    /// Whether private, loopback and link-local addresses may be reached; the operator has to
    /// allow it too.
    #[serde(default)]
    pub private_networks: bool,
    /// Secrets of the config whose values the protocol may see, by name.
    #[serde(default)]
    pub reveal: Vec<String>,
}

/// Hosts that may be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EgressGrant {
    /// A host name, an address, or `*.` and a name for all names below it.
    pub host: String,
    /// Its ports; empty for all.
    #[serde(default)]
    pub ports: Vec<u16>,
}

/// How often and when an execution is tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Delivery {
    /// The first one counts.
    pub max_attempts: u32,
    /// How long to wait between attempts.
    pub backoff: Backoff,
    /// What to do with an attempt of which nobody knows whether it took effect.
    pub on_doubt: OnDoubt,
    /// Executions at once, across all workers.
    pub max_concurrent: Option<u32>,
    /// How fast executions begin, across all workers.
    pub rate: Option<Rate>,
    /// A jq expression over the input; executions with the same value run one after another.
    pub ordering_key: Option<String>,
    /// What becomes of those behind a failed one.
    pub on_order_failure: OnOrderFailure,
    /// Executions older than this (in milliseconds) are not begun.
    pub expire_after_ms: Option<u64>,
    /// How often the action gets its turn beside others.
    pub priority: Priority,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            max_attempts: 5,
            backoff: Backoff::default(),
            on_doubt: OnDoubt::Hold,
            max_concurrent: None,
            rate: None,
            ordering_key: None,
            on_order_failure: OnOrderFailure::Block,
            expire_after_ms: None,
            priority: Priority::Normal,
        }
    }
}

/// How long to wait between attempts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Backoff {
    /// After the first attempt, in milliseconds.
    pub initial_ms: u64,
    /// From each wait to the next.
    pub factor: f64,
    /// No wait is longer, in milliseconds.
    pub max_ms: u64,
    /// The share of each wait that is random, 0 to 1.
    pub jitter: f64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { initial_ms: 1_000, factor: 2.0, max_ms: 600_000, jitter: 0.2 }
    }
}

impl Backoff {
    /// The wait after attempt number `attempt` (1 for the first). `random` is between 0 and 1
    /// and moves the wait by up to `jitter` of it either way.
    pub fn wait(&self, attempt: u32, random: f64) -> Duration {
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let plain = (self.initial_ms as f64 * self.factor.powi(exponent)).min(self.max_ms as f64);
        let moved = plain * (1.0 + self.jitter * (2.0 * random - 1.0));
        // Milliseconds: max_ms is checked to be under a year, so this neither overflows nor loses much.
        Duration::from_millis(moved.clamp(0.0, 3.2e10) as u64)
    }
}

/// What to do with an attempt of which nobody knows whether it took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDoubt {
    /// Somebody decides.
    Hold,
    /// Try again.
    Retry,
    /// Give up.
    Fail,
}

/// What becomes of executions behind a failed one with the same ordering key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnOrderFailure {
    /// They wait until it is retried well or cancelled.
    #[default]
    Block,
    /// They go on.
    Skip,
}

impl ActionSpec {
    /// What is wrong with it as far as it can be told without its protocol. Everything, not
    /// the first thing.
    pub fn check(&self) -> Vec<Issue> {
        let mut issues = Vec::new();
        self.check_expressions(&mut issues);
        if self.labels.len() > limits::LABELS_MAX {
            issues.push(Issue::new("/labels", "too_many", format!("more than {} labels", limits::LABELS_MAX)));
        }
        for (key, value) in &self.labels {
            if key.is_empty() || key.len() > limits::LABEL_BYTES_MAX || value.len() > limits::LABEL_BYTES_MAX {
                let message = format!("a label's key and value have 1 to {} bytes", limits::LABEL_BYTES_MAX);
                issues.push(Issue::new(format!("/labels/{}", escape_pointer(key)), "too_long", message));
            }
        }
        for (index, grant) in self.grants.egress.iter().enumerate() {
            if let Err(message) = crate::egress::HostPattern::parse(&grant.host) {
                issues.push(Issue::new(format!("/grants/egress/{index}/host"), "invalid_host", message));
            }
            for (place, _) in grant.ports.iter().enumerate().filter(|(_, port)| **port == 0) {
                let message = "ports are 1 to 65535; leave `ports` out for all of them";
                issues.push(Issue::new(format!("/grants/egress/{index}/ports/{place}"), "invalid_port", message));
            }
        }
        self.check_reveal(&mut issues);
        issues.extend(trigger::check(&self.triggers));
        self.check_queues(&mut issues);
        self.delivery.check(&mut issues);
        issues
    }

    /// An execution waits in one row. Where the action says in which, a schedule cannot name another.
    fn check_queues(&self, issues: &mut Vec<Issue>) {
        if self.delivery.ordering_key.is_none() {
            return;
        }
        for (index, trigger) in self.triggers.iter().enumerate() {
            if matches!(trigger, Trigger::Schedule(schedule) if schedule.overlap == Overlap::Queue) {
                let message = "the action has an ordering key, by which its executions wait for one another";
                issues.push(Issue::new(format!("/triggers/{index}/overlap"), "invalid", message));
            }
        }
    }

    /// The secrets that it needs: those of its config and those of its triggers.
    pub fn secrets(&self) -> BTreeSet<Name> {
        let of_triggers = trigger::secrets(&self.triggers).into_iter().map(|(name, _)| name);
        self.config_secrets().into_iter().chain(of_triggers).collect()
    }

    /// The secrets that an attempt needs.
    pub fn config_secrets(&self) -> BTreeSet<Name> {
        reference::names(&self.config)
    }

    /// A name that is none, or that the config does not use, would grant nothing and look as if it did.
    fn check_reveal(&self, issues: &mut Vec<Issue>) {
        let used = self.config_secrets();
        for (index, name) in self.grants.reveal.iter().enumerate() {
            if !used.iter().any(|used| used.as_str() == name) {
                let message = format!("the config does not use a secret `{name}`");
                issues.push(Issue::new(format!("/grants/reveal/{index}"), "secret_not_used", message));
            }
        }
    }
}

impl Delivery {
    /// How an execution of the action with this ordering key takes its turn, created now.
    pub fn turn(&self, ordering_key: Option<Arc<str>>, now: Timestamp) -> Turn {
        Turn {
            priority: self.priority,
            max_concurrent: self.max_concurrent,
            rate: self.rate,
            ordering_key,
            order_blocks: self.on_order_failure == OnOrderFailure::Block,
            expires_at: self.expire_after_ms.map(|ms| now.plus(Duration::from_millis(ms))),
            aside: false,
            counted: false,
            takes_no_seat: false,
        }
    }

    fn check(&self, issues: &mut Vec<Issue>) {
        // A year: longer waits are mistakes in the unit.
        const WAIT_MS_MAX: u64 = 365 * 24 * 3600 * 1000;
        let mut require = |ok: bool, field: &str, message: &str| {
            if !ok {
                issues.push(Issue::new(format!("/delivery/{field}"), "out_of_range", message));
            }
        };
        require((1..=limits::ATTEMPTS_MAX).contains(&self.max_attempts), "max_attempts", "1 to 100 attempts");
        require(self.backoff.initial_ms <= WAIT_MS_MAX, "backoff/initial_ms", "at most a year");
        require(self.backoff.max_ms <= WAIT_MS_MAX, "backoff/max_ms", "at most a year");
        require((1.0..=100.0).contains(&self.backoff.factor), "backoff/factor", "between 1 and 100");
        require((0.0..=1.0).contains(&self.backoff.jitter), "backoff/jitter", "between 0 and 1");
        require(self.max_concurrent.is_none_or(|most| most > 0), "max_concurrent", "at least 1");
        if let Some(rate) = &self.rate {
            require((0.001..=1_000_000.0).contains(&rate.per_second), "rate/per_second", "0.001 to 1000000");
            require((1..=1_000_000).contains(&rate.burst), "rate/burst", "1 to 1000000");
        }
        require(
            self.expire_after_ms.is_none_or(|ms| (1..=WAIT_MS_MAX).contains(&ms)),
            "expire_after_ms",
            "1 ms to a year",
        );
    }
}

/// A key as a part of a JSON Pointer (RFC 6901 section 3).
pub fn escape_pointer(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_schedule_has_no_row_beside_the_one_of_its_action() {
        let pointers = |ordering_key: Option<&str>| -> Vec<String> {
            let spec: ActionSpec = serde_json::from_value(json!({
                "name": "a", "protocol": "http", "config": {},
                "triggers": [
                    {"type": "schedule", "every_ms": 1000, "overlap": "skip"},
                    {"type": "schedule", "every_ms": 1000, "overlap": "queue"}
                ],
                "delivery": {"ordering_key": ordering_key}
            }))
            .unwrap();
            spec.check().into_iter().map(|issue| issue.pointer).collect()
        };
        assert_eq!(pointers(Some(".customer")), ["/triggers/1/overlap"]);
        assert!(pointers(None).is_empty());
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_place() {
        let spec: ActionSpec = serde_json::from_value(json!({
            "name": "a", "protocol": "http",
            "config": {"headers": {"a/b": {"$secret": "x"}}},
            "triggers": [{"type": "call"}, {"type": "schedule", "cron": "61 * * * *"}],
            "grants": {"reveal": ["x", "y"], "egress": [{"host": "http://x", "ports": [0, 80, 0]}, {"host": "x"}]},
            "delivery": {"max_attempts": 0, "rate": {"per_second": 0}, "ordering_key": "x", "backoff": {"factor": 0.5}}
        }))
        .unwrap();
        let pointers: Vec<String> = spec.check().into_iter().map(|issue| issue.pointer).collect();
        assert_eq!(
            pointers,
            [
                "/grants/egress/0/host",
                "/grants/egress/0/ports/0",
                "/grants/egress/0/ports/2",
                "/grants/reveal/1",
                "/triggers/1/cron",
                "/delivery/max_attempts",
                "/delivery/backoff/factor",
                "/delivery/rate/per_second",
            ]
        );
    }

    #[test]
    fn the_wait_grows_to_its_limit_and_no_further() {
        let backoff = Backoff { initial_ms: 1000, factor: 2.0, max_ms: 5000, jitter: 0.2 };
        let waits: Vec<u128> = (1..=5).map(|attempt| backoff.wait(attempt, 0.5).as_millis()).collect();
        assert_eq!(waits, [1000, 2000, 4000, 5000, 5000]);
        assert_eq!(backoff.wait(1, 0.0).as_millis(), 800);
        assert_eq!(backoff.wait(1, 1.0).as_millis(), 1200);
        assert_eq!(backoff.wait(u32::MAX, 0.5).as_millis(), 5000);
    }
}
