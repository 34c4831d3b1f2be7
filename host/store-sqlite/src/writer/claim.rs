//! The queue: executions whose turn it is begin an attempt.

use super::{batch::Batch, rows, state::Guard};
use crate::{
    error::damaged,
    row::{Columns, EXECUTION, execution},
};
use action_domain::{
    event::NewEvent,
    execution::Execution,
    id::{ActionId, ExecutionId},
    repositories::{Claim, Claimed},
    rounds::{LANES_MAX, Lane, lane_depth, share_out},
    time::Timestamp,
};
use rusqlite::{OptionalExtension as _, Row};
use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
};
use uuid::Uuid;

/// The next action behind one that has something that waits.
pub(crate) const NEXT_ACTION: &str = "SELECT min(action) FROM executions INDEXED BY executions_turn \
     WHERE status IN (0, 2) AND action > ?";

/// What of an action is due: first attempts or retries, oldest first.
pub(crate) fn due() -> String {
    format!(
        "SELECT {EXECUTION} FROM executions INDEXED BY executions_turn \
         WHERE status IN (0, 2) AND action = ? AND (attempt > 0) = ? AND run_at <= ? ORDER BY run_at, id LIMIT ?"
    )
}

/// One execution, if it is due.
pub(crate) fn one_due() -> String {
    format!("SELECT {EXECUTION} FROM executions WHERE id = ? AND status IN (0, 2) AND run_at <= ?")
}

/// Whether an earlier execution with the same key holds one up, or any that runs: a retry can come
/// before what began meanwhile.
pub(crate) const BEHIND: &str = "SELECT EXISTS (SELECT 1 FROM executions INDEXED BY executions_ordered \
     WHERE action = ?1 AND ordering_key = ?2 AND id <> ?3 AND (id < ?3 OR status = 1) \
     AND status <> 4 AND status < 6 AND (?4 OR status <> 5))";

/// Executions of an action that run and take a seat.
pub(crate) const RUNNING_OF: &str = "SELECT count(*) FROM executions INDEXED BY executions_running \
     WHERE status = 1 AND action = ? AND turn ->> '$.takes_no_seat' IS NULL";

pub(crate) const PACE: &str = "SELECT pace, paused_until FROM action_paces WHERE action = ?";
pub(crate) const SET_PACE: &str = "INSERT INTO action_paces (action, pace) VALUES (?1, ?2) \
     ON CONFLICT (action) DO UPDATE SET pace = max(pace, ?2)";
/// Where there is no pace yet: one of long ago.
pub(crate) const PAUSE: &str = "INSERT INTO action_paces (action, pace, paused_until) VALUES (?1, 0, ?2) \
     ON CONFLICT (action) DO UPDATE SET paused_until = max(coalesce(paused_until, ?2), ?2)";

pub(crate) const END_PAUSE: &str = "UPDATE action_paces SET paused_until = NULL WHERE action = ?";
pub(crate) const FORGET_PACE: &str = "UPDATE action_paces SET pace = 0 WHERE action = ?";

pub(crate) const PAUSED_UNTIL: &str = "SELECT paused_until FROM action_paces WHERE action = ?";

/// What a claim did not look at.
#[derive(Default)]
struct Unseen {
    any: bool,
    /// Actions behind this one.
    behind: Option<ActionId>,
}

