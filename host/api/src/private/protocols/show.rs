//! `GET /v1/protocols/{name}/{version}`: what a protocol says of itself.

use crate::{
    ApiState,
    error::Answer,
    request::path::{In, pin},
    wire::{ok, protocol::ProtocolBody},
};
use axum::extract::State;

/// Get a protocol
#[utoipa::path(
    get,
    path = "/v1/protocols/{name}/{version}",
    tag = "protocols",
    params(
        ("name" = String, Path, description = "The protocol's name."),
        ("version" = String, Path, description = "Its version."),
    ),
    responses(
        (status = 200, description = "The protocol.", body = ProtocolBody),
        (status = 400, description = "The path makes no sense: `invalid_path`."),
        (status = 404, description = "There is no such protocol: `protocol_not_found`."),
    )
)]
pub(super) async fn get_protocol(State(state): State<ApiState>, In(path): In<(String, String)>) -> Answer {
    let protocol = state.engine().protocol(&pin(path)?).await?;
    ok(&ProtocolBody::from(&*protocol))
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;

    #[tokio::test]
    async fn with_its_schema_and_documentation() {
        let api = Api::new();
        api.upload("echo 0.1.0").await.is(201);
        let protocol = api.get("/v1/protocols/echo/0.1.0").send().await;
        protocol.is(200);
        for member in ["digest", "documentation", "config_schema", "input_schema", "examples", "imports", "uploaded_at"]
        {
            assert!(protocol.json().get(member).is_some(), "{member}");
        }
        for path in ["echo/0.2.0", "other/0.1.0", "echo/latest", "ECHO/0.1.0"] {
            let missing = api.get(&format!("/v1/protocols/{path}")).send().await;
            missing.is_problem(404, "protocol_not_found");
        }
    }
}
