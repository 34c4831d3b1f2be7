//! Appending seals.

use super::batch::Batch;
use crate::row::Columns;
use action_domain::{audit::Seal, repositories::Conflict};
use bytes::Bytes;
use sqlx::postgres::PgRow;
use std::sync::LazyLock;

/// The columns of a seal, in the order of [`read_seal`].
pub(crate) const SEAL: &str = "sequence, first_position, document, signature";
pub(crate) static LAST: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {SEAL} FROM seals ORDER BY sequence DESC LIMIT 1"));
static APPEND: LazyLock<String> =
    LazyLock::new(|| format!("INSERT INTO seals ({SEAL}, leaves) VALUES ($1, $2, $3, $4, $5)"));

/// A seal from its [`SEAL`] columns.
pub(crate) fn read_seal(row: &PgRow) -> sqlx::Result<Seal> {
    let mut columns = Columns::of(row);
    Ok(Seal {
        sequence: columns.take::<i64>()? as u64,
        first: columns.take()?,
        document: columns.take()?,
        signature: columns.take()?,
    })
}

impl Batch<'_> {
    /// One process at a time does so: it is a cold unit.
    pub(super) async fn append_seal(&mut self, seal: &Seal, leaves: &Bytes) -> sqlx::Result<Result<(), Conflict>> {
        let last = sqlx::query(LAST.as_str()).fetch_optional(&mut *self.connection).await?;
        let last = last.as_ref().map(read_seal).transpose()?;
        if !seal.follows(last.as_ref()) {
            return Ok(Err(Conflict::NotNextSeal));
        }
        sqlx::query(APPEND.as_str())
            .bind(seal.sequence as i64)
            .bind(seal.first)
            .bind(&seal.document)
            .bind(&seal.signature)
            .bind(&leaves[..])
            .execute(&mut *self.connection)
            .await?;
        Ok(Ok(()))
    }
}
