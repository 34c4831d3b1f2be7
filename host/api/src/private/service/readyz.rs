//! `GET /readyz`: whether requests are welcome.

use crate::{
    ApiState, Phase,
    error::{Answer, Problem},
    wire::ok,
};
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

/// That the service is ready, and what somebody should look at all the same.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ready {
    /// `ready`.
    #[schema(example = "ready")]
    status: &'static str,
    /// `refused` where this process seals no more, because the chain of seals in the database is not the one that it
    /// knows: somebody removed or replaced seals, or the database is another one. Left out where all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "refused")]
    sealing: Option<&'static str>,
}

/// Are requests welcome
///
/// Whether the service has started, is not stopping, and its store answers. One that refuses to seal the log is ready, and
/// says so.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "service",
    responses(
        (status = 200, description = "They are.", body = Ready),
        (status = 503, description = "Not now: `starting`, `stopping`, `unavailable`."),
    )
)]
pub(crate) async fn readyz(State(state): State<ApiState>) -> Answer {
    let not_ready = |code, detail| Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail));
    match state.readiness().phase() {
        Phase::Starting => not_ready("starting", "the service is starting"),
        Phase::Stopping => not_ready("stopping", "the service is stopping"),
        Phase::Ready => {
            state.engine().reader().last_position().await?;
            let sealing = state.engine().refuses_to_seal().then_some("refused");
            ok(&Ready { status: "ready", sealing })
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Phase, testing::Api};

    #[tokio::test]
    async fn it_says_in_which_part_of_its_life_it_is() {
        let api = Api::new();
        let ready = || api.get("/readyz").bearer("").send();
        let answer = ready().await;
        assert_eq!(answer.json(), serde_json::json!({"status": "ready"}));
        api.readiness.set(Phase::Starting);
        ready().await.is_problem(503, "starting");
        api.readiness.set(Phase::Stopping);
        ready().await.is_problem(503, "stopping");
    }
}
