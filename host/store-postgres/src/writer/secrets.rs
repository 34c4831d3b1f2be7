//! Writing secrets, and which of them actions name.

use super::batch::Batch;
use action_domain::{
    action::Action,
    name::Name,
    repositories::{Conflict, USERS_TOLD_MAX},
    secret::Secret,
};

pub(crate) const VERSION: &str = "SELECT version FROM secrets WHERE name = $1";
pub(crate) const DELETED: &str = "SELECT version FROM deleted_secrets WHERE name = $1";
const KEEP_VERSION: &str = "INSERT INTO deleted_secrets (name, version) VALUES ($1, $2) \
     ON CONFLICT (name) DO UPDATE SET version = excluded.version";
pub(crate) const USERS: &str = "SELECT name FROM action_secrets WHERE secret = $1 ORDER BY name LIMIT $2";

impl Batch<'_> {
    pub(super) async fn set_secret(&mut self, secret: &Secret) -> sqlx::Result<Result<(), Conflict>> {
        let current = match self.secret_version(&secret.name).await? {
            Some(current) => current,
            None => self.version_of(DELETED, &secret.name).await?.unwrap_or(0),
        };
        if current.checked_add(1) != Some(secret.version) {
            return Ok(Err(Conflict::RevisionMismatch { current }));
        }
        self.put_secret(secret).await.map(Ok)
    }

    pub(super) async fn reseal_secret(&mut self, secret: &Secret) -> sqlx::Result<Result<(), Conflict>> {
        let current = self.secret_version(&secret.name).await?.unwrap_or(0);
        if current != secret.version {
            return Ok(Err(Conflict::RevisionMismatch { current }));
        }
        self.put_secret(secret).await.map(Ok)
    }

    pub(super) async fn remove_secret(&mut self, name: &Name, version: u32) -> sqlx::Result<Result<(), Conflict>> {
        let Some(current) = self.secret_version(name).await? else { return Ok(Err(Conflict::NotFound)) };
        if current != version {
            return Ok(Err(Conflict::RevisionMismatch { current }));
        }
        let users: Vec<String> = sqlx::query_scalar(USERS)
            .bind(name.as_str())
            .bind(i64::from(USERS_TOLD_MAX))
            .fetch_all(&mut *self.connection)
            .await?;
        if !users.is_empty() {
            return Ok(Err(Conflict::InUse { by: users.join(", ") }));
        }
        sqlx::query("DELETE FROM secrets WHERE name = $1").bind(name.as_str()).execute(&mut *self.connection).await?;
        let kept = sqlx::query(KEEP_VERSION).bind(name.as_str()).bind(i64::from(version));
        kept.execute(&mut *self.connection).await?;
        Ok(Ok(()))
    }

    /// The first secret, by name, that an action names and that is not there.
    pub(super) async fn missing_secret(&mut self, action: &Action) -> sqlx::Result<Option<Name>> {
        for name in action.spec.secrets() {
            if self.secret_version(&name).await?.is_none() {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// Writes down what the current revision of an action names, in the place of what was there.
    pub(super) async fn write_secrets_of(&mut self, action: &Action) -> sqlx::Result<()> {
        sqlx::query("DELETE FROM action_secrets WHERE action = $1")
            .bind(action.id.uuid())
            .execute(&mut *self.connection)
            .await?;
        for secret in action.spec.secrets() {
            sqlx::query("INSERT INTO action_secrets (secret, name, action) VALUES ($1, $2, $3)")
                .bind(secret.to_string())
                .bind(action.spec.name.to_string())
                .bind(action.id.uuid())
                .execute(&mut *self.connection)
                .await?;
        }
        Ok(())
    }

    async fn secret_version(&mut self, name: &Name) -> sqlx::Result<Option<u32>> {
        self.version_of(VERSION, name).await
    }

    async fn version_of(&mut self, text: &'static str, name: &Name) -> sqlx::Result<Option<u32>> {
        let found: Option<i64> =
            sqlx::query_scalar(text).bind(name.as_str()).fetch_optional(&mut *self.connection).await?;
        Ok(found.and_then(|version| u32::try_from(version).ok()))
    }

    async fn put_secret(&mut self, secret: &Secret) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO secrets (name, version, key, wrapped, data, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (name) DO UPDATE SET version = excluded.version, \
             key = excluded.key, wrapped = excluded.wrapped, data = excluded.data, updated_at = excluded.updated_at",
        )
        .bind(secret.name.as_str())
        .bind(i64::from(secret.version))
        .bind(&*secret.sealed.key)
        .bind(&secret.sealed.wrapped[..])
        .bind(&secret.sealed.data[..])
        .bind(secret.created_at.as_micros())
        .bind(secret.updated_at.as_micros())
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }
}
