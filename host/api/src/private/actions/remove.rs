//! `DELETE /v1/actions/{id}`: removes an action.

use crate::{
    ApiState,
    error::Answer,
    request::{caller::Caller, if_match::if_match, path::In},
};
use axum::extract::State;
use http::{HeaderMap, StatusCode};

/// Delete an action
///
/// Its revisions stay readable by its id, and executions that were accepted still run.
#[utoipa::path(
    delete,
    path = "/v1/actions/{id}",
    tag = "actions",
    params(
        ("id" = String, Path, description = "The action's id or name."),
        ("If-Match" = Option<String>, Header, description = "Only if the current revision is one of these."),
    ),
    responses(
        (status = 204, description = "It is gone."),
        (status = 400, description = "The path or a header makes no sense: `invalid_path`, `invalid_header`."),
        (status = 404, description = "There is no such action: `action_not_found`."),
        (status = 412, description = "The current revision is another one: `revision_mismatch`."),
    )
)]
pub(super) async fn delete_action(
    State(state): State<ApiState>,
    caller: Caller,
    In(id): In<String>,
    headers: HeaderMap,
) -> Answer<StatusCode> {
    let key = caller.action(&state, &id).await?;
    let believed = match if_match(&headers)? {
        Some(condition) => condition.believe(Some(state.engine().action(&key).await?.revision))?,
        None => None,
    };
    state.engine().remove_action(&key, believed, caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;

    #[tokio::test]
    async fn it_goes_and_its_revisions_stay() {
        let api = Api::new();
        let id = api.protocol_and_action("a").await;
        let delete = || api.request("DELETE", "/v1/actions/a");
        delete().with("if-match", "\"2\"").send().await.is_problem(412, "revision_mismatch");
        delete().with("if-match", "\"1\"").send().await.is(204);
        delete().send().await.is_problem(404, "action_not_found");
        delete().with("if-match", "\"1\"").send().await.is_problem(404, "action_not_found");
        api.get(&format!("/v1/actions/{id}")).send().await.is_problem(404, "action_not_found");
        api.get(&format!("/v1/actions/{id}/revisions/1")).send().await.is(200);
    }
}
