//! `DELETE /v1/tokens/{id}`: takes a token back.

use crate::{
    ApiState,
    error::{Answer, Problem},
    request::{caller::Caller, path::In},
};
use axum::extract::State;
use http::StatusCode;

/// Revoke a token
///
/// When this is answered no process takes it any more. Streams that it opened end within seconds.
#[utoipa::path(
    delete,
    path = "/v1/tokens/{id}",
    tag = "tokens",
    params(("id" = String, Path, description = "The token's id.")),
    responses(
        (status = 204, description = "It is worth nothing any more."),
        (status = 400, description = "The path makes no sense: `invalid_path`."),
        (status = 404, description = "There is no such token (any more): `token_not_found`."),
    )
)]
pub(super) async fn revoke_token(
    State(state): State<ApiState>,
    caller: Caller,
    In(id): In<String>,
) -> Answer<StatusCode> {
    let id = id.parse().map_err(|_| Problem::not_found("token"))?;
    state.engine().revoke_token(id, caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;
    use serde_json::json;

    #[tokio::test]
    async fn it_is_refused_from_the_answer_on() {
        let api = Api::new();
        let (id, text) = api.token(&json!({"name": "ci", "scopes": ["read"]})).await;
        let path = format!("/v1/tokens/{id}");
        for _ in 0..2 {
            api.get("/v1/actions").bearer(&text).send().await.is(200);
        }
        api.request("DELETE", &path).bearer(&text).send().await.is_problem(403, "scope_missing");
        api.request("DELETE", &path).send().await.is(204);
        api.get("/v1/actions").bearer(&text).send().await.is_problem(401, "token_invalid");
        api.request("DELETE", &path).send().await.is_problem(404, "token_not_found");
        for missing in ["act_01h455vb4pex5vsknk084sn02q", "nonsense", &text] {
            let refused = api.request("DELETE", &format!("/v1/tokens/{missing}")).send().await;
            refused.is_problem(404, "token_not_found");
        }
        let events = api.all_pages("/v1/events?type=token_revoked").await;
        assert_eq!(events.len(), 1);
        assert_eq!(events[0]["data"], json!({"token": id, "name": "ci", "by": "admin"}));
        assert!(api.all_pages("/v1/tokens").await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_it_opened_ends() {
        let api = Api::new();
        let (id, text) = api.token(&json!({"name": "reader", "scopes": ["read"]})).await;
        let stream = api.get("/v1/events?after=latest").bearer(&text).with("accept", "text/event-stream");
        let mut stream = stream.open().await;
        assert!(stream.chunk().await.unwrap().starts_with(": events follow"));
        assert_eq!(stream.chunk().await.unwrap(), ": keep-alive\n\n");
        api.request("DELETE", &format!("/v1/tokens/{id}")).send().await.is(204);
        assert_eq!(stream.chunk().await, None, "not even that it was revoked is told");
    }
}
