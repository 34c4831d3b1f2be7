//! Audit: the key and the seals, by which others check the log.

mod key;
mod list;
mod seal;

use crate::{
    private::{ADMIN, READ},
    routes::Routes,
};
use utoipa_axum::routes;

pub(super) fn register(routes: Routes) -> Routes {
    routes
        .needs(READ, routes!(key::get_audit_key))
        .needs(READ, routes!(list::list_seals))
        .needs(ADMIN, routes!(seal::seal_events))
}
