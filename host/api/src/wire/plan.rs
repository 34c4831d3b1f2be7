//! What an action would do.

use crate::wire::shared::{ExecutionError, Receipt};
use action_domain::{
    capture::Item,
    event::Fact,
    payload::{Payload, RecordedPayload},
    services::PlannedRequest,
};
use action_engine::Planned;
use serde::Serialize;
use utoipa::ToSchema;

/// What an action would do with an input.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Plan)]
pub(crate) struct PlanBody {
    /// Requests that it would make, in their order. What it would make of the answers nobody knows.
    #[schema(value_type = Vec<PlannedRequestForm>)]
    requests: Vec<PlannedRequest>,
    /// Items that it would capture.
    items: Vec<PlannedItem>,
    /// What it wrote to its log, and what it was denied.
    log: Vec<PlanEntry>,
    /// What it gave: `content_type`, `bytes`, and `json`, `base64`, or the `digest` of what is large.
    #[schema(required = true, value_type = Option<Value>)]
    output: Option<RecordedPayload>,
    /// Why it gave nothing. Most protocols fail where they reach nobody.
    #[schema(required = true, value_type = Option<ExecutionError>)]
    error: Option<action_domain::failure::ExecutionError>,
    /// What it cost.
    #[schema(value_type = Receipt)]
    receipt: action_domain::receipt::Receipt,
}

/// A request that would have been made.
#[derive(ToSchema)]
#[schema(as = PlannedRequest)]
#[expect(dead_code, reason = "describes what the domain writes")]
struct PlannedRequestForm {
    /// An HTTP method; `TCP`, `UDP` or `DNS` where it is none.
    #[schema(example = "POST")]
    method: String,
    /// To where: a URL, or `host:port`.
    #[schema(example = "https://api.example.com/orders")]
    target: String,
    /// Names and values, with the names of secrets in the place of secrets.
    #[schema(value_type = Vec<Vec<String>>)]
    headers: Vec<(String, String)>,
    /// `content_type`, `bytes`, and `json`, `base64`, or the `digest` of what is large.
    #[schema(nullable = false, value_type = Option<Value>)]
    body: Option<RecordedPayload>,
}

#[derive(Debug, Serialize, ToSchema)]
struct PlannedItem {
    kind: String,
    #[schema(required = true)]
    key: Option<String>,
    /// `content_type`, `bytes`, and `json`, `base64`, or the `digest` of what is large.
    #[schema(value_type = Value)]
    content: RecordedPayload,
}

#[derive(Debug, Serialize, ToSchema)]
struct PlanEntry {
    /// A type of event: `message_logged`, `progress_reported`, `egress_denied`.
    #[schema(example = "message_logged")]
    r#type: &'static str,
    /// As the event would have it.
    #[schema(value_type = Value)]
    data: Fact,
}

impl From<Planned> for PlanBody {
    fn from(Planned { requests, items, entries, result, receipt }: Planned) -> Self {
        let (output, error) = match result {
            Ok(output) => (Some(output), None),
            Err(error) => (None, Some(error)),
        };
        let recorded = |payload: &Payload| payload.recorded().0;
        let item = |Item { key, kind, content }: Item| PlannedItem {
            kind: kind.to_string(),
            key: key.map(|key| key.to_string()),
            content: recorded(&content),
        };
        Self {
            requests,
            items: items.into_iter().map(item).collect(),
            log: entries
                .into_iter()
                .map(|entry| PlanEntry { r#type: entry.fact.event_type().as_str(), data: entry.fact })
                .collect(),
            output: output.as_ref().map(recorded),
            error,
            receipt,
        }
    }
}
