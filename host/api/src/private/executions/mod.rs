//! Executions: what became of calls.

mod cancel;
mod events;
mod list;
mod output;
mod resolve;
mod retry;
mod retry_failed;
pub(crate) mod show;

use crate::{
    private::{CONFIGURE, INVOKE, READ, READ_OR_INVOKE},
    routes::Routes,
};
use utoipa_axum::routes;

pub(super) fn register(routes: Routes) -> Routes {
    routes
        .needs_within_reach(READ, routes!(list::list_executions))
        .needs_within_reach(READ_OR_INVOKE, routes!(show::get_execution))
        .needs_within_reach(READ, routes!(events::list_execution_events))
        .needs_within_reach(READ_OR_INVOKE, routes!(output::get_output))
        .needs_within_reach(INVOKE, routes!(cancel::cancel_execution))
        .needs_within_reach(INVOKE, routes!(retry::retry_execution))
        .needs_within_reach(INVOKE, routes!(retry_failed::retry_executions))
        .needs_within_reach(CONFIGURE, routes!(resolve::resolve_execution))
}
