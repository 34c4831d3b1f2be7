//! Removes a secret that no action needs any more.

use crate::{Engine, EngineError, save_action::TRIES};
use action_domain::{
    actor::Actor,
    event::{Context, Fact},
    name::Name,
    repositories::{CommitError, Conflict, UnitOfWork, Write},
};

impl Engine {
    /// Removes a secret, unless the current revision of an action names it. Executions that began
    /// with an older revision end with `secret_missing`.
    pub async fn remove_secret(&self, name: &Name, by: &Actor) -> Result<(), EngineError> {
        let mut tries = TRIES;
        loop {
            tries -= 1;
            let current = self.reader().secrets_named(std::slice::from_ref(name)).await?.pop();
            let current = current.ok_or(EngineError::NotFound("secret"))?;
            let fact = Fact::SecretDeleted { name: name.clone(), version: current.version };
            let unit = UnitOfWork::new()
                .write(Write::RemoveSecretIfUnused(name.clone(), current.version))
                .event(self.event_by(by, Context::default(), &fact));
            let removed = name.clone();
            match self.commit_and(unit, move |engine, _| engine.inner.secrets.forget([&removed])).await {
                Ok(()) => return Ok(()),
                Err(CommitError::Conflict(Conflict::NotFound)) => return Err(EngineError::NotFound("secret")),
                Err(CommitError::Conflict(Conflict::InUse { by })) => {
                    let message = format!("actions use the secret `{name}`: {by}");
                    return Err(EngineError::Conflict { code: "in_use", message });
                }
                Err(CommitError::Conflict(Conflict::RevisionMismatch { .. })) if tries > 0 => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
