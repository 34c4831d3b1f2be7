//! What a guarded write believes of an execution, and what is so.

use crate::{codes::status_of, error::damaged, row::Columns};
use action_domain::{
    execution::{Execution, Lease, Status},
    id::ExecutionId,
    repositories::{UnitOfWork, Write},
};
use sqlx::PgConnection;
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

/// By id, whatever the order of the batch: processes that want the same rows wait for each
/// other in the same order.
pub(crate) const GUARDS: &str = "SELECT id, status, attempt, lease_worker, lease_attempt, cancel_requested FROM executions \
     WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE";

/// Holds, until the transaction ends, every execution that guarded writes of these units name,
/// and those whose leases they renew.
pub(crate) async fn hold<'a>(
    connection: &mut PgConnection,
    units: impl Iterator<Item = &'a UnitOfWork>,
) -> sqlx::Result<HashMap<ExecutionId, Guard>> {
    let mut ids: Vec<Uuid> = Vec::new();
    for write in units.flat_map(|unit| &unit.writes) {
        match write {
            Write::RenewLeases(_, executions, _) => ids.extend(executions.iter().map(ExecutionId::uuid)),
            write => ids.extend(guarded(write)),
        }
    }
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    ids.sort_unstable();
    ids.dedup();
    let rows = sqlx::query(GUARDS).bind(ids).fetch_all(connection).await?;
    let guard = |row| {
        let mut columns = Columns::of(row);
        let id = ExecutionId::from_uuid(columns.take()?);
        let status = status_of(columns.take()?).ok_or_else(|| damaged("an unknown status"))?;
        let attempt = columns.number()?;
        let worker: Option<Uuid> = columns.take()?;
        let lease = worker.zip(columns.maybe_number()?);
        Ok((id, Guard { status, attempt, lease, cancel_requested: columns.take()? }))
    };
    rows.iter().map(guard).collect()
}

/// In one order too, each.
pub(crate) const ACTIONS: &str = "SELECT id FROM actions WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE";
/// All of an action: a save carries over what the others write.
pub(crate) const TRIGGERS: &str =
    "SELECT place FROM triggers WHERE action = ANY($1) ORDER BY action, place FOR NO KEY UPDATE";
pub(crate) const CONSUMERS: &str = "SELECT name FROM consumers WHERE name = ANY($1) ORDER BY name FOR NO KEY UPDATE";

/// Holds, until the transaction ends, the actions that these units save or for which they capture
/// something, and the triggers and consumers that they change.
pub(crate) async fn hold_rows<'a>(
    connection: &mut PgConnection,
    units: impl Iterator<Item = &'a UnitOfWork>,
) -> sqlx::Result<()> {
    let (mut actions, mut triggers, mut consumers): (Vec<Uuid>, Vec<Uuid>, Vec<&str>) = Default::default();
    for write in units.flat_map(|unit| &unit.writes) {
        match write {
            Write::AddItemKeys(action, _) | Write::SetValues(action, _) => actions.push(action.uuid()),
            Write::SetTriggers(action, _) => {
                actions.push(action.uuid());
                triggers.push(action.uuid());
            }
            Write::FireIfDue(fire) => triggers.push(fire.action.uuid()),
            Write::UseTrigger(action, ..) | Write::RestartIfLast(action, ..) => triggers.push(action.uuid()),
            Write::Acknowledge(name, _) => consumers.push(name.as_str()),
            _ => {}
        }
    }
    if !actions.is_empty() {
        sqlx::query(ACTIONS).bind(actions).execute(&mut *connection).await?;
    }
    if !triggers.is_empty() {
        sqlx::query(TRIGGERS).bind(triggers).execute(&mut *connection).await?;
    }
    if !consumers.is_empty() {
        sqlx::query(CONSUMERS).bind(consumers).execute(connection).await?;
    }
    Ok(())
}

fn guarded(write: &Write) -> Option<Uuid> {
    match write {
        Write::UpdateExecutionIfLeased(execution, _) | Write::UpdateExecutionIfStatus(execution, ..) => {
            Some(execution.id.uuid())
        }
        Write::RequireLease(id, _) | Write::RequestCancelIfRunning(id, _) => Some(id.uuid()),
        _ => None,
    }
}
