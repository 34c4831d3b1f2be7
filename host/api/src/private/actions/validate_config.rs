//! `POST /v1/actions/{id}/validate-config`: asks an action's protocol about a config.

use crate::{
    ApiState,
    error::Answer,
    request::{caller::Caller, json::OptionalJson, path::In},
    wire::config::{self, AcceptedBody, OptionalConfigBody},
};
use axum::extract::State;

/// Validate an action's config
///
/// The config that the action has, or another one for it before it is saved.
#[utoipa::path(
    post,
    path = "/v1/actions/{id}/validate-config",
    tag = "actions",
    params(("id" = String, Path, description = "The action's id or name.")),
    request_body(content = Option<OptionalConfigBody>, description = "May be left out."),
    responses(
        (status = 200, description = "The protocol accepts the config.", body = AcceptedBody),
        (status = 400, description = "The path or the document cannot be read: `invalid_path`, `malformed_json`, \
            `invalid_utf8`, `duplicate_member`, `too_deep`."),
        (status = 404, description = "There is no such action: `action_not_found`."),
        (status = 422, description = "The config is not valid, for all of `errors`: `invalid_document`; or the \
            component ended badly: `component_broken`."),
    )
)]
pub(super) async fn validate_action_config(
    State(state): State<ApiState>,
    caller: Caller,
    In(id): In<String>,
    OptionalJson(body): OptionalJson<OptionalConfigBody>,
) -> Answer {
    let action = state.engine().action(&caller.action(&state, &id).await?).await?;
    let config = body.config.as_ref().unwrap_or(&action.spec.config);
    let accepted = state.engine().validate_config(&action.protocol, config).await?;
    config::answer(&accepted)
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;
    use serde_json::json;

    #[tokio::test]
    async fn its_own_config_or_another() {
        let api = Api::new();
        api.protocol_and_action("a").await;
        let validate = || api.post("/v1/actions/a/validate-config");
        validate().send().await.is(200);
        validate().json(&json!({})).send().await.is(200);
        validate().json(&json!(null)).send().await.is(200);
        let warned = validate().json(&json!({"config": {"mode": "warn"}})).send().await;
        assert_eq!(warned.json()["warnings"][0]["pointer"], "/config/mode");
        let refused = validate().json(&json!({"config": {"mode": 1}})).send().await;
        refused.is_problem(422, "invalid_document");
        api.post("/v1/actions/b/validate-config").send().await.is_problem(404, "action_not_found");
    }
}
