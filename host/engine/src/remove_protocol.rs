//! Takes a protocol away that nothing uses.

use crate::{Engine, EngineError};
use action_domain::{
    actor::Actor,
    event::{Context, Fact},
    limits::PAGE_ITEMS_MAX,
    protocol::{Kind, Pin},
    repositories::{ActionFilter, CommitError, Conflict, Page, UnitOfWork, Write},
};

impl Engine {
    /// Removes a protocol, unless an action or an execution still needs it.
    pub async fn remove_protocol(&self, pin: &Pin, by: &Actor) -> Result<(), EngineError> {
        let protocol = self.protocol(pin).await?;
        if protocol.kind == Kind::Transform
            && let Some(by) = self.user_of_transform(pin).await?
        {
            return Err(Conflict::InUse { by }.into());
        }
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

    /// An action whose current revision has expressions in this version of a transform. It is looked
    /// for in all of them, since transforms are few and are removed rarely.
    async fn user_of_transform(&self, pin: &Pin) -> Result<Option<String>, EngineError> {
        let mut after = None;
        loop {
            let page = Page { after: after.take(), limit: PAGE_ITEMS_MAX };
            let actions = self.reader().actions(&ActionFilter::default(), page).await?;
            if let Some(user) = actions.iter().find(|action| action.transforms.values().any(|used| used == pin)) {
                return Ok(Some(user.spec.name.to_string()));
            }
            match actions.last() {
                Some(last) if actions.len() == PAGE_ITEMS_MAX as usize => after = Some(last.spec.name.clone()),
                _ => return Ok(None),
            }
        }
    }
}
