//! `POST /v1/protocols/{name}/{version}/validate-config`: asks a protocol about a config.

use crate::{
    ApiState,
    error::Answer,
    request::{
        json::Json,
        path::{In, pin},
    },
    wire::config::{self, AcceptedBody, ConfigBody},
};
use axum::extract::State;

/// Validate a config
///
/// By the protocol's schema, then by the protocol itself. What is wrong comes back as a problem,
/// the same as when an action is saved.
#[utoipa::path(
    post,
    path = "/v1/protocols/{name}/{version}/validate-config",
    tag = "protocols",
    params(
        ("name" = String, Path, description = "The protocol's name."),
        ("version" = String, Path, description = "Its version."),
    ),
    request_body = ConfigBody,
    responses(
        (status = 200, description = "The protocol accepts the config.", body = AcceptedBody),
        (status = 400, description = "The path or the document cannot be read: `invalid_path`, `malformed_json`, \
            `invalid_utf8`, `duplicate_member`, `too_deep`."),
        (status = 404, description = "There is no such protocol: `protocol_not_found`."),
        (status = 422, description = "The config is not valid, for all of `errors`: `invalid_document`; or the \
            component ended badly: `component_broken`."),
    )
)]
pub(super) async fn validate_config(
    State(state): State<ApiState>,
    In(path): In<(String, String)>,
    Json(body): Json<ConfigBody>,
) -> Answer {
    let accepted = state.engine().validate_config(&pin(path)?, &body.config).await?;
    config::answer(&accepted)
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;
    use serde_json::json;

    #[tokio::test]
    async fn by_schema_and_by_component() {
        let api = Api::new();
        api.upload("echo 0.1.0").await.is(201);
        let validate = |body| api.post("/v1/protocols/echo/0.1.0/validate-config").json(&body).send();

        let accepted = validate(json!({"config": {"mode": "json"}})).await;
        accepted.is(200);
        assert_eq!(accepted.json(), json!({"valid": true, "effect": "read", "warnings": []}));

        let by_schema = validate(json!({"config": {"mode": 7}})).await;
        by_schema.is_problem(422, "invalid_document");
        assert_eq!(by_schema.json()["errors"][0]["pointer"], "/config/mode");

        let by_component = validate(json!({"config": {"mode": "refused"}})).await;
        by_component.is_problem(422, "invalid_document");
        assert_eq!(by_component.json()["errors"][0]["pointer"], "/config/mode");
        assert_eq!(by_component.json()["errors"][0]["code"], "bad_mode");

        let no_config = validate(json!({})).await;
        no_config.is_problem(422, "invalid_document");
        let unknown = validate(json!({"config": {}, "confg": 1})).await;
        unknown.is_problem(422, "invalid_document");
        assert_eq!(unknown.json()["errors"][0]["pointer"], "/confg");
    }

    #[tokio::test]
    async fn of_a_protocol_that_is_there() {
        let api = Api::new();
        let missing = api.post("/v1/protocols/echo/0.1.0/validate-config").json(&json!({"config": {}})).send().await;
        missing.is_problem(404, "protocol_not_found");
    }
}
