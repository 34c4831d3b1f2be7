//! Retention: removing what ended long ago, and what only that needed.

use super::{batch::Batch, rows};
use crate::{
    error::damaged,
    row::{EVENT, logged},
};
use action_domain::{
    audit::Removed,
    limits::IDEMPOTENCY_KEY_FOR,
    repositories::{Prune, Pruned},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::LazyLock,
};

/// Chosen from the oldest id: what has not ended among those is little, and so is what is still
/// needed. Whether a failed one blocks its order says its document, which is written by us and
/// without spaces; inside a text of it each quote has a backslash, so this finds the member itself.
pub(crate) const CHOOSE: &str = "INSERT INTO pruning (execution) \
     SELECT id FROM executions WHERE ended_at < ?1 AND status IN (4, 5, 6, 7) \
     AND NOT (status = 5 AND ordering_key IS NOT NULL AND instr(turn, '\"order_blocks\":true') > 0) \
     AND NOT EXISTS (SELECT 1 FROM idempotency_keys INDEXED BY idempotency_keys_by_execution \
        WHERE execution = executions.id AND created_at > ?3) \
     AND NOT EXISTS (SELECT 1 FROM events INDEXED BY events_by_execution \
        WHERE execution = executions.id AND position > ?4) \
     AND NOT EXISTS (SELECT 1 FROM events INDEXED BY events_by_execution \
        WHERE execution = executions.id AND time >= ?1) ORDER BY id LIMIT ?2";
const PAYLOADS: &str = "CREATE TEMP TABLE IF NOT EXISTS pruned_payloads (digest BLOB PRIMARY KEY) WITHOUT ROWID";
pub(crate) const CHOOSE_PAYLOADS: &str = "INSERT OR IGNORE INTO pruned_payloads (digest) \
     SELECT e.payload FROM pruning p CROSS JOIN events e INDEXED BY events_by_execution ON e.execution = p.execution \
     WHERE e.payload IS NOT NULL";
/// Read one by one: all of them at once may be more than fits.
pub(crate) static GOING: LazyLock<String> = LazyLock::new(|| {
    let columns = EVENT.split(", ").map(|column| format!("e.{column}")).collect::<Vec<_>>().join(", ");
    format!(
        "SELECT {columns}, e.payload, e.kind \
         FROM pruning p CROSS JOIN events e INDEXED BY events_by_execution ON e.execution = p.execution"
    )
});
pub(crate) const EVENTS: &str = "DELETE FROM events WHERE position IN (\
     SELECT e.position FROM pruning p CROSS JOIN events e INDEXED BY events_by_execution ON e.execution = p.execution)";
const EMPTY: &str = "INSERT INTO pruned_events (position, pruned_by, execution) VALUES (?, ?, ?)";
const NEEDLESS: &str = "DELETE FROM payloads WHERE digest IN (SELECT digest FROM pruned_payloads) \
     AND NOT EXISTS (SELECT 1 FROM events INDEXED BY events_by_payload WHERE payload = payloads.digest)";
const KEYS: &str = "DELETE FROM idempotency_keys WHERE execution IN (SELECT execution FROM pruning)";
const EXECUTIONS: &str = "DELETE FROM executions WHERE id IN (SELECT execution FROM pruning)";

impl Batch<'_> {
    pub(super) fn prune(&mut self, prune: &Prune) -> rusqlite::Result<Pruned> {
        self.flush()?;
        let run = |sql: &str| self.connection.execute(sql, []).map(|rows| rows as u64);
        run(PAYLOADS)?;
        let keys_after = prune.now.minus(IDEMPOTENCY_KEY_FOR).as_micros();
        let values = (prune.before.as_micros(), prune.limit, keys_after, prune.through);
        let executions = self.connection.execute(CHOOSE, values)? as u64;
        run(CHOOSE_PAYLOADS)?;
        let mut going = self.connection.prepare(&GOING)?;
        let going = going.query_map([], |row| logged(row, self.types()).map(|logged| Removed::of(&logged)))?;
        let mut events: Vec<Removed> = going.collect::<rusqlite::Result<_>>()?;
        run(EVENTS)?;
        let payloads = run(NEEDLESS)?;
        run(KEYS)?;
        run(EXECUTIONS)?;
        run("DELETE FROM pruned_payloads")?;
        let pruned = Pruned::of(executions, payloads, &mut events);
        if executions > 0 {
            // The caller's closure must not take the writer down.
            let recorded = catch_unwind(AssertUnwindSafe(|| (prune.recorded)(pruned)));
            let recorded = recorded.map_err(|_| damaged("the event panicked"))?;
            let mut empty = self.connection.prepare_cached(EMPTY)?;
            for event in events {
                let execution = event.execution.map(|execution| *execution.uuid().as_bytes());
                empty.execute((event.position, recorded.id.uuid().as_bytes(), execution))?;
            }
            rows::insert_events(self.connection, self.types(), self.stage.position(), [&recorded].into_iter())?;
            self.stage.skip(1);
            run("DELETE FROM pruning")?;
        }
        Ok(pruned)
    }
}
