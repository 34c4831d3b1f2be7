//! Items, as their events have them.

use crate::error::{Answer, Problem};
use action_domain::{
    event::Event,
    id::{ActionId, EventId, ExecutionId},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use utoipa::ToSchema;

/// A piece of information that an execution captured.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Item)]
pub(crate) struct ItemBody<'a> {
    /// The id of its event.
    #[schema(value_type = String, example = "evt_01jd8q3v5tevk9xw2xk5z7c1ya")]
    id: EventId,
    /// Its place in the log. Later items have larger ones.
    #[schema(example = 4711)]
    position: i64,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    time: Timestamp,
    /// The action that captured it.
    #[schema(value_type = String)]
    action: ActionId,
    /// The execution that captured it.
    #[schema(value_type = String)]
    execution: ExecutionId,
    /// What it is.
    #[schema(value_type = String, example = "entry")]
    kind: Cow<'a, str>,
    /// Items of an action with the same key are captured once.
    #[schema(value_type = Option<String>)]
    key: Option<Cow<'a, str>>,
    /// The information: `content_type`, `bytes`, and `json`, `base64`, or the `digest` of what is too large to stand
    /// here (`/v1/items/{position}/content` gives it).
    #[schema(value_type = Value)]
    content: &'a RawValue,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content: &'a RawValue,
}

impl<'a> ItemBody<'a> {
    /// Of an `item_captured` event.
    pub(crate) fn of(event: &'a Event) -> Answer<Self> {
        let damaged = || {
            tracing::error!(event = %event.id, "api.item.damaged");
            Problem::internal()
        };
        let Data { kind, key, content } = serde_json::from_str(event.data.get()).map_err(|_| damaged())?;
        let (action, execution) = event.context.action.zip(event.context.execution).ok_or_else(damaged)?;
        Ok(Self { id: event.id, position: event.position, time: event.time, action, execution, kind, key, content })
    }
}
