//! `GET /v1/actions/{id}`: the current revision of an action.

use crate::{
    ApiState,
    error::Answer,
    request::{caller::Caller, path::In},
    wire::saved_action::{self, ActionBody},
};
use axum::extract::State;
use http::StatusCode;

/// Get an action
#[utoipa::path(
    get,
    path = "/v1/actions/{id}",
    tag = "actions",
    params(("id" = String, Path, description = "The action's id or name.")),
    responses(
        (status = 200, description = "Its current revision.", body = ActionBody,
            headers(("ETag" = String, description = "Its revision, for `If-Match`."))),
        (status = 400, description = "The path makes no sense: `invalid_path`."),
        (status = 404, description = "There is no such action: `action_not_found`."),
    )
)]
pub(super) async fn get_action(State(state): State<ApiState>, caller: Caller, In(id): In<String>) -> Answer {
    let action = state.engine().action(&caller.action(&state, &id).await?).await?;
    saved_action::answer(StatusCode::OK, &action)
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;

    #[tokio::test]
    async fn by_id_and_by_name() {
        let api = Api::new();
        let id = api.protocol_and_action("a").await;
        let by_id = api.get(&format!("/v1/actions/{id}")).send().await;
        by_id.is(200);
        assert_eq!(by_id.header("etag"), "\"1\"");
        assert_eq!(by_id.json(), api.get("/v1/actions/a").send().await.json());
        for missing in ["b", "act_01h455vb4pex5vsknk084sn02q", "exe_01h455vb4pex5vsknk084sn02q", "No"] {
            let missing = api.get(&format!("/v1/actions/{missing}")).send().await;
            missing.is_problem(404, "action_not_found");
        }
    }
}
