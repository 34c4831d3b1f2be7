//! What applying a document would do, and everything that is wrong with it. Nothing is changed
//! here: of several documents all are looked at before the first is applied.

use super::desired;
use crate::{
    client::{Client, ClientError, Problem},
    commands::protocol,
    output::{Change, changes},
};
use action_api::ActionDraft;
use action_domain::{
    action::ActionSpec,
    failure::Issue,
    limits::LimitsPolicy,
    protocol::{Pin, Reference},
};
use serde_json::Value;

/// What happens to one action.
pub(super) struct Plan {
    pub(super) name: String,
    /// As it is written.
    pub(super) document: Value,
    /// What it is compared with; `None` if it is new.
    pub(super) current: Option<Value>,
    /// The protocol and the version that it is now.
    pub(super) pin: (String, String),
    pub(super) changes: Vec<Change>,
    /// How the versions differ, where the action would move to another one.
    pub(super) upgrade: Option<Value>,
}

impl Plan {
    /// Looks at a document, by its form and by its protocol.
    ///
    /// # Errors
    /// Everything that is wrong with it, as the service would say it.
    pub(super) async fn of(document: Value, client: &Client) -> Result<Self, ClientError> {
        let mut draft = ActionDraft::read(&document);
        let (mut pin, mut current) = (None, None);
        if let Some(spec) = draft.spec().cloned() {
            draft.add(spec.check());
            draft.add(LimitsPolicy::default().check(&spec.limits));
            current = client.find_action(spec.name.as_str()).await?;
            match ask_protocol(&spec, current.as_ref(), client).await? {
                Ok(found) => pin = Some(found),
                Err(issues) => draft.add(issues),
            }
        }
        let invalid = |issues| Problem::invalid("invalid_document", "the document is not valid".to_owned(), issues);
        let spec = draft.finish().map_err(invalid)?;
        let Some(pin) = pin else { return Err(invalid(Vec::new())) };
        // Which version `http` is, is a part of the answer.
        let mut wanted = desired::of_file(&document);
        if let Some(members) = wanted.as_object_mut() {
            members.insert("protocol".into(), format!("{}@{}", pin.0, pin.1).into());
        }
        let changes = current.as_ref().map_or_else(Vec::new, |current| changes(&desired::of_service(current), &wanted));
        let upgrade = match current.as_ref().and_then(|current| moves(current, &pin)) {
            Some(from) => Some(difference(client.protocol_upgrade(&pin.0, &pin.1, from).await?)),
            None => None,
        };
        let plan = Self { name: spec.name.to_string(), document, current, pin, changes, upgrade };
        if !plan.changes_nothing() {
            // What only the service can tell: a value that would become a grant, a secret that is missing.
            client.put_action(&plan.name, &plan.document, plan.revision(), true).await?;
        }
        Ok(plan)
    }

    pub(super) fn revision(&self) -> Option<u64> {
        self.current.as_ref()?.get("revision")?.as_u64()
    }

    /// Every save makes a revision: what is so already is left alone.
    pub(super) fn changes_nothing(&self) -> bool {
        self.current.is_some() && self.changes.is_empty()
    }
}

/// How two versions differ. What the new one says to actions as they are now is another matter: the service is
/// asked about the document.
fn difference(mut upgrade: Value) -> Value {
    if let Some(members) = upgrade.as_object_mut() {
        members.retain(|name, _| !matches!(name.as_str(), "actions" | "more"));
    }
    upgrade
}

/// The version that an action has, if the pin is another one of the same protocol.
fn moves<'a>(current: &'a Value, (name, version): &(String, String)) -> Option<&'a str> {
    let (own, from) = current.get("protocol")?.as_str()?.split_once('@')?;
    (own == name && from != version).then_some(from)
}

/// The version that an action has, if that is what the document names: then it stays.
fn kept(spec: &ActionSpec, current: Option<&Value>) -> Option<(String, String)> {
    let pin: Pin = current?.get("protocol")?.as_str()?.parse().ok()?;
    let named: Reference = spec.protocol.parse().ok()?;
    named.fits(&pin).then(|| (pin.name.to_string(), pin.version.to_string()))
}

/// The protocol that an action has or names, if it accepts the config.
async fn ask_protocol(
    spec: &ActionSpec,
    current: Option<&Value>,
    client: &Client,
) -> Result<Result<(String, String), Vec<Issue>>, ClientError> {
    let not_found = |message: String| vec![Issue::new("/protocol", "protocol_not_found", message)];
    let found = match kept(spec, current) {
        Some(pin) => Ok(pin),
        None => protocol::resolve(client, &spec.protocol).await,
    };
    let (name, version) = match found {
        Ok(pin) => pin,
        Err(error) => match error.downcast::<ClientError>() {
            Ok(ClientError::Refused(problem)) if problem.status == 404 => return Ok(Err(not_found(problem.detail))),
            Ok(error) => return Err(error),
            Err(error) => return Ok(Err(not_found(format!("{error:#}")))),
        },
    };
    match client.validate_config(&name, &version, &spec.config).await {
        Ok(_) => Ok(Ok((name, version))),
        Err(ClientError::Refused(problem)) if problem.status == 404 => Ok(Err(not_found(problem.detail))),
        Err(ClientError::Refused(problem)) if problem.code == "invalid_document" => {
            Ok(Err(problem.errors.into_iter().map(Issue::from).collect()))
        }
        Err(error) => Err(error),
    }
}
