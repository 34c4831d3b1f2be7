//! Much that was stored before: an execution that the service ran, copied.
//!
//! The service would take an hour for it. The columns are taken from the database, so that this
//! knows only what has to differ from one copy to the next.

use anyhow::{Context as _, Result, ensure};
use rusqlite::Connection;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// Executions in one transaction: a log of it that stays small.
const BATCH: i64 = 20_000;

/// An execution that has ended, and its events.
struct Template {
    /// Its id, in hexadecimal digits.
    id: String,
    events: i64,
    /// The last position.
    end: i64,
}

impl Template {
    /// Batches of copies, by the numbers of their first and last one.
    fn batches(&self, events: u64) -> Result<Vec<(i64, i64)>> {
        ensure!(self.events > 0, "the execution to copy has no events");
        let copies = events as i64 / self.events;
        Ok((0..copies).step_by(BATCH as usize).map(|first| (first + 1, (first + BATCH).min(copies))).collect())
    }

    /// Copies began a millisecond after one another, and before it.
    fn first_ms(&self, events: u64) -> Result<u64> {
        Ok(u64::from_str_radix(&self.id[..12], 16)?.saturating_sub(events))
    }
}

/// Stores events in a file that nobody has open.
pub(super) fn sqlite(file: &std::path::Path, events: u64) -> Result<()> {
    let db = Connection::open(file)?;
    let of_one = "SELECT hex(id), (SELECT count(*) FROM events WHERE execution = executions.id), \
         (SELECT max(position) FROM events) FROM executions WHERE status = 4 ORDER BY id DESC LIMIT 1";
    let template =
        db.query_row(of_one, [], |row| Ok(Template { id: row.get(0)?, events: row.get(1)?, end: row.get(2)? }));
    let template = template.context("no execution to copy")?;
    let (id, per, end, ms) = (&template.id, template.events, template.end, template.first_ms(events)?);
    let copy = format!("unhex(printf('%012x', {ms} + n) || '{}' || printf('%012x', n))", &id[12..20]);
    let own = [("id", copy.as_str()), ("correlation_id", "'bench-' || n")];
    let position = format!("{end} + (n - 1) * {per} + row_number() OVER (PARTITION BY n ORDER BY t.position)");
    let of_event = [
        ("position", position.as_str()),
        ("id", "randomblob(16)"),
        ("execution", copy.as_str()),
        ("correlation_id", "'bench-' || n"),
    ];
    let insert = |table: &str, key: &str, own: &[(&str, &str)]| -> Result<String> {
        let mut columns = db.prepare("SELECT name FROM pragma_table_info(?1)")?;
        let columns = columns.query_map([table], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
        let numbers = "WITH RECURSIVE series (n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM series WHERE n < ?2)";
        let (names, values) = copied(&columns, own);
        Ok(format!(
            "{numbers} INSERT INTO {table} ({names}) SELECT {values} FROM series, {table} t WHERE t.{key} = x'{id}'"
        ))
    };
    let statements = [insert("executions", "id", &own)?, insert("events", "execution", &of_event)?];
    for batch in template.batches(events)? {
        db.execute_batch("BEGIN IMMEDIATE")?;
        for statement in &statements {
            db.execute(statement, batch)?;
        }
        db.execute_batch("COMMIT")?;
    }
    Ok(())
}

/// Stores events in a database that nobody writes to.
pub(super) async fn postgres(url: &str, events: u64) -> Result<()> {
    let mut db = PgConnection::connect(url).await?;
    let of_one = "SELECT replace(id::text, '-', ''), (SELECT count(*) FROM events WHERE execution = executions.id), \
         (SELECT max(position) FROM events) FROM executions WHERE status = 4 ORDER BY id DESC LIMIT 1";
    let (id, per, end): (String, i64, i64) =
        sqlx::query_as(of_one).fetch_one(&mut db).await.context("nothing to copy")?;
    let template = Template { id, events: per, end };
    let (id, ms) = (&template.id, template.first_ms(events)?);
    let copy = format!("(lpad(to_hex({ms} + n), 12, '0') || '{}' || lpad(to_hex(n), 12, '0'))::uuid", &id[12..20]);
    let correlation = "convert_to('bench-' || n, 'UTF8')";
    let own = [("id", copy.as_str()), ("correlation_id", correlation)];
    let position = format!("{end} + (n - 1) * {per} + row_number() OVER (PARTITION BY n ORDER BY t.position)");
    let of_event = [
        ("position", position.as_str()),
        ("id", "gen_random_uuid()"),
        ("execution", copy.as_str()),
        ("correlation_id", correlation),
    ];
    let mut statements = Vec::new();
    for (table, key, own) in [("executions", "id", own.as_slice()), ("events", "execution", &of_event)] {
        let of_table = "SELECT attname::text FROM pg_attribute \
             WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum";
        let columns: Vec<String> = sqlx::query_scalar(of_table).bind(table).fetch_all(&mut db).await?;
        let (names, values) = copied(&columns, own);
        let numbers = "generate_series($1::bigint, $2::bigint) n";
        statements.push(format!(
            "INSERT INTO {table} ({names}) SELECT {values} FROM {numbers}, {table} t WHERE t.{key} = '{id}'"
        ));
    }
    for (first, last) in template.batches(events)? {
        for statement in &statements {
            let query = sqlx::query(AssertSqlSafe(statement.as_str()));
            query.bind(first).bind(last).execute(&mut db).await?;
        }
    }
    // The next event's position comes behind them.
    sqlx::query("UPDATE log SET position = (SELECT max(position) FROM events)").execute(&mut db).await?;
    Ok(())
}

/// What Postgres does by itself some time after much was written, done at once: later it would
/// disturb what is measured.
pub(super) async fn settle(admin_url: &str) -> Result<()> {
    let mut db = PgConnection::connect(admin_url).await?;
    for statement in ["VACUUM ANALYZE", "CHECKPOINT"] {
        sqlx::query(statement).execute(&mut db).await?;
    }
    Ok(())
}

/// The columns, and their values in a copy of a row `t`.
fn copied(columns: &[String], own: &[(&str, &str)]) -> (String, String) {
    let value = |column: &String| {
        let own = own.iter().find(|(name, _)| name == column);
        own.map_or_else(|| format!("t.{column}"), |(_, value)| (*value).to_owned())
    };
    (columns.join(", "), columns.iter().map(value).collect::<Vec<_>>().join(", "))
}
