//! `POST /v1/events/prune`: removes what ended long ago.

use crate::{
    ApiState,
    error::Answer,
    request::{caller::Caller, json::Json},
    wire,
};
use action_domain::{repositories::Pruned, time::Timestamp};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is to be removed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PruneBody {
    /// Executions that ended before this time.
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T05:08:00Z")]
    before: Timestamp,
}

/// What was removed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PrunedBody {
    /// Executions.
    executions: u64,
    /// Events.
    events: u64,
    /// Payloads that were kept apart.
    payloads: u64,
}

/// Remove old executions with their events
///
/// The only way in which an event goes. Executions that ended before a time go with their events and with payloads that
/// nothing refers to any more; positions of what stays do not change. It is done in batches, each of which an
/// `events_pruned` event records: who follows those sees how far it is. When the caller goes away it stops behind a batch.
#[utoipa::path(
    post,
    path = "/v1/events/prune",
    tag = "events",
    request_body = PruneBody,
    responses(
        (status = 200, description = "What was removed.", body = PrunedBody),
        (status = 400, description = "The document cannot be read: `malformed_json`, `invalid_utf8`, \
            `duplicate_member`, `too_deep`."),
        (status = 409, description = "What is not sealed yet is sealed before it goes, and the chain of seals is another \
            key's: `audit_key_changed`; or has not the seals that this process knows: `chain_differs`; or the log is sealed, \
            and this process cannot sign what it removes: `sealing_off`."),
        (status = 422, description = "The document is not valid: `invalid_document`."),
    )
)]
pub(super) async fn prune_events(State(state): State<ApiState>, caller: Caller, Json(body): Json<PruneBody>) -> Answer {
    let pruned = state.engine().prune_events(body.before, caller.actor(), |_| {}).await?;
    let Pruned { executions, events, payloads, .. } = pruned;
    wire::ok(&PrunedBody { executions, events, payloads })
}

#[cfg(test)]
mod tests {
    use crate::{
        Scope,
        testing::{Api, tokens},
    };
    use serde_json::{Value, json};

    const PATH: &str = "/v1/events/prune";

    #[tokio::test]
    async fn what_ended_before_goes_and_what_stays_keeps_its_position() {
        let api = Api::new();
        api.protocol_and_action("a").await;
        let old = api.post("/v1/actions/a/execute").body(vec![b'x'; 70_000]).send().await.json();
        let queued = api.post("/v1/actions/a/execute").with("prefer", "respond-async").body("x").send().await.json();
        let new = api.execute("a").await;
        let before = api.all_pages("/v1/events").await;
        let pruned = api.post(PATH).json(&json!({"before": new["created_at"]})).send().await;
        pruned.is(200);
        assert_eq!(pruned.json(), json!({"executions": 1, "events": 3, "payloads": 1}));
        let old_path = format!("/v1/executions/{}", old["id"].as_str().unwrap());
        api.get(&old_path).send().await.is_problem(404, "execution_not_found");
        let mut after = api.all_pages("/v1/events").await;
        let told = after.pop().unwrap();
        assert_eq!((&told["type"], &told["data"]["executions"]), (&json!("events_pruned"), &json!(1)));
        let kept: Vec<Value> = before.into_iter().filter(|event| event["execution"] != old["id"]).collect();
        assert_eq!(after, kept);
        assert!(after.iter().any(|event| event["execution"] == queued["id"]), "what has not ended stays");
        let nothing = api.post(PATH).json(&json!({"before": new["created_at"]})).send().await;
        assert_eq!(nothing.json()["executions"], 0);
        assert_eq!(api.all_pages("/v1/events?type=events_pruned").await.len(), 1);
    }

    #[tokio::test]
    async fn only_an_admin_and_only_by_a_time() {
        let api = Api::new();
        for scope in [Scope::Configure, Scope::Invoke, Scope::Read] {
            let refused = api.post(PATH).bearer(tokens(scope)).json(&json!({"before": "2026-11-23T05:08:00Z"}));
            refused.send().await.is_problem(403, "scope_missing");
        }
        for (body, pointer) in [(json!({}), "/before"), (json!({"before": "30d"}), "/before")] {
            let refused = api.post(PATH).json(&body).send().await;
            refused.is_problem(422, "invalid_document");
            assert_eq!(refused.json()["errors"][0]["pointer"], pointer);
        }
    }
}
