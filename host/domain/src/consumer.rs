//! Consumers: readers of events who go at their own pace, and on where they acknowledged.

use crate::{
    event::{EventType, Position},
    id::ActionId,
    name::Name,
    repositories::EventFilter,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Most consumers that there may be.
pub const CONSUMERS_MAX: u32 = 1_000;

/// Under this, where the service itself stands with the events that set off actions. No name of a
/// consumer has a `$`.
pub const EVENT_TRIGGERS: &str = "$event-triggers";

/// Under this, how often an action fell behind the others there, or caught up with them.
pub const EVENT_TRIGGERS_BEHIND: &str = "$event-triggers-behind";

/// What the names begin with under which those stand that fell behind.
const BEHIND: &str = "$event-triggers ";

/// Under which name an action stands with the events that set it off, where it has fallen behind.
pub fn event_triggers_of(action: ActionId) -> Arc<str> {
    format!("{BEHIND}{action}").into()
}

/// The action that stands under this name, where it is the name of one.
pub fn event_triggers_by(name: &str) -> Option<ActionId> {
    name.strip_prefix(BEHIND)?.parse().ok()
}

/// The name behind which those of [`event_triggers_of`] begin.
pub fn before_event_triggers() -> Arc<str> {
    BEHIND.into()
}

/// A named reader of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consumer {
    /// Its name.
    pub name: Name,
    /// Events of these types; of all where empty.
    #[serde(default)]
    pub types: Vec<EventType>,
    /// Events of this action; of any where none.
    #[serde(default)]
    pub action: Option<ActionId>,
    /// Items of this kind; anything where none.
    #[serde(default)]
    pub kind: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Consumer {
    /// Whether another one by this name would read the same.
    pub fn reads_the_same(&self, other: &Self) -> bool {
        (&self.types, self.action, &self.kind) == (&other.types, other.action, &other.kind)
    }

    /// The events that it reads.
    pub fn filter(&self) -> EventFilter {
        let (types, action, kind) = (self.types.clone(), self.action, self.kind.clone());
        EventFilter { types, action, kind, ..EventFilter::default() }
    }
}

/// A consumer, and the last event that it acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingConsumer {
    /// The consumer.
    pub consumer: Consumer,
    /// The position behind which it goes on.
    pub position: Position,
}
