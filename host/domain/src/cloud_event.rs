//! Events in the form for the outside: CloudEvents 1.0.2, JSON format.

use crate::{
    event::Event,
    id::{ActionId, EventId, ExecutionId},
    time::Timestamp,
};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// An event as a CloudEvent. Beside the standard attributes it has our own extensions, whose names may
/// have no underscore.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the attributes are those of the specification and of `Event`")]
pub struct CloudEvent<'a> {
    pub specversion: &'static str,
    pub id: EventId,
    pub source: Source,
    pub r#type: &'a str,
    pub time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<ExecutionId>,
    pub datacontenttype: &'static str,
    /// A string: an integer of a CloudEvent has 32 bits only.
    #[serde(serialize_with = "as_text")]
    pub position: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlationid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causationid: Option<EventId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    pub data: &'a RawValue,
}

/// The action, or the service itself; written as a path of its API.
#[derive(Debug, Clone, Copy)]
pub struct Source(pub Option<ActionId>);

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

impl CloudEvent<'_> {
    /// The media type of one.
    pub const MEDIA_TYPE: &'static str = "application/cloudevents+json";
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
