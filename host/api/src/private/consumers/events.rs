//! `GET /v1/consumers/{name}/events`: what a consumer has not acknowledged.

use super::name_of;
use crate::{
    ApiState,
    error::Answer,
    guard::token_invalid,
    request::{caller::Caller, path::In, query::Query},
    wire::{consumer::ConsumedEvents, event::EventBody, ok},
};
use action_domain::limits::WAIT_MAX;
use axum::extract::State;
use std::time::Duration;

/// Read a consumer's events
///
/// Those behind what it acknowledged, by position. The same ones come again until they are
/// acknowledged. With `wait` the answer comes with the first one, or when that time is over.
#[utoipa::path(
    get,
    path = "/v1/consumers/{name}/events",
    tag = "consumers",
    params(
        ("name" = String, Path, description = "The consumer's name."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500, description = "Most events of the answer: 1 to 500, 50 where left out."),
        ("wait" = Option<u32>, Query, minimum = 0, maximum = 30, description = "Seconds to wait for an event: 0 to 30, 0 where left out."),
    ),
    responses(
        (status = 200, description = "The events, or none.", body = ConsumedEvents),
        (status = 400, description = "The path or the query makes no sense: `invalid_path`, `invalid_query`."),
        (status = 404, description = "There is no such consumer: `consumer_not_found`."),
    )
)]
pub(super) async fn get_consumer_events(
    State(state): State<ApiState>,
    caller: Caller,
    In(name): In<String>,
    mut query: Query,
) -> Answer {
    let limit = query.limit()?;
    let seconds = |text: &str| text.parse().ok().map(Duration::from_secs).filter(|wait| *wait <= WAIT_MAX);
    let wait = query.parsed("wait", "a number of seconds, 0 to 30", seconds)?.unwrap_or_default();
    query.finish()?;
    let events = state.engine().consume(&name_of(&name)?, limit, wait).await?;
    // A token is worth nothing from its revocation on, and that may have been during the wait.
    if !wait.is_zero() && !caller.is_known(&state).await? {
        return Err(token_invalid());
    }
    let position = events.last().map(|event| event.position);
    ok(&ConsumedEvents { items: events.iter().map(EventBody::from).collect(), position })
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;
    use serde_json::json;
    use std::pin::pin;

    #[tokio::test]
    async fn who_waits_with_a_token_that_is_revoked_meanwhile_is_told_nothing() {
        let api = Api::new();
        let (id, token) = api.token(&json!({"name": "t", "scopes": ["read"]})).await;
        let made = api.request("PUT", "/v1/consumers/all").json(&json!({})).send().await;
        let position = api.all_pages("/v1/events").await.last().unwrap()["position"].clone();
        made.is(201);
        api.post("/v1/consumers/all/ack").json(&json!({"position": position})).send().await.is(200);
        let mut waits = pin!(api.get("/v1/consumers/all/events?wait=30").bearer(&token).send());
        // The revocation is the event that ends the wait.
        for _ in 0..10 {
            assert!(futures_util::poll!(&mut waits).is_pending());
            tokio::task::yield_now().await;
        }
        api.request("DELETE", &format!("/v1/tokens/{id}")).send().await.is(204);
        waits.await.is_problem(401, "token_invalid");
        let others = api.get("/v1/consumers/all/events?wait=30").send().await;
        assert_eq!(others.json()["items"][0]["type"], "token_revoked");
    }
}
