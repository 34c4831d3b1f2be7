//! `GET /v1/events` with `Accept: text/event-stream`: the log as it grows.
//!
//! A stream is a reader of positions like any other: it reads a chunk behind the position where
//! it is, writes it, and waits for the log to grow. Nothing is queued for it, so a slow reader
//! costs one chunk of memory, and one that comes back misses nothing.

use super::list::{After, CHUNK_ITEMS, position, reached};
use crate::{
    ApiState, Phase,
    error::{Answer, Problem},
    request::caller::Caller,
    wire::event::CloudEvent,
};
use action_domain::{
    event::{Event, Position},
    repositories::{EventFilter, Page, Positions, StoreUnavailable},
};
use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::time::Duration;
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::timeout,
};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// How often something is written although nothing happens, so that both sides notice when the
/// other has gone.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

struct Follower {
    state: ApiState,
    /// Asked again before each piece: a token may be revoked or run out while it reads.
    caller: Caller,
    filter: EventFilter,
    /// Everything up to here was written, or does not pass the filter.
    after: Position,
    positions: Box<dyn Positions>,
    phase: watch::Receiver<Phase>,
    /// What comes before the events.
    greeting: Option<Bytes>,
    _permit: OwnedSemaphorePermit,
}

/// A stream of the events behind `after`, or behind `Last-Event-ID` where it is given.
pub(super) async fn answer(
    state: ApiState,
    caller: Caller,
    headers: &HeaderMap,
    filter: EventFilter,
    after: After,
) -> Answer {
    let last_seen = headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty());
    let last_seen = last_seen.map(|value| position(value.to_str().unwrap_or_default())).transpose()?;
    let after = last_seen.map_or(after, After::Position);
    let start = reached(&state, after).await?;
    let busy = |_| Problem::busy("too many event streams are open", Duration::from_secs(10));
    let permit = state.streams().clone().try_acquire_owned().map_err(busy)?;
    let follower = Follower {
        caller,
        filter,
        after: start,
        positions: state.engine().reader().follow(),
        phase: state.readiness().follow(),
        greeting: Some(greeting(after, start)),
        _permit: permit,
        state,
    };
    let chunks = stream::try_unfold(follower, |mut follower| async move {
        let chunk = follower.next().await?;
        Ok::<_, StoreUnavailable>(chunk.map(|chunk| (chunk, follower)))
    });
    let mut response = Response::new(Body::from_stream(chunks));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // Proxies that would wait for the answer's end are told not to.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// Sent at once, so that the reader knows that it is connected. Who did not say a position gets
/// one, and misses nothing when the stream breaks before the first event.
fn greeting(after: After, start: Position) -> Bytes {
    match after {
        After::Latest => format!(": events follow\nid: {start}\n\n").into(),
        After::Position(_) => Bytes::from_static(b": events follow\n\n"),
    }
}

impl Follower {
    /// The next piece of the answer; `None` ends it.
    async fn next(&mut self) -> Result<Option<Bytes>, StoreUnavailable> {
        if let Some(greeting) = self.greeting.take() {
            return Ok(Some(greeting));
        }
        loop {
            if *self.phase.borrow() == Phase::Stopping {
                return Ok(None);
            }
            if !self.caller.is_known(&self.state).await.map_err(|error| StoreUnavailable(error.to_string()))? {
                return Ok(None);
            }
            if let Some(chunk) = self.read().await? {
                return Ok(Some(chunk));
            }
            tokio::select! {
                grown = timeout(KEEP_ALIVE, self.positions.changed()) => match grown {
                    Ok(true) => {}
                    Ok(false) => return Ok(None),
                    Err(_) => return Ok(Some(Bytes::from_static(b": keep-alive\n\n"))),
                },
                // Looked at at the top of the loop. An error means that nobody can stop us any
                // more, which is a stop too.
                changed = self.phase.changed() => if changed.is_err() {
                    return Ok(None);
                },
            }
        }
    }

