//! What an end means: a trap, a limit, a denial becomes one of the stable error codes.

use crate::{
    bindings::v0_1::julee::action::model,
    capability::{gate::Gate, secrets::NoKey},
    invoke::Ended,
    limiter::Refused,
    state::State,
};
use action_domain::{
    failure::{Advice, Effect, ErrorCode, ExecutionError, Failure, FailureKind, Issue},
    limits::{ISSUES_MAX, Limits},
    secret::Redactor,
    services::Accepted,
};
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};

/// Longest text that a component's end may leave in the record.
const MESSAGE_CHARS_MAX: usize = 1000;
/// Most frames of a backtrace that are told.
const FRAMES_MAX: usize = 5;

/// Why a phase ended, in the words of the record.
pub(crate) fn error(ended: &Ended, phase: &str, state: &State, limits: &Limits) -> ExecutionError {
    match ended {
        Ended::Deadline(limit) => {
            let ms = limit.as_millis();
            let message = format!("{phase} was ended: its time of {ms} ms was over");
            ExecutionError::new(ErrorCode::DeadlineExceeded, message)
        }
        Ended::Panic => {
            let message = format!("a defect of the service ended {phase}; its log has more");
            ExecutionError::new(ErrorCode::HostError, message)
        }
        Ended::Error(error) => of_error(error, phase, state, limits),
    }
}

fn of_error(error: &wasmtime::Error, phase: &str, state: &State, limits: &Limits) -> ExecutionError {
    let trap = error.downcast_ref::<Trap>();
    if trap == Some(&Trap::OutOfFuel) {
        let message = format!("{phase} used all its fuel ({})", limits.fuel);
        return ExecutionError::new(ErrorCode::FuelExhausted, message);
    }
    if error.is::<PoolConcurrencyLimitError>() {
        let message = "the pool of instances has no place left for this component";
        return ExecutionError::new(ErrorCode::HostError, message);
    }
    if let Some(no_key) = error.downcast_ref::<NoKey>() {
        return ExecutionError::new(ErrorCode::InvalidConfig, format!("{phase} was ended: {no_key}"));
    }
    if is_too_much_at_once(error) {
        let most = limits.output_bytes;
        let message = format!("{phase} gave more data at once than the host takes; limits.output_bytes is {most}");
        return ExecutionError::new(ErrorCode::OutputTooLarge, message);
    }
    if let Some(refused) = state.limiter.refused() {
        // What a component does when it gets no memory is its toolchain's choice: it traps.
        let what = match refused {
            Refused::Memory(most) => format!("memory: more than {most} bytes"),
            Refused::Table(most) => format!("table: more than {most} elements"),
        };
        return ExecutionError::new(ErrorCode::MemoryExceeded, format!("{phase} was refused {what}, and ended then"));
    }
    if let Some(exit) = error.downcast_ref::<wasmtime_wasi::I32Exit>() {
        // WASI 0.2 carries no code, only whether it was a success: `exit(7)` arrives as 1.
        let how = if exit.0 == 0 { "success" } else { "failure" };
        let message = format!("{phase} called exit (with {how}) and gave no answer; a protocol returns its failure");
        return ExecutionError::new(ErrorCode::Trapped, message);
    }
    // The cause's own words; wasmtime's backtrace and the host's are no part of them.
    let cause = trap.map_or_else(|| error.root_cause().to_string(), ToString::to_string);
    let cause = cause.strip_prefix("wasm trap: ").unwrap_or(&cause);
    let message = format!("{phase} trapped: {cause}{}", frames(error));
    ExecutionError::new(ErrorCode::Trapped, short(&message, state.gate.secrets.redactor()))
}

/// wasmtime's error for it is private, so its text has to do; `each_limit_has_its_code` runs into it.
fn is_too_much_at_once(error: &wasmtime::Error) -> bool {
    error.chain().any(|cause| cause.to_string().contains("fuel allocated for hostcalls has been exhausted"))
}

fn frames(error: &wasmtime::Error) -> String {
    let Some(trace) = error.downcast_ref::<WasmBacktrace>() else { return String::new() };
    let names: Vec<_> = trace.frames().iter().filter_map(|frame| frame.func_name()).take(FRAMES_MAX).collect();
    if names.is_empty() { String::new() } else { format!(" in {}", names.join(", called by ")) }
}

/// Not longer than a text of a component's may be in the record. Secrets are taken out of it there, and so it is
/// cut within none.
pub(crate) fn short(text: &str, secrets: &Redactor) -> String {
    secrets.cut(text, MESSAGE_CHARS_MAX).map_or_else(|| text.to_owned(), |text| format!("{text}…"))
}

/// A failure that the protocol reported. Where the gate had denied something, that is the
/// reason to tell: runtimes hide it behind words like "network error".
pub(crate) fn reported(failure: model::Failure, gate: &Gate) -> ExecutionError {
    let secrets = gate.secrets.redactor();
    let failure = to_failure(failure, secrets);
    match gate.journal.last_denial() {
        None => ExecutionError::reported(failure),
        Some(denial) => {
            let message = short(&denial.to_string(), secrets);
            ExecutionError { failure: Some(failure), ..ExecutionError::new(ErrorCode::EgressDenied, message) }
        }
    }
}

