//! What another version of a protocol changes.

use crate::error::IssueBody;
use action_domain::{failure::Effect, id::ActionId, upgrade::Comparison};
use action_engine::{Prospect, RefusedMove, Upgrade};
use serde::Serialize;
use utoipa::ToSchema;

/// What a version changes, seen from an earlier one.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Upgrade)]
pub(crate) struct UpgradeBody<'a> {
    #[serde(flatten)]
    versions: VersionsBody<'a>,
    /// Actions that have an earlier version, and what this one says to them. None of them moves by itself.
    actions: Vec<ProspectBody<'a>>,
    /// Whether there are more actions than were asked about.
    more: bool,
}

/// How two versions differ.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VersionDifference)]
pub(crate) struct VersionsBody<'a> {
    /// The version to compare with.
    #[schema(example = "http@0.1.0")]
    from: String,
    /// The version that is looked at.
    #[schema(example = "http@0.2.0")]
    to: String,
    /// Interfaces that it imports and the other does not, whatever their versions.
    imports_added: &'a [String],
    /// Interfaces that it does not import any more.
    imports_removed: &'a [String],
    /// HTTP methods beside GET, HEAD and OPTIONS that its connection test may use from now on.
    test_methods_added: &'a [String],
    /// How its config schema differs.
    config: Vec<SchemaChangeBody<'a>>,
    /// Whether there are more differences than are listed.
    config_cut: bool,
}

/// One difference of two config schemas.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SchemaChange)]
struct SchemaChangeBody<'a> {
    /// JSON Pointer into configs; `*` stands for every item or every other member.
    #[schema(example = "/url")]
    pointer: &'a str,
    /// `added`, `removed`, `required`, `optional`, `changed`, `egress_added` (what stands there may be reached from
    /// now on), `egress_removed`, `write_only_added` or `write_only_removed`.
    #[schema(example = "egress_added")]
    change: &'static str,
}

/// What a version says to an action that has an earlier one.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UpgradeOfAction)]
struct ProspectBody<'a> {
    /// The action's id.
    #[schema(value_type = String)]
    action: ActionId,
    name: &'a str,
    /// The version that it has.
    #[schema(example = "http@0.1.0")]
    protocol: String,
    /// Whether it would be saved with the new one as it is.
    accepted: bool,
    /// What the new one says that repeating does to the outside, where it accepts the action.
    #[schema(value_type = Option<String>, required = true, example = "keyed")]
    effect: Option<Effect>,
    /// Why it would be refused; `egress_widened` where the new one would make a grant of what was none.
    errors: Vec<IssueBody<'a>>,
}

impl<'a> VersionsBody<'a> {
    fn new(from: String, to: String, comparison: &'a Comparison) -> Self {
        let change = |change: &'a action_domain::upgrade::SchemaChange| SchemaChangeBody {
            pointer: &change.pointer,
            change: change.change.as_str(),
        };
        Self {
            from,
            to,
            imports_added: &comparison.imports_added,
            imports_removed: &comparison.imports_removed,
            test_methods_added: &comparison.test_methods_added,
            config: comparison.config.iter().map(change).collect(),
            config_cut: comparison.config_cut,
        }
    }
}

impl<'a> From<&'a Upgrade> for UpgradeBody<'a> {
    fn from(upgrade: &'a Upgrade) -> Self {
        let prospect = |prospect: &'a Prospect| ProspectBody {
            action: prospect.action,
            name: prospect.name.as_str(),
            protocol: prospect.protocol.to_string(),
            accepted: prospect.issues.is_empty(),
            effect: prospect.effect,
            errors: prospect.issues.iter().map(IssueBody::from).collect(),
        };
        Self {
            versions: VersionsBody::new(upgrade.from.to_string(), upgrade.to.to_string(), &upgrade.comparison),
            actions: upgrade.actions.iter().map(prospect).collect(),
            more: upgrade.more,
        }
    }
}

impl<'a> From<&'a RefusedMove> for VersionsBody<'a> {
    fn from(refused: &'a RefusedMove) -> Self {
        Self::new(refused.from.to_string(), refused.to.to_string(), &refused.comparison)
    }
}
