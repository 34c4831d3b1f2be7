//! Writing actions, their revisions and their labels.

use super::batch::Batch;
use crate::{error::damaged, row::Columns};
use action_domain::{action::Action, id::ActionId, name::Name, repositories::Conflict};
use rusqlite::{OptionalExtension as _, Row};
use uuid::Uuid;

pub(crate) const CURRENT: &str = "SELECT revision FROM actions WHERE id = ?";
pub(crate) const OWNER_OF_NAME: &str = "SELECT id FROM actions WHERE name = ?";

impl Batch<'_> {
    pub(super) fn add_action(&mut self, action: &Action) -> rusqlite::Result<Result<(), Conflict>> {
        if self.owner_of(&action.spec.name)?.is_some() {
            return Ok(Err(Conflict::NameTaken));
        }
        if let Some(secret) = self.missing_secret(action)? {
            return Ok(Err(Conflict::SecretMissing(secret)));
        }
        self.insert_revision(action)?;
        self.write_current(
            action,
            "INSERT INTO actions (name, revision, protocol_name, protocol_version, enabled, id) \
             VALUES (?, ?, ?, ?, ?, ?)",
        )?;
        self.insert_labels(action)?;
        self.write_secrets_of(action)?;
        Ok(Ok(()))
    }

    pub(super) fn add_revision(&mut self, action: &Action) -> rusqlite::Result<Result<(), Conflict>> {
        let Some(current) = self.current(action.id)? else { return Ok(Err(Conflict::NotFound)) };
        if current.checked_add(1) != Some(action.revision) {
            return Ok(Err(Conflict::RevisionMismatch { current }));
        }
        if self.owner_of(&action.spec.name)?.is_some_and(|owner| owner != action.id.uuid()) {
            return Ok(Err(Conflict::NameTaken));
        }
        if let Some(secret) = self.missing_secret(action)? {
            return Ok(Err(Conflict::SecretMissing(secret)));
        }
        self.insert_revision(action)?;
        self.write_current(
            action,
            "UPDATE actions SET name = ?, revision = ?, protocol_name = ?, protocol_version = ?, enabled = ? \
             WHERE id = ?",
        )?;
        self.connection.execute("DELETE FROM action_labels WHERE action = ?", [action.id.uuid().as_bytes()])?;
        self.insert_labels(action)?;
        self.write_secrets_of(action)?;
        Ok(Ok(()))
    }

    pub(super) fn remove_action(&mut self, id: ActionId, revision: u32) -> rusqlite::Result<Result<(), Conflict>> {
        let Some(current) = self.current(id)? else { return Ok(Err(Conflict::NotFound)) };
        if current != revision {
            return Ok(Err(Conflict::RevisionMismatch { current }));
        }
        // Its labels, what it names, its triggers and what it captured go with it; its revisions stay.
        self.connection.execute("DELETE FROM actions WHERE id = ?", [id.uuid().as_bytes()])?;
        Ok(Ok(()))
    }

    /// Whether an action is there: of one that is gone nothing is kept but its revisions.
    pub(super) fn is_there(&self, id: ActionId) -> rusqlite::Result<bool> {
        Ok(self.current(id)?.is_some())
    }

    fn current(&self, id: ActionId) -> rusqlite::Result<Option<u32>> {
        self.connection.prepare_cached(CURRENT)?.query_row([id.uuid().as_bytes()], |row| row.get(0)).optional()
    }

    fn owner_of(&self, name: &Name) -> rusqlite::Result<Option<Uuid>> {
        let read = |row: &Row<'_>| Columns::of(row).uuid();
        self.connection.query_row(OWNER_OF_NAME, [name.as_str()], read).optional()
    }

    fn insert_revision(&self, action: &Action) -> rusqlite::Result<()> {
        let document = serde_json::to_string(action).map_err(damaged)?;
        self.connection.execute(
            "INSERT INTO action_revisions (action, revision, document) VALUES (?, ?, ?)",
            (action.id.uuid().as_bytes(), action.revision, document),
        )?;
        Ok(())
    }

    fn write_current(&self, action: &Action, sql: &str) -> rusqlite::Result<()> {
        let id = action.id.uuid();
        let values = (
            action.spec.name.as_str(),
            action.revision,
            action.protocol.name.as_str(),
            action.protocol.version.to_string(),
            action.spec.enabled,
            id.as_bytes(),
        );
        self.connection.execute(sql, values).map(drop)
    }

    fn insert_labels(&self, action: &Action) -> rusqlite::Result<()> {
        let mut insert = self
            .connection
            .prepare_cached("INSERT INTO action_labels (key, value, name, action) VALUES (?, ?, ?, ?)")?;
        for (key, value) in &action.spec.labels {
            insert.execute((key.as_str(), value.as_str(), action.spec.name.as_str(), action.id.uuid().as_bytes()))?;
        }
        Ok(())
    }
}
