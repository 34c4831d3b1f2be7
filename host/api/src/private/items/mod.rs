//! Items: what executions captured from the outside.

mod content;
mod list;

use crate::{private::READ, routes::Routes};
use utoipa_axum::routes;

pub(super) fn register(routes: Routes) -> Routes {
    routes
        .needs_within_reach(READ, routes!(list::list_items))
        .needs_within_reach(READ, routes!(content::get_item_content))
}
