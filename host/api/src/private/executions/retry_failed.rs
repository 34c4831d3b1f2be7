//! `POST /v1/executions/retry`: tries dead letters again, by filter.

use crate::{
    ApiState,
    error::{Answer, Problem},
    request::{caller::Caller, json::Json, path::parse_action_key},
    wire,
};
use action_domain::{
    failure::{ErrorCode, Issue},
    repositories::ActionKey,
    time::Timestamp,
};
use action_engine::DeadLetters;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which failed executions. All conditions hold.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RetryFilter {
    /// Of this action, by id or name.
    #[serde(default)]
    action: Option<String>,
    /// Created at or after this time.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Created before this time.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// With this error code.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "worker_lost")]
    error_code: Option<ErrorCode>,
    /// At most this many.
    #[serde(default = "limit_default")]
    #[schema(minimum = 1, maximum = 10_000)]
    limit: u32,
}

const fn limit_default() -> u32 {
    1000
}

/// What became of a retry by filter.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RetriedBody {
    /// Executions that are in the queue again.
    retried: u32,
    /// Whether there may be more that match.
    more: bool,
}

/// Retry failed executions
///
/// Each that matches gets one more attempt, the newest first. `{}` matches all; list them with `GET
/// /v1/executions?status=failed`.
#[utoipa::path(
    post,
    path = "/v1/executions/retry",
    tag = "executions",
    request_body = RetryFilter,
    responses(
        (status = 202, description = "So many are in the queue again.", body = RetriedBody),
        (status = 400, description = "The document cannot be read: `malformed_json`, `invalid_utf8`, \
            `duplicate_member`, `too_deep`."),
        (status = 404, description = "There is no action with this name: `action_not_found`."),
        (status = 422, description = "The document is not valid: `invalid_document`."),
    )
)]
pub(super) async fn retry_executions(
    State(state): State<ApiState>,
    caller: Caller,
    Json(filter): Json<RetryFilter>,
) -> Answer {
    let action = match filter.action.as_deref().map(parse_action_key) {
        None => None,
        Some(Some(ActionKey::Id(id))) => Some(id),
        Some(Some(key @ ActionKey::Name(_))) => {
            let id = state.engine().action(&key).await?.id;
            if !caller.reaches(id) {
                return Err(Problem::not_found("action"));
            }
            Some(id)
        }
        Some(None) => {
            let issue = Issue::new("/action", "invalid", "an action's id or name is needed");
            return Err(Problem::invalid_document(vec![issue]));
        }
    };
    let mut which = DeadLetters {
        action,
        since: filter.since,
        until: filter.until,
        error_code: filter.error_code.map(|code| code.as_str().to_owned()),
        limit: filter.limit,
    };
    let actions = caller.wanted(action).map_or_else(|| vec![action], |own| own.into_iter().map(Some).collect());
    let mut done = RetriedBody { retried: 0, more: false };
    for action in actions {
        which.action = action;
        let retried = state.engine().retry_dead_letters(&which, caller.actor()).await?;
        done.retried += retried.retried;
        done.more |= retried.more;
        which.limit -= retried.retried;
    }
    wire::json(StatusCode::ACCEPTED, &done)
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;
    use serde_json::json;

    const PATH: &str = "/v1/executions/retry";

    #[tokio::test]
    async fn dead_letters_that_match_are_tried_again() {
        let api = Api::new();
        api.action("fail", json!({"mode": "fail"})).await;
        let other = api.action("fail-too", json!({"mode": "fail"})).await;
        api.protocol_and_action("a").await;
        let first = api.execute("fail").await;
        for action in ["fail", "fail", "fail-too", "a"] {
            api.execute(action).await;
        }
        let retry = async |filter| {
            let retried = api.post(PATH).json(&filter).send().await;
            retried.is(202);
            (retried.json()["retried"].as_u64().unwrap(), retried.json()["more"].as_bool().unwrap())
        };
        assert_eq!(retry(json!({"error_code": "trapped"})).await, (0, false));
        assert_eq!(retry(json!({"until": first["created_at"]})).await, (0, false));
        assert_eq!(retry(json!({"action": "fail", "limit": 2, "error_code": "protocol_failed"})).await, (2, true));
        assert_eq!(retry(json!({"action": "fail"})).await, (1, false));
        assert_eq!(retry(json!({"action": other, "since": first["created_at"]})).await, (1, false));
        assert_eq!(retry(json!({})).await, (0, false));
        assert_eq!(api.all_pages("/v1/executions?status=waiting").await.len(), 4);
    }

    #[tokio::test]
    async fn a_filter_that_makes_no_sense_is_refused() {
        let api = Api::new();
        api.post(PATH).json(&json!({"action": "nobody"})).send().await.is_problem(404, "action_not_found");
        for (member, value) in [
            ("action", json!("NO NAME")),
            ("since", json!("yesterday")),
            ("error_code", json!("tired")),
            ("limit", json!(0)),
            ("limit", json!(10_001)),
            ("status", json!("failed")),
        ] {
            let refused = api.post(PATH).json(&json!({member: value})).send().await;
            refused.is_problem(422, "invalid_document");
            assert_eq!(refused.json()["errors"][0]["pointer"], format!("/{member}"), "{}", refused.json());
        }
        api.post(PATH).send().await.is_problem(415, "unsupported_media_type");
    }
}
