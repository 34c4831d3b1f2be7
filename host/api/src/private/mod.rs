//! Routes for those who run the service: integrators, orchestrators, operators.

pub(crate) mod actions;
mod audit;
mod consumers;
mod events;
pub(crate) mod executions;
mod items;
mod protocols;
mod secrets;
pub(crate) mod service;
mod tokens;
mod transforms;

pub(crate) use events::list::position;

use crate::{ApiState, Router, Scope, Scopes, openapi::Documents, public::public_document, routes::Routes};

/// Remove what was recorded, and say who gets in.
const ADMIN: Scopes = Scopes::of(&[Scope::Admin]);
/// Make and change protocols and actions.
const CONFIGURE: Scopes = Scopes::of(&[Scope::Configure]);
/// Look at what there is.
const READ: Scopes = Scopes::of(&[Scope::Read]);
/// Run actions.
const INVOKE: Scopes = Scopes::of(&[Scope::Invoke]);
/// Who ran an action may see what became of it.
const READ_OR_INVOKE: Scopes = Scopes::of(&[Scope::Read, Scope::Invoke]);

/// The router of the private listener.
pub fn private_router(state: ApiState) -> Router {
    let documents = state.clone();
    let (router, document) = routes(state.clone()).build();
    // Of two routers the first one's will do: they are the same.
    documents.documents().get_or_init(|| Documents::of(&document, &public_document(state)));
    router
}

fn routes(state: ApiState) -> Routes {
    let parts: [fn(Routes) -> Routes; 11] = [
        protocols::register,
        transforms::register,
        actions::register,
        secrets::register,
        executions::register,
        events::register,
        items::register,
        consumers::register,
        audit::register,
        tokens::register,
        service::register,
    ];
    parts.into_iter().fold(Routes::new(state), |routes, register| register(routes))
}
