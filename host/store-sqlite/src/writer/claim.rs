//! The queue: executions that are due begin an attempt.

use super::{batch::Batch, bulk, state::Guard};
use crate::{
    error::damaged,
    row::{EXECUTION, execution},
};
use action_domain::{
    event::NewEvent,
    execution::{Execution, Status},
    repositories::Claim,
};
use sqlx::AssertSqlSafe;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What is due, oldest first.
pub(crate) fn due() -> String {
    format!(
        "SELECT {EXECUTION} FROM executions INDEXED BY executions_due \
         WHERE status IN (0, 2) AND run_at <= ? ORDER BY run_at, id LIMIT ?"
    )
}

impl Batch<'_> {
    /// Begins an attempt of each execution that is due. What is staged is written before, so
    /// that what was queued in this batch is seen.
    pub(super) async fn claim(&mut self, claim: &Claim) -> sqlx::Result<Vec<Execution>> {
        self.flush().await?;
        let rows = sqlx::query(AssertSqlSafe(due()))
            .bind(claim.now.as_micros())
            .bind(i64::from(claim.limit))
            .fetch_all(&mut *self.connection)
            .await?;
        let mut executions = Vec::with_capacity(rows.len());
        let mut started = Vec::with_capacity(rows.len());
        for row in &rows {
            let execution = execution(row)?;
            // The caller's closures must not take the writer down.
            let begun = catch_unwind(AssertUnwindSafe(|| begin(execution, claim)));
            let (execution, event) = begun.map_err(|_| damaged("the claim panicked"))?;
            executions.push(execution);
            started.push(event);
        }
        bulk::update_executions(self.connection, &executions.iter().collect::<Vec<_>>()).await?;
        let (types, after) = (self.types(), self.stage.position());
        bulk::insert_events(self.connection, types, after, &started.iter().collect::<Vec<_>>()).await?;
        self.stage.skip(started.len());
        for execution in &executions {
            self.stage.set_guard(execution.id, Guard::of(execution));
        }
        Ok(executions)
    }
}

fn begin(mut execution: Execution, claim: &Claim) -> (Execution, NewEvent) {
    execution.status = Status::Running;
    execution.attempt += 1;
    execution.started_at = execution.started_at.or(Some(claim.now));
    execution.run_at = None;
    execution.lease = Some((claim.lease)(&execution));
    let started = (claim.started)(&execution);
    (execution, started)
}
