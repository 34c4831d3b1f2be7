//! `GET /v1/executions`: executions, without their outputs.

use crate::{
    ApiState,
    error::Answer,
    request::{caller::Caller, query::Query},
    wire::{execution::Head, page},
};
use action_domain::{execution::Status, repositories::ExecutionFilter, time::Timestamp};
use axum::extract::State;

/// List executions
///
/// The newest first, without their outputs. All conditions hold.
#[utoipa::path(
    get,
    path = "/v1/executions",
    tag = "executions",
    params(
        ("action" = Option<String>, Query, description = "Of this action, by id or name."),
        ("status" = Option<String>, Query, description = "`queued`, `running`, `waiting`, `in_doubt`, `succeeded`, \
            `failed`, `cancelled` or `expired`."),
        ("since" = Option<String>, Query, description = "Created at or after this time (RFC 3339)."),
        ("until" = Option<String>, Query, description = "Created before this time (RFC 3339)."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500, description = "Most items of the page: 1 to 500, 50 where left out."),
        ("after" = Option<String>, Query, description = "`next` of the page before."),
    ),
    responses(
        (status = 200, description = "A page.", body = page::Page<Head>),
        (status = 400, description = "The query makes no sense: `invalid_query`, `invalid_cursor`."),
        (status = 404, description = "There is no action with this name: `action_not_found`."),
    )
)]
pub(super) async fn list_executions(State(state): State<ApiState>, caller: Caller, mut query: Query) -> Answer {
    let (limit, page) = query.page()?;
    let time = |text: &str| text.parse::<Timestamp>().ok();
    let filter = ExecutionFilter {
        action: query.action(&state, &caller).await?,
        status: query.parsed("status", "the status of an execution", Status::from_word)?,
        since: query.parsed("since", "an RFC 3339 time such as 2026-11-23T05:08:00Z", time)?,
        until: query.parsed("until", "an RFC 3339 time such as 2026-11-23T05:08:00Z", time)?,
    };
    query.finish()?;
    let mut executions = caller.executions(&state, &filter, page).await?;
    page::answer(&mut executions, limit, |execution| execution.id, Head::from)
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;
    use serde_json::json;

    #[tokio::test]
    async fn the_newest_first_and_by_condition() {
        let api = Api::new();
        let id = api.protocol_and_action("a").await;
        api.action("fail", json!({"mode": "fail"})).await;
        let first = api.execute("a").await;
        let failed = api.execute("fail").await;
        let last = api.execute("a").await;
        let ids = |list: &[&serde_json::Value]| list.iter().map(|e| e["id"].clone()).collect::<Vec<_>>();
        let (first_at, last_at) = (first["created_at"].as_str().unwrap(), last["created_at"].as_str().unwrap());
        for (query, expected) in [
            (String::new(), ids(&[&last, &failed, &first])),
            (format!("action={id}"), ids(&[&last, &first])),
            ("action=a".to_owned(), ids(&[&last, &first])),
            ("status=failed".to_owned(), ids(&[&failed])),
            (format!("since={last_at}"), ids(&[&last])),
            (format!("until={last_at}"), ids(&[&failed, &first])),
            (format!("until={first_at}"), vec![]),
        ] {
            let items = api.all_pages(&format!("/v1/executions?limit=1&{query}")).await;
            assert_eq!(items.iter().map(|item| item["id"].clone()).collect::<Vec<_>>(), expected, "{query}");
            assert!(items.iter().all(|item| item.get("output").is_none()));
        }
        api.get("/v1/executions?action=nobody").send().await.is_problem(404, "action_not_found");
        for query in ["status=done", "since=yesterday", "action=A", "state=failed"] {
            api.get(&format!("/v1/executions?{query}")).send().await.is_problem(400, "invalid_query");
        }
    }
}
