//! Every limit of the service in one place, with its unit in its name.
//!
//! README.md has the table for those who configure actions.

use crate::failure::Issue;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A time that is further ahead than this was set by a clock that was wrong then: nothing waits for it.
/// Clocks that are kept together differ by less.
pub const CLOCK_AHEAD_MAX: Duration = Duration::from_mins(5);

/// The same idempotency key gives the same execution for this long.
pub const IDEMPOTENCY_KEY_FOR: Duration = Duration::from_hours(24);

/// An idempotency key has no more bytes than this.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// A lease lasts this long from each renewal: as long a worker may be silent before others take up
/// its work.
pub const LEASE: Duration = Duration::from_secs(30);

/// A seal covers what happened in this time, if anything did.
pub const SEAL_EVERY: Duration = Duration::from_mins(1);

/// Largest component that can be uploaded.
pub const COMPONENT_BYTES_MAX: usize = 64 << 20;
/// Most compiled code that a node keeps on disk. What was used least lately goes first; it is
/// compiled again when it is wanted again.
pub const COMPILED_BYTES_MAX: u64 = 2 << 30;
/// Largest input of an execution.
pub const INPUT_BYTES_MAX: usize = 16 << 20;
/// Largest JSON document (an action, a config) in a request.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;
/// Most issues that one refusal lists.
pub const ISSUES_MAX: usize = 100;
/// Largest answer of a protocol to the caller of a webhook, headers and body together.
pub const REPLY_BYTES_MAX: usize = 64 << 10;
/// Most headers of such an answer.
pub const REPLY_HEADERS_MAX: usize = 32;
/// Most executions that one process keeps running. They count apart from attempts that end.
pub const CONTINUOUS_MAX: usize = 64;
/// Most log lines of one attempt that are kept.
pub const LOG_LINES_MAX: usize = 256;
/// Most bytes of one attempt's log that are kept.
pub const LOG_BYTES_MAX: usize = 64 << 10;
/// Most progress reports of one attempt that are kept.
pub const PROGRESS_REPORTS_MAX: usize = 256;
/// Most requests and connections of one attempt.
pub const REQUESTS_MAX: u32 = 100;
/// Largest response body that a protocol is given.
pub const RESPONSE_BYTES_MAX: usize = 16 << 20;
/// Longest time to reach a remote, from name resolution to a connection with TLS.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for `describe` and `validate-config`.
pub const PURE_CALL_TIMEOUT: Duration = Duration::from_secs(1);
/// Fuel for `describe` and `validate-config`.
pub const PURE_CALL_FUEL: u64 = 100_000_000;
/// Longest expression of a transform, in bytes.
pub const EXPRESSION_BYTES_MAX: usize = 64 << 10;
/// What one call of a transform may use. An endless expression of jq ends by its fuel after about a
/// tenth of a second of computing; the wall time also bounds one that others keep from computing.
pub const TRANSFORM_LIMITS: Limits =
    Limits { timeout_ms: 1_000, fuel: 1_000_000_000, memory_bytes: 64 << 20, output_bytes: INPUT_BYTES_MAX as u64 };
/// Table elements that one instance may have, all tables together.
pub const TABLE_ELEMENTS_MAX: usize = 40_000;
/// WebAssembly's own stack.
pub const WASM_STACK_BYTES_MAX: usize = 512 << 10;
/// Most items of one page.
pub const PAGE_ITEMS_MAX: u32 = 500;
/// Items of a page when the caller does not say.
pub const PAGE_ITEMS_DEFAULT: u32 = 50;
/// Longest wait of a caller for an execution, whatever `Prefer` says.
pub const WAIT_MAX: Duration = Duration::from_secs(30);
/// Added to an attempt's deadline to make its lease: the time to write the outcome.
pub const LEASE_MARGIN: Duration = Duration::from_secs(30);
/// Most labels of an action.
pub const LABELS_MAX: usize = 64;
/// Longest key or value of a label, in bytes.
pub const LABEL_BYTES_MAX: usize = 255;
/// Shortest secret: a shorter value is found in texts that have nothing to do with it, and taking it
/// out would ruin them.
pub const SECRET_BYTES_MIN: usize = 6;
/// Shortest secret that proves a delivery to a webhook by itself (`scheme: key`): nobody guesses so many bytes that
/// were made at random, however long they try.
pub const WEBHOOK_KEY_BYTES_MIN: usize = 16;
/// Largest secret: room for keys and chains of certificates.
pub const SECRET_BYTES_MAX: usize = 64 << 10;
/// Most that the headers and the query of a request have together where secrets are filled in, with everything that
/// stands around them: a component may write a handle of 36 bytes as often as it likes, for a value of 64 KiB.
pub const FILLED_BYTES_MAX: usize = 256 << 10;
/// Most executions whose denials a proposal of grants looks at, and how many where nobody says.
pub const OBSERVED_EXECUTIONS_MAX: u32 = 100;
/// See [`OBSERVED_EXECUTIONS_MAX`].
pub const OBSERVED_EXECUTIONS_DEFAULT: u32 = 20;
/// Most actions that a new version of a protocol is asked about at once.
pub const UPGRADE_ACTIONS_MAX: usize = 200;
/// Longest time that a new version is asked about actions: whoever uploads it waits.
pub const UPGRADE_TIME_MAX: Duration = Duration::from_secs(10);
/// Longest pause that a remote may ask an action for: what it asks for beyond is a mistake, or meant to
/// stop the action for good.
pub const RETRY_AFTER_MAX: Duration = Duration::from_hours(24);
/// Most attempts that a delivery rule may ask for.
pub const ATTEMPTS_MAX: u32 = 100;

