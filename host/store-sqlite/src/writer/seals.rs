//! Appending seals.

use super::batch::Batch;
use crate::row::Columns;
use action_domain::{audit::Seal, repositories::Conflict};
use bytes::Bytes;
use rusqlite::{OptionalExtension as _, Row};
use std::sync::LazyLock;

/// The columns of a seal, in the order of [`read_seal`].
pub(crate) const SEAL: &str = "sequence, first_position, document, signature";
pub(crate) static LAST: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {SEAL} FROM seals ORDER BY sequence DESC LIMIT 1"));

/// A seal from its [`SEAL`] columns.
pub(crate) fn read_seal(row: &Row<'_>) -> rusqlite::Result<Seal> {
    let mut columns = Columns::of(row);
    Ok(Seal {
        sequence: columns.take::<i64>()? as u64,
        first: columns.take()?,
        document: columns.text()?.to_owned(),
        signature: columns.take()?,
    })
}

impl Batch<'_> {
    pub(super) fn append_seal(&mut self, seal: &Seal, leaves: &Bytes) -> rusqlite::Result<Result<(), Conflict>> {
        let last = self.connection.prepare_cached(&LAST)?.query_row([], read_seal).optional()?;
        if !seal.follows(last.as_ref()) {
            return Ok(Err(Conflict::NotNextSeal));
        }
        let text = format!("INSERT INTO seals ({SEAL}, leaves) VALUES (?, ?, ?, ?, ?)");
        self.connection.prepare_cached(&text)?.execute((
            seal.sequence as i64,
            seal.first,
            &seal.document,
            &seal.signature,
            &leaves[..],
        ))?;
        Ok(Ok(()))
    }
}
