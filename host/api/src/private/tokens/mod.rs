//! Tokens: who gets in.

mod create;
mod list;
mod revoke;

use crate::{private::ADMIN, routes::Routes};
use utoipa_axum::routes;

pub(super) fn register(routes: Routes) -> Routes {
    routes
        .needs(ADMIN, routes!(create::create_token))
        .needs(ADMIN, routes!(list::list_tokens))
        .needs(ADMIN, routes!(revoke::revoke_token))
}
