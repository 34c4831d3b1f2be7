//! The rules of an action: its limits and its delivery.

use action_domain::{action, limits::LimitsSpec, turn};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How much an attempt may use. What is left out is the service's default.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// Wall time, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 30_000)]
    timeout_ms: Option<u64>,
    /// Fuel: about one unit for each WebAssembly instruction.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1_000_000_000)]
    fuel: Option<u64>,
    /// Linear memory, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 134_217_728)]
    memory_bytes: Option<u64>,
    /// Output, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 8_388_608)]
    output_bytes: Option<u64>,
}

impl From<Limits> for LimitsSpec {
    fn from(Limits { timeout_ms, fuel, memory_bytes, output_bytes }: Limits) -> Self {
        Self { timeout_ms, fuel, memory_bytes, output_bytes }
    }
}

impl From<LimitsSpec> for Limits {
    fn from(LimitsSpec { timeout_ms, fuel, memory_bytes, output_bytes }: LimitsSpec) -> Self {
        Self { timeout_ms, fuel, memory_bytes, output_bytes }
    }
}

/// How often and when an execution is tried.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Delivery {
    /// 1 to 100; the first one counts.
    max_attempts: u32,
    /// How long to wait between attempts.
    backoff: Backoff,
    /// What to do with an attempt of which nobody knows whether it took effect.
    on_doubt: OnDoubt,
    /// Executions at once, across all workers.
    max_concurrent: Option<u32>,
    /// How fast executions begin, across all workers.
    rate: Option<Rate>,
    /// A jq expression over the input, like `.customer.id`. Executions with the same value run one after another, in
    /// the order in which they came; those for which it is `null` have no order.
    #[schema(example = ".customer.id")]
    ordering_key: Option<String>,
    /// What becomes of those behind a failed one.
    on_order_failure: OnOrderFailure,
    /// An execution that has not begun after this time is not begun any more, in milliseconds.
    expire_after_ms: Option<u64>,
    /// How often the action gets its turn beside others that are due. None is starved.
    priority: Priority,
}

impl Default for Delivery {
    fn default() -> Self {
        action::Delivery::default().into()
    }
}

impl From<Delivery> for action::Delivery {
    fn from(delivery: Delivery) -> Self {
        Self {
            max_attempts: delivery.max_attempts,
            backoff: delivery.backoff.into(),
            on_doubt: delivery.on_doubt.into(),
            max_concurrent: delivery.max_concurrent,
            rate: delivery.rate.map(Into::into),
            ordering_key: delivery.ordering_key,
            on_order_failure: delivery.on_order_failure.into(),
            expire_after_ms: delivery.expire_after_ms,
            priority: delivery.priority.into(),
        }
    }
}

impl From<action::Delivery> for Delivery {
    fn from(delivery: action::Delivery) -> Self {
        Self {
            max_attempts: delivery.max_attempts,
            backoff: delivery.backoff.into(),
            on_doubt: delivery.on_doubt.into(),
            max_concurrent: delivery.max_concurrent,
            rate: delivery.rate.map(Into::into),
            ordering_key: delivery.ordering_key,
            on_order_failure: delivery.on_order_failure.into(),
            expire_after_ms: delivery.expire_after_ms,
            priority: delivery.priority.into(),
        }
    }
}

/// How fast executions of an action begin.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rate {
    /// Executions a second, on average: 0.001 to 1000000.
    #[schema(example = 50.0)]
    per_second: f64,
    /// Executions that may begin at once after a pause: 1 where left out.
    #[serde(default = "one")]
    burst: u32,
}

const fn one() -> u32 {
    1
}

impl From<Rate> for turn::Rate {
    fn from(Rate { per_second, burst }: Rate) -> Self {
        Self { per_second, burst }
    }
}

impl From<turn::Rate> for Rate {
    fn from(turn::Rate { per_second, burst }: turn::Rate) -> Self {
        Self { per_second, burst }
    }
}

/// How long to wait between attempts.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Backoff {
    /// After the first attempt, in milliseconds.
    initial_ms: u64,
    /// From each wait to the next.
    factor: f64,
    /// No wait is longer, in milliseconds.
    max_ms: u64,
    /// The share of each wait that is random, 0 to 1.
    jitter: f64,
}

