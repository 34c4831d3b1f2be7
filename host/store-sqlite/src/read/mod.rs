//! Reading: each query over its index, on connections of its own.
//!
//! The texts of the statements are made by plain functions, so that the tests can ask SQLite
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
    Follow, SqliteStore,
    readers::Readers,
    row::Columns,
    writer::{
        claim::PAUSED_UNTIL,
        consumers::CURSOR,
        queue::{KEY, read_key},
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
        ActionFilter, ActionKey, EventFilter, ExecutionFilter, IdempotencyKey, Page, Positions, Reader,
        StoreUnavailable,
    },
    secret::Secret,
    time::Timestamp,
    token::Token,
    trigger::{Standing, StandingKind},
};
use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Row, params_from_iter, types::Value};
use std::{borrow::Cow, sync::Arc};
use uuid::Uuid;

/// A statement with its values.
#[derive(Debug)]
struct Statement {
    sql: Cow<'static, str>,
    values: Vec<Value>,
}

/// A statement; its text is put together in this module, from constants, statuses and type codes.
fn query(sql: impl Into<Cow<'static, str>>) -> Statement {
    Statement { sql: sql.into(), values: Vec::new() }
}

impl Statement {
    fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// A UUID, which is stored as 16 bytes.
    fn bind_id(self, id: Uuid) -> Self {
        self.bind(id.as_bytes().to_vec())
    }

    fn bind_maybe_id(self, id: Option<Uuid>) -> Self {
        self.bind(id.map(|id| id.as_bytes().to_vec()))
    }
}

async fn all<T: Send + 'static>(
    readers: &Readers,
    statement: Statement,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T> + Send + 'static,
) -> Result<Vec<T>, StoreUnavailable> {
    let rows = readers.read(move |connection| {
        let Statement { sql, mut values } = statement;
        let mut prepared = connection.prepare_cached(&sql)?;
        // All conditions' values are bound in one order; a text may lack the last of them.
        values.truncate(prepared.parameter_count());
        let rows = prepared.query_map(params_from_iter(values), |row| read(row))?;
        rows.collect()
    });
    rows.await
}

impl SqliteStore {
    async fn all<T: Send + 'static>(
        &self,
        statement: Statement,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<Vec<T>, StoreUnavailable> {
        all(&self.readers, statement, read).await
    }

    async fn first<T: Send + 'static>(
        &self,
        statement: Statement,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<Option<T>, StoreUnavailable> {
        Ok(self.all(statement, read).await?.into_iter().next())
    }
}

fn bytes(row: &Row<'_>) -> rusqlite::Result<Bytes> {
    row.get::<_, Vec<u8>>(0).map(Bytes::from)
}

#[async_trait]
impl Reader for SqliteStore {
    async fn protocol(&self, pin: &Pin) -> Result<Option<Arc<Protocol>>, StoreUnavailable> {
        self.first(protocols::one(pin), protocols::row).await
    }

    async fn protocol_versions(&self, name: &Name) -> Result<Vec<Arc<Protocol>>, StoreUnavailable> {
        protocols::versions(self, name).await
    }

    async fn protocols(&self, page: Page<Pin>) -> Result<Vec<Arc<Protocol>>, StoreUnavailable> {
        self.all(protocols::page(&page), protocols::row).await
    }

    async fn protocols_with(&self, digest: &Digest) -> Result<Vec<Arc<Protocol>>, StoreUnavailable> {
        self.all(protocols::with(digest), protocols::row).await
    }

    async fn component(&self, digest: &Digest) -> Result<Option<Bytes>, StoreUnavailable> {
        let statement = query("SELECT data FROM components WHERE digest = ?").bind(digest.as_bytes().to_vec());
        self.first(statement, bytes).await
    }

    async fn action(&self, key: &ActionKey) -> Result<Option<Arc<Action>>, StoreUnavailable> {
        self.first(actions::one(key), actions::row).await
    }

