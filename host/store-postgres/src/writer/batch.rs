//! A batch: units and claims one after the other, in one transaction.
//!
//! Every execution that its units guard is held from the start ([`guard::hold`]). Units of
//! executions, payloads, the queue and events (the hot ones) are checked against that and staged.
//! All others are written at once, each in a savepoint, behind everything that was staged before them.
//! Of these, one process at a time writes units that touch protocols, actions or seals (the cold ones);
//! for those of triggers, captured items and consumers their rows are held ([`guard::hold_rows`]).
//! Either way a unit sees what the units before it did, and a refused one leaves nothing.
//!
//! What a batch waits for, it waits for in one order: the lock of cold units, the lock of turns,
//! the executions by id, the rows of what comes in, payloads and keys, the end of the log. So two
//! processes do not wait for each other in a ring; should they all the same, Postgres ends one
//! transaction and the writer does it again.

use super::{
    Command,
    bulk::Mark,
    guard::{self, Guard},
    queue::{self, Key},
    stage::Stage,
};
use crate::{codes::status_code, listen::LAST_POSITION};
use action_domain::{
    event::Position,
    execution::Status,
    id::ExecutionId,
    limits::IDEMPOTENCY_KEY_FOR,
    repositories::{Claimed, Conflict, IdempotencyKey, Pruned, StoreUnavailable, UnitOfWork, Write},
};
use sqlx::{Executor as _, PgConnection};
use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// What a command of the batch is answered once the batch is durable.
pub(crate) enum Answer {
    Committed(Result<Position, Conflict>),
    Claimed(Result<Claimed, StoreUnavailable>),
    Offered(Vec<(ExecutionId, u32)>),
    Pruned(Pruned),
    Closed,
}

/// What a batch came to.
pub(crate) struct Done {
    /// One for each command.
    pub(crate) answers: Vec<Answer>,
    /// The log's end.
    pub(crate) position: Position,
    /// Whether there is anything to commit.
    pub(crate) wrote: bool,
}

/// A batch in its transaction.
pub(crate) struct Batch<'a> {
    pub(super) connection: &'a mut PgConnection,
    pub(super) stage: Stage<'a>,
    /// The executions that its units guard, as they were when it began.
    held: HashMap<ExecutionId, Guard>,
    /// The idempotency keys that its units add, as they were used when it began or in it.
    keys: BTreeMap<Key, IdempotencyKey>,
    pub(super) wrote: bool,
}

/// Held while protocols, actions and seals change, and by retention: such units look at what others are
/// about to write too. The numbers of both locks are the product's own ("act").
const COLD_LOCK: &str = "SELECT pg_advisory_xact_lock(x'61637400'::bigint)";
/// Held by whoever decides whose turn it is, and by whoever calls back what was set aside or takes back
/// an action's pace or pause: else that could come between the decision and its commit, and be lost.
const TURN_LOCK: &str = "SELECT pg_advisory_xact_lock(x'61637401'::bigint)";

impl<'a> Batch<'a> {
    /// Writes everything, short of the commit.
    pub(crate) async fn perform(
        connection: &'a mut PgConnection,
        commands: &'a [Command],
        mark: Mark,
    ) -> sqlx::Result<Done> {
        let units = || commands.iter().filter_map(Command::unit);
        let writes = || units().flat_map(|unit| &unit.writes);
        if commands.iter().any(|command| matches!(command, Command::Prune(..))) || writes().any(is_cold) {
            connection.execute(COLD_LOCK).await?;
        }
        let claims = commands.iter().any(|command| matches!(command, Command::Claim(..)));
        if claims || writes().any(is_of_turns) {
            connection.execute(TURN_LOCK).await?;
        }
        let held = guard::hold(connection, units()).await?;
        guard::hold_rows(connection, units()).await?;
        let keys = queue::used_keys(connection, units()).await?;
        let mut batch = Self { connection, stage: Stage::default(), held, keys, wrote: false };
        let mut answers = Vec::with_capacity(commands.len());
        for command in commands {
            answers.push(match command {
                Command::Commit(unit, _) => Answer::Committed(batch.unit(unit).await?),
                Command::Claim(claim, _) => Answer::Claimed(batch.claim(claim).await?),
                Command::Offer { now, again_before, limit, .. } => {
                    Answer::Offered(batch.offer(*now, *again_before, *limit).await?)
                }
                Command::Prune(prune, _) => Answer::Pruned(batch.prune(prune).await?),
                Command::Close(_) => Answer::Closed,
            });
        }
        batch.finish(answers, mark).await
    }

    async fn finish(self, mut answers: Vec<Answer>, mark: Mark) -> sqlx::Result<Done> {
        let appended = self.stage.offset();
        let wrote = self.wrote || !self.stage.is_empty();
        let before = if wrote {
            self.stage.finish(self.connection, mark).await?
        } else {
            sqlx::query_scalar(LAST_POSITION).fetch_one(self.connection).await?
        };
        for answer in &mut answers {
            // Until now a unit's position was counted from here.
            if let Answer::Committed(Ok(position)) = answer {
                *position += before;
            }
        }
        Ok(Done { answers, position: before + appended, wrote })
    }

