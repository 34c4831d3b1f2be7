//! Events: everything that happened, in pages or as a stream.

pub(super) mod list;
mod prune;
mod stream;

use crate::{
    private::{ADMIN, READ},
    routes::Routes,
};
use utoipa_axum::routes;

pub(super) fn register(routes: Routes) -> Routes {
    routes.needs_within_reach(READ, routes!(list::list_events)).needs(ADMIN, routes!(prune::prune_events))
}
