//! Secrets: set, listed and deleted; never given out.

mod list;
mod remove;
mod rewrap;
mod set;
#[cfg(test)]
mod tests;

use crate::{
    private::{ADMIN, CONFIGURE},
    routes::Routes,
};
use utoipa_axum::routes;

pub(super) fn register(routes: Routes) -> Routes {
    routes
        .needs(CONFIGURE, routes!(list::list_secrets))
        .needs(CONFIGURE, routes!(set::put_secret))
        .needs(CONFIGURE, routes!(remove::delete_secret))
        .needs(ADMIN, routes!(rewrap::rewrap_secrets))
}

/// The name of a secret in a path.
fn name_of(text: &str) -> Result<action_domain::name::Name, crate::error::Problem> {
    text.parse().map_err(|_| crate::error::Problem::not_found("secret"))
}
