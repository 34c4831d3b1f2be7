//! Actions: what is sent to make or change one.

use crate::{
    error::{Answer, Problem},
    wire::{
        rules::{Delivery, Limits},
        trigger::Trigger,
    },
};
use action_domain::{action, egress::HostPattern, failure::Issue, name::Name};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What makes an action. The members of its answer that the service alone sets (`id`,
/// `revision`, `transforms`, `effect`, `created_at`, `updated_at`, `warnings`) may be there and do not count.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ActionSpec)]
pub(crate) struct ActionSpec {
    /// Unique: `[a-z][a-z0-9-]{0,62}`.
    #[schema(example = "notify-ops", pattern = "^[a-z][a-z0-9-]{0,62}$")]
    name: String,
    /// A disabled action refuses every trigger.
    #[serde(default = "yes")]
    #[schema(default = true)]
    enabled: bool,
    /// For people.
    #[serde(default)]
    description: String,
    /// For finding it.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// `http`, `http@^0.1` or `http@0.1.0`: resolved when the action is saved.
    #[schema(example = "http@^0.1")]
    protocol: String,
    /// For the protocol, by its schema.
    #[schema(value_type = Value)]
    config: Value,
    /// What sets it off, beside a call, which always may.
    #[serde(default)]
    triggers: Vec<Trigger>,
    /// Applied to what comes in, before the protocol gets it.
    #[serde(default)]
    input_transform: Option<Transform>,
    /// Applied to what the protocol gives. Where it fails, so does the execution: what the protocol did is not
    /// repeated, and its output is kept.
    #[serde(default)]
    output_transform: Option<Transform>,
    /// What it may reach beside the config's own hosts.
    #[serde(default)]
    grants: Grants,
    /// How much an attempt may use.
    #[serde(default)]
    limits: Limits,
    /// How often and when it is tried.
    #[serde(default)]
    delivery: Delivery,
    /// Set by the service alone; what is written here does not count.
    #[serde(default, rename = "id")]
    #[schema(value_type = Value)]
    _id: IgnoredAny,
    /// Set by the service alone; what is written here does not count.
    #[serde(default, rename = "revision")]
    #[schema(value_type = Value)]
    _revision: IgnoredAny,
    /// Set by the service alone; what is written here does not count.
    #[serde(default, rename = "transforms")]
    #[schema(value_type = Value)]
    _transforms: IgnoredAny,
    /// Set by the service alone; what is written here does not count.
    #[serde(default, rename = "effect")]
    #[schema(value_type = Value)]
    _effect: IgnoredAny,
    /// Set by the service alone; what is written here does not count.
    #[serde(default, rename = "created_at")]
    #[schema(value_type = Value)]
    _created_at: IgnoredAny,
    /// Set by the service alone; what is written here does not count.
    #[serde(default, rename = "updated_at")]
    #[schema(value_type = Value)]
    _updated_at: IgnoredAny,
    /// Set by the service alone; what is written here does not count.
    #[serde(default, rename = "warnings")]
    #[schema(value_type = Value)]
    _warnings: IgnoredAny,
}

fn yes() -> bool {
    true
}

impl ActionSpec {
    /// In the domain's words. What cannot be said in them is an issue, and something harmless
    /// stands in its place.
    pub(crate) fn into_domain(self, issues: &mut Vec<Issue>) -> Option<action::ActionSpec> {
        let name = self.name.parse::<Name>().or_else(|error| {
            issues.push(Issue::new("/name", "invalid_name", error.to_string()));
            "x".parse()
        });
        let triggers = self.triggers.into_iter().enumerate();
        Some(action::ActionSpec {
            name: name.ok()?,
            enabled: self.enabled,
            description: self.description,
            labels: self.labels,
            protocol: self.protocol,
            config: self.config,
            triggers: triggers.map(|(index, trigger)| trigger.into_domain(index, issues)).collect(),
            input_transform: self.input_transform.map(Transform::into_domain),
            output_transform: self.output_transform.map(Transform::into_domain),
            grants: self.grants.into(),
            limits: self.limits.into(),
            delivery: self.delivery.into(),
        })
    }
}

/// An expression over data.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Transform {
    /// A transform: `jq`, `jq@^0.1` or `jq@0.1.0`; resolved when the action is saved.
    #[schema(example = "jq")]
    language: String,
    /// In that language.
    expression: String,
}

impl Transform {
    fn into_domain(self) -> action::Transform {
        action::Transform { language: self.language, expression: self.expression }
    }
}

impl From<&action::Transform> for Transform {
    fn from(transform: &action::Transform) -> Self {
        Self { language: transform.language.clone(), expression: transform.expression.clone() }
    }
}

/// The powers that an action gives to its protocol.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Grants {
    /// Hosts beside those in the config.
    egress: Vec<EgressGrant>,
    /// Whether private, loopback and link-local addresses may be reached; the operator has to allow it too.
    private_networks: bool,
    /// Secrets of the config whose values the protocol may see, by name.
    reveal: Vec<String>,
}

/// Hosts that may be reached.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EgressGrant {
    /// A host name, an address, or `*.` and a name for all names below it.
    #[schema(example = "*.example.com")]
    host: String,
    /// Its ports; empty for all.
    #[serde(default)]
    ports: Vec<u16>,
}

impl Grants {
    /// For a test: a grant that names no host is refused, as it would be in an action.
    pub(crate) fn checked(self) -> Answer<action::Grants> {
        let issue = |(index, grant): (usize, &EgressGrant)| {
            let message = HostPattern::parse(&grant.host).err()?;
            Some(Issue::new(format!("/grants/egress/{index}/host"), "invalid_host", message))
        };
        let issues: Vec<Issue> = self.egress.iter().enumerate().filter_map(issue).collect();
        if issues.is_empty() { Ok(self.into()) } else { Err(Problem::invalid_document(issues)) }
    }
}

impl From<Grants> for action::Grants {
    fn from(Grants { egress, private_networks, reveal }: Grants) -> Self {
        let grant = |EgressGrant { host, ports }| action::EgressGrant { host, ports };
        Self { egress: egress.into_iter().map(grant).collect(), private_networks, reveal }
    }
}

impl From<&action::Grants> for Grants {
    fn from(grants: &action::Grants) -> Self {
        let grant = |grant: &action::EgressGrant| EgressGrant { host: grant.host.clone(), ports: grant.ports.clone() };
        let egress = grants.egress.iter().map(grant).collect();
        Self { egress, private_networks: grants.private_networks, reveal: grants.reveal.clone() }
    }
}
