//! Routes for the outside: those who only call actions. What they may do is a part of what the
//! private listener offers, with the same handlers; nothing else of it is reachable here.

pub(crate) mod hooks;

use crate::{ApiState, Router, Scope, Scopes, private, routes::Routes};
use axum::routing::any;
use utoipa::openapi::OpenApi;
use utoipa_axum::routes;

const INVOKE: Scopes = Scopes::of(&[Scope::Invoke]);

/// The router of the public listener.
pub fn public_router(state: ApiState) -> Router {
    routes(state).build().0
}

/// What the public listener offers, for programs; the private one hands it out.
pub(crate) fn public_document(state: ApiState) -> OpenApi {
    routes(state).build().1
}

fn routes(state: ApiState) -> Routes {
    Routes::new(state)
        .needs_within_reach(INVOKE, routes!(private::actions::execute::execute_action))
        .needs_within_reach(INVOKE, routes!(private::executions::show::get_execution))
        .open(routes!(private::service::healthz::healthz))
        .proves_itself::<hooks::__path_receive>("/hooks/{*path}", any(hooks::receive))
}

#[cfg(test)]
mod tests {
    use crate::{
        Scope,
        testing::{Api, tokens},
    };

    #[tokio::test]
    async fn only_calls_are_reachable() {
        let api = Api::new();
        api.protocol_and_action("a").await;
        let public = api.public();
        let ran = public.post("/v1/actions/a/execute").bearer(tokens(Scope::Invoke)).body("x").send().await;
        ran.is(200);
        let id = ran.json()["id"].as_str().unwrap().to_owned();
        let path = format!("/v1/executions/{id}");
        public.get(&path).bearer(tokens(Scope::Invoke)).send().await.is(200);
        public.get(&path).bearer(tokens(Scope::Read)).send().await.is_problem(403, "scope_missing");
        public.get(&path).bearer("").send().await.is_problem(401, "token_missing");
        public.get("/healthz").bearer("").send().await.is(200);
        for path in ["/v1/actions", "/v1/protocols", "/v1/executions", "/v1/events", "/openapi.json", "/readyz"] {
            public.get(path).send().await.is_problem(404, "route_not_found");
        }
        public.request("GET", "/v1/actions/a/execute").send().await.is_problem(405, "method_not_allowed");
    }
}
