//! Moves secrets to the operator's first key, so that an older one can be taken away.

use crate::{Engine, EngineError, save_action::TRIES};
use action_domain::{
    actor::Actor,
    event::{Context, Fact},
    name::Name,
    repositories::{CommitError, Conflict, Page, UnitOfWork, Write},
    secret::{KeyId, Secret},
    services::VaultError,
};

/// Secrets that are looked at in one go.
const BATCH: u32 = 100;

/// What became of all secrets.
#[derive(Debug, Clone)]
pub struct Rewrapped {
    /// The key under which they are now.
    pub key: KeyId,
    /// How many were under another one before.
    pub secrets: u64,
    /// Those that no key opens that was given.
    pub unreadable: Vec<Name>,
}

impl Engine {
    /// Wraps every data key with the first key that is not wrapped with it. The values are not
    /// touched, and what runs meanwhile does not notice.
    pub async fn rewrap_secrets(&self, by: &Actor) -> Result<Rewrapped, EngineError> {
        let key = self.inner.parts.vault.sealing_key().ok_or(VaultError::NoKey)?;
        let mut done = Rewrapped { key, secrets: 0, unreadable: Vec::new() };
        let (mut after, mut tries) = (None, TRIES);
        loop {
            let page = self.reader().secrets(Page { after: after.clone(), limit: BATCH }).await?;
            let Some(last) = page.last().map(|secret| secret.name.clone()) else { return Ok(done) };
            let mut unit = UnitOfWork::new();
            let mut unreadable = Vec::new();
            for secret in &page {
                match self.inner.parts.vault.rewrap(secret) {
                    Ok(None) => {}
                    Ok(Some(sealed)) => {
                        let secret = Secret { sealed, ..Secret::clone(secret) };
                        unit = unit.write(Write::ResealSecretIfCurrent(Box::new(secret)));
                    }
                    Err(error) => {
                        tracing::warn!(secret = %secret.name, %error, "engine.rewrap_secrets.unreadable");
                        unreadable.push(secret.name.clone());
                    }
                }
            }
            let secrets = unit.writes.len() as u64;
            if secrets > 0 {
                let fact = Fact::SecretsRewrapped { secrets, key: done.key.clone() };
                let unit = unit.event(self.event_by(by, Context::default(), &fact));
                match self.commit_and(unit, |engine, _| engine.inner.secrets.forget_all()).await {
                    Ok(()) => {}
                    // One of them was set or removed meanwhile: the page is looked at again.
                    Err(CommitError::Conflict(Conflict::RevisionMismatch { .. })) if tries > 0 => {
                        tries -= 1;
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            done.secrets += secrets;
            done.unreadable.extend(unreadable);
            after = Some(last);
        }
    }

    /// Secrets that none of the keys opens, and the keys that would: at start somebody should know.
    pub async fn secrets_without_key(&self) -> Result<Vec<(Name, KeyId)>, EngineError> {
        let (mut locked, mut after) = (Vec::new(), None);
        loop {
            let page = self.reader().secrets(Page { after, limit: BATCH }).await?;
            let Some(last) = page.last().map(|secret| secret.name.clone()) else { return Ok(locked) };
            let without = page.iter().filter(|secret| !self.inner.parts.vault.has_key(&secret.sealed.key));
            locked.extend(without.map(|secret| (secret.name.clone(), secret.sealed.key.clone())));
            after = Some(last);
        }
    }
}
