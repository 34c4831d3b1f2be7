//! What the writer knows by heart. It may, because nobody else writes.

use crate::{read::events::LAST_POSITION, row::Columns};
use action_domain::{
    event::Position,
    execution::{Execution, Lease, Status},
    id::ExecutionId,
};
use rusqlite::Connection;
use std::collections::HashMap;
use uuid::Uuid;

/// What a guarded write has to know of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Guard {
    pub(crate) status: Status,
    pub(crate) attempt: u32,
    /// The lease's worker and attempt.
    lease: Option<(Uuid, u32)>,
    /// Somebody wants it stopped.
    pub(crate) cancel_requested: bool,
}

impl Guard {
    pub(crate) fn of(execution: &Execution) -> Self {
        let lease = execution.lease.map(|lease| (lease.worker, lease.attempt));
        let cancel_requested = execution.cancel_requested;
        Self { status: execution.status, attempt: execution.attempt, lease, cancel_requested }
    }

    /// The same, with somebody who wants it stopped.
    pub(crate) fn to_be_stopped(self) -> Self {
        Self { cancel_requested: true, ..self }
    }

    /// Whether whoever has this lease still has the execution.
    pub(crate) fn is_held_by(&self, lease: &Lease) -> bool {
        self.status == Status::Running && self.lease == Some((lease.worker, lease.attempt))
    }
}

/// The committed state, as far as the writer needs it.
#[derive(Debug)]
pub(crate) struct State {
    /// The end of the log.
    pub(crate) position: Position,
    /// Every running execution. There are no more of them than run at once.
    running: HashMap<ExecutionId, Guard>,
}

impl State {
    /// From the database.
    pub(crate) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let position = connection.query_row(LAST_POSITION, [], |row| row.get(0))?;
        let mut running = HashMap::new();
        let mut statement = connection.prepare(RUNNING)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let mut columns = Columns::of(row);
            let id = ExecutionId::from_uuid(columns.uuid()?);
            let attempt = columns.number()?;
            let lease = columns.maybe_uuid()?.zip(columns.maybe_number()?);
            let cancel_requested = columns.take::<Option<bool>>()?.unwrap_or(false);
            running.insert(id, Guard { status: Status::Running, attempt, lease, cancel_requested });
        }
        Ok(Self { position, running })
    }

    /// How many executions run.
    pub(crate) fn running_count(&self) -> usize {
        self.running.len()
    }

    /// A running execution's guard.
    pub(crate) fn running(&self, id: ExecutionId) -> Option<Guard> {
        self.running.get(&id).copied()
    }

    /// After a commit: the log's end, and the guards of all executions that it changed.
    pub(crate) fn advance(&mut self, position: Position, guards: HashMap<ExecutionId, Guard>) {
        self.position = position;
        for (id, guard) in guards {
            if guard.status == Status::Running {
                self.running.insert(id, guard);
            } else {
                self.running.remove(&id);
            }
        }
    }
}

pub(crate) const RUNNING: &str = "SELECT id, attempt, lease_worker, lease_attempt, cancel_requested FROM executions INDEXED BY executions_running WHERE status = 1";
