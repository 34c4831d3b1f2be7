//! The service itself: is it there, is it ready, what does it offer. No token is needed.

mod docs;
pub(crate) mod healthz;
mod openapi;
pub(crate) mod readyz;

use crate::routes::Routes;
use utoipa_axum::routes;

pub(super) fn register(routes: Routes) -> Routes {
    routes
        .open(routes!(healthz::healthz))
        .open(routes!(readyz::readyz))
        .open(routes!(openapi::get_openapi))
        .open(routes!(openapi::get_public_openapi))
        .open(routes!(docs::get_docs))
}
