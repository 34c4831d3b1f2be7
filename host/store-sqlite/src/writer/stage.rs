//! What a batch has accepted and not yet written: collected, so that
//! what changed twice is written once, and the rows of a table one after the other.

use super::{rows, state::Guard};
use crate::codes::EventTypes;
use action_domain::{
    digest::Digest,
    event::{NewEvent, Position},
    execution::Execution,
    id::ExecutionId,
};
use bytes::Bytes;
use rusqlite::Connection;
use std::collections::HashMap;

/// Where an execution stands in the stage.
#[derive(Debug, Clone, Copy)]
enum Place {
    Added(usize),
    Updated(usize),
}

/// The accepted part of a batch.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    /// The log's end, with the staged events.
    position: Position,
    /// The last word on each execution that the batch touched, written or not.
    guards: HashMap<ExecutionId, Guard>,
    places: HashMap<ExecutionId, Place>,
    added: Vec<&'a Execution>,
    updated: Vec<&'a Execution>,
    payloads: Vec<(&'a Digest, &'a Bytes)>,
    events: Vec<&'a NewEvent>,
}

impl<'a> Stage<'a> {
    /// An empty one, for a log that ends here.
    pub(crate) fn new(position: Position) -> Self {
        Self {
            position,
            guards: HashMap::new(),
            places: HashMap::new(),
            added: Vec::new(),
            updated: Vec::new(),
            payloads: Vec::new(),
            events: Vec::new(),
        }
    }

    pub(crate) fn position(&self) -> Position {
        self.position
    }

    pub(crate) fn guard(&self, id: ExecutionId) -> Option<Guard> {
        self.guards.get(&id).copied()
    }

    pub(crate) fn set_guard(&mut self, id: ExecutionId, guard: Guard) {
        self.guards.insert(id, guard);
    }

    pub(crate) fn add_execution(&mut self, execution: &'a Execution) {
        self.places.insert(execution.id, Place::Added(self.added.len()));
        self.added.push(execution);
    }

    /// An update of what is staged takes its place: only the last word is written.
    pub(crate) fn update_execution(&mut self, execution: &'a Execution) {
        match self.places.get(&execution.id) {
            Some(Place::Added(index)) => self.added[*index] = execution,
            Some(Place::Updated(index)) => self.updated[*index] = execution,
            None => {
                self.places.insert(execution.id, Place::Updated(self.updated.len()));
                self.updated.push(execution);
            }
        }
    }

    pub(crate) fn add_payload(&mut self, digest: &'a Digest, data: &'a Bytes) {
        self.payloads.push((digest, data));
    }

    pub(crate) fn append(&mut self, events: &'a [NewEvent]) {
        self.position += events.len() as Position;
        self.events.extend(events);
    }

    /// For events that were written past the stage; it has to be flushed before.
    pub(crate) fn skip(&mut self, events: usize) {
        self.position += events as Position;
    }

    /// Writes what is staged.
    pub(crate) fn flush(&mut self, connection: &Connection, types: &EventTypes) -> rusqlite::Result<()> {
        rows::insert_payloads(connection, self.payloads.drain(..))?;
        rows::insert_executions(connection, self.added.drain(..))?;
        rows::update_executions(connection, self.updated.drain(..))?;
        let after = self.position - self.events.len() as Position;
        rows::insert_events(connection, types, after, self.events.drain(..))?;
        self.places.clear();
        Ok(())
    }

    /// What is left when all is written: the log's end and the guards.
    pub(crate) fn into_parts(self) -> (Position, HashMap<ExecutionId, Guard>) {
        (self.position, self.guards)
    }
}
