//! `POST /v1/executions/{id}/cancel`: stops an execution.

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

/// Cancel an execution
///
/// What waits is stopped at once, what runs within a moment. One that has failed is dismissed: nobody retries it any
/// more, and what waits behind it by its ordering key goes on. What an attempt has done outside stays done.
#[utoipa::path(
    post,
    path = "/v1/executions/{id}/cancel",
    tag = "executions",
    params(("id" = String, Path, description = "The execution's id.")),
    responses(
        (status = 200, description = "It has ended. Its `status` is `cancelled`, or what it came to before it could \
            be stopped.", body = ExecutionBody),
        (status = 202, description = "Its worker was told and has not stopped it yet.", body = ExecutionBody,
            headers(("Location" = String, description = "Where to look for its end."))),
        (status = 400, description = "The path makes no sense: `invalid_path`."),
        (status = 404, description = "There is no such execution: `execution_not_found`."),
        (status = 409, description = "It has ended already, or moves on faster than it can be stopped: \
            `already_ended`, `status_changed`."),
    )
)]
pub(super) async fn cancel_execution(State(state): State<ApiState>, caller: Caller, In(id): In<String>) -> Answer {
    let id = execution_id(&id)?;
    caller.check_execution(&state, id).await?;
    let view = state.engine().cancel_execution(id, caller.actor()).await?;
    if view.execution.status.is_terminal() {
        return wire::ok(&ExecutionBody::from(&view));
    }
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
    async fn what_is_queued_never_begins() {
        let api = Api::new();
        api.protocol_and_action("a").await;
        let queued = api.post("/v1/actions/a/execute").with("prefer", "respond-async").body("x").send().await;
        let path = format!("{}/cancel", queued.header("location"));
        let cancelled = api.post(&path).bearer(tokens(Scope::Invoke)).send().await;
        cancelled.is(200);
        assert_eq!((&cancelled.json()["status"], &cancelled.json()["attempts"]), (&json!("cancelled"), &json!(0)));
        assert_eq!(cancelled.json()["error"]["code"], "cancelled");
        api.post(&path).send().await.is_problem(409, "already_ended");
        let events = api.all_pages(&format!("{}/events", queued.header("location"))).await;
        assert_eq!(events.last().unwrap()["type"], "execution_cancelled");
        assert!(events.iter().all(|event| event["type"] != "action_executed"));
    }

    #[tokio::test]
    async fn what_runs_is_stopped_and_its_caller_told() {
        let api = Api::new();
        api.action("slow", json!({"mode": "slow"})).await;
        let caller = api.post("/v1/actions/slow/execute").body("x");
        let caller = tokio::spawn(async move { caller.send().await });
        api.until("/v1/executions", |page| page["items"][0]["status"] == "running").await;
        let running = api.get("/v1/executions").send().await.json()["items"][0].clone();
        assert!(running.get("cancel_requested").is_none());
        let path = format!("/v1/executions/{}/cancel", running["id"].as_str().unwrap());
        let cancelled = api.post(&path).send().await;
        cancelled.is(200);
        assert_eq!((&cancelled.json()["status"], &cancelled.json()["attempts"]), (&json!("cancelled"), &json!(1)));
        let told = caller.await.unwrap();
        told.is(200);
        assert_eq!(told.json()["status"], "cancelled");
    }

    #[tokio::test]
    async fn only_what_is_there() {
        let api = Api::new();
        let path = "/v1/executions/exe_01h455vb4pex5vsknk084sn02q/cancel";
        api.post(path).send().await.is_problem(404, "execution_not_found");
        api.post(path).bearer(tokens(Scope::Read)).send().await.is_problem(403, "scope_missing");
        api.protocol_and_action("a").await;
        let done = api.execute("a").await;
        let path = format!("/v1/executions/{}/cancel", done["id"].as_str().unwrap());
        api.post(&path).send().await.is_problem(409, "already_ended");
    }
}
