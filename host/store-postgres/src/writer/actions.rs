//! Writing actions, their revisions and their labels.

use super::batch::Batch;
use crate::{error::damaged, row::Columns};
use action_domain::{action::Action, id::ActionId, name::Name, repositories::Conflict};
use uuid::Uuid;

pub(crate) const CURRENT: &str = "SELECT revision FROM actions WHERE id = $1";
pub(crate) const OWNER_OF_NAME: &str = "SELECT id FROM actions WHERE name = $1";

impl Batch<'_> {
    pub(super) async fn add_action(&mut self, action: &Action) -> sqlx::Result<Result<(), Conflict>> {
        if self.owner_of(&action.spec.name).await?.is_some() {
            return Ok(Err(Conflict::NameTaken));
        }
        if let Some(secret) = self.missing_secret(action).await? {
            return Ok(Err(Conflict::SecretMissing(secret)));
        }
        self.insert_revision(action).await?;
        sqlx::query(
            "INSERT INTO actions (name, revision, protocol_name, protocol_version, enabled, id) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(action.spec.name.as_str())
        .bind(i64::from(action.revision))
        .bind(action.protocol.name.as_str())
        .bind(action.protocol.version.to_string())
        .bind(action.spec.enabled)
        .bind(action.id.uuid())
        .execute(&mut *self.connection)
        .await?;
        self.insert_labels(action).await?;
        self.write_secrets_of(action).await?;
        Ok(Ok(()))
    }

    pub(super) async fn add_revision(&mut self, action: &Action) -> sqlx::Result<Result<(), Conflict>> {
        let Some(current) = self.current(action.id).await? else { return Ok(Err(Conflict::NotFound)) };
        if current.checked_add(1) != Some(action.revision) {
            return Ok(Err(Conflict::RevisionMismatch { current }));
        }
        if self.owner_of(&action.spec.name).await?.is_some_and(|owner| owner != action.id.uuid()) {
            return Ok(Err(Conflict::NameTaken));
        }
        if let Some(secret) = self.missing_secret(action).await? {
            return Ok(Err(Conflict::SecretMissing(secret)));
        }
        self.insert_revision(action).await?;
        sqlx::query(
            "UPDATE actions SET name = $1, revision = $2, protocol_name = $3, protocol_version = $4, enabled = $5 \
             WHERE id = $6",
        )
        .bind(action.spec.name.as_str())
        .bind(i64::from(action.revision))
        .bind(action.protocol.name.as_str())
        .bind(action.protocol.version.to_string())
        .bind(action.spec.enabled)
        .bind(action.id.uuid())
        .execute(&mut *self.connection)
        .await?;
        sqlx::query("DELETE FROM action_labels WHERE action = $1")
            .bind(action.id.uuid())
            .execute(&mut *self.connection)
            .await?;
        self.insert_labels(action).await?;
        self.write_secrets_of(action).await?;
        Ok(Ok(()))
    }

    pub(super) async fn remove_action(&mut self, id: ActionId, revision: u32) -> sqlx::Result<Result<(), Conflict>> {
        let Some(current) = self.current(id).await? else { return Ok(Err(Conflict::NotFound)) };
        if current != revision {
            return Ok(Err(Conflict::RevisionMismatch { current }));
        }
        // Its labels, what it names, its triggers and what it captured go with it; its revisions stay.
        sqlx::query("DELETE FROM actions WHERE id = $1").bind(id.uuid()).execute(&mut *self.connection).await?;
        Ok(Ok(()))
    }

    /// Whether an action is there: of one that is gone nothing is kept but its revisions.
    pub(super) async fn is_there(&mut self, id: ActionId) -> sqlx::Result<bool> {
        Ok(self.current(id).await?.is_some())
    }

    async fn current(&mut self, id: ActionId) -> sqlx::Result<Option<u32>> {
        let row = sqlx::query(CURRENT).bind(id.uuid()).fetch_optional(&mut *self.connection).await?;
        row.map(|row| Columns::of(&row).number()).transpose()
    }

    async fn owner_of(&mut self, name: &Name) -> sqlx::Result<Option<Uuid>> {
        let row = sqlx::query(OWNER_OF_NAME).bind(name.as_str()).fetch_optional(&mut *self.connection).await?;
        row.map(|row| Columns::of(&row).take()).transpose()
    }

    async fn insert_revision(&mut self, action: &Action) -> sqlx::Result<()> {
        sqlx::query("INSERT INTO action_revisions (action, revision, document) VALUES ($1, $2, $3)")
            .bind(action.id.uuid())
            .bind(i64::from(action.revision))
            .bind(serde_json::to_string(action).map_err(damaged)?)
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    async fn insert_labels(&mut self, action: &Action) -> sqlx::Result<()> {
        for (key, value) in &action.spec.labels {
            sqlx::query("INSERT INTO action_labels (key, value, name, action) VALUES ($1, $2, $3, $4)")
                .bind(key.as_bytes())
                .bind(value.as_bytes())
                .bind(action.spec.name.as_str())
                .bind(action.id.uuid())
                .execute(&mut *self.connection)
                .await?;
        }
        Ok(())
    }
}
