//! `GET /v1/executions/{id}`: an execution with its output.

use crate::{
    ApiState,
    error::{Answer, Problem},
    request::{
        caller::Caller,
        path::{In, execution_id},
    },
    wire::{execution::ExecutionBody, ok},
};
use axum::extract::State;

/// Get an execution
#[utoipa::path(
    get,
    path = "/v1/executions/{id}",
    tag = "executions",
    params(("id" = String, Path, description = "The execution's id.")),
    responses(
        (status = 200, description = "The execution as it stands.", body = ExecutionBody),
        (status = 400, description = "The path makes no sense: `invalid_path`."),
        (status = 404, description = "There is no such execution: `execution_not_found`."),
    )
)]
pub(crate) async fn get_execution(State(state): State<ApiState>, caller: Caller, In(id): In<String>) -> Answer {
    let view = state.engine().execution(execution_id(&id)?).await?;
    if !caller.reaches(view.execution.action) {
        return Err(Problem::not_found("execution"));
    }
    ok(&ExecutionBody::from(&view))
}

#[cfg(test)]
mod tests {
    use crate::{
        Scope,
        testing::{Api, tokens},
    };

    #[tokio::test]
    async fn the_same_as_execute_answered() {
        let api = Api::new();
        api.protocol_and_action("a").await;
        let ran = api.execute("a").await;
        let path = format!("/v1/executions/{}", ran["id"].as_str().unwrap());
        for scope in [Scope::Read, Scope::Invoke] {
            let shown = api.get(&path).bearer(tokens(scope)).send().await;
            shown.is(200);
            assert_eq!(shown.json(), ran);
        }
        api.get(&path).bearer(tokens(Scope::Configure)).send().await.is_problem(403, "scope_missing");
        for missing in ["exe_01h455vb4pex5vsknk084sn02q", "act_01h455vb4pex5vsknk084sn02q", "x"] {
            let missing = api.get(&format!("/v1/executions/{missing}")).send().await;
            missing.is_problem(404, "execution_not_found");
        }
    }
}
