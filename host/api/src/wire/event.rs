//! Events: the service's own form, and CloudEvents 1.0 for the outside.

use action_domain::{
    event::Event,
    id::{ActionId, EventId, ExecutionId},
    time::Timestamp,
};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// The media type of an event for the outside.
pub(crate) const CLOUDEVENTS_JSON: &str = "application/cloudevents+json";

/// An event. What does not apply is left out.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventBody<'a> {
    /// Its id.
    #[schema(value_type = String, example = "evt_01jd8q3v5tevk9xw2xk5z7c1ya")]
    id: EventId,
    /// Its place in the log. Later events have larger ones.
    #[schema(example = 4711)]
    position: i64,
    /// What happened. New words may come.
    #[schema(example = "action_executed")]
    r#type: &'a str,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    time: Timestamp,
    /// The action.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    action: Option<ActionId>,
    /// The action's revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    revision: Option<u32>,
    /// The execution.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    execution: Option<ExecutionId>,
    /// Ties together what belongs together across systems.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    correlation_id: Option<&'a str>,
    /// The event that led to this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    causation_id: Option<EventId>,
    /// The attempt; 1 for the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    attempt: Option<u32>,
    /// What happened in detail; its members depend on the type.
    #[schema(value_type = Value)]
    data: &'a RawValue,
}

impl<'a> From<&'a Event> for EventBody<'a> {
    fn from(event: &'a Event) -> Self {
        let context = &event.context;
        Self {
            id: event.id,
            position: event.position,
            r#type: &event.r#type,
            time: event.time,
            action: context.action,
            revision: context.revision,
            execution: context.execution,
            correlation_id: context.correlation_id.as_deref(),
            causation_id: context.causation_id,
            attempt: context.attempt,
            data: &event.data,
        }
    }
}

/// An event as a CloudEvent (1.0.2, JSON format). Beside the standard attributes it has our own
/// extensions, whose names may have no underscore.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CloudEvent)]
pub(crate) struct CloudEvent<'a> {
    #[schema(example = "1.0")]
    specversion: &'static str,
    /// The event's id.
    #[schema(value_type = String)]
    id: EventId,
    /// The action, or the service itself.
    #[schema(value_type = String, example = "/v1/actions/act_01jd8q3v5tevk9xw2xk5z7c1ya")]
    source: Source,
    /// What happened. New words may come.
    #[schema(example = "action_executed")]
    r#type: &'a str,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    time: Timestamp,
    /// The execution.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    subject: Option<ExecutionId>,
    #[schema(example = "application/json")]
    datacontenttype: &'static str,
    /// The place in the log. A string: an integer of a CloudEvent has 32 bits only.
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String, example = "4711")]
    position: i64,
    /// The action's revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    revision: Option<u32>,
    /// Ties together what belongs together across systems.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    correlationid: Option<&'a str>,
    /// The event that led to this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    causationid: Option<EventId>,
    /// The attempt; 1 for the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    attempt: Option<u32>,
    /// What happened in detail; its members depend on the type.
    #[schema(value_type = Value)]
    data: &'a RawValue,
}

/// Written as a path of this API.
#[derive(Debug)]
struct Source(Option<ActionId>);

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(action) => serializer.collect_str(&format_args!("/v1/actions/{action}")),
            None => serializer.serialize_str("/v1"),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn as_text<S: Serializer>(position: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(position)
}

impl<'a> From<&'a Event> for CloudEvent<'a> {
    fn from(event: &'a Event) -> Self {
        let context = &event.context;
        Self {
            specversion: "1.0",
            id: event.id,
            source: Source(context.action),
            r#type: &event.r#type,
            time: event.time,
            subject: context.execution,
            datacontenttype: "application/json",
            position: event.position,
            revision: context.revision,
            correlationid: context.correlation_id.as_deref(),
            causationid: context.causation_id,
            attempt: context.attempt,
            data: &event.data,
        }
    }
}
