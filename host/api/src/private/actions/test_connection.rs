//! `POST /v1/actions/{id}/test-connection`: tries an action's connection.

use crate::{
    ApiState,
    error::Answer,
    request::{caller::Caller, path::In},
    wire::{ok, shared::ConnectionTest},
};
use axum::extract::State;

/// Test an action's connection
///
/// Reaches the outside and changes nothing there. A test that does not connect is a successful
/// answer: `verdict` says how it went.
#[utoipa::path(
    post,
    path = "/v1/actions/{id}/test-connection",
    tag = "actions",
    params(("id" = String, Path, description = "The action's id or name.")),
    responses(
        (status = 200, description = "What the test found.", body = ConnectionTest),
        (status = 400, description = "The path makes no sense: `invalid_path`."),
        (status = 404, description = "There is no such action: `action_not_found`."),
        (status = 422, description = "The component ended badly: `component_broken`."),
    )
)]
pub(super) async fn test_action_connection(
    State(state): State<ApiState>,
    caller: Caller,
    In(id): In<String>,
) -> Answer {
    let key = caller.action(&state, &id).await?;
    let test = state.engine().test_action(&key, caller.actor()).await?;
    ok(&test)
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;

    #[tokio::test]
    async fn it_says_what_it_found() {
        let api = Api::new();
        api.protocol_and_action("a").await;
        let test = api.post("/v1/actions/a/test-connection").send().await;
        test.is(200);
        assert_eq!(test.json()["verdict"], "hollow");
        assert_eq!(test.json()["report"]["summary"], "fine");
        api.post("/v1/actions/b/test-connection").send().await.is_problem(404, "action_not_found");
    }
}
