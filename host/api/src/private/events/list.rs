//! `GET /v1/events`: the log, in pages. The same path streams: see [`super::stream`].

use super::stream;
use crate::{
    ApiState,
    error::{Answer, Problem},
    request::{
        caller::Caller,
        headers::accepts,
        query::{Query, invalid},
    },
    wire::{
        self,
        event::{CLOUDEVENTS_JSON, CloudEvent, EventBody},
        page::{self, Page},
    },
};
use action_domain::{
    event::{Event, EventType, Position},
    id::ExecutionId,
    limits::PAGE_ITEMS_MAX,
    payload::INLINE_BYTES_MAX,
    repositories::{self, EventFilter},
};
use axum::extract::State;
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// A page is cut when its data are over this: 500 events can have 44 MiB.
const PAGE_BYTES_MAX: usize = 4 << 20;
/// How many events are read at once.
pub(super) const CHUNK_ITEMS: u32 = 50;

// One event is never larger than a page, so each page gets on.
const _: () = assert!(PAGE_BYTES_MAX > 4 * INLINE_BYTES_MAX);

/// List events, or follow them
///
/// By position. All conditions hold. With `Accept: text/event-stream` the answer does not end:
/// it goes on with events as they happen, each a CloudEvent whose `id` line is its position, and
/// is resumed by `Last-Event-ID` or `after`. `after=latest` starts at the end of the log: the
/// page is empty and its `next` is the position to go on from; a stream tells that position by
/// an `id` line of its own before the first event.
#[utoipa::path(
    get,
    path = "/v1/events",
    tag = "events",
    params(
        ("type" = Option<String>, Query, description = "Of one of these types: more than one with commas or by \
            repeating the parameter."),
        ("action" = Option<String>, Query, description = "Of this action, by id or name."),
        ("execution" = Option<String>, Query, description = "Of this execution."),
        ("correlation_id" = Option<String>, Query, description = "With this correlation id."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500, description = "Most items of the page: 1 to 500, 50 where left out. A page of \
            large events may have fewer. Does not count for a stream."),
        ("after" = Option<String>, Query, description = "A position: only events behind it; or `latest`: only what comes.",
            pattern = "^([0-9]+|latest)$"),
        ("Last-Event-ID" = Option<String>, Header, description = "For a stream, the same as `after`, and before it. \
            Does not count for a page."),
    ),
    responses(
        (status = 200, description = "A page, or with `Accept: text/event-stream` a stream of CloudEvents.", content(
            (Page<EventBody> = "application/json"),
            (Page<CloudEvent> = "application/cloudevents+json"),
            (String = "text/event-stream"),
        )),
        (status = 400, description = "The query makes no sense: `invalid_query`, `invalid_cursor`; or the log does not \
            reach the position, as after a restore: `position_beyond_end`."),
        (status = 404, description = "There is no action with this name: `action_not_found`."),
    )
)]
pub(super) async fn list_events(
    State(state): State<ApiState>,
    caller: Caller,
    headers: HeaderMap,
    mut query: Query,
) -> Answer {
    let limit = query.limit()?;
    let after = after(&mut query)?;
    let execution = |text: &str| text.parse::<ExecutionId>().ok();
    let filter = EventFilter {
        types: types(&mut query)?,
        action: query.action(&state, &caller).await?,
        execution: query.parsed("execution", "an execution's id", execution)?,
        correlation_id: query.one("correlation_id")?,
        kind: None,
    };
    query.finish()?;
    if accepts(&headers, "text/event-stream") {
        return stream::answer(state, caller, &headers, filter, after).await;
    }
    page(&state, &caller, &headers, &filter, after, limit).await
}

/// Where a reader begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::private) enum After {
    /// Behind this position; 0 is the beginning.
    Position(Position),
    /// With what comes next.
    Latest,
}

/// `after`: a position, or `latest`; left out for the beginning.
pub(in crate::private) fn after(query: &mut Query) -> Answer<After> {
    match query.one("after")?.as_deref() {
        None => Ok(After::Position(0)),
        Some("latest") => Ok(After::Latest),
        Some(text) => position(text).map(After::Position),
    }
}

