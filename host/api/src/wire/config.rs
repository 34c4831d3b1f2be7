//! Bodies of validations and connection tests.

use crate::{
    error::{Answer, IssueBody},
    wire::{action::Grants, ok, saved_action::in_config},
};
use action_domain::services::Accepted;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A config that no action has (yet).
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigBody {
    /// For the protocol, by its schema.
    #[schema(value_type = Value)]
    pub(crate) config: Value,
}

/// A config that no action has (yet), and what it may reach beside its own hosts.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TestBody {
    /// For the protocol, by its schema.
    #[schema(value_type = Value)]
    pub(crate) config: Value,
    /// As in an action.
    #[serde(default)]
    pub(crate) grants: Grants,
}

/// Another config for an action; left out: the one that it has.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OptionalConfigBody {
    /// For the action's protocol, by its schema.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    pub(crate) config: Option<Value>,
}

/// A config that the protocol accepts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AcceptedConfig)]
pub(crate) struct AcceptedBody<'a> {
    /// Always true: a config that is not accepted is answered with a problem.
    valid: bool,
    /// What repeating does to the outside: `read`, `idempotent`, `keyed` or `unsafe`.
    #[schema(value_type = String, example = "idempotent")]
    effect: action_domain::failure::Effect,
    /// Things to know; pointers into the body.
    warnings: Vec<IssueBody<'a>>,
}

/// An answer that the protocol accepts the config.
pub(crate) fn answer(accepted: &Accepted) -> Answer {
    let warnings = in_config(&accepted.warnings);
    let warnings = warnings.iter().map(IssueBody::from).collect();
    ok(&AcceptedBody { valid: true, effect: accepted.effect, warnings })
}