/// The least that an action may ask for. Under it nothing runs, or nothing that acted could say
/// so, and the protocol would be blamed for it. The guest `noop` needs 761 of fuel, one page of
/// memory (WebAssembly's unit) and a quarter of a millisecond; the frame of an output that
/// tells of an HTTP response takes some hundred bytes.
pub const LIMITS_MIN: Limits = Limits { timeout_ms: 10, fuel: 10_000, memory_bytes: 64 << 10, output_bytes: 1 << 10 };

// A page of events with the largest inline payloads has to fit into what a server may hold
// for a request, and the log of one attempt into one event page.
const _: () = assert!(LOG_BYTES_MAX <= crate::payload::INLINE_BYTES_MAX);
const _: () = assert!(PAGE_ITEMS_DEFAULT <= PAGE_ITEMS_MAX);
// Every secret can be sent, escaped for a query too, whatever a server takes.
const _: () = assert!(FILLED_BYTES_MAX > SECRET_BYTES_MAX * 3);

/// The limits of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Wall time of an attempt, in milliseconds.
    pub timeout_ms: u64,
    /// Fuel of an attempt.
    pub fuel: u64,
    /// Linear memory of an instance, in bytes.
    pub memory_bytes: u64,
    /// Output, and each item, in bytes.
    pub output_bytes: u64,
}

impl Limits {
    /// The wall time of an attempt.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

/// What an action asks for; what it leaves out is the default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsSpec {
    /// Wall time of an attempt, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Fuel of an attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// Linear memory of an instance, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Output, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_bytes: Option<u64>,
}

/// The operator's word on limits: the defaults, and how far an action may go.
#[derive(Debug, Clone, Copy)]
pub struct LimitsPolicy {
    /// Used where an action says nothing.
    pub default: Limits,
    /// No action gets more.
    pub ceiling: Limits,
}

impl Default for LimitsPolicy {
    fn default() -> Self {
        Self {
            default: Limits { timeout_ms: 30_000, fuel: 1_000_000_000, memory_bytes: 128 << 20, output_bytes: 8 << 20 },
            ceiling: Limits {
                timeout_ms: 900_000,
                fuel: 1_000_000_000_000,
                memory_bytes: 1 << 30,
                output_bytes: 64 << 20,
            },
        }
    }
}

impl LimitsPolicy {
    /// The limits of an attempt. What was over the ceiling when the operator lowered it is cut.
    pub fn resolve(&self, spec: &LimitsSpec) -> Limits {
        let pick = |asked: Option<u64>, default: u64, ceiling: u64| asked.unwrap_or(default).min(ceiling);
        Limits {
            timeout_ms: pick(spec.timeout_ms, self.default.timeout_ms, self.ceiling.timeout_ms),
            fuel: pick(spec.fuel, self.default.fuel, self.ceiling.fuel),
            memory_bytes: pick(spec.memory_bytes, self.default.memory_bytes, self.ceiling.memory_bytes),
            output_bytes: pick(spec.output_bytes, self.default.output_bytes, self.ceiling.output_bytes),
        }
    }

    /// What is wrong with what an action asks for; pointers are relative to the action.
    pub fn check(&self, spec: &LimitsSpec) -> Vec<Issue> {
        let (floor, ceiling) = (LIMITS_MIN, self.ceiling);
        let fields = [
            ("timeout_ms", spec.timeout_ms, floor.timeout_ms, ceiling.timeout_ms),
            ("fuel", spec.fuel, floor.fuel, ceiling.fuel),
            ("memory_bytes", spec.memory_bytes, floor.memory_bytes, ceiling.memory_bytes),
            ("output_bytes", spec.output_bytes, floor.output_bytes, ceiling.output_bytes),
        ];
        let out_of_range = |(field, asked, floor, ceiling): (&str, Option<u64>, u64, u64)| {
            let message = match asked? {
                asked if asked < floor => format!("{asked} is under {floor}, the least with which anything runs"),
                asked if asked > ceiling => format!("{asked} is over {ceiling}, the most that the operator allows"),
                _ => return None,
            };
            Some(Issue::new(format!("/limits/{field}"), "out_of_range", message))
        };
        fields.into_iter().filter_map(out_of_range).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stands_between_the_floor_and_the_ceiling() {
        let policy = LimitsPolicy::default();
        let all = |limits: Limits| LimitsSpec {
            timeout_ms: Some(limits.timeout_ms),
            fuel: Some(limits.fuel),
            memory_bytes: Some(limits.memory_bytes),
            output_bytes: Some(limits.output_bytes),
        };
        for fine in [LimitsSpec::default(), all(LIMITS_MIN), all(policy.default), all(policy.ceiling)] {
            assert!(policy.check(&fine).is_empty(), "{fine:?}");
        }
        let wrong = LimitsSpec { timeout_ms: Some(0), fuel: Some(u64::MAX), memory_bytes: Some(3), output_bytes: None };
        let issues = policy.check(&wrong);
        let told: Vec<_> = issues.iter().map(|issue| (issue.pointer.as_str(), issue.message.as_str())).collect();
        assert_eq!(
            told,
            [
                ("/limits/timeout_ms", "0 is under 10, the least with which anything runs"),
                ("/limits/fuel", "18446744073709551615 is over 1000000000000, the most that the operator allows"),
                ("/limits/memory_bytes", "3 is under 65536, the least with which anything runs"),
            ]
        );
        assert!(issues.iter().all(|issue| issue.code == "out_of_range"));
    }
}