    async fn read(&mut self) -> Result<Option<Bytes>, StoreUnavailable> {
        let reader = self.state.engine().reader();
        // Asked before the events: what is committed in between lies behind it.
        let end = reader.last_position().await?;
        let page = Page { after: Some(self.after), limit: CHUNK_ITEMS };
        let events = self.caller.events(&self.state, &self.filter, page).await?;
        let complete = events.len() < CHUNK_ITEMS as usize;
        if let Some(last) = events.last() {
            self.after = last.position;
        }
        if complete {
            // What the filter held back is not looked at again with every event that comes.
            self.after = self.after.max(end);
        }
        let mut chunk = Vec::new();
        for event in &events {
            write(event, &mut chunk);
        }
        Ok((!chunk.is_empty()).then(|| chunk.into()))
    }
}

/// One event in the form of the HTML standard, section 9.2.
fn write(event: &Event, chunk: &mut Vec<u8>) {
    // A cloud event has string keys and valid JSON in it: it can always be written.
    let json = serde_json::to_vec(&CloudEvent::from(event)).unwrap_or_default();
    chunk.extend_from_slice(format!("id: {}\nevent: {}\ndata: ", event.position, event.r#type).as_bytes());
    // Data that came with line breaks keeps them; in JSON they only ever stand between tokens,
    // and each line of a field needs its name.
    for (index, line) in json.split(|byte| matches!(byte, b'\n' | b'\r')).enumerate() {
        if index > 0 {
            chunk.extend_from_slice(b"\ndata: ");
        }
        chunk.extend_from_slice(line);
    }
    chunk.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use super::KEEP_ALIVE;
    use crate::{
        Phase,
        testing::{Api, Stream},
    };
    use action_domain::services::Clock as _;
    use action_testkit::FakeClock;
    use serde_json::{Value, json};
    use std::{sync::Arc, time::Duration};
    use tokio::time::Instant;

    async fn open(api: &Api, path: &str, last: Option<&str>) -> Stream {
        let request = api.get(path).with("accept", "text/event-stream");
        let request = match last {
            Some(last) => request.with("last-event-id", last),
            None => request,
        };
        let mut stream = request.open().await;
        assert_eq!(stream.header("content-type"), "text/event-stream");
        assert_eq!(stream.chunk().await.unwrap(), ": events follow\n\n");
        stream
    }

    /// The events of a chunk: id and data.
    fn events(chunk: &str) -> Vec<(i64, Value)> {
        let event = |block: &str| {
            let id = block.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().parse().unwrap();
            let data: Vec<&str> = block.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
            (id, serde_json::from_str(&data.join("\n")).unwrap())
        };
        chunk.split_terminator("\n\n").map(event).collect()
    }

    #[tokio::test]
    async fn what_was_and_then_what_comes() {
        let api = Api::new();
        api.protocol_and_action("a").await;
        let mut stream = open(&api, "/v1/events", None).await;
        let before = events(&stream.chunk().await.unwrap());
        assert_eq!(before.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(before[1].1["type"], "action_created");
        api.execute("a").await;
        let mut after = Vec::new();
        while after.last().is_none_or(|(_, event): &(i64, Value)| event["type"] != "action_executed") {
            after.extend(events(&stream.chunk().await.unwrap()));
        }
        let ids: Vec<_> = after.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, (3..3 + i64::try_from(ids.len()).unwrap()).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn resumed_where_it_was() {
        let api = Api::new();
        api.protocol_and_action("a").await;
        for (path, last) in [("/v1/events?after=1", None), ("/v1/events", Some("1")), ("/v1/events?after=0", Some("1"))]
        {
            let mut stream = open(&api, path, last).await;
            assert_eq!(events(&stream.chunk().await.unwrap())[0].0, 2);
        }
        for broken in ["x", "+1", "-1", "1 ", "99999999999999999999"] {
            let broken = api.get("/v1/events").with("accept", "text/event-stream").with("last-event-id", broken);
            broken.send().await.is_problem(400, "invalid_cursor");
        }
        let beyond = api.get("/v1/events").with("accept", "text/event-stream").with("last-event-id", "3");
        beyond.send().await.is_problem(400, "position_beyond_end");
    }

    #[tokio::test]
    async fn only_what_comes() {
        let api = Api::new();
        api.protocol_and_action("a").await;
        let latest = || api.get("/v1/events?after=latest").with("accept", "text/event-stream");
        let mut stream = latest().open().await;
        assert_eq!(stream.chunk().await.unwrap(), ": events follow\nid: 2\n\n");
        api.execute("a").await;
        assert_eq!(events(&stream.chunk().await.unwrap())[0].0, 3);
        let mut resumed = latest().with("last-event-id", "1").open().await;
        assert_eq!(resumed.chunk().await.unwrap(), ": events follow\n\n");
        assert_eq!(events(&resumed.chunk().await.unwrap())[0].0, 2);
    }

    #[tokio::test]
    async fn only_what_passes_the_filter() {
        let api = Api::new();
        api.protocol_and_action("a").await;
        let mut stream = open(&api, "/v1/events?type=action_executed", None).await;
        for _ in 0..2 {
            let ran = api.execute("a").await;
            let found = events(&stream.chunk().await.unwrap());
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].1["subject"], ran["id"]);
        }
    }

    #[tokio::test]
    async fn line_breaks_in_data_keep_the_form() {
        let api = Api::new();
        api.protocol_and_action("a").await;
        let input = "{\n\"a\":\r\n1,\r\"b\": \"\\n\"}";
        api.post("/v1/actions/a/execute").content_type("application/json").body(input).send().await.is(200);
        let mut stream = open(&api, "/v1/events?type=trigger_received", None).await;
        let found = events(&stream.chunk().await.unwrap());
        assert_eq!(found[0].1["data"]["input"]["json"], serde_json::json!({"a": 1, "b": "\n"}));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_one_ends_when_its_token_does() {
        let clock = FakeClock::default();
        let api = Api::with(Arc::new(clock.clone()), None, true);
        let silent = async |token: &str| {
            let request = api.get("/v1/events?type=events_pruned").bearer(token).with("accept", "text/event-stream");
            let mut stream = request.open().await;
            assert_eq!(stream.chunk().await.unwrap(), ": events follow\n\n");
            stream
        };
        let (id, token) = api.token(&json!({"name": "a", "scopes": ["read"]})).await;
        let mut stream = silent(&token).await;
        assert_eq!(stream.chunk().await.unwrap(), ": keep-alive\n\n");
        let revoked = Instant::now();
        api.request("DELETE", &format!("/v1/tokens/{id}")).send().await.is(204);
        assert_eq!(stream.chunk().await, None);
        assert!(revoked.elapsed() < KEEP_ALIVE, "at once, and not when it would have been asked after");

        let end = clock.now().plus(Duration::from_mins(1));
        let (_, token) = api.token(&json!({"name": "b", "scopes": ["read"], "expires_at": end})).await;
        let mut stream = silent(&token).await;
        assert_eq!(stream.chunk().await.unwrap(), ": keep-alive\n\n");
        clock.advance(Duration::from_secs(61));
        // One more time it may say that it is still there.
        while let Some(chunk) = stream.chunk().await {
            assert_eq!(chunk, ": keep-alive\n\n");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn kept_alive_until_the_service_stops() {
        let api = Api::new();
        let mut stream = open(&api, "/v1/events", None).await;
        assert_eq!(stream.chunk().await.unwrap(), ": keep-alive\n\n");
        assert_eq!(stream.chunk().await.unwrap(), ": keep-alive\n\n");
        api.readiness.set(Phase::Stopping);
        assert_eq!(stream.chunk().await, None);
    }
}
