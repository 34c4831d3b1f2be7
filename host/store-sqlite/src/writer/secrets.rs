//! Writing secrets, and which of them actions name.

use super::batch::Batch;
use action_domain::{
    action::Action,
    name::Name,
    repositories::{Conflict, USERS_TOLD_MAX},
    secret::Secret,
};
use rusqlite::{OptionalExtension as _, params};

pub(crate) const VERSION: &str = "SELECT version FROM secrets WHERE name = ?";
pub(crate) const DELETED: &str = "SELECT version FROM deleted_secrets WHERE name = ?";
const KEEP_VERSION: &str = "INSERT INTO deleted_secrets (name, version) VALUES (?, ?) \
     ON CONFLICT (name) DO UPDATE SET version = excluded.version";
pub(crate) const USERS: &str = "SELECT name FROM action_secrets WHERE secret = ? ORDER BY name LIMIT ?";

impl Batch<'_> {
    pub(super) fn set_secret(&mut self, secret: &Secret) -> rusqlite::Result<Result<(), Conflict>> {
        let current = match self.secret_version(&secret.name)? {
            Some(current) => current,
            None => self
                .connection
                .prepare_cached(DELETED)?
                .query_row([secret.name.as_str()], |row| row.get(0))
                .optional()?
                .unwrap_or(0),
        };
        if current.checked_add(1) != Some(secret.version) {
            return Ok(Err(Conflict::RevisionMismatch { current }));
        }
        self.put_secret(secret).map(Ok)
    }

    pub(super) fn reseal_secret(&mut self, secret: &Secret) -> rusqlite::Result<Result<(), Conflict>> {
        let current = self.secret_version(&secret.name)?.unwrap_or(0);
        if current != secret.version {
            return Ok(Err(Conflict::RevisionMismatch { current }));
        }
        self.put_secret(secret).map(Ok)
    }

    pub(super) fn remove_secret(&mut self, name: &Name, version: u32) -> rusqlite::Result<Result<(), Conflict>> {
        let Some(current) = self.secret_version(name)? else { return Ok(Err(Conflict::NotFound)) };
        if current != version {
            return Ok(Err(Conflict::RevisionMismatch { current }));
        }
        let mut users = self.connection.prepare_cached(USERS)?;
        let users = users.query_map((name.as_str(), USERS_TOLD_MAX), |row| row.get::<_, String>(0))?;
        let users: Vec<String> = users.collect::<rusqlite::Result<_>>()?;
        if !users.is_empty() {
            return Ok(Err(Conflict::InUse { by: users.join(", ") }));
        }
        self.connection.execute("DELETE FROM secrets WHERE name = ?", [name.as_str()])?;
        self.connection.execute(KEEP_VERSION, (name.as_str(), version))?;
        Ok(Ok(()))
    }

    /// The first secret, by name, that an action names and that is not there.
    pub(super) fn missing_secret(&self, action: &Action) -> rusqlite::Result<Option<Name>> {
        for name in action.spec.secrets() {
            if self.secret_version(&name)?.is_none() {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// Writes down what the current revision of an action names, in the place of what was there.
    pub(super) fn write_secrets_of(&self, action: &Action) -> rusqlite::Result<()> {
        let id = action.id.uuid();
        self.connection.prepare_cached("DELETE FROM action_secrets WHERE action = ?")?.execute([id.as_bytes()])?;
        let mut insert =
            self.connection.prepare_cached("INSERT INTO action_secrets (secret, name, action) VALUES (?, ?, ?)")?;
        for secret in action.spec.secrets() {
            insert.execute((secret.as_str(), action.spec.name.as_str(), id.as_bytes()))?;
        }
        Ok(())
    }

    fn secret_version(&self, name: &Name) -> rusqlite::Result<Option<u32>> {
        self.connection.prepare_cached(VERSION)?.query_row([name.as_str()], |row| row.get(0)).optional()
    }

    fn put_secret(&self, secret: &Secret) -> rusqlite::Result<()> {
        self.connection.execute(
            "INSERT INTO secrets (name, version, key, wrapped, data, created_at, updated_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET version = excluded.version, \
             key = excluded.key, wrapped = excluded.wrapped, data = excluded.data, updated_at = excluded.updated_at",
            params![
                secret.name.as_str(),
                secret.version,
                &*secret.sealed.key,
                secret.sealed.wrapped,
                secret.sealed.data,
                secret.created_at.as_micros(),
                secret.updated_at.as_micros(),
            ],
        )?;
        Ok(())
    }
}
