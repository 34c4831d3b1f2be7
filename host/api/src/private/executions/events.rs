//! `GET /v1/executions/{id}/events`: what happened in an execution.

use crate::{
    ApiState,
    error::Answer,
    private::events::list,
    request::{
        caller::Caller,
        path::{In, execution_id},
        query::Query,
    },
    wire::{event::EventBody, page::Page},
};
use action_domain::repositories::EventFilter;
use axum::extract::State;
use http::HeaderMap;

/// List an execution's events
///
/// In their order.
#[utoipa::path(
    get,
    path = "/v1/executions/{id}/events",
    tag = "executions",
    params(
        ("id" = String, Path, description = "The execution's id."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500, description = "Most items of the page: 1 to 500, 50 where left out. A page of \
            large events may have fewer."),
        ("after" = Option<String>, Query, description = "A position: only events behind it; or `latest`: only what comes.",
            pattern = "^([0-9]+|latest)$"),
    ),
    responses(
        (status = 200, description = "A page; with `Accept: application/cloudevents+json` its items are CloudEvents.",
            body = Page<EventBody>),
        (status = 400, description = "The path or the query makes no sense: `invalid_path`, `invalid_query`, \
            `invalid_cursor`, `position_beyond_end`."),
        (status = 404, description = "There is no such execution: `execution_not_found`."),
    )
)]
pub(super) async fn list_execution_events(
    State(state): State<ApiState>,
    caller: Caller,
    In(id): In<String>,
    headers: HeaderMap,
    mut query: Query,
) -> Answer {
    let id = execution_id(&id)?;
    let limit = query.limit()?;
    let after = list::after(&mut query)?;
    query.finish()?;
    caller.check_execution(&state, id).await?;
    state.engine().execution(id).await?;
    let filter = EventFilter { execution: Some(id), ..EventFilter::default() };
    list::page(&state, &caller, &headers, &filter, after, limit).await
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;

    #[tokio::test]
    async fn from_its_trigger_to_its_end() {
        let api = Api::new();
        api.protocol_and_action("a").await;
        let ran = api.execute("a").await;
        api.execute("a").await;
        let path = format!("/v1/executions/{}/events", ran["id"].as_str().unwrap());
        let events = api.all_pages(&format!("{path}?limit=1")).await;
        let types: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!(types.first(), Some(&"trigger_received"));
        assert_eq!(types.last(), Some(&"action_executed"));
        assert!(events.iter().all(|event| event["execution"] == ran["id"]));
        let missing = api.get("/v1/executions/exe_01h455vb4pex5vsknk084sn02q/events").send().await;
        missing.is_problem(404, "execution_not_found");
    }
}
