//! `GET /v1/actions/{id}/revisions/{n}`: any revision of an action.

use crate::{
    ApiState,
    error::{Answer, Problem},
    request::{
        caller::Caller,
        path::{In, action_key},
    },
    wire::saved_action::{self, ActionBody},
};
use action_domain::repositories::ActionKey;
use axum::extract::State;
use http::StatusCode;

/// Get a revision of an action
///
/// By its id also after the action was deleted.
#[utoipa::path(
    get,
    path = "/v1/actions/{id}/revisions/{n}",
    tag = "actions",
    params(
        ("id" = String, Path, description = "The action's id or name."),
        ("n" = u32, Path, description = "The revision; 1 is the first."),
    ),
    responses(
        (status = 200, description = "The revision.", body = ActionBody,
            headers(("ETag" = String, description = "The revision."))),
        (status = 400, description = "The path makes no sense: `invalid_path`."),
        (status = 404, description = "There is no such action or revision: `action_not_found`, `revision_not_found`."),
    )
)]
pub(super) async fn get_action_revision(
    State(state): State<ApiState>,
    caller: Caller,
    In((id, revision)): In<(String, String)>,
) -> Answer {
    let id = match action_key(&id)? {
        ActionKey::Id(id) => id,
        key @ ActionKey::Name(_) => state.engine().action(&key).await?.id,
    };
    // Also of one that was deleted, which has only its id.
    if !caller.reaches(id) {
        return Err(Problem::not_found("action"));
    }
    let missing = || Problem::not_found("revision");
    let revision = revision.parse().map_err(|_| missing())?;
    let action = state.engine().reader().action_revision(id, revision).await?.ok_or_else(missing)?;
    saved_action::answer(StatusCode::OK, &action)
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;
    use serde_json::json;

    #[tokio::test]
    async fn old_ones_stay_readable() {
        let api = Api::new();
        let id = api.protocol_and_action("a").await;
        api.request("PATCH", "/v1/actions/a").json(&json!({"description": "new"})).send().await.is(200);
        let first = api.get("/v1/actions/a/revisions/1").send().await;
        first.is(200);
        assert_eq!((first.json()["description"].clone(), first.header("etag")), (json!(""), "\"1\""));
        let second = api.get(&format!("/v1/actions/{id}/revisions/2")).send().await;
        assert_eq!(second.json()["description"], "new");
        for missing in ["0", "3", "x", "-1"] {
            let missing = api.get(&format!("/v1/actions/a/revisions/{missing}")).send().await;
            missing.is_problem(404, "revision_not_found");
        }
        api.get("/v1/actions/b/revisions/1").send().await.is_problem(404, "action_not_found");
    }
}