/// A position as callers write it: digits and nothing else.
pub(crate) fn position(text: &str) -> Answer<Position> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let position = digits.then(|| text.parse().ok()).flatten();
    position.ok_or_else(|| Problem::bad_request("invalid_cursor", "a position is a number from 0, or `latest`"))
}

/// The position of `after`. One that the log does not reach comes from another log, and who
/// waits behind it would miss what happens until then.
pub(in crate::private) async fn reached(state: &ApiState, after: After) -> Answer<Position> {
    let end = state.engine().reader().last_position().await?;
    match after {
        After::Latest => Ok(end),
        After::Position(position) if position <= end => Ok(position),
        After::Position(position) => {
            let detail = format!("the log ends at position {end}, before {position}");
            Err(Problem::bad_request("position_beyond_end", detail))
        }
    }
}

fn types(query: &mut Query) -> Answer<Vec<EventType>> {
    let given = query.all("type");
    let words = given.iter().flat_map(|list| list.split(',')).map(str::trim);
    words
        .map(|word| EventType::from_word(word).ok_or_else(|| invalid(format!("`type`: no event is a `{word}`"))))
        .collect()
}

/// A page of events in the form that the caller accepts.
pub(in crate::private) async fn page(
    state: &ApiState,
    caller: &Caller,
    headers: &HeaderMap,
    filter: &EventFilter,
    after: After,
    limit: u32,
) -> Answer {
    let (events, next) = match after {
        After::Latest => (Vec::new(), Some(reached(state, after).await?)),
        After::Position(position) => {
            let found = read(state, caller, filter, Some(position), limit).await?;
            if found.0.is_empty() {
                reached(state, after).await?;
            }
            found
        }
    };
    let next = next.map(|position| position.to_string());
    if !accepts(headers, CLOUDEVENTS_JSON) {
        return wire::ok(&Page { items: events.iter().map(EventBody::from).collect(), next });
    }
    let page = Page { items: events.iter().map(CloudEvent::from).collect(), next };
    let mut response = wire::json(StatusCode::OK, &page)?;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(CLOUDEVENTS_JSON));
    Ok(response)
}

