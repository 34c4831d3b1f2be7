//! A batch: units and claims one after the other, in one transaction.
//!
//! Units of executions, payloads and events (the hot ones) are checked against what the writer
//! knows by heart and staged. Units that touch anything else (the cold ones) are written at once, each in a savepoint, behind everything that was staged before them. Either way a
//! unit sees what the units before it did, and a refused one leaves nothing.

use super::{
    Command,
    claim::{END_PAUSE, FORGET_PACE},
    stage::Stage,
    state::{Guard, State},
};
use crate::{
    codes::{EventTypes, status_code, status_of},
    error::damaged,
    row::Columns,
};
use action_domain::{
    event::Position,
    execution::Status,
    id::ExecutionId,
    repositories::{Claimed, Conflict, Pruned, UnitOfWork, Write},
};
use rusqlite::{Connection, OptionalExtension as _};
use std::collections::HashMap;

/// What a command of the batch is answered once the batch is durable.
pub(crate) enum Answer {
    Committed(Result<Position, Conflict>),
    Claimed(Claimed),
    Offered(Vec<(ExecutionId, u32)>),
    Pruned(Pruned),
}

/// What a batch came to.
pub(crate) struct Done {
    /// One for each command.
    pub(crate) answers: Vec<Answer>,
    /// The log's end.
    pub(crate) position: Position,
    /// Every execution that was changed, as it is now.
    pub(crate) guards: HashMap<ExecutionId, Guard>,
}

