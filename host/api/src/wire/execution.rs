//! Executions. On the hot path: nothing is copied that can be borrowed.

use crate::wire::shared;
use action_domain::{
    execution::{Execution, Status},
    failure::ExecutionError,
    id::{ActionId, ExecutionId},
    payload::{RecordedPayload, every_reader_takes, is_json},
    protocol::Pin,
    receipt::Receipt,
    time::Timestamp,
};
use action_engine::ExecutionView;
use serde::{Serialize, Serializer, ser::SerializeStruct as _};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// One run of an action.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Execution)]
pub(crate) struct ExecutionBody<'a> {
    #[serde(flatten)]
    #[schema(inline)]
    head: Head<'a>,
    /// What it gave, if it succeeded. JSON stands here as it is; other bytes as
    /// `{"content_type", "base64"}`; what is over 64 KiB as `{"content_type", "bytes", "href"}`.
    #[schema(value_type = Option<Value>, required = true)]
    output: Option<Output<'a>>,
}

/// An execution in a list: the same without its output.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExecutionSummary)]
pub(crate) struct Head<'a> {
    /// Its id.
    #[schema(value_type = String, example = "exe_01jd8q3v5tevk9xw2xk5z7c1ya")]
    id: ExecutionId,
    /// The action's id.
    #[schema(value_type = String, example = "act_01jd8q3v5tevk9xw2xk5z7c1ya")]
    action: ActionId,
    /// The revision that it began with and keeps.
    revision: u32,
    /// The protocol of that revision.
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String, example = "http@0.1.0")]
    protocol: &'a Pin,
    /// `queued`, `running`, `waiting` (for a retry), `in_doubt`, `succeeded`, `failed`, `cancelled` or `expired`.
    #[schema(example = "succeeded")]
    status: &'static str,
    /// Attempts begun so far.
    attempts: u32,
    /// Of the last attempt that failed.
    #[schema(value_type = Option<shared::ExecutionError>, required = true)]
    error: Option<&'a ExecutionError>,
    /// Of the last attempt that ended.
    #[schema(value_type = Option<shared::Receipt>, required = true)]
    receipt: Option<Receipt>,
    /// When the trigger came.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When the first attempt began.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    started_at: Option<Timestamp>,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    ended_at: Option<Timestamp>,
    /// When it is due; only while `queued`, where that is later than its trigger: its action's rate or a remote
    /// that asked to wait has given it a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    run_at: Option<Timestamp>,
    /// When the next attempt is due; only while `waiting`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    retry_at: Option<Timestamp>,
    /// Somebody wants it stopped; only while `running`, and only where true.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    cancel_requested: Option<bool>,
    /// Executions of the action with the same key run one after another; where the action has an order and the input a
    /// key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    ordering_key: Option<&'a str>,
    /// When it is too late to begin; where the action says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    expires_at: Option<Timestamp>,
    /// Ties together what belongs together across systems.
    correlation_id: &'a str,
}

impl<'a> From<&'a Execution> for Head<'a> {
    fn from(execution: &'a Execution) -> Self {
        Self {
            id: execution.id,
            action: execution.action,
            revision: execution.revision,
            protocol: &execution.protocol,
            status: execution.status.as_str(),
            attempts: execution.attempt,
            error: execution.error.as_ref(),
            receipt: execution.receipt,
            created_at: execution.created_at,
            started_at: execution.started_at,
            ended_at: execution.ended_at,
            run_at: execution.given_time(),
            retry_at: execution.run_at.filter(|_| execution.status == Status::Waiting),
            cancel_requested: (execution.cancel_requested && execution.status == Status::Running).then_some(true),
            ordering_key: execution.turn.ordering_key.as_deref(),
            expires_at: execution.turn.expires_at,
            correlation_id: &execution.correlation_id,
        }
    }
}

impl<'a> From<&'a ExecutionView> for ExecutionBody<'a> {
    fn from(view: &'a ExecutionView) -> Self {
        let id = view.execution.id;
        Self { head: (&view.execution).into(), output: view.output.as_ref().map(|output| Output { id, output }) }
    }
}

#[derive(Debug)]
struct Output<'a> {
    id: ExecutionId,
    output: &'a RecordedPayload,
}

impl Serialize for Output<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let output = self.output;
        if let Some(json) = &output.json {
            return json.serialize(serializer);
        }
        if output.digest.is_some() {
            let mut form = serializer.serialize_struct("Output", 3)?;
            form.serialize_field("content_type", &output.content_type)?;
            form.serialize_field("bytes", &output.bytes)?;
            form.serialize_field("href", &format_args!("/v1/executions/{}/output", self.id))?;
            return form.end();
        }
        if let Some(json) = json_with_space(output) {
            return json.serialize(serializer);
        }
        let mut form = serializer.serialize_struct("Output", 2)?;
        form.serialize_field("content_type", &output.content_type)?;
        form.serialize_field("base64", output.base64.as_deref().unwrap_or_default())?;
        form.end()
    }
}

