//! Transforms: languages of expressions over data.

mod try_out;

use crate::{private::CONFIGURE, routes::Routes};
use utoipa_axum::routes;

pub(super) fn register(routes: Routes) -> Routes {
    routes.needs(CONFIGURE, routes!(try_out::try_transform))
}
