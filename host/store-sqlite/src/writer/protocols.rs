//! Writing protocols and their components.

use super::batch::Batch;
use crate::{error::damaged, row::Columns};
use action_domain::{
    id::ExecutionId,
    protocol::{Pin, Protocol},
    repositories::Conflict,
};
use bytes::Bytes;
use rusqlite::{OptionalExtension as _, Row};

pub(crate) const DIGEST_OF: &str = "SELECT digest FROM protocols WHERE name = ? AND version = ?";
/// The first action, by name, whose current revision pins a protocol.
pub(crate) const ACTION_ON: &str = "SELECT name FROM actions INDEXED BY actions_by_pin \
     WHERE protocol_name = ? AND protocol_version = ? ORDER BY name LIMIT 1";
/// The oldest execution that has not ended and pins a protocol. What runs is in no index by
/// protocol, and is little.
pub(crate) const EXECUTION_ON: &str = "SELECT min(id) FROM (\
     SELECT id FROM (SELECT id FROM executions INDEXED BY executions_open_by_protocol \
        WHERE protocol = ?1 AND status < 4 AND status <> 1 ORDER BY id LIMIT 1) \
     UNION ALL SELECT id FROM executions INDEXED BY executions_running WHERE status = 1 AND protocol = ?1)";
pub(crate) const REMOVED: &str = "SELECT digest FROM removed_protocols WHERE name = ? AND version = ?";
const REMEMBER: &str = "INSERT INTO removed_protocols (name, version, digest) \
     SELECT name, version, digest FROM protocols WHERE name = ? AND version = ? ON CONFLICT DO NOTHING";
pub(crate) const REMOVE_COMPONENT: &str = "DELETE FROM components WHERE digest = ?1 \
     AND NOT EXISTS (SELECT 1 FROM protocols INDEXED BY protocols_by_digest WHERE digest = ?1)";

impl Batch<'_> {
    pub(super) fn add_protocol(
        &mut self,
        protocol: &Protocol,
        component: &Bytes,
    ) -> rusqlite::Result<Result<(), Conflict>> {
        let pin = protocol.pin();
        if self.digest_of(&pin)?.is_some() {
            return Ok(Err(Conflict::VersionExists));
        }
        let removed: Option<Vec<u8>> = self.connection.query_row(REMOVED, key(&pin), |row| row.get(0)).optional()?;
        if removed.is_some_and(|digest| digest != protocol.digest.as_bytes()) {
            return Ok(Err(Conflict::VersionWasOther));
        }
        self.connection.execute(
            "INSERT INTO components (digest, data) VALUES (?, ?) ON CONFLICT DO NOTHING",
            (protocol.digest.as_bytes(), &component[..]),
        )?;
        let document = serde_json::to_string(protocol).map_err(damaged)?;
        self.connection.execute(
            "INSERT INTO protocols (name, version, digest, document) VALUES (?, ?, ?, ?)",
            (pin.name.as_str(), pin.version.to_string(), protocol.digest.as_bytes(), document),
        )?;
        Ok(Ok(()))
    }

    pub(super) fn remove_protocol(&mut self, pin: &Pin) -> rusqlite::Result<Result<(), Conflict>> {
        let Some(digest) = self.digest_of(pin)? else { return Ok(Err(Conflict::NotFound)) };
        if let Some(by) = self.user_of(pin)? {
            return Ok(Err(Conflict::InUse { by }));
        }
        self.connection.execute(REMEMBER, key(pin))?;
        self.connection.execute("DELETE FROM protocols WHERE name = ? AND version = ?", key(pin))?;
        self.connection.execute(REMOVE_COMPONENT, [digest])?;
        Ok(Ok(()))
    }

    fn digest_of(&self, pin: &Pin) -> rusqlite::Result<Option<Vec<u8>>> {
        self.connection.query_row(DIGEST_OF, key(pin), |row| row.get(0)).optional()
    }

    fn user_of(&self, pin: &Pin) -> rusqlite::Result<Option<String>> {
        let action = self.connection.query_row(ACTION_ON, key(pin), |row| row.get(0)).optional()?;
        if action.is_some() {
            return Ok(action);
        }
        let read = |row: &Row<'_>| Columns::of(row).maybe_uuid();
        let execution = self.connection.query_row(EXECUTION_ON, [pin.to_string()], read)?;
        Ok(execution.map(|id| ExecutionId::from_uuid(id).to_string()))
    }
}

fn key(pin: &Pin) -> (&str, String) {
    (pin.name.as_str(), pin.version.to_string())
}