/// JSON with white space around it: the record keeps such bytes in base64, because they have to
/// come back as they were. Here the value counts.
fn json_with_space(output: &RecordedPayload) -> Option<Box<RawValue>> {
    if !is_json(&output.content_type) {
        return None;
    }
    let data = output.inline()?.data;
    let text = std::str::from_utf8(&data).ok().filter(|text| every_reader_takes(text))?;
    RawValue::from_string(text.trim_ascii().to_owned()).ok()
}

fn as_text<S: Serializer>(pin: &Pin, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(pin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Api;
    use action_domain::{payload::Payload, services::Clock as _};
    use action_testkit::FakeClock;
    use serde_json::{Value, json};
    use std::{sync::Arc, time::Duration};

    fn output(content_type: &str, data: &[u8]) -> Value {
        let payload = Payload { content_type: content_type.into(), data: bytes::Bytes::copy_from_slice(data) };
        let id = "exe_01h455vb4pex5vsknk084sn02q".parse().unwrap();
        serde_json::to_value(Output { id, output: &payload.recorded().0 }).unwrap()
    }

    #[test]
    fn an_output_in_each_of_its_forms() {
        assert_eq!(output("application/json", br#"{"a":1}"#), json!({"a": 1}));
        assert_eq!(output("application/json", b"null"), Value::Null);
        assert_eq!(output("application/ld+json", b" {\"a\": 1}\n"), json!({"a": 1}));
        assert_eq!(
            output("application/json", b"oops"),
            json!({"content_type": "application/json", "base64": "b29wcw=="})
        );
        assert_eq!(output("text/plain", b"x"), json!({"content_type": "text/plain", "base64": "eA=="}));
        assert_eq!(
            output("text/plain", &vec![b'x'; 70_000]),
            json!({
                "content_type": "text/plain",
                "bytes": 70_000,
                "href": "/v1/executions/exe_01h455vb4pex5vsknk084sn02q/output",
            })
        );
    }

    #[tokio::test]
    async fn what_waits_for_the_rate_of_its_action_tells_its_time() {
        let clock = FakeClock::default();
        let api = Api::with(Arc::new(clock.clone()), None, true);
        api.upload("echo 0.1.0").await.is(201);
        let delivery = json!({"rate": {"per_second": 0.01}});
        let body = json!({"name": "a", "protocol": "echo", "config": {}, "delivery": delivery});
        api.post("/v1/actions").json(&body).send().await.is(201);
        api.start().await;
        let queue = async || {
            let accepted = api.post("/v1/actions/a/execute").with("prefer", "respond-async").send().await;
            accepted.is(202);
            accepted.json()
        };
        assert!(queue().await.get("run_at").is_none());
        let path = format!("/v1/executions/{}", queue().await["id"].as_str().unwrap());
        let time = json!(clock.now().plus(Duration::from_secs(100)));
        api.until(&path, |execution| execution["run_at"] == time && execution["status"] == "queued").await;
    }

    #[tokio::test]
    async fn what_holds_an_execution_up_is_told_where_it_is_set() {
        let api = Api::new();
        api.upload("echo 0.1.0").await.is(201);
        let delivery = json!({"ordering_key": ".customer", "expire_after_ms": 60_000});
        let body = json!({"name": "a", "protocol": "echo", "config": {}, "delivery": delivery});
        api.post("/v1/actions").json(&body).send().await.is(201);
        api.protocol_and_action("plain").await;
        let queue = async |action: &str, input: Value| {
            let call = api.post(&format!("/v1/actions/{action}/execute")).with("prefer", "respond-async");
            let accepted = call.json(&input).send().await;
            accepted.is(202);
            accepted.json()
        };
        let ordered = queue("a", json!({"customer": 7})).await;
        assert_eq!(ordered["ordering_key"], "7");
        let created: Timestamp = ordered["created_at"].as_str().unwrap().parse().unwrap();
        let expires: Timestamp = ordered["expires_at"].as_str().unwrap().parse().unwrap();
        assert_eq!(expires.since(created).as_millis(), 60_000);
        assert!(queue("a", json!({"no": "customer"})).await.get("ordering_key").is_none());
        let plain = queue("plain", json!({"customer": 7})).await;
        assert!(["ordering_key", "expires_at", "cancel_requested"].iter().all(|member| plain.get(member).is_none()));
    }
}
