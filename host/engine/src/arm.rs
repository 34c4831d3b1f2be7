//! Gives an attempt its secrets: a fresh handle in the place of each reference of the config, and
//! behind it the value that is current now.
//!
//! A value that was set counts from the next attempt on, whichever process runs it. The values are
//! opened for each attempt and kept nowhere. Sealed as they are in the store, they are remembered where
//! no other process can set them, and read for each attempt where one can.

use crate::{Engine, cache::Ready};
use action_domain::{
    capture::Captured,
    failure::{ErrorCode, ExecutionError, Issue},
    name::Name,
    repositories::StoreUnavailable,
    secret::{
        AttemptSecrets, Held, Secret, SecretValue,
        reference::{self, Outline},
    },
    services::{AttemptReport, ConnectionTest, ReconcileReport, Reconciliation, VaultError, WebhookReply},
    trigger::{self, Trigger},
    webhook::check_opened_key,
};
use bytes::Bytes;
use serde_json::Value;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The kind of an item whose own holds a secret: a marker would be none.
const REDACTED_KIND: &str = "redacted";

/// Secrets that are remembered, sealed: each has 64 KiB at most, and mostly far less.
pub(crate) const SECRETS_MAX: u64 = 1024;

/// A config with handles, and what they stand for.
pub(crate) struct Armed {
    pub(crate) config: Arc<str>,
    pub(crate) secrets: Arc<AttemptSecrets>,
}

impl Engine {
    /// For an attempt of a revision.
    pub(crate) async fn arm(&self, ready: &Ready) -> Result<Armed, ExecutionError> {
        if ready.secrets.is_empty() {
            return Ok(Armed { config: ready.config.clone(), secrets: Arc::default() });
        }
        self.arm_config(&ready.outline, &ready.secrets, &ready.action.spec.grants.reveal).await
    }

    /// For a config that names these secrets and may reveal some.
    pub(crate) async fn arm_config(
        &self,
        config: &Outline,
        names: &[Name],
        reveal: &[String],
    ) -> Result<Armed, ExecutionError> {
        let unusable = |error: StoreUnavailable| ExecutionError::new(ErrorCode::HostError, error.to_string());
        let found = self.secrets_named(names).await.map_err(unusable)?;
        let missing = missing(names, &found);
        if !missing.is_empty() {
            let names: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
            let message = format!("the config names secrets that are not there: {}", names.join(", "));
            return Err(ExecutionError::new(ErrorCode::SecretMissing, message));
        }
        let mut values: BTreeMap<Name, Arc<SecretValue>> = BTreeMap::new();
        for secret in found {
            let opened = self.inner.parts.vault.open(&secret);
            let value = opened.map_err(|error| {
                tracing::error!(secret = %secret.name, %error, "engine.arm.open");
                // What nobody can open any more, no other attempt and no other process opens.
                let code = match error {
                    VaultError::LostKey(_) | VaultError::Damaged => ErrorCode::SecretMissing,
                    _ => ErrorCode::HostError,
                };
                ExecutionError::new(code, format!("the secret `{}`: {error}", secret.name))
            })?;
            values.insert(secret.name.clone(), Arc::new(value));
        }
        let mut held = Vec::new();
        let config = config.filled(|name| {
            let handle = self.inner.parts.vault.handle()?;
            let (value, reveal) = (values.get(name).cloned(), reveal.iter().any(|own| own == name.as_str()));
            held.push(Held { handle: handle.clone(), name: name.clone(), value, reveal });
            Ok(handle)
        });
        let config =
            config.map_err(|error: VaultError| ExecutionError::new(ErrorCode::HostError, error.to_string()))?;
        Ok(Armed { config: config.into(), secrets: Arc::new(AttemptSecrets::new(held)) })
    }

    /// Those of these secrets that are there, sealed, as they are now.
    pub(crate) async fn secrets_named(&self, names: &[Name]) -> Result<Vec<Arc<Secret>>, StoreUnavailable> {
        if !self.inner.parts.exclusive_store {
            return self.reader().secrets_named(names).await;
        }
        let secrets = &self.inner.secrets;
        if let Some(known) = names.iter().map(|name| secrets.get(name)).collect() {
            return Ok(known);
        }
        let before = secrets.before();
        let found = self.reader().secrets_named(names).await?;
        for secret in &found {
            secrets.keep(before, secret.name.clone(), secret.clone());
        }
        Ok(found)
    }

    /// For looking at a config: handles with nothing behind them.
    pub(crate) fn disguise(&self, config: &Value) -> Result<(Value, AttemptSecrets), VaultError> {
        let (mut held, mut failed) = (Vec::new(), None);
        let config = reference::replaced(config, &mut |name| match self.inner.parts.vault.handle() {
            Ok(handle) => {
                held.push(Held { handle: handle.clone(), name: name.clone(), value: None, reveal: false });
                handle
            }
            Err(error) => {
                failed = Some(error);
                String::new()
            }
        });
        failed.map_or_else(|| Ok((config, AttemptSecrets::new(held))), Err)
    }

    /// References of a config to secrets that are not there, with pointers into it.
    pub(crate) async fn missing_secrets(&self, config: &Value) -> Result<Vec<Issue>, StoreUnavailable> {
        let names: Vec<Name> = reference::names(config).into_iter().collect();
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.reader().secrets_named(&names).await?;
        Ok(missing_issues(config, &missing(&names, &found)))
    }
}

