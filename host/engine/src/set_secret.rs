//! Gives a secret its first or its next value.

use crate::{Engine, EngineError, save_action::TRIES};
use action_domain::{
    actor::Actor,
    event::{Context, Fact},
    failure::Issue,
    limits::PAGE_ITEMS_MAX,
    name::Name,
    repositories::{ActionKey, CommitError, Conflict, Page, UnitOfWork, Write},
    secret::{Secret, check_value},
    services::VaultError,
    trigger::StandingKind,
    webhook::check_key,
};
use std::sync::Arc;

/// Most actions that are named as users of a secret.
const USERS_TOLD_MAX: usize = 10;

/// A secret as it was set.
#[derive(Debug, Clone)]
pub struct SetSecret {
    /// The version that is current now.
    pub secret: Arc<Secret>,
    /// Whether it is the first.
    pub created: bool,
}

impl Engine {
    /// Seals a value and makes it a secret's current version. The one before is gone with it.
    pub async fn set_secret(&self, name: &Name, value: &[u8], by: &Actor) -> Result<SetSecret, EngineError> {
        check_value(value).map_err(|message| EngineError::Invalid(vec![Issue::new("", "out_of_range", message)]))?;
        if let Err(message) = check_key(value) {
            let users = self.keyed_by(name).await?;
            if !users.is_empty() {
                let message = format!("{message}; webhooks of these actions take it for theirs: {}", users.join(", "));
                return Err(EngineError::Invalid(vec![Issue::new("", "too_short", message)]));
            }
        }
        let mut tries = TRIES;
        // The last version of a secret that was deleted, where the store says so.
        let mut deleted = 0_u32;
        loop {
            tries -= 1;
            let current = self.reader().secrets_named(std::slice::from_ref(name)).await?.pop();
            let now = self.now();
            let version = current.as_ref().map_or(deleted, |current| current.version).saturating_add(1);
            let sealed = self.inner.parts.vault.seal(name, version, value)?;
            let created_at = current.as_ref().map_or(now, |current| current.created_at);
            let secret = Secret { name: name.clone(), version, sealed, created_at, updated_at: now };
            let fact = Fact::SecretSet { name: name.clone(), version };
            let unit = UnitOfWork::new()
                .write(Write::SetSecretIfCurrent(Box::new(secret.clone())))
                .event(self.event_by(by, Context::default(), &fact));
            let changed = name.clone();
            match self.commit_and(unit, move |engine, _| engine.inner.secrets.forget([&changed])).await {
                Ok(()) => return Ok(SetSecret { secret: Arc::new(secret), created: current.is_none() }),
                // Somebody else was quicker, or it was deleted: ours is the next, for no version comes back.
                Err(CommitError::Conflict(Conflict::RevisionMismatch { current })) if tries > 0 => deleted = current,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Engine {
    /// The names of the actions of which a webhook has this secret as its key; a few of them.
    async fn keyed_by(&self, name: &Name) -> Result<Vec<String>, EngineError> {
        let (mut users, mut after) = (Vec::new(), None);
        loop {
            let page = Page { after, limit: PAGE_ITEMS_MAX };
            let standings = self.reader().triggers(StandingKind::Webhook, page).await?;
            for standing in &standings {
                let ready = match self.ready(&ActionKey::Id(standing.action)).await {
                    Ok(ready) => ready,
                    Err(EngineError::NotFound(_)) => continue,
                    Err(error) => return Err(error),
                };
                let spec = &ready.action.spec;
                let user = spec.name.to_string();
                if spec.triggers.iter().any(|trigger| trigger.key() == Some(name)) && !users.contains(&user) {
                    users.push(user);
                }
            }
            after = standings.last().map(|standing| (standing.action, standing.place));
            if standings.len() < PAGE_ITEMS_MAX as usize || users.len() >= USERS_TOLD_MAX {
                users.truncate(USERS_TOLD_MAX);
                return Ok(users);
            }
        }
    }
}

impl From<VaultError> for EngineError {
    fn from(error: VaultError) -> Self {
        let message = error.to_string();
        match error {
            VaultError::NoKey => Self::Conflict { code: "secret_key_missing", message },
            VaultError::UnknownKey(_) | VaultError::LostKey(_) => {
                Self::Conflict { code: "secret_key_unknown", message }
            }
            VaultError::Damaged | VaultError::NoRandomness => Self::Internal(message),
        }
    }
}
