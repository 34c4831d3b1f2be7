//! `DELETE /v1/protocols/{name}/{version}`: takes a protocol away that nothing uses.

use crate::{
    ApiState,
    error::Answer,
    request::{
        caller::Caller,
        path::{In, pin},
    },
};
use axum::extract::State;
use http::StatusCode;

/// Delete a protocol
#[utoipa::path(
    delete,
    path = "/v1/protocols/{name}/{version}",
    tag = "protocols",
    params(
        ("name" = String, Path, description = "The protocol's name."),
        ("version" = String, Path, description = "Its version."),
    ),
    responses(
        (status = 204, description = "It is gone."),
        (status = 400, description = "The path makes no sense: `invalid_path`."),
        (status = 404, description = "There is no such protocol: `protocol_not_found`."),
        (status = 409, description = "An action or an execution still needs it: `in_use`."),
    )
)]
pub(super) async fn delete_protocol(
    State(state): State<ApiState>,
    caller: Caller,
    In(path): In<(String, String)>,
) -> Answer<StatusCode> {
    state.engine().remove_protocol(&pin(path)?, caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;

    #[tokio::test]
    async fn only_when_nothing_uses_it() {
        let api = Api::new();
        let id = api.protocol_and_action("a").await;
        let path = "/v1/protocols/echo/0.1.0";
        api.request("DELETE", path).send().await.is_problem(409, "in_use");
        api.request("DELETE", &format!("/v1/actions/{id}")).send().await.is(204);
        let gone = api.request("DELETE", path).send().await;
        gone.is(204);
        assert!(gone.bytes.is_empty());
        api.request("DELETE", path).send().await.is_problem(404, "protocol_not_found");
    }
}
