//! Reading: each query over its index, on connections of its own.
//!
//! The texts of the statements are made by plain functions, so that the tests can ask SQLite
//! for the plan of each.

pub(crate) mod actions;
pub(crate) mod events;
pub(crate) mod executions;
pub(crate) mod protocols;

use crate::{Follow, SqliteStore, error::unavailable};
use action_domain::{
    action::Action,
    digest::Digest,
    event::{Event, EventType, Position},
    execution::{Execution, WorkerId},
    id::{ActionId, ExecutionId},
    name::Name,
    protocol::{Pin, Protocol},
    repositories::{ActionFilter, ActionKey, EventFilter, ExecutionFilter, Page, Positions, Reader, StoreUnavailable},
    time::Timestamp,
};
use async_trait::async_trait;
use bytes::Bytes;
use sqlx::{AssertSqlSafe, Row as _, Sqlite, query::Query, sqlite::SqliteArguments, sqlite::SqliteRow};
use std::sync::Arc;

type Statement = Query<'static, Sqlite, SqliteArguments>;

/// A statement whose text is put together here, from constants, statuses and type codes.
fn query(sql: String) -> Statement {
    sqlx::query(AssertSqlSafe(sql))
}

impl SqliteStore {
    async fn all<T>(
        &self,
        statement: Statement,
        read: impl Fn(&SqliteRow) -> sqlx::Result<T>,
    ) -> Result<Vec<T>, StoreUnavailable> {
        let rows = statement.fetch_all(&self.readers).await.map_err(|error| unavailable(&error))?;
        rows.iter().map(read).collect::<sqlx::Result<_>>().map_err(|error| unavailable(&error))
    }

    async fn first<T>(
        &self,
        statement: Statement,
        read: impl Fn(&SqliteRow) -> sqlx::Result<T>,
    ) -> Result<Option<T>, StoreUnavailable> {
        let row = statement.fetch_optional(&self.readers).await.map_err(|error| unavailable(&error))?;
        row.as_ref().map(read).transpose().map_err(|error| unavailable(&error))
    }
}

fn bytes(row: &SqliteRow) -> sqlx::Result<Bytes> {
    row.try_get::<Vec<u8>, _>(0).map(Bytes::from)
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
        let statement = sqlx::query("SELECT data FROM components WHERE digest = ?").bind(digest.as_bytes().to_vec());
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

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreUnavailable> {
        let read = |row: &SqliteRow| row.try_get(0).map(Timestamp::from_micros);
        self.first(sqlx::query(executions::NEXT_DUE), read).await
    }

    async fn events(&self, filter: &EventFilter, page: Page<Position>) -> Result<Vec<Event>, StoreUnavailable> {
        let statement = events::page(filter, page, &self.types);
        self.all(statement, |row| crate::row::event(row, &self.types)).await
    }

    async fn event_of(&self, execution: ExecutionId, r#type: EventType) -> Result<Option<Event>, StoreUnavailable> {
        let statement = events::of(execution, r#type, &self.types);
        self.first(statement, |row| crate::row::event(row, &self.types)).await
    }

    async fn payload(&self, digest: &Digest) -> Result<Option<Bytes>, StoreUnavailable> {
        let statement = sqlx::query("SELECT data FROM payloads WHERE digest = ?").bind(digest.as_bytes().to_vec());
        self.first(statement, bytes).await
    }

    async fn last_position(&self) -> Result<Position, StoreUnavailable> {
        // The writer tells it before it answers a commit.
        Ok(*self.positions.borrow())
    }

    fn follow(&self) -> Box<dyn Positions> {
        let mut positions = self.positions.clone();
        positions.mark_unchanged();
        Box::new(Follow(positions))
    }
}
