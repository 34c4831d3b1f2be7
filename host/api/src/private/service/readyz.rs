//! `GET /readyz`: whether requests are welcome.

use super::healthz::Health;
use crate::{
    ApiState, Phase,
    error::{Answer, Problem},
    wire::ok,
};
use axum::extract::State;
use http::StatusCode;

/// Are requests welcome
///
/// Whether the service has started, is not stopping, and its store answers.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "service",
    responses(
        (status = 200, description = "They are.", body = Health),
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
            ok(&Health { status: "ready" })
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
        ready().await.is(200);
        api.readiness.set(Phase::Starting);
        ready().await.is_problem(503, "starting");
        api.readiness.set(Phase::Stopping);
        ready().await.is_problem(503, "stopping");
    }
}
