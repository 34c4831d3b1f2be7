//! Events: the service's own form, and CloudEvents 1.0 for the outside.

use action_domain::{
    cloud_event,
    event::Event,
    id::{ActionId, EventId, ExecutionId},
    time::Timestamp,
};
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

/// The media type of an event for the outside.
pub(crate) const CLOUDEVENTS_JSON: &str = cloud_event::CloudEvent::MEDIA_TYPE;

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

/// An event as a CloudEvent, as the domain writes it: events that set off actions have the same form.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct CloudEvent<'a>(cloud_event::CloudEvent<'a>);

impl<'a> From<&'a Event> for CloudEvent<'a> {
    fn from(event: &'a Event) -> Self {
        Self(event.into())
    }
}

impl PartialSchema for CloudEvent<'_> {
    fn schema() -> RefOr<Schema> {
        CloudEventForm::schema()
    }
}

impl ToSchema for CloudEvent<'_> {
    fn name() -> Cow<'static, str> {
        CloudEventForm::name()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        CloudEventForm::schemas(schemas);
    }
}

/// An event as a CloudEvent (1.0.2, JSON format). Beside the standard attributes it has our own
/// extensions, whose names may have no underscore.
#[derive(ToSchema)]
#[schema(as = CloudEvent)]
#[expect(dead_code, reason = "describes what the domain writes")]
struct CloudEventForm {
    #[schema(example = "1.0")]
    specversion: String,
    /// The event's id.
    id: String,
    /// The action, or the service itself.
    #[schema(example = "/v1/actions/act_01jd8q3v5tevk9xw2xk5z7c1ya")]
    source: String,
    /// What happened. New words may come.
    #[schema(example = "action_executed")]
    r#type: String,
    /// When.
    #[schema(format = DateTime)]
    time: String,
    /// The execution.
    #[schema(nullable = false)]
    subject: Option<String>,
    #[schema(example = "application/json")]
    datacontenttype: String,
    /// The place in the log. A string: an integer of a CloudEvent has 32 bits only.
    #[schema(example = "4711")]
    position: String,
    /// The action's revision.
    #[schema(nullable = false)]
    revision: Option<u32>,
    /// Ties together what belongs together across systems.
    #[schema(nullable = false)]
    correlationid: Option<String>,
    /// The event that led to this one.
    #[schema(nullable = false)]
    causationid: Option<String>,
    /// The attempt; 1 for the first.
    #[schema(nullable = false)]
    attempt: Option<u32>,
    /// What happened in detail; its members depend on the type.
    #[schema(value_type = Value)]
    data: String,
}
