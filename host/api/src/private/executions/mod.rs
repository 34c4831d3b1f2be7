//! Executions: what became of calls.

mod events;
mod list;
mod output;
mod resolve;
pub(crate) mod show;

use crate::{
    private::{CONFIGURE, READ, READ_OR_INVOKE},
    routes::Routes,
};
use utoipa_axum::routes;

pub(super) fn register(routes: Routes) -> Routes {
    routes
        .needs(READ, routes!(list::list_executions))
        .needs(READ_OR_INVOKE, routes!(show::get_execution))
        .needs(READ, routes!(events::list_execution_events))
        .needs(READ_OR_INVOKE, routes!(output::get_output))
        .needs(CONFIGURE, routes!(resolve::resolve_execution))
}
