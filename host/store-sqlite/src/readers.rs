//! Connections that read, beside the writer.

use crate::{
    error::{OpenError, unavailable},
    open::SqliteOptions,
};
use action_domain::repositories::StoreUnavailable;
use rusqlite::Connection;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// A few connections, each used by one thread at a time. A read waits for one that is free.
#[derive(Debug)]
pub(crate) struct Readers {
    room: Arc<Semaphore>,
    free: Arc<Free>,
}

#[derive(Debug)]
struct Free {
    options: SqliteOptions,
    connections: Mutex<Vec<Connection>>,
}

impl Readers {
    /// Opens the first connection, so that what stands in the way of reading shows at once.
    pub(crate) fn open(options: SqliteOptions) -> Result<Self, OpenError> {
        let first = options.reader().map_err(|error| options.unusable(error))?;
        let room = Arc::new(Semaphore::new(options.readers.max(1) as usize));
        Ok(Self { room, free: Arc::new(Free { options, connections: Mutex::new(vec![first]) }) })
    }

    /// Runs `work` with a connection, on a thread that may block.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreUnavailable> {
        let closed = |_| StoreUnavailable("it is closed".to_owned());
        let permit = Arc::clone(&self.room).acquire_owned().await.map_err(closed)?;
        let free = Arc::clone(&self.free);
        let read = tokio::task::spawn_blocking(move || {
            let result = free.with(work);
            drop(permit);
            result
        });
        let result = read.await.map_err(|error| StoreUnavailable(error.to_string()))?;
        result.map_err(|error| unavailable(&error))
    }

    /// Waits for the reads that run, closes all connections, and refuses every read from then on.
    pub(crate) async fn close(&self) {
        // An error means that it is closed already.
        let _all = self.room.acquire_many(self.free.options.readers.max(1)).await;
        self.room.close();
        self.free.lock().clear();
    }
}

impl Free {
    fn with<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let waiting = self.lock().pop();
        let connection = match waiting {
            Some(connection) => connection,
            None => self.options.reader()?,
        };
        let result = work(&connection);
        // What failed may have broken its connection; the next read opens another.
        if result.is_ok() {
            self.lock().push(connection);
        }
        result
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