    async fn action_revision(&self, id: ActionId, revision: u32) -> Result<Option<Arc<Action>>, StoreUnavailable> {
        self.first(actions::revision(id, revision), actions::row).await
    }

    async fn actions(&self, filter: &ActionFilter, page: Page<Name>) -> Result<Vec<Arc<Action>>, StoreUnavailable> {
        self.all(actions::page(filter, &page), actions::row).await
    }

    async fn execution(&self, id: ExecutionId) -> Result<Option<Execution>, StoreUnavailable> {
        self.first(executions::one(id), crate::row::execution).await
    }

    async fn executions(
        &self,
        filter: &ExecutionFilter,
        page: Page<ExecutionId>,
    ) -> Result<Vec<Execution>, StoreUnavailable> {
        self.all(executions::page(filter, page), crate::row::execution).await
    }

    async fn abandoned(
        &self,
        now: Timestamp,
        except: Option<WorkerId>,
        limit: u32,
    ) -> Result<Vec<Execution>, StoreUnavailable> {
        self.all(executions::abandoned(now, except, limit), crate::row::execution).await
    }

    async fn expired(&self, now: Timestamp, limit: u32) -> Result<Vec<Execution>, StoreUnavailable> {
        self.all(executions::expired(now, limit), crate::row::execution).await
    }

    async fn to_cancel(&self, worker: WorkerId) -> Result<Vec<ExecutionId>, StoreUnavailable> {
        let read = |row: &Row<'_>| Columns::of(row).uuid().map(ExecutionId::from_uuid);
        self.all(query(executions::TO_CANCEL).bind_id(worker), read).await
    }

    async fn idempotency_key(&self, action: ActionId, key: &str) -> Result<Option<IdempotencyKey>, StoreUnavailable> {
        let text = key.to_owned();
        let statement = query(KEY).bind_id(action.uuid()).bind(text.clone());
        self.first(statement, move |row| read_key(row, action, &text)).await
    }

    async fn token(&self, id: TokenId) -> Result<Option<Arc<Token>>, StoreUnavailable> {
        self.first(tokens::one(id), tokens::row).await
    }

    async fn tokens(&self, page: Page<TokenId>) -> Result<Vec<Arc<Token>>, StoreUnavailable> {
        self.all(tokens::page(page), tokens::row).await
    }

