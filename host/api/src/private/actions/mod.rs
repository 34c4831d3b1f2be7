//! Actions: protocols with a config, ready to be called.

mod create;
mod egress;
mod egress_proposal;
pub(crate) mod execute;
mod list;
mod patch;
mod plan;
mod put;
mod remove;
mod revision;
mod schedule;
mod show;
mod test_connection;
mod validate_config;

use crate::{
    ActionDraft, ApiState,
    error::{Answer, Problem},
    private::{CONFIGURE, INVOKE, READ},
    routes::Routes,
};
use action_domain::action::ActionSpec;
use action_engine::EngineError;
use serde_json::Value;
use utoipa_axum::routes;

pub(super) fn register(routes: Routes) -> Routes {
    routes
        .needs(CONFIGURE, routes!(create::create_action))
        .needs_within_reach(READ, routes!(list::list_actions))
        .needs_within_reach(READ, routes!(show::get_action))
        .needs_within_reach(CONFIGURE, routes!(put::put_action))
        .needs_within_reach(CONFIGURE, routes!(patch::patch_action))
        .needs_within_reach(CONFIGURE, routes!(remove::delete_action))
        .needs_within_reach(READ, routes!(revision::get_action_revision))
        .needs_within_reach(READ, routes!(egress::get_action_egress))
        .needs_within_reach(READ, routes!(schedule::get_action_schedule))
        .needs_within_reach(READ, routes!(egress_proposal::get_egress_proposal))
        .needs_within_reach(CONFIGURE, routes!(validate_config::validate_action_config))
        .needs_within_reach(CONFIGURE, routes!(test_connection::test_action_connection))
        .needs_within_reach(CONFIGURE, routes!(plan::plan_action))
        .needs_within_reach(INVOKE, routes!(execute::execute_action))
}

/// The action that a document describes, or everything that is wrong with it: also what only the
/// engine and the protocol can tell of the parts that are right.
async fn spec_of(state: &ApiState, document: &Value) -> Answer<ActionSpec> {
    let mut draft = ActionDraft::read(document);
    if !draft.is_sound()
        && let Some(spec) = draft.spec()
        && let Err(EngineError::Invalid(found)) = state.engine().check_action(spec).await
    {
        draft.add(found);
    }
    draft.finish().map_err(Problem::invalid_document)
}