    pub(super) async fn flush(&mut self) -> sqlx::Result<()> {
        self.wrote |= !self.stage.is_empty();
        self.stage.flush(self.connection).await
    }

    async fn unit(&mut self, unit: &'a UnitOfWork) -> sqlx::Result<Result<Position, Conflict>> {
        let mut own = Own::default();
        let outcome = if unit.writes.iter().all(is_hot) {
            self.hot_unit(unit, &mut own)
        } else {
            self.unit_at_once(unit, &mut own).await?
        };
        if let Err(conflict) = outcome {
            return Ok(Err(conflict));
        }
        for (id, guard) in own.executions {
            self.stage.set_guard(id, guard);
        }
        self.keys.extend(own.keys.into_iter().map(|key| ((key.action, Arc::clone(&key.key)), key)));
        self.stage.append(unit.events.iter().map(Cow::Borrowed));
        Ok(Ok(self.stage.offset()))
    }

    fn hot_unit(&mut self, unit: &'a UnitOfWork, own: &mut Own) -> Result<(), Conflict> {
        unit.writes.iter().try_for_each(|write| self.check(write, own))?;
        unit.writes.iter().for_each(|write| self.put(write));
        Ok(())
    }

    async fn unit_at_once(&mut self, unit: &'a UnitOfWork, own: &mut Own) -> sqlx::Result<Result<(), Conflict>> {
        self.flush().await?;
        self.wrote = true;
        self.execute("SAVEPOINT unit").await?;
        let told = self.stage.told.cancels.len();
        for write in &unit.writes {
            let done = if is_hot(write) {
                let checked = self.check(write, own);
                if checked.is_ok() {
                    self.put(write);
                    self.flush().await?;
                }
                checked
            } else {
                self.write_at_once(write).await?
            };
            if let Err(conflict) = done {
                self.stage.told.cancels.truncate(told);
                self.execute("ROLLBACK TO SAVEPOINT unit; RELEASE SAVEPOINT unit").await?;
                return Ok(Err(conflict));
            }
        }
        self.execute("RELEASE SAVEPOINT unit").await?;
        Ok(Ok(()))
    }

    async fn write_at_once(&mut self, write: &Write) -> sqlx::Result<Result<(), Conflict>> {
        match write {
            Write::AddProtocol(protocol, component) => self.add_protocol(protocol, component).await,
            Write::RemoveProtocolIfUnused(pin) => self.remove_protocol(pin).await,
            Write::AddAction(action) => self.add_action(action).await,
            Write::AddRevisionIfCurrent(action) => self.add_revision(action).await,
            Write::RemoveActionIfCurrent(id, revision) => self.remove_action(*id, *revision).await,
            Write::EndPause(action) => self.set_back(queue::END_PAUSE, *action).await.map(Ok),
            Write::ForgetPace(action) => self.set_back(queue::FORGET_PACE, *action).await.map(Ok),
            Write::SetSecretIfCurrent(secret) => self.set_secret(secret).await,
            Write::ResealSecretIfCurrent(secret) => self.reseal_secret(secret).await,
            Write::RemoveSecretIfUnused(name, version) => self.remove_secret(name, *version).await,
            Write::AddToken(token) => self.add_token(token).await,
            Write::RemoveToken(id) => self.remove_token(*id).await,
            Write::AppendSealIfNext(seal, leaves) => self.append_seal(seal, leaves).await,
            Write::SetTriggers(action, rows) => self.set_triggers(*action, rows).await,
            Write::FireIfDue(fire) => self.fire(fire).await,
            Write::UseTrigger(action, identity, most) => self.use_trigger(*action, *identity, *most).await,
            Write::RestartIfLast(action, identity, before, new) => {
                self.restart((*action, *identity), *before, *new).await
            }
            Write::AddItemKeys(action, keys) => self.add_item_keys(*action, keys).await,
            Write::SetValues(action, changes) => self.set_values(*action, changes).await.map(Ok),
            Write::PutConsumer(consumer, position) => self.put_consumer(consumer, *position).await,
            Write::RemoveConsumer(name) => self.remove_consumer(name).await,
            Write::Acknowledge(name, position) => self.acknowledge(name, *position).await,
            Write::MoveCursorIf(name, from, to) => self.move_cursor(name, *from, *to).await,
            _ => Ok(Ok(())),
        }
    }

