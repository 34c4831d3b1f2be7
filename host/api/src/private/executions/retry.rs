//! `POST /v1/executions/{id}/retry`: tries an execution again.

use crate::{
    ApiState,
    error::Answer,
    request::{
        caller::Caller,
        path::{In, execution_id},
    },
    wire::{self, execution::ExecutionBody, location},
};
use axum::extract::State;
use http::{StatusCode, header};

/// Retry an execution
///
/// One that failed, expired or was cancelled gets one more attempt, with the revision and the input that it has. If
/// that fails too, the action's delivery rules say what comes next.
#[utoipa::path(
    post,
    path = "/v1/executions/{id}/retry",
    tag = "executions",
    params(("id" = String, Path, description = "The execution's id.")),
    responses(
        (status = 202, description = "It is in the queue again.", body = ExecutionBody,
            headers(("Location" = String, description = "Where to look for how it goes on."))),
        (status = 400, description = "The path makes no sense: `invalid_path`."),
        (status = 404, description = "There is no such execution: `execution_not_found`."),
        (status = 409, description = "It has not ended, or has succeeded; or somebody else retried it meanwhile: \
            `not_retryable`, `status_changed`."),
    )
)]
pub(super) async fn retry_execution(State(state): State<ApiState>, caller: Caller, In(id): In<String>) -> Answer {
    let id = execution_id(&id)?;
    caller.check_execution(&state, id).await?;
    let view = state.engine().retry_execution(id, caller.actor()).await?;
    let mut response = wire::json(StatusCode::ACCEPTED, &ExecutionBody::from(&view))?;
    response.headers_mut().insert(header::LOCATION, location(&format!("/v1/executions/{}", view.execution.id)));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use crate::{
        Scope,
        testing::{Api, tokens},
    };
    use serde_json::json;

    #[tokio::test]
    async fn a_dead_letter_gets_one_more_attempt() {
        let api = Api::new();
        api.action("fail", json!({"mode": "fail"})).await;
        let failed = api.execute("fail").await;
        let path = format!("/v1/executions/{}", failed["id"].as_str().unwrap());
        let retried = api.post(&format!("{path}/retry")).bearer(tokens(Scope::Invoke)).send().await;
        retried.is(202);
        assert_eq!((retried.header("location"), &retried.json()["status"]), (path.as_str(), &json!("waiting")));
        assert_eq!(retried.json()["ended_at"], json!(null));
        api.post(&format!("{path}/retry")).send().await.is_problem(409, "not_retryable");
        api.start().await;
        api.until(&path, |execution| execution["status"] == "failed" && execution["attempts"] == 2).await;
    }

    #[tokio::test]
    async fn only_what_has_ended_badly() {
        let api = Api::new();
        let missing = "/v1/executions/exe_01h455vb4pex5vsknk084sn02q/retry";
        api.post(missing).send().await.is_problem(404, "execution_not_found");
        api.protocol_and_action("a").await;
        let done = api.execute("a").await;
        let path = format!("/v1/executions/{}/retry", done["id"].as_str().unwrap());
        api.post(&path).send().await.is_problem(409, "not_retryable");
        api.post(&path).bearer(tokens(Scope::Configure)).send().await.is_problem(403, "scope_missing");
        let queued = api.post("/v1/actions/a/execute").with("prefer", "respond-async").body("x").send().await;
        let path = queued.header("location").to_owned();
        api.post(&format!("{path}/cancel")).send().await.is(200);
        let retried = api.post(&format!("{path}/retry")).send().await;
        retried.is(202);
        assert_eq!(retried.json()["status"], "queued");
    }
}
