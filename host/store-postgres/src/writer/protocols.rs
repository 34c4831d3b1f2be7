//! Writing protocols and their components.

use super::batch::Batch;
use crate::error::damaged;
use action_domain::{
    id::ExecutionId,
    protocol::{Pin, Protocol},
    repositories::Conflict,
};
use bytes::Bytes;
use uuid::Uuid;

pub(crate) const DIGEST_OF: &str = "SELECT digest FROM protocols WHERE name = $1 AND version = $2";
/// The first action, by name, whose current revision pins a protocol.
pub(crate) const ACTION_ON: &str = "SELECT name FROM actions \
     WHERE protocol_name = $1 AND protocol_version = $2 ORDER BY name LIMIT 1";
/// The oldest execution that has not ended and pins a protocol. What runs is in no index by
/// protocol, and is little.
pub(crate) const EXECUTION_ON: &str = "(SELECT id FROM executions \
        WHERE protocol = $1 AND status IN (0, 2, 3) ORDER BY id LIMIT 1) \
     UNION ALL (SELECT id FROM executions WHERE status = 1 AND protocol = $1) ORDER BY id LIMIT 1";
pub(crate) const REMOVED: &str = "SELECT digest FROM removed_protocols WHERE name = $1 AND version = $2";
const REMEMBER: &str = "INSERT INTO removed_protocols (name, version, digest) \
     SELECT name, version, digest FROM protocols WHERE name = $1 AND version = $2 ON CONFLICT DO NOTHING";
pub(crate) const REMOVE_COMPONENT: &str = "DELETE FROM components WHERE digest = $1 \
     AND NOT EXISTS (SELECT 1 FROM protocols WHERE digest = $1)";

impl Batch<'_> {
    pub(super) async fn add_protocol(
        &mut self,
        protocol: &Protocol,
        component: &Bytes,
    ) -> sqlx::Result<Result<(), Conflict>> {
        let pin = protocol.pin();
        if self.digest_of(&pin).await?.is_some() {
            return Ok(Err(Conflict::VersionExists));
        }
        let removed: Option<Vec<u8>> = sqlx::query_scalar(REMOVED)
            .bind(pin.name.as_str())
            .bind(pin.version.to_string())
            .fetch_optional(&mut *self.connection)
            .await?;
        if removed.is_some_and(|digest| digest != protocol.digest.as_bytes()) {
            return Ok(Err(Conflict::VersionWasOther));
        }
        let digest = protocol.digest.as_bytes().to_vec();
        sqlx::query("INSERT INTO components (digest, data) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(digest.clone())
            .bind(&component[..])
            .execute(&mut *self.connection)
            .await?;
        sqlx::query("INSERT INTO protocols (name, version, digest, document) VALUES ($1, $2, $3, $4)")
            .bind(pin.name.as_str())
            .bind(pin.version.to_string())
            .bind(digest)
            .bind(serde_json::to_string(protocol).map_err(damaged)?)
            .execute(&mut *self.connection)
            .await?;
        Ok(Ok(()))
    }

    pub(super) async fn remove_protocol(&mut self, pin: &Pin) -> sqlx::Result<Result<(), Conflict>> {
        let Some(digest) = self.digest_of(pin).await? else { return Ok(Err(Conflict::NotFound)) };
        if let Some(by) = self.user_of(pin).await? {
            return Ok(Err(Conflict::InUse { by }));
        }
        sqlx::query(REMEMBER)
            .bind(pin.name.as_str())
            .bind(pin.version.to_string())
            .execute(&mut *self.connection)
            .await?;
        sqlx::query("DELETE FROM protocols WHERE name = $1 AND version = $2")
            .bind(pin.name.as_str())
            .bind(pin.version.to_string())
            .execute(&mut *self.connection)
            .await?;
        sqlx::query(REMOVE_COMPONENT).bind(digest).execute(&mut *self.connection).await?;
        Ok(Ok(()))
    }

    async fn digest_of(&mut self, pin: &Pin) -> sqlx::Result<Option<Vec<u8>>> {
        sqlx::query_scalar(DIGEST_OF)
            .bind(pin.name.as_str())
            .bind(pin.version.to_string())
            .fetch_optional(&mut *self.connection)
            .await
    }

    async fn user_of(&mut self, pin: &Pin) -> sqlx::Result<Option<String>> {
        let action: Option<String> = sqlx::query_scalar(ACTION_ON)
            .bind(pin.name.as_str())
            .bind(pin.version.to_string())
            .fetch_optional(&mut *self.connection)
            .await?;
        if action.is_some() {
            return Ok(action);
        }
        let execution: Option<Uuid> =
            sqlx::query_scalar(EXECUTION_ON).bind(pin.to_string()).fetch_optional(&mut *self.connection).await?;
        Ok(execution.map(|id| ExecutionId::from_uuid(id).to_string()))
    }
}
