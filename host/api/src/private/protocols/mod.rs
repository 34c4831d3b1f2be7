//! Protocols: components that were uploaded.

mod component;
mod list;
mod remove;
mod show;
mod test_connection;
mod upgrade;
mod upload;
mod validate_config;
mod versions;

use crate::{
    private::{CONFIGURE, READ},
    routes::Routes,
};
use utoipa_axum::routes;

pub(super) fn register(routes: Routes) -> Routes {
    routes
        .needs(CONFIGURE, routes!(upload::upload_protocol))
        .needs(READ, routes!(list::list_protocols))
        .needs(READ, routes!(versions::list_protocol_versions))
        .needs(READ, routes!(show::get_protocol))
        .needs(CONFIGURE, routes!(upgrade::get_protocol_upgrade))
        .needs(CONFIGURE, routes!(remove::delete_protocol))
        .needs(READ, routes!(component::get_component))
        .needs(CONFIGURE, routes!(validate_config::validate_config))
        .needs(CONFIGURE, routes!(test_connection::test_protocol_connection))
}