fn to_failure(failure: model::Failure, secrets: &Redactor) -> Failure {
    let kind = match failure.kind {
        model::FailureKind::InvalidConfig => FailureKind::InvalidConfig,
        model::FailureKind::InvalidInput => FailureKind::InvalidInput,
        model::FailureKind::Unauthenticated => FailureKind::Unauthenticated,
        model::FailureKind::Rejected => FailureKind::Rejected,
        model::FailureKind::RateLimited => FailureKind::RateLimited,
        model::FailureKind::Unavailable => FailureKind::Unavailable,
        model::FailureKind::BadResponse => FailureKind::BadResponse,
        model::FailureKind::Internal => FailureKind::Internal,
    };
    let advice = match failure.advice {
        model::Advice::GiveUp => Advice::GiveUp,
        model::Advice::Retry => Advice::Retry,
        model::Advice::RetryAfter(ms) => Advice::RetryAfterMs(ms),
        model::Advice::InDoubt => Advice::InDoubt,
    };
    let details = failure.details.map(|text| json(&text, secrets));
    Failure { kind, message: short(&failure.message, secrets), advice, details }
}

/// What should be JSON, or the text where it is not or is too much.
pub(crate) fn json(text: &str, secrets: &Redactor) -> serde_json::Value {
    const DETAILS_BYTES_MAX: usize = 16 << 10;
    if text.len() > DETAILS_BYTES_MAX {
        return serde_json::Value::String(short(text, secrets));
    }
    serde_json::from_str(text).unwrap_or_else(|_| serde_json::Value::String(short(text, secrets)))
}

/// What the protocol says is wrong with a document.
pub(crate) fn issues(issues: Vec<model::Issue>, secrets: &Redactor) -> Vec<Issue> {
    issues
        .into_iter()
        .take(ISSUES_MAX)
        .map(|issue| Issue {
            pointer: short(&issue.pointer, secrets),
            code: short(&issue.code, secrets),
            message: short(&issue.message, secrets),
            place: None,
        })
        .collect()
}

/// A config that the protocol accepts.
pub(crate) fn accepted(accepted: model::Accepted, secrets: &Redactor) -> Accepted {
    Accepted { effect: effect(accepted.effect), warnings: issues(accepted.warnings, secrets) }
}

/// What a repeat does.
pub(crate) fn effect(effect: model::Effect) -> Effect {
    match effect {
        model::Effect::Read => Effect::Read,
        model::Effect::Idempotent => Effect::Idempotent,
        model::Effect::Keyed => Effect::Keyed,
        model::Effect::Unsafe => Effect::Unsafe,
    }
}

/// The config was refused when the attempt began.
pub(crate) fn invalid_config(refused: Vec<model::Issue>, secrets: &Redactor) -> ExecutionError {
    const TOLD: usize = 10;
    let issues = issues(refused, secrets);
    let more = issues.len().saturating_sub(TOLD);
    let mut told: Vec<_> = issues
        .iter()
        .take(TOLD)
        .map(|issue| {
            let place = if issue.pointer.is_empty() { "the config" } else { &issue.pointer };
            format!("{place}: {}", issue.message)
        })
        .collect();
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    let told = if told.is_empty() { "it does not say why".to_owned() } else { told.join("; ") };
    ExecutionError::new(ErrorCode::InvalidConfig, format!("the protocol does not accept the config: {told}"))
}

/// The output is over the limit.
pub(crate) fn output_too_large(bytes: usize, limits: &Limits) -> ExecutionError {
    let most = limits.output_bytes;
    let message = format!("the output of {bytes} bytes is over limits.output_bytes ({most})");
    ExecutionError::new(ErrorCode::OutputTooLarge, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use action_domain::secret::{AttemptSecrets, Held};
    use std::sync::Arc;

    #[test]
    fn what_is_too_long_is_cut_within_no_secret_and_nothing_else_is_changed() {
        let value = Some(Arc::new(b"hunter2-hunter2".to_vec().into()));
        let held = Held { handle: "sec_".to_owned(), name: "token".parse().unwrap(), value, reveal: true };
        let secrets = AttemptSecrets::new(vec![held]);
        let around = "x".repeat(MESSAGE_CHARS_MAX - 5);
        let failure = |text: String| {
            let failure = model::Failure {
                kind: model::FailureKind::Internal,
                message: text.clone(),
                advice: model::Advice::GiveUp,
                details: Some(text),
            };
            let Failure { message, details, .. } = to_failure(failure, secrets.redactor());
            assert_eq!(details, Some(message.clone().into()));
            message
        };
        assert_eq!(failure(format!("{around}hunter2-hunter2")), format!("{around}…"));
        assert_eq!(failure(format!("{around}hunter3-hunter2")), format!("{around}hunte…"));
        assert_eq!(failure("hunter2-hunter2 and hunter2-…".to_owned()), "hunter2-hunter2 and hunter2-…");
    }
}
