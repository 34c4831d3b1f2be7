//! `POST /v1/actions/{id}/plan`: shows what an action would do.

use crate::{
    ApiState,
    error::Answer,
    request::{body, caller::Caller, headers::content_type, path::In},
    wire::{ok, plan::PlanBody},
};
use action_domain::{limits::INPUT_BYTES_MAX, payload::Payload};
use axum::extract::{Request, State};

/// Plan an execution
///
/// Runs the action with this input and a host that sends nothing and keeps nothing, and tells
/// which requests it would have made. Each of them is answered as if nobody could be reached, so
/// what would depend on an answer is not seen. Nothing is recorded.
#[utoipa::path(
    post,
    path = "/v1/actions/{id}/plan",
    tag = "actions",
    params(("id" = String, Path, description = "The action's id or name.")),
    request_body(
        content(
            (Value = "application/json"),
            (Vec<u8> = "application/octet-stream"),
            (Vec<u8> = "*/*"),
        ),
        description = "The input, at most 16 MiB, of any media type. What is said to be JSON has to be JSON.",
    ),
    responses(
        (status = 200, description = "What it would do.", body = PlanBody),
        (status = 400, description = "The path, a header or the body makes no sense: `invalid_path`, \
            `invalid_content_type`, `malformed_json`, `body_broken`."),
        (status = 404, description = "There is no such action: `action_not_found`."),
        (status = 408, description = "The body did not come in time: `body_timeout`."),
        (status = 413, description = "More than 16 MiB: `body_too_large`."),
        (status = 415, description = "The body has a Content-Encoding: `unsupported_media_type`."),
        (status = 422, description = "The input does not fit the protocol's schema, for all of `errors`: \
            `invalid_input`."),
    )
)]
pub(super) async fn plan_action(State(state): State<ApiState>, In(id): In<String>, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let action = Caller::of(&parts)?.action(&state, &id).await?;
    let content_type = content_type(&parts.headers)?;
    let taken = body::take(&state, &parts, body, INPUT_BYTES_MAX).await?;
    let input = Payload { content_type, data: taken.bytes };
    match state.engine().plan_action(&action, input).await {
        Ok(planned) => ok(&PlanBody::from(planned)),
        Err(error) => Err(super::execute::problem(error)),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;

    #[tokio::test]
    async fn nothing_is_recorded() {
        let api = Api::new();
        api.protocol_and_action("a").await;
        let before = api.get("/v1/events?after=latest").send().await.json()["next"].clone();
        let plan = api.post("/v1/actions/a/plan").body("x").send().await;
        plan.is(200);
        assert_eq!(plan.json()["output"]["base64"], "eA==");
        assert_eq!(api.get("/v1/events?after=latest").send().await.json()["next"], before);
        api.post("/v1/actions/b/plan").send().await.is_problem(404, "action_not_found");
        let broken = api.post("/v1/actions/a/plan").content_type("application/json").body("{").send().await;
        broken.is_problem(400, "malformed_json");
    }
}
