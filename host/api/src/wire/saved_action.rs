//! Actions: what comes back.

use crate::{
    error::{Answer, IssueBody, Problem},
    request::if_match::etag,
    wire::{
        action::{Grants, Transform},
        json,
        rules::{Delivery, Limits},
        shared,
        trigger::Trigger,
    },
};
use action_domain::{
    action::Action,
    failure::{Effect, Issue},
    id::ActionId,
    protocol::Pin,
    time::Timestamp,
    upgrade::PowerChange,
};
use action_engine::SavedAction;
use http::{StatusCode, header};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// One revision of an action.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Action)]
pub(crate) struct ActionBody<'a> {
    /// Its id, the same for all revisions.
    #[schema(value_type = String, example = "act_01jd8q3v5tevk9xw2xk5z7c1ya")]
    id: ActionId,
    /// Unique.
    #[schema(example = "notify-ops")]
    name: &'a str,
    /// 1 for the first; every save makes a new one.
    revision: u32,
    /// A disabled action refuses every trigger.
    enabled: bool,
    /// For people.
    description: &'a str,
    /// For finding it.
    labels: &'a BTreeMap<String, String>,
    /// The protocol, resolved when this revision was saved.
    #[schema(example = "http@0.1.0")]
    protocol: String,
    /// The transforms that its expressions name, resolved when this revision was saved.
    #[schema(value_type = BTreeMap<String, String>)]
    transforms: &'a BTreeMap<String, Pin>,
    /// What the protocol says that repeating does to the outside: `read`, `idempotent`, `keyed` or `unsafe`.
    #[schema(value_type = String, example = "idempotent")]
    effect: Effect,
    /// For the protocol, by its schema.
    #[schema(value_type = Value)]
    config: &'a Value,
    /// What sets it off, beside a call.
    triggers: Vec<Trigger>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    input_transform: Option<Transform>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    output_transform: Option<Transform>,
    /// What it may reach beside the config's own hosts.
    grants: Grants,
    /// How much an attempt may use.
    limits: Limits,
    /// How often and when it is tried.
    delivery: Delivery,
    /// When the first revision was saved.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When this revision was saved.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// What the protocol wants known about the config; only right after saving.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    warnings: Vec<IssueBody<'a>>,
    /// How what it may do differs from the revision before; only right after saving, and only where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<shared::PowerChange>, nullable = false)]
    changes: Option<&'a PowerChange>,
}

impl<'a> From<&'a Action> for ActionBody<'a> {
    fn from(action: &'a Action) -> Self {
        let spec = &action.spec;
        Self {
            id: action.id,
            name: spec.name.as_str(),
            revision: action.revision,
            enabled: spec.enabled,
            description: &spec.description,
            labels: &spec.labels,
            protocol: action.protocol.to_string(),
            transforms: &action.transforms,
            effect: action.effect,
            config: &spec.config,
            triggers: spec.triggers.iter().map(Trigger::from).collect(),
            input_transform: spec.input_transform.as_ref().map(Transform::from),
            output_transform: spec.output_transform.as_ref().map(Transform::from),
            grants: (&spec.grants).into(),
            limits: spec.limits.into(),
            delivery: spec.delivery.clone().into(),
            created_at: action.created_at,
            updated_at: action.updated_at,
            warnings: Vec::new(),
            changes: None,
        }
    }
}

/// An answer that is an action, with its revision as entity tag.
pub(crate) fn answer(status: StatusCode, action: &Action) -> Answer {
    with_etag(status, action, &ActionBody::from(action))
}

/// The answer to a save.
pub(crate) fn saved_answer(status: StatusCode, saved: &SavedAction) -> Answer {
    let mut body = ActionBody::from(&*saved.action);
    let warnings = in_config(&saved.warnings);
    body.warnings = warnings.iter().map(IssueBody::from).collect();
    body.changes = saved.changes.as_deref();
    with_etag(status, &saved.action, &body)
}

fn with_etag(status: StatusCode, action: &Action, body: &ActionBody<'_>) -> Answer {
    let mut response = json(status, body)?;
    response.headers_mut().insert(header::ETAG, etag(action.revision));
    Ok(response)
}

/// An action as somebody could have written it.
pub(crate) fn document(action: &Action) -> Answer<Value> {
    let mut document = serde_json::to_value(ActionBody::from(action)).map_err(|error| {
        tracing::error!(%error, "api.action.serialize");
        Problem::internal()
    })?;
    // The answer has the version that was found; what was asked for may find a newer one.
    if let Some(protocol) = document.get_mut("protocol") {
        *protocol = action.spec.protocol.as_str().into();
    }
    Ok(document)
}

/// A protocol points into its config; here that stands in a larger document.
pub(crate) fn in_config(warnings: &[Issue]) -> Vec<Issue> {
    warnings.iter().map(|issue| issue.clone().below("/config")).collect()
}