    /// Whether what a hot write believes holds; notes what it does.
    fn check(&mut self, write: &Write, own: &mut Own) -> Result<(), Conflict> {
        match write {
            Write::RequireLease(id, lease) => {
                let held = self.known(*id, own).is_some_and(|guard| guard.is_held_by(lease));
                return if held { Ok(()) } else { Err(Conflict::LeaseLost) };
            }
            Write::RequestCancelIfRunning(id, attempt) => {
                let runs = |guard: &Guard| guard.status == Status::Running && guard.attempt == *attempt;
                let guard = self.known(*id, own).filter(runs).ok_or(Conflict::StatusMismatch)?;
                own.executions.push((*id, guard.to_be_stopped()));
            }
            Write::AddIdempotencyKey(key) => {
                let place = (key.action, Arc::clone(&key.key));
                let of_unit = own.keys.iter().rev().find(|used| (used.action, &used.key) == (place.0, &place.1));
                if let Some(used) = of_unit.or_else(|| self.keys.get(&place))
                    && used.created_at.plus(IDEMPOTENCY_KEY_FOR) > key.created_at
                {
                    return Err(Conflict::KeyUsed(Box::new(used.clone())));
                }
                own.keys.push((**key).clone());
            }
            Write::UpdateExecutionIfLeased(execution, lease) => {
                let held = self.known(execution.id, own).filter(|guard| guard.is_held_by(lease));
                if held.ok_or(Conflict::LeaseLost)?.cancel_requested && !execution.heeds_cancel() {
                    return Err(Conflict::CancelRequested);
                }
                own.executions.push((execution.id, Guard::of(execution)));
            }
            Write::UpdateExecutionIfStatus(execution, status, attempt) => {
                let found = self.known(execution.id, own).map(|guard| (guard.status, guard.attempt));
                if found != Some((*status, *attempt)) {
                    return Err(Conflict::StatusMismatch);
                }
                own.executions.push((execution.id, Guard::of(execution)));
            }
            Write::AddExecution(execution) => own.executions.push((execution.id, Guard::of(execution))),
            _ => {}
        }
        Ok(())
    }

    fn put(&mut self, write: &'a Write) {
        match write {
            Write::AddExecution(execution) => self.stage.add_execution(execution),
            Write::UpdateExecutionIfLeased(execution, _) | Write::UpdateExecutionIfStatus(execution, ..) => {
                self.stage.update_execution(execution);
            }
            Write::AddPayload(digest, data) => self.stage.add_payload(digest, data),
            Write::RequestCancelIfRunning(id, _) => self.stage.request_cancel(*id),
            Write::RenewLeases(worker, executions, until) => self.stage.changes.renew(*worker, executions, *until),
            Write::CallBack(action, key, now) => self.stage.changes.call_back(*action, key.as_ref(), *now),
            Write::SlowDown(action, until) => self.stage.changes.pause(*action, *until),
            Write::AddIdempotencyKey(key) => self.stage.changes.add_key(key),
            _ => {}
        }
    }

    /// An execution as this unit or this batch left it, or as it was before.
    fn known(&self, id: ExecutionId, own: &Own) -> Option<Guard> {
        let of_unit = own.executions.iter().rev().find(|(other, _)| *other == id).map(|(_, guard)| *guard);
        of_unit.or_else(|| self.stage.guard(id)).or_else(|| self.held.get(&id).copied())
    }

    pub(super) async fn execute(&mut self, sql: &'static str) -> sqlx::Result<()> {
        self.connection.execute(sql).await.map(drop)
    }
}

/// What one unit has changed, the latest last.
#[derive(Default)]
struct Own {
    executions: Vec<(ExecutionId, Guard)>,
    keys: Vec<IdempotencyKey>,
}

/// Whether it is staged.
fn is_hot(write: &Write) -> bool {
    !is_cold(write) && !is_of_a_row(write)
}

/// Whether it changes what a decision about turns goes by.
fn is_of_turns(write: &Write) -> bool {
    matches!(write, Write::CallBack(..) | Write::EndPause(_) | Write::ForgetPace(_))
}

/// Whether it is written at once, by one process at a time.
fn is_cold(write: &Write) -> bool {
    matches!(
        write,
        Write::AddProtocol(..)
            | Write::RemoveProtocolIfUnused(_)
            | Write::AddAction(_)
            | Write::AddRevisionIfCurrent(_)
            | Write::RemoveActionIfCurrent(..)
            | Write::EndPause(_)
            | Write::ForgetPace(_)
            | Write::SetSecretIfCurrent(_)
            | Write::ResealSecretIfCurrent(_)
            | Write::RemoveSecretIfUnused(..)
            | Write::AddToken(_)
            | Write::RemoveToken(_)
            | Write::AppendSealIfNext(..)
            | Write::SetTriggers(..)
            | Write::PutConsumer(..)
            | Write::RemoveConsumer(_)
    )
}

/// Whether it is written at once, and what it believes stands in a row that is held.
fn is_of_a_row(write: &Write) -> bool {
    matches!(
        write,
        Write::FireIfDue(_)
            | Write::UseTrigger(..)
            | Write::RestartIfLast(..)
            | Write::AddItemKeys(..)
            | Write::SetValues(..)
            | Write::Acknowledge(..)
            | Write::MoveCursorIf(..)
    )
}

// The codes that the statements of this crate write out.
const _: () = assert!(status_code(Status::Running) == 1 && status_code(Status::Succeeded) == 4);
const _: () = assert!(status_code(Status::Queued) == 0 && status_code(Status::Waiting) == 2);
