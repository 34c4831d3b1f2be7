//! The queue: executions that are due begin an attempt.

use super::{batch::Batch, rows, state::Guard};
use crate::{
    error::damaged,
    row::{EXECUTION, execution},
};
use action_domain::{
    event::NewEvent,
    execution::{Execution, Status},
    repositories::Claim,
};
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
    pub(super) fn claim(&mut self, claim: &Claim) -> rusqlite::Result<Vec<Execution>> {
        self.flush()?;
        let mut executions = Vec::new();
        let mut started = Vec::new();
        {
            let mut statement = self.connection.prepare_cached(&due())?;
            let mut rows = statement.query((claim.now.as_micros(), claim.limit))?;
            while let Some(row) = rows.next()? {
                let execution = execution(row)?;
                // The caller's closures must not take the writer down.
                let begun = catch_unwind(AssertUnwindSafe(|| begin(execution, claim)));
                let (execution, event) = begun.map_err(|_| damaged("the claim panicked"))?;
                executions.push(execution);
                started.push(event);
            }
        }
        rows::update_executions(self.connection, executions.iter())?;
        let (types, after) = (self.types(), self.stage.position());
        rows::insert_events(self.connection, types, after, started.iter())?;
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
