//! Consumers: named readers of events who go on where they acknowledged.

mod acknowledge;
mod events;
mod list;
mod put;
mod remove;
mod show;

use crate::{
    error::Problem,
    private::{CONFIGURE, READ},
    routes::Routes,
};
use action_domain::name::Name;
use utoipa_axum::routes;

pub(super) fn register(routes: Routes) -> Routes {
    routes
        .needs(READ, routes!(list::list_consumers))
        .needs(READ, routes!(show::get_consumer))
        .needs(CONFIGURE, routes!(put::put_consumer))
        .needs(CONFIGURE, routes!(remove::delete_consumer))
        .needs(READ, routes!(events::get_consumer_events))
        .needs(READ, routes!(acknowledge::acknowledge_events))
}

/// The name of a consumer in a path.
fn name_of(text: &str) -> Result<Name, Problem> {
    text.parse().map_err(|_| Problem::not_found("consumer"))
}
