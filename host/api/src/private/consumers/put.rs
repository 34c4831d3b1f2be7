//! `PUT /v1/consumers/{name}`: makes a consumer, or changes what one reads.

use super::name_of;
use crate::{
    ApiState,
    error::{Answer, Problem},
    private::events::list::{After, reached},
    request::{caller::Caller, json::OptionalJson, path::In},
    wire::{
        self,
        consumer::{ConsumerBody, ConsumerSpec},
    },
};
use action_domain::{
    consumer::Consumer, event::EventType, failure::Issue, id::ActionId, name::Name, repositories::ActionKey,
};
use axum::extract::State;
use http::StatusCode;

/// Make or change a consumer
///
/// A new one begins behind `after`, or with what comes next. One that is there stays where it
/// is, and reads what is said here from now on. Each change is an event (`consumer_created`, `consumer_updated`).
#[utoipa::path(
    put,
    path = "/v1/consumers/{name}",
    tag = "consumers",
    params(("name" = String, Path, description = "The consumer's name: `[a-z][a-z0-9-]{0,62}`.")),
    request_body(content = Option<ConsumerSpec>, description = "May be left out: then all events are read."),
    responses(
        (status = 200, description = "It was there, and reads this now.", body = ConsumerBody),
        (status = 201, description = "It is new.", body = ConsumerBody),
        (status = 400, description = "The path or the body makes no sense: `invalid_path`, `malformed_json`, \
            `position_beyond_end` and the like."),
        (status = 409, description = "There are 1000 consumers: `too_many`."),
        (status = 422, description = "The document is wrong, at the places told: `invalid_document`."),
    )
)]
pub(super) async fn put_consumer(
    State(state): State<ApiState>,
    caller: Caller,
    In(name): In<String>,
    OptionalJson(spec): OptionalJson<ConsumerSpec>,
) -> Answer {
    let name = name
        .parse::<Name>()
        .map_err(|error| Problem::invalid_document(vec![Issue::new("", "invalid_name", error.to_string())]))?;
    let mut issues = Vec::new();
    let mut types = Vec::new();
    for (index, word) in spec.types.iter().enumerate() {
        match EventType::from_word(word) {
            Some(of) => types.push(of),
            None => issues.push(Issue::new(format!("/types/{index}"), "invalid", format!("no event is a `{word}`"))),
        }
    }
    let action = match &spec.action {
        Some(text) => action_of(&state, text, &mut issues).await?,
        None => None,
    };
    if !issues.is_empty() {
        return Err(Problem::invalid_document(issues));
    }
    let from = reached(&state, spec.after.map_or(After::Latest, After::Position)).await?;
    let created_at = state.engine().clock().now();
    let consumer = Consumer { name: name.clone(), types, action, kind: spec.kind, created_at };
    let new = state.engine().put_consumer(consumer, from, caller.actor()).await?;
    let consumer = state.engine().consumer(&name_of(name.as_str())?).await?;
    wire::json(if new { StatusCode::CREATED } else { StatusCode::OK }, &ConsumerBody::from(&consumer))
}

async fn action_of(state: &ApiState, text: &str, issues: &mut Vec<Issue>) -> Answer<Option<ActionId>> {
    let key = text.parse::<ActionId>().map(ActionKey::Id).or_else(|_| text.parse().map(ActionKey::Name));
    let found = match key {
        Ok(key) => state.engine().reader().action(&key).await?,
        Err(_) => None,
    };
    if found.is_none() {
        issues.push(Issue::new("/action", "action_not_found", format!("there is no action `{text}`")));
    }
    Ok(found.map(|action| action.id))
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;
    use serde_json::json;

    #[tokio::test]
    async fn a_consumer_goes_on_where_it_acknowledged() {
        let api = Api::new();
        api.protocol_and_action("a").await;
        let made = api.request("PUT", "/v1/consumers/all").json(&json!({"after": 0})).send().await;
        made.is(201);
        assert_eq!(made.json()["position"], 0);
        let first = api.get("/v1/consumers/all/events?limit=1").send().await.json();
        assert_eq!(first["items"][0]["type"], "protocol_uploaded");
        let again = api.get("/v1/consumers/all/events?limit=1").send().await.json();
        assert_eq!(again, first, "what was not acknowledged comes again");
        let ack = |position| api.post("/v1/consumers/all/ack").json(&json!({"position": position})).send();
        ack(first["position"].as_i64().unwrap()).await.is(200);
        let next = api.get("/v1/consumers/all/events").send().await.json();
        assert_eq!(next["items"][0]["type"], "action_created");
        ack(next["position"].as_i64().unwrap()).await.is(200);
        ack(1).await.is(200);
        let stands = api.get("/v1/consumers/all").send().await.json();
        assert_eq!(stands["position"], next["position"], "never back");
        ack(1_000_000).await.is_problem(400, "position_beyond_end");
        let none = api.get("/v1/consumers/all/events?wait=0").send().await.json();
        assert_eq!(none, json!({"items": [], "position": null}));
        assert_eq!(api.get("/v1/consumers").send().await.json()["items"][0]["name"], "all");
        api.request("DELETE", "/v1/consumers/all").send().await.is(204);
        api.get("/v1/consumers/all/events").send().await.is_problem(404, "consumer_not_found");
    }

    #[tokio::test]
    async fn a_consumer_reads_what_it_asked_for() {
        let api = Api::new();
        api.protocol_and_action("a").await;
        let spec = json!({"types": ["action_executed"], "action": "a"});
        api.request("PUT", "/v1/consumers/ends").json(&spec).send().await.is(201);
        api.execute("a").await;
        let read = api.get("/v1/consumers/ends/events?wait=5").send().await.json();
        assert_eq!(read["items"].as_array().unwrap().len(), 1);
        assert_eq!(read["items"][0]["type"], "action_executed");
        api.request("PUT", "/v1/consumers/ends").json(&json!({})).send().await.is(200);
        api.request("PUT", "/v1/consumers/ends").json(&json!({})).send().await.is(200);
        api.request("DELETE", "/v1/consumers/ends").send().await.is(204);
        let events = api.all_pages("/v1/events").await;
        let of_consumers: Vec<_> = (events.iter())
            .filter(|event| event["type"].as_str().unwrap().starts_with("consumer_"))
            .map(|event| (event["type"].as_str().unwrap(), &event["data"]["name"], &event["data"]["by"]))
            .collect();
        let (name, by) = (json!("ends"), json!("admin"));
        let types = ["consumer_created", "consumer_updated", "consumer_deleted"];
        assert_eq!(of_consumers, types.map(|of| (of, &name, &by)), "and nothing for what changed nothing");
        let wrong = api
            .request("PUT", "/v1/consumers/x")
            .json(&json!({"types": ["nothing"], "action": "none", "after": -1}))
            .send();
        wrong.await.is_problem(422, "invalid_document");
        api.request("PUT", "/v1/consumers/X").json(&json!({})).send().await.is_problem(422, "invalid_document");
        api.request("PUT", "/v1/consumers/x")
            .json(&json!({"after": 9999}))
            .send()
            .await
            .is_problem(400, "position_beyond_end");
    }
}
