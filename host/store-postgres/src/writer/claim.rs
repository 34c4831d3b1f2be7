//! The queue: executions whose turn it is begin an attempt.
//!
//! Whose turn it is depends on what else runs and on what others take, so one process at a time
//! decides: a batch with a claim holds a lock from its beginning to its commit. What follows is
//! then the same as in a store of one process. Rows that somebody else is changing just now are
//! left alone.

use super::{batch::Batch, guard::Guard};
use crate::row::{Columns, EXECUTION, execution};
use action_domain::{
    event::NewEvent,
    execution::Execution,
    id::{ActionId, ExecutionId},
    repositories::{Claim, Claimed, StoreUnavailable},
    rounds::{LANES_MAX, Lane, lane_depth, share_out},
    time::Timestamp,
};
use sqlx::postgres::PgBindIterExt as _;
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::LazyLock,
};
use uuid::Uuid;

/// Actions behind one that have something that waits, from each to the next, and whether
/// something of them is due.
pub(crate) const WAITING: &str = "WITH RECURSIVE lane AS (\
        (SELECT action, 1 AS place FROM executions WHERE status IN (0, 2) AND action > $1 ORDER BY action LIMIT 1) \
        UNION ALL (SELECT next.action, lane.place + 1 FROM lane CROSS JOIN LATERAL (\
            SELECT e.action FROM executions AS e WHERE e.status IN (0, 2) AND e.action > lane.action \
            ORDER BY e.action LIMIT 1) AS next WHERE lane.place < $2)) \
     SELECT action, EXISTS (SELECT 1 FROM executions AS e WHERE e.status IN (0, 2) AND e.action = lane.action \
            AND least(e.attempt, 1) = 0 AND e.run_at <= $3) \
         OR EXISTS (SELECT 1 FROM executions AS e WHERE e.status IN (0, 2) AND e.action = lane.action \
            AND least(e.attempt, 1) = 1 AND e.run_at <= $3) \
     FROM lane";

/// What of some actions is due: of each first attempts, then retries, oldest first.
pub(crate) static DUE: LazyLock<String> = LazyLock::new(|| {
    let arm = |retry| {
        format!(
            "(SELECT {EXECUTION} FROM executions WHERE status IN (0, 2) AND action = lane.action \
             AND least(attempt, 1) = {retry} AND run_at <= $2 ORDER BY run_at, id LIMIT $3)"
        )
    };
    format!(
        "SELECT due.* FROM unnest($1::uuid[]) AS lane (action) CROSS JOIN LATERAL ({} UNION ALL {}) AS due",
        arm(0),
        arm(1)
    )
});

/// Some executions, if they are due.
pub(crate) static THESE: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {EXECUTION} FROM executions WHERE id = ANY($1) AND {STILL_DUE}"));

/// Those that are held up by an earlier execution with the same key.
pub(crate) const BEHIND: &str = "SELECT asked.id \
     FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::boolean[]) AS asked (id, action, key, blocks) \
     WHERE EXISTS (SELECT 1 FROM executions AS e WHERE e.action = asked.action AND e.ordering_key = asked.key \
        AND e.id <> asked.id AND (e.id < asked.id OR e.status = 1) AND e.ordering_key IS NOT NULL AND e.status NOT IN (4, 6, 7) \
        AND (asked.blocks OR e.status <> 5))";

/// Executions of some actions that run.
pub(crate) const RUNNING_OF: &str = "SELECT action, count(*) FROM executions WHERE status = 1 AND action = ANY($1) \
     AND turn::jsonb -> 'takes_no_seat' IS NULL GROUP BY action";

pub(crate) const PACES: &str = "SELECT action, pace, paused_until FROM action_paces WHERE action = ANY($1)";

/// Holds those that are still due.
pub(crate) static HOLD: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT id FROM executions WHERE id = ANY($1) AND {STILL_DUE} FOR NO KEY UPDATE SKIP LOCKED")
});

/// Checked of the few that are named: not a way to find them.
const STILL_DUE: &str = "(status IN (0, 2) AND run_at <= $2) IS TRUE";