/// A batch in its transaction.
pub(crate) struct Batch<'a> {
    pub(super) connection: &'a Connection,
    pub(super) stage: Stage<'a>,
    state: &'a State,
    types: &'a EventTypes,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(connection: &'a Connection, state: &'a State, types: &'a EventTypes) -> Self {
        Self { connection, stage: Stage::new(state.position), state, types }
    }

    /// Writes everything, short of the commit.
    pub(crate) fn perform(mut self, commands: &'a [Command]) -> rusqlite::Result<Done> {
        let mut answers = Vec::with_capacity(commands.len());
        for command in commands {
            answers.push(match command {
                Command::Commit(unit, _) => Answer::Committed(self.unit(unit)?),
                Command::Claim(claim, _) => Answer::Claimed(self.claim(claim)?),
                Command::Offer { now, again_before, limit, .. } => {
                    Answer::Offered(self.offer(*now, *again_before, *limit)?)
                }
                Command::Prune(prune, _) => Answer::Pruned(self.prune(prune)?),
                Command::Close(_) => Answer::Claimed(Claimed::default()),
            });
        }
        self.flush()?;
        let (position, guards) = self.stage.into_parts();
        Ok(Done { answers, position, guards })
    }

    pub(super) fn flush(&mut self) -> rusqlite::Result<()> {
        self.stage.flush(self.connection, self.types)
    }

    pub(super) fn types(&self) -> &'a EventTypes {
        self.types
    }

    fn unit(&mut self, unit: &'a UnitOfWork) -> rusqlite::Result<Result<Position, Conflict>> {
        // What the unit itself has done to executions so far, the latest last.
        let mut own = Vec::new();
        let outcome = if unit.writes.iter().all(is_hot) {
            self.hot_unit(unit, &mut own)?
        } else {
            self.cold_unit(unit, &mut own)?
        };
        if let Err(conflict) = outcome {
            return Ok(Err(conflict));
        }
        for (id, guard) in own {
            self.stage.set_guard(id, guard);
        }
        self.stage.append(&unit.events);
        Ok(Ok(self.stage.position()))
    }

    fn hot_unit(&mut self, unit: &'a UnitOfWork, own: &mut Own) -> rusqlite::Result<Result<(), Conflict>> {
        for write in &unit.writes {
            if let Err(conflict) = self.check(write, own)? {
                return Ok(Err(conflict));
            }
        }
        unit.writes.iter().for_each(|write| self.put(write));
        Ok(Ok(()))
    }

    fn cold_unit(&mut self, unit: &'a UnitOfWork, own: &mut Own) -> rusqlite::Result<Result<(), Conflict>> {
        self.flush()?;
        self.execute("SAVEPOINT unit")?;
        for write in &unit.writes {
            let done = if is_hot(write) {
                let checked = self.check(write, own)?;
                if checked.is_ok() {
                    self.put(write);
                    self.flush()?;
                }
                checked
            } else {
                self.write_cold(write, own)?
            };
            if let Err(conflict) = done {
                self.execute("ROLLBACK TO unit; RELEASE unit")?;
                return Ok(Err(conflict));
            }
        }
        self.execute("RELEASE unit")?;
        Ok(Ok(()))
    }

    fn write_cold(&mut self, write: &Write, own: &mut Own) -> rusqlite::Result<Result<(), Conflict>> {
        match write {
            Write::AddProtocol(protocol, component) => self.add_protocol(protocol, component),
            Write::RemoveProtocolIfUnused(pin) => self.remove_protocol(pin),
            Write::AddAction(action) => self.add_action(action),
            Write::AddRevisionIfCurrent(action) => self.add_revision(action),
            Write::RemoveActionIfCurrent(id, revision) => self.remove_action(*id, *revision),
            Write::RequestCancelIfRunning(id, attempt) => {
                let requested = self.request_cancel(*id, *attempt, self.known(*id, own))?;
                Ok(requested.map(|guard| own.push((*id, guard))))
            }
            Write::RenewLeases(worker, executions, until) => self.renew_leases(*worker, executions, *until).map(Ok),
            Write::CallBack(action, key, now) => self.call_back(*action, key.as_deref(), *now).map(Ok),
            Write::SlowDown(action, until) => self.pause(*action, *until).map(Ok),
            Write::EndPause(action) => self.set_back(END_PAUSE, *action).map(Ok),
            Write::ForgetPace(action) => self.set_back(FORGET_PACE, *action).map(Ok),
            Write::AddIdempotencyKey(key) => self.add_idempotency_key(key),
            Write::SetSecretIfCurrent(secret) => self.set_secret(secret),
            Write::ResealSecretIfCurrent(secret) => self.reseal_secret(secret),
            Write::RemoveSecretIfUnused(name, version) => self.remove_secret(name, *version),
            Write::AddToken(token) => self.add_token(token).map(Ok),
            Write::RemoveToken(id) => self.remove_token(*id),
            Write::AppendSealIfNext(seal, leaves) => self.append_seal(seal, leaves),
            Write::SetTriggers(action, rows) => self.set_triggers(*action, rows),
            Write::FireIfDue(fire) => self.fire(fire),
            Write::UseTrigger(action, identity, most) => self.use_trigger(*action, *identity, *most),
            Write::RestartIfLast(action, identity, before, new) => self.restart((*action, *identity), *before, *new),
            Write::AddItemKeys(action, keys) => self.add_item_keys(*action, keys),
            Write::SetValues(action, changes) => self.set_values(*action, changes).map(Ok),
            Write::PutConsumer(consumer, position) => self.put_consumer(consumer, *position),
            Write::RemoveConsumer(name) => self.remove_consumer(name),
            Write::Acknowledge(name, position) => self.acknowledge(name, *position),
            Write::MoveCursorIf(name, from, to) => self.move_cursor(name, *from, *to),
            Write::AddPayload(..)
            | Write::AddExecution(_)
            | Write::RequireLease(..)
            | Write::UpdateExecutionIfLeased(..)
            | Write::UpdateExecutionIfStatus(..) => Ok(Ok(())),
        }
    }

    /// Whether what a hot write believes holds; notes what it does.
    fn check(&mut self, write: &Write, own: &mut Own) -> rusqlite::Result<Result<(), Conflict>> {
        match write {
            Write::RequireLease(id, lease) => {
                let held = self.known(*id, own).is_some_and(|guard| guard.is_held_by(lease));
                return Ok(if held { Ok(()) } else { Err(Conflict::LeaseLost) });
            }
            Write::UpdateExecutionIfLeased(execution, lease) => {
                // Who is not known to run does not run: no look into the database.
                let guard = self.known(execution.id, own);
                let Some(guard) = guard.filter(|guard| guard.is_held_by(lease)) else {
                    return Ok(Err(Conflict::LeaseLost));
                };
                if guard.cancel_requested && !execution.heeds_cancel() {
                    return Ok(Err(Conflict::CancelRequested));
                }
                own.push((execution.id, Guard::of(execution)));
            }
            Write::UpdateExecutionIfStatus(execution, status, attempt) => {
                let found = match self.known(execution.id, own) {
                    Some(guard) => Some((guard.status, guard.attempt)),
                    None => self.stored(execution.id)?,
                };
                if found != Some((*status, *attempt)) {
                    return Ok(Err(Conflict::StatusMismatch));
                }
                own.push((execution.id, Guard::of(execution)));
            }
            Write::AddExecution(execution) => own.push((execution.id, Guard::of(execution))),
            _ => {}
        }
        Ok(Ok(()))
    }

    fn put(&mut self, write: &'a Write) {
        match write {
            Write::AddExecution(execution) => self.stage.add_execution(execution),
            Write::UpdateExecutionIfLeased(execution, _) | Write::UpdateExecutionIfStatus(execution, ..) => {
                self.stage.update_execution(execution);
            }
            Write::AddPayload(digest, data) => self.stage.add_payload(digest, data),
            _ => {}
        }
    }

    /// An execution that this unit or this batch touched, or that runs.
    fn known(&self, id: ExecutionId, own: &Own) -> Option<Guard> {
        let of_unit = own.iter().rev().find(|(other, _)| *other == id).map(|(_, guard)| *guard);
        of_unit.or_else(|| self.stage.guard(id)).or_else(|| self.state.running(id))
    }

    fn stored(&mut self, id: ExecutionId) -> rusqlite::Result<Option<(Status, u32)>> {
        let mut statement = self.connection.prepare_cached(STORED)?;
        let read = |row: &rusqlite::Row<'_>| {
            let mut columns = Columns::of(row);
            let status = status_of(columns.take()?).ok_or_else(|| damaged("an unknown status"))?;
            Ok((status, columns.number()?))
        };
        statement.query_row([id.uuid().as_bytes()], read).optional()
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.execute_batch(sql)
    }
}

/// The executions that one unit has changed.
type Own = Vec<(ExecutionId, Guard)>;

pub(crate) const STORED: &str = "SELECT status, attempt FROM executions WHERE id = ?";

fn is_hot(write: &Write) -> bool {
    matches!(
        write,
        Write::AddPayload(..)
            | Write::AddExecution(_)
            | Write::RequireLease(..)
            | Write::UpdateExecutionIfLeased(..)
            | Write::UpdateExecutionIfStatus(..)
    )
}

// The codes that the statements of this crate write out.
const _: () = assert!(status_code(Status::Running) == 1 && status_code(Status::Succeeded) == 4);
const _: () = assert!(status_code(Status::Queued) == 0 && status_code(Status::Waiting) == 2);
