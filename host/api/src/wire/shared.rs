//! Descriptions of forms that the domain writes itself, because the event log keeps them too.

use serde_json::Value;
use utoipa::ToSchema;

/// Why an attempt or an execution did not succeed.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the domain writes")]
pub(crate) struct ExecutionError {
    /// Stable word: `invalid_config`, `invalid_input`, `transform_failed`, `protocol_failed`, `trapped`,
    /// `fuel_exhausted`, `deadline_exceeded`, `memory_exceeded`, `output_too_large`, `egress_denied`,
    /// `secret_missing`, `worker_lost`, `cancelled`, `expired` or `host_error`.
    #[schema(example = "protocol_failed")]
    code: String,
    /// For people.
    message: String,
    /// Who has to act: `action`, `protocol`, `remote` or `host`.
    #[schema(example = "remote")]
    blame: String,
    /// What the protocol reported, where it reported something.
    #[schema(nullable = false)]
    failure: Option<Failure>,
}

/// A failure that the protocol itself reported.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the domain writes")]
pub(crate) struct Failure {
    /// `invalid_config`, `invalid_input`, `unauthenticated`, `rejected`, `rate_limited`, `unavailable`,
    /// `bad_response` or `internal`.
    #[schema(example = "unavailable")]
    kind: String,
    /// For people.
    message: String,
    /// `"give_up"`, `"retry"`, `{"retry_after_ms": 1000}` or `"in_doubt"`.
    #[schema(value_type = Value)]
    advice: Value,
    /// More about it, as the protocol sees fit.
    #[schema(nullable = false, value_type = Option<Value>)]
    details: Option<Value>,
}

/// What one attempt used, as measured by the host.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the domain writes")]
pub(crate) struct Receipt {
    /// Fuel: about one unit for each WebAssembly instruction.
    fuel: u64,
    /// The most linear memory that the instance had, in bytes.
    memory_bytes: u64,
    /// From the start of the attempt to its end, in microseconds.
    wall_us: u64,
    /// The part of it in which the component's own code ran, in microseconds.
    guest_us: u64,
    /// Requests and connections to the outside that were let through.
    requests: u32,
    /// Bytes sent to the outside.
    bytes_out: u64,
    /// Bytes received from the outside.
    bytes_in: u64,
}

/// What a connection test found.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the domain writes")]
pub(crate) struct ConnectionTest {
    /// `connected`: it works. `hollow`: the protocol says so, but nobody was contacted, so it is worth nothing.
    /// `failed`: it does not work.
    #[schema(example = "connected")]
    verdict: String,
    /// What the protocol reported, if it succeeded.
    #[schema(required = true)]
    report: Option<ConnectionReport>,
    /// Why it failed, if it did.
    #[schema(required = true)]
    error: Option<ExecutionError>,
    /// What the host saw on the way, in order.
    stages: Vec<Stage>,
    /// What it cost.
    receipt: Receipt,
}

/// What a protocol reports of a connection.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the domain writes")]
pub(crate) struct ConnectionReport {
    /// One line.
    summary: String,
    /// More, as the protocol sees fit.
    #[schema(value_type = Value)]
    details: Value,
}

/// One step towards a remote, as the host saw it.
#[derive(ToSchema)]
#[expect(dead_code, clippy::struct_field_names, reason = "describes what the domain writes")]
pub(crate) struct Stage {
    /// `grant`, `name_resolution`, `connect`, `tls` or `protocol`.
    #[schema(example = "connect")]
    stage: String,
    /// To whom: `host:port`.
    target: String,
    /// Whether it worked.
    ok: bool,
    /// How long it took, in milliseconds.
    ms: u64,
    /// What was found, or what went wrong.
    message: String,
    /// What to do if it went wrong.
    #[schema(nullable = false)]
    hint: Option<String>,
}

/// How a save changed what an action may do.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the domain writes")]
pub(crate) struct PowerChange {
    /// The protocol, where it is another or another version.
    #[schema(nullable = false)]
    protocol: Option<FromTo>,
    /// What a repeat does to the outside.
    #[schema(nullable = false)]
    effect: Option<FromTo>,
    /// Whether it asks for private networks.
    #[schema(nullable = false)]
    private_networks: Option<FromTo>,
    /// What it may reach that it could not reach before.
    #[schema(required = false)]
    egress_added: Vec<ChangedRule>,
    /// What it could reach and may not reach any more.
    #[schema(required = false)]
    egress_removed: Vec<ChangedRule>,
    /// Interfaces that its protocol imports and the one before did not.
    #[schema(required = false)]
    imports_added: Vec<String>,
    /// HTTP methods that its protocol's connection test may use and the one before could not.
    #[schema(required = false)]
    test_methods_added: Vec<String>,
    /// Secrets that its config names and did not name before.
    #[schema(required = false)]
    secrets_added: Vec<String>,
    /// Secrets that its config named and does not name any more.
    #[schema(required = false)]
    secrets_removed: Vec<String>,
    /// Secrets that its protocol may see and could not see before (`grants.reveal`).
    #[schema(required = false)]
    reveal_added: Vec<String>,
    /// Secrets that its protocol could see and may not see any more.
    #[schema(required = false)]
    reveal_removed: Vec<String>,
    /// Secrets that another protocol, or another version, sees from now on because the one before did.
    #[schema(required = false)]
    reveal_kept: Vec<String>,
}

