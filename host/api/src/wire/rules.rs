//! The rules of an action: its limits and its delivery.

use action_domain::{action, limits::LimitsSpec};
use serde::{Deserialize, Serialize};
use serde_json::Value;
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
    /// Executions at once. Not available yet.
    max_concurrent: Option<u32>,
    /// Executions a second. Not available yet.
    #[schema(value_type = Option<Value>)]
    rate: Option<Value>,
    /// Executions with the same key run one after another. Not available yet.
    ordering_key: Option<String>,
    /// What becomes of those behind a failed one. Not available yet.
    on_order_failure: Option<String>,
    /// Executions older than this are not begun. Not available yet.
    expire_after_ms: Option<u64>,
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
            rate: delivery.rate,
            ordering_key: delivery.ordering_key,
            on_order_failure: delivery.on_order_failure,
            expire_after_ms: delivery.expire_after_ms,
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
            rate: delivery.rate,
            ordering_key: delivery.ordering_key,
            on_order_failure: delivery.on_order_failure,
            expire_after_ms: delivery.expire_after_ms,
        }
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

#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnDoubt {
    /// Somebody decides.
    Hold,
    /// Try again.
    Retry,
    /// Give up.
    Fail,
}

impl From<OnDoubt> for action::OnDoubt {
    fn from(on_doubt: OnDoubt) -> Self {
        match on_doubt {
            OnDoubt::Hold => Self::Hold,
            OnDoubt::Retry => Self::Retry,
            OnDoubt::Fail => Self::Fail,
        }
    }
}

impl From<action::OnDoubt> for OnDoubt {
    fn from(on_doubt: action::OnDoubt) -> Self {
        match on_doubt {
            action::OnDoubt::Hold => Self::Hold,
            action::OnDoubt::Retry => Self::Retry,
            action::OnDoubt::Fail => Self::Fail,
        }
    }
}