/// See [`Lane`].
type Pace = (Option<Timestamp>, Option<Timestamp>);

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
    pub(super) async fn claim(&mut self, claim: &Claim) -> sqlx::Result<Result<Claimed, StoreUnavailable>> {
        self.flush().await?;
        let (lanes, mut unseen) = match &claim.only {
            Some(only) => (self.lanes_of(only, claim.now).await?, Unseen::default()),
            None => self.lanes(claim).await?,
        };
        let mut plan = share_out(claim.now, claim.limit, lanes);
        let held = self.hold_waiting(plan.begin.iter().chain(&plan.moved), claim.now).await?;
        unseen.any |= held.len() < plan.begin.len() + plan.moved.len();
        plan.begin.retain(|execution| held.contains(&execution.id));
        plan.moved.retain(|execution| held.contains(&execution.id));
        // The caller's closures must not take the writer down. What they did not begin is as it was.
        let begin = || plan.begin.into_iter().map(|execution| begin(execution, claim)).collect::<Vec<_>>();
        let Ok(begun) = catch_unwind(AssertUnwindSafe(begin)) else {
            return Ok(Err(StoreUnavailable("the claim panicked".to_owned())));
        };
        let mut executions = Vec::with_capacity(begun.len());
        for (execution, started) in begun {
            self.put_claimed(execution.clone());
            self.stage.append([Cow::Owned(started)]);
            executions.push(execution);
        }
        plan.moved.into_iter().for_each(|execution| self.put_claimed(execution));
        for (action, pace) in plan.paces {
            self.stage.changes.set_pace(action, pace);
        }
        let drained = !unseen.any && executions.len() < claim.limit as usize;
        Ok(Ok(Claimed { executions, last: plan.last.or(unseen.behind), drained }))
    }

    fn put_claimed(&mut self, execution: Execution) {
        self.stage.set_guard(execution.id, Guard::of(&execution));
        self.stage.put_claimed(execution);
    }

    async fn hold_waiting(
        &mut self,
        executions: impl Iterator<Item = &Execution>,
        now: Timestamp,
    ) -> sqlx::Result<HashSet<ExecutionId>> {
        let ids: Vec<Uuid> = executions.map(|execution| execution.id.uuid()).collect();
        if ids.is_empty() {
            return Ok(HashSet::new());
        }
        let held = sqlx::query_scalar(HOLD.as_str()).bind(ids).bind(now.as_micros());
        let held: Vec<Uuid> = held.fetch_all(&mut *self.connection).await?;
        Ok(held.into_iter().map(ExecutionId::from_uuid).collect())
    }

    /// The lanes whose turn it is, and what was not looked at.
    async fn lanes(&mut self, claim: &Claim) -> sqlx::Result<(Vec<Lane>, Unseen)> {
        let start = claim.after.map_or(Uuid::nil(), |after| after.uuid());
        let mut actions = self.waiting_actions(start, Uuid::max(), claim.now).await?;
        if claim.after.is_some() && actions.len() <= LANES_MAX as usize {
            actions.extend(self.waiting_actions(Uuid::nil(), start, claim.now).await?);
        }
        let mut unseen = Unseen::default();
        if actions.len() > LANES_MAX as usize {
            actions.truncate(LANES_MAX as usize);
            unseen = Unseen { any: true, behind: actions.last().map(|(action, _)| *action) };
        }
        let actions: Vec<ActionId> = actions.into_iter().filter_map(|(action, due)| due.then_some(action)).collect();
        let depth = lane_depth(claim.limit, actions.len());
        let statement = sqlx::query(DUE.as_str())
            .bind(actions.iter().map(ActionId::uuid).bind_iter())
            .bind(claim.now.as_micros())
            .bind(i64::from(depth) + 1);
        let rows = if actions.is_empty() { Vec::new() } else { statement.fetch_all(&mut *self.connection).await? };
        let mut of: HashMap<ActionId, Vec<Execution>> = HashMap::new();
        for row in &rows {
            let execution = execution(row)?;
            of.entry(execution.action).or_default().push(execution);
        }
        let mut due = Vec::with_capacity(of.len());
        for action in actions {
            let Some(mut executions) = of.remove(&action) else { continue };
            executions.sort_unstable_by_key(|execution| (execution.attempt > 0, execution.run_at, execution.id));
            unseen.any |= executions.len() > depth as usize;
            executions.truncate(depth as usize);
            due.push((action, executions));
        }
        Ok((self.with_facts(due).await?, unseen))
    }

    /// Actions behind `from`, up to and with `to`; one more than a claim looks at, at most.
    async fn waiting_actions(&mut self, from: Uuid, to: Uuid, now: Timestamp) -> sqlx::Result<Vec<(ActionId, bool)>> {
        let statement = sqlx::query(WAITING).bind(from).bind(i64::from(LANES_MAX) + 1).bind(now.as_micros());
        let rows = statement.fetch_all(&mut *self.connection).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let mut columns = Columns::of(row);
            let (action, due): (Uuid, bool) = (columns.take()?, columns.take()?);
            if action <= to {
                found.push((ActionId::from_uuid(action), due));
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    async fn lanes_of(&mut self, only: &[ExecutionId], now: Timestamp) -> sqlx::Result<Vec<Lane>> {
        let ids: Vec<Uuid> = only.iter().map(ExecutionId::uuid).collect();
        let statement = sqlx::query(THESE.as_str()).bind(ids).bind(now.as_micros());
        let rows = statement.fetch_all(&mut *self.connection).await?;
        let mut due = rows.iter().map(execution).collect::<sqlx::Result<Vec<_>>>()?;
        due.sort_unstable_by_key(|execution| (execution.action, execution.id));
        let lanes = due.chunk_by(|one, other| one.action == other.action);
        let lanes = lanes.map(|due| (due[0].action, due.to_vec())).collect();
        self.with_facts(lanes).await
    }

    /// What has to be known of each lane, looked up for all of them together.
    async fn with_facts(&mut self, lanes: Vec<(ActionId, Vec<Execution>)>) -> sqlx::Result<Vec<Lane>> {
        if lanes.is_empty() {
            return Ok(Vec::new());
        }
        let limited = lanes.iter().filter(|(_, due)| due.iter().any(|one| one.turn.max_concurrent.is_some()));
        let limited: Vec<Uuid> = limited.map(|(action, _)| action.uuid()).collect();
        let running = if limited.is_empty() { HashMap::new() } else { self.running_of(limited).await? };
        let paces = self.paces(lanes.iter().map(|(action, _)| action.uuid()).collect()).await?;
        let behind = self.behind(lanes.iter().flat_map(|(_, due)| due)).await?;
        let lane = |(action, due): (ActionId, Vec<Execution>)| {
            let (pace, paused_until) = paces.get(&action).copied().unwrap_or_default();
            Lane {
                action,
                due: due.into_iter().map(|one| (behind.contains(&one.id), one)).map(|(is, one)| (one, is)).collect(),
                running: running.get(&action).map_or(0, |count| u32::try_from(*count).unwrap_or(u32::MAX)),
                pace,
                paused_until,
            }
        };
        Ok(lanes.into_iter().map(lane).collect())
    }

    async fn running_of(&mut self, actions: Vec<Uuid>) -> sqlx::Result<HashMap<ActionId, i64>> {
        let rows = sqlx::query(RUNNING_OF).bind(actions).fetch_all(&mut *self.connection).await?;
        let read = |row| {
            let mut columns = Columns::of(row);
            Ok((ActionId::from_uuid(columns.take()?), columns.take()?))
        };
        rows.iter().map(read).collect()
    }

    /// Of each action its pace, and until when it was asked to wait.
    async fn paces(&mut self, actions: Vec<Uuid>) -> sqlx::Result<HashMap<ActionId, Pace>> {
        let rows = sqlx::query(PACES).bind(actions).fetch_all(&mut *self.connection).await?;
        let read = |row| {
            let mut columns = Columns::of(row);
            Ok((ActionId::from_uuid(columns.take()?), (columns.maybe_time()?, columns.maybe_time()?)))
        };
        rows.iter().map(read).collect()
    }

    async fn behind(&mut self, due: impl Iterator<Item = &Execution>) -> sqlx::Result<HashSet<ExecutionId>> {
        let ordered: Vec<(&Execution, Vec<u8>)> =
            due.filter_map(|one| Some((one, super::bulk::key_digest(one.turn.ordering_key.as_deref()?)))).collect();
        if ordered.is_empty() {
            return Ok(HashSet::new());
        }
        let behind = sqlx::query_scalar(BEHIND)
            .bind(ordered.iter().map(|(one, _)| one.id.uuid()).bind_iter())
            .bind(ordered.iter().map(|(one, _)| one.action.uuid()).bind_iter())
            .bind(ordered.iter().map(|(_, key)| &key[..]).bind_iter())
            .bind(ordered.iter().map(|(one, _)| one.turn.order_blocks).bind_iter());
        let behind: Vec<Uuid> = behind.fetch_all(&mut *self.connection).await?;
        Ok(behind.into_iter().map(ExecutionId::from_uuid).collect())
    }
}

fn begin(mut execution: Execution, claim: &Claim) -> (Execution, NewEvent) {
    execution.begin_attempt(claim.now);
    execution.lease = Some((claim.lease)(&execution));
    let started = (claim.started)(&execution);
    (execution, started)
}
