//! The limit of running a queue on SQLite: rows that are claimed and completed ten at a time.

use anyhow::Result;
use rusqlite::Connection;
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// Rows that wait: more than are done in a slice.
const ROWS_A_SECOND: u64 = 200_000;

const SCHEMA: &str = "CREATE TABLE queue (
    id INTEGER PRIMARY KEY, status INTEGER NOT NULL, run_at INTEGER NOT NULL, lease_until INTEGER, ended_at INTEGER
) STRICT;
CREATE INDEX queue_due ON queue (run_at, id) WHERE status = 0";

/// Rows that are claimed and completed in a second, each batch in two durable commits.
pub(super) fn drain(file: &Path, length: Duration) -> Result<f64> {
    let db = Connection::open(file)?;
    db.pragma_update(None, "journal_mode", "wal")?;
    db.pragma_update(None, "synchronous", "full")?;
    db.execute_batch(SCHEMA)?;
    let rows = (ROWS_A_SECOND * length.as_secs().max(1)) as i64;
    db.execute(
        "WITH RECURSIVE series (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < ?1)
         INSERT INTO queue (id, status, run_at) SELECT n, 0, n FROM series",
        [rows],
    )?;
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    let mut claim = db.prepare(
        "UPDATE queue SET status = 1, lease_until = ?1 WHERE id IN
             (SELECT id FROM queue WHERE status = 0 AND run_at <= ?1 ORDER BY run_at, id LIMIT 10) RETURNING id",
    )?;
    let mut complete = db.prepare("UPDATE queue SET status = 4, lease_until = NULL, ended_at = ?2 WHERE id = ?1")?;
    let (begun, mut done) = (Instant::now(), 0);
    while begun.elapsed() < length && done < rows {
        let claimed = claim.query_map([rows], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
        let transaction = db.unchecked_transaction()?;
        for id in &claimed {
            complete.execute((id, rows))?;
        }
        transaction.commit()?;
        done += claimed.len() as i64;
    }
    Ok(done as f64 / begun.elapsed().as_secs_f64())
}
