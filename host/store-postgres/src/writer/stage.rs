//! What a batch has accepted and not yet written: collected, so that it can be written with a
//! few statements of many rows.

use super::{
    bulk::{self, Told},
    guard::Guard,
    queue::Changes,
};
use action_domain::{
    digest::Digest,
    event::{NewEvent, Position},
    execution::{Execution, Status},
    id::ExecutionId,
    time::Timestamp,
};
use bytes::Bytes;
use sqlx::PgConnection;
use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

/// Where an execution stands in the stage.
#[derive(Debug, Clone, Copy)]
enum Place {
    Added(usize),
    Updated(usize),
}

/// The accepted part of a batch.
#[derive(Debug, Default)]
pub(crate) struct Stage<'a> {
    /// The last word on each execution that the batch touched, written or not.
    guards: HashMap<ExecutionId, Guard>,
    places: HashMap<ExecutionId, Place>,
    rows: Rows<'a>,
    /// By digest: processes that add the same ones wait for each other in the same order.
    payloads: BTreeMap<&'a Digest, &'a Bytes>,
    events: Vec<Cow<'a, NewEvent>>,
    pub(crate) changes: Changes<'a>,
    pub(crate) told: Told,
}

/// Executions to be written.
#[derive(Debug, Default)]
pub(crate) struct Rows<'a> {
    pub(crate) added: Vec<Cow<'a, Execution>>,
    pub(crate) updated: Vec<Cow<'a, Execution>>,
}

impl Rows<'_> {
    fn is_empty(&self) -> bool {
        self.added.is_empty() && self.updated.is_empty()
    }
}

impl<'a> Stage<'a> {
    /// How many events there are so far: where the next one goes, counted from the log's end.
    pub(crate) fn offset(&self) -> Position {
        self.events.len() as Position
    }

    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.payloads.is_empty() && self.changes.is_empty() && self.events.is_empty()
    }

    pub(crate) fn guard(&self, id: ExecutionId) -> Option<Guard> {
        self.guards.get(&id).copied()
    }

    pub(crate) fn set_guard(&mut self, id: ExecutionId, guard: Guard) {
        self.guards.insert(id, guard);
    }

    pub(crate) fn add_execution(&mut self, execution: &'a Execution) {
        self.note_due(execution);
        self.places.insert(execution.id, Place::Added(self.rows.added.len()));
        self.rows.added.push(Cow::Borrowed(execution));
    }

    /// An update of what is staged takes its place: only the last word is written.
    pub(crate) fn update_execution(&mut self, execution: &'a Execution) {
        self.note_due(execution);
        self.put_updated(Cow::Borrowed(execution));
    }

    /// What a claim did: it leaves nothing in the queue that was not there.
    pub(crate) fn put_claimed(&mut self, execution: Execution) {
        self.put_updated(Cow::Owned(execution));
    }

    fn put_updated(&mut self, execution: Cow<'a, Execution>) {
        // It says itself whether it is to be stopped.
        self.changes.cancels.remove(&execution.id);
        match self.places.get(&execution.id) {
            // What an execution is does not change: it stays what was added.
            Some(Place::Added(index)) => self.rows.added[*index] = execution,
            Some(Place::Updated(index)) => self.rows.updated[*index] = execution,
            None => {
                self.places.insert(execution.id, Place::Updated(self.rows.updated.len()));
                self.rows.updated.push(execution);
            }
        }
    }

    pub(crate) fn add_payload(&mut self, digest: &'a Digest, data: &'a Bytes) {
        self.payloads.insert(digest, data);
    }

    /// A running execution is to be stopped, as it stands here or in the tables.
    pub(crate) fn request_cancel(&mut self, id: ExecutionId) {
        self.told.cancels.push(id.uuid());
        match self.places.get(&id) {
            Some(Place::Added(index)) => self.rows.added[*index].to_mut().cancel_requested = true,
            Some(Place::Updated(index)) => self.rows.updated[*index].to_mut().cancel_requested = true,
            None => drop(self.changes.cancels.insert(id)),
        }
    }

    pub(crate) fn append(&mut self, events: impl IntoIterator<Item = Cow<'a, NewEvent>>) {
        self.events.extend(events);
    }

    fn note_due(&mut self, execution: &Execution) {
        if matches!(execution.status, Status::Queued | Status::Waiting) {
            // Without a time it is never due.
            self.note_due_at(execution.run_at);
        }
    }

    /// Something is due then that other processes may want to know of.
    pub(crate) fn note_due_at(&mut self, time: Option<Timestamp>) {
        self.told.due = self.told.due.into_iter().chain(time).min();
    }

    /// Writes what is staged but events, so that what follows in the batch finds it in the tables.
    pub(crate) async fn flush(&mut self, connection: &mut PgConnection) -> sqlx::Result<()> {
        while let Some((digest, data)) = self.payloads.pop_first() {
            bulk::insert_payload(connection, digest, data).await?;
        }
        if !self.rows.is_empty() {
            bulk::write_rows(connection, &self.rows).await?;
            self.rows = Rows::default();
            self.places.clear();
        }
        if !self.changes.is_empty() {
            let called = self.changes.flush(connection).await?;
            self.note_due_at(called);
        }
        Ok(())
    }

    /// Writes everything, the events behind all others; gives the log's end before them.
    pub(crate) async fn finish(mut self, connection: &mut PgConnection, mark: bulk::Mark) -> sqlx::Result<Position> {
        self.flush(connection).await?;
        bulk::finish(connection, &self.events, mark, &self.told).await
    }
}
