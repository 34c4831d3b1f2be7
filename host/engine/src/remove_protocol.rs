//! Takes a protocol away that nothing uses.

use crate::{Engine, EngineError};
use action_domain::{
    actor::Actor,
    event::{Context, Fact},
    protocol::Pin,
    repositories::{CommitError, Conflict, UnitOfWork, Write},
};

impl Engine {
    /// Removes a protocol, unless an action or an execution still needs it.
    pub async fn remove_protocol(&self, pin: &Pin, by: &Actor) -> Result<(), EngineError> {
        let protocol = self.protocol(pin).await?;
        let fact = Fact::ProtocolDeleted { protocol: pin.clone(), digest: protocol.digest };
        let unit = UnitOfWork::new().write(Write::RemoveProtocolIfUnused(pin.clone())).event(self.event_by(
            by,
            Context::default(),
            &fact,
        ));
        match self.store().commit(unit).await {
            Ok(_) => {
                if self.reader().protocols_with(&protocol.digest).await?.is_empty() {
                    self.inner.parts.runtime.forget(protocol.digest).await;
                }
                Ok(())
            }
            Err(CommitError::Conflict(Conflict::NotFound)) => Err(EngineError::NotFound("protocol")),
            Err(error) => Err(error.into()),
        }
    }
}
