//! Consumers: what is sent to make one, and what is told of one.

use crate::wire::event::EventBody;
use action_domain::{consumer::StandingConsumer, event::EventType, time::Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a consumer reads. All conditions hold.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConsumerSpec)]
pub(crate) struct ConsumerSpec {
    /// Events of these types; of all where left out.
    #[serde(default)]
    pub(crate) types: Vec<String>,
    /// Events of this action, by id or name.
    #[serde(default)]
    pub(crate) action: Option<String>,
    /// Items of this kind.
    #[serde(default)]
    pub(crate) kind: Option<String>,
    /// Where a new consumer begins: behind this position. 0 is the beginning of the log; the end of it where left out.
    /// Does not count for one that is there already.
    #[serde(default)]
    #[schema(minimum = 0)]
    pub(crate) after: Option<i64>,
}

/// A named reader of events.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Consumer)]
pub(crate) struct ConsumerBody<'a> {
    /// Its name.
    name: &'a str,
    /// Events of these types; of all where empty.
    #[schema(value_type = Vec<String>)]
    types: &'a [EventType],
    /// Events of this action.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    action: Option<String>,
    /// Items of this kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    kind: Option<&'a str>,
    /// The last position that it acknowledged.
    position: i64,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl<'a> From<&'a StandingConsumer> for ConsumerBody<'a> {
    fn from(StandingConsumer { consumer, position }: &'a StandingConsumer) -> Self {
        Self {
            name: consumer.name.as_str(),
            types: &consumer.types,
            action: consumer.action.map(|id| id.to_string()),
            kind: consumer.kind.as_deref(),
            position: *position,
            created_at: consumer.created_at,
        }
    }
}

/// Events that a consumer has not acknowledged.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConsumedEvents)]
pub(crate) struct ConsumedEvents<'a> {
    /// By position.
    pub(crate) items: Vec<EventBody<'a>>,
    /// The position of the last one, to acknowledge when all are dealt with; null where there is none.
    #[schema(required = true)]
    pub(crate) position: Option<i64>,
}

/// How far a consumer has got.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Acknowledgement {
    /// Everything up to this position was dealt with.
    #[schema(minimum = 0)]
    pub(crate) position: i64,
}
