//! The one small listener of a process that only works: is it there, is it ready.

use crate::{ApiState, Router, private, routes::Routes};
use utoipa_axum::routes;

/// The router of a worker's private listener.
pub fn worker_router(state: ApiState) -> Router {
    let (router, _) = Routes::new(state)
        .open(routes!(private::service::healthz::healthz))
        .open(routes!(private::service::readyz::readyz))
        .build();
    router
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;

    #[tokio::test]
    async fn it_says_how_it_is_and_nothing_else() {
        let api = Api::new().worker();
        for path in ["/healthz", "/readyz"] {
            api.get(path).bearer("").send().await.is(200);
        }
        for path in ["/v1/actions", "/v1/events", "/openapi.json", "/docs"] {
            api.get(path).send().await.is_problem(404, "route_not_found");
        }
    }
}