impl Engine {
    /// Secrets that triggers name and that are not there, or prove nothing there, with pointers into the action.
    pub(crate) async fn trigger_secret_issues(&self, triggers: &[Trigger]) -> Result<Vec<Issue>, StoreUnavailable> {
        let names: Vec<Name> = trigger::secrets(triggers).into_iter().map(|(name, _)| name).collect();
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.reader().secrets_named(&names).await?;
        let mut issues: Vec<Issue> = missing_of_triggers(triggers, &missing(&names, &found)).collect();
        for (index, name) in triggers.iter().enumerate().filter_map(|(index, trigger)| Some((index, trigger.key()?))) {
            let secret = found.iter().find(|secret| secret.name == *name);
            // One that cannot be opened proves nothing either; that is said where it is used.
            let opened = secret.and_then(|secret| self.inner.parts.vault.open(secret).ok());
            if let Some(Err(message)) = opened.map(|value| check_opened_key(&value)) {
                issues.push(Issue::new(format!("/triggers/{index}/verify/secret"), "too_short", message));
            }
        }
        Ok(issues)
    }
}

/// An issue for each trigger that names one of these.
pub(crate) fn missing_of_triggers<'a>(
    triggers: &'a [Trigger],
    missing: &'a BTreeSet<&Name>,
) -> impl Iterator<Item = Issue> + 'a {
    trigger::secrets(triggers).into_iter().filter(|(name, _)| missing.contains(name)).map(|(name, pointer)| {
        let message = format!("there is no secret `{name}`: PUT /v1/secrets/{name} sets it");
        Issue::new(pointer, "secret_missing", message)
    })
}

/// An issue for each reference to one of these.
pub(crate) fn missing_issues(config: &Value, missing: &BTreeSet<&Name>) -> Vec<Issue> {
    let (references, _) = reference::references(config);
    let missing = references.into_iter().filter(|reference| missing.contains(&reference.name));
    missing
        .map(|reference| {
            let message = format!("there is no secret `{0}`: PUT /v1/secrets/{0} sets it", reference.name);
            Issue::new(reference.pointer, "secret_missing", message)
        })
        .collect()
}

fn missing<'n>(names: &'n [Name], found: &[Arc<Secret>]) -> BTreeSet<&'n Name> {
    names.iter().filter(|name| !found.iter().any(|secret| secret.name == **name)).collect()
}

impl Armed {
    /// Takes the secrets out of what an attempt gave.
    pub(crate) fn clean(&self, report: AttemptReport) -> AttemptReport {
        let redactor = self.secrets.redactor();
        let AttemptReport { result, receipt, sent, effect, captured } = report;
        let result = match result {
            Ok(mut outcome) => {
                outcome.output = redactor.payload(outcome.output);
                outcome.reply = outcome.reply.map(|reply| self.clean_reply(reply));
                Ok(outcome)
            }
            Err(mut error) => {
                redactor.error(&mut error);
                Err(error)
            }
        };
        AttemptReport { result, receipt, sent, effect, captured: self.clean_captured(captured) }
    }

    fn clean_reply(&self, mut reply: WebhookReply) -> WebhookReply {
        let redactor = self.secrets.redactor();
        reply.headers.iter_mut().flat_map(|(name, value)| [name, value]).for_each(|text| redactor.clean(text));
        if let Cow::Owned(clean) = redactor.bytes(&reply.body) {
            reply.body = clean.into();
        }
        reply
    }

    /// The same of items and of what an action keeps for itself, which stands in the database as it
    /// is. The sandbox has refused a kind and a value with a secret in it: a protocol does not get
    /// back something else than what it gave. This is for all others.
    pub(crate) fn clean_captured(&self, mut captured: Captured) -> Captured {
        let redactor = self.secrets.redactor();
        if !redactor.is_idle() {
            for item in &mut captured.items {
                item.key = item.key.take().map(|key| redactor.text(&key).into());
                item.content = redactor.payload(item.content.clone());
                if redactor.value_in(item.kind.as_bytes()).is_some() {
                    item.kind = REDACTED_KIND.into();
                }
            }
            let values = std::mem::take(&mut captured.values).into_iter();
            let clean = |value: Bytes| match redactor.value_in(&value) {
                Some(_) => redactor.bytes(&value).into_owned().into(),
                None => value,
            };
            captured.values = values.map(|(key, value)| (redactor.text(&key).into_owned(), value.map(clean))).collect();
        }
        captured
    }

    /// The same of what a protocol found out about an attempt.
    pub(crate) fn clean_found(&self, report: ReconcileReport) -> ReconcileReport {
        let redactor = self.secrets.redactor();
        let ReconcileReport { result, receipt } = report;
        let result = match result {
            Ok(Reconciliation::TookEffect(mut outcome)) => {
                outcome.output = redactor.payload(outcome.output);
                Ok(Reconciliation::TookEffect(outcome))
            }
            Err(mut error) => {
                redactor.error(&mut error);
                Err(error)
            }
            other => other,
        };
        ReconcileReport { result, receipt }
    }

    /// The same of a connection test.
    pub(crate) fn clean_test(&self, test: &mut ConnectionTest) {
        let redactor = self.secrets.redactor();
        if let Some(report) = &mut test.report {
            redactor.clean(&mut report.summary);
            redactor.json(&mut report.details);
        }
        if let Some(error) = &mut test.error {
            redactor.error(error);
        }
        for stage in &mut test.stages {
            let texts = [Some(&mut stage.target), Some(&mut stage.message), stage.hint.as_mut()];
            texts.into_iter().flatten().for_each(|text| redactor.clean(text));
        }
    }
}
