//! `POST /v1/executions/{id}/resolve`: says what became of an execution in doubt.

use crate::{
    ApiState,
    error::Answer,
    request::{
        caller::Caller,
        json::Json,
        path::{In, execution_id},
    },
    wire::{execution::ExecutionBody, ok},
};
use action_engine::Resolution;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

/// What became of an execution in doubt.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ResolveBody {
    /// What became of it.
    r#as: ResolveAs,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ResolveAs {
    /// It took effect.
    Succeeded,
    /// It did not, and is given up.
    Failed,
    /// It did not, and is tried again.
    Retry,
}

/// Resolve an execution in doubt
#[utoipa::path(
    post,
    path = "/v1/executions/{id}/resolve",
    tag = "executions",
    params(("id" = String, Path, description = "The execution's id.")),
    request_body = ResolveBody,
    responses(
        (status = 200, description = "The execution as it stands now.", body = ExecutionBody),
        (status = 400, description = "The path or the document cannot be read: `invalid_path`, `malformed_json`, \
            `invalid_utf8`, `duplicate_member`, `too_deep`."),
        (status = 404, description = "There is no such execution: `execution_not_found`."),
        (status = 409, description = "It is not in doubt (any more): `not_in_doubt`, `status_changed`."),
        (status = 422, description = "The document is not valid: `invalid_document`."),
    )
)]
pub(super) async fn resolve_execution(
    State(state): State<ApiState>,
    caller: Caller,
    In(id): In<String>,
    Json(body): Json<ResolveBody>,
) -> Answer {
    let resolution = match body.r#as {
        ResolveAs::Succeeded => Resolution::Succeeded,
        ResolveAs::Failed => Resolution::Failed,
        ResolveAs::Retry => Resolution::Retry,
    };
    let id = execution_id(&id)?;
    caller.check_execution(&state, id).await?;
    let view = state.engine().resolve_execution(id, resolution, caller.actor()).await?;
    ok(&ExecutionBody::from(&view))
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;
    use serde_json::json;

    #[tokio::test]
    async fn somebody_decides() {
        let api = Api::new();
        api.action("doubt", json!({"mode": "doubt"})).await;
        for (word, status) in [("succeeded", "succeeded"), ("failed", "failed"), ("retry", "waiting")] {
            let held = api.post("/v1/actions/doubt/execute").body("x").send().await;
            held.is(202);
            assert_eq!(held.json()["status"], "in_doubt");
            let path = format!("{}/resolve", held.header("location"));
            let resolved = api.post(&path).json(&json!({"as": word})).send().await;
            resolved.is(200);
            assert_eq!(resolved.json()["status"], status);
            api.post(&path).json(&json!({"as": word})).send().await.is_problem(409, "not_in_doubt");
        }
    }

    #[tokio::test]
    async fn with_a_word_that_is_known() {
        let api = Api::new();
        let path = "/v1/executions/exe_01h455vb4pex5vsknk084sn02q/resolve";
        let unknown = api.post(path).json(&json!({"as": "maybe"})).send().await;
        unknown.is_problem(422, "invalid_document");
        assert_eq!(unknown.json()["errors"][0]["pointer"], "/as");
        api.post(path).json(&json!({"as": "failed"})).send().await.is_problem(404, "execution_not_found");
    }
}
