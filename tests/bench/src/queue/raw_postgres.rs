//! The limits on Postgres: bare tables, and clients that do nothing else.
//!
//! Inserted are the rows of an execution that waits, as many and as large as the service's, with as
//! many executions under way as there are callers of the service. Claimed and completed are rows
//! of a table with the one index that it takes.

use super::CONNECTIONS;
use crate::product::INPUT;
use anyhow::Result;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use uuid::Uuid;

/// Clients that insert: while one waits for the disk, the other works.
const INSERTING: usize = 2;
/// Rows that wait: more than are done in a slice.
const ROWS_A_SECOND: u64 = 100_000;

const SCHEMA: [&str; 5] = [
    "CREATE SCHEMA bench",
    "CREATE TABLE bench.executions (id uuid PRIMARY KEY, action uuid NOT NULL, status smallint NOT NULL, \
     protocol text NOT NULL, correlation_id bytea NOT NULL, created_at bigint NOT NULL, run_at bigint NOT NULL)",
    "CREATE TABLE bench.events (position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id uuid NOT NULL, \
     type text NOT NULL, time bigint NOT NULL, action uuid NOT NULL, execution uuid NOT NULL, \
     correlation_id bytea NOT NULL, data text NOT NULL)",
    "CREATE TABLE bench.queue (id bigint PRIMARY KEY, status smallint NOT NULL, run_at bigint NOT NULL, \
     lease_until bigint, ended_at bigint)",
    "CREATE INDEX queue_due ON bench.queue (run_at, id) WHERE status = 0",
];

/// One statement, so that a batch costs one way to the server and one commit.
const INSERT: &str = "WITH given AS (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS g (execution, first, second)), \
     added AS (INSERT INTO bench.executions \
         SELECT execution, $4, 0, 'noop@0.1.0', convert_to(execution::text, 'UTF8'), $5, $5 FROM given) \
     INSERT INTO bench.events (id, type, time, action, execution, correlation_id, data) \
         SELECT e.id, e.type, $5, $4, execution, convert_to(execution::text, 'UTF8'), e.data FROM given, \
         LATERAL (VALUES (first, 'trigger_received', $6), (second, 'execution_queued', '{\"run_at\":0}')) AS e (id, type, data)";

const CLAIM: &str = "UPDATE bench.queue SET status = 1, lease_until = $1 WHERE id IN \
     (SELECT id FROM bench.queue WHERE status = 0 AND run_at <= $1 ORDER BY run_at, id LIMIT 10 FOR UPDATE SKIP LOCKED) \
     RETURNING id";

const COMPLETE: &str = "UPDATE bench.queue SET status = 4, lease_until = NULL, ended_at = $2 WHERE id = ANY($1)";

/// Bare tables in a database.
pub(super) struct Raw {
    url: String,
}

impl Raw {
    /// Makes them.
    pub(super) async fn new(url: &str) -> Result<Self> {
        let mut db = PgConnection::connect(url).await?;
        for statement in SCHEMA {
            sqlx::query(statement).execute(&mut db).await?;
        }
        Ok(Self { url: url.to_owned() })
    }

    /// Executions that are inserted in a second.
    pub(super) async fn enqueue(&self, length: Duration) -> Result<f64> {
        self.empty("executions, bench.events").await?;
        let input = String::from_utf8(INPUT.to_vec())?;
        let data = format!(r#"{{"trigger":"call","input":{{"content_type":"application/json","json":{input}}}}}"#);
        let mut clients = JoinSet::new();
        for _ in 0..INSERTING {
            clients.spawn(insert(PgConnection::connect(&self.url).await?, data.clone(), length));
        }
        sum(clients).await
    }

    /// Rows that are claimed and completed in a second, each batch in two durable commits.
    pub(super) async fn drain(&self, connections: usize, length: Duration) -> Result<f64> {
        self.empty("queue").await?;
        let mut db = PgConnection::connect(&self.url).await?;
        let rows = (ROWS_A_SECOND * length.as_secs().max(1)) as i64;
        let fill = "INSERT INTO bench.queue (id, status, run_at) SELECT n, 0, n FROM generate_series(1, $1) n";
        sqlx::query(fill).bind(rows).execute(&mut db).await?;
        sqlx::query("ANALYZE bench.queue").execute(&mut db).await?;
        let mut clients = JoinSet::new();
        for _ in 0..connections {
            clients.spawn(claim(PgConnection::connect(&self.url).await?, rows, length));
        }
        sum(clients).await
    }

    async fn empty(&self, tables: &str) -> Result<()> {
        let mut db = PgConnection::connect(&self.url).await?;
        sqlx::query(AssertSqlSafe(format!("TRUNCATE bench.{tables}"))).execute(&mut db).await?;
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "a program of its own, without the service's parts")]
async fn insert(mut db: PgConnection, data: String, length: Duration) -> Result<f64> {
    let batch = CONNECTIONS / INSERTING;
    let action = Uuid::now_v7();
    let (begun, mut done) = (Instant::now(), 0);
    while begun.elapsed() < length {
        let ids = || (0..batch).map(|_| Uuid::now_v7()).collect::<Vec<_>>();
        let insert = sqlx::query(INSERT).bind(ids()).bind(ids()).bind(ids()).bind(action).bind(0_i64).bind(&data);
        insert.execute(&mut db).await?;
        done += batch;
    }
    Ok(done as f64 / begun.elapsed().as_secs_f64())
}

async fn claim(mut db: PgConnection, now: i64, length: Duration) -> Result<f64> {
    let (begun, mut done) = (Instant::now(), 0);
    while begun.elapsed() < length {
        let claimed: Vec<i64> = sqlx::query_scalar(CLAIM).bind(now).fetch_all(&mut db).await?;
        if claimed.is_empty() {
            break;
        }
        sqlx::query(COMPLETE).bind(&claimed).bind(now).execute(&mut db).await?;
        done += claimed.len();
    }
    Ok(done as f64 / begun.elapsed().as_secs_f64())
}

async fn sum(mut clients: JoinSet<Result<f64>>) -> Result<f64> {
    let mut sum = 0.0;
    while let Some(rate) = clients.join_next().await {
        sum += rate??;
    }
    Ok(sum)
}