/// A value before and after.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the domain writes")]
pub(crate) struct FromTo {
    /// Before.
    #[schema(value_type = Value, example = "http@0.1.0")]
    from: Value,
    /// After.
    #[schema(value_type = Value, example = "http@0.2.0")]
    to: Value,
}

/// A host that came to what may be reached, or went.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the domain writes")]
pub(crate) struct ChangedRule {
    /// A host name, an address, or `*.` and a name for all names below it.
    host: String,
    /// Its ports; empty for all.
    ports: Vec<u16>,
    /// Whether an HTTP request has to be HTTPS; left out where not.
    #[schema(required = false)]
    https_only: bool,
    /// JSON Pointer into the action, to where the rule was given.
    #[schema(example = "/config/url")]
    from: String,
}

#[cfg(test)]
mod tests {
    use super::{ChangedRule, ConnectionReport, ConnectionTest, ExecutionError, Failure, PowerChange, Receipt, Stage};
    use action_domain::{
        egress::{HostPattern, Rule},
        failure,
        protocol::Pin,
        receipt, services,
        upgrade::{self, FromTo},
    };
    use serde_json::json;
    use utoipa::PartialSchema;

    fn described<T: PartialSchema>() -> Vec<String> {
        let schema = serde_json::to_value(T::schema()).unwrap();
        let mut names: Vec<String> = schema["properties"].as_object().unwrap().keys().cloned().collect();
        names.sort();
        names
    }

    fn written(value: &impl serde::Serialize) -> Vec<String> {
        let value = serde_json::to_value(value).unwrap();
        let mut names: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_described_is_what_is_written() {
        let failure = failure::Failure {
            kind: failure::FailureKind::Unavailable,
            message: "m".into(),
            advice: failure::Advice::RetryAfterMs(1),
            details: Some(json!({})),
        };
        assert_eq!(written(&failure), described::<Failure>());
        assert_eq!(written(&failure::ExecutionError::reported(failure)), described::<ExecutionError>());
        assert_eq!(written(&receipt::Receipt::default()), described::<Receipt>());
        let report = services::ConnectionReport { summary: "s".into(), details: json!({}) };
        assert_eq!(written(&report), described::<ConnectionReport>());
        let stage = services::Stage {
            stage: services::StageKind::Tls,
            target: "h:1".into(),
            ok: true,
            ms: 1,
            message: "m".into(),
            hint: Some("h".into()),
        };
        assert_eq!(written(&stage), described::<Stage>());
        let test = services::ConnectionTest {
            verdict: services::Verdict::Hollow,
            report: Some(report),
            error: None,
            stages: vec![stage],
            receipt: receipt::Receipt::default(),
        };
        assert_eq!(written(&test), described::<ConnectionTest>());
        let rule = Rule {
            host: HostPattern::parse("a.test").unwrap(),
            ports: vec![1],
            https_only: true,
            from: "/config/url".into(),
        };
        assert_eq!(written(&rule), described::<ChangedRule>());
        let moved = FromTo { from: "p@0.1.0".parse::<Pin>().unwrap(), to: "p@0.2.0".parse().unwrap() };
        assert_eq!(written(&moved), described::<super::FromTo>());
        let change = upgrade::PowerChange {
            protocol: Some(moved),
            effect: Some(FromTo { from: failure::Effect::Read, to: failure::Effect::Unsafe }),
            private_networks: Some(FromTo { from: false, to: true }),
            egress_added: vec![rule.clone()],
            egress_removed: vec![rule],
            imports_added: vec!["wasi:http/types@0.2.6".into()],
            test_methods_added: vec!["POST".into()],
            secrets_added: vec!["a".parse().unwrap()],
            secrets_removed: vec!["b".parse().unwrap()],
            reveal_added: vec!["a".into()],
            reveal_removed: vec!["b".into()],
            reveal_kept: vec!["c".into()],
        };
        assert_eq!(written(&change), described::<PowerChange>());
    }
}