/// Reads a page piece by piece, so that one of large events is never held as a whole.
pub(in crate::private) async fn read(
    state: &ApiState,
    caller: &Caller,
    filter: &EventFilter,
    mut after: Option<Position>,
    limit: u32,
) -> Answer<(Vec<Event>, Option<Position>)> {
    let wanted = page::ask(limit) as usize;
    let (mut events, mut bytes) = (Vec::new(), 0);
    while events.len() < wanted && bytes < PAGE_BYTES_MAX {
        let chunk = CHUNK_ITEMS.min(u32::try_from(wanted - events.len()).unwrap_or(PAGE_ITEMS_MAX));
        let found = caller.events(state, filter, repositories::Page { after, limit: chunk }).await?;
        let end = found.len() < chunk as usize;
        bytes += found.iter().map(|event| event.data.get().len()).sum::<usize>();
        events.extend(found);
        if end {
            break;
        }
        after = events.last().map(|event: &Event| event.position);
    }
    let cut = bytes >= PAGE_BYTES_MAX;
    let next = page::cut(&mut events, limit).map(|event| event.position);
    let next = next.or_else(|| events.last().filter(|_| cut).map(|event| event.position));
    Ok((events, next))
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;

    #[tokio::test]
    async fn by_position_and_by_condition() {
        let api = Api::new();
        let id = api.protocol_and_action("a").await;
        let ran = api.post("/v1/actions/a/execute").with("x-correlation-id", "c").body("x").send().await.json();
        let all = api.all_pages("/v1/events?limit=1").await;
        let positions: Vec<_> = all.iter().map(|event| event["position"].as_i64().unwrap()).collect();
        assert_eq!(positions, (1..=i64::try_from(all.len()).unwrap()).collect::<Vec<_>>());
        let types = async |query: &str| {
            let items = api.all_pages(&format!("/v1/events?limit=2&{query}")).await;
            items.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(types("type=protocol_uploaded").await, "protocol_uploaded");
        assert_eq!(types("type=protocol_uploaded,action_created").await, "protocol_uploaded action_created");
        assert_eq!(types("type=action_created&type=protocol_uploaded").await, "protocol_uploaded action_created");
        let of_run = types(&format!("execution={}", ran["id"].as_str().unwrap())).await;
        assert!(of_run.starts_with("trigger_received ") && of_run.ends_with(" action_executed"), "{of_run}");
        assert_eq!(types("correlation_id=c").await, of_run);
        assert_eq!(types("correlation_id=d").await, "");
        assert_eq!(types("action=a").await, format!("action_created {of_run}"));
        assert_eq!(types(&format!("action={id}")).await, format!("action_created {of_run}"));
        let behind = api.get("/v1/events?after=2").send().await.json();
        assert_eq!(behind["items"].as_array().unwrap().len(), all.len() - 2);
        assert_eq!((&behind["items"][0]["position"], &behind["next"]), (&3.into(), &serde_json::Value::Null));
    }

    #[tokio::test]
    async fn an_event_has_its_members() {
        let api = Api::new();
        api.protocol_and_action("a").await;
        let ran = api.execute("a").await;
        let own = api.get("/v1/events?type=action_executed").send().await;
        assert_eq!(own.header("content-type"), "application/json");
        let own = own.json()["items"][0].clone();
        assert_eq!((&own["execution"], &own["action"], &own["attempt"]), (&ran["id"], &ran["action"], &1.into()));
        assert_eq!(own["data"]["success"], true);

        let page = api.get("/v1/events?type=action_executed").with("accept", "application/cloudevents+json");
        let page = page.send().await;
        assert_eq!(page.header("content-type"), "application/cloudevents+json");
        let cloud = page.json()["items"][0].clone();
        assert_eq!(cloud["specversion"], "1.0");
        assert_eq!(cloud["id"], own["id"]);
        assert_eq!(cloud["source"], format!("/v1/actions/{}", ran["action"].as_str().unwrap()));
        assert_eq!(cloud["subject"], ran["id"]);
        assert_eq!(cloud["position"], own["position"].to_string());
        assert_eq!(cloud["data"], own["data"]);
        let names = cloud.as_object().unwrap().keys();
        assert!(names.clone().all(|name| name.bytes().all(|b| b.is_ascii_lowercase())), "{names:?}");
    }

    #[tokio::test]
    async fn a_page_of_large_events_is_cut() {
        let api = Api::new();
        api.protocol_and_action("a").await;
        for _ in 0..60 {
            api.post("/v1/actions/a/execute").body(vec![b'x'; 60_000]).send().await.is(200);
        }
        let page = api.get("/v1/events?limit=500&type=trigger_received").send().await;
        assert!(page.bytes.len() < 9 << 20, "{}", page.bytes.len());
        assert!(page.json()["next"].is_string());
        assert_eq!(api.all_pages("/v1/events?limit=500&type=trigger_received").await.len(), 60);
    }

    #[tokio::test]
    async fn the_end_of_the_log_is_told_and_what_lies_behind_it_is_refused() {
        let api = Api::new();
        api.protocol_and_action("a").await;
        let latest = api.get("/v1/events?after=latest").send().await.json();
        assert_eq!(latest, serde_json::json!({"items": [], "next": "2"}));
        api.get("/v1/events?after=2").send().await.is(200);
        let beyond = api.get("/v1/events?after=3").send().await;
        beyond.is_problem(400, "position_beyond_end");
        assert!(beyond.json()["detail"].as_str().unwrap().contains("ends at position 2"), "{}", beyond.json());
        let ran = api.execute("a").await;
        assert_eq!(api.get("/v1/events?after=2").send().await.json()["items"][0]["type"], "trigger_received");
        let of_run = format!("/v1/executions/{}/events?after=99", ran["id"].as_str().unwrap());
        api.get(&of_run).send().await.is_problem(400, "position_beyond_end");
    }

    #[tokio::test]
    async fn a_query_that_makes_no_sense_is_refused() {
        let api = Api::new();
        for (query, code) in [
            ("after=x", "invalid_cursor"),
            ("after=-1", "invalid_cursor"),
            ("after=%2B1", "invalid_cursor"),
            ("after=", "invalid_cursor"),
            ("type=action_exploded", "invalid_query"),
            ("type=", "invalid_query"),
            ("execution=x", "invalid_query"),
            ("limit=0", "invalid_query"),
        ] {
            api.get(&format!("/v1/events?{query}")).send().await.is_problem(400, code);
        }
    }
}
