//! Consumers: named readers of events, who go on where they acknowledged.

use crate::{Engine, EngineError};
use action_domain::{
    consumer::{Consumer, StandingConsumer},
    event::{Event, Position},
    name::Name,
    repositories::{CommitError, Conflict, Page, UnitOfWork, Write},
};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

impl Engine {
    /// Makes a consumer that begins behind a position, or changes what one reads. Whether it is new.
    ///
    /// # Errors
    /// [`EngineError::Conflict`] where there are as many as there may be.
    pub async fn put_consumer(&self, consumer: Consumer, from: Position) -> Result<bool, EngineError> {
        let new = self.reader().consumer(&consumer.name).await?.is_none();
        let write = Write::PutConsumer(Box::new(consumer), from);
        self.store().commit(UnitOfWork::new().write(write)).await?;
        Ok(new)
    }

    /// A consumer.
    ///
    /// # Errors
    /// [`EngineError::NotFound`].
    pub async fn consumer(&self, name: &Name) -> Result<StandingConsumer, EngineError> {
        self.reader().consumer(name).await?.ok_or(EngineError::NotFound("consumer"))
    }

    /// Removes a consumer.
    ///
    /// # Errors
    /// [`EngineError::NotFound`].
    pub async fn remove_consumer(&self, name: &Name) -> Result<(), EngineError> {
        self.changed(Write::RemoveConsumer(name.clone())).await
    }

    /// A consumer has dealt with everything up to a position. An older one than before changes nothing.
    ///
    /// # Errors
    /// [`EngineError::NotFound`].
    pub async fn acknowledge(&self, name: &Name, position: Position) -> Result<(), EngineError> {
        self.changed(Write::Acknowledge(name.clone(), position)).await
    }

    async fn changed(&self, write: Write) -> Result<(), EngineError> {
        match self.store().commit(UnitOfWork::new().write(write)).await {
            Ok(_) => Ok(()),
            Err(CommitError::Conflict(Conflict::NotFound)) => Err(EngineError::NotFound("consumer")),
            Err(error) => Err(error.into()),
        }
    }

    /// The next events of a consumer, behind what it acknowledged; waits up to `wait` for one.
    ///
    /// # Errors
    /// [`EngineError::NotFound`], also where it is removed meanwhile.
    pub async fn consume(&self, name: &Name, limit: u32, wait: Duration) -> Result<Vec<Event>, EngineError> {
        let until = Instant::now() + wait;
        // Followed before the look, so that nothing that happens between the two is missed.
        let mut positions = self.reader().follow();
        loop {
            let StandingConsumer { consumer, position } = self.consumer(name).await?;
            let page = Page { after: Some(position), limit };
            let events = self.reader().events(&consumer.filter(), page).await?;
            if !events.is_empty() {
                return Ok(events);
            }
            tokio::select! {
                () = self.inner.stopping.cancelled() => return Ok(events),
                changed = timeout_at(until, positions.changed()) => {
                    if !changed.unwrap_or(false) {
                        return Ok(events);
                    }
                }
            }
        }
    }
}
