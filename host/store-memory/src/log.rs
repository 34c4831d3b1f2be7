//! The event log with its indexes: events by position, and positions by what is asked for.

use action_domain::{
    audit::{Logged, LoggedEvent, Removed},
    digest::Digest,
    event::{Event, EventType, NewEvent, Position},
    id::{ActionId, ExecutionId},
    repositories::EventFilter,
    time::Timestamp,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The log. Nothing is taken out of it but by retention.
#[derive(Debug, Default)]
pub(crate) struct Log {
    events: BTreeMap<Position, Event>,
    end: Position,
    /// Payloads that events refer to.
    payloads: BTreeSet<(Digest, Position)>,
    payload_of: BTreeMap<Position, Digest>,
    of_execution: BTreeMap<ExecutionId, Vec<Position>>,
    of_action: BTreeMap<ActionId, Vec<Position>>,
    of_correlation: BTreeMap<Arc<str>, Vec<Position>>,
    of_type: BTreeMap<&'static str, Vec<Position>>,
    /// Items.
    of_kind: BTreeMap<Arc<str>, Vec<Position>>,
    kind_of: BTreeMap<Position, Arc<str>>,
}

impl Log {
    /// The end of the log.
    pub(crate) fn last_position(&self) -> Position {
        self.end
    }

    /// Appends an event.
    pub(crate) fn append(&mut self, new: NewEvent) {
        let position = self.end + 1;
        self.end = position;
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
        if let Some(payload) = new.payload {
            self.payloads.insert((payload, position));
            self.payload_of.insert(position, payload);
        }
        if let Some(kind) = new.kind {
            self.of_kind.entry(Arc::clone(&kind)).or_default().push(position);
            self.kind_of.insert(position, kind);
        }
        let NewEvent { id, time, context, data, .. } = new;
        self.events.insert(position, Event { position, id, time, context, r#type: word.into(), data });
    }

    /// Events that match, after a position, in their order.
    pub(crate) fn select(&self, filter: &EventFilter, after: Position, limit: usize) -> Vec<Event> {
        let matching = |position: &Position| self.at(*position).filter(|event| filter.matches(event)).cloned();
        let narrowest = if let Some(execution) = &filter.execution {
            Some(self.of_execution.get(execution))
        } else if let Some(correlation) = &filter.correlation_id {
            Some(self.of_correlation.get(correlation.as_str()))
        } else if let Some(kind) = &filter.kind {
            Some(self.of_kind.get(kind.as_str()))
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
        let rest = self.events.range(after.saturating_add(1)..).map(|(_, event)| event);
        rest.filter(|event| filter.matches(event)).take(limit).cloned().collect()
    }

    /// All events after a position, as they stand.
    pub(crate) fn logged(&self, after: Option<Position>, limit: usize) -> Vec<Logged> {
        let rest = self.events.range(after.map_or(Position::MIN, |after| after.saturating_add(1))..);
        rest.take(limit).map(|(_, event)| self.logged_event(event)).collect()
    }

    fn logged_event(&self, event: &Event) -> Logged {
        let position = &event.position;
        Logged::Event(Box::new(LoggedEvent {
            position: *position,
            id: event.id,
            r#type: event.r#type.to_string(),
            time: event.time,
            context: event.context.clone(),
            payload: self.payload_of.get(position).copied(),
            data: event.data.get().to_owned(),
            kind: self.kind_of.get(position).map(ToString::to_string),
        }))
    }

    /// Whether all events of an execution stand at or before a position, and happened before a time.
    pub(crate) fn ends_at(&self, execution: ExecutionId, through: Position, before: Timestamp) -> bool {
        let positions = self.of_execution.get(&execution).into_iter().flatten();
        let mut events = positions.filter_map(|position| self.at(*position));
        events.all(|event| event.position <= through && event.time < before)
    }

    /// The first event of an execution that is there.
    pub(crate) fn first_of(&self, execution: ExecutionId) -> Option<Position> {
        self.of_execution.get(&execution)?.first().copied()
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

    /// Removes an execution's events; what they were, and the payloads that they referred to.
    pub(crate) fn remove(&mut self, execution: ExecutionId) -> (Vec<Removed>, Vec<Digest>) {
        let positions = self.of_execution.remove(&execution).unwrap_or_default();
        let events = positions.iter().filter_map(|position| self.at(*position));
        let removed = events.map(|event| Removed::of(&self.logged_event(event))).collect();
        let of_these = |(_, position): &&(Digest, Position)| positions.binary_search(position).is_ok();
        let gone: Vec<(Digest, Position)> = self.payloads.iter().filter(of_these).copied().collect();
        for entry in &gone {
            self.payloads.remove(entry);
        }
        for position in &positions {
            self.payload_of.remove(position);
            let Some(event) = self.events.remove(position) else { continue };
            let context = &event.context;
            let action = context.action.and_then(|action| self.of_action.get_mut(&action));
            let correlation = context.correlation_id.as_ref().and_then(|id| self.of_correlation.get_mut(id));
            let kind = self.kind_of.remove(position).and_then(|kind| self.of_kind.get_mut(&kind));
            for index in [action, correlation, kind, self.of_type.get_mut(&*event.r#type)].into_iter().flatten() {
                index.retain(|other| other != position);
            }
        }
        (removed, gone.into_iter().map(|(digest, _)| digest).collect())
    }

    /// Whether an event refers to a payload.
    pub(crate) fn needs(&self, payload: &Digest) -> bool {
        self.payloads.range((*payload, 0)..=(*payload, Position::MAX)).next().is_some()
    }

    fn at(&self, position: Position) -> Option<&Event> {
        self.events.get(&position)
    }
}