impl Default for Backoff {
    fn default() -> Self {
        action::Backoff::default().into()
    }
}

impl From<Backoff> for action::Backoff {
    fn from(Backoff { initial_ms, factor, max_ms, jitter }: Backoff) -> Self {
        Self { initial_ms, factor, max_ms, jitter }
    }
}

impl From<action::Backoff> for Backoff {
    fn from(action::Backoff { initial_ms, factor, max_ms, jitter }: action::Backoff) -> Self {
        Self { initial_ms, factor, max_ms, jitter }
    }
}

/// A choice of the domain under the same words.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident of $domain:path { $($(#[$variant_doc:meta])* $variant:ident,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub(crate) enum $name { $($(#[$variant_doc])* $variant,)* }

        impl From<$name> for $domain {
            fn from(choice: $name) -> Self {
                match choice { $($name::$variant => Self::$variant,)* }
            }
        }

        impl From<$domain> for $name {
            fn from(choice: $domain) -> Self {
                use $domain as Domain;
                match choice { $(Domain::$variant => Self::$variant,)* }
            }
        }
    };
}

choice! {
    OnDoubt of action::OnDoubt {
        /// Somebody decides.
        Hold,
        /// Try again.
        Retry,
        /// Give up.
        Fail,
    }
}

choice! {
    OnOrderFailure of action::OnOrderFailure {
        /// They wait until it is retried well or cancelled.
        Block,
        /// They go on.
        Skip,
    }
}

choice! {
    Priority of turn::Priority {
        /// One execution a turn.
        Low,
        /// Two executions a turn.
        Normal,
        /// Four executions a turn.
        High,
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;
    use serde_json::{Value, json};

    #[tokio::test]
    async fn every_delivery_rule_can_be_set_and_seen() {
        let api = Api::new();
        api.upload("echo 0.1.0").await.is(201);
        let save = async |name: &str, delivery: Value| {
            let body = json!({"name": name, "protocol": "echo", "config": {}, "delivery": delivery});
            api.post("/v1/actions").json(&body).send().await
        };
        let all = json!({
            "max_attempts": 3, "backoff": {"initial_ms": 1, "factor": 1.5, "max_ms": 9, "jitter": 0.0},
            "on_doubt": "fail", "max_concurrent": 2, "rate": {"per_second": 0.5, "burst": 3},
            "ordering_key": ".customer.id", "on_order_failure": "skip", "expire_after_ms": 60_000, "priority": "high",
        });
        let saved = save("all", all.clone()).await;
        saved.is(201);
        assert_eq!(saved.json()["delivery"], all);
        let defaults = save("none", json!({"max_concurrent": null, "rate": null, "ordering_key": null})).await;
        defaults.is(201);
        assert_eq!(
            defaults.json()["delivery"],
            json!({
                "max_attempts": 5, "backoff": {"initial_ms": 1000, "factor": 2.0, "max_ms": 600_000, "jitter": 0.2},
                "on_doubt": "hold", "max_concurrent": null, "rate": null, "ordering_key": null,
                "on_order_failure": "block", "expire_after_ms": null, "priority": "normal",
            })
        );
        assert_eq!(save("rate", json!({"rate": {"per_second": 1}})).await.json()["delivery"]["rate"]["burst"], 1);
        for (delivery, pointers) in [
            (
                json!({"max_concurrent": 0, "rate": {"per_second": 0, "burst": 0}, "expire_after_ms": 0}),
                &["/expire_after_ms", "/max_concurrent", "/rate/burst", "/rate/per_second"][..],
            ),
            (
                json!({"rate": {"burst": 1}, "on_order_failure": "stop", "priority": "urgent", "queue": "a"}),
                &["/on_order_failure", "/priority", "/queue", "/rate/per_second"],
            ),
        ] {
            let refused = save("wrong", delivery).await;
            refused.is_problem(422, "invalid_document");
            let mut found: Vec<_> = (refused.json()["errors"].as_array().unwrap().iter())
                .map(|error| error["pointer"].as_str().unwrap().trim_start_matches("/delivery").to_owned())
                .collect();
            found.sort();
            assert_eq!(found, pointers);
        }
    }
}
