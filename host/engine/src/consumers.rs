//! Consumers: named readers of events, who go on where they acknowledged.

use crate::{Engine, EngineError};
use action_domain::{
    actor::Actor,
    consumer::{Consumer, StandingConsumer},
    event::{Context, Event, Fact, Position},
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
    pub async fn put_consumer(&self, consumer: Consumer, from: Position, by: &Actor) -> Result<bool, EngineError> {
        let current = self.reader().consumer(&consumer.name).await?;
        // Who says the same again, by the hour perhaps, changes nothing and fills no log.
        if current.as_ref().is_some_and(|current| current.consumer.reads_the_same(&consumer)) {
            return Ok(false);
        }
        let (name, types, action, kind) =
            (consumer.name.clone(), consumer.types.clone(), consumer.action, consumer.kind.clone());
        // Of two that make it at once both say so: it is one all the same.
        let fact = match current {
            None => Fact::ConsumerCreated { name, types, action, kind, position: from },
            Some(_) => Fact::ConsumerUpdated { name, types, action, kind },
        };
        let unit = UnitOfWork::new().write(Write::PutConsumer(Box::new(consumer), from));
        self.store().commit(unit.event(self.event_by(by, Context::default(), &fact))).await?;
        Ok(current.is_none())
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
    pub async fn remove_consumer(&self, name: &Name, by: &Actor) -> Result<(), EngineError> {
        let position = self.consumer(name).await?.position;
        let fact = Fact::ConsumerDeleted { name: name.clone(), position };
        let unit = UnitOfWork::new().write(Write::RemoveConsumer(name.clone()));
        self.changed(unit.event(self.event_by(by, Context::default(), &fact))).await
    }

    /// A consumer has dealt with everything up to a position. An older one than before changes nothing. This is
    /// its bookkeeping and no event: whoever reads everything would read what it does itself, without end.
    ///
    /// # Errors
    /// [`EngineError::NotFound`].
    pub async fn acknowledge(&self, name: &Name, position: Position) -> Result<(), EngineError> {
        self.changed(UnitOfWork::new().write(Write::Acknowledge(name.clone(), position))).await
    }

    async fn changed(&self, unit: UnitOfWork) -> Result<(), EngineError> {
        match self.store().commit(unit).await {
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
