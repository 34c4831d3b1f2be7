//! Reading: each query over its index, on connections of its own.
//!
//! The texts of the statements are made by plain functions, so that the tests can ask Postgres
//! for the plan of each.

pub(crate) mod actions;
pub(crate) mod capture;
pub(crate) mod consumers;
pub(crate) mod events;
pub(crate) mod executions;
pub(crate) mod log;
pub(crate) mod protocols;
pub(crate) mod secrets;
pub(crate) mod tokens;
pub(crate) mod triggers;

use crate::{
    PostgresStore,
    error::{Fault, fault, unavailable},
    listen::{self, Follow, Heard},
    writer::{
        consumers::CURSOR,
        queue::{KEYS, PAUSED_UNTIL, read_key},
    },
};
use action_domain::{
    action::Action,
    capture::Values,
    consumer::StandingConsumer,
    digest::Digest,
    event::{Event, EventType, Position},
    execution::{Execution, WorkerId},
    id::{ActionId, ExecutionId, TokenId},
    name::Name,
    protocol::{Pin, Protocol},
    repositories::{
        ActionFilter, ActionKey, EventFilter, ExecutionFilter, IdempotencyKey, Page, Positions, Reader, Signals,
        StoreUnavailable,
    },
    secret::Secret,
    time::Timestamp,
    token::Token,
    trigger::{Standing, StandingKind},
};
use async_trait::async_trait;
use bytes::Bytes;
use sqlx::{
    AssertSqlSafe, Postgres, Row as _,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use std::sync::Arc;

/// A statement with its arguments.
pub(crate) type Statement = Query<'static, Postgres, PgArguments>;

/// A list by some filter: its text is put together here, from constants, statuses and types. It
/// is planned each time, by what is asked for and by how large the tables are then. All other
/// statements have one way to go and are prepared.
fn list(sql: String) -> Statement {
    sqlx::query(AssertSqlSafe(sql)).persistent(false)
}

/// The condition whose index is used, where the statement sorts by its column first. As a plain
/// equation it would make that column needless in the order, and Postgres might walk through the
/// whole table by its key instead, hoping for enough of the rows on the way.
fn lead(column: &str, parameter: usize) -> String {
    format!("{column} = ANY (ARRAY[${parameter}])")
}

/// A condition for which no index is used: it is checked on what another one leaves.
fn only_checked(condition: &str) -> String {
    format!("({condition}) IS TRUE")
}

impl PostgresStore {
    async fn all<T>(
        &self,
        statement: impl Fn() -> Statement,
        read: impl Fn(&PgRow) -> sqlx::Result<T>,
    ) -> Result<Vec<T>, StoreUnavailable> {
        let rows = self.rows(statement).await.map_err(|error| unavailable(&error))?;
        rows.iter().map(read).collect::<sqlx::Result<_>>().map_err(|error| unavailable(&error))
    }

    async fn first<T>(
        &self,
        statement: impl Fn() -> Statement,
        read: impl Fn(&PgRow) -> sqlx::Result<T>,
    ) -> Result<Option<T>, StoreUnavailable> {
        // Each of these gives a row or none.
        Ok(self.all(statement, read).await?.pop())
    }

    /// Reads can be repeated. When the server was away, every connection in the pool is broken
    /// and goes as it is found to be: after that many tries at the latest there is a new one.
    async fn rows(&self, statement: impl Fn() -> Statement) -> sqlx::Result<Vec<PgRow>> {
        let mut tries = 0..self.readers.options().get_max_connections();
        loop {
            // The server ends a statement in its time; who has no server any more ends it here.
            let reading = tokio::time::timeout(self.read_timeout, statement().fetch_all(&self.readers)).await;
            let rows = reading.unwrap_or_else(|_| Err(sqlx::Error::PoolTimedOut));
            match rows {
                Err(error) if fault(&error) == Fault::Broken && tries.next().is_some() => {}
                rows => return rows,
            }
        }
    }
}

fn bytes(row: &PgRow) -> sqlx::Result<Bytes> {
    row.try_get::<Vec<u8>, _>(0).map(Bytes::from)
}

#[async_trait]
impl Reader for PostgresStore {
    async fn protocol(&self, pin: &Pin) -> Result<Option<Arc<Protocol>>, StoreUnavailable> {
        self.first(|| protocols::one(pin), protocols::row).await
    }

    async fn protocol_versions(&self, name: &Name) -> Result<Vec<Arc<Protocol>>, StoreUnavailable> {
        protocols::versions(self, name).await
    }

    async fn protocols(&self, page: Page<Pin>) -> Result<Vec<Arc<Protocol>>, StoreUnavailable> {
        self.all(|| protocols::page(&page), protocols::row).await
    }

    async fn protocols_with(&self, digest: &Digest) -> Result<Vec<Arc<Protocol>>, StoreUnavailable> {
        self.all(|| protocols::with(digest), protocols::row).await
    }

    async fn component(&self, digest: &Digest) -> Result<Option<Bytes>, StoreUnavailable> {
        let statement =
            || sqlx::query("SELECT data FROM components WHERE digest = $1").bind(digest.as_bytes().to_vec());
        self.first(statement, bytes).await
    }

    async fn action(&self, key: &ActionKey) -> Result<Option<Arc<Action>>, StoreUnavailable> {
        self.first(|| actions::one(key), actions::row).await
    }

    async fn action_revision(&self, id: ActionId, revision: u32) -> Result<Option<Arc<Action>>, StoreUnavailable> {
        self.first(|| actions::revision(id, revision), actions::row).await
    }

    async fn actions(&self, filter: &ActionFilter, page: Page<Name>) -> Result<Vec<Arc<Action>>, StoreUnavailable> {
        self.all(|| actions::page(filter, &page), actions::row).await
    }

    async fn execution(&self, id: ExecutionId) -> Result<Option<Execution>, StoreUnavailable> {
        self.first(|| executions::one(id), crate::row::execution).await
    }

    async fn executions(
        &self,
        filter: &ExecutionFilter,
        page: Page<ExecutionId>,
    ) -> Result<Vec<Execution>, StoreUnavailable> {
        self.all(|| executions::page(filter, page), crate::row::execution).await
    }

    async fn abandoned(
        &self,
        now: Timestamp,
        except: Option<WorkerId>,
        limit: u32,
    ) -> Result<Vec<Execution>, StoreUnavailable> {
        self.all(|| executions::abandoned(now, except, limit), crate::row::execution).await
    }

    async fn expired(&self, now: Timestamp, limit: u32) -> Result<Vec<Execution>, StoreUnavailable> {
        self.all(|| executions::expired(now, limit), crate::row::execution).await
    }

    async fn to_cancel(&self, worker: WorkerId) -> Result<Vec<ExecutionId>, StoreUnavailable> {
        let read = |row: &PgRow| row.try_get(0).map(ExecutionId::from_uuid);
        self.all(|| sqlx::query(executions::TO_CANCEL).bind(worker), read).await
    }

    async fn idempotency_key(&self, action: ActionId, key: &str) -> Result<Option<IdempotencyKey>, StoreUnavailable> {
        let statement = || sqlx::query(KEYS).bind(vec![action.uuid()]).bind(vec![key.as_bytes().to_vec()]);
        self.first(statement, read_key).await
    }

    async fn token(&self, id: TokenId) -> Result<Option<Arc<Token>>, StoreUnavailable> {
        self.first(|| tokens::one(id), tokens::row).await
    }

    async fn tokens(&self, page: Page<TokenId>) -> Result<Vec<Arc<Token>>, StoreUnavailable> {
        self.all(|| tokens::page(page), tokens::row).await
    }

    async fn has_sent(&self, execution: ExecutionId, attempt: u32) -> Result<bool, StoreUnavailable> {
        Ok(self.first(|| events::sent(execution, attempt), |_| Ok(())).await?.is_some())
    }

    fn signals(&self) -> Box<dyn Signals> {
        Box::new(Heard(self.signals.resubscribe()))
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreUnavailable> {
        let read = |row: &PgRow| row.try_get(0).map(Timestamp::from_micros);
        self.first(|| sqlx::query(executions::NEXT_DUE), read).await
    }

    async fn paused_until(&self, action: ActionId) -> Result<Option<Timestamp>, StoreUnavailable> {
        let read = |row: &PgRow| Ok(row.try_get::<Option<i64>, _>(0)?.map(Timestamp::from_micros));
        Ok(self.first(|| sqlx::query(PAUSED_UNTIL).bind(action.uuid()), read).await?.flatten())
    }

    async fn events(&self, filter: &EventFilter, page: Page<Position>) -> Result<Vec<Event>, StoreUnavailable> {
        self.all(|| events::page(filter, page), crate::row::event).await
    }

    async fn event_of(&self, execution: ExecutionId, r#type: EventType) -> Result<Option<Event>, StoreUnavailable> {
        self.first(|| events::of(execution, r#type), crate::row::event).await
    }

    async fn payload(&self, digest: &Digest) -> Result<Option<Bytes>, StoreUnavailable> {
        let statement = || sqlx::query("SELECT data FROM payloads WHERE digest = $1").bind(digest.as_bytes().to_vec());
        self.first(statement, bytes).await
    }

    async fn secrets_named(&self, names: &[Name]) -> Result<Vec<Arc<Secret>>, StoreUnavailable> {
        self.all(|| secrets::named(names), secrets::row).await
    }

    async fn secrets(&self, page: Page<Name>) -> Result<Vec<Arc<Secret>>, StoreUnavailable> {
        self.all(|| secrets::page(&page), secrets::row).await
    }

    async fn webhook_at(&self, path: &str) -> Result<Option<Standing>, StoreUnavailable> {
        self.first(|| triggers::at(path), triggers::row).await
    }

    async fn triggers_of(&self, action: ActionId) -> Result<Vec<Standing>, StoreUnavailable> {
        self.all(|| triggers::of(action), triggers::row).await
    }

    async fn triggers(
        &self,
        kind: StandingKind,
        page: Page<(ActionId, u32)>,
    ) -> Result<Vec<Standing>, StoreUnavailable> {
        self.all(|| triggers::page(kind, page), triggers::row).await
    }

    async fn due_schedules(&self, now: Timestamp, limit: u32) -> Result<Vec<Standing>, StoreUnavailable> {
        self.all(|| triggers::due(now, limit), triggers::row).await
    }

    async fn next_schedule(&self) -> Result<Option<Timestamp>, StoreUnavailable> {
        let read = |row: &PgRow| row.try_get(0).map(Timestamp::from_micros);
        self.first(|| sqlx::query(triggers::NEXT), read).await
    }

    async fn captured_keys(&self, action: ActionId, keys: &[Arc<str>]) -> Result<Vec<Arc<str>>, StoreUnavailable> {
        let mut known = self.all(|| capture::known(action, keys), capture::key).await?;
        known.sort_unstable();
        Ok(known)
    }

    async fn values(&self, action: ActionId) -> Result<Values, StoreUnavailable> {
        Ok(self.all(|| capture::values(action), capture::value).await?.into_iter().collect())
    }

    async fn consumer(&self, name: &Name) -> Result<Option<StandingConsumer>, StoreUnavailable> {
        self.first(|| consumers::one(name), consumers::row).await
    }

    async fn consumers(&self, page: Page<Name>) -> Result<Vec<StandingConsumer>, StoreUnavailable> {
        self.all(|| consumers::page(&page), consumers::row).await
    }

    async fn cursor(&self, name: &str) -> Result<Option<Position>, StoreUnavailable> {
        self.first(|| sqlx::query(CURSOR).bind(name.to_owned()), |row| row.try_get(0)).await
    }

    async fn cursors(&self, page: Page<Arc<str>>) -> Result<Vec<(Arc<str>, Position)>, StoreUnavailable> {
        let cursor = |row: &PgRow| Ok((row.try_get::<String, _>(0)?.into(), row.try_get(1)?));
        self.all(|| consumers::cursors(&page), cursor).await
    }

    async fn last_position(&self) -> Result<Position, StoreUnavailable> {
        // As the database has it: another process may have moved it on just now.
        let position = self.first(|| sqlx::query(listen::LAST_POSITION), |row| row.try_get(0)).await?;
        position.ok_or_else(|| StoreUnavailable("the log has no end".to_owned()))
    }

    fn follow(&self) -> Box<dyn Positions> {
        let mut positions = self.positions.clone();
        positions.mark_unchanged();
        Box::new(Follow(positions))
    }
}
