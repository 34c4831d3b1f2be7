//! The event log with its indexes: events by position, and positions by what is asked for.

use action_domain::{
    event::{Event, EventType, NewEvent, Position},
    id::{ActionId, ExecutionId},
    repositories::EventFilter,
};
use std::{collections::BTreeMap, sync::Arc};

/// The log. The event at index `i` has position `i + 1`; nothing is ever taken out.
#[derive(Debug, Default)]
pub(crate) struct Log {
    events: Vec<Event>,
    of_execution: BTreeMap<ExecutionId, Vec<Position>>,
    of_action: BTreeMap<ActionId, Vec<Position>>,
    of_correlation: BTreeMap<Arc<str>, Vec<Position>>,
    of_type: BTreeMap<&'static str, Vec<Position>>,
}

impl Log {
    /// The end of the log.
    pub(crate) fn last_position(&self) -> Position {
        self.events.len() as Position
    }

    /// Appends an event.
    pub(crate) fn append(&mut self, new: NewEvent) {
        let position = self.last_position() + 1;
        let word = new.r#type.as_str();
        self.of_type.entry(word).or_default().push(position);
        if let Some(execution) = new.context.execution {
            self.of_execution.entry(execution).or_default().push(position);
        }
        if let Some(action) = new.context.action {
            self.of_action.entry(action).or_default().push(position);
        }
        if let Some(correlation) = &new.context.correlation_id {
            self.of_correlation.entry(Arc::clone(correlation)).or_default().push(position);
        }
        let NewEvent { id, time, context, data, .. } = new;
        self.events.push(Event { position, id, time, context, r#type: word.into(), data });
    }

    /// Events that match, after a position, in their order.
    pub(crate) fn select(&self, filter: &EventFilter, after: Position, limit: usize) -> Vec<Event> {
        let matching = |position: &Position| self.at(*position).filter(|event| filter.matches(event)).cloned();
        let narrowest = if let Some(execution) = &filter.execution {
            Some(self.of_execution.get(execution))
        } else if let Some(correlation) = &filter.correlation_id {
            Some(self.of_correlation.get(correlation.as_str()))
        } else if let Some(action) = &filter.action {
            Some(self.of_action.get(action))
        } else if let [r#type] = *filter.types.as_slice() {
            Some(self.of_type.get(r#type.as_str()))
        } else {
            None
        };
        if let Some(positions) = narrowest {
            let positions = positions.map(Vec::as_slice).unwrap_or_default();
            let from = positions.partition_point(|position| *position <= after);
            return positions.iter().skip(from).filter_map(matching).take(limit).collect();
        }
        let from = usize::try_from(after).unwrap_or(0);
        let rest = self.events.get(from..).unwrap_or_default();
        rest.iter().filter(|event| filter.matches(event)).take(limit).cloned().collect()
    }

    /// The first event of a type of an execution; of `action_executed` the last.
    pub(crate) fn of(&self, execution: ExecutionId, r#type: EventType) -> Option<Event> {
        let positions = self.of_execution.get(&execution)?;
        let mut events = positions.iter().filter_map(|position| self.at(*position));
        let wanted = |event: &&Event| &*event.r#type == r#type.as_str();
        match r#type {
            EventType::ActionExecuted => events.rfind(wanted).cloned(),
            _ => events.find(wanted).cloned(),
        }
    }

    fn at(&self, position: Position) -> Option<&Event> {
        self.events.get(usize::try_from(position - 1).ok()?)
    }
}