    async fn has_sent(&self, execution: ExecutionId, attempt: u32) -> Result<bool, StoreUnavailable> {
        let statement = query(events::SENT).bind_id(execution.uuid());
        let statement = statement.bind(self.types.code(EventType::AttemptSending)).bind(i64::from(attempt));
        Ok(self.first(statement, |row| row.get(0)).await?.unwrap_or(false))
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreUnavailable> {
        let read = |row: &Row<'_>| row.get(0).map(Timestamp::from_micros);
        self.first(query(executions::NEXT_DUE), read).await
    }

    async fn paused_until(&self, action: ActionId) -> Result<Option<Timestamp>, StoreUnavailable> {
        let read = |row: &Row<'_>| Ok(row.get::<_, Option<i64>>(0)?.map(Timestamp::from_micros));
        Ok(self.first(query(PAUSED_UNTIL).bind_id(action.uuid()), read).await?.flatten())
    }

    async fn events(&self, filter: &EventFilter, page: Page<Position>) -> Result<Vec<Event>, StoreUnavailable> {
        let statement = events::page(filter, page, &self.types);
        let types = Arc::clone(&self.types);
        self.all(statement, move |row| crate::row::event(row, &types)).await
    }

    async fn event_of(&self, execution: ExecutionId, r#type: EventType) -> Result<Option<Event>, StoreUnavailable> {
        let statement = events::of(execution, r#type, &self.types);
        let types = Arc::clone(&self.types);
        self.first(statement, move |row| crate::row::event(row, &types)).await
    }

    async fn payload(&self, digest: &Digest) -> Result<Option<Bytes>, StoreUnavailable> {
        let statement = query("SELECT data FROM payloads WHERE digest = ?").bind(digest.as_bytes().to_vec());
        self.first(statement, bytes).await
    }

    async fn secrets_named(&self, names: &[Name]) -> Result<Vec<Arc<Secret>>, StoreUnavailable> {
        self.all(secrets::named(names), secrets::row).await
    }

    async fn secrets(&self, page: Page<Name>) -> Result<Vec<Arc<Secret>>, StoreUnavailable> {
        self.all(secrets::page(&page), secrets::row).await
    }

    async fn webhook_at(&self, path: &str) -> Result<Option<Standing>, StoreUnavailable> {
        self.first(triggers::at(path), triggers::row).await
    }

    async fn triggers_of(&self, action: ActionId) -> Result<Vec<Standing>, StoreUnavailable> {
        self.all(triggers::of(action), triggers::row).await
    }

    async fn triggers(
        &self,
        kind: StandingKind,
        page: Page<(ActionId, u32)>,
    ) -> Result<Vec<Standing>, StoreUnavailable> {
        self.all(triggers::page(kind, page), triggers::row).await
    }

    async fn due_schedules(&self, now: Timestamp, limit: u32) -> Result<Vec<Standing>, StoreUnavailable> {
        self.all(triggers::due(now, limit), triggers::row).await
    }

    async fn next_schedule(&self) -> Result<Option<Timestamp>, StoreUnavailable> {
        let read = |row: &Row<'_>| row.get(0).map(Timestamp::from_micros);
        self.first(query(triggers::NEXT), read).await
    }

    async fn captured_keys(&self, action: ActionId, keys: &[Arc<str>]) -> Result<Vec<Arc<str>>, StoreUnavailable> {
        let keys = keys.iter().cloned().collect();
        self.readers.read(move |connection| capture::known(connection, action, &keys)).await
    }

    async fn values(&self, action: ActionId) -> Result<Values, StoreUnavailable> {
        Ok(self.all(capture::values(action), capture::value).await?.into_iter().collect())
    }

    async fn consumer(&self, name: &Name) -> Result<Option<StandingConsumer>, StoreUnavailable> {
        self.first(consumers::one(name), consumers::row).await
    }

    async fn consumers(&self, page: Page<Name>) -> Result<Vec<StandingConsumer>, StoreUnavailable> {
        self.all(consumers::page(&page), consumers::row).await
    }

    async fn cursor(&self, name: &str) -> Result<Option<Position>, StoreUnavailable> {
        self.first(query(CURSOR).bind(name.to_owned()), |row| row.get(0)).await
    }

    async fn cursors(&self, page: Page<Arc<str>>) -> Result<Vec<(Arc<str>, Position)>, StoreUnavailable> {
        self.all(consumers::cursors(&page), |row| Ok((row.get::<_, String>(0)?.into(), row.get(1)?))).await
    }

    async fn last_position(&self) -> Result<Position, StoreUnavailable> {
        // As the table has it: what is committed can be read before the writer tells it, and whoever
        // has read an event must not hear that the log ends before it.
        let end = self.first(query(events::LAST_POSITION), |row| row.get(0)).await?;
        end.ok_or_else(|| StoreUnavailable("the log has no end".to_owned()))
    }

    fn follow(&self) -> Box<dyn Positions> {
        let mut positions = self.positions.clone();
        positions.mark_unchanged();
        Box::new(Follow(positions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use action_domain::repositories::{Store as _, UnitOfWork};
    use action_testkit::World;
    use tokio::sync::watch;

    /// Between the commit and the word of the writer.
    #[tokio::test]
    async fn the_end_of_the_log_is_known_as_soon_as_its_last_event_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(&folder.path().join("a.db")).await.unwrap();
        assert_eq!(store.last_position().await.unwrap(), 0);
        let event = World::new(Arc::new(action_store_memory::MemoryStore::new())).any_event();
        store.commit(UnitOfWork::new().event(event)).await.unwrap();
        let (_silent, positions) = watch::channel(0);
        store.positions = positions;
        assert_eq!(store.last_position().await.unwrap(), 1);
    }
}
