//! Consumers: readers of events who go at their own pace, and on where they acknowledged.

use crate::{
    event::{EventType, Position},
    id::ActionId,
    name::Name,
    repositories::EventFilter,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// Most consumers that there may be.
pub const CONSUMERS_MAX: u32 = 1_000;

/// Under this, where the service itself stands with the events that set off actions. No name of a
/// consumer has a `$`.
pub const EVENT_TRIGGERS: &str = "$event-triggers";

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
