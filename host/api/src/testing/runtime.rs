//! A runtime that only pretends: a component is the text `name version`, and the config's `mode`
//! says what it does. One that is called `plain` takes any input.

use action_domain::{
    capture::Captured,
    digest::Digest,
    failure::{Advice, Effect, ErrorCode, ExecutionError, Failure, FailureKind, Issue, Sent},
    receipt::Receipt,
    services::{
        Accepted, Admitted, AttemptReport, AttemptRequest, ConnectionReport, ConnectionTest, Outcome, ProtocolRuntime,
        RawDescriptor, RuntimeError, Stage, StageKind, TestRequest, ValidateError, Verdict,
    },
};
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

#[derive(Default)]
pub(crate) struct FakeRuntime {
    panics: AtomicBool,
}

impl FakeRuntime {
    /// The next connection test panics.
    pub(crate) fn panic_next(&self) {
        self.panics.store(true, Ordering::Relaxed);
    }
}

fn mode(config: &str) -> String {
    let config: Value = serde_json::from_str(config).unwrap();
    config["mode"].as_str().unwrap_or_default().to_owned()
}

fn config_schema() -> Value {
    json!({
        "type": "object",
        "properties": {"mode": {"type": "string"}, "token": {"type": "string", "writeOnly": true}, "url": {"type": "string", "x-egress": "http"}},
    })
}

#[async_trait]
impl ProtocolRuntime for FakeRuntime {
    async fn admit(&self, component: Bytes) -> Result<Admitted, RuntimeError> {
        let text = std::str::from_utf8(&component).unwrap_or_default();
        let mut words = text.split(' ');
        let (Some(name), Some(version)) = (words.next(), words.next()) else {
            let issues = vec![Issue::new("", "not_a_component", "no"), Issue::new("/name", "invalid", "no")];
            return Err(RuntimeError::Refused(issues));
        };
        Ok(Admitted {
            digest: Digest::of(&component),
            imports: Vec::new(),
            reconciles: false,
            descriptor: Some(RawDescriptor {
                name: name.into(),
                version: version.into(),
                summary: "Gives back what it gets".into(),
                documentation: "# Echo".into(),
                config_schema: config_schema().to_string(),
                input_schema: (name != "plain").then(|| json!({"type": "object"}).to_string()),
                ..RawDescriptor::default()
            }),
        })
    }

    async fn prepare(&self, _: Digest) -> Result<(), RuntimeError> {
        Ok(())
    }

    async fn validate_config(&self, _: Digest, config: Arc<str>) -> Result<Accepted, ValidateError> {
        let (effect, warnings) = match mode(&config).as_str() {
            "refused" => return Err(ValidateError::Refused(vec![Issue::new("/mode", "bad_mode", "not this one")])),
            "warn" => (Effect::Read, vec![Issue::new("/mode", "a_warning", "take care")]),
            "doubt" => (Effect::Unsafe, Vec::new()),
            _ => (Effect::Read, Vec::new()),
        };
        Ok(Accepted { effect, warnings })
    }

    async fn test_connection(&self, request: TestRequest) -> Result<ConnectionTest, RuntimeError> {
        assert!(!self.panics.load(Ordering::Relaxed), "the runtime panics, as it was told to");
        let stage = |rule: &action_domain::egress::Rule| Stage {
            stage: StageKind::Connect,
            target: format!("{}:{}", rule.host, rule.ports.first().copied().unwrap_or_default()),
            ok: true,
            ms: 1,
            message: "connected".into(),
            hint: None,
        };
        let stages: Vec<_> = request.egress.rules.iter().map(stage).collect();
        Ok(ConnectionTest {
            verdict: if stages.is_empty() { Verdict::Hollow } else { Verdict::Connected },
            report: Some(ConnectionReport { summary: "fine".into(), details: Value::Null }),
            error: None,
            stages,
            receipt: Receipt::default(),
        })
    }

    async fn run(&self, request: AttemptRequest) -> AttemptReport {
        let failure = |kind, advice| {
            let failure = Failure { kind, message: "no".into(), advice, details: None };
            Err(ExecutionError::reported(failure))
        };
        let result = match mode(&request.config).as_str() {
            "fail" => failure(FailureKind::Rejected, Advice::GiveUp),
            "doubt" => Err(ExecutionError::new(ErrorCode::Trapped, "cut off")),
            "slow" => {
                tokio::time::sleep(Duration::from_hours(1)).await;
                failure(FailureKind::Internal, Advice::GiveUp)
            }
            _ => Ok(Outcome { output: request.input, reply: None }),
        };
        let effect = if mode(&request.config) == "doubt" { Effect::Unsafe } else { Effect::Read };
        let captured = Captured::default();
        AttemptReport { result, receipt: Receipt::default(), sent: Sent::MaybeSent, effect: Some(effect), captured }
    }
}
