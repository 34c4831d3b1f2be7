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
        .needs(READ, routes!(list::list_executions))
        .needs(READ_OR_INVOKE, routes!(show::get_execution))
        .needs(READ, routes!(events::list_execution_events))
        .needs(READ_OR_INVOKE, routes!(output::get_output))
        .needs(INVOKE, routes!(cancel::cancel_execution))
        .needs(INVOKE, routes!(retry::retry_execution))
        .needs(INVOKE, routes!(retry_failed::retry_executions))
        .needs(CONFIGURE, routes!(resolve::resolve_execution))
}