impl Batch<'_> {
    /// Begins an attempt of each execution whose turn it is. What is staged is written before, so
    /// that what was queued in this batch is seen.
    pub(super) fn claim(&mut self, claim: &Claim) -> rusqlite::Result<Claimed> {
        self.flush()?;
        let (lanes, unseen) = match &claim.only {
            Some(only) => (self.lanes_of(only, claim.now)?, Unseen::default()),
            None => self.lanes(claim)?,
        };
        let plan = share_out(claim.now, claim.limit, lanes);
        let mut executions = Vec::with_capacity(plan.begin.len());
        let mut started = Vec::with_capacity(plan.begin.len());
        for execution in plan.begin {
            // The caller's closures must not take the writer down.
            let begun = catch_unwind(AssertUnwindSafe(|| begin(execution, claim)));
            let (execution, event) = begun.map_err(|_| damaged("the claim panicked"))?;
            executions.push(execution);
            started.push(event);
        }
        rows::update_executions(self.connection, executions.iter())?;
        rows::update_executions(self.connection, plan.moved.iter())?;
        for (action, pace) in plan.paces {
            self.set_pace(action, pace)?;
        }
        let (types, after) = (self.types(), self.stage.position());
        rows::insert_events(self.connection, types, after, started.iter())?;
        self.stage.skip(started.len());
        for execution in &executions {
            self.stage.set_guard(execution.id, Guard::of(execution));
        }
        let drained = !unseen.any && executions.len() < claim.limit as usize;
        Ok(Claimed { executions, last: plan.last.or(unseen.behind), drained })
    }

    pub(super) fn set_pace(&self, action: ActionId, pace: Timestamp) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(SET_PACE)?;
        statement.execute((action.uuid().as_bytes(), pace.as_micros())).map(drop)
    }

    pub(super) fn set_back(&self, sql: &str, action: ActionId) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([action.uuid().as_bytes()]).map(drop)
    }

    pub(super) fn pause(&self, action: ActionId, until: Timestamp) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(PAUSE)?;
        statement.execute((action.uuid().as_bytes(), until.as_micros())).map(drop)
    }

    /// The lanes whose turn it is, and what was not looked at.
    fn lanes(&self, claim: &Claim) -> rusqlite::Result<(Vec<Lane>, Unseen)> {
        let start = claim.after.map_or(Uuid::nil(), |after| after.uuid());
        let mut actions = self.waiting_actions(start, Uuid::max())?;
        if claim.after.is_some() && actions.len() <= LANES_MAX as usize {
            actions.extend(self.waiting_actions(Uuid::nil(), start)?);
        }
        let mut unseen = Unseen::default();
        if actions.len() > LANES_MAX as usize {
            actions.truncate(LANES_MAX as usize);
            unseen = Unseen { any: true, behind: actions.last().copied() };
        }
        let depth = lane_depth(claim.limit, actions.len());
        let mut lanes = Vec::with_capacity(actions.len());
        for action in actions {
            let mut due = Vec::new();
            for retry in [false, true] {
                let room = depth + 1 - due.len() as u32;
                self.due_of(action, retry, claim.now, room, &mut due)?;
            }
            unseen.any |= due.len() > depth as usize;
            due.truncate(depth as usize);
            if !due.is_empty() {
                lanes.push(self.lane(action, due)?);
            }
        }
        Ok((lanes, unseen))
    }

    /// Actions behind `from`, up to and with `to`; one more than a claim looks at, at most.
    fn waiting_actions(&self, from: Uuid, to: Uuid) -> rusqlite::Result<Vec<ActionId>> {
        let mut next = self.connection.prepare_cached(NEXT_ACTION)?;
        let mut found = Vec::new();
        let mut behind = from;
        while found.len() <= LANES_MAX as usize {
            let read = |row: &Row<'_>| Columns::of(row).maybe_uuid();
            match next.query_row([behind.as_bytes()], read)? {
                Some(action) if action <= to => {
                    found.push(ActionId::from_uuid(action));
                    behind = action;
                }
                _ => break,
            }
        }
        Ok(found)
    }

    fn due_of(
        &self,
        action: ActionId,
        retry: bool,
        now: Timestamp,
        limit: u32,
        found: &mut Vec<Execution>,
    ) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(&due())?;
        let mut rows = statement.query((action.uuid().as_bytes(), retry, now.as_micros(), limit))?;
        while let Some(row) = rows.next()? {
            found.push(execution(row)?);
        }
        Ok(())
    }

    fn lanes_of(&self, only: &[ExecutionId], now: Timestamp) -> rusqlite::Result<Vec<Lane>> {
        let mut statement = self.connection.prepare_cached(&one_due())?;
        let mut due = Vec::new();
        for id in only {
            let found = statement.query_row((id.uuid().as_bytes(), now.as_micros()), execution).optional()?;
            due.extend(found);
        }
        due.sort_by_key(|execution| (execution.action, execution.id));
        due.dedup_by_key(|execution| execution.id);
        let lanes = due.chunk_by(|one, other| one.action == other.action);
        lanes.map(|due| self.lane(due[0].action, due.to_vec())).collect()
    }

    fn lane(&self, action: ActionId, due: Vec<Execution>) -> rusqlite::Result<Lane> {
        let id = action.uuid();
        let limited = due.iter().any(|execution| execution.turn.max_concurrent.is_some());
        let running = if limited {
            self.connection.prepare_cached(RUNNING_OF)?.query_row([id.as_bytes()], |row| row.get(0))?
        } else {
            0
        };
        let mut pace = self.connection.prepare_cached(PACE)?;
        let read = |row: &Row<'_>| {
            let mut columns = Columns::of(row);
            Ok((columns.maybe_time()?, columns.maybe_time()?))
        };
        let (pace, paused_until) = pace.query_row([id.as_bytes()], read).optional()?.unwrap_or_default();
        let with_order = |execution: Execution| Ok((self.is_behind_another(&execution)?, execution));
        let due = due.into_iter().map(with_order).map(|both| both.map(|(behind, execution)| (execution, behind)));
        let due: rusqlite::Result<VecDeque<_>> = due.collect();
        Ok(Lane { action, due: due?, running, pace, paused_until })
    }

    fn is_behind_another(&self, execution: &Execution) -> rusqlite::Result<bool> {
        let Some(key) = &execution.turn.ordering_key else { return Ok(false) };
        let mut statement = self.connection.prepare_cached(BEHIND)?;
        let (action, id) = (execution.action.uuid(), execution.id.uuid());
        let values = (action.as_bytes(), key, id.as_bytes(), execution.turn.order_blocks);
        statement.query_row(values, |row| row.get(0))
    }
}

fn begin(mut execution: Execution, claim: &Claim) -> (Execution, NewEvent) {
    execution.begin_attempt(claim.now);
    execution.lease = Some((claim.lease)(&execution));
    let started = (claim.started)(&execution);
    (execution, started)
}
