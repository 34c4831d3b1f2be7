//! `GET /v1/actions/{id}/schedule`: when an action fires by itself.

use crate::{
    ApiState,
    error::Answer,
    request::{caller::Caller, path::In},
    wire::{ok, schedule::ScheduleBody},
};
use action_engine::EngineError;
use axum::extract::State;

/// Tell when an action fires
///
/// The next ten times of each of its schedules. The first is the one that is waited for.
#[utoipa::path(
    get,
    path = "/v1/actions/{id}/schedule",
    tag = "actions",
    params(("id" = String, Path, description = "The action's id or name.")),
    responses(
        (status = 200, description = "Its schedules; none of a disabled action.", body = ScheduleBody),
        (status = 400, description = "The path makes no sense: `invalid_path`."),
        (status = 404, description = "There is no such action: `action_not_found`."),
    )
)]
pub(super) async fn get_action_schedule(State(state): State<ApiState>, caller: Caller, In(id): In<String>) -> Answer {
    let action = state.engine().action(&caller.action(&state, &id).await?).await?;
    let standings = state.engine().reader().triggers_of(action.id).await.map_err(EngineError::from)?;
    ok(&ScheduleBody::of(&action, &standings))
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;
    use serde_json::json;

    #[tokio::test]
    async fn the_next_ten_of_each() {
        let api = Api::new();
        api.upload("echo 0.1.0").await.is(201);
        let triggers = json!([
            {"type": "schedule", "cron": "0 9 * * MON", "timezone": "Europe/Berlin"},
            {"type": "call"},
            {"type": "schedule", "every_ms": 60_000, "end": "2001-01-01T00:00:00Z"},
            {"type": "schedule", "every_ms": 1000},
        ]);
        let body =
            json!({"name": "a", "protocol": "echo", "config": {"url": "https://api.test/x"}, "triggers": triggers});
        api.post("/v1/actions").json(&body).send().await.is(201);
        let told = api.get("/v1/actions/a/schedule").send().await.json();
        assert_eq!(told["items"][0]["trigger"], 0);
        let times = told["items"][0]["next"].as_array().unwrap();
        assert_eq!(times.len(), 10);
        assert!(times.iter().all(|time| time.as_str().unwrap().contains(":00:00")));
        assert_eq!(told["items"][1], json!({"trigger": 2, "next": []}));
        // Time has gone on since it was saved, and nobody has fired it: what is told is what is waited for.
        let action = api.get("/v1/actions/a").send().await.json()["id"].as_str().unwrap().parse().unwrap();
        let waits = api.engine.reader().triggers_of(action).await.unwrap()[2].due_at;
        assert_eq!(told["items"][2]["next"][0], json!(waits));
        assert_eq!(told["items"][2]["next"].as_array().unwrap().len(), 10);
    }
}
